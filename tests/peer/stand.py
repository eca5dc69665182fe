"""A member on a stand: one machine of a swarm that has run a while, alone with authors whose words are made by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from gossip.config import PeerConfig
from gossip.events import (
    Effect,
    Event,
    KeepCosigned,
    KeepVote,
    KeepWitnessed,
    LinkUp,
    Received,
    Send,
    WitnessedStored,
)
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import Peer, restore
from gossip.sim import Cut, Scenario, SimSwarm, Twin
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from gossip.wire.codec import decode, encode
from gossip.wire.frames import Tally, Vouch, Voucher
from ledger.checkpoint import Checkpoint, origin
from ledger.cosignature import cosign, cosignature, raw, verify_cosignature
from ledger.entry import Snapshot
from ledger.keys import PrivateKey
from ledger.witness import witnesses_of
from tests.peer.bench import only

AUTHOR = 1  # in the swarm; the machine under test is one of its three witnesses
PLAIN = "policy = 1\n"  # whose words do not change: another swarm id means other witnesses
QUIET = {"vouch_s": 10_000.0, "vouch_entries": 10_000, "vote_s": 60.0}


@cache
def past(seconds: float, forked: bool = False) -> SimSwarm:
    """A swarm of five that has run a while without any cosigning but votes. Its founder observes.

    The seed is one of those with which its last moments are what the stories need: a stranger whose log ends in a
    snapshot, an author whose last entry nobody cites, a snapshot that does not know another.
    """
    scenario = Scenario(
        peers=5, seconds=seconds, round_s=1.0, seed=13, observers=(0,), policy=PLAIN,
        config=PeerConfig(**QUIET),  # type: ignore[arg-type]
    )  # fmt: skip
    if forked:  # the author's disk is copied, and both run, each in one half
        scenario = replace(scenario, twins=(Twin(AUTHOR, 4.0),), cuts=(Cut(4.0, seconds, (5, 2, 3)),), settle_s=20.0)
    swarm = SimSwarm(scenario)
    swarm.run()
    return swarm


class Stand:
    """One peer of that swarm, now alone with a hand-held author, on a copy of its disk."""

    def __init__(self, who: str = "witness", seconds: float = 8.0, forked: bool = False) -> None:
        self.swarm = past(seconds, forked)
        self.author = self.swarm.peers[AUTHOR]
        self.members = [peer.self_id for peer in self.swarm.peers]
        self.witnesses = witnesses_of(self.author.self_id, self.members)
        chosen = {
            "witness": self.witnesses[0],
            "stranger": next(p for p in self.members if p not in (*self.witnesses, self.author.self_id)),
            "founder": self.members[0],
        }[who]
        self.peer = next(peer for peer in self.swarm.peers if peer.self_id == chosen)
        assert self.peer is not self.author
        self.disk = self.peer.memory.copy()
        self.now = EPOCH + 1000.0
        self.machine = self._start()
        self.link = self.connect(self.author)

    def _start(self, **config: Any) -> Peer:
        founder = self.swarm.peers[0].self_id
        self.book = restore(self.swarm.swarm_id, founder, self.disk.history, self.disk.blob, NumpyArithmetic())
        return Peer(
            replace(self.peer._config, **config), key=self.peer._key, self_id=self.peer.self_id, book=self.book,
            shelf=self.disk, luck=random.Random(1), mark=self.disk.mark,
        )  # fmt: skip

    def restart(self, **config: Any) -> None:
        """The process dies; what is on the (simulated) disk stays."""
        self.machine = self._start(**config)
        self.link = self.connect(self.author)

    def connect(self, peer: SimPeer) -> int:
        self.now += 40.0
        link = int(self.now)
        self.feed(LinkUp(link, peer.public, dialled=False))
        return link

    def feed(self, event: Event) -> tuple[Effect, ...]:
        effects = self.machine.handle(event, self.now)
        for effect in only(effects, KeepCosigned):
            self.disk.notes[effect.log] = (effect.size, effect.note)
        return effects

    def say(self, frame: Vouch | Tally, link: int | None = None) -> tuple[Effect, ...]:
        return self.feed(Received(link or self.link, encode(frame)))

    def store(self, effects: Sequence[Effect]) -> tuple[Effect, ...]:
        """Put on disk what these effects ask for; what follows from that."""
        answer: tuple[Effect, ...] = ()
        for promise in only(tuple(effects), KeepWitnessed):
            self.disk.promises[promise.log] = (promise.size, promise.root)
            answer += self.feed(WitnessedStored(promise.log, promise.size))
        for vote in only(tuple(effects), KeepVote):
            answer += self.feed(WitnessedStored(vote.log, vote.size))
        return answer

    # -------------------------------------------------------------- what the author says

    @property
    def sizes(self) -> list[int]:
        """Sizes of the author's log that may be proposed: those that do not end in a snapshot."""
        log, replica = self.author.self_id, self.book.replica
        return [s for s in range(1, replica.size(log) + 1) if not isinstance(replica.entry(log, s - 1), Snapshot)]

    def propose(self, size: int, root: bytes = b"", *, key: PrivateKey | None = None, by: SimPeer | None = None,
                vouchers: tuple[Voucher, ...] = ()) -> Vouch:  # fmt: skip
        peer = by or self.author
        root = root or self.book.replica.root(peer.self_id, size)
        signed = Checkpoint(origin(self.swarm.swarm_id, peer.self_id), size, root).body()
        return Vouch(peer.self_id, size, root, (key or peer._key).sign(signed), vouchers)

    def voucher(self, frame: Vouch, by: SimPeer) -> Voucher:
        seen = Checkpoint(origin(self.swarm.swarm_id, frame.log), frame.size, frame.root)
        return Voucher(by.self_id, *raw(cosign(seen, origin(self.swarm.swarm_id, by.self_id), by._key, 77)))

    def undecided(self) -> tuple[SimPeer, SimPeer]:
        """Two authors of whom nothing is final yet, for a founder that has forgotten its votes."""
        self.disk.last_vote = None
        self.restart()
        finals = self.machine._witnessing._finals
        first, second, *_ = [peer for peer in self.swarm.peers[1:] if peer.self_id not in finals]
        return first, second

    def snapshots(self, by: SimPeer) -> list[int]:
        """Sizes of a log that end in a snapshot."""
        replica = self.book.replica
        size = replica.size(by.self_id)
        return [s for s in range(1, size + 1) if isinstance(replica.entry(by.self_id, s - 1), Snapshot)]


def vouches(effects: Sequence[Effect]) -> list[Vouch]:
    return [f for s in only(tuple(effects), Send) if isinstance(f := decode(s.message), Vouch)]


def tallies(effects: Sequence[Effect]) -> list[Tally]:
    return [f for s in only(tuple(effects), Send) if isinstance(f := decode(s.message), Tally)]


def signed_for(effects: Sequence[Effect]) -> list[int]:
    """Sizes that were proposed, or voted for by a peer that is its own witness."""
    return [frame.size for frame in vouches(effects)] + [vote.size for vote in only(tuple(effects), KeepVote)]


def signed_by(stand: Stand, frames: Sequence[Vouch]) -> list[tuple[int, bytes]]:
    """(size, root) of what the machine under test has cosigned, each signature checked."""
    own, found = stand.peer, []
    for frame in frames:
        for voucher in frame.vouchers:
            if voucher.witness == own.self_id:
                name = origin(stand.swarm.swarm_id, own.self_id)
                line = cosignature(name, own.public, voucher.time, voucher.signature)
                seen = Checkpoint(origin(stand.swarm.swarm_id, frame.log), frame.size, frame.root)
                assert verify_cosignature(seen, line, name, own.public) == int(stand.now)
                found.append((frame.size, frame.root))
    return found
