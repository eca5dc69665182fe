"""A crowd under way: peers train from what they have, come and go, and tell others; how they merge is for subclasses.

    start --(view)--> a round of training --done--> tell others, pause --> start ...
    leave: away, the round lost      back: catch up with somebody who is there, then start

Rounds that are under way at once are computed together, when the first of them is due: what they start from is settled
at their start, so nothing changes but the time it takes.

Refuses to know models as anything but rows of numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossip.fast.setting import SAMPLES, Job, Outcome, Sample, Setting, Theta, Work
from gossip.fast.timetable import Happening, Timetable
from gossip.merging.arithmetic import NumpyArithmetic


class World(ABC):
    """One run of one rule."""

    def __init__(self, rule: str, setting: Setting, work: Work) -> None:
        self.rule, self.setting, self.work = rule, setting, work
        self.arithmetic = NumpyArithmetic()
        seed = sha256(f"start {setting.seed}".encode()).hexdigest()
        self.theta0 = self.arithmetic.start(work.layout, seed)
        self.start = self.arithmetic.to_float32(self.theta0)
        self.time = Timetable(setting)
        self.is_there = [True] * setting.peers
        self.received = [0] * setting.peers
        self.trained = [0] * setting.peers
        self._began = [0] * setting.peers  # rounds; one that was lost counts here only
        self._jobs: dict[int, Job] = {}  # under way, not yet computed
        self._started: dict[int, Theta] = {}  # what the round under way began from
        self._results: dict[int, Theta] = {}
        self._curve: list[Sample] = []

    # -------------------------------------------------------------- what a rule says

    @abstractmethod
    def view(self, peer: int) -> Theta:
        """What a peer trains from now."""

    @abstractmethod
    def learned(self, peer: int, began: Theta, theta: Theta) -> None:
        """A peer has finished a round."""

    @abstractmethod
    def arrived(self, peer: int, message: Any) -> None:
        """A message has come to a peer that is there."""

    @abstractmethod
    def catch_up(self, peer: int, partner: int) -> None:
        """A peer is back and asks somebody who is there."""

    @abstractmethod
    def models(self) -> NDArray[np.float32]:
        """What each peer has now, as rows."""

    # -------------------------------------------------------------- the run

    def run(self) -> Outcome:
        for number in range(1, SAMPLES):
            self.time.at(self.setting.rounds * number / SAMPLES, "sample", -1)
        while (happening := self.time.next()) is not None:
            self._handle(happening)
        accuracies = self._sample(self.setting.rounds)
        return Outcome(
            self.rule, tuple(accuracies.tolist()), tuple(self.received), tuple(self.trained), tuple(self._curve),
            self.whole(),
        )  # fmt: skip

    def whole(self) -> NDArray[np.int64] | None:
        """The sum of everything published, where there is such a thing."""
        return None

    def tell(self, peer: int, message: Any) -> None:
        if not self.time.is_lost():
            self.time.after(self.time.delay(), "arrive", peer, message)

    def others_there(self, peer: int) -> list[int]:
        """Who is there and can be heard."""
        found = [other for other, there in enumerate(self.is_there) if there and other != peer]
        return [other for other in found if not self.time.is_cut(peer, other)] if self.setting.cuts else found

    def _handle(self, happening: Happening) -> None:
        peer = happening.peer
        match happening.kind:
            case "start":
                if self.is_there[peer] and happening.what in (None, self._began[peer]):
                    self._begin(peer)
            case "done":
                if self.is_there[peer] and happening.what == self._began[peer]:
                    self._end(peer)
            case "arrive":
                if self.is_there[peer]:
                    self.arrived(peer, happening.what)
            case "leave":
                self.is_there[peer] = False
                self._began[peer] += 1  # a round under way is no longer that round
                self._jobs.pop(peer, None)
                self._results.pop(peer, None)
            case "back":
                self.is_there[peer] = True
                self._ask_somebody(peer)
                self._begin(peer)
            case "heal":
                for one in self.setting.cuts[peer][0]:  # here `peer` is the number of a cut
                    if self.is_there[one]:
                        self._ask_somebody(one)
            case "sample":
                self._sample(happening.time)

    def _ask_somebody(self, peer: int) -> None:
        others = self.others_there(peer)
        if others:
            self.catch_up(peer, others[int(self.time.links.integers(len(others)))])

    def _begin(self, peer: int) -> None:
        self._began[peer] += 1
        self._jobs[peer] = (peer, self._began[peer], self.view(peer))
        self._started[peer] = self._jobs[peer][2]
        self.time.after(float(self.time.speeds[peer]), "done", peer, self._began[peer])

    def _end(self, peer: int) -> None:
        if peer not in self._results:
            jobs = list(self._jobs.values())
            self._jobs.clear()
            for job, theta in zip(jobs, self.work.train(jobs), strict=True):
                self._results[job[0]] = theta
        self.trained[peer] += 1
        self.learned(peer, self._started[peer], self._results.pop(peer))
        self.time.after(self.setting.pause, "start", peer, self._began[peer])

    def _sample(self, time: float) -> NDArray[np.floating]:
        found = np.asarray(self.work.accuracies(self.models()), dtype=np.float64)
        self._curve.append(Sample.of(time, found, float(np.mean(self.received))))
        return found
