"""What a model is made of: who holds how much of the weight in its sum, trained on which data, under which licences.

    terms of the sum --by author--> peers            shares add up to the whole
                     --by data entry--> data sets    shares add up to the whole
                     --by licence named in it--> licences    an update counts for each: these may add up to more
    updates condemned in the past, by author, data entry and judges: what would be in it otherwise

Why it exists: every term of the sum names its author and its data entry, so this is counting, not estimation. What a
share is *not*: an influence on what the model says. An update of little weight can matter more than one of much;
what leaves with a peer is what `without` shows.

Rules kept here: weights are the integers that were published and checked; shares are ratios of exact sums. Licences and
sources are what authors claim of their data. It refuses to know which terms are in the sum (standing.py) and where
entries are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from ledger.chain import peer_of
from ledger.entry import AnyEntry, Data, Hash, PeerId, Update
from ledger.errors import LocalError

NO_LICENCE: Final = ""  # of data that name none

Term = tuple[str, int, Hash, int]  # log id, seq, delta, weight


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the sum. Weights are on the grid of 2^-16."""

    updates: int
    weight: int


@dataclass(frozen=True, slots=True)
class PeerPart(Part):
    peer: PeerId


@dataclass(frozen=True, slots=True)
class DataPart(Part):
    """`data` is what the author wrote about it; its entry is `seq` of that log."""

    log: str
    seq: int
    data: Data


@dataclass(frozen=True, slots=True)
class LicencePart(Part):
    licence: str  # as named; NO_LICENCE for data that name none
    data_sets: int


@dataclass(frozen=True, slots=True)
class CondemnedPart(Part):
    """Updates of one log on one data set that the same peers condemn, the data set itself included."""

    log: str
    data: int  # seq of the data entry
    first: int  # seqs of the first and last of them
    last: int
    judges: tuple[PeerId, ...]  # sorted
    reasons: tuple[str, ...]  # rules that these give for it, sorted: opinions
    held: int  # how many of them count all the same: a final snapshot holds them


@dataclass(frozen=True, slots=True)
class Lineage:
    """Each list by falling weight, ties by name."""

    updates: int
    weight: int  # of all of them: the whole that shares are of
    peers: tuple[PeerPart, ...]
    data: tuple[DataPart, ...]
    licences: tuple[LicencePart, ...]
    condemned: tuple[CondemnedPart, ...] = ()  # not in `updates` and `weight`, but for what is held

    def share(self, part: Part) -> float:
        """0..1. For showing; the integers are the facts."""
        return part.weight / self.weight if self.weight else 0.0


def lineage(terms: Iterable[Term], entry: Callable[[str, int], AnyEntry]) -> Lineage:
    """Count `terms`; `entry` gives an admitted entry by log and seq."""
    peers: dict[PeerId, list[int]] = {}
    sets: dict[tuple[str, int], list[int]] = {}
    data: dict[tuple[str, int], Data] = {}
    for log, seq, _, weight in terms:
        update = entry(log, seq)
        if not isinstance(update, Update):
            raise LocalError("only updates are terms of a sum", why=f"entry {seq} of log {log[:12]}")
        at = (log, update.data)
        if at not in data:
            data[at] = _data(entry(*at))
        _count(peers.setdefault(peer_of(log), [0, 0]), weight)
        _count(sets.setdefault(at, [0, 0]), weight)
    licences: dict[str, list[int]] = {}
    for at, (updates, weight) in sets.items():
        for licence in licences_of(data[at]):
            tally = licences.setdefault(licence, [0, 0, 0])
            tally[0] += updates
            tally[1] += weight
            tally[2] += 1
    return Lineage(
        updates=sum(updates for updates, _ in peers.values()),
        weight=sum(weight for _, weight in peers.values()),
        peers=tuple(
            sorted((PeerPart(n, w, peer) for peer, (n, w) in peers.items()), key=lambda part: (-part.weight, part.peer))
        ),
        data=tuple(
            sorted(
                (DataPart(n, w, *at, data[at]) for at, (n, w) in sets.items()),
                key=lambda part: (-part.weight, part.log, part.seq),
            )
        ),
        licences=tuple(
            sorted(
                (LicencePart(n, w, licence, count) for licence, (n, w, count) in licences.items()),
                key=lambda part: (-part.weight, part.licence),
            )
        ),
    )


def condemned_parts(
    condemned: Iterable[tuple[str, int, int, tuple[PeerId, ...]]],
    terms: Collection[Term],
    entry: Callable[[str, int], AnyEntry],
    reasons: Callable[[str, int, int], Iterable[str]],
) -> tuple[CondemnedPart, ...]:
    """Count what is `condemned`: (log, seq, weight, judges) of each. `terms` are in the sum.

    `reasons` gives the rules by which one of them (or the data entry that it cites: log, seq, data) is condemned.
    """
    counting = {(log, seq) for log, seq, _, _ in terms}
    alike: dict[tuple[str, int, tuple[PeerId, ...]], list[tuple[int, int]]] = {}
    for log, seq, weight, judges in condemned:
        update = entry(log, seq)
        assert isinstance(update, Update)
        alike.setdefault((log, update.data, judges), []).append((seq, weight))
    found = [
        CondemnedPart(
            len(members), sum(weight for _, weight in members), log, data, members[0][0], members[-1][0], judges,
            tuple(sorted({rule for seq, _ in members for rule in reasons(log, seq, data)})),
            sum((log, seq) in counting for seq, _ in members),
        )
        for (log, data, judges), members in alike.items()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda part: (-part.weight, part.log, part.first)))


def licences_of(data: Data) -> tuple[str, ...]:
    """The licences that a data set names for its sources, each once; NO_LICENCE also if some source has none."""
    return tuple(sorted({source.licence for source in data.sources})) or (NO_LICENCE,)


def _count(tally: list[int], weight: int) -> None:
    tally[0] += 1
    tally[1] += weight


def _data(entry: AnyEntry) -> Data:
    if not isinstance(entry, Data):
        raise LocalError("an update was admitted that cites no data entry")
    return entry
