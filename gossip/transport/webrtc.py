"""Peers on the network: dial one, be dialled, hand out links whose far end has proven its key.

    dial:    offer -> POST -> answer -> open -> bind -> Link
    answer:  POST -> gate -> answer -> (open -> bind -> incoming), in a task of its own

The gate decides who is let in, on both sides: no link is ever made to a key it does not admit, except with the
inviter named in a ticket, or with a guest: whoever proves a ticket, or may enter without. A spoofed hint can make a
dial fail, never more.

Bounds: one handshake per key (a newer offer ends the older), as many as the limits say of a key lately and in all,
SIGNALLING_S and BIND_S each. Guests, who can make as many keys as they like, have a share of them together and never
all, and with one ticket no more than it lets in: so a crowd of them keeps no member out.
`incoming` holds INCOMING_LINKS and links beyond that are closed. It refuses to know messages, retries and duplicates:
two peers that dial each other at once get two links, and the machine above closes one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from gossip.bucket import Buckets
from gossip.limits import DEFAULT, Limits
from gossip.transport.bind import NONCE_BYTES, Meeting, Party, Side, bind
from gossip.transport.channels import ChannelLink
from gossip.transport.description import reachable
from gossip.transport.ice import IceServer
from gossip.transport.link import Link
from gossip.transport.rawpeer import WebRTCPeer
from gossip.transport.signalling import (
    Answer,
    Hatch,
    Offer,
    Session,
    SignallingServer,
    digest,
    exchange,
    open_answer,
    open_offer,
    read_offer,
    seal,
)
from gossip.transport.tickets import Ticket, is_proof, prove
from ledger.entry import Hash
from ledger.errors import GossipError, LinkError, LocalError, RemoteError
from ledger.keys import PrivateKey

BIND_S = 10.0  # from answer to bound link; 15 s were measured once on a link with 30% loss, where a retry follows
KEYS_REMEMBERED = 4_096  # with how many handshakes each has had lately; only of those that may enter
INCOMING_LINKS = 64
OFFERS_REMEMBERED = 4_096  # against replay: an offer is good once

Backend = Literal["auto", "aiortc", "aiolibdatachannel"]


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """A ticket that can still be used, as the gate holds it."""

    secret: bytes
    role: str
    places: int = 1  # how many may still come in with it, side by side


@dataclass(frozen=True, slots=True)
class _Admitted:
    """As what an offer is let in. A member has no role; a guest without a ticket no ticket."""

    role: str = ""
    ticket: bytes = b""
    places: int = 0  # of that ticket


@dataclass(frozen=True, slots=True)
class _Handshake:
    """One under way, as the answerer."""

    task: asyncio.Task[None]
    admitted: _Admitted


class Gate(Protocol):
    """Who may have a link with us. Asked on every handshake; must answer at once."""

    def admits(self, key: bytes) -> bool: ...

    def seeks(self) -> bool:
        """Whether we may have forgotten members: then whoever lets us in will do, where we are the one to dial."""
        ...

    def ticket(self, ticket_id: bytes, key: bytes) -> OpenTicket | None: ...

    def expects(self, key: bytes) -> bool:
        """Whether that very key was named as one that may enter."""
        ...

    def guest(self, key: bytes) -> str:
        """The role in which a stranger with that key may enter without a ticket; "" for none."""
        ...


class WebRTCTransport:
    """All links of one peer. `addresses` are the only ones it offers; `backend` tells what carries them."""

    def __init__(
        self, key: PrivateKey, swarm: Hash, gate: Gate, addresses: tuple[str, ...], backend: Backend = "auto",
        hatches: Mapping[str, Hatch] | None = None, *, limits: Limits = DEFAULT, ice: tuple[IceServer, ...] = (),
    ) -> None:  # fmt: skip
        if not addresses:
            raise LocalError("no address to offer", next_step="name an --interface that has one")
        self.backend = choose_backend(backend)
        self.incoming: asyncio.Queue[Link] = asyncio.Queue(INCOMING_LINKS)
        self._key = key
        self._swarm = swarm
        self._gate = gate
        self._addresses = addresses
        self._ice = ice
        self._limits = limits
        self._server = SignallingServer(self._answer, hatches, limits=limits, is_known=self._is_known)
        self._budget = Buckets(limits.handshakes_burst, limits.handshakes_per_min / 60, KEYS_REMEMBERED)
        self._handshakes: dict[bytes, _Handshake] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._closed = False

    async def start(self, host: str, port: int = 0) -> int:
        """Accept offers at host:port (0: any free port); the port."""
        return await self._server.start(host, port)

    async def move(self, addresses: tuple[str, ...], port: int) -> int:
        """Offer these addresses from now on, and answer on the first of them: at `port`, or at a free one if that is
        taken there. Links that stand are not touched. LinkError if nothing can listen there (yet): ask again."""
        await self._server.close()
        self._addresses = addresses
        try:
            return await self._server.start(addresses[0], port)
        except LinkError:
            return await self._server.start(addresses[0], 0)

    def change_key(self, key: PrivateKey) -> None:
        """Prove `key` in every handshake that begins from now on. Links and handshakes that stand are not touched."""
        self._key = key

    async def close(self) -> None:
        """Stop listening and end handshakes under way. Links that were handed out belong to who took them."""
        self._closed = True
        await self._server.close()
        handshakes = [one.task for one in self._handshakes.values()]
        for task in handshakes:
            task.cancel()
        await asyncio.gather(*handshakes, return_exceptions=True)
        while not self.incoming.empty():
            await self.incoming.get_nowait().close("stopping")

    # --------------------------------------------------------------- dial

    async def dial(self, host: str, port: int, *, key: bytes | None = None, ticket: Ticket | None = None) -> Link:
        """A bound link to the peer at host:port, who must be `key` if given, and known to the gate or to the ticket.

        LinkError: not there, not reachable, does not know us. RemoteError: it answered, and dishonestly.
        """
        expected = key if key is not None or ticket is None else ticket.key
        self._require_trust(expected, ticket)
        raw = make_peer(self.backend, self._addresses, self._ice)
        try:
            return await self._dial(raw, host, port, expected, ticket)
        except BaseException:
            await raw.close()
            raise

    async def _dial(self, raw: WebRTCPeer, host: str, port: int, expected: bytes | None, ticket: Ticket | None) -> Link:
        nonce, key = secrets.token_bytes(NONCE_BYTES), self._key
        mine = await raw.offer()
        offer = Offer(
            swarm=self._swarm,
            key=key.public.hex(),
            nonce=nonce.hex(),
            session=Session.of(mine),
            to="" if expected is None else expected.hex(),
            ticket="" if ticket is None or ticket.is_card else ticket.ticket_id.hex(),
        )
        if ticket is not None and not ticket.is_card:
            offer = _with_proof(offer, ticket.secret)
        sent = seal(offer, key)
        answer = open_answer(await exchange(host, port, sent))
        theirs = bytes.fromhex(answer.key)
        if answer.swarm != self._swarm or answer.offer != digest(sent) or expected not in (None, theirs):
            raise RemoteError("an answer to another offer", why=f"the peer at {host}:{port} is not the one we meant")
        self._require_trust(theirs, ticket)
        remote = answer.description()
        meeting = Meeting(
            self._swarm,
            Party(key.public, nonce, mine.fingerprint),
            Party(theirs, bytes.fromhex(answer.nonce), remote.fingerprint),
        )
        link = ChannelLink(raw, key=theirs, dialled=True)
        await raw.accept(reachable(remote, self._addresses))
        await self._bind(raw, link, meeting, "d", key)
        return link

    def _require_trust(self, key: bytes | None, ticket: Ticket | None) -> None:
        if key == self._key.public:
            raise LinkError("that peer is ourselves")
        is_trusted = key is None or self._gate.admits(key) or (ticket is not None and ticket.key == key)
        if not is_trusted and not self._gate.seeks():
            raise LinkError("that peer is no member we know of yet")

    # ------------------------------------------------------------- answer

    async def _answer(self, data: bytes) -> bytes | None:
        offer = open_offer(data)
        key = bytes.fromhex(offer.key)
        if offer.swarm != self._swarm or offer.to not in ("", self._key.public.hex()) or key == self._key.public:
            return None
        admitted = self._admit(offer, key)
        if admitted is None or not self._is_new(digest(data)):
            return None
        if not self._budget.take(key, asyncio.get_running_loop().time()):
            return None  # its owner has signed all of these offers: nobody else can use up its share
        if (older := self._handshakes.pop(key, None)) is not None:
            older.task.cancel()
        if self._closed or not self._has_room(admitted):
            return None
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._meet(offer, data, key, admitted, answered))
        self._handshakes[key] = _Handshake(task, admitted)
        task.add_done_callback(lambda done: self._forget(key, done, answered))
        return await answered

    def _has_room(self, admitted: _Admitted) -> bool:
        """Whether one more may begin. Keys cost a guest nothing, so guests share a part of the places."""
        under_way = [one.admitted for one in self._handshakes.values()]
        most = self._limits.handshakes_open
        if len(under_way) >= most or not admitted.role:
            return len(under_way) < most
        guests = max(1, min(most - 1, most * self._limits.guest_percent // 100))
        with_it = sum(bool(one.ticket) and one.ticket == admitted.ticket for one in under_way)
        return sum(bool(one.role) for one in under_way) < guests and (not admitted.ticket or with_it < admitted.places)

    def _is_known(self, data: bytes) -> bool:
        """Whether an offer names somebody who may enter, if it is by whom it says."""
        offer = read_offer(data)
        try:
            key, ticket = bytes.fromhex(offer.key), bytes.fromhex(offer.ticket)
        except ValueError:
            return False
        return self._gate.admits(key) or self._gate.expects(key) or bool(ticket and self._gate.ticket(ticket, key))

    def _admit(self, offer: Offer, key: bytes) -> _Admitted | None:
        """None for a stranger."""
        if self._gate.admits(key):
            return _Admitted()
        if offer.ticket:
            named = bytes.fromhex(offer.ticket)
            ticket = self._gate.ticket(named, key)
            if ticket is not None and is_proof(ticket.secret, offer.unproven(), bytes.fromhex(offer.proof)):
                return _Admitted(ticket.role, named, ticket.places)
        role = self._gate.guest(key)
        return _Admitted(role) if role else None

    def _is_new(self, offer: str) -> bool:
        if offer in self._seen:
            return False
        self._seen[offer] = None
        while len(self._seen) > OFFERS_REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _forget(self, key: bytes, task: asyncio.Task[None], answered: asyncio.Future[bytes]) -> None:
        if (current := self._handshakes.get(key)) is not None and current.task is task:
            del self._handshakes[key]
        if not answered.done():
            answered.set_exception(LinkError("the handshake was given up"))
            answered.exception()

    async def _meet(
        self, offer: Offer, data: bytes, key: bytes, admitted: _Admitted, answered: asyncio.Future[bytes]
    ) -> None:
        """The rest of a handshake that the gate let in. It ends in `incoming` or in nothing."""
        raw, own = make_peer(self.backend, self._addresses, self._ice), self._key
        try:
            remote = offer.description()
            nonce = secrets.token_bytes(NONCE_BYTES)
            link = ChannelLink(raw, key=key, dialled=False, role=admitted.role, ticket=admitted.ticket)
            mine = await raw.answer(reachable(remote, self._addresses))
            meeting = Meeting(
                self._swarm,
                Party(key, bytes.fromhex(offer.nonce), remote.fingerprint),
                Party(own.public, nonce, mine.fingerprint),
            )
            answer = Answer(
                swarm=self._swarm,
                key=own.public.hex(),
                nonce=nonce.hex(),
                session=Session.of(mine),
                offer=digest(data),
            )
            if answered.cancelled():  # the dialler hung up
                raise LinkError("the dialler hung up")
            answered.set_result(seal(answer, own))
            await self._bind(raw, link, meeting, "a", own)
        except GossipError:
            await raw.close()  # whoever dialled sees the end of it; nothing here depends on it
            return
        except BaseException:
            await raw.close()
            raise
        try:
            self.incoming.put_nowait(link)
        except asyncio.QueueFull:
            await link.close("too many links")

    async def _bind(
        self, raw: WebRTCPeer, link: ChannelLink, meeting: Meeting, side: Side, key: PrivateKey
    ) -> None:  # fmt: skip
        try:
            async with asyncio.timeout(BIND_S):
                await raw.opened()
                await bind(link, meeting, side, key)
        except TimeoutError as error:
            raise LinkError(
                f"no connection within {BIND_S:.0f} s",
                why="signalling works, WebRTC (UDP) does not",
                next_step="let UDP between the two machines through their firewalls",
            ) from error


def choose_backend(wanted: Backend) -> str:
    """The library to use: the faster one where it is installed. It manages loopback-only, too (its file says how)."""
    installed = importlib.util.find_spec("aiolibdatachannel") is not None
    if wanted == "aiolibdatachannel" and not installed:
        raise LocalError(
            "aiolibdatachannel is not installed",
            why="it needs CPython 3.12 or later, on Linux or Apple silicon",
            next_step="leave the backend at auto: aiortc works everywhere",
        )
    return "aiortc" if wanted == "aiortc" or not installed else "aiolibdatachannel"


def make_peer(backend: str, addresses: tuple[str, ...], servers: tuple[IceServer, ...] = ()) -> WebRTCPeer:
    """One unopened connection. Libraries load here, at first use: each takes a while."""
    if backend == "aiolibdatachannel":
        from gossip.transport.libdatachannel_backend import LibdatachannelPeer

        return LibdatachannelPeer(addresses, servers)
    from gossip.transport.aiortc_backend import AiortcPeer

    return AiortcPeer(addresses, servers)


def _with_proof(offer: Offer, secret: bytes) -> Offer:
    return msgspec.structs.replace(offer, proof=prove(secret, offer.unproven()).hex())


__all__ = ["Backend", "Gate", "OpenTicket", "WebRTCTransport", "choose_backend", "make_peer"]
