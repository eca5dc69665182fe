"""Which updates of a past are condemned: by enough of those who judged them, or the data that they learned from.

    judgement "condemned" --names--> an update u, or a data entry d and so every update that cites d, on any branch
    judges(u) = the peers whose judgements in this past name u or the data entry that u cites, each once
    condemned(u):  |judges(u)| >= max(2, floor(n(u) / 2) + 1)         n(u): who was active when u was weighed

Why it exists: what was measured is an opinion, and no peer's opinion alone may change the model of all. So one entry
does nothing, a majority takes a term out of the sum, and nothing else happens: no weight moves, no log is void.

Rules kept here:
- A judgement counts wherever it stands in its author's log, also on a branch that is void: what was said stays said,
  and a judge has one vote however many branches it writes. So a log that is signed twice takes no vote back, and a
  past that holds more entries never holds fewer votes.
- Nobody judges itself (verdicts.py); so an author has no part in what becomes of its updates.
- What is struck from a branch are the entries from a condemned update on up to the next update let in: in what lies
  between there is nothing to count, and a thousand updates in a row are one range. What a `final` holds is not struck.
Votes hang on the entries that they name, so a past in which nobody condemned anything costs one look at each log.

It refuses to know why anything was condemned, and which entries count otherwise (standing.py). Of logs that are held
from a snapshot on it knows what was judged by two or more, and says NeedsHistory of the rest (tail.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from ledger.canonical import encode
from ledger.chain import Condemnation, Log, LogId, Ranges, lineage
from ledger.entry import PeerId, Verdict
from ledger.errors import LocalError
from ledger.ranges import between, merged, within
from ledger.runs import Runs
from ledger.tail import Named, NeedsHistory

Judges = dict[int, set[PeerId]]  # by the index of the entry that they condemn


def quorum(active: int) -> int:
    """How many peers condemn an update in whose weight that many were active."""
    return max(2, active // 2 + 1)


# ------------------------------------------------------------------ votes


@dataclass(frozen=True, slots=True)
class Ballot:
    """A condemnation, and a branch that has the entries which it names."""

    said: Condemnation
    on: Log


def ballots_of(judge: Log | None, seq: int, entry: Verdict, strands: Mapping[PeerId, tuple[Log, ...]]) -> list[Ballot]:
    """What entry `seq` of a log, which passed verdicts.py, condemns."""
    found: list[Ballot] = []
    digest = judge.condemns[-1].digest if judge is not None and judge.condemns else bytes(32)
    for judgement in entry.judgements:
        if judgement.decision == "condemned":
            seqs, leaf = tuple(judgement.seqs), bytes.fromhex(judgement.hash)
            digest = chained(digest, seq, judgement.peer, seqs, leaf)
            said = Condemnation(seq, judgement.peer, seqs, leaf, digest)
            found.append(Ballot(said, branch_with(strands[judgement.peer], seqs[-1], leaf)))
    return found


def chained(before: bytes, seq: int, peer: PeerId, seqs: Iterable[int], leaf: bytes) -> bytes:
    """One hash over a log's condemnations up to this one: all that its imprints say of them."""
    return sha256(before + encode([seq, peer, list(seqs), leaf.hex()])).digest()


def branch_with(strands: Iterable[Log], index: int, leaf: bytes) -> Log:
    """The first of these branches with that very entry."""
    for log in strands:
        if index < log.tip.size and log.tree.leaf(index) == leaf:
            return log
    raise LocalError("what was judged is on no branch that is held")


def cast(judge: Log, ballot: Ballot) -> list[tuple[Log, int]]:
    """Hang a vote on the entries that it names; on which ones it had not been before."""
    new: list[tuple[Log, int]] = []
    for seq in ballot.said.seqs:
        log = owner(ballot.on, seq)
        votes = log.votes.setdefault(seq, [])
        if all(other is not judge for other, _ in votes):
            votes.append((judge, ballot.said.seq))
            new.append((log, seq))
    return new


def uncast(cast_before: Iterable[tuple[Log, int]]) -> None:
    """Take back the last vote on each of these."""
    for log, seq in cast_before:
        log.votes[seq].pop()
        if not log.votes[seq]:
            del log.votes[seq]


def owner(log: Log, seq: int) -> Log:
    """The log among a branch and its ancestors in which entry `seq` of it lies."""
    while log.parent is not None and seq < log.fork:
        log = log.parent
    return log


def judges(log: Log, size: int, past: Mapping[LogId, int]) -> Judges:
    """Who condemns which of a branch's first `size` entries in a past. Empty if that is one peer alone."""
    found: Judges = {}
    at: Log | None = log
    limit = size
    while at is not None:
        for seq, votes in at.votes.items():
            if at.fork <= seq < limit:
                those = {judge.peer for judge, said in votes if said < past.get(judge.id, 0)}
                if those:
                    found[seq] = those
        limit, at = min(limit, at.fork), at.parent
    return found if len(set().union(*found.values())) > 1 else {}


def is_judged(log: Log) -> bool:
    """Whether anybody ever condemned an entry of this branch."""
    at: Log | None = log
    while at is not None and not at.votes:
        at = at.parent
    return at is not None


def judges_of(log: Log, seq: int, past: Mapping[LogId, int]) -> set[PeerId]:
    """Who condemns an update let in, entry `seq` of a branch, or what it learned from."""
    data = log.cites[log.folded[seq]]
    found: set[PeerId] = set()
    for at in (seq, data):
        votes = owner(log, at).votes.get(at, ())
        found.update(judge.peer for judge, said in votes if said < past.get(judge.id, 0))
    return found


# ------------------------------------------------------------------ runs of updates on one data entry


def _runs(log: Log, data: int) -> Runs:
    """Of a log's own part; kept, and gone on with as the log grows."""
    runs = log.runs.get(data)
    if runs is None:
        first, base = log.folded[log.fork], log.base
        runs = log.runs[data] = Runs(max(first, base.folded) if base is not None else first)
        if base is not None and log.fork < base.upto:
            for named in base.named:
                if named.begin >= log.fork:
                    runs.add(named.begin, named.active if named.data == data else 0)
                    if named.end < base.upto:  # (otherwise what comes next decides)
                        runs.add(named.end, 0)
    for number in range(runs.numbers, log.folded[-1]):
        runs.add(log.folded_at[number], log.active[number] if log.cites[number] == data else 0)
    runs.numbers = log.folded[-1]
    return runs


# ------------------------------------------------------------------ what is struck


def struck(log: Log, size: int, past: Mapping[LogId, int], may: Ranges, forks: Iterable[int]) -> Ranges:
    """What condemnations take out of a log's own entries below `size`, of the updates at the indices `may`.

    At `forks`, where other branches part from this one, a range ends: what comes after is not the same log's.
    """
    found: list[tuple[int, int]] = []
    by = judges(log, size, past)
    for seq in sorted(by):
        if is_data(log, seq):
            _require_runs(log, seq, by, may)
            for begin, end, active in _runs(log, seq).upto(size) if len(by[seq]) > 1 else ():
                if len(by[seq]) >= quorum(active):
                    found += _clipped(log, size, begin, end, may)
        elif within(seq, may):
            known = _update_at(log, seq, by)
            if known is not None and len(by[seq] | by.get(known[0], set())) >= quorum(known[1]):
                found.append((seq, _next_update(log, seq, size)))
    parts: list[tuple[int, int]] = []
    for begin, end in merged(found):
        low = begin
        for fork in sorted(forks):
            if low < fork < end:
                parts.append((low, fork))
                low = _first_from(log, fork, size)
        parts.append((low, end))
    return merged(parts)


def goes_on(log: Log, size: int) -> Ranges:
    """Of a branch of which nothing else but the beginning is there, and ends struck: up to its own first update."""
    number = log.folded[log.fork]
    end = log.folded_at[number] if number < len(log.folded_at) else size
    return between(log.fork, min(end, size))


def is_data(log: Log, seq: int) -> bool:
    """Whether it is a data entry of this branch, or may be one that is not held."""
    return seq in log.tip.data or (log.base is not None and seq < log.base.data)


def _clipped(log: Log, size: int, begin: int, end: int, may: Ranges) -> Iterator[tuple[int, int]]:
    """A run as far as its updates are at such indices."""
    for least, most in may:
        low, high = max(begin, least), min(end, most)
        if low >= high:
            continue
        first = begin
        if low > begin:
            number = log.folded[low]
            if log.folded[high] == number:
                continue
            first = log.folded_at[number]
        yield first, end if high == end else _next_update(log, high - 1, size)


def _next_update(log: Log, seq: int, size: int) -> int:
    """The index of the next update let in after entry `seq`, or `size`."""
    base = log.base
    if base is not None and seq < base.upto:
        ends = [named.end for named in base.named if named.begin == seq and seq in base.judged]
        if not ends:
            raise NeedsHistory(log.id, f"what follows entry {seq}")
        if ends[0] < base.upto:
            return min(ends[0], size)
        number = base.folded
    else:
        number = log.folded[seq + 1]
    return min(log.folded_at[number], size) if number < len(log.folded_at) else size


def _update_at(log: Log, seq: int, by: Judges) -> tuple[int, int] | None:
    """The data entry that an update let in cites, and who was active; None if `seq` is none, or one judge condemns it.

    NeedsHistory if that is not held.
    """
    base = log.base
    if base is None or seq >= base.upto:
        number = log.folded[seq]
        return (log.cites[number], log.active[number]) if log.folded[seq + 1] > number else None
    told = base.judged.get(seq, 0)
    if told:
        for named in base.named:
            if named.begin == seq:
                return named.data, named.active
        if told > 1 and not within(seq, tuple(base.spared)):
            return None
    if len(by[seq].union(*(those for data, those in by.items() if data < seq and is_data(log, data)))) > 1:
        raise NeedsHistory(log.id, f"how entry {seq} was weighed")
    return None


def _require_runs(log: Log, data: int, by: Judges, may: Ranges) -> None:
    """NeedsHistory if some updates at these indices may cite a data entry, and are not held."""
    base = log.base
    if base is None or data >= base.upto or len(by[data]) < 2:
        return
    for begin, end in may:
        for least, most in base.spared if base.judged.get(data, 0) > 1 else ((0, base.upto),):
            low, high = max(begin, least, data), min(end, most, base.upto)
            if low < high and log.folded[high] > log.folded[low]:
                raise NeedsHistory(log.id, f"which updates cite entry {data}")


# ------------------------------------------------------------------ for the state of a past


def named(
    log: Log, size: int, past: Mapping[LogId, int], may: Callable[[Log, int], Ranges], forks: Iterable[int]
) -> list[Named]:
    """The updates of a whole branch that two or more condemn, in runs of one data entry and one number of active.

    A run is cut before and after an update that is condemned by itself, and where the branch parts from others (at
    `forks`). `may` gives those indices of a log's own entries, below a size, that no final holds.
    """
    by = judges(log, size, past)
    found: set[tuple[int, int, int, int]] = set()
    cut: set[int] = set()
    at: Log | None = log
    for shared in lineage(log).values() if by else ():
        assert at is not None
        limit = min(size, shared)
        open_to = may(at, limit) if at.fork < limit else ()
        for seq in by:
            if is_data(log, seq):
                _require_runs(at, seq, by, open_to)
                for run in _runs(at, seq).upto(limit) if len(by[seq]) > 1 else ():
                    found.update((*part, seq, run[2]) for part in _clipped(at, limit, *run[:2], open_to))
            elif at.fork <= seq < limit and (known := _update_at(at, seq, by)) is not None:
                end = _next_update(at, seq, limit)
                cut.update((seq, end))
                if within(seq, open_to) and len(by[seq] | by.get(known[0], set())) > 1:
                    found.add((seq, end, *known))
        at = at.parent
    cut.update(_first_from(log, fork, size) for fork in forks if found)
    return _joined(log, size, sorted(found), sorted(cut))


def _first_from(log: Log, index: int, size: int) -> int:
    """The first update let in at or after an index, or `size`; of what is not held, the first that is named."""
    base = log.base
    if base is not None and index < base.upto:
        after = [named.begin for named in base.named if named.begin >= index]
        if after:
            return min(after)
        number = base.folded
    else:
        number = log.folded[index]
    return min(log.folded_at[number], size) if number < len(log.folded_at) else size


def _joined(log: Log, size: int, pieces: Iterable[tuple[int, int, int, int]], cut: list[int]) -> list[Named]:
    """Pieces cut there, and joined where nothing cuts them: those of a branch and of what it shares with another."""
    found: list[Named] = []
    forks = {at.fork for at in _chain(log)}
    for begin, stop, data, active in pieces:
        end = _first_from(log, stop, size) if stop in forks and stop < size else stop
        inner = cut[bisect_left(cut, begin + 1) : bisect_left(cut, end)]
        for low, high in zip([begin, *inner], [*inner, end], strict=True):
            last = found[-1] if found else None
            if last is not None and low < last.end:
                continue  # an update that is condemned by itself, once more as a part of a run
            if last is not None and last.end == low and (last.data, last.active) == (data, active) and low not in cut:
                found[-1] = Named(last.begin, high, data, active)
            else:
                found.append(Named(low, high, data, active))
    return found


def _chain(log: Log) -> Iterator[Log]:
    at: Log | None = log
    while at is not None:
        yield at
        at = at.parent
