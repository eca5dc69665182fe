"""The node's side of training: one process, fed with what the machine asks for.

    warm_up            the process starts, and imports jax while the network comes up
    begin(genesis)     it reads the data and compiles            --> DataReady
    train(effect)      one round                                 --> Trained | TrainingFailed

A process that dies is replaced and told everything again, RESTARTS times in one run; data that cannot be read is
the user's to mend and ends the node. This file refuses to know when to train.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gossip import directory as places
from gossip.events import DataReady, Train, Trained, TrainingFailed
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node.config import NodeConfig
from gossip.training.protocol import Loaded, Result
from gossip.training.spec import Metric, ModelSpec
from gossip.training.worker_client import TrainerProcess
from ledger.entry import Data, Genesis
from ledger.errors import LinkError, LocalError

RESTARTS: Final = 3

Post = Callable[[DataReady | Trained | TrainingFailed], Coroutine[Any, Any, None]]
Tell = Callable[..., None]


class Learning:
    """Training for one node. Without data it does nothing, and the peer observes."""

    def __init__(self, config: NodeConfig, salt: bytes, tasks: asyncio.TaskGroup, post: Post, tell: Tell) -> None:
        self._config = config
        self._salt = salt
        self._tasks = tasks
        self._post = post
        self._tell = tell
        self._trainer: TrainerProcess | None = None
        self._genesis: Genesis | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._metrics: Sequence[Metric] = ()
        self._deaths = self._records = self._examples = 0
        self._turn = asyncio.Lock()  # the process answers one question at a time
        self.state = ""  # what the process does before it can train, in plain words
        self.alone: Result | None = None
        self.swarm: Result | None = None
        self.groups: dict[str, tuple[Result, Result]] = {}

    @property
    def wanted(self) -> bool:
        return bool(self._config.data) or self._config.task is not None

    @property
    def epochs(self) -> float:
        """How often this peer has gone through its own rows since the start, on average."""
        return self._examples / self._records if self._records else 0.0

    @property
    def pid(self) -> int | None:
        return self._trainer.pid if self._trainer else None

    async def warm_up(self) -> None:
        """Start the process, if there is anything to train on."""
        if self.wanted:
            self._set_state("importing jax")
            self._trainer = TrainerProcess(self._set_state)
            await self._trainer.spawn()

    def begin(self, genesis: Genesis) -> None:
        """Load, as soon as the model is known; later calls change nothing."""
        if self.wanted and self._genesis is None:
            self._genesis = genesis
            self._metrics = ModelSpec.parse(genesis.model).metrics
            self._tasks.create_task(self._load(genesis), name="load data")

    def train(self, effect: Train) -> None:
        self._tasks.create_task(self._round(effect), name=f"round {effect.round}")

    async def evaluate(self, theta: NDArray[np.float32]) -> dict[str, Any]:
        """Score a model on this peer's held-out rows, between two rounds; `groups` as in the status."""
        if self._trainer is None or self.state:
            raise LocalError("this peer has no held-out rows", next_step="run it with --data")
        async with self._turn:
            evaluated = await self._trainer.evaluate(theta)
        self.swarm = evaluated.swarm
        self.groups = {name: (alone, evaluated.groups[name]) for name, (alone, _) in self.groups.items()}
        return {"sites": self.shown(evaluated.swarm)} | {n: self.shown(row) for n, row in evaluated.groups.items()}

    def shown(self, result: Result | None) -> dict[str, float] | None:
        """Held-out scores for people and JSON; None where nothing is held out."""
        return None if result is None else result.shown(self._metrics)

    async def close(self) -> None:
        if self._trainer is not None:
            await self._trainer.close()
        if self._folder is not None:
            self._folder.cleanup()

    # -------------------------------------------------------------- the process

    async def _load(self, genesis: Genesis) -> None:
        """Have everything read and compiled; LocalError (bad data) ends the node."""
        assert self._trainer is not None
        files, validation = self._files()
        arithmetic = NumpyArithmetic()
        cache = places.cache_path(self._config.directory)
        loaded = await self._trainer.load(
            model=genesis.model, files=files, validation=validation, salt=self._salt,
            start=arithmetic.to_float32(arithmetic.start(genesis.layout, genesis.seed)),
            cache=cache, keep=self._config.directory / "training.npz", licence=self._config.licence,
        )  # fmt: skip
        self.state = ""
        self._records = loaded.records
        await self._post(DataReady(commitment(loaded), loaded.epoch_s))

    async def _round(self, effect: Train) -> None:
        assert self._trainer is not None
        try:
            async with self._turn:
                result = await self._trainer.train(effect.round, effect.theta)
        except LinkError as error:
            await self._replace(error)
            await self._post(TrainingFailed(effect.round, str(error)))
            return
        self.alone, self.swarm, self.groups = result.scores_alone, result.scores_swarm, result.groups
        self._examples += result.examples
        self._tell("scores", alone=self.shown(self.alone), swarm=self.shown(self.swarm), round=effect.round)
        await self._post(
            Trained(effect.round, result.blob, result.steps, result.examples, result.counts, result.seconds)
        )

    async def _replace(self, error: LinkError) -> None:
        """Another process in place of one that died. LinkError again when it keeps dying."""
        self._deaths += 1
        self._tell("trouble", text=f"{error}; starting it again ({self._deaths} of {RESTARTS})")
        if self._deaths > RESTARTS or self._genesis is None or self._trainer is None:
            raise error
        await self._trainer.close()
        self._trainer = TrainerProcess(self._set_state)
        await self._trainer.spawn()
        await self._load(self._genesis)

    def _files(self) -> tuple[list[Path], Path | None]:
        config = self._config
        if config.task is None:
            return list(config.data), config.validation
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="gossip-task-", dir=config.directory)
        train, validation = config.task.save(Path(self._folder.name))
        return [train], validation

    def _set_state(self, state: str) -> None:
        self.state = state
        self._tell("starting", text=state)


def commitment(loaded: Loaded) -> Data:
    """What was loaded, as a data entry; the machine fills in its place in the chain."""
    return Data(
        v=0, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", root=loaded.root, records=loaded.records,
        labels=loaded.labels, duplicates=loaded.duplicates, features=loaded.features, zone="private",
        sources=loaded.sources,
    )  # fmt: skip
