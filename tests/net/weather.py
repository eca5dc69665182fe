"""What a way does to the frames on it, decided without a clock: when does each arrive, how often, or never.

    frame --lost?--> queue (bandwidth) --> delay + jitter --held back?--> arrives, perhaps twice

Frames keep their order, however they jitter, but for those held back: `reorder` is the share that others overtake.
Every figure is of one direction: 50 ms here are a round trip of 100. What is lost is lost whatever it is: a question
for an address, a multicast, a part of a handshake.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

HELD_BACK_S: Final = 0.02  # beside its delay: long enough for the next frames of a burst to be sooner
QUEUE_S: Final = 0.5  # what waits longer than this for a narrow line is dropped, as routers do


@dataclass(frozen=True, slots=True)
class Weather:
    """Shares are of 1. `bytes_per_s` is what the line carries; None: whatever comes."""

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    bytes_per_s: float | None = None

    def __str__(self) -> str:
        facts = [f"{self.loss:.0%} loss" if self.loss else "", f"{1000 * self.delay_s:.0f} ms" if self.delay_s else ""]
        facts += [f"{1000 * self.jitter_s:.0f} ms jitter" if self.jitter_s else ""]
        facts += [f"{self.duplicate:.0%} twice" if self.duplicate else ""]
        facts += [f"{self.reorder:.0%} out of order" if self.reorder else ""]
        facts += [f"{self.bytes_per_s / 1000:.0f} kB/s" if self.bytes_per_s else ""]
        return ", ".join(fact for fact in facts if fact) or "clean"


CLEAN: Final = Weather()


class Way:
    """One direction between two ends, and what is under way on it."""

    def __init__(self, luck: Random) -> None:
        self._luck = luck
        self._free_at = 0.0  # when the line has carried what was given to it
        self._last = 0.0

    def arrivals(self, size: int, weather: Weather, now: float) -> list[float]:
        """When the copies of a frame that is sent now arrive; none if it is lost."""
        luck = self._luck
        if luck.random() < weather.loss:
            return []
        ready = now
        if weather.bytes_per_s is not None:
            ready = max(now, self._free_at)
            if ready - now > QUEUE_S:
                return []
            ready = self._free_at = ready + size / weather.bytes_per_s
        due = ready + weather.delay_s + luck.random() * weather.jitter_s
        if luck.random() < weather.reorder:
            due += HELD_BACK_S  # and nothing waits for it
        else:
            due = self._last = max(due, self._last)
        return [due, due] if luck.random() < weather.duplicate else [due]
