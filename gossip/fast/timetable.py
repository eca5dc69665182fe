"""When things happen to a crowd: who is there, who trains, what arrives. A queue of events and the luck behind it.

Presence, speeds, batches and delays are drawn from streams of their own, so that every rule meets the same peers at the
same speeds with the same absences.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from gossip.fast.setting import Setting

Kind = Literal["start", "done", "arrive", "leave", "back", "heal", "sample"]
HASTE: Final = 0.05  # the first start falls into this part of a round: nobody waits for anybody


@dataclass(frozen=True, slots=True)
class Happening:
    time: float
    kind: Kind
    peer: int
    what: Any = None


class Timetable:
    """Events in order of time; of two at one time the one that was entered first."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.now = 0.0
        self._queue: list[tuple[float, int, Happening]] = []
        self._entered = 0
        luck = np.random.default_rng([setting.seed, 1])
        self.speeds = 1 + setting.spread * luck.uniform(-1, 1, setting.peers)
        for peer, factor in setting.slow.items():
            self.speeds[peer] *= factor
        for peer, gone, again in setting.absences:
            self.at(gone, "leave", peer)
            self.at(again, "back", peer)
        for number, (_, _, until) in enumerate(setting.cuts):
            self.at(until, "heal", number)
        for peer in range(setting.peers):
            self.after(float(luck.uniform(0, HASTE)), "start", peer)
        if setting.away > 0:
            self._plan_absences()
        self.links = np.random.default_rng([setting.seed, 2])

    def _plan_absences(self) -> None:
        gone = self.setting.session * self.setting.away / (1 - self.setting.away)
        for peer in range(self.setting.peers):
            luck = np.random.default_rng([self.setting.seed, 3, peer])
            time = float(luck.exponential(self.setting.session))
            while time < self.setting.rounds:
                self.at(time, "leave", peer)
                time += float(luck.exponential(gone))
                self.at(time, "back", peer)
                time += float(luck.exponential(self.setting.session))

    def at(self, time: float, kind: Kind, peer: int, what: Any = None) -> None:
        heapq.heappush(self._queue, (time, self._entered, Happening(time, kind, peer, what)))
        self._entered += 1

    def after(self, delay: float, kind: Kind, peer: int, what: Any = None) -> None:
        self.at(self.now + delay, kind, peer, what)

    def next(self) -> Happening | None:
        """What happens next, until the rounds are over."""
        if not self._queue or self._queue[0][0] > self.setting.rounds:
            return None
        happening = heapq.heappop(self._queue)[2]
        self.now = happening.time
        return happening

    def is_cut(self, one: int, other: int) -> bool:
        """Whether two peers are on different sides of a cut now."""
        return any(
            begin <= self.now < end and (one in side) is not (other in side) for side, begin, end in self.setting.cuts
        )

    def delay(self) -> float:
        return self.setting.delay * float(self.links.uniform(0.5, 1.5))

    def is_lost(self) -> bool:
        return self.setting.loss > 0 and float(self.links.random()) < self.setting.loss
