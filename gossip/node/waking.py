"""What a laptop does to a node: it sleeps, wakes somewhere else, loses its network and finds another.

    clocks     --look--> slept_s          a stretch in which this process did not run, or the whole machine did not
    interface  --look--> addresses        others than before, or none for now
                            |
                            v
               `woke(slept_s, addresses)`: listen there, say so on mDNS, have the machine dial everybody

How a sleep is told: a machine that is suspended stands still by its steady clock, and goes on by another (Linux has one
that counts on; elsewhere the wall clock, which may also have been set by hand: then everybody is dialled for nothing,
once). A process that was stopped (SIGSTOP, a frozen container), or a machine that had no time for it, finds that
between two looks much more time has passed than it asked for.

It refuses to know links and peers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from gossip.transport.discovery import addresses_of
from ledger.errors import LinkError, LocalError

LOOK_EVERY_S: Final = 1.0
NAP_S: Final = 4.0  # a busy machine may be late by a second or two; less than this nobody has to be told of


def beyond_sleep() -> float:
    """Seconds of a clock that goes on while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boot is None else time.clock_gettime(boot)


class Sleep:
    """How long was slept since the last look, in seconds; 0.0 if not."""

    def __init__(
        self, steady: Callable[[], float] = time.monotonic, beyond: Callable[[], float] = beyond_sleep
    ) -> None:
        self._steady, self._beyond = steady, beyond
        self._then = steady(), beyond()

    def look(self) -> float:
        """Asked every LOOK_EVERY_S."""
        now = self._steady(), self._beyond()
        passed = max(now[0] - self._then[0], now[1] - self._then[1])
        self._then = now
        return passed - LOOK_EVERY_S if passed >= LOOK_EVERY_S + NAP_S else 0.0


class Place:
    """The addresses of an interface, and whether they have become others."""

    def __init__(self, interface: str, addresses: tuple[str, ...]) -> None:
        self._interface = interface
        self._last = addresses
        self.is_there = True
        self.missing = f"there is no address on {interface} for now; links come back when there is one"

    def look(self) -> tuple[str, ...] | None:
        """The addresses, if they are not those of the last look; None if they are, or if there is none for now. Who
        comes back to the same after a while without is told, too: what stood on them is gone."""
        try:
            found = addresses_of(self._interface)
        except LocalError:
            self.is_there = False
            return None
        if found == self._last and self.is_there:
            return None
        self._last, self.is_there = found, True
        return found


async def watch(
    place: Place, woke: Callable[[float, tuple[str, ...] | None], Awaitable[None]], trouble: Callable[[str], None]
) -> None:
    """Look for ever. `woke` is told of every sleep and of every change of addresses (None: they are the same), and
    again while it raises LinkError; `trouble` hears once what is wrong with the network."""
    sleep, told = Sleep(), ""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        slept_s, addresses = sleep.look(), place.look()
        wrong = "" if place.is_there else place.missing
        if slept_s or addresses is not None:
            try:
                await woke(slept_s, addresses)
            except LinkError as error:
                wrong, place.is_there = str(error), False
            sleep.look()  # what telling it took is no sleep
        if wrong and wrong != told:
            trouble(wrong)
        told = wrong
