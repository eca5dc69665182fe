"""Run rules side by side: each meets the same peers, data, speeds and absences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from gossip.fast.averaging import Averaging, fedavg, pooled
from gossip.fast.folding import Folding
from gossip.fast.setting import Outcome, Setting, Work
from gossip.merging.pairwise import RULES, Rule
from ledger.errors import LocalError

ALL_RULES: Final = ("fold", *RULES, "none", "fedavg", "pooled")


def run_rule(rule: str | Rule, setting: Setting, work: Work, *, everything: Work | None = None) -> Outcome:
    """One rule, by its name or as a function of one's own (gossip/merging/pairwise.py says of what).

    `everything`: the rows of all peers as one peer's; pooled training needs it. LocalError if it is missing, or if
    there is no rule of that name.
    """
    if not isinstance(rule, str):
        return Averaging(getattr(rule, "__name__", "own"), rule, setting, work).run()
    match rule:
        case "fold":
            return Folding(rule, setting, work).run()
        case "none":
            return Averaging(rule, None, setting, work).run()
        case "fedavg":
            return fedavg(setting, work)
        case "pooled":
            if everything is None:
                raise LocalError("pooled training needs all rows in one place", next_step="leave `pooled` out")
            return pooled(setting, work, everything)
        case _ if rule in RULES:
            return Averaging(rule, RULES[rule], setting, work).run()
        case _:
            raise _unknown(rule, ALL_RULES)


def check_rules(names: Iterable[str], known: Sequence[str]) -> None:
    """LocalError at the first that is none, before anything is computed."""
    for name in names:
        if name not in known:
            raise _unknown(name, known)


def _unknown(name: str, known: Sequence[str]) -> LocalError:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "choose one of: " + ", ".join(known)
    return LocalError(f"there is no rule {name!r}", next_step=hint)


def compare(
    rules: Iterable[str | Rule], setting: Setting, work: Work, *, everything: Work | None = None
) -> Mapping[str, Outcome]:
    """What came of each, by name, in the order given."""
    found = (run_rule(rule, setting, work, everything=everything) for rule in rules)
    return {outcome.rule: outcome for outcome in found}
