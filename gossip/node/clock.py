"""The two times of a node, both Unix seconds, neither of which ever goes back.

    the machine's clock --date--> what ends on a day: codes, tickets, allowed keys, who is let in at the door
            |-------------now---> the peer machine: deadlines, budgets, who was silent for how long, the time of entries

A sleeping machine stands still by its steady clock, and its wall clock goes on; a wall clock is also set by hand and by
servers. `date` follows the wall wherever it jumps ahead, at once: a code for ten minutes is over when the lid
opens hours later. `now` may not jump, for the machine measures with it how long others took to answer, and must not
find after a night that all of them were silent for eight hours. It goes on where it stood, and catches up a quarter
faster than time until it is the date again: so a deadline may come a fifth too early, and after a night asleep entries
claim a time that is behind for a day.

What a wrong clock does: set back while a node runs, it changes nothing until the next start (both go on at the steady
pace). Ahead, it ends codes, tickets and memberships early, and lets a peer whose membership is over by it write
nothing. Behind, it lets them in too long, at this door and at no other, until it is set right. Nothing in the fold
moves by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

CATCH_UP: Final = 0.25  # of the time that passes, beside it


class Clock:
    """Both, from one wall clock and one steady one."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._then = steady()
        self._date = self._now = wall()

    def date(self) -> float:
        """What a calendar says."""
        self._move()
        return self._date

    def now(self) -> float:
        """The same without jumps."""
        self._move()
        return self._now

    def _move(self) -> None:
        steady = self._steady()
        passed, self._then = steady - self._then, steady
        self._date = max(self._date + passed, self._wall())
        self._now = min(self._date, self._now + passed * (1 + CATCH_UP))
