"""Catching up on 1,000 updates: a member that was away links with one that was not, both in this process.

The history is a simulated swarm's, signed and folded by the machines of real nodes; what is timed is real: two such
machines, and between them nothing (what catching up costs in computing, both ends together), or a link over loopback
for each WebRTC library. Time runs from the link to equal heads; beside it stands the processor time of both ends, which
a busy machine changes less. Nothing is written to a disk here: the store's share is in its own section, a few
milliseconds for each batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from time import perf_counter, process_time, time
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from gossip.config import PeerConfig
from gossip.events import Keep, LinkUp, Received, Send, SetTimer, Started, Timer
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import Book, Peer, restore
from gossip.sim import Crash, Scenario, SimSwarm
from gossip.sim.disk import Memory
from tests.transport.joining import BACKENDS, joined

UPDATES: Final = 1_000
AWAY: Final = 3  # the peer that misses them
GOAL_S: Final = 2.0
LIMIT_S: Final = 120.0
TIMES: Final = 3  # the best of them: whatever else runs here only makes it longer


@dataclass(frozen=True, slots=True)
class Took:
    """One run: from the link to equal heads."""

    seconds: float
    computed: float  # of these, by all processors
    updates: int  # that were missing


class Machine:
    """One machine, its timers and its disk."""

    def __init__(self, swarm: SimSwarm, index: int, memory: Memory) -> None:
        shell = swarm.peers[index]
        self.memory = memory
        self.book: Book = restore(
            swarm.swarm_id, swarm.peers[0].self_id, memory.history, memory.blobs.get, NumpyArithmetic()
        )
        self.public = shell.public
        config = PeerConfig(vouch_s=3600, vote_s=3600, verdict_s=3600)
        self.peer = Peer(
            config, key=shell._key, self_id=shell.self_id, book=self.book, shelf=memory, luck=Random(1),
            mark=memory.mark,
        )  # fmt: skip
        self.timers: dict[str, float] = {}
        self.out: deque[bytes] = deque()
        self.feed(Started())

    def feed(self, event: Started | LinkUp | Received | Timer) -> None:
        for effect in self.peer.handle(event, time()):
            match effect:
                case Send(_, message):
                    self.out.append(message)
                case Keep(log, seq, entry, blob):
                    self.memory.put(log, seq, entry, blob)
                case SetTimer(name, at):
                    self.timers[name] = at
                case _:
                    pass

    def ring(self) -> None:
        now = time()
        for name in [name for name, at in self.timers.items() if at <= now]:
            del self.timers[name]
            self.feed(Timer(name))


@cache
def history(updates: int) -> SimSwarm:
    """A swarm of four of which one missed nearly all."""
    each_s = 1.1 / 3
    scenario = Scenario(
        peers=4, seconds=5 + updates * each_s, round_s=1.0, seed=1, crashes=(Crash(AWAY, 4.0, 1e9),), settle_s=0.5,
        config=PeerConfig(vouch_s=3600, vote_s=3600, adapts=False, tempo="eager"), delay_s=0.001, jitter_s=0.001,
    )  # fmt: skip
    swarm = SimSwarm(scenario)
    swarm.run()
    return swarm


def pair(updates: int) -> tuple[Machine, Machine, int]:
    """Who was there, who was not, and how many updates that one lacks."""
    swarm = history(updates)
    there = Machine(swarm, 1, swarm.peers[1].memory.copy())
    away = Machine(swarm, AWAY, swarm.peers[AWAY].memory.copy())
    lacking = sum(1 for _ in there.book.replica.updates) - sum(1 for _ in away.book.replica.updates)
    return there, away, lacking


def is_done(there: Machine, away: Machine) -> bool:
    return away.book.replica.admitted >= there.book.replica.admitted


def meet(there: Machine, away: Machine) -> None:
    away.feed(LinkUp(1, there.public, dialled=True))
    there.feed(LinkUp(1, away.public, dialled=False))


def in_memory(updates: int = UPDATES) -> Took:
    """Without a link: what both machines compute."""
    there, away, lacking = pair(updates)
    begun, computed = perf_counter(), process_time()
    meet(there, away)
    while not is_done(there, away) and perf_counter() < begun + LIMIT_S:
        for one, other in ((there, away), (away, there)):
            one.ring()
            while one.out:
                other.feed(Received(1, one.out.popleft()))
    assert is_done(there, away)
    return Took(perf_counter() - begun, process_time() - computed, lacking)


async def over_link(backend: str, updates: int = UPDATES) -> Took:
    """Over a real link on loopback."""
    there, away, lacking = pair(updates)
    async with joined((backend, backend)) as (one, two):
        begun, computed = perf_counter(), process_time()
        meet(there, away)

        async def send(machine: Machine, end: object) -> None:
            while True:
                machine.ring()
                while machine.out:
                    message = machine.out.popleft()
                    await end.send(message, bulk=message[:1] == b"\x06")  # type: ignore[attr-defined]
                await asyncio.sleep(0.001)

        async def receive(machine: Machine, end: object) -> None:
            while True:
                machine.feed(Received(1, await end.receive()))  # type: ignore[attr-defined]

        tasks = [asyncio.create_task(job) for job in (
            send(there, one), send(away, two), receive(there, one), receive(away, two))]  # fmt: skip
        while not is_done(there, away) and perf_counter() < begun + LIMIT_S:
            await asyncio.sleep(0.002)
        took = Took(perf_counter() - begun, process_time() - computed, lacking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert is_done(there, away)
        return took


def measure(*, quick: bool = False) -> Section:
    updates = UPDATES // 5 if quick else UPDATES
    figures = []
    rows: list[tuple[str, Callable[[], Took]]] = [("both machines, no link", lambda: in_memory(updates))]
    for backend in BACKENDS:
        rows += [(backend, lambda backend=backend: asyncio.run(over_link(backend, updates)))]  # type: ignore[misc]
    for name, run in rows:
        took = min((run() for _ in range(1 if quick else TIMES)), key=lambda took: took.seconds)
        goal = Goal(GOAL_S) if updates == UPDATES else None
        note = f"{took.updates} updates, {took.computed:.2f} s of processor"
        figures.append(Figure(name, took.seconds, "s", goal, digits=2, note=note))
    return Section(
        "catching up on updates that a member missed, over loopback, both ends in one process", tuple(figures)
    )
