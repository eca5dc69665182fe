"""Which updates of a past are condemned: by enough of those who judged them, or the data that they learned from.

    judgement "condemned" --names--> an update u, or a data entry d and so every update that cites d, on any branch
    judges(u) = the peers whose judgements in this past name u or the data entry that u cites, each once
    voices(u) = as many as they are peers, or as many as they are groups, whichever is less
    condemned(u):  voices(u) >= max(2, floor(n(u) / 2) + 1)           n(u): who was active when u was weighed

Why it exists: what was measured is an opinion, and no peer's opinion alone may change the model of all. So one entry
does nothing, a majority takes a term out of the sum, and nothing else happens: no weight moves, no log is void.

Rules kept here:
- A judgement counts wherever it stands in its author's log, also on a branch that is void: what was said stays said,
  and a judge has one vote however many branches it writes. So a log that is signed twice takes no vote back, and a
  past that holds more entries never holds fewer votes.
- A member who is no admin and all whom it has let in, its house, are one group and have one voice: or one member and
  a guest of its own would be two, and two are enough for all that was learned while a swarm was small. Whose guest a
  judge is, its verdict's own past says: a later one moves no vote between groups, so more of them are never fewer.
  (Counting peers, too, is for those who judged as somebody's guest and then once more when an admin had let them in:
  that is one voice.)
- Nobody judges itself (verdicts.py); so an author has no part in what becomes of its updates. Guests may judge who let
  them in, and one another: it is their one voice, and no quorum is less than two.
- What a `final` holds is not struck (standing.py says what that is).
- Ranges of indices hold more than the updates in them, which is nothing to count: so a thousand updates on condemned
  data are one range, and what is spelled for everybody runs from an update up to the next one let in.
Votes hang on the entries that they name, so a past in which nobody condemned anything costs one look at each log.

It refuses to know why anything was condemned, and which entries count otherwise (standing.py). Of logs that are held
from a snapshot on it knows what two voices or more judged, and says NeedsHistory of the rest (tail.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from ledger.canonical import encode
from ledger.chain import Condemnation, Log, LogId, Ranges
from ledger.entry import PeerId, Verdict
from ledger.errors import LocalError
from ledger.ranges import merged, within
from ledger.runs import Runs
from ledger.tail import Named, NeedsHistory

Judge = tuple[PeerId, PeerId]  # a peer, and its house when it judged
Judges = dict[int, set[Judge]]  # by the index of the entry that they condemn


def quorum(active: int) -> int:
    """How many voices condemn an update in whose weight that many groups were active."""
    return max(2, active // 2 + 1)


def voices(judges: Collection[Judge]) -> int:
    """How many voices they have: a peer has one with all whom it has let in (a house has its sponsor's id)."""
    if len(judges) < 2:
        return len(judges)
    return min(len({house or peer for peer, house in judges}), len({peer for peer, _ in judges}))


# ------------------------------------------------------------------ votes


@dataclass(frozen=True, slots=True)
class Ballot:
    """A condemnation, and a branch that has the entries which it names."""

    said: Condemnation
    on: Log


def ballots_of(
    judge: Log | None, seq: int, entry: Verdict, house: PeerId, strands: Mapping[PeerId, tuple[Log, ...]]
) -> list[Ballot]:
    """What entry `seq` of a log, which passed verdicts.py, condemns. `house`: the author's in the entry's past."""
    found: list[Ballot] = []
    digest = judge.condemns[-1].digest if judge is not None and judge.condemns else bytes(32)
    for judgement in entry.judgements:
        if judgement.decision == "condemned":
            seqs, leaf = tuple(judgement.seqs), bytes.fromhex(judgement.hash)
            digest = chained(digest, seq, judgement.peer, seqs, leaf, house)
            said = Condemnation(seq, judgement.peer, seqs, leaf, digest, house)
            found.append(Ballot(said, branch_with(strands[judgement.peer], seqs[-1], leaf)))
    return found


def chained(before: bytes, seq: int, peer: PeerId, seqs: Iterable[int], leaf: bytes, house: PeerId) -> bytes:
    """One hash over a log's condemnations up to this one: all that its imprints say of them."""
    return sha256(before + encode([seq, peer, list(seqs), leaf.hex(), house])).digest()


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
        if all(other is not judge for other, *_ in votes):
            votes.append((judge, ballot.said.seq, ballot.said.house))
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
    """Who condemns which of a branch's first `size` entries in a past. Empty if that is one voice alone."""
    found: Judges = {}
    at: Log | None = log
    limit = size
    while at is not None:
        for seq, votes in at.votes.items():
            if at.fork <= seq < limit:
                those = {(judge.peer, house) for judge, said, house in votes if said < past.get(judge.id, 0)}
                if those:
                    found[seq] = those
        limit, at = min(limit, at.fork), at.parent
    return found if voices(set().union(*found.values())) > 1 else {}


def is_judged(log: Log) -> bool:
    """Whether anybody ever condemned an entry of this branch."""
    at: Log | None = log
    while at is not None and not at.votes:
        at = at.parent
    return at is not None


def judges_of(log: Log, seq: int, past: Mapping[LogId, int]) -> set[Judge]:
    """Who condemns an update let in, entry `seq` of a branch, or what it learned from."""
    data = log.cites[log.folded[seq]]
    found: set[Judge] = set()
    for at in (seq, data):
        votes = owner(log, at).votes.get(at, ())
        found.update((judge.peer, house) for judge, said, house in votes if said < past.get(judge.id, 0))
    return found


# ------------------------------------------------------------------ what is struck


def struck(log: Log, size: int, past: Mapping[LogId, int], may: Ranges) -> Ranges:
    """Of a log's own entries below `size` and at the indices `may`: ranges in which every update is condemned."""
    found: list[tuple[int, int]] = []
    by = judges(log, size, past)
    for seq in by:
        if is_data(log, seq):
            _require_runs(log, seq, by, may)
            said = voices(by[seq])
            for begin, end, active in _runs(log, seq).upto(size) if said > 1 else ():
                if said >= quorum(active):
                    found += _clipped(begin, end, may)
        elif within(seq, may):
            known = _update_at(log, seq, by)
            if known is not None and voices(by[seq] | by.get(known.data, set())) >= quorum(known.active):
                found.append((seq, known.end))
    return merged(found)


def is_data(log: Log, seq: int) -> bool:
    """Whether it is a data entry of this branch, or may be one that is not held."""
    return seq in log.tip.data or (log.base is not None and seq < log.base.data)


def _clipped(begin: int, end: int, may: Ranges) -> Iterator[tuple[int, int]]:
    for least, most in may:
        low, high = max(begin, least), min(end, most)
        if low < high:
            yield low, high


def _runs(log: Log, data: int) -> Runs:
    """Of the updates of a whole branch that cite an entry; kept, and gone on with as the log grows."""
    runs, base = log.runs.get(data), log.base
    if runs is None:
        runs = log.runs[data] = Runs(base.folded if base is not None else 0)
        for named in base.named if base is not None else ():
            runs.add(named.begin, named.active if named.data == data else 0)
            if base is not None and named.end < base.upto:  # (otherwise what comes next decides)
                runs.add(named.end, 0)
    for number in range(runs.numbers, log.folded[-1]):
        runs.add(log.folded_at[number], log.active[number] if log.cites[number] == data else 0)
    runs.numbers = log.folded[-1]
    return runs


def _update_at(log: Log, seq: int, by: Judges) -> Named | None:
    """An update let in that is condemned by itself; None if `seq` is none, or just one voice condemns it.

    NeedsHistory if that is not held.
    """
    base = log.base
    if base is None or seq >= base.upto:
        number = log.folded[seq]
        if log.folded[seq + 1] == number:
            return None
        return Named(seq, seq + 1, log.cites[number], log.active[number])
    if seq in base.judged:
        for named in base.named:
            if named.begin == seq:
                return named
    bear = [at for at in by if at == seq or (at < seq and is_data(log, at))]
    told = voices(base.judged.get(seq, ())) > 1 or all(by[at] <= base.judged.get(at, set()) for at in bear)
    if told and not within(seq, tuple(base.spared)):
        return None  # it would have been named
    if voices(set().union(*(by[at] for at in bear))) > 1:
        raise NeedsHistory(log.id, f"how entry {seq} was weighed")
    return None


def _require_runs(log: Log, data: int, by: Judges, may: Ranges) -> None:
    """NeedsHistory if some updates at these indices may cite a data entry, and are not held."""
    base = log.base
    if base is None or data >= base.upto or voices(by[data]) < 2:
        return
    for begin, end in may:
        for least, most in base.spared if voices(base.judged.get(data, ())) > 1 else ((0, base.upto),):
            low, high = max(begin, least, data), min(end, most, base.upto)
            if low < high and log.folded[high] > log.folded[low]:
                raise NeedsHistory(log.id, f"which updates cite entry {data}")


# ------------------------------------------------------------------ as the state of a past spells it


def spelled(log: Log, size: int, ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same updates of a whole branch in ranges that everybody finds: from an update up to the next one let in."""
    edges = [(update_from(log, begin, size), update_from(log, end, size)) for begin, end in ranges]
    return merged(edges)


def named(log: Log, size: int, past: Mapping[LogId, int], may: Ranges) -> list[Named]:
    """The updates of a whole branch that two voices condemn, in runs of one data entry and one number of active.

    A run is cut before and after an update that is condemned by itself. `may` are the indices that no final holds.
    """
    by = judges(log, size, past)
    found: list[tuple[int, int, int, int]] = []
    cut: set[int] = set()
    for seq in by:
        if is_data(log, seq):
            _require_runs(log, seq, by, may)
            for begin, end, active in _runs(log, seq).upto(size) if voices(by[seq]) > 1 else ():
                found += [(*part, seq, active) for part in _clipped(begin, end, may)]
        elif within(seq, may) and (known := _update_at(log, seq, by)) is not None:
            cut.update((seq, update_from(log, known.end, size)))
            if voices(by[seq] | by.get(known.data, set())) > 1:
                found.append((seq, known.end, known.data, known.active))
    pieces = {
        (update_from(log, begin, size), update_from(log, end, size), data, active) for begin, end, data, active in found
    }
    return _joined(sorted(pieces), sorted(cut))


def update_from(log: Log, index: int, size: int) -> int:
    """The first update let in of a branch at or after an index, or `size`. NeedsHistory if that is not held."""
    base = log.base
    if base is not None and index < base.upto:
        if not any(index in (run.begin, run.end) for run in base.named):
            raise NeedsHistory(log.id, f"the update after {index} entries")
        return min(index, size)
    number = log.folded[index]
    return min(log.folded_at[number], size) if number < len(log.folded_at) else size


def _joined(pieces: Iterable[tuple[int, int, int, int]], cut: list[int]) -> list[Named]:
    """Pieces cut there, each once, and joined where nothing cuts them."""
    found: list[Named] = []
    for begin, end, data, active in pieces:
        inner = cut[bisect_left(cut, begin + 1) : bisect_left(cut, end)]
        for low, high in zip([begin, *inner], [*inner, end], strict=True):
            last = found[-1] if found else None
            if low >= high or (last is not None and low < last.end):
                continue  # an update that is condemned by itself, once more as a part of a run
            if last is not None and last.end == low and (last.data, last.active) == (data, active) and low not in cut:
                found[-1] = Named(last.begin, high, data, active)
            else:
                found.append(Named(low, high, data, active))
    return found
