"""What is compared, and what came of it: plain values, and what they ask of a learning problem.

Time is counted in rounds: the time that a peer of middling speed takes for one round of local training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ledger.entry import Tensor
from ledger.errors import LocalError

Theta = NDArray[np.float32]
Job = tuple[int, int, Theta]  # peer, number of its round, weights to start from

SAMPLES: Final = 16  # points of a curve


class Work(Protocol):
    """A learning problem for all peers at once. Deterministic: the same calls give the same answers."""

    @property
    def layout(self) -> Sequence[Tensor]:
        """The tensors of the model, in storage order, with the bounds of their starting weights."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """Rows that each peer has."""
        ...

    def train(self, jobs: Sequence[Job]) -> Sequence[Theta]:
        """One round of local training for each job."""
        ...

    def accuracies(self, models: NDArray[np.float32]) -> NDArray[np.floating]:
        """The accuracy of each row of `models`, of row i as peer i is judged, 0..1."""
        ...


@dataclass(frozen=True)
class Setting:
    """A crowd and its troubles. Durations in rounds."""

    peers: int = 32
    rounds: float = 180.0
    seed: int = 0
    away: float = 0.3
    """Share of the time that a peer is away; what it was training then is lost."""
    session: float = 20.0
    """How long it stays at a time, on average."""
    spread: float = 0.5
    """A round takes a peer 1 - spread to 1 + spread rounds, drawn once for each."""
    slow: Mapping[int, float] = field(default_factory=dict)
    """Factors on that."""
    absences: tuple[tuple[int, float, float], ...] = ()
    """Peer, from, until: besides those drawn by `away`."""
    cuts: tuple[tuple[tuple[int, ...], float, float], ...] = ()
    """Peers, from, until: they hear nobody else meanwhile, and nobody else hears them."""
    delay: float = 0.1
    """Of a message: half of it to all of it and a half."""
    loss: float = 0.0
    """Share of messages lost. The fold fetches what it finds missing later; a whole model is gone."""
    pause: float = 0.1
    """After each round, so that what is under way can come in."""
    fan_out: int = 1
    """Peers to whom a whole model is sent after a round. Updates of the fold reach everybody."""
    eta: float = 1.0
    density: float | None = None
    """Share of a delta that is kept; None: by the size of the model, as in a swarm."""
    norm0: float = 1.0

    def __post_init__(self) -> None:
        if self.peers < 1 or self.rounds <= 0 or self.fan_out < 1:
            raise LocalError("nothing to compare", next_step="ask for at least one peer, one round and a fan-out of 1")
        if not (0 <= self.away < 1 and 0 <= self.loss < 1 and 0 <= self.spread < 1) or min(self.delay, self.pause) < 0:
            raise LocalError("a setting is impossible", next_step="shares lie in 0..1, durations are not negative")
        if self.session <= 0 or any(factor <= 0 for factor in self.slow.values()):
            raise LocalError("a setting is impossible", next_step="sessions and factors of slowness are above 0")


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a run."""

    time: float  # rounds
    mean: float
    worst: float
    variance: float  # between peers
    bytes_received: float  # per peer, on average

    @staticmethod
    def of(time: float, accuracies: NDArray[np.floating], received: float) -> Sample:
        return Sample(
            float(time), float(accuracies.mean()), float(accuracies.min()), float(accuracies.var()), float(received)
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one rule."""

    rule: str
    accuracies: tuple[float, ...]  # of each peer's model at the end, whether it is there or away
    bytes_received: tuple[int, ...]  # by each: deltas, or whole models; no framing, no ledger
    trained: tuple[int, ...]  # rounds that each has finished
    curve: tuple[Sample, ...]
    model: NDArray[np.int64] | None = None  # fold: the sum of all updates, grid 2^-40

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))

    @property
    def worst(self) -> float:
        return min(self.accuracies)

    @property
    def variance(self) -> float:
        """Between peers."""
        return float(np.var(self.accuracies))

    @property
    def received(self) -> float:
        """Bytes per peer, on average."""
        return float(np.mean(self.bytes_received))

    def as_json(self) -> dict[str, object]:
        return {
            "rule": self.rule,
            "accuracy_mean": round(self.mean, 4),
            "accuracy_worst": round(self.worst, 4),
            "accuracy_spread": round(self.variance, 6),
            "bytes_per_peer": round(self.received),
            "rounds": sum(self.trained),
            "curve": [
                {"time": round(at.time, 2), "mean": round(at.mean, 4), "worst": round(at.worst, 4),
                 "spread": round(at.variance, 6), "bytes_per_peer": round(at.bytes_received)}
                for at in self.curve
            ],
        }  # fmt: skip
