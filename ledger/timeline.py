"""When an entry was made, as far as others can tell: between what it cites, and what cites it.

    in its past: others' entries   --their clocks-->   not before
    cites it: others' entries, and cosignatures over it   --their clocks-->   not after

Why it exists: the time in an entry is its author's claim. What the logs prove is the order: an entry was made after
all that it cites and before all that cites it. The clocks of the *others* turn that into an interval.

Rules kept here: the author's own clock counts for nothing. A bound is the tightest that more than half of the peers
with a word on it support, so at least one honest clock supports it while fewer than half lie; with a single other
peer it is that peer's word. A time stamp from outside the swarm needs no majority. Bounds that cross (a majority of
clocks contradicts itself) are shown as they are. Pure; it refuses to know where entries come from, and whether
cosignatures are good: whoever calls has checked them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ledger.chain import peer_of
from ledger.entry import PeerId

Bound = tuple[int, int]  # Unix time, and how many peers support it (0: a stamp from outside)


@dataclass(frozen=True, slots=True)
class Interval:
    """None where nobody has a word on it."""

    after: Bound | None
    before: Bound | None

    def holds(self, time: int) -> bool:
        """Whether a claim of this time agrees with it."""
        early = self.after is not None and time < self.after[0]
        late = self.before is not None and time > self.before[0]
        return not early and not late


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A peer, or with "" somebody outside the swarm, said at `time` that a log had its first `size` entries."""

    log: str
    size: int
    time: int
    by: PeerId


class Timeline:
    """Intervals of entries, on request. `past` is the version vector of a log's first entries, `time` a claim."""

    def __init__(
        self,
        heads: Mapping[str, int],
        past: Callable[[str, int], Mapping[str, int]],
        time: Callable[[str, int], int],
        witnessed: Iterable[Witnessed] = (),
    ) -> None:
        self._heads = heads
        self._past = past
        self._time = time
        self._witnessed = tuple(witnessed)

    def interval(self, log: str, seq: int) -> Interval:
        author = peer_of(log)
        past = self._past(log, seq + 1)
        after: dict[PeerId, int] = {}
        before: dict[PeerId, int] = {}
        for other, size in self._heads.items():
            peer = peer_of(other)
            if peer == author:
                continue
            if past.get(other, 0):
                claim = self._time(other, past[other] - 1)
                after[peer] = max(claim, after.get(peer, claim))
            first = self._first_to_see(other, size, log, seq)
            if first is not None:
                claim = self._time(other, first)
                before[peer] = min(claim, before.get(peer, claim))
        outside: list[int] = []
        for word in self._witnessed:
            if word.log == log and word.size > seq:
                if not word.by:
                    outside.append(word.time)
                elif word.by != author:
                    before[word.by] = min(word.time, before.get(word.by, word.time))
        return Interval(
            after=_supported(sorted(after.values(), reverse=True)),
            before=min([(time, 0) for time in outside] + _listed(_supported(sorted(before.values()))), default=None),
        )

    def _first_to_see(self, other: str, size: int, log: str, seq: int) -> int | None:
        """The index of the first entry of `other` that has entry `seq` of `log` in its past."""
        if not size or self._past(other, size).get(log, 0) <= seq:
            return None
        low, high = 0, size - 1  # the past grows along a log
        while low < high:
            middle = (low + high) // 2
            if self._past(other, middle + 1).get(log, 0) > seq:
                high = middle
            else:
                low = middle + 1
        return low


def _supported(claims: list[int]) -> Bound | None:
    """Of claims from the tightest on: the tightest that more than half support."""
    if not claims:
        return None
    majority = len(claims) // 2 + 1
    return claims[majority - 1], majority


def _listed(bound: Bound | None) -> list[Bound]:
    return [] if bound is None else [bound]
