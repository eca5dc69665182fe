"""Who took part, who was absent and when: read off the logs, which is all that a swarm leaves behind.

    alder    #0 enrol  #2 data  #3 update . . . #41 update         here to the end
    birch    #0 enrol  #1 data  #2 update        - - -  #9 update  absent 12:04 to 12:19, back
    cedar    #0 enrol  #1 data  #2 update  - - - - - - - - - - -   absent from 12:05 on
    elder    #0 enrol                                              let in to train, and never published

Why it exists: a run that ended well for those who were left did not end well. Whoever reads its figures is told of
whom they are.

Rules kept here. An absence is a gap between two entries of a log, or between its last and the end, that is longer than
ten of its usual intervals (the middle one between its updates) and than a minute; so only who publishes updates can be
absent: an observer's log need not grow. Times are claims: each is moved as far as the clocks of the *others* ask for
(timeline.py: not before what it cites, not after what cites it), so a clock that is an hour off makes nobody absent,
and smooth claims hide no gap that others' entries show. `at_least_s` is what of an absence others' clocks bear out
whatever its author claims; 0 where nobody else wrote meanwhile. Of a log that nobody cites to its end, the rest is
moved like its last entry that somebody cites; its beginning, like its first entry that cites somebody. Others' clocks
are asked about no more than a bounded number of gaps of a log, so nobody can make its reader wait by having many.

It refuses to know why somebody was absent: asleep, cut off, or unable to reach *this* copy of the ledger, which is all
that it sees. Of a peer that signed two histories, it counts both and times the first. Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import groupby, pairwise
from statistics import median_low
from typing import Final

from ledger.chain import LogId, fork_of, peer_of
from ledger.entry import AnyEntry, Data, PeerId, Update
from ledger.timeline import Interval, Timeline

INTERVALS: Final = 10  # of its own, without a word, make an absence ...
LEAST_S: Final = 60  # ... if they are so long: below, it is a slow round or a slow disk
RECENT: Final = 63  # updates that say what is usual
MAX_ABSENCES: Final = 64  # that are listed of one peer: the longest
MAX_GAPS: Final = 1024  # of one log that others' clocks are asked about: the largest; each costs a look into every log
OUT: Final = ("revoked", "expired")  # nobody waits for them


def longest_silence_s(updates: Iterable[int]) -> int:
    """How long a peer with updates at these times may say nothing without being absent."""
    gaps = [max(0, late - early) for early, late in pairwise(updates)]
    return max(LEAST_S, INTERVALS * median_low(gaps)) if gaps else LEAST_S


@dataclass(frozen=True, slots=True)
class Absence:
    since: int  # Unix time, as others' clocks leave it
    until: int | None  # None: not back when the ledger ends
    at_least_s: int  # of it, by others' clocks


@dataclass(frozen=True, slots=True)
class Attended:
    """What one peer did between two moments."""

    peer: PeerId
    role: str  # as whoever asks says: "" of one that was never let in, one of OUT of who is no member any more
    first: int | None  # its first entry ever, as others' clocks leave it; None: there is none here
    last: int | None
    entries: int  # from here on: between the moments
    updates: int
    weight: int  # of those that count, grid 2^-16
    absences: tuple[Absence, ...]
    absences_in_all: int

    @property
    def is_absent(self) -> bool:
        """Whether it is not back at the end."""
        return bool(self.absences) and self.absences[-1].until is None

    @property
    def word(self) -> str:
        """here | absent | out | never (let in to train, and nothing published) | quiet (no duty to publish)"""
        if self.role in OUT:
            return "out"
        if self.is_absent:
            return "absent"
        if self.updates:
            return "here"
        return "never" if self.role == "trainer" else "quiet"


@dataclass(slots=True)
class _Seen:
    """What a log says of one other: from entry `at[i]` on, it held `sizes[i]` entries of it."""

    at: array[int] = field(default_factory=lambda: array("I"))
    sizes: array[int] = field(default_factory=lambda: array("I"))

    def add(self, at: int, size: int) -> None:
        self.at.append(at)
        self.sizes.append(size)

    def size_at(self, seq: int) -> int:
        found = bisect_right(self.at, seq)
        return self.sizes[found - 1] if found else 0


@dataclass(slots=True)
class _Diary:
    """One log, a few bytes for each entry."""

    times: array[int] = field(default_factory=lambda: array("q"))  # claimed
    updates: array[int] = field(default_factory=lambda: array("I"))  # their seqs
    weights: array[int] = field(default_factory=lambda: array("I"))  # theirs
    began: int | None = None  # the first entry that shows it at work: whoever only enrolled may wait at the door
    roster: list[PeerId] = field(default_factory=list)
    seen: dict[PeerId, _Seen] = field(default_factory=dict)
    beside: list[tuple[int, int | None]] = field(default_factory=list)  # time, weight: on other branches of this log


@dataclass(frozen=True, slots=True)
class _Past:
    """A version vector that is looked up, never listed. (Mapping's own `get` is slower than the look-up.)"""

    seen: Mapping[PeerId, _Seen]
    seq: int

    def get(self, log: LogId, default: int = 0) -> int:
        words = self.seen.get(log)
        return words.size_at(self.seq) if words is not None else default

    def __getitem__(self, log: LogId) -> int:
        return self.get(log)


class Attendance:
    """Fed with entries, each log in its order; then it tells."""

    def __init__(self) -> None:
        self._diaries: dict[PeerId, _Diary] = {}

    def saw(self, log: LogId, seq: int, entry: AnyEntry, weight: int | None) -> None:
        """`weight`: of an update, what of it counts; None: it is left out, or no update."""
        diary = self._diaries.setdefault(peer_of(log), _Diary())
        if fork_of(log):
            if seq >= fork_of(log):
                diary.beside.append((entry.time, (weight or 0) if isinstance(entry, Update) else None))
            return
        diary.times.append(entry.time)
        if isinstance(entry, Update):
            diary.updates.append(seq)
            diary.weights.append(weight or 0)
        if diary.began is None and isinstance(entry, Data | Update):
            diary.began = seq
        diary.roster += [peer if peer not in diary.roster else "" for peer in entry.meets]  # "": a second branch
        for slot, size in entry.seen:
            if slot < len(diary.roster) and diary.roster[slot]:
                diary.seen.setdefault(diary.roster[slot], _Seen()).add(seq, size)

    def table(
        self,
        roles: Mapping[PeerId, str],
        *,
        since: int | None = None,
        until: int | None = None,
        reader: PeerId | None = None,
    ) -> tuple[Attended, ...]:
        """Everybody in `roles` and everybody with a log, those who brought most first.

        `since`: only from that moment on, the beginning if None: an absence that began before it is told from where it
        began, if more than a minute of it is left. `until`: now, by the reader's own clock; None: the newest entry of
        anybody. `reader`: whose run began at `since`; until its first update since then it was starting, not absent.
        """
        sight = _Sight(self._diaries)
        ends = [sight.time(peer, len(diary.times) - 1) for peer, diary in self._diaries.items() if diary.times]
        end = until if until is not None else max(ends, default=0)
        lasts = sorted(ends)
        usual_end = lasts[len(lasts) // 2] if lasts else end
        rows = [
            _row(
                peer,
                roles.get(peer, ""),
                self._diaries.get(peer) or _Diary(),
                sight,
                since,
                end,
                usual_end,
                starts=peer == reader,
            )
            for peer in dict.fromkeys((*roles, *self._diaries))
        ]
        return tuple(sorted(rows, key=lambda row: (-row.weight, -row.updates, row.peer)))


class _Sight:
    """Times as others' clocks leave them."""

    def __init__(self, diaries: Mapping[PeerId, _Diary]) -> None:
        self.diaries = diaries
        self._timeline = Timeline(
            {peer: len(diary.times) for peer, diary in diaries.items()},
            lambda log, size: _Past(diaries[log].seen, size - 1),  # type: ignore[arg-type,return-value]
            self._claim,
        )
        self._cited: dict[PeerId, int] = {}  # so many entries of a log somebody else holds
        for peer, diary in diaries.items():
            for other, words in diary.seen.items():
                if other != peer and words.sizes:
                    self._cited[other] = max(self._cited.get(other, 0), words.sizes[-1])
        self._known: dict[tuple[PeerId, int], int] = {}

    def _claim(self, log: PeerId, seq: int) -> int:
        times = self.diaries[log].times
        return times[min(seq, len(times) - 1)]  # (of a log that is cut short: its last)

    def interval(self, log: PeerId, seq: int) -> Interval:
        return self._timeline.interval(log, seq)

    def time(self, log: PeerId, seq: int) -> int:
        found = self._known.get((log, seq))
        if found is None:
            found = self._known[log, seq] = self._moved(log, seq)
        return found

    def _moved(self, log: PeerId, seq: int) -> int:
        claim, cited = self._claim(log, seq), self._cited.get(log, 0)
        found = self.interval(log, seq)
        if seq >= cited:  # nobody's clock bounds it from above
            claim += self.shift(log)
        elif found.after is None:  # nor this one from below
            first = min((words.at[0] for words in self.diaries[log].seen.values() if words.at), default=seq)
            claim += max(0, self._beyond(log, first)) if seq < first < cited else 0  # (beyond, it is moved like these)
        if found.before is not None:
            claim = min(claim, found.before[0])
        return claim if found.after is None else max(claim, found.after[0])

    def shift(self, log: PeerId) -> int:
        """How far others' clocks move the last entry that somebody cites; 0 within what a message takes."""
        cited = min(self._cited.get(log, 0), len(self.diaries[log].times))
        if not cited:
            return 0
        return self._beyond(log, cited - 1)

    def _beyond(self, log: PeerId, seq: int) -> int:
        moved = self.time(log, seq) - self._claim(log, seq)
        return moved if abs(moved) > LEAST_S else 0


def _row(
    peer: PeerId, role: str, diary: _Diary, sight: _Sight, since: int | None, end: int, usual_end: int, *, starts: bool
) -> Attended:
    shift = sight.shift(peer) if diary.times else 0
    late = [since is None or time + shift >= since for time in diary.times]
    beside = [weight for time, weight in diary.beside if since is None or time + shift >= since]
    brought = [weight for seq, weight in zip(diary.updates, diary.weights, strict=True) if late[seq]]
    brought += [weight for weight in beside if weight is not None]
    found = list(_absences(peer, diary, sight, end, is_out=role in OUT))
    if since is not None:
        found = [one for one in found if (end if one.until is None else one.until) - max(since, one.since) > LEAST_S]
    if starts:
        begun = next((sight.time(peer, seq) for seq in diary.updates if late[seq]), end)
        found = [one for one in found if one.since >= begun]
    longest = sorted(found, key=lambda one: (one.until or end) - one.since, reverse=True)[:MAX_ABSENCES]
    return Attended(
        peer=peer,
        role=role,
        first=sight.time(peer, 0) if diary.times else None,
        last=sight.time(peer, len(diary.times) - 1) if diary.times else None,
        entries=sum(late) + len(beside),
        updates=len(brought),
        weight=sum(brought),
        absences=tuple(
            Absence(one.since, one.until, _borne_out(peer, one, sight, usual_end))
            for one in sorted(longest, key=lambda one: one.since)
        ),
        absences_in_all=len(found),
    )


@dataclass(frozen=True, slots=True)
class _Gap:
    """An absence, and the entry before it."""

    since: int
    until: int | None
    seq: int


def _absences(peer: PeerId, diary: _Diary, sight: _Sight, end: int, *, is_out: bool) -> Iterator[_Gap]:
    """In order; the last one may last."""
    if diary.began is None or not diary.updates:
        return
    patience = longest_silence_s([diary.times[seq] for seq in diary.updates[-RECENT:]])
    for seq, allowed in _gaps(diary, sight, patience):
        gone, back = sight.time(peer, seq - 1), sight.time(peer, seq)
        if back - gone > allowed:
            yield _Gap(gone, back, seq - 1)
    if is_out:
        return
    last = len(diary.times) - 1
    gone = sight.time(peer, last)
    if end - gone > patience:
        yield _Gap(gone, None, last)


def _gaps(diary: _Diary, sight: _Sight, patience: int) -> Iterator[tuple[int, int]]:
    """The entries before which there may be an absence, in order, and how long a silence is none there."""
    least = min(patience, longest_silence_s([diary.times[seq] for seq in diary.updates[:RECENT]]))
    spans: dict[int, int] = {}
    for seq, span in _jumps(diary, sight, least):
        spans[seq] = max(span, spans.get(seq, 0))
    found: list[tuple[int, int, int]] = []  # span, entry, what is allowed
    before, allowed = -1, 0
    for seq in sorted(spans):
        if seq <= (diary.began or 0):
            continue
        if (updates := bisect_right(diary.updates, seq - 1)) != before:
            before = updates
            usual = [diary.times[at] for at in diary.updates[max(0, before - RECENT) : before]]
            allowed = longest_silence_s(usual) if len(usual) > 2 else patience  # (its beginning: as it went on)
        if spans[seq] > allowed:
            found.append((spans[seq], seq, allowed))
    return ((seq, allowed) for _, seq, allowed in sorted(nlargest(MAX_GAPS, found), key=lambda gap: gap[1]))


def _borne_out(peer: PeerId, gap: _Gap, sight: _Sight, usual_end: int) -> int:
    """What of it others' clocks show."""
    gone = sight.interval(peer, gap.seq).before
    if gap.until is None:
        return max(0, usual_end - (gone[0] if gone is not None else gap.since))
    back = sight.interval(peer, gap.seq + 1).after
    return 0 if gone is None or back is None else max(0, back[0] - gone[0])


def _jumps(diary: _Diary, sight: _Sight, least: int) -> Iterator[tuple[int, int]]:
    """Entries, and how long a silence there may be before them: by the author's own claims, or by what it suddenly
    cites, as most of those whom it cites have it (else one liar who is cited made everybody's entries suspect)."""
    times = diary.times
    for seq in range(1, len(times)):
        if (span := times[seq] - times[seq - 1]) > least:
            yield seq, span
    cited = sorted(
        (at, other, size)
        for other, words in diary.seen.items()
        if (theirs := sight.diaries.get(other)) is not None and theirs.times
        for at, size in zip(words.at, words.sizes, strict=True)
    )
    newest: dict[PeerId, int] = {}  # of each: the time of its last entry that is cited
    claims: list[int] = []  # these, sorted
    for seq, group in groupby(cited, key=lambda row: row[0]):
        before = claims[(len(claims) - 1) // 2] if claims else None  # (what more than half support: timeline.py)
        for _, other, size in group:
            if (old := newest.get(other)) is not None:
                del claims[bisect_left(claims, old)]
            theirs_then = sight.diaries[other].times
            newest[other] = theirs_then[min(size, len(theirs_then)) - 1]
            insort(claims, newest[other])
        if before is not None and (span := claims[(len(claims) - 1) // 2] - before) > least:
            yield seq, span
