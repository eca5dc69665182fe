"""A hostile member as a real node: real links, real store, the real machine, and a learner that means harm.

    machine --Train--> HostileLearning --Program (hostile.py)--> Trained, with what the program says --> machine

Without data it trains nothing, and starts in a second: it makes up a data entry, waits until somebody else has
published, and answers every round at once. With data it trains as anybody does, and says something else. It knows no
friends: of several in one swarm each takes the others for honest.

It refuses to break the protocol: whoever does that is put out by it, and is another page (tests/e2e/test_hostile.py).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from gossip.events import DataReady, Note, Train, Trained, TrainingFailed
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node import Node, NodeConfig
from gossip.node.learning import Learning, Post, Tell
from gossip.node.own_data import Own
from gossip.training.spec import ModelSpec
from ledger.entry import GRID_ONE, Data, Genesis, Scores
from tests.attack.hostile import Program, Sight, dense, newest_deltas, spoken
from tests.attack.vectors import Vector, Vectors

ROWS: Final = 100  # that it says it has of each class, if it has none
ROUND_S: Final = 0.1  # that it says a round took


class HostileLearning(Learning):
    """In the place of a node's Learning."""

    def __init__(
        self, config: NodeConfig, own: Own, tasks: asyncio.TaskGroup, post: Post, tell: Tell, *,
        program: Program, others: Callable[[], Vectors],
    ) -> None:  # fmt: skip
        super().__init__(config, own, tasks, self._turn_around, tell)
        self._say, self._program, self._others = post, program, others
        self._theta: Vector = np.zeros(0, dtype=np.float32)
        self._luck = np.random.default_rng()
        self.has_heard = asyncio.Event()  # an update of somebody else

    def begin(self, genesis: Genesis) -> None:
        if self.wanted:
            super().begin(genesis)
        elif self._genesis is None:
            self._genesis = genesis
            self._tasks.create_task(self._say(DataReady(made_up(genesis), ROUND_S)))

    def train(self, effect: Train) -> None:
        self._theta = effect.theta
        if self.wanted:
            super().train(effect)
        else:
            self._tasks.create_task(self._pretend(effect.round))

    async def _pretend(self, number: int) -> None:
        await self.has_heard.wait()
        nothing = Scores(examples=0, tp=0, fp=0, fn=0)
        await self._turn_around(Trained(number, b"", 1, ROWS, nothing, ROUND_S))

    async def _turn_around(self, event: DataReady | Trained | TrainingFailed) -> None:
        """Say it, but for what was learned."""
        await self._say(replace(event, blob=self._blob(event.blob)) if isinstance(event, Trained) else event)

    def _blob(self, learned: bytes) -> bytes:
        assert self._genesis is not None
        size = len(self._theta)
        nothing = np.zeros(size, np.float32)
        own = dense(NumpyArithmetic().decode(learned, size)) if learned else nothing
        honest = self._others()
        sight = Sight(
            theta=self._theta, own=own, honest=honest if len(honest) else own[np.newaxis], wanted=nothing, friends=1,
            peers=1 + len(honest), eta=self._genesis.fold.eta / GRID_ONE, luck=self._luck,
        )  # fmt: skip
        return spoken(self._program, sight)


class HostileNode(Node):
    """Runs until it is asked to stop, as any node does."""

    def __init__(self, config: NodeConfig, program: Program, on_note: Callable[[Note], None]) -> None:
        super().__init__(config, on_note)
        self._program = program

    def _learner(self, own: Own, tasks: asyncio.TaskGroup) -> Learning:
        return HostileLearning(
            self._config, own, tasks, self._post, self._tell, program=self._program, others=self._honest
        )

    def _honest(self) -> Vectors:
        return newest_deltas(self._book, frozenset({self._meta["self"]}))

    def _note(self, note: Note) -> None:
        super()._note(note)
        if note.kind == "merged" and isinstance(self._learning, HostileLearning):
            self._learning.has_heard.set()


def made_up(genesis: Genesis) -> Data:
    """A commitment to rows that nobody has; the machine fills in its place in the chain."""
    spec = ModelSpec.parse(genesis.model)
    return Data(
        v=0, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", root=secrets.token_hex(32),
        records=ROWS * len(spec.classes), labels=dict.fromkeys(sorted(spec.classes), ROWS), duplicates=0,
        features=spec.feature_spec, zone="private", sources=[],
    )  # fmt: skip
