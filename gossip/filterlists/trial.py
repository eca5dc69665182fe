"""Single rules, tried: does the engine read this one, and does it match that request.

    tried = trial(["||ads.example^$third-party", "||ads.example^$thrd-party"])
    tried.read                                                       (True, False)
    tried.blocks(0, "https://news.test/", "https://ads.example/x", "script")   True

Every rule has an engine of its own (6 microseconds to make, 3 to ask), so that none stands in another's light: an
engine on a whole list names one matching rule, and drops what it cannot read without a word. Whether it read a rule
shows in its state: one that it dropped leaves an engine like an empty one. This file refuses to know where rules come
from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING

from gossip.filterlists.engine import ANYTHING, NO_PAGE, named_engine
from gossip.filterlists.hosts import as_rule

if TYPE_CHECKING:
    import adblock


class Trial:
    """Made by `trial`."""

    def __init__(self, rules: Sequence[str]) -> None:
        self.rules = tuple(rules)
        self._engines: list[adblock.Engine | None] = [None] * len(self.rules)
        self._exceptions = [index for index, rule in enumerate(self.rules) if rule.startswith("@@")]

    @cached_property
    def _all(self) -> adblock.Engine:
        """One that tells quickly that none blocks."""
        return named_engine([as_rule(rule) or rule for rule in self.rules if not rule.startswith("@@")])

    @property
    def read(self) -> tuple[bool, ...]:
        """Of each rule, whether the engine reads it."""
        return tuple(is_read(rule) for rule in self.rules)

    def blocks(self, index: int, page: str, url: str, kind: str) -> bool:
        """Whether this rule alone matches the request: blocks it or, if it is an exception, frees it. A request
        without a page is judged as by `engine.Lists`."""
        engine = self._engines[index]
        if engine is None:
            rule = self.rules[index]
            alone = [*ANYTHING, rule] if rule.startswith("@@") else [as_rule(rule) or rule]
            engine = self._engines[index] = named_engine(alone)
        try:
            result = engine.check_network_urls(url, page or NO_PAGE, kind)
        except UnicodeEncodeError:  # half a surrogate pair: no browser sends that
            return False
        return bool(result.exception) if self.rules[index].startswith("@@") else result.filter is not None

    def matching(self, page: str, url: str, kind: str) -> tuple[int, ...]:
        """All rules that match the request. Quick where none does."""
        try:
            found = self._all.check_network_urls(url, page or NO_PAGE, kind).filter
        except UnicodeEncodeError:
            return ()
        asked: Sequence[int] = self._exceptions if found is None else range(len(self.rules))
        return tuple(index for index in asked if self.blocks(index, page, url, kind))


def trial(rules: Sequence[str]) -> Trial:
    """Rules to be tried, each on its own. LocalError if the extra `lists` is not installed."""
    return Trial(rules)


def is_read(rule: str) -> bool:
    """Whether the engine makes anything of one rule: a request matched, an element hidden."""
    return bool(named_engine([as_rule(rule) or rule]).serialize() != _nothing())


@cache
def _nothing() -> bytes:
    return bytes(named_engine([]).serialize())
