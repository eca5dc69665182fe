"""The learning problem of the attack kit: handwritten digits, shared out among peers that each know some of them.

    1,797 digits --every fifth--> test rows, which nobody learns from, for the accuracy that is printed
                 --the rest--> shares by class --IID, or Dirichlet(alpha)--> each peer: rows to learn from, held out

Dirichlet shares are those of Hsu, Qi and Brown (2019): each class is dealt to the peers by proportions drawn from
Dirichlet(alpha), so peers differ in what they know and in how much; 0.3 leaves most with two or three digits. Nobody
gets less than LEAST rows, taken from the largest.

An MLP 64-32-10 in plain NumPy: no compiler, so that a swarm of sixteen real peer machines trains in seconds, and the
same calls give the same bits. It refuses to know that anybody is hostile, but for whose labels are turned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from gossip.quality.leaning import losses
from gossip.sim.toy import Record, Weights
from ledger.entry import Scores, Tensor

PIXELS: Final = 64
HIDDEN: Final = 32
CLASSES: Final = 10
LEAST: Final = 20  # rows of a peer
STEPS: Final = 32  # of SGD in a round
BATCH: Final = 16
RATE: Final = 0.1
HELD_OUT: Final = 0.4  # of a peer's rows: who has less judges less (gossip/peer/inspection/holdout.py)

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]
_SHAPES: Final = ((PIXELS, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,))
_BOUNDS: Final = (0.15, 0.0, 0.25, 0.0)


@cache
def _digits() -> tuple[Rows, Labels]:
    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels.astype(np.int64)


def shares(peers: int, alpha: float | None, seed: int) -> list[NDArray[np.int64]]:
    """Which rows each peer has, test rows left out. `alpha` None: every row by chance, to each as many."""
    luck = np.random.default_rng([seed, 11])
    rows = np.flatnonzero(np.arange(len(_digits()[1])) % 5 != 0)
    luck.shuffle(rows)
    if alpha is None:
        return [np.sort(part) for part in np.array_split(rows, peers)]
    dealt: list[list[int]] = [[] for _ in range(peers)]
    for label in range(CLASSES):
        of_class = rows[_digits()[1][rows] == label]
        cuts = (np.cumsum(luck.dirichlet([alpha] * peers)) * len(of_class)).astype(int)[:-1]
        for peer, part in enumerate(np.split(of_class, cuts)):
            dealt[peer].extend(part.tolist())
    for few in dealt:
        while len(few) < LEAST:
            largest = max(dealt, key=len)
            few.append(largest.pop(int(luck.integers(len(largest)))))
    return [np.sort(np.array(part)) for part in dealt]


class Digits:
    """A sim Trainer and Keeper. `flipped`: peers that learn from 9 - y in place of y, as ByzFL's LabelFlipping."""

    features: Final = "digits/1"
    steps: Final = STEPS

    def __init__(self, peers: int, alpha: float | None, seed: int, flipped: Collection[int] = ()) -> None:
        images, labels = _digits()
        self.layout = [
            Tensor(name=name, shape=list(shape), bound=round(bound * (1 << 24)))
            for name, shape, bound in zip(("w1", "b1", "w2", "b2"), _SHAPES, _BOUNDS, strict=True)
        ]
        test = np.arange(len(labels)) % 5 == 0
        self._test = images[test], labels[test]
        self._own: list[tuple[Rows, Labels]] = []
        self._held_out: list[tuple[Rows, Labels]] = []
        self._luck = [np.random.default_rng([seed, 13, peer]) for peer in range(peers)]
        for peer, rows in enumerate(shares(peers, alpha, seed)):
            mixed = np.random.default_rng([seed, 12, peer]).permutation(rows)
            held, own = np.split(mixed, [round(HELD_OUT * len(mixed))])
            self._held_out.append((images[held], labels[held]))
            self._own.append((images[own], CLASSES - 1 - labels[own] if peer in flipped else labels[own]))

    def train(self, theta: Weights, peer: int, round_number: int) -> tuple[Weights, int, int, Scores]:
        return self.train_for(theta, peer, round_number, STEPS)

    def train_for(self, theta: Weights, peer: int, round_number: int, steps: int) -> tuple[Weights, int, int, Scores]:
        rows, labels = self._own[peer]
        luck = self._luck[peer]
        new = theta.copy()
        for _ in range(steps):
            picked = luck.integers(len(labels), size=min(BATCH, len(labels)))
            new -= np.float32(RATE) * gradient(new, rows[picked], labels[picked])
        return new, steps, steps * BATCH, self.measure(theta, peer)

    def accuracy(self, theta: Weights) -> float:
        """On rows that nobody has."""
        rows, labels = self._test
        return float((logits(theta, rows).argmax(axis=1) == labels).mean())

    def records(self, peer: int) -> list[Record]:
        rows, labels = self._own[peer]
        return [(row.tobytes(), str(label).encode()) for row, label in zip(rows, labels, strict=True)]

    def labels(self, peer: int) -> Mapping[str, int]:
        return dict(sorted(Counter(str(label) for label in self._own[peer][1].tolist()).items()))

    def inspect(self, records: object) -> dict[str, int]:
        return {}

    def measure(self, theta: Weights, peer: int) -> Scores:
        rows, labels = self._held_out[peer]
        right = int((logits(theta, rows).argmax(axis=1) == labels).sum())
        return Scores(examples=len(labels), tp=right, fp=len(labels) - right, fn=0)

    def losses(self, theta: Weights, peer: int) -> tuple[NDArray[np.floating], list[str]]:
        rows, labels = self._held_out[peer]
        scores = logits(theta, rows).astype(np.float64)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return losses(powers / powers.sum(axis=1, keepdims=True), labels), [str(label) for label in labels.tolist()]


def _parts(theta: Weights) -> list[Weights]:
    ends = np.cumsum([int(np.prod(shape)) for shape in _SHAPES])
    return [part.reshape(shape) for part, shape in zip(np.split(theta, ends[:-1]), _SHAPES, strict=True)]


def logits(theta: Weights, rows: Rows) -> Rows:
    w1, b1, w2, b2 = _parts(theta)
    return np.asarray(np.maximum(rows @ w1 + b1, 0) @ w2 + b2)


def gradient(theta: Weights, rows: Rows, labels: Labels) -> Weights:
    """Of the mean cross-entropy."""
    w1, b1, w2, b2 = _parts(theta)
    hidden = np.maximum(rows @ w1 + b1, 0)
    scores = hidden @ w2 + b2
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    scores[np.arange(len(labels)), labels] -= 1
    scores /= len(labels)
    back = (scores @ w2.T) * (hidden > 0)
    found = (rows.T @ back, back.sum(axis=0), hidden.T @ scores, scores.sum(axis=0))
    return np.concatenate([part.ravel() for part in found]).astype(np.float32)
