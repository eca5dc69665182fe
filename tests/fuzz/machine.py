"""Frames made wrong, through the whole machine of a member of a swarm: only the link that brought them may end.

    real traffic --Mutator--> Received(link, bytes) --> Peer.handle --> Drop(that link) | nothing

The machine is one that has trained a while and is alone now with a member that turned bad. Each link ends at the first
wrong frame, so a new one comes up at once (the clock jumps over the pause); before the wrong frame a few right ones
are said, so that requests are open and something is under way when it comes. Entries that are rightly chained and
signed, and lie in what they say, are tried without a machine (of_ledger.py: placed, followed): the first one would end
its log for good.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from time import process_time
from typing import Final

from gossip.events import Drop, Effect, Event, LinkUp, NewRendezvous, Received, Send
from gossip.peer.peer import Peer
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from gossip.wire import codec
from gossip.wire.frames import MAX_MESSAGE_BYTES, RENDEZVOUS_TAG
from tests.fuzz.mutator import Mutator

VICTIM: Final = 1
ATTACKER: Final = 3
PAUSE_S: Final = 31.0  # who broke a rule is refused for half a minute
CALM: Final = 3  # right frames before each wrong one, at most


@dataclass
class Outcome:
    """What came of so many frames."""

    frames: int = 0
    refused: int = 0  # links that ended
    worst_s: float = 0.0  # processor time of one
    worst: bytes = b""
    wrong: list[tuple[bytes, str]] = field(default_factory=list)  # frames that raised, or ended another link


class Victim:
    """A member of a swarm of four, cut off from all but one."""

    def __init__(self, seed: int = 17) -> None:
        self.said: list[bytes] = []
        swarm = SimSwarm(Scenario(peers=4, seconds=6.0, seed=seed, loss=0.05, public=(2,)), None, self._heard)
        swarm.run()
        machine = swarm.peers[VICTIM].machine
        assert machine is not None
        self.machine: Peer = machine
        admin = swarm.peers[0].machine
        assert admin is not None
        chosen = admin.handle(NewRendezvous(bytes(32)), EPOCH + 900.0)
        self.said += [effect.message for effect in chosen if isinstance(effect, Send)]
        self.attacker: SimPeer = swarm.peers[ATTACKER]
        self.other = swarm.peers[2]
        self.now = EPOCH + 1000.0
        self._links = 10_000
        self.model = machine.status().model_hash
        self.link = self.open(self.attacker)
        self.bystander = self.open(self.other)

    def _heard(self, at: float, peer: int, event: Event) -> None:
        if isinstance(event, Received):
            self.said.append(event.message)

    def open(self, peer: SimPeer) -> int:
        """A link to somebody, after whatever shunning the last one earned."""
        self.now += PAUSE_S
        self._links += 1
        answer = self.machine.handle(LinkUp(self._links, peer.public, dialled=False), self.now)
        assert self._links not in _dropped(answer)
        return self._links

    def feed(self, message: bytes, outcome: Outcome) -> None:
        """One frame over the attacker's link."""
        self.now += 0.05
        begun = process_time()
        try:
            dropped = _dropped(self.machine.handle(Received(self.link, message[:MAX_MESSAGE_BYTES]), self.now))
        except Exception as error:
            outcome.wrong.append((message, repr(error)))
            return
        took = process_time() - begun
        outcome.frames += 1
        if took > outcome.worst_s:
            outcome.worst_s, outcome.worst = took, message
        if any(link != self.link for link in dropped):
            outcome.wrong.append((message, "another link was ended"))
        if self.link in dropped:
            outcome.refused += 1
            self.link = self.open(self.attacker)


def run(victim: Victim, count: int, seed: object) -> Outcome:
    """So many wrong frames, with right ones among them."""
    luck, outcome = Random(f"machine/{seed}"), Outcome()
    real = sorted(set(victim.said))
    plain = [codec._encode(codec.decode(message)) for message in real if message[:1] == codec.PACKED_TAG]
    few = Random(1).sample([*real, *plain], min(300, len(real)))
    few += [message for message in real if message[:1] == RENDEZVOUS_TAG]
    mutator = Mutator(seed, few)
    while outcome.frames < count and not outcome.wrong:
        for _ in range(luck.randint(0, CALM)):
            victim.feed(luck.choice(real), outcome)
        victim.feed(mutator.next(), outcome)
    return outcome


def _dropped(effects: tuple[Effect, ...]) -> list[int]:
    return [effect.link for effect in effects if isinstance(effect, Drop)]
