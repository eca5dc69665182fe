"""Of each list, what its rules did on a capture, which of them are there twice, and which others make needless.

    EasyList   53,274 rules, 1,211 fired; 52,063 did not; 3 asked the same as another, 14 were covered by another,
               201 matched nothing that another did not match as well

Two grounds, kept apart. *By structure*: whatever request the one matches, the other does (filterlists/meaning.py), seen
or not. *On what was seen*: each request of this capture that the one matched the other matched, too; on another
capture it may be otherwise. That a rule never fired here is no proof that it is dead: a capture is few pages of one
person on few days, and `requests`, `sites`, `first` and `last` say how few.

Pure: counts in, a report out. It refuses to know files and engines, and to say that a rule should go.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gossip.filterlists.covering import Covering
from gossip.filterlists.firing import Counted, Firing, Listed
from gossip.filterlists.meaning import Meaning


class Place(msgspec.Struct, frozen=True):
    """A rule, and where it stands."""

    list: str
    line: int
    rule: str


class Needless(msgspec.Struct, frozen=True):
    """A rule that another does the work of."""

    at: Place
    by: Place
    hits: int  # of the first, on this capture


class Fired(msgspec.Struct, frozen=True):
    """A rule that fired."""

    at: Place
    hits: int  # requests
    sites: int  # of their pages


class OfList(msgspec.Struct, frozen=True):
    """One list. Rules are in the order of the list, what fired in that of hits."""

    name: str
    rules: int  # on requests, exceptions among them
    exceptions: int
    unread: int  # that the engine drops: not tried
    other: int  # that change requests or pages: not tried
    fired: tuple[Fired, ...]
    never: tuple[Place, ...]  # rules that block, and never fired here
    exceptions_never: tuple[Place, ...]  # never freed what a rule of these lists would have blocked here
    duplicates: tuple[Needless, ...]  # ask the same as an earlier rule
    covered: tuple[Needless, ...]  # by structure
    covered_seen: tuple[Needless, ...]  # on what was seen, and neither of the two above


class Report(msgspec.Struct, frozen=True):
    """All lists, and how much was seen."""

    requests: int
    sites: int
    pageless: int  # requests without a page
    unreadable: int  # requests that the engine could not read
    first: float | None  # Unix seconds; None where the captures do not say
    last: float | None
    blocked: int  # requests that some rule matched
    excepted: int  # of these, that an exception freed
    lists: tuple[OfList, ...]


def report_of(firing: Firing) -> Report:
    """Everything that the counts say."""
    rules = firing.rules
    places = [Place(firing.names[each.listed.list], each.listed.line, each.listed.rule.text) for each in rules]
    duplicates, covered = _by_structure(rules, places)
    found: list[OfList] = []
    for number, name in enumerate(firing.names):
        own = [index for index, each in enumerate(rules) if each.listed.list == number]
        tried = [index for index in own if rules[index].listed.state == "tried"]
        never = [index for index in tried if not rules[index].hits]
        fired = sorted((index for index in tried if rules[index].hits), key=lambda index: -rules[index].hits)
        seen = [(index, by) for index in fired if (by := _seen_with(index, rules)) is not None]
        found.append(
            OfList(
                name=name, rules=len(own), exceptions=sum(_excepts(rules[index].listed) for index in own),
                unread=sum(rules[index].listed.state == "unread" for index in own),
                other=sum(rules[index].listed.state in ("other", "taken out") for index in own),
                fired=tuple(Fired(places[i], rules[i].hits, len(rules[i].sites)) for i in fired),
                never=tuple(places[index] for index in never if not _excepts(rules[index].listed)),
                exceptions_never=tuple(places[index] for index in never if _excepts(rules[index].listed)),
                duplicates=tuple(duplicates[index] for index in own if index in duplicates),
                covered=tuple(covered[index] for index in own if index in covered),
                covered_seen=tuple(
                    Needless(places[index], places[by], rules[index].hits)
                    for index, by in sorted(seen) if index not in duplicates and index not in covered
                ),
            )
        )  # fmt: skip
    return Report(
        firing.requests, len(firing.sites), firing.pageless, firing.unreadable, firing.first, firing.last,
        firing.blocked, firing.excepted, tuple(found),
    )  # fmt: skip


def _excepts(listed: Listed) -> bool:
    return listed.rule.exception


def _by_structure(rules: Sequence[Counted], places: Sequence[Place]) -> tuple[dict[int, Needless], dict[int, Needless]]:
    """Rules that ask the same as an earlier one; of the others, those that a wider one covers."""
    meanings = [each.listed.meaning for each in rules]
    covering = Covering(meanings)
    first: dict[Meaning, int] = {}
    duplicates: dict[int, Needless] = {}
    covered: dict[int, Needless] = {}
    for index, each in enumerate(rules):
        if each.listed.state == "taken out":
            continue
        earlier = first.setdefault(meanings[index], index)
        if earlier != index:
            duplicates[index] = Needless(places[index], places[earlier], each.hits)
        elif (wider := covering.wider(index)) is not None and rules[wider].listed.state == "tried":
            covered[index] = Needless(places[index], places[wider], each.hits)
    return duplicates, covered


def _seen_with(index: int, rules: Sequence[Counted]) -> int | None:
    """A rule that matched all that this one did, and more, or as much and stands earlier; and does as much to it."""
    own = rules[index]
    if any(option.known is not None and option.known.what == "change" for option in own.listed.rule.given):
        return None  # it answers with something else, where another only blocks
    wider = [
        by for by in own.always_with
        if (rules[by].hits > own.hits or (rules[by].hits == own.hits and by < index))
        and rules[by].listed.meaning.important >= own.listed.meaning.important
    ]  # fmt: skip
    return max(wider, key=lambda by: (rules[by].hits, -by), default=None)
