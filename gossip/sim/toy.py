"""A learning problem of a page, so that a simulated swarm has something to agree about.

Two clouds of points, told apart by a logistic regression. Every peer holds points of its own, most of them of
one label, so nobody learns the whole alone. Plain NumPy: a simulation of twenty peers trains in milliseconds.

`Trainer` is what a simulation asks of any problem; tasks of one's own implement it (examples/own_task.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ledger.entry import Scores, Tensor

FEATURES: Final = 32
EXAMPLES: Final = 64  # of each peer
HELD_OUT: Final = 400
STEPS: Final = 8  # of gradient descent, in one round
RATE: Final = 0.5

Weights = NDArray[np.float32]


class Trainer(Protocol):
    """A learning problem for simulated peers. Must be deterministic: the same calls give the same answers."""

    @property
    def layout(self) -> Sequence[Tensor]:
        """The tensors of the model, in storage order."""
        ...

    def train(self, theta: Weights, peer: int, round_number: int) -> tuple[Weights, int, int, Scores]:
        """One round of peer number `peer` from `theta`: new weights, steps, examples, held-out scores."""
        ...

    def accuracy(self, theta: Weights) -> float | None:
        """How good a model is, 0..1; None if there is no telling."""
        ...


class ToyTrainer:
    """Logistic regression on two clouds, unevenly shared out."""

    def __init__(self, peers: int, seed: int) -> None:
        luck = np.random.default_rng([seed, 7])
        self._centre = luck.normal(size=FEATURES) / np.sqrt(FEATURES) * 1.5
        self._shares = [self._draw(luck, EXAMPLES, 0.1 + 0.8 * (peer % 2)) for peer in range(peers)]
        self._held_out = self._draw(luck, HELD_OUT, 0.5)
        self.layout = [Tensor(name="w", shape=[FEATURES], bound=0), Tensor(name="b", shape=[1], bound=0)]

    def _draw(self, luck: np.random.Generator, count: int, share: float) -> tuple[Weights, Weights]:
        labels = (luck.random(count) < share).astype(np.float32)
        points = luck.normal(size=(count, FEATURES)) + np.outer(2 * labels - 1, self._centre)
        return points.astype(np.float32), labels

    def train(self, theta: Weights, peer: int, round_number: int) -> tuple[Weights, int, int, Scores]:
        points, labels = self._shares[peer]
        theta = theta.copy()
        for _ in range(STEPS):
            gap = _sigmoid(points @ theta[:-1] + theta[-1]) - labels
            theta[:-1] -= RATE * (points.T @ gap) / len(labels)
            theta[-1] -= RATE * gap.mean()
        return theta, STEPS, STEPS * len(labels), self._scores(theta)

    def accuracy(self, theta: Weights) -> float:
        points, labels = self._held_out
        return float(((points @ theta[:-1] + theta[-1] > 0) == (labels > 0.5)).mean())

    def _scores(self, theta: Weights) -> Scores:
        points, labels = self._held_out
        said, true = points @ theta[:-1] + theta[-1] > 0, labels > 0.5
        return Scores(
            examples=len(labels),
            tp=int((said & true).sum()),
            fp=int((said & ~true).sum()),
            fn=int((~said & true).sum()),
        )


def _sigmoid(x: Weights) -> Weights:
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float32)
