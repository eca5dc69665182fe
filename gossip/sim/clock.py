"""Virtual time: nothing waits, everything happens in order.

    at(12.5, f)   at(12.1, g)   run  ->  now = 12.1: g()   now = 12.5: f()

What was asked for first goes first among equals, so the same calls give the same history.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Final

EPOCH: Final = 1_767_225_600.0  # simulated history begins on 1 January 2026, whatever the wall clock says


class VirtualClock:
    """A queue of things to do, and the time of the one being done."""

    def __init__(self) -> None:
        self.now = EPOCH
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def elapsed_s(self) -> float:
        return self.now - EPOCH

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do `action` at `when`, or now if that has passed."""
        heapq.heappush(self._queue, (max(when, self.now), next(self._order), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def step(self, until: float) -> bool:
        """Do the next thing that is due by `until`. False if there is none: then it is `until`."""
        if not self._queue or self._queue[0][0] > until:
            self.now = max(self.now, until)
            return False
        self.now, _, action = heapq.heappop(self._queue)
        action()
        return True
