"""What both kinds of handshakes share on the dialler's side: what it says of itself, and a connection to be bound.

    Caller --offer--> (a data channel, or a stream) --answer--> Opened --bind--> ChannelLink

Both have the same bound: BIND_S from the answer to a bound link. It refuses to know what the connection is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from gossip.transport.bind import NONCE_BYTES, Meeting, Party, Side, bind
from gossip.transport.channels import ChannelLink
from gossip.transport.offers import Answer, Offer, Session, StreamAnswer, StreamOffer, digest, seal
from gossip.transport.rawpeer import RawPeer
from gossip.transport.tickets import Ticket, prove
from ledger.entry import Hash
from ledger.errors import LinkError, RemoteError
from ledger.keys import PrivateKey

BIND_S = 10.0  # from answer to bound link; 15 s were measured once on a link with 30% loss, where a retry follows


@dataclass(frozen=True, slots=True)
class Caller:
    """A dialler in one handshake: our key, whom it means, and by what right."""

    swarm: Hash
    key: PrivateKey
    expected: bytes | None
    ticket: Ticket | None
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_BYTES))

    def offer(self, session: Session | None) -> bytes:
        """What we say first, signed; without a session for a stream."""
        secret = b"" if self.ticket is None or self.ticket.is_card else self.ticket.secret
        named = self.ticket.ticket_id.hex() if self.ticket is not None and secret else ""
        own, to = self.key.public.hex(), "" if self.expected is None else self.expected.hex()
        if session is None:
            short = StreamOffer(swarm=self.swarm, key=own, nonce=self.nonce.hex(), to=to, ticket=named)
            proof = prove(secret, short.unproven()).hex() if secret else ""
            return seal(msgspec.structs.replace(short, proof=proof), self.key)
        offer = Offer(swarm=self.swarm, key=own, nonce=self.nonce.hex(), to=to, ticket=named, session=session)
        proof = prove(secret, offer.unproven()).hex() if secret else ""
        return seal(msgspec.structs.replace(offer, proof=proof), self.key)

    def meeting(self, sent: bytes, answer: Answer | StreamAnswer, own_print: bytes, far_print: bytes) -> Meeting:
        """What is to be bound. RemoteError: it answers another offer, or for another peer than the one we meant."""
        theirs = bytes.fromhex(answer.key)
        if answer.swarm != self.swarm or answer.offer != digest(sent) or self.expected not in (None, theirs):
            raise RemoteError("an answer to another offer", why="whoever answered is not the peer that we meant")
        return Meeting(
            self.swarm,
            Party(self.key.public, self.nonce, own_print),
            Party(theirs, bytes.fromhex(answer.nonce), far_print),
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection whose far end has still to prove that it is whom the offer or the answer named."""

    raw: RawPeer
    link: ChannelLink
    meeting: Meeting
    deadline: float  # of the event loop's clock

    async def bind(self, side: Side, key: PrivateKey) -> None:
        """LinkError, RemoteError: nobody has proven anything, and the connection is to be closed."""
        async with in_time(self.deadline, "the other peer says nothing on a connection that stands"):
            await bind(self.link, self.meeting, side, key)


def deadline() -> float:
    """When a handshake that was answered now is over."""
    return asyncio.get_running_loop().time() + BIND_S


@asynccontextmanager
async def in_time(until: float, why: str, next_step: str = "", *, within_s: float | None = None) -> AsyncIterator[None]:
    """LinkError when the time is over, of a handshake or of what took `within_s`."""
    try:
        async with asyncio.timeout_at(until):
            yield
    except TimeoutError as error:
        within_s = BIND_S if within_s is None else within_s
        raise LinkError(f"no connection within {within_s:.0f} s", why=why, next_step=next_step) from error
