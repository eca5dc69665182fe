"""A switch in user space, with a port for every tap that is plugged in, and the weather on each way between two.

    tap --read--> which ports? (learned, or all) --passes?--> way (weather.py) --when due--> write --> tap

One thread carries everything. Whoever holds a switch changes `weather`, parts and heals it while it runs. It refuses to
know what frames mean, but for the filter that a test may set as `passes`.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random
from time import monotonic
from typing import Final

from tests.net.frames import Frame
from tests.net.weather import CLEAN, Way, Weather

_LARGEST: Final = 65_536


class Switch:
    """Carries what `passes` lets through, by the weather of the moment, until closed."""

    def __init__(self, seed: int = 0) -> None:
        self.passes: Callable[[Frame], bool] = lambda frame: True
        self.weather: Weather = CLEAN
        self.carried: Counter[tuple[str, str]] = Counter()  # frames handed over, by way: (from, to)
        self._seed = seed
        self._local: dict[str, Weather] = {}
        self._sides: dict[str, int] | None = None
        self._ports: dict[str, int] = {}
        self._ways: dict[tuple[str, str], Way] = {}
        self._where: dict[bytes, str] = {}  # at which port an address was last seen
        self._due: list[tuple[float, int, tuple[str, str], bytes]] = []
        self._numbers = itertools.count()
        self._bell, self._rope = os.pipe()
        self._is_over = False
        self._asked, self._empty = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # -------------------------------------------------------------- for the holder

    def plug(self, name: str, fd: int) -> None:
        self._ports = {**self._ports, name: fd}
        self._ring()

    def unplug(self, name: str) -> None:
        """What is under way to it is lost."""
        self._ports = {port: fd for port, fd in self._ports.items() if port != name}
        self._ring()

    def weather_at(self, name: str, weather: Weather | None) -> None:
        """On every way from and to that port, in place of `weather`; None: as everywhere."""
        others = {port: local for port, local in self._local.items() if port != name}
        self._local = others if weather is None else {**others, name: weather}

    def part(self, *sides: Iterable[str]) -> None:
        """From now on nothing passes from one side to another, nor to a port that is on none."""
        self._sides = {name: number for number, side in enumerate(sides) for name in side}

    def heal(self) -> None:
        self._sides = None

    def drain(self) -> None:
        """Come back when what was sent before is over: handed over, or lost."""
        self._empty.clear()
        self._asked.set()
        self._ring()
        self._empty.wait()

    def close(self) -> None:
        self._is_over = True
        self._ring()
        self._thread.join()
        os.close(self._bell)
        os.close(self._rope)

    # -------------------------------------------------------------- the thread

    def _ring(self) -> None:
        os.write(self._rope, b"!")

    def _run(self) -> None:
        while not self._is_over:
            ports = self._ports
            names = {fd: name for name, fd in ports.items()}
            wait = max(0.0, self._due[0][0] - monotonic()) if self._due else 0.0 if self._asked.is_set() else None
            try:
                ready, _, _ = select.select([self._bell, *names], [], [], wait)
            except OSError:  # a tap was closed before it was unplugged
                continue
            for fd in ready:
                if fd == self._bell:
                    os.read(fd, _LARGEST)
                else:
                    self._take(names[fd], fd)
            self._hand_over()
            if not ready and not self._due and self._asked.is_set():
                self._asked.clear()
                self._empty.set()

    def _take(self, source: str, fd: int) -> None:
        try:
            data = os.read(fd, _LARGEST)
        except OSError:  # an interface that is down at this moment
            return
        frame = Frame(data)
        self._where[frame.by] = source
        if not self.passes(frame):
            return
        known = None if frame.is_to_many else self._where.get(frame.to)
        now = monotonic()
        for to in [known] if known is not None else list(self._ports):
            if to != source and self._is_joined(source, to):
                weather = self._local.get(source) or self._local.get(to) or self.weather
                for due in self._way(source, to).arrivals(frame.size, weather, now):
                    heapq.heappush(self._due, (due, next(self._numbers), (source, to), data))

    def _hand_over(self) -> None:
        now = monotonic()
        while self._due and self._due[0][0] <= now:
            _, _, way, data = heapq.heappop(self._due)
            fd = self._ports.get(way[1])
            if fd is None:
                continue
            self.carried[way] += 1
            with suppress(OSError):  # an interface that is down at this moment
                os.write(fd, data)

    def _is_joined(self, one: str, two: str) -> bool:
        sides = self._sides
        return sides is None or (one in sides and sides.get(one) == sides.get(two))

    def _way(self, source: str, to: str) -> Way:
        """Each with luck of its own, so that what one carries changes nothing on another."""
        if (way := self._ways.get((source, to))) is None:
            way = self._ways[source, to] = Way(Random(f"{self._seed} {source} {to}"))
        return way
