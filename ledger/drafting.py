"""The chain half of a new entry: what its author has seen, as of everything that it holds.

Rules kept here: an entry cites whatever is admitted, as far as fits one; any prefix of our order of admission is a
closed past, so what does not fit waits for the next entry as a whole. Of a log that was signed twice every branch is
cited, few in one entry: who reads it tries the branches that it holds, and gives up when they are too many. An author
never cites its own log: with a second branch of that it writes nothing more. It refuses to know kinds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from ledger.branches import MAX_TRIES, Branches
from ledger.chain import Log, LogId, Tip, common, heads_hash
from ledger.entry import FORMAT_VERSION, Entry, Hash, PeerId
from ledger.errors import LocalError

MAX_MEETS: Final = 256  # peers introduced in one entry: 17 KB
MAX_SEEN: Final = 1024  # logs seen to grow in one entry: 15 KB, and as much again for a view
MAX_MEANINGS: Final = 16  # combinations of branches that one entry may mean, to whoever holds what we hold: two new
#   ones of a log with four. A reader may hold more: of 64 branches two still fit what it tries (branches.py)

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class ChainFields:
    """The chain half of a new entry: what an author says it has seen."""

    v: int
    swarm: Hash
    seq: int
    prev: Hash
    meets: list[PeerId]
    seen: list[tuple[int, int]]
    heads: Hash
    complete: bool  # False if not all that is admitted fits one entry: write another; no snapshot over this one

    def stamp(self, entry: E, time: int) -> E:
        """`entry` with these chain fields and this time in place of whatever it had."""
        return msgspec.structs.replace(
            entry, v=self.v, swarm=self.swarm, seq=self.seq, prev=self.prev, time=time,
            meets=self.meets, seen=self.seen, heads=self.heads,
        )  # fmt: skip


def draft(held: Branches, swarm: Hash, admitted: int, own: Log) -> ChainFields:
    """The chain fields of the next entry of log `own`, as of the `admitted` entries held.

    LocalError if a second branch of this very log is held: its author was a forker, or was restored from an old
    copy, and whatever it writes on either branch nobody who holds the other will take.
    """
    tip = own.tip
    if sum(strand.tip.size > strand.fork for strand in held.strands[own.peer]) > 1:
        raise LocalError(
            "the own log was signed twice: two branches of it are held", next_step="join again as a new peer"
        )
    branches: dict[PeerId, list[tuple[int, Log, int]]] = {}  # that are cited: slot, and how much; nearly always one
    for place, (seen, upto) in enumerate(zip(tip.roster, tip.sizes, strict=True)):
        branches.setdefault(seen.peer, []).append((place, seen, upto))
    fresh: list[tuple[int, bool, Log, int]] = []  # position of the first entry to cite, ..., and what is seen of it
    for log in held.logs.values():
        if log.peer == own.peer:
            continue
        cited = branches.get(log.peer, ())
        known = max((min(common(log, seen), upto) for _, seen, upto in cited), default=0)
        known = max(known, log.fork)
        if log.tip.size > known:
            fresh.append((log.positions[known], all(log is not seen for _, seen, _ in cited), log, known))
    horizon = _horizon(fresh, admitted, lambda log: _meanings(held, tip, log))
    grown = [(log, bisect_right(log.positions, horizon), known) for _, _, log, known in fresh]
    grown = [(log, size, known) for log, size, known in grown if size > known]
    slots: dict[int, tuple[Log, int]] = {}
    met: list[tuple[Log, int]] = []
    taken: dict[PeerId, list[Log]] = {}
    # (A trunk first: what it shares with a strand was there before the strand was.)
    for log, size, _ in sorted(grown, key=lambda item: (item[0].peer, -item[1], item[0].id)):
        if any(common(log, other) >= size for other in taken.get(log.peer, ())):
            continue  # contained in a branch that is cited
        slot = next(
            (
                place
                for place, seen, upto in branches.get(log.peer, ())
                if place not in slots and common(log, seen) >= upto
            ),
            None,
        )
        if slot is None:
            met.append((log, size))
        else:
            slots[slot] = (log, size)
        taken.setdefault(log.peer, []).append(log)
    met.sort(key=lambda item: item[0].head_at(item[1]))
    slots.update((len(tip.roster) + at, item) for at, item in enumerate(met))
    heads = [*tip.heads, *(b"" for _ in met)]
    for slot, (log, size) in slots.items():
        heads[slot] = log.head_at(size)
    return ChainFields(
        v=FORMAT_VERSION, swarm=swarm, seq=tip.size, prev=tip.head,
        meets=[log.peer for log, _ in met], seen=sorted((slot, size) for slot, (_, size) in slots.items()),
        heads=heads_hash(heads), complete=horizon == admitted,
    )  # fmt: skip


def follow_draft(held: Branches, own: Log, draft: ChainFields) -> Tip:
    """The tip after what a draft has seen: what weights and snapshots of an entry drafted so go by."""
    if draft.seq != own.tip.size:
        raise LocalError("the draft is not of this log's next entry", next_step="draft it again")
    tip = held.resolve(own.tip, own, draft.meets, draft.seen, draft.heads)
    if not isinstance(tip, Tip):
        raise LocalError("the draft cites what is not held", next_step="draft it again")
    return tip


def view_of(tip: Tip, view_heads: Mapping[LogId, int]) -> list[tuple[int, int]]:
    """What the tip has seen, but a model of `view_heads` had not: the `view` field of an update.

    `view_heads` holds strands with their parents, as Replica.heads gives it.
    """
    shown: list[tuple[int, int]] = []
    for slot, log in enumerate(tip.roster):
        known = view_heads.get(log.id, 0)
        at = log
        while at.parent is not None and known == 0:
            known = min(at.fork, view_heads.get(at.parent.id, 0))
            at = at.parent
        if known < tip.sizes[slot]:
            shown.append((slot, known))
    return shown


def _horizon(fresh: list[tuple[int, bool, Log, int]], admitted: int, meanings: Callable[[Log], int]) -> int:
    """Up to where, in our order of admission, one entry can cite: any prefix of that order is a closed past."""
    met, combinations = 0, 1
    for count, (position, new, log, _) in enumerate(sorted(fresh, key=lambda item: item[0])):
        met += new
        several = meanings(log)
        combinations *= several
        # (One branch alone may be one of more: otherwise it would never be cited.)
        many = combinations > (MAX_TRIES if combinations == several else MAX_MEANINGS)
        if met > MAX_MEETS or count >= MAX_SEEN or many:
            return position - 1
    return admitted


def _meanings(held: Branches, tip: Tip, log: Log) -> int:
    """Among how many branches a reader who holds what we hold has to find the one that is cited, at most."""
    strands = held.strands[log.peer]
    if len(strands) == 1:
        return 1
    for seen, upto in zip(tip.roster, tip.sizes, strict=True):
        if seen.peer == log.peer and common(log, seen) >= upto:
            fit = sum(common(strand, log) >= upto for strand in strands)
            return fit if fit == 1 else len(strands)  # (of several, one takes the slot, and the others are introduced)
    return len(strands)
