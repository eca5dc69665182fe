"""The alarm clock of a running node: at most one alarm of each name, delivered to the machine as Timer(name).

    SetTimer(name, at) --set--> the loop's clock --ring--> Timer(name)

It refuses to know what an alarm is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gossip.events import Timer


class Timers:
    """`now` is the time that the machine is told; `ring` is called on the event loop."""

    def __init__(self, now: Callable[[], float], ring: Callable[[Timer], None]) -> None:
        self._now = now
        self._ring = ring
        self._set: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, at: float) -> None:
        """Ring at `at`; a later one of the same name replaces it."""
        if (old := self._set.pop(name, None)) is not None:
            old.cancel()
        loop = asyncio.get_running_loop()
        self._set[name] = loop.call_later(max(0.0, at - self._now()), self._rang, name)

    def end(self) -> None:
        """Nothing rings any more."""
        for timer in self._set.values():
            timer.cancel()

    def _rang(self, name: str) -> None:
        del self._set[name]
        self._ring(Timer(name))
