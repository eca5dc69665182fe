"""Real nodes: a founder that trained for months, and somebody who comes late.

The founder's months are lived by its machine on its real directory, in virtual time and without a trainer; what follows
are two nodes with stores, links and clocks of their own.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import pytest

from gossip import Node, NodeConfig
from gossip import directory as places
from gossip.config import PeerConfig
from gossip.events import (
    Append,
    DataReady,
    Effect,
    Event,
    Keep,
    KeepCheckpoint,
    KeepCosigned,
    KeepModel,
    KeepVote,
    KeepWitnessed,
    LinkDown,
    LinkUp,
    Note,
    Received,
    Send,
    SetTimer,
    Started,
    Stored,
    Timer,
    Train,
    Trained,
    WitnessedStored,
)
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import ErrorFeedback
from gossip.node.kept_model import KeptModel
from gossip.node.writer import Writer
from gossip.peer import Peer, restore
from gossip.setup import create_swarm, enrol, make_ticket
from gossip.sim.station import commitment
from ledger.entry import Finality, Scores
from ledger.keys import PrivateKey
from ledger.mark import SignedMark, WitnessMark
from ledger.store import Store

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e-two"),
]
MODEL = (Path(__file__).resolve().parents[2] / "examples" / "own_model.json").read_text()
UPDATES = 320  # a late joiner looks for a snapshot from 256 entries missing on
ROUND_S = 60.0
WITHIN_S = 240.0


class Life:
    """A machine on its real directory; `months` carries what it says and how time goes."""

    def __init__(self, months: Months, directory: Path, config: PeerConfig) -> None:
        self.months = months
        self._store = Store(places.store_path(directory))
        self._reader = Store.open_readonly(places.store_path(directory))
        swarm, founder, own = (self._store.meta(name).decode() for name in ("swarm", "founder", "self"))
        self.own, self._mark = own, SignedMark(places.mark_path(directory))
        self._writer = Writer(
            self._store, self._reader, WitnessMark(places.witness_path(directory)), own, self._told, self._told,
            KeptModel(places.model_path(directory)),
        )  # fmt: skip
        self.book = restore(swarm, founder, self._store.history(), self._store.blob, NumpyArithmetic())
        key, signed = PrivateKey.load(places.current_key_path(directory)), self._mark.read()
        self.public = key.public
        enrolling = b"" if self.book.replica.enrolled(own) else self._store.entry(own, 0) or b""
        self.peer = Peer(
            replace(config, enrol=enrolling), key=key, self_id=own, book=self.book, shelf=self._writer, luck=Random(0),
            mark=(signed.size, signed.root) if signed is not None else None,
        )  # fmt: skip
        self.timers: dict[str, float] = {}
        self._luck = np.random.default_rng(0)
        self._feedback: ErrorFeedback | None = None

    async def _told(self, *about: object) -> None:
        """All of it is on disk at the end; the machine was told at once."""

    async def close(self) -> None:
        await self._writer.close()
        self._reader.close()
        self._store.close()

    def carry_out(self, effect: Effect) -> None:
        later = self.months.later
        match effect:
            case Append(seq):
                self._writer.put(effect)
                later(self, 0.0, Stored(seq))
            case KeepVote(log, size) | KeepWitnessed(log, size):
                self._writer.put(effect)
                later(self, 0.0, WitnessedStored(log, size))
            case Keep() | KeepCosigned() | KeepModel():
                self._writer.put(effect)
            case KeepCheckpoint(log, size):
                if log == self.own and effect.held is None:
                    self._mark.write(size, self.book.replica.root(log, size).hex())
                self._writer.put(effect)
            case Train(number, theta):
                self._feedback = self._feedback or ErrorFeedback(len(theta), 0.1)
                blob = self._feedback.compress(self._luck.normal(0, 0.01, theta.shape).astype(np.float32))
                scores = Scores(examples=10, tp=4, fp=1, fn=1)
                later(self, ROUND_S, Trained(number, blob, steps=1, examples=10, scores=scores, seconds=ROUND_S))
            case SetTimer(name, at):
                self.timers[name] = self.months.at(self, at, Timer(name))
            case Send(_, message):
                for other in self.months.lives:
                    if other is not self:
                        later(other, 0.01, Received(1, message))
            case _:
                pass


class Months:
    """A founder that trains, and a member that comes to see it and goes again: whoever is alone needs no witness."""

    def __init__(self, founder: Path, guest: Path) -> None:
        self.now = time.time() - 2 * UPDATES * ROUND_S
        self._due: list[tuple[float, int, Life, Event]] = []
        self._count = 0
        self._founder = Life(self, founder, PeerConfig())
        self._guest = Life(self, guest, PeerConfig(known=(self._founder.public,)))
        self.lives = [self._founder, self._guest]

    def later(self, life: Life, after_s: float, event: Event) -> None:
        self.at(life, self.now + after_s, event)

    def at(self, life: Life, at: float, event: Event) -> float:
        self._count += 1
        at = max(at, self.now)
        heapq.heappush(self._due, (at, self._count, life, event))
        return at

    async def pass_by(self, updates: int) -> int:
        """The founder trains so often: how many of its snapshots are final by then."""
        replica, own = self._founder.book.replica, self._founder.own
        for life in self.lives:
            self.later(life, 0.0, Started())
        self.later(self._founder, 0.0, LinkUp(1, self._guest.public, dialled=False, role="observer"))
        self.later(self._guest, 0.0, LinkUp(1, self._founder.public, dialled=True))
        self._run(lambda: bool(replica.role_of(self._guest.own)))
        self.lives.remove(self._guest)
        self.later(self._founder, 0.0, LinkDown(1, "its lid was closed"))
        self.later(self._founder, 0.0, DataReady(commitment(0), ROUND_S))
        self._run(lambda: sum(1 for _ in replica.updates) >= updates)
        for life in (self._founder, self._guest):
            await life.close()
        return sum(isinstance(replica.entry(own, seq), Finality) for seq in range(replica.size(own)))

    def _run(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            self.now, _, life, event = heapq.heappop(self._due)
            if life not in self.lives:
                continue
            if isinstance(event, Timer):
                if life.timers.get(event.name) != self.now:
                    continue  # set anew since
                del life.timers[event.name]
            for effect in life.peer.handle(event, self.now):
                life.carry_out(effect)


async def test_who_comes_late_uses_a_final_snapshots_model_at_once_and_finds_it_right(tmp_path: Path) -> None:
    ann, bea, cara = tmp_path / "ann", tmp_path / "bea", tmp_path / "cara"
    create_swarm(ann, name="digits", task="digits", model_text=MODEL, peer_name="ann", seed=1)
    enrol(cara, make_ticket(ann), "cara")
    assert await Months(ann, cara).pass_by(UPDATES) > 1
    assert places.model_path(ann).stat().st_size > 8 * 2_000
    ticket = make_ticket(ann)
    enrol(bea, ticket, "bea")

    notes: list[Note] = []
    states: list[tuple[str, str]] = []  # kind of note, and what the model in use was said to be then
    done = asyncio.Event()

    def heard(note: Note) -> None:
        notes.append(note)
        states.append((note.kind, joiner.status()["model"]))
        if note.kind in ("verified", "trouble"):
            done.set()

    founder = Node(NodeConfig(directory=ann, interface="lo"), lambda note: None)
    joiner = Node(NodeConfig(directory=bea, interface="lo", ticket=ticket), heard)
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        nodes = [group.create_task(node.run()) for node in (founder, joiner)]
        await done.wait()
        last = joiner.status()
        for node in (founder, joiner):
            node.request_stop()
    assert all(node.done() for node in nodes)
    said = {note.kind: note.fields for note in notes}
    assert ("arrived", "from a snapshot, being verified") in states
    assert said["verified"]["model"] == said["arrived"]["model"]
    assert said["arrived"]["updates"] > UPDATES // 2
    assert said["arrived"]["bytes"] == places.model_path(ann).stat().st_size
    assert last["model"] == "folded"
    kept = places.model_path(bea).read_bytes()  # for whoever comes next
    assert sha256(kept).hexdigest() == said["verified"]["model"]
