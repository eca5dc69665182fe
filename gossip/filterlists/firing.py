"""What each rule of some lists did on a capture: all rules that matched each request, not only the one an engine names.

    firing = Firing(lists)
    for seen in sightings: firing.add(seen)
    firing.rules[7]   Counted(rule, hits=12, sites={"news.test", ...}, always_with={3})

A rule *fires* on a request that it matches; an exception fires on one that it matches and some rule would block. That
an engine on all rules blocks nothing settles most requests at once; for the others the rules that come in question are
tried one by one. `always_with` are the rules that matched every request that this one did: on what was seen they cover
it.

Kept here: memory that grows with rules, not with requests (of each rule at most MAX_SITES sites are remembered). It
refuses to know what follows from a count: gossip/advisor/list_report.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from gossip.filterlists.engine import NO_PAGE, ListText, in_force, named_engine
from gossip.filterlists.meaning import Meaning, meaning_of
from gossip.filterlists.rules import HostRule, NetworkRule, parse_rule
from gossip.filterlists.shortlist import Shortlist
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.trial import Trial, is_read

MAX_SITES: Final = 1_000  # of a rule; more are "at least"

State = Literal["tried", "unread", "other", "taken out"]


class Listed(msgspec.Struct, frozen=True):
    """A network rule where it stands."""

    list: int  # its place among the lists
    line: int
    rule: NetworkRule
    meaning: Meaning
    state: State  # unread: the engine drops it; other: it changes requests or pages; taken out: by a $badfilter


class Counted:
    """What one rule did."""

    __slots__ = ("always_with", "hits", "listed", "sites")

    def __init__(self, listed: Listed) -> None:
        self.listed = listed
        self.hits = 0
        self.sites: set[str] | frozenset[str] = frozenset()
        self.always_with: frozenset[int] = frozenset()


class Firing:
    """Over some lists. LocalError if the extra `lists` is not installed."""

    def __init__(self, lists: Sequence[ListText]) -> None:
        self.names = tuple(each.name for each in lists)
        self.rules = [Counted(each) for each in listed(lists)]
        tried = [index for index, each in enumerate(self.rules) if each.listed.state == "tried"]
        self._sides = tuple(
            _Side([index for index in tried if self.rules[index].listed.rule.exception is exception], self.rules)
            for exception in (False, True)
        )
        blocking = [self.rules[index].listed.rule.text for index in self._sides[0].places]
        self._any = named_engine(blocking)
        self.requests = self.blocked = self.excepted = self.pageless = self.unreadable = 0
        self.sites: set[str] = set()
        self.first: float | None = None
        self.last: float | None = None

    def add(self, seen: Sighting) -> None:
        """One request of a capture."""
        self.requests += 1
        if seen.time is not None:
            self.first = seen.time if self.first is None else min(self.first, seen.time)
            self.last = seen.time if self.last is None else max(self.last, seen.time)
        site = seen.site
        if site:
            self.sites.add(site)
        else:
            self.pageless += 1
        try:
            result = self._any.check_network_urls(seen.url, seen.page or NO_PAGE, seen.type)
        except UnicodeEncodeError:
            self.unreadable += 1
            return
        if result.error is not None:
            self.unreadable += 1
        if result.filter is None:
            return
        blocking, excepting = (side.matching(seen) for side in self._sides)
        self.blocked += bool(blocking)
        self.excepted += bool(blocking and excepting)
        for matched in (blocking, excepting if blocking else ()):
            self._count(matched, site)

    def _count(self, matched: Sequence[int], site: str) -> None:
        together = frozenset(matched)
        for index in matched:
            counted = self.rules[index]
            counted.always_with = (counted.always_with & together) if counted.hits else together - {index}
            counted.hits += 1
            if site not in counted.sites and site and len(counted.sites) < MAX_SITES:
                counted.sites |= {site}


class _Side:
    """The rules that block, or those that except."""

    def __init__(self, places: Sequence[int], rules: Sequence[Counted]) -> None:
        self.places = places
        texts = [rules[index].listed.rule.text for index in places]
        self._trial = Trial(texts)
        self._short = Shortlist([rules[index].listed.meaning for index in places])
        self._always = Trial([texts[index] for index in self._short.always])

    def matching(self, seen: Sighting) -> list[int]:
        request = (seen.page, seen.url, seen.type)
        near = [index for index in self._short.of(seen.page, seen.url) if self._trial.blocks(index, *request)]
        near += [self._short.always[index] for index in self._always.matching(*request)]
        return sorted(self.places[index] for index in near)


def listed(lists: Sequence[ListText]) -> list[Listed]:
    """Every network rule of the lists, in order."""
    found: list[tuple[int, int, NetworkRule, Meaning]] = []
    for place, each in enumerate(lists):
        for number, line in in_force(each.text):
            read = parse_rule(line)
            if isinstance(read, HostRule):
                read = NetworkRule(read.host + "^", start="||")
            if isinstance(read, NetworkRule):
                found.append((place, number, read, meaning_of(read)))
    taken = Counter(_without(meaning) for _, _, rule, meaning in found if rule.having("badfilter"))
    return [
        Listed(place, number, rule, meaning, _state(rule, meaning, taken)) for place, number, rule, meaning in found
    ]


def _state(rule: NetworkRule, meaning: Meaning, taken: Counter[Meaning]) -> State:
    if rule.having("badfilter"):
        return "other"
    if any(
        option.known is not None and (option.known.what == "page" or option.known.name in ("csp", "redirect-rule"))
        for option in rule.given
    ):
        return "other"
    if not is_read(rule.text):
        return "unread"
    return "taken out" if taken[meaning] else "tried"


def _without(meaning: Meaning) -> Meaning:
    """What a $badfilter takes out: the rule that is the same without it."""
    return msgspec.structs.replace(meaning, rest=tuple(ask for ask in meaning.rest if ask != "badfilter="))
