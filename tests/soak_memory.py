"""Memory over a long run: one machine with a real store, in a process of its own, through 10,000 updates.

    python -m tests.soak_memory [--updates N] [--seed SEED]

    this process: a simulated swarm, its clock and three peers --events--> a child: Peer, Writer, SQLite, marks
                                                               <--effects--  (its resident memory is what is measured)

Part of `make soak`. Every thousandth update, its own and others', the child's resident memory is printed; after three
and after seven tenths of them it is killed with SIGKILL, and goes on from what its store holds. For each entry of the
ledger it must hold hashes, weights and pasts. So it may grow by that and its caches and no more (MOST_PER_UPDATE,
CACHES_MB) after the first fifth, and whoever begins anew from the same store must not be much smaller than the process
that was killed (MOST_PILED): the difference is what piled up without need. Ends with status 1 otherwise; if the models
are not equal at the end; or if the control, a machine that forgets no message, is not caught.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import sys
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from gossip.config import PeerConfig
from gossip.events import Drain, Effect, Event, KeepCheckpoint, Started
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import ErrorFeedback
from gossip.node.kept_model import KeptModel
from gossip.node.report import resident_mb
from gossip.node.writer import Writer
from gossip.peer import Peer
from gossip.peer.book import restore
from gossip.peer.status import PeerStatus
from gossip.sim import Scenario, SimSwarm
from gossip.sim.network import Station
from gossip.sim.station import SimPeer, Write, digest
from ledger.entry import Hash, PeerId
from ledger.keys import PrivateKey
from ledger.mark import SignedMark, WitnessMark
from ledger.store import PutEntry, Store

UPDATES: Final = 10_000
CONTROL: Final = 500  # updates of the control
MOST_PER_UPDATE: Final = 1_500  # bytes of resident memory, all entries that come with an update included
CACHES_MB: Final = 8.0  # that fill up again after each start: SQLite's pages, blobs at hand
MOST_PILED: Final = 8.0  # MB that a new start of the same store may be smaller
FAR: Final = 1  # which peer is the one in a process of its own
ANSWER_S: Final = 300.0
STEPS: Final = 400  # of the swarm's clock between two looks
REST_S: Final = 600.0


# ------------------------------------------------------------------ the child: a machine, and its store


@dataclass(frozen=True, slots=True)
class Begin:
    """All that the child must know."""

    place: Path
    config: PeerConfig
    key_seed: bytes
    own: PeerId
    swarm: Hash
    founder: PeerId
    hoards: bool


async def live(begin: Begin, wire: Connection) -> None:
    """Answer events with effects, whose writes are on the disk by then, until killed."""
    with Store(begin.place / "store") as store, Store.open_readonly(begin.place / "store") as reader:
        acknowledged = partial(asyncio.sleep, 0)  # (the simulated disk says when)
        writer = Writer(
            store, reader, WitnessMark(begin.place / "witnessed"), begin.own, lambda seq: acknowledged(),
            lambda log, size: acknowledged(), KeptModel(begin.place / "model"),
        )  # fmt: skip
        mark = SignedMark(begin.place / "mark")
        book = restore(begin.swarm, begin.founder, store.history(), reader.blob, NumpyArithmetic())
        signed = mark.read()
        machine = Peer(
            begin.config, key=PrivateKey.from_seed(begin.key_seed), self_id=begin.own, book=book, shelf=writer,
            luck=random.Random(7), mark=(signed.size, signed.root) if signed is not None else None,
        )  # fmt: skip
        hoard: list[Any] = []
        while True:
            asked = wire.recv()
            if asked is None:
                wire.send(machine.status())
                continue
            event, now = asked
            effects = machine.handle(event, now)
            if begin.hoards:
                hoard.append((bytes(8192), effects))
            for effect in effects:
                if isinstance(effect, Write):
                    if isinstance(effect, KeepCheckpoint) and effect.log == begin.own and effect.held is None:
                        mark.write(effect.size, book.replica.root(begin.own, effect.size).hex())
                    writer.put(effect)
            await writer._flush()
            wire.send(effects)


def child(begin: Begin, wire: Connection) -> None:
    asyncio.run(live(begin, wire))


# ------------------------------------------------------------------ the swarm around it


class Machine:
    """The child, as a simulated shell sees it."""

    def __init__(self, begin: Begin) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._wire, far = spawn.Pipe()
        self.process = spawn.Process(target=child, args=(begin, far), daemon=True)
        self.process.start()
        far.close()

    def handle(self, event: Event, now: float) -> tuple[Effect, ...]:
        self._wire.send((event, now))
        effects: tuple[Effect, ...] = self._answer()
        return effects

    def status(self) -> PeerStatus:
        self._wire.send(None)
        status: PeerStatus = self._answer()
        return status

    def _answer(self) -> Any:
        if not self._wire.poll(ANSWER_S):
            raise TimeoutError("the child says nothing")
        return self._wire.recv()

    def promise(self) -> None:
        return None

    def resident_mb(self) -> float:
        return resident_mb(self.process.pid)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self._wire.close()


class FarPeer(SimPeer):
    """A shell whose machine and disk are real, and elsewhere."""

    place = Path()
    hoards = False

    def start(self) -> None:
        swarm = self._swarm
        self._life += 1
        self._timers.clear()
        self._writes.clear()
        self._feedback = ErrorFeedback(swarm.parameters, swarm.scenario.density)
        if self._life == 1:
            (first,) = self.memory.history
            with Store(self.place / "store") as store:
                store.commit([PutEntry(*first)])
        seed = digest(f"key {swarm.scenario.seed}/{self.index}")
        is_entered = self._life > 1
        self.far = Machine(
            Begin(
                self.place, replace(self._config, enrol=b"") if is_entered else self._config, seed, self.self_id,
                swarm.swarm_id, swarm.peers[0].self_id, self.hoards,
            )
        )  # fmt: skip
        self.machine = self.far  # type: ignore[assignment]
        self.is_up = True
        self.deliver(Started())
        self.deliver(self._data_ready())
        swarm.introduce(self)

    def crash(self) -> None:
        super().crash()
        self.far.kill()

    def admits(self, caller: Station) -> str | None:
        return self._swarm.peers[0].admits(caller)


class Around(SimSwarm):
    """A swarm one of whose peers is far away, and in which nobody looks after every event."""

    def make_peer(self, index: int, key: PrivateKey, config: PeerConfig, self_id: PeerId) -> SimPeer:
        return (FarPeer if index == FAR else SimPeer)(self, index, key, config, self_id)

    def saw(self, peer: SimPeer, event: Event) -> None: ...
    def started(self, peer: SimPeer) -> None: ...
    def handled(self, peer: SimPeer) -> None: ...
    def stored(self, peer: SimPeer, write: Write) -> None: ...
    def signed(self, peer: SimPeer, size: int) -> None: ...


@dataclass(slots=True)
class Seen:
    sizes: list[tuple[int, float]] = field(default_factory=list)  # updates, MB
    piled: list[float] = field(default_factory=list)  # MB, at each kill
    faults: list[str] = field(default_factory=list)

    def grown(self, warm: int) -> float:
        """Bytes for each update after the first so many."""
        late = [(updates, mb) for updates, mb in self.sizes if updates >= warm]
        (first, low), (last, high) = late[0], late[-1]
        return (high - low + sum(self.piled)) * 1e6 / max(1, last - first)


def run(place: Path, updates: int, seed: int, *, hoards: bool = False, kills: bool = True, quiet: bool = False) -> Seen:
    """A swarm of four until so many updates are made, and then until all are at rest."""
    swarm = Around(Scenario(peers=4, round_s=1.0, seed=seed, seconds=1e9))
    far, founder = swarm.peers[FAR], swarm.peers[0]
    assert isinstance(far, FarPeer)
    far.place, far.hoards = place, hoards
    for number, peer in enumerate(swarm.peers):
        swarm.clock.after(number * 0.2, peer.start)
    seen, due, begun = Seen(), updates // 10, perf_counter()
    killed = [updates * 3 // 10, updates * 7 // 10] if kills else []
    try:
        made = 0
        while made < updates:
            for _ in range(STEPS):
                swarm.clock.step(1e12)
            assert founder.machine is not None
            status = founder.machine.status()
            made = status.updates + status.merged
            if made >= due:
                seen.sizes.append((made, far.far.resident_mb()))
                due += updates // 10
                if not quiet:
                    _say(f"{made:>7,} updates  {seen.sizes[-1][1]:>6.1f} MB  {perf_counter() - begun:>5.0f} s")
            if killed and made >= killed[0]:
                before, _ = far.far.resident_mb(), killed.pop(0)
                far.crash()
                far.start()
                seen.piled.append(before - far.far.resident_mb())
                if not quiet:
                    _say(
                        f"{made:>7,} kill -9  {before:>6.1f} MB, and {before - seen.piled[-1]:.1f} MB after a new start"
                    )
        for peer in swarm.peers:
            peer.deliver(Drain())
        until = swarm.clock.now + REST_S
        while swarm.clock.step(until) and not _is_at_rest(swarm):
            pass
        if not _is_at_rest(swarm):
            seen.faults.append("the swarm never came to rest with equal models")
    finally:
        far.far.kill()
    return seen


def _is_at_rest(swarm: Around) -> bool:
    near = [peer.machine.status() for peer in swarm.peers if peer.machine is not None and peer.index != FAR]
    if not all(status.drained for status in near):
        return False
    far = swarm.peers[FAR].machine
    assert far is not None
    return len({status.model_hash for status in (*near, far.status())}) == 1


def judged(seen: Seen, updates: int) -> list[str]:
    """What a run has against the machine."""
    grown = seen.grown(updates // 5)
    most = MOST_PER_UPDATE + CACHES_MB * 1e6 / (updates - updates // 5)
    found = [*seen.faults]
    if grown > most:
        found.append(f"it grows by {grown:,.0f} bytes for each update, more than {most:,.0f}")
    found += [f"{mb:.1f} MB had piled up without need" for mb in seen.piled if mb > MOST_PILED]
    return found


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak_memory", description="Memory over a long run.")
    parser.add_argument(
        "--updates", type=int, default=UPDATES, metavar="N", help=f"of four peers together ({UPDATES:,})"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="SEED")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        seen = run(Path(place), given.updates, given.seed)
    wrong = judged(seen, given.updates)
    _say(f"grows by {seen.grown(given.updates // 5):,.0f} bytes for each update after the first fifth")
    for fault in wrong:
        _say(f"BROKEN: {fault}")
    with tempfile.TemporaryDirectory() as place:
        hoards = bool(judged(run(Path(place), CONTROL, given.seed, hoards=True, kills=False, quiet=True), CONTROL))
    _say(f"control: a machine that forgets no message: {'caught' if hoards else 'NOT CAUGHT'}")
    sys.exit(1 if wrong or not hoards else 0)


if __name__ == "__main__":
    main()
