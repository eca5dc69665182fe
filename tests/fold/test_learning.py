"""The fold still learns: alone, cut off, and after a partition has healed (the fourth property of the fold).

A small softmax regression on three overlapping clouds; each peer has seen mostly one of them.
"""

from __future__ import annotations

import numpy as np
import pytest

from gossip.merging.codec import ErrorFeedback
from ledger.entry import GRID_ONE, PeerId, Tensor
from tests.fold.toy import Peer, Swarm, constants

FEATURES, CLASSES = 6, 3
LAYOUT = [Tensor(name="w", shape=[FEATURES, CLASSES], bound=1 << 18)]


def clouds(seed: int, shares: list[float], rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(99).normal(0, 1, (CLASSES, FEATURES))
    luck = np.random.default_rng(seed)
    labels = luck.choice(CLASSES, size=rows, p=shares)
    return centres[labels] + luck.normal(0, 0.8, (rows, FEATURES)), labels


def trained(theta: np.ndarray, rows: np.ndarray, labels: np.ndarray, steps: int = 20, rate: float = 0.3) -> np.ndarray:
    weights = theta.reshape(FEATURES, CLASSES).copy()
    wanted = np.eye(CLASSES)[labels]
    for _ in range(steps):
        scores = np.exp(rows @ weights - (rows @ weights).max(axis=1, keepdims=True))
        weights -= rate * rows.T @ (scores / scores.sum(axis=1, keepdims=True) - wanted) / len(rows)
    return weights.ravel()


def loss(theta: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> float:
    scores = rows @ theta.reshape(FEATURES, CLASSES)
    return float((np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(labels)), labels]).mean())


def accuracy(theta: np.ndarray) -> float:
    rows, labels = clouds(7, [1 / 3] * 3, rows=3000)
    return float(((rows @ theta.reshape(FEATURES, CLASSES)).argmax(axis=1) == labels).mean())


class Learner:
    def __init__(self, peer: Peer, number: int) -> None:
        shares = [0.05] * CLASSES
        shares[number % CLASSES] = 0.9
        self.peer = peer
        self.rows, self.labels = clouds(number, shares)
        self.waiting = ErrorFeedback(FEATURES * CLASSES, density=1.0)

    def learn(self) -> int:
        """One round; returns the weight of the update."""
        view: dict[PeerId, int] = self.peer.replica.heads()
        theta = self.peer.theta
        change = (trained(theta, self.rows, self.labels) - theta).astype(np.float32)
        weight = self.peer.publish_blob(self.waiting.compress(change), view=view).weight
        assert weight is not None
        return weight


def test_alone_from_genesis_equals_local_training():
    swarm = Swarm([], layout=LAYOUT)
    founder = Learner(swarm.founder, 0)
    local = swarm.founder.theta
    for _ in range(30):
        assert founder.learn() == GRID_ONE
        local = trained(local, founder.rows, founder.labels)
    np.testing.assert_allclose(swarm.founder.theta + founder.waiting.residual, local, atol=0.02)
    assert accuracy(swarm.founder.theta) == pytest.approx(accuracy(local), abs=0.01)


def test_cut_off_a_peer_goes_on_learning_at_a_falling_rate():
    swarm = Swarm(["ann", "bob"], layout=LAYOUT)
    learners = [Learner(peer, number) for number, peer in enumerate(swarm.peers.values())]
    for learner in learners:
        learner.learn()
    swarm.exchange()
    lonely = learners[1]
    losses, weights = [], []
    for _ in range(60):
        losses.append(loss(lonely.peer.theta, lonely.rows, lonely.labels))
        weights.append(lonely.learn())
    assert weights[10:] == sorted(weights[10:], reverse=True)
    assert 0 < weights[-1] < weights[0] / 3
    assert losses[59] < losses[30] < losses[10] < losses[0]


@pytest.mark.parametrize("seed", range(3))
def test_when_a_partition_heals_nobody_is_worse_off_than_either_half(seed: int):
    swarm = Swarm(["ann", "bob", "cyd", "dan", "eve"], layout=LAYOUT, fold=constants(eta=GRID_ONE))
    learners = {name: Learner(peer, 10 * seed + number) for number, (name, peer) in enumerate(swarm.peers.items())}
    halves = (["founder", "ann", "bob"], ["cyd", "dan", "eve"])

    def rounds(groups: tuple[list[str], ...], times: int) -> None:
        for _ in range(times):
            for group in groups:
                for name in group:
                    learners[name].learn()
                swarm.exchange(*group)

    rounds((list(swarm.peers),), 3)
    rounds(halves, 15)
    apart = [accuracy(swarm[half[0]].theta) for half in halves]
    swarm.exchange()
    healed = accuracy(swarm.founder.theta)
    assert healed >= max(apart) - 0.01
    rounds((list(swarm.peers),), 5)
    assert accuracy(swarm.founder.theta) >= max(apart) - 0.01
    assert len({peer.model_hash() for peer in swarm.peers.values()}) == 1
