"""A learning problem of a page, so that a simulated swarm has something to agree about.

Two clouds of points, told apart by a logistic regression. Every peer holds points of its own, most of them of
one label, so nobody learns the whole alone. Plain NumPy: a simulation of twenty peers trains in milliseconds.

`Trainer` is what a simulation asks of any problem; tasks of one's own implement it (examples/own_task.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gossip.quality.leaning import losses
from ledger.entry import Scores, Tensor

FEATURES: Final = 32
EXAMPLES: Final = 64  # of each peer
HELD_OUT: Final = 400
STEPS: Final = 8  # of gradient descent, in one round
RATE: Final = 0.5
_LABELS: Final = (b"no", b"yes")

Weights = NDArray[np.float32]
Record = tuple[bytes, bytes]  # key, value: what is committed to, and shown to whoever may ask


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


@runtime_checkable
class Stepper(Protocol):
    """A trainer whose rounds may be longer or shorter."""

    @property
    def steps(self) -> int:
        """Local steps of a round of `train`."""
        ...

    def train_for(self, theta: Weights, peer: int, round_number: int, steps: int) -> tuple[Weights, int, int, Scores]:
        """As `train`, in so many steps."""
        ...


@runtime_checkable
class Keeper(Protocol):
    """A trainer whose peers have data that can be committed to, looked at, and measured on."""

    @property
    def features(self) -> str:
        """What a data entry names as the kind of its rows."""
        ...

    def records(self, peer: int) -> Sequence[Record]:
        """What peer number `peer` trains on."""
        ...

    def labels(self, peer: int) -> Mapping[str, int]:
        """How many of them carry which label."""
        ...

    def inspect(self, records: Sequence[Record]) -> dict[str, int]:
        """Facts of the policy about records that some peer has shown."""
        ...

    def measure(self, theta: Weights, peer: int) -> Scores:
        """How good a model is on rows of peer number `peer` that it does not train on."""
        ...


@runtime_checkable
class Weigher(Protocol):
    """A trainer that can tell the loss of each row, and its label."""

    def losses(self, theta: Weights, peer: int) -> tuple[NDArray[np.floating], Sequence[str]]:
        """Of the rows of peer number `peer` that it does not train on: what a model loses on each, and their labels."""
        ...


@runtime_checkable
class Referee(Protocol):
    """A trainer with rows that everybody measures on: those that a policy pins as its canary set."""

    def measure_canary(self, theta: Weights) -> Scores:
        """How good a model is on them."""
        ...


class ToyTrainer:
    """Logistic regression on two clouds, unevenly shared out. Of `flipped` peers this share of labels is wrong."""

    features: Final = "toy/1"
    steps: Final = STEPS

    def __init__(self, peers: int, seed: int, flipped: Mapping[int, float] | None = None) -> None:
        luck = np.random.default_rng([seed, 7])
        self._centre = luck.normal(size=FEATURES) / np.sqrt(FEATURES) * 1.5
        self._shares = [self._draw(luck, EXAMPLES, 0.1 + 0.8 * (peer % 2)) for peer in range(peers)]
        self._held_out = self._draw(luck, HELD_OUT, 0.5)
        self._own_held_out = [self._draw(luck, HELD_OUT, 0.5) for _ in range(peers)]
        self._truth = {
            point.tobytes(): bool(label)
            for points, labels in self._shares
            for point, label in zip(points, labels, strict=True)
        }
        for peer, share in (flipped or {}).items():
            labels = self._shares[peer][1]
            wrong = luck.permutation(len(labels))[: round(share * len(labels))]
            labels[wrong] = 1 - labels[wrong]
        self.layout = [Tensor(name="w", shape=[FEATURES], bound=0), Tensor(name="b", shape=[1], bound=0)]

    def _draw(self, luck: np.random.Generator, count: int, share: float) -> tuple[Weights, Weights]:
        labels = (luck.random(count) < share).astype(np.float32)
        points = luck.normal(size=(count, FEATURES)) + np.outer(2 * labels - 1, self._centre)
        return points.astype(np.float32), labels

    def train(self, theta: Weights, peer: int, round_number: int) -> tuple[Weights, int, int, Scores]:
        return self.train_for(theta, peer, round_number, STEPS)

    def train_for(self, theta: Weights, peer: int, round_number: int, steps: int) -> tuple[Weights, int, int, Scores]:
        points, labels = self._shares[peer]
        theta = theta.copy()
        for _ in range(steps):
            gap = _sigmoid(points @ theta[:-1] + theta[-1]) - labels
            theta[:-1] -= RATE * (points.T @ gap) / len(labels)
            theta[-1] -= RATE * gap.mean()
        return theta, steps, steps * len(labels), self._scores(theta, self._held_out)

    def accuracy(self, theta: Weights) -> float:
        points, labels = self._held_out
        return float(((points @ theta[:-1] + theta[-1] > 0) == (labels > 0.5)).mean())

    def records(self, peer: int) -> list[Record]:
        points, labels = self._shares[peer]
        return [(point.tobytes(), _LABELS[int(label)]) for point, label in zip(points, labels, strict=True)]

    def labels(self, peer: int) -> dict[str, int]:
        return dict(sorted(Counter(value.decode() for _, value in self.records(peer)).items()))

    def inspect(self, records: Sequence[Record]) -> dict[str, int]:
        """As an engine with pinned lists would: it knows the right label of every point."""
        sound = [(key, value) for key, value in records if key in self._truth and value in _LABELS]
        wrong = sum(1 for key, value in sound if value != _LABELS[self._truth[key]])
        return {
            "opened.malformed": len(records) - len(sound),
            "opened.wrong_labels_permille": 1000 * wrong // max(1, len(sound)),
        }

    def measure(self, theta: Weights, peer: int) -> Scores:
        return self._scores(theta, self._own_held_out[peer])

    def losses(self, theta: Weights, peer: int) -> tuple[NDArray[np.floating], list[str]]:
        points, labels = self._own_held_out[peer]
        ads = _sigmoid(points @ theta[:-1] + theta[-1])
        classes = labels.astype(np.int64)
        return losses(np.stack((1 - ads, ads), axis=1), classes), [
            _LABELS[label].decode() for label in classes.tolist()
        ]

    def measure_canary(self, theta: Weights) -> Scores:
        return self._scores(theta, self._held_out)

    def _scores(self, theta: Weights, rows: tuple[Weights, Weights]) -> Scores:
        points, labels = rows
        said, true = points @ theta[:-1] + theta[-1] > 0, labels > 0.5
        return Scores(
            examples=len(labels),
            tp=int((said & true).sum()),
            fp=int((said & ~true).sum()),
            fn=int((~said & true).sum()),
        )


def _sigmoid(x: Weights) -> Weights:
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float32)
