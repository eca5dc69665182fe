"""The node's side of training: one process, fed with what the machine asks for.

    warm_up            the process starts, and imports jax while the network comes up
    begin(genesis)     it reads the data and compiles            --> DataReady
    train(effect)      one round                                 --> Trained | TrainingFailed
    borrow(effect)     others' rows beside its own, or no more   --> DataReady

A process that dies is replaced and told everything again, RESTARTS times in one run; data that cannot be read is
the user's to mend and ends the node. A privacy budget that is spent ends training, and the peer goes on observing;
a round that diverges is told, and what follows is the machine's to say.
This file refuses to know when to train, and what zone data have (own_data.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from gossip import directory as places
from gossip.events import Borrow, DataReady, DropRows, KeepRows, Train, Trained, TrainingFailed
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node.config import NodeConfig
from gossip.node.own_data import Own, commitment
from gossip.training.budget import NothingLeft
from gossip.training.divergence import Diverged
from gossip.training.protocol import Judge, Judged, Progress, Result
from gossip.training.spec import Metric, ModelSpec
from gossip.training.worker_client import TrainedResult, TrainerProcess
from ledger.entry import Claim, Genesis
from ledger.errors import LinkError, LocalError

RESTARTS: Final = 3

Post = Callable[[DataReady | Trained | TrainingFailed], Coroutine[Any, Any, None]]
Tell = Callable[..., None]
T = TypeVar("T")


class Replaced(LinkError):
    """The training process died over a question, and another has taken its place."""


class Learning:
    """Training for one node. Without data it does nothing, and the peer observes."""

    def __init__(
        self, config: NodeConfig, own: Own, tasks: asyncio.TaskGroup, post: Post, tell: Tell,
        cores: Sequence[int] = (), begun: TrainerProcess | None = None,
    ) -> None:  # fmt: skip
        """`begun`: the first process, if it was started ahead."""
        self._config = config
        self._own = own
        self._tasks = tasks
        self._post = post
        self._tell = tell
        self.cores = tuple(cores)  # that both processes of this node keep to; none: any
        self._begun = begun
        self._trainer: TrainerProcess | None = None
        self._genesis: Genesis | None = None
        self._metrics: Sequence[Metric] = ()
        self._steps = 0  # of one round, as the model declares
        self._deaths = self._records = self._examples = 0
        self._turn = asyncio.Lock()  # the process answers one question at a time
        self._lent_turn = asyncio.Lock()  # what is lent is kept, and used, in order
        self.state = ""  # what the process does before it can train, in plain words
        self.reading: Progress | None = None  # how far reading is, while it lasts
        self.alone: Result | None = None
        self.swarm: Result | None = None
        self.groups: dict[str, tuple[Result, Result]] = {}
        self.claim = Claim()  # of privacy; all 0: none
        self.spent = 0  # of it, thousandths of epsilon

    @property
    def wanted(self) -> bool:
        return self._config.trains

    @property
    def detail(self) -> str:
        """`state`, and how much of it is done: "reading data 43%"."""
        reading = self.reading
        return f"{self.state} {100 * reading.bytes // reading.of}%" if reading and reading.of else self.state

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
            self._progress(Progress(state="importing jax"))
            if self._begun is not None:
                self._trainer = self._begun
                self._trainer.tell(self._progress)
                return
            self._trainer = self._process()
            await self._trainer.spawn()

    def begin(self, genesis: Genesis) -> None:
        """Load, as soon as the model is known; later calls change nothing."""
        if self.wanted and self._genesis is None:
            self._genesis = genesis
            spec = ModelSpec.parse(genesis.model)
            self._metrics, self._steps = spec.metrics, spec.local_steps
            self._tasks.create_task(self._load(genesis), name="load data")

    async def relabelled(self) -> int:
        """How many judgements stand, if there is anything here that they are judgements of: then the data are to be
        read again. LocalError if they cannot be read."""
        if not self.wanted:
            raise LocalError("this peer trains on no data", next_step="run it with --data; what you judged is kept")
        return await asyncio.to_thread(self._own.judged)

    def train(self, effect: Train) -> None:
        self._tasks.create_task(self._round(effect), name=f"round {effect.round}")

    def borrow(self, effect: KeepRows | DropRows | Borrow) -> None:
        """Keep rows that others lend, or remove them; or train on just these beside own ones, and say when that is
        ready."""
        self._tasks.create_task(self._borrow(effect), name="rows of others")

    async def evaluate(self, theta: NDArray[np.float32]) -> dict[str, Any]:
        """Score a model on this peer's held-out rows, between two rounds; `groups` as in the status."""
        if self._trainer is None or self.state:
            raise LocalError("this peer has no held-out rows", next_step="run it with --data")
        evaluated = await self._ask(lambda trainer: trainer.evaluate(theta))
        self.swarm = evaluated.swarm
        self.groups = {name: (alone, evaluated.groups[name]) for name, (alone, _) in self.groups.items()}
        return {"sites": self.shown(evaluated.swarm)} | {n: self.shown(row) for n, row in evaluated.groups.items()}

    async def judge(self, asked: Judge, models: Sequence[NDArray[np.float32]]) -> Judged | None:
        """Compare models between two rounds; None if nothing is loaded. Raises as a round does."""
        if self._trainer is None or self.state:
            return None
        return await self._ask(lambda trainer: trainer.judge(asked, models))

    def shown(self, result: Result | None) -> dict[str, float] | None:
        """Held-out scores for people and JSON; None where nothing is held out."""
        return None if result is None else result.shown(self._metrics)

    async def close(self) -> None:
        if self._trainer is not None:
            await self._trainer.close()

    # -------------------------------------------------------------- the process

    async def _load(self, genesis: Genesis) -> None:
        """Have everything read and compiled; LocalError (bad data) ends the node."""
        assert self._trainer is not None
        try:
            await asyncio.to_thread(self._own.reread)
        except LocalError as error:
            if not self._records:  # at the start: for its owner to mend, as files are
                raise
            self._tell("trouble", text=f"own judgements cannot be read, and stay as they were: {error}")
        own = await self._own.data(genesis.model)
        # A million draws take 0.1 s of hashing: not on the loop.
        start = await asyncio.to_thread(_start_of, genesis)
        loaded, sketch = await self._trainer.load(
            own, start,
            cache=self._config.cache or places.cache_path(self._config.directory),
            keep=self._config.directory / "training.npz",
            licence=self._config.licence, lists=self._config.lists,
            epsilon=self._config.epsilon, account=places.account_path(self._config.directory),
        )  # fmt: skip
        self.state, self.reading = "", None
        self._records = loaded.records
        self.claim, self.spent = loaded.privacy, loaded.spent
        await self._post(DataReady(commitment(own, loaded, sketch), loaded.epoch_s, sketch, self._steps))

    async def _borrow(self, effect: KeepRows | DropRows | Borrow) -> None:
        genesis, lent = self._genesis, self._own.borrowed
        if genesis is None or self._trainer is None:
            return  # nothing is trained here
        async with self._lent_turn:
            match effect:
                case KeepRows():
                    await asyncio.to_thread(lent.keep, genesis.model, effect)
                case DropRows():
                    lent.drop(effect)
                case Borrow():
                    lent.use(effect)
                    with suppress(Replaced):  # another process has read them
                        await self._ask(lambda trainer: self._load(genesis))

    async def _ask(self, question: Callable[[TrainerProcess], Awaitable[T]]) -> T:
        """One question, when it is its turn. Replaced if the process died over it, LinkError if it keeps dying."""
        async with self._turn:
            assert self._trainer is not None
            try:
                return await question(self._trainer)
            except LinkError as error:
                await self._replace(error)
                raise Replaced(error.what, why=error.why, next_step=error.next_step) from error

    async def _round(self, effect: Train) -> None:
        try:
            result = await self._ask(lambda trainer: self._trained(trainer, effect))
        except (Replaced, NothingLeft, Diverged) as error:
            await self._post(TrainingFailed(effect.round, str(error), is_over=not isinstance(error, Diverged)))
            return
        self.alone, self.swarm, self.groups = result.scores_alone, result.scores_swarm, result.groups
        self._examples += result.examples
        self.spent = result.epsilon
        self._tell("scores", alone=self.shown(self.alone), swarm=self.shown(self.swarm), round=effect.round)
        await self._post(
            Trained(
                effect.round, result.blob, result.steps, result.examples, result.counts, result.seconds, result.epsilon
            )
        )

    async def _trained(self, trainer: TrainerProcess, effect: Train) -> TrainedResult:
        return await trainer.train(
            effect.round, effect.theta, spent=effect.spent, steps=effect.steps, density=effect.density_permille,
            published=effect.published,
        )  # fmt: skip

    async def _replace(self, error: LinkError) -> None:
        """Another process in place of one that died. LinkError again when it keeps dying."""
        self._deaths += 1
        self._tell("trouble", text=f"{error}; starting it again ({self._deaths} of {RESTARTS})")
        if self._deaths > RESTARTS or self._genesis is None or self._trainer is None:
            raise error
        await self._trainer.close()
        self._trainer = self._process()
        await self._trainer.spawn()
        await self._load(self._genesis)

    def _process(self) -> TrainerProcess:
        return TrainerProcess(self._progress, cores=self.cores)

    def _progress(self, progress: Progress) -> None:
        self.reading = progress if progress.state == "reading data" else None
        if progress.state != self.state:
            self.state = progress.state
            self._tell("starting", text=progress.state)


def _start_of(genesis: Genesis) -> NDArray[np.float32]:
    arithmetic = NumpyArithmetic()
    return arithmetic.to_float32(arithmetic.start(genesis.layout, genesis.seed))
