"""How late an event loop is: a timer that is due again and again, and what it waited beyond its time.

Counted is what a datagram would wait that comes at any moment: while a loop is held up for 100 ms, all the timers
that would have been due meanwhile are late, too, not only the one set. Beside the lateness stands the processor
time that the loop's own thread took meanwhile: a loop that waits for a processor is late, and is not to blame.
"""

from __future__ import annotations

import asyncio
from time import thread_time
from typing import Any, Final

import numpy as np

EVERY_S: Final = 0.005


class Probe:
    """Watches the running loop from `start` on."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._held: list[float] = []
        self._due = self._used = 0.0

    def start(self) -> None:
        self._late.clear()
        self._held.clear()
        self._again(asyncio.get_running_loop().time())

    def report(self) -> dict[str, Any]:
        """Milliseconds: the middle, the 99th of a hundred and the worst; "held" counts the thread's own work only."""
        return {"late_ms": spread(self._late), "held_ms": spread(self._held), "looks": len(self._late)}

    def _again(self, now: float) -> None:
        self._due, self._used = now + EVERY_S, thread_time()
        asyncio.get_running_loop().call_at(self._due, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._late.append(now - self._due)
        self._held.append(max(0.0, thread_time() - self._used - EVERY_S))
        self._again(now)


def spread(waits: list[float]) -> list[float]:
    """[middle, 99th of a hundred, worst] in ms, of these and of those who would have come while they waited."""
    values = np.array(waits, np.float64)
    behind = [values[values > late] - late for late in np.arange(0.0, values.max(initial=0.0), EVERY_S)]
    everybody = np.concatenate(behind) if behind else np.zeros(1)
    everybody = np.concatenate([everybody, np.zeros(max(0, len(values) - int((values > 0).sum())))])
    return [round(1e3 * float(value), 3) for value in (*np.quantile(everybody, [0.5, 0.99]), everybody.max())]
