"""Tasks of one's own in the simulator: the real data, the real JAX learner, in virtual time.

    tasks[p] --ModelSpec--> rows of peer p --Learner.round--> new weights
                            records --commitment, opening--> inspect, with an engine
                            held-out rows --measure--> counts that others' updates are judged by

One compiled program serves all peers. Loaded only when tasks are given: simulations of the protocol need no jax.
It is here to try a task before anybody runs a node; scores are those a node would publish, and others' work is looked
at as a node does: opened records by the engine given (none: labels are not judged), updates on own held-out rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gossip.filterlists.engine import Engine
from gossip.filterlists.inspect import inspect, inspect_numbers
from gossip.sim.toy import Record, Weights
from gossip.training.blocks import Block, Sampler
from gossip.training.checks import few
from gossip.training.dataset import DataSet, read_data
from gossip.training.learner import Learner, padding_of, width_of
from gossip.training.metrics import Scored
from gossip.training.spec import ModelSpec, UrlGrams
from gossip.training.task import FileTask, Task, records_of
from ledger.entry import Scores


@dataclass(frozen=True, slots=True)
class _Own:
    """What one peer has."""

    data: DataSet
    records: tuple[Record, ...]
    judged_by: Block | None
    sampler: Sampler


class TaskTrainer:
    """A sim Trainer, and a Keeper, over one task for each peer. LocalError if a task does not fit the model."""

    def __init__(
        self, spec: ModelSpec, tasks: Sequence[Task | FileTask], seed: int, engine: Engine | None = None
    ) -> None:
        self.layout = spec.layout()
        self.features = spec.feature_spec
        self._spec = spec
        self._engine = engine
        self._learner = Learner(spec)
        self._open = ExitStack()
        with ExitStack() as opened:
            self._peers = [self._read(task, peer, seed, opened) for peer, task in enumerate(tasks)]
            self._open = opened.pop_all()

    def _read(self, task: Task | FileTask, peer: int, seed: int, opened: ExitStack) -> _Own:
        spec = self._spec
        with tempfile.TemporaryDirectory() as folder:
            if isinstance(task, FileTask):
                files, validation = list(task.files), task.held_out
            else:
                rows, validation = task.save(Path(folder))
                files = [rows]
            data = read_data(spec, files, validation, salt=sha256(f"{seed}/{peer}".encode()).digest())
            opened.callback(data.rows.close)
            share = 0.0 if validation else spec.validation_share
            records = tuple(records_of(spec, files, held_out_share=share))
        sampler = Sampler(data.rows, width=width_of(spec), padding=padding_of(spec), seed=seed + peer)
        return _Own(data, records, few(data.held_out) if data.held_out is not None else None, sampler)

    @property
    def steps(self) -> int:
        return self._spec.local_steps

    def train(self, theta: Weights, peer: int, round_number: int) -> tuple[Weights, int, int, Scores]:
        return self.train_for(theta, peer, round_number, self.steps)

    def train_for(self, theta: Weights, peer: int, round_number: int, steps: int) -> tuple[Weights, int, int, Scores]:
        batches = self._learner.sample(self._peers[peer].sampler, steps)
        new = self._learner.round(theta, batches)
        return new, steps, steps * self._spec.batch, _counts(self._score(theta, peer))

    def accuracy(self, theta: Weights) -> float | None:
        """The mean F1 over all peers' held-out rows (where every class counts, that is the share of right answers)."""
        scored = [found.f1 for peer in range(len(self._peers)) if (found := self._score(theta, peer)) is not None]
        return sum(scored) / len(scored) if scored else None

    def records(self, peer: int) -> Sequence[Record]:
        return self._peers[peer].records

    def labels(self, peer: int) -> Mapping[str, int]:
        return self._peers[peer].data.labels

    def inspect(self, records: Sequence[Record]) -> dict[str, int]:
        features = self._spec.features
        if isinstance(features, UrlGrams):
            return inspect(records, self._engine)
        return inspect_numbers(records, features.columns, self._spec.classes)

    def measure(self, theta: Weights, peer: int) -> Scores:
        rows = self._peers[peer].judged_by
        return _counts(self._learner.score(theta, rows) if rows is not None else None)

    def _score(self, theta: Weights, peer: int) -> Scored | None:
        rows = self._peers[peer].data.held_out
        return None if rows is None else self._learner.score(theta, rows)

    def close(self) -> None:
        self._open.close()


def _counts(scored: Scored | None) -> Scores:
    if scored is None:
        return Scores(examples=0, tp=0, fp=0, fn=0)
    return Scores(examples=scored.examples, tp=scored.tp, fp=scored.fp, fn=scored.fn)
