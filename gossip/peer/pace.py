"""How long to wait for an answer before asking again: learnt for each link, longer after each failure.

    wait = max(request_s, 3 x the slowest answer lately) x 1.4 ^ failures, at most a minute

A short wait heals a lost message soon; on a slow line it would ask for the same bytes over and over, so what a
link has shown sets the pace. Failures count per link: the next link gets its chance as fast as the first did.

    bytes a second = bytes of pieces / time in which some were waited for, less a round trip each; what is old fades

That is counted for each link, and for all together: what we ourselves can take is the most of these, for a link may be
slow at its other end. Small pieces on a quiet line say little of it (they take a round trip, which varies), so it is
acted upon only while the line is full: something was waited for half of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from gossip.events import LinkId

MARGIN: Final = 3.0
GROWTH: Final = 1.4
FAST_S: Final = 0.25
FADE: Final = 0.8  # of the slowest answer, with each faster one
LAST_WAIT_S: Final = 60.0
MOST_FAILURES: Final = 16  # beyond, the wait has long been LAST_WAIT_S
RISE: Final = 1.05  # of the quickest answer, with each slower one: a way may have become longer
MEMORY: Final = 0.9  # of what was counted, with each piece
LEAST_BUSY_S: Final = 0.01  # less time says nothing about a line
FULL: Final = 0.5  # share of the time in which something is waited for: from here on a line is full ...
FREE: Final = 0.25  # ... and below here no more
LEAST_TOTAL_S: Final = 2.0  # of which a share says anything


@dataclass(slots=True)
class Meter:
    """Bytes that came, and the time in which they were waited for."""

    size_bytes: float = 0.0
    busy_s: float = 0.0
    total_s: float = 0.0  # busy or not
    until: float = 0.0

    def count(self, since: float, now: float, size_bytes: int) -> None:
        self.size_bytes = MEMORY * self.size_bytes + size_bytes
        self.busy_s = MEMORY * self.busy_s + max(0.0, now - max(since, self.until))
        self.total_s = MEMORY * self.total_s + now - (self.until or since)
        self.until = max(self.until, now)

    @property
    def bytes_s(self) -> float:
        """0: not known."""
        return self.size_bytes / self.busy_s if self.busy_s > LEAST_BUSY_S else 0.0

    @property
    def share(self) -> float:
        """Of the time that was busy; 0: not known."""
        return self.busy_s / self.total_s if self.total_s > LEAST_TOTAL_S else 0.0


class Pace:
    """What each link has shown."""

    def __init__(self, request_s: float) -> None:
        self._request_s = request_s
        self._slowest: dict[LinkId, float] = {}
        self._quickest: dict[LinkId, float] = {}
        self._meters: dict[LinkId, Meter] = {}
        self._whole = Meter()
        self.is_full = False  # whether our line has no room left

    def heard(self, link: LinkId, seconds: float) -> None:
        """An answer came after so long."""
        self._slowest[link] = max(seconds, FADE * self._slowest.get(link, 0.0))
        self._quickest[link] = min(seconds, RISE * self._quickest.get(link, seconds))

    def came(self, link: LinkId, asked_at: float, now: float, size_bytes: int, *, is_answer: bool) -> None:
        """A piece came, waited for since then. `is_answer`: the first that was asked for, so a round trip is in it."""
        since = asked_at + (self._quickest.get(link, 0.0) if is_answer else 0.0)
        self._meters.setdefault(link, Meter()).count(min(since, now), now, size_bytes)
        self._whole.count(min(since, now), now, size_bytes)
        self.is_full = self._whole.share > (FREE if self.is_full else FULL)

    @property
    def bytes_s(self) -> float:
        """What our line takes, as far as it was needed; 0: not known."""
        return max([self._whole.bytes_s, *(meter.bytes_s for meter in self._meters.values())])

    def link_bytes_s(self, link: LinkId) -> float:
        """What comes over one link; 0: not known."""
        meter = self._meters.get(link)
        return meter.bytes_s if meter is not None else 0.0

    def round_trip_s(self, link: LinkId) -> float:
        """Of the quickest answer lately; 0: not known."""
        return self._quickest.get(link, 0.0)

    @property
    def usual_trip_s(self) -> float:
        """The middle one of all links; 0: not known."""
        trips = sorted(self._quickest.values())
        return trips[len(trips) // 2] if trips else 0.0

    def wait_s(self, link: LinkId, failures: int) -> float:
        usual = max(self._request_s, MARGIN * self._slowest.get(link, 0.0))
        return min(LAST_WAIT_S, usual * GROWTH ** min(failures, MOST_FAILURES))

    def grade(self, link: LinkId) -> int:
        """How slow a link has been lately: 0 up to FAST_S, and one more for each doubling. To ask fast ones first."""
        return max(0, math.ceil(math.log2(max(self._slowest.get(link, 0.0), FAST_S) / FAST_S)))

    def link_down(self, link: LinkId) -> None:
        self._slowest.pop(link, None)
        self._quickest.pop(link, None)
        self._meters.pop(link, None)
