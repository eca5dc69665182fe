"""A recording without a node: what one peer of a simulated swarm was told is told to a machine that is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gossip.config import PeerConfig
from gossip.events import Append, Effect, Event, Keep, KeepCheckpoint, KeepCosigned, KeepVote, KeepWitnessed
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import restore
from gossip.recording.recorder import Recorder
from gossip.recording.replay import Replayed, replay
from gossip.recording.start import Start
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.disk import Memory
from gossip.sim.station import digest
from ledger.entry import Hash, PeerId
from ledger.kept import StoredCheckpoint, StoredVote
from ledger.keys import PrivateKey

WHO = 1


@dataclass(frozen=True)
class Told:
    """What a simulated peer was told, and what it began with."""

    swarm: Hash
    founder: PeerId
    own: PeerId
    key: PrivateKey
    start: Start
    history: tuple[tuple[PeerId, int, bytes], ...]
    events: tuple[tuple[float, Event], ...]


@dataclass
class Disk:
    """Carries out what touches the disk, at once."""

    own: PeerId
    memory: Memory = field(default_factory=Memory)

    def carry_out(self, effects: tuple[Effect, ...]) -> None:
        memory = self.memory
        for effect in effects:
            match effect:
                case Append(seq, entry, blob):
                    memory.put(self.own, seq, entry, blob)
                case Keep(log, seq, entry, blob):
                    memory.put(log, seq, entry, blob)
                case KeepCheckpoint(log, size, note, held, proof):
                    memory.checkpoints[log] = StoredCheckpoint(size, note, size if held is None else held, proof)
                case KeepWitnessed(log, size, root):
                    memory.promises[log] = (size, root)
                case KeepVote(log, size, chosen):
                    memory.last_vote = StoredVote(log, size, chosen)
                case KeepCosigned(log, size, note):
                    memory.notes[log] = (size, note)
                case _:
                    pass


@cache
def told() -> Told:
    """A swarm of four trains for twelve seconds; peer 1 of it, a witness."""
    scenario = Scenario(peers=4, seconds=12.0, witnesses=3, seed=5, config=PeerConfig(vouch_s=2.0, vote_s=4.0))
    heard: list[tuple[float, Event]] = []

    def hear(at: float, who: int, event: Event) -> None:
        if who == WHO:
            heard.append((EPOCH + at, event))

    swarm = SimSwarm(scenario, on_event=hear)
    peer = swarm.peers[WHO]
    history = tuple(peer.memory.history)
    swarm.run()
    key = PrivateKey.from_seed(digest(f"key {scenario.seed}/{WHO}"))
    start = Start(peer._config, luck=77)
    return Told(swarm.swarm_id, swarm.peers[0].self_id, peer.self_id, key, start, history, tuple(heard))


def record(path: Path, events: tuple[tuple[float, Event], ...], complaints: list[str] | None = None) -> Disk:
    """Tell them to a recorded machine; what it raises passes through."""
    it, disk = told(), Disk(told().own)
    for log, seq, entry in it.history:
        disk.memory.put(log, seq, entry, None)
    book = restore(it.swarm, it.founder, it.history, disk.memory.blob, NumpyArithmetic())
    with Recorder(path, (complaints if complaints is not None else []).append) as recorder:
        machine = it.start.machine(it.key, it.own, book, recorder.shelf(disk.memory))
        recorder.begin(it.start, it.swarm, it.founder, it.own, it.key.public, it.history)
        for now, event in events:
            disk.carry_out(recorder.handle(machine, event, now))
    return disk


def again(records: Any, disk: Disk) -> Replayed:
    """Replay over what that peer's disk holds now."""
    it = told()
    return replay(records, disk.memory.history, disk.memory.blob, lambda public: it.key)
