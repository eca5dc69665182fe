"""A crowd that merges whole models pairwise, or not at all; and two that need no crowd, to compare with.

A model that comes in waits until the round under way is over; then those that wait are merged in the order in which
they came, and the next round begins. Who comes back asks one other peer for its model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossip.fast.setting import SAMPLES, Outcome, Sample, Setting, Theta, Work
from gossip.fast.world import World
from gossip.merging.pairwise import Rule
from ledger.errors import LocalError

_FLOAT_BYTES = 4


class Averaging(World):
    """By `rule`; None: nobody sends anything."""

    def __init__(self, name: str, rule: Rule | None, setting: Setting, work: Work) -> None:
        super().__init__(name, setting, work)
        self._merge = rule
        self._own = [self.start] * setting.peers
        self._ages = [0.0] * setting.peers
        self._inbox: list[list[tuple[Theta, float]]] = [[] for _ in range(setting.peers)]

    def view(self, peer: int) -> Theta:
        for theta, age in self._inbox[peer]:
            self._own[peer] = self._merged(self._own[peer], self._ages[peer], theta, age)
            self._ages[peer] = max(self._ages[peer], age)
        self._inbox[peer].clear()
        return self._own[peer]

    def _merged(self, own: Theta, own_age: float, other: Theta, other_age: float) -> Theta:
        if self._merge is None:
            raise LocalError("nothing is merged by this rule", next_step="report it: nobody may have sent anything")
        with np.errstate(over="ignore", invalid="ignore"):  # a rule that diverges is a finding, not a fault
            theta = np.asarray(self._merge(own, own_age, other, other_age), dtype=np.float32)
        if theta.shape != own.shape:
            raise LocalError(
                f"the rule gave weights of shape {theta.shape}, not {own.shape}", next_step="return one array like own"
            )
        return np.nan_to_num(theta)

    def learned(self, peer: int, began: Theta, theta: Theta) -> None:
        self._own[peer] = np.nan_to_num(theta)
        self._ages[peer] += 1
        others = self.others_there(peer)
        if self._merge is not None and others:
            count = min(self.setting.fan_out, len(others))
            for other in self.time.links.choice(others, count, replace=False).tolist():
                self.tell(other, (self._own[peer], self._ages[peer]))

    def arrived(self, peer: int, message: tuple[Theta, float]) -> None:
        theta, age = message
        self.received[peer] += _FLOAT_BYTES * len(theta)
        self._inbox[peer].append((theta, age))

    def catch_up(self, peer: int, partner: int) -> None:
        if self._merge is not None:
            self.arrived(peer, (self._own[partner], self._ages[partner]))

    def models(self) -> NDArray[np.float32]:
        return np.stack(self._own)


def fedavg(setting: Setting, work: Work) -> Outcome:
    """B. McMahan et al., Communication-efficient learning of deep networks from decentralized data, AISTATS 2017.

    A server, everybody there in every round, nobody slower than others: what a swarm has to do without.
    """
    world = Averaging("fedavg", None, setting, work)
    shares = np.asarray(work.sizes, dtype=np.float64)
    theta, curve = world.start, list[Sample]()
    for number in range(1, round(setting.rounds) + 1):
        found = work.train([(peer, number, theta) for peer in range(setting.peers)])
        theta = np.average(np.stack(found), axis=0, weights=shares).astype(np.float32)
        if _is_sampled(number, setting):
            curve.append(_sample(work, theta, number, number * _FLOAT_BYTES * len(theta), setting.peers))
    return _one("fedavg", theta, round(setting.rounds), round(setting.rounds) * _FLOAT_BYTES * len(theta),
                curve, setting, work)  # fmt: skip


def pooled(setting: Setting, work: Work, everything: Work) -> Outcome:
    """All rows in one place, as many steps as one peer of middling speed would take."""
    theta, curve = Averaging("pooled", None, setting, work).start, list[Sample]()
    for number in range(1, round(setting.rounds) + 1):
        (theta,) = everything.train([(0, number, theta)])
        if _is_sampled(number, setting):
            curve.append(_sample(work, theta, number, 0, setting.peers))
    return _one("pooled", theta, round(setting.rounds), 0, curve, setting, work)


def _is_sampled(number: int, setting: Setting) -> bool:
    last = round(setting.rounds)
    return number == last or number * SAMPLES // last > (number - 1) * SAMPLES // last


def _sample(work: Work, theta: Theta, number: int, received: int, peers: int) -> Sample:
    return Sample.of(number, np.asarray(work.accuracies(np.stack([theta] * peers))), received)


def _one(
    rule: str, theta: Theta, rounds: int, received: int, curve: list[Sample], setting: Setting, work: Work
) -> Outcome:
    found = np.asarray(work.accuracies(np.stack([theta] * setting.peers)), dtype=np.float64)
    return Outcome(
        rule, tuple(found.tolist()), (received,) * setting.peers, (rounds,) * setting.peers, tuple(curve)
    )  # fmt: skip
