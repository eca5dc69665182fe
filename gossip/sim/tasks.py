"""Tasks of one's own in the simulator: the real data, the real JAX learner, in virtual time.

    tasks[p].train() --ModelSpec--> rows of peer p --Learner.round--> new weights

One compiled program serves all peers. Loaded only when tasks are given: simulations of the protocol need no jax.
It is here to try a task before anybody runs a node; scores are those a node would publish.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from gossip.sim.toy import Weights
from gossip.training.blocks import Sampler
from gossip.training.dataset import DataSet, read_data
from gossip.training.learner import Learner, padding_of, width_of
from gossip.training.metrics import Scored
from gossip.training.spec import ModelSpec
from gossip.training.task import Task
from ledger.entry import Scores


class TaskTrainer:
    """A sim Trainer over one task for each peer. LocalError if a task does not fit the model."""

    def __init__(self, spec: ModelSpec, tasks: Sequence[Task], seed: int) -> None:
        self.layout = spec.layout()
        self._spec = spec
        self._learner = Learner(spec)
        self._data = [self._read(task, f"{seed}/{peer}") for peer, task in enumerate(tasks)]
        self._samplers = [
            Sampler(data.rows, width=width_of(spec), padding=padding_of(spec), seed=seed + peer)
            for peer, data in enumerate(self._data)
        ]

    def _read(self, task: Task, salt: str) -> DataSet:
        with tempfile.TemporaryDirectory() as folder:
            rows, validation = task.save(Path(folder))
            return read_data(self._spec, [rows], validation, salt=sha256(salt.encode()).digest())

    def train(self, theta: Weights, peer: int, round_number: int) -> tuple[Weights, int, int, Scores]:
        batches = self._learner.sample(self._samplers[peer])
        new = self._learner.round(theta, batches)
        scored = self._score(theta, peer)
        counts = (scored.examples, scored.tp, scored.fp, scored.fn) if scored else (0, 0, 0, 0)
        scores = Scores(examples=counts[0], tp=counts[1], fp=counts[2], fn=counts[3])
        return new, self._spec.local_steps, self._spec.local_steps * self._spec.batch, scores

    def accuracy(self, theta: Weights) -> float | None:
        """The mean F1 over all peers' held-out rows (where every class counts, that is the share of right answers)."""
        scored = [found.f1 for peer in range(len(self._data)) if (found := self._score(theta, peer)) is not None]
        return sum(scored) / len(scored) if scored else None

    def _score(self, theta: Weights, peer: int) -> Scored | None:
        rows = self._data[peer].held_out
        return None if rows is None else self._learner.score(theta, rows)

    def close(self) -> None:
        for data in self._data:
            data.rows.close()
