"""The state of a past: one hash over all that is needed to weigh and admit what comes after it.

    imprint(branch, k) = H(imprint(branch, k - 1), root, facts, row, sizes and sums after k entries)
    state(past)        = H(its branches' imprints, sorted; what is tangled where logs were signed twice or accused)

Why it exists: a snapshot carries this hash, so a peer that computes weights wrongly convicts itself, and whoever is
handed the content (state_document.py) can check every part of it and go on from there. An imprint takes in the one
before it, so a document need not reach back to a log's beginning: where it begins, one imprint stands for the rest.

Rules kept here: everything is a function of the entries in the past; a branch is named by its peer, size and root,
never by what it is called here; nothing of the future (a second branch, an accusation) enters a branch's own imprint.
Columns of the logs are all it takes, so the state of any past can be computed; imprints computed last are remembered.
It refuses to know bytes of entries, and documents. docs/fold.md, section 6, is this file in prose.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from sys import byteorder
from typing import Any, Final

from ledger import standing
from ledger.canonical import encode
from ledger.chain import (
    LANE_BYTES,
    MAX_LOG_SIZE,
    Chained,
    Charge,
    FinalPast,
    Log,
    LogId,
    Ranges,
    Stretch,
    common,
    lineage,
    sizes_of,
)
from ledger.condemned import is_judged, named, spelled
from ledger.entry import Hash, PeerId
from ledger.ranges import difference, union
from ledger.standing import Branch, finals_at, finals_in, held_by
from ledger.tail import Named

IMPRINT_DOMAIN: Final = b"gossip/imprint/1\n"
STATE_DOMAIN: Final = b"gossip/state/2\n"
DATA_HELD: Final = (
    8  # newest data entries of a log that a document carries: what an update may cite without more history
)
CHECKS_HELD: Final = 16  # newest challenges, and newest openings, likewise: what later entries may answer or accuse
NO_ROW: Final = bytes(32)
OWN: Final = -1  # in place of a slot: the log itself

IMPRINTS_EVERY: Final = 256  # an imprint remembered for good: 12 us to make again each of those between
_IMPRINTS_RECENT: Final = 64


def state_hash(logs: Mapping[LogId, Log], branches: Sequence[Branch]) -> Hash:
    """The state of a past that holds these branches, none of which contains another."""
    imprints = sorted([imprint(log, size) for log, size in branches])
    tangled = [sha256(encode(knot)).digest() for knot in tangles(logs, branches)]
    return sha256(b"".join((STATE_DOMAIN, struct.pack(">I", len(imprints)), *imprints, *tangled))).hexdigest()


# ------------------------------------------------------------------ one branch


def imprint(log: Log, size: int) -> bytes:
    """32 bytes for the first `size` entries of a branch and for all that follows from them and their past."""
    known = log.imprints
    begin = size
    while begin and begin not in known:
        log.require(begin)
        begin -= 1
    found = known.get(begin, NO_ROW)
    for at in range(begin + 1, size + 1):
        found = known[at] = _imprint(log, at, found)
    if len(known) > 4 * _IMPRINTS_RECENT + log.tip.size // IMPRINTS_EVERY:
        recent = max(known) - _IMPRINTS_RECENT
        log.imprints = {at: value for at, value in known.items() if at > recent or at % IMPRINTS_EVERY == 0}
    return found


def _imprint(log: Log, size: int, before: bytes) -> bytes:
    stretch = log.stretch
    if (
        stretch is None
        or not stretch.begin <= size <= stretch.end
        or (size > stretch.upto and _deeds(log) != stretch.deeds)
    ):
        stretch = log.stretch = _stretch(log, size)
    folded = log.folded[size]
    snapped, unsnapped = log.snapped_at(size)
    numbers = struct.pack(">QQQqQQ", size, folded, log.weight[size], log.norm[size], snapped, unsnapped)
    row = log.row_hash(folded - 1) if folded else NO_ROW
    sizes = sizes_along(log.pasts[size - 1], stretch.lanes)
    packed = struct.pack(f">{len(sizes)}I", *sizes)
    return sha256(b"".join((IMPRINT_DOMAIN, before, log.tree.root(size), stretch.facts, row, numbers, packed))).digest()


def sizes_along(past: int, lanes: tuple[int, ...]) -> tuple[int, ...]:
    """What a packed past holds of these lanes."""
    if not lanes:
        return ()
    unpacked = array("I", past.to_bytes(-(-past.bit_length() // 32) * LANE_BYTES, "little"))
    if byteorder == "big":
        unpacked.byteswap()
    return (unpacked[lanes[0]],) if len(lanes) == 1 else itemgetter(*lanes)(unpacked)


def _stretch(log: Log, size: int) -> Stretch:
    """The facts after `size` entries, and up to where they stay the same."""
    columns = (log.slots, log.challenges, log.openings)
    found = [column[bisect_left(column, size, key=_SEQ)][0] for column in columns if column and column[-1][0] >= size]
    found += [
        said.seqs[bisect_left(said.seqs, size)] for said in _all_chained(log) if said.seqs and said.seqs[-1] >= size
    ]
    data = sorted(log.tip.data)
    found += data[bisect_left(data, size) :][:1]
    found += [final.seq for final in log.finals if final.seq >= size][:1]
    found += [said.seq for said in log.condemns[bisect_left(log.condemns, size, key=lambda said: said.seq) :][:1]]
    end = min(found, default=MAX_LOG_SIZE)
    lanes = tuple([slot.lane for slot in log.roster_at(size)])
    return Stretch(size, end, log.tip.size, _deeds(log), sha256(encode(facts(log, size))).digest(), lanes)


def _deeds(log: Log) -> int:
    """How many things facts tell of."""
    lists = (log.keys, log.tip.data, log.admissions, log.charges, log.recovers, log.slots, log.finals)
    checks = (log.policies, log.challenges, log.openings, log.revokes)
    return sum([len(held) for held in lists]) + sum([len(held) for held in checks]) + len(log.condemns)


def facts(log: Log, size: int) -> dict[str, Any]:
    """What a branch's first `size` entries did that later entries look up. Lists that only grow are one hash each."""
    newest = newest_at(log, size)
    told: dict[str, Any] = {name: _chained_at(log, name, size).hex() for name in LISTS}
    return told | {
        "challenges": [[seq, log.tree.leaf(seq).hex()] for seq in newest.challenges],
        "condemned": digest_at(log, size).hex(),
        "data": [[seq, log.tree.leaf(seq).hex()] for seq in newest.data],
        "final": [spelled_final(log, final) for final in finals_at(log, size)],
        "openings": [[seq, log.tree.leaf(seq).hex()] for seq in newest.openings],
        "peer": log.peer,
        "roster": [slot.peer for slot in log.roster_at(size)],
        "sponsor": log.sponsor,
    }


def lists(log: Log, size: int) -> dict[str, list[Any]]:
    """The lists that facts have the hashes of, in the words of a document."""
    return {
        name: [told for seq, told in (spell(item) for item in column(log)) if seq < size]
        for name, (column, spell) in LISTS.items()
    }


def _charge(item: tuple[int, Charge]) -> tuple[int, list[Any]]:
    seq, charge = item
    return seq, [seq, charge.peer, charge.index, [[leaf.hex(), key.hex()] for leaf, key in charge.halves]]


def _plain(item: tuple[Any, ...]) -> tuple[int, list[Any]]:
    return item[0], list(item)


LISTS: Final[dict[str, tuple[Callable[[Log], Sequence[Any]], Callable[[Any], tuple[int, list[Any]]]]]] = {
    "accused": (lambda log: log.charges, _charge),
    "admitted": (lambda log: log.admissions, _plain),
    "keys": (lambda log: log.keys, lambda held: (held.size - 1, [held.size, held.key.hex(), held.promise])),
    "policies": (lambda log: log.policies, _plain),
    "recovered": (lambda log: log.recovers, _plain),
    "revoked": (lambda log: log.revokes, lambda item: (item[0], [item[0], item[1], item[2].since])),
}
_SEQ: Final = itemgetter(0)


def _all_chained(log: Log) -> list[Chained]:
    return [_chained(log, name) for name in LISTS]


def _chained(log: Log, name: str) -> Chained:
    """One hash over each beginning of a list. A member may write many such entries: each is spelled once."""
    column, spell = LISTS[name]
    found, items = log.chained.setdefault(name, Chained()), column(log)
    for item in items[len(found.seqs) :]:
        seq, told = spell(item)
        found.digests.append(sha256((found.digests[-1] if found.digests else NO_ROW) + encode(told)).digest())
        found.seqs.append(seq)
    return found


def _chained_at(log: Log, name: str, size: int) -> bytes:
    found = _chained(log, name)
    count = bisect_left(found.seqs, size)
    return found.digests[count - 1] if count else NO_ROW


def digest_at(log: Log, size: int) -> bytes:
    """One hash over what a branch's first `size` entries condemn: they may be many, and are told one by one once."""
    count = bisect_left(log.condemns, size, key=lambda said: said.seq)
    return log.condemns[count - 1].digest if count else NO_ROW


@dataclass(frozen=True, slots=True)
class Newest:
    """Entries that later ones name by their index; rising."""

    data: list[int]
    challenges: list[int]
    openings: list[int]


def newest_at(log: Log, size: int) -> Newest:
    """Of a branch's first `size` entries, those that are looked up again."""
    data = sorted(log.tip.data)
    upto = bisect_left(data, size)
    return Newest(data[max(0, upto - DATA_HELD) : upto], _checks(log.challenges, size), _checks(log.openings, size))


def _checks(column: Sequence[tuple[int, Any]], size: int) -> list[int]:
    upto = bisect_left(column, size, key=_SEQ)
    return [seq for seq, _ in column[max(0, upto - CHECKS_HELD) : upto]]


def spelled_final(log: Log, final: FinalPast) -> list[Any]:
    """[seq, snapshot, sizes along the roster, what counts, but for condemnations, of those of which not everything
    does: [slot, ranges], and what is condemned: [slot, ranges]]."""
    roster = log.roster_at(final.snapshot + 1)
    sizes = sizes_along(log.pasts[final.snapshot], tuple([slot.lane for slot in roster]))
    counted: list[Any] = []
    gone: list[Any] = []
    own = (OWN, (log, final.snapshot + 1))
    for slot, branch in [own, *enumerate(zip(roster, sizes, strict=True))] if final.cuts or final.condemned else ():
        ranges = counted_of(branch, final.cuts)
        if ranges != ((0, branch[1]),):
            counted.append([slot, [list(part) for part in ranges]])
        ranges = along(branch, lambda at: final.condemned.get(at.id, ()))
        if log.base is None or final.seq >= log.base.upto:  # (others were spelled so when this log was opened)
            ranges = spelled(*branch, ranges)
        if ranges:
            gone.append([slot, [list(part) for part in ranges]])
    return [final.seq, final.snapshot, list(sizes), counted, gone]


def counted_of(branch: Branch, cuts: Mapping[LogId, Ranges]) -> Ranges:
    """What counts of a whole branch, the entries that it shares with others included."""
    return along(branch, lambda at: cuts.get(at.id, ((at.fork, branch[1]),)))


def along(branch: Branch, mine: Callable[[Log], Ranges]) -> Ranges:
    """Ranges of a whole branch, from those of each log's own entries along it."""
    log, size = branch
    parts: Ranges = ()
    at: Log | None = log
    for shared in lineage(log).values():
        assert at is not None
        upto = min(size, shared)
        parts = union(parts, tuple((begin, min(end, upto)) for begin, end in mine(at) if begin < upto))
        at = at.parent
    return parts


# ------------------------------------------------------------------ what is tangled


@dataclass(frozen=True, slots=True)
class _Knot:
    """The branches of one peer's log in a past, sorted, where these are not just one that nobody ever questioned."""

    peer: PeerId
    branches: tuple[Branch, ...]


def sorted_branches(branches: Sequence[Branch]) -> list[Branch]:
    """By peer, size and root: an order that everybody finds."""
    return sorted(branches, key=lambda branch: branch[0].head_at(branch[1]))


def tangles(logs: Mapping[LogId, Log], branches: Sequence[Branch]) -> list[dict[str, Any]]:
    """What cannot be read off the branches of a past one by one: which forks they have, and which indices matter.

    By peer: `forks` [branch, branch, first index in which they differ]; `marks` for each branch [index, leaf there,
    and after that many entries: updates let in, sum of weights, latest norm] at every fork, accused index, index from
    which an admin wants it out, end of a recovery and end of what counts or is condemned; `slots` [branch of the whole
    past, its slot, the branch here that it is part of]. `heard`, for each branch, is [index, leaf there] of whatever
    ends a condemnation of this peer, and `judged` the runs of updates that two voices or more condemn and no final
    holds: [begin, end, data entry, active].
    """
    found = _knots(branches)
    if not found:
        return []
    past = sizes_of(branches)
    cuts = standing.counts(logs, past)
    everybody = sorted_branches(branches)
    return [_told(knot, branches, everybody, cuts, _judged(logs, past, knot)) for knot in found]


def _told(
    knot: _Knot,
    branches: Sequence[Branch],
    everybody: Sequence[Branch],
    cuts: Mapping[LogId, Ranges],
    judged: Sequence[Sequence[Named]],
) -> dict[str, Any]:
    ends = {
        said.seqs[-1] for log, upto in branches for said in log.condemns if said.peer == knot.peer and said.seq < upto
    }
    marked = [_indices(knot, branch, branches, cuts, runs) for branch, runs in zip(knot.branches, judged, strict=True)]
    return {
        "forks": [[i, j, common(one[0], other[0])] for i, j, one, other in _pairs(knot.branches)],
        "heard": [
            [[index, log.tree.leaf(index).hex()] for index in sorted(ends) if index < size]
            for log, size in knot.branches
        ],
        "judged": [[[run.begin, run.end, run.data, run.active] for run in runs] for runs in judged],
        "marks": [
            [mark(log, index) for index in indices] for (log, _), indices in zip(knot.branches, marked, strict=True)
        ],
        "peer": knot.peer,
        "slots": _slots(knot, everybody),
    }


def _judged(logs: Mapping[LogId, Log], past: Mapping[LogId, int], knot: _Knot) -> list[list[Named]]:
    """For each branch, what two voices or more condemn and no final of this past holds."""
    if not any(is_judged(log) for log, _ in knot.branches):
        return [[] for _ in knot.branches]
    finals = finals_in(logs, past)
    return [
        named(log, size, past, difference(((0, size),), along((log, size), lambda at: held_by(finals, at))))
        for log, size in knot.branches
    ]


def _knots(branches: Sequence[Branch]) -> list[_Knot]:
    by_peer: dict[PeerId, list[Branch]] = {}
    odd: set[PeerId] = set()
    for log, size in branches:
        if log.peer in by_peer or (log.recovers and log.recovers[0][0] < size):
            odd.add(log.peer)
        by_peer.setdefault(log.peer, []).append((log, size))
        odd.update(charge.peer for seq, charge in log.charges if seq < size)
        odd.update(peer for seq, peer, _ in log.revokes if seq < size)
        odd.update(said.peer for said in log.condemns if said.seq < size)
    return [_Knot(peer, tuple(sorted_branches(by_peer[peer]))) for peer in sorted(odd) if peer in by_peer]


def _pairs(branches: Sequence[Branch]) -> list[tuple[int, int, Branch, Branch]]:
    return [(i, j, one, branches[j]) for i, one in enumerate(branches) for j in range(i + 1, len(branches))]


def _indices(
    knot: _Knot,
    branch: Branch,
    branches: Sequence[Branch],
    cuts: Mapping[LogId, Ranges],
    judged: Sequence[Named],
) -> list[int]:
    log, size = branch
    found = {common(log, other) for other, _ in knot.branches if other is not log}
    found.update(c.index for other, upto in branches for seq, c in other.charges if seq < upto and c.peer == knot.peer)
    for other, upto in branches:
        found.update(word.since for seq, peer, word in other.revokes if seq < upto and peer == knot.peer)
    for other, upto in knot.branches:
        for end, since in other.recovers:
            if end < upto:
                found.update((since, end))
    found.update(index for part in counted_of(branch, cuts) for index in part)
    found.update(index for run in judged for index in (run.begin, run.end))
    return sorted(index for index in found if 0 < index < size)


def mark(log: Log, index: int) -> list[Any]:
    """What a branch's first entries up to an index come to, in the words of a knot."""
    return [index, log.tree.leaf(index).hex(), log.folded[index], log.weight[index], log.norm[index]]


def _slots(knot: _Knot, everybody: Sequence[Branch]) -> list[list[int]]:
    """Which of several branches the slots mean; [] if there is but one."""
    if len(knot.branches) == 1:
        return []
    found: list[list[int]] = []
    for number, (log, size) in enumerate(everybody):
        for slot, meant in enumerate(log.roster_at(size)):
            if meant.peer == knot.peer:
                found.append([number, slot, branch_of((meant, log.seen_at(size - 1, meant)), knot.branches)])
    return found


def branch_of(part: Branch, branches: Sequence[Branch]) -> int:
    """The first of these branches that begins with that one."""
    log, size = part
    return next(at for at, (other, held) in enumerate(branches) if size <= min(held, common(log, other)))
