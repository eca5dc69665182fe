"""Whether a model is that of somebody who folds what the policy leaves out.

    model of the past  +  updates that broke one rule, or any  =  the model that the snapshot claims?

Why it exists: a snapshot whose count and state are right, and whose model is not, may be a fault of arithmetic, or a
peer that folds against the policy and hides it. The sum is exact, so the difference can be found: what was left out is
added, rule by rule, and the result compared. That is a proof, and names the rule.

Rules kept here: only what can be shown is said; deltas that are not at hand show nothing (peers need not keep what
they leave out, so often they are not). Bounded in what it remembers and tries. It refuses to know bundles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ledger.chain import LogId
from ledger.entry import Hash
from ledger.fold import D, Fold, T

MAX_REMEMBERED: Final = 1 << 16  # updates left out: some 10 MB
MAX_TRIED: Final = 4096  # terms in one sum

Place = tuple[LogId, int]


class LeftOut:
    """The updates that the policy in force in their past leaves out, and for which rules."""

    def __init__(self) -> None:
        self._rules: dict[Place, frozenset[str]] = {}

    def note(self, log: LogId, seq: int, rules: Iterable[str]) -> None:
        if len(self._rules) < MAX_REMEMBERED:
            self._rules[log, seq] = frozenset(rules)

    def explain(
        self, fold: Fold[D, T], among: Iterable[Place], claimed: Hash, delta: Callable[[Place], tuple[D, int] | None]
    ) -> str:
        """Which of these updates make the model of `fold` the one that was claimed; "" if that cannot be shown.

        `delta` gives an update's delta and weight, or None. The fold is the same afterwards.
        """
        known = [place for place in among if place in self._rules]
        for rule, group in self._groups(known):
            if not 0 < len(group) <= MAX_TRIED:
                continue
            terms = [found for place in group if (found := delta(place)) is not None]
            if len(terms) < len(group):
                continue
            for decoded, weight in terms:
                fold.add(decoded, weight)
            model = fold.model_hash()
            for decoded, weight in terms:
                fold.remove(decoded, weight)
            if model == claimed:
                return f"{len(group)} updates that the policy leaves out ({rule})"
        return ""

    def _groups(self, known: list[Place]) -> Iterator[tuple[str, list[Place]]]:
        """What somebody would fold who enforces all rules but one; and who enforces none."""
        rules = sorted(set().union(*(self._rules[place] for place in known)))
        for rule in rules:
            yield rule, [place for place in known if self._rules[place] == {rule}]
        if len(rules) > 1:
            yield ", ".join(rules), known
