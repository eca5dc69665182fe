"""A machine on the bench: a real founder's Peer, fed by hand, and the effects it answered with."""

from __future__ import annotations

import random
from typing import TypeVar

from gossip.config import PeerConfig
from gossip.events import (
    Append,
    DataReady,
    Effect,
    Event,
    LinkUp,
    Note,
    Received,
    Send,
    Started,
    Stored,
    Train,
    Trained,
)
from gossip.merging.codec import encode_update
from gossip.peer import Book, Peer
from gossip.sim import Scenario, SimSwarm
from gossip.sim.station import SimPeer, commitment
from gossip.wire.codec import decode, encode
from gossip.wire.frames import Frame
from ledger.entry import Scores
from ledger.keys import PrivateKey

E = TypeVar("E")
NOW = 1_767_225_600.0


def simulated(**what: object) -> SimSwarm:
    """A swarm that has run its course; its peers' machines stay alive for probing."""
    swarm = SimSwarm(Scenario(**what))  # type: ignore[arg-type]
    swarm.run()
    return swarm


class Bench:
    """One machine: the founder of a swarm of its own."""

    def __init__(self, **config: object) -> None:
        self._swarm = SimSwarm(Scenario(peers=1, seed=11))
        self.shell: SimPeer = self._swarm.peers[0]
        self.key: PrivateKey = self.shell._key
        self.book: Book = self._swarm.book_of(self.shell)
        self.now = NOW
        self.effects: list[Effect] = []
        self.machine = Peer(
            PeerConfig(**config),  # type: ignore[arg-type]
            key=self.key, self_id=self.shell.self_id, book=self.book, shelf=self.shell.memory, luck=random.Random(3),
        )  # fmt: skip
        self.feed(Started())

    def feed(self, event: Event) -> list[Effect]:
        """One event; what it caused."""
        answer = list(self.machine.handle(event, self.now))
        self.effects += answer
        return answer

    def feed_data(self, epoch_s: float = 1.0) -> None:
        """Data are ready, and their entry is on disk: training begins."""
        (append,) = only(self.feed(DataReady(commitment(0), epoch_s)), Append)
        self.feed(Stored(append.seq))

    def feed_data_again(self) -> None:
        """The same data are ready once more, as after a restart of the trainer."""
        self.feed(DataReady(commitment(0), 1.0))

    def nonsense(self) -> list[Effect]:
        """Answer the last Train with bytes that are no delta."""
        asked = only(self.effects, Train)[-1]
        return self.feed(Trained(asked.round, b"GSD1 nonsense", 1, 1, Scores(examples=0, tp=0, fp=0, fn=0), 1.0))

    def train(self, seconds: float) -> list[Effect]:
        """Answer the last Train after `seconds`."""
        asked = only(self.effects, Train)[-1]
        self.now += seconds
        blob, _ = encode_update(asked.theta * 0 + 0.01)
        return self.feed(Trained(asked.round, blob, 1, 1, Scores(examples=0, tp=0, fp=0, fn=0), seconds))

    def store(self) -> list[Effect]:
        """Everything appended so far is on disk."""
        return self.feed(Stored(only(self.effects, Append)[-1].seq))

    def link(self, number: int, key: bytes, role: str = "") -> list[Effect]:
        return self.feed(LinkUp(number, key, dialled=False, role=role))

    def say(self, link: int, frame: Frame) -> list[Effect]:
        return self.feed(Received(link, encode(frame)))


def only(effects: list[Effect] | tuple[Effect, ...], kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def frames_to(effects: list[Effect], link: int) -> list[Frame]:
    return [decode(effect.message) for effect in only(effects, Send) if effect.link == link]


def notes(effects: list[Effect], kind: str) -> list[dict[str, object]]:
    return [note.fields for note in only(effects, Note) if note.kind == kind]
