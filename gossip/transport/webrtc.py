"""Peers on the network: dial one, be dialled, hand out links whose far end has proven its key.

    dial:    offer -> POST, or road -> answer -> open -> bind -> Link        (by road: a stream, too; racing.py)
    answer:  POST, or road -> admission -> answer -> (open -> bind -> incoming), in a task of its own
             stream -> admission -> answer -> bind -> incoming               (by_stream.py)

The gate decides who is let in, on both sides: no link is ever made to a key it does not admit, except with the
inviter named in a ticket, or with a guest: whoever proves a ticket, or may enter without. A spoofed hint can make a
dial fail, never more; a place by road (road.py) names the key that must answer there. Streams are opened only to peers
that we dial by road, so nobody can make us open one.

Bounds: those of admission.py; SIGNALLING_S, ROAD_S and BIND_S for each handshake. `incoming` holds INCOMING_LINKS and
links beyond that are closed. It refuses to know messages, retries and duplicates: two peers that dial each other at
once get two links, and the machine above closes one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from gossip.limits import DEFAULT, Limits
from gossip.transport.admission import Admission, Admitted, Gate, OpenTicket
from gossip.transport.bind import NONCE_BYTES, Meeting, Party
from gossip.transport.by_stream import StreamDoor, open_stream
from gossip.transport.channels import ChannelLink
from gossip.transport.description import reachable
from gossip.transport.handshake import Caller, Opened, deadline, in_time
from gossip.transport.ice import IceServer
from gossip.transport.link import Link
from gossip.transport.offers import Answer, Offer, Session, digest, open_answer, open_offer, seal
from gossip.transport.racing import Blocked, OutOfReach, patience_s, race
from gossip.transport.rawpeer import WebRTCPeer
from gossip.transport.road import Road, Stream, key_by_road
from gossip.transport.signalling import SIGNALLING_S, Hatch, SignallingServer, Unheard, exchange
from gossip.transport.streamed import StreamPeer
from gossip.transport.tickets import Ticket
from ledger.entry import Hash
from ledger.errors import GossipError, LinkError, LocalError, RemoteError
from ledger.keys import PrivateKey

ROAD_S = 20.0  # for an offer and its answer by road, where a circuit through a relay may have to be made first
INCOMING_LINKS = 64

Backend = Literal["auto", "aiortc", "aiolibdatachannel"]
Ask = Callable[[bytes], Awaitable[bytes]]  # an offer -> its answer, unread


class WebRTCTransport:
    """All links of one peer. `addresses` are the only ones it offers; `backend` tells what carries them. `road` may be
    set, and taken away, at any time: without one nobody is reached by key."""

    def __init__(
        self, key: PrivateKey, swarm: Hash, gate: Gate, addresses: tuple[str, ...], backend: Backend = "auto",
        hatches: Mapping[str, Hatch] | None = None, *, limits: Limits = DEFAULT, road: Road | None = None,
        ice: tuple[IceServer, ...] = (),
    ) -> None:  # fmt: skip
        if not addresses:
            raise LocalError("no address to offer", next_step="name an --interface that has one")
        self.backend = choose_backend(backend)
        self.incoming: asyncio.Queue[Link] = asyncio.Queue(INCOMING_LINKS)
        self.road = road
        self._key = key
        self._swarm = swarm
        self._addresses = addresses
        self._ice = ice
        self._limits = limits
        self._admission = Admission(swarm, gate, limits)
        self._server = SignallingServer(self._answer, hatches, limits=limits, is_known=self._admission.is_known)
        self._streams = StreamDoor(swarm, self._admission, limits, lambda: self._key, self._hand_over)
        self._blocked = Blocked()

    async def start(self, host: str, port: int = 0) -> int:
        """Accept offers at host:port (0: any free port); the port."""
        return await self._server.start(host, port)

    async def move(self, addresses: tuple[str, ...], port: int) -> int:
        """Offer these addresses from now on, and answer on the first of them: at `port`, or at a free one if that is
        taken there. Links that stand are not touched. LinkError if nothing can listen there (yet): ask again."""
        await self._server.close()
        self._addresses = addresses
        self._blocked.clear()
        try:
            return await self._server.start(addresses[0], port)
        except LinkError:
            return await self._server.start(addresses[0], 0)

    def change_key(self, key: PrivateKey) -> None:
        """Prove `key` in every handshake that begins from now on. Links and handshakes that stand are not touched."""
        self._key = key

    async def close(self) -> None:
        """Stop listening and end handshakes under way. Links that were handed out belong to who took them."""
        await self._server.close()
        await self._admission.close()
        await self._streams.close()
        while not self.incoming.empty():
            await self.incoming.get_nowait().close("stopping")

    # --------------------------------------------------------------- dial

    async def dial(self, host: str, port: int, *, key: bytes | None = None, ticket: Ticket | None = None) -> Link:
        """A bound link to the peer at host:port, who must be `key` if given, and known to the gate or to the ticket.

        LinkError: not there, not reachable, does not know us. RemoteError: it answered, and dishonestly.
        """
        expected = key if key is not None or ticket is None else ticket.key
        by_road = key_by_road((host, port))
        if by_road is not None and expected not in (None, by_road):
            raise LinkError("that place is another peer's", why="a place by road has the key of its peer in its name")
        caller = Caller(self._swarm, self._key, by_road or expected, ticket)
        self._require_trust(caller.expected, ticket)
        if by_road is not None:
            return await self._dial_by_road(caller, by_road)
        opened = await self._open_channel(
            caller, lambda offer: exchange(host, port, offer), asyncio.get_running_loop().create_future()
        )
        link = await _bound(opened, caller.key)
        self._blocked.forget(link.key)
        return link

    async def _dial_by_road(self, caller: Caller, key: bytes) -> Link:
        road = self.road
        if road is None:
            raise LinkError(
                "that peer is known by its key only, and nothing here leads to keys",
                next_step="name a libp2p node with --bootstrap or --relay",
            )

        now = asyncio.get_running_loop().time

        async def ask(offer: bytes) -> bytes:
            try:
                async with in_time(now() + ROAD_S, "its answer does not come by libp2p", within_s=ROAD_S):
                    return await road.exchange(key, offer)
            except Unheard:
                raise
            except LinkError as error:
                raise OutOfReach(error.what, why=error.why, next_step=error.next_step) from error

        async def bind(opened: Opened) -> None:
            await opened.bind("d", caller.key)

        if self._blocked.is_blocked(key, now()):
            try:
                return await _bound(await open_stream(road, caller), caller.key)
            except Unheard:
                raise
            except LinkError:
                self._blocked.forget(key)
        answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        channel = self._open_channel(caller, ask, answered)
        opened = await race(channel, answered, lambda: open_stream(road, caller), bind)
        if opened.raw.backend == StreamPeer.backend:
            self._blocked.note(key, now())
        else:
            self._blocked.forget(key)
        return opened.link

    async def _open_channel(self, caller: Caller, ask: Ask, answered: asyncio.Future[float]) -> Opened:
        """A data channel to whoever answers our offer; `answered` is set when only UDP is still to come, to how long it
        is worth to wait for that alone."""
        raw = self._peer()
        try:
            mine = await raw.offer()
            sent = caller.offer(Session.of(mine))
            answer = open_answer(await ask(sent))
            remote, theirs = answer.description(), bytes.fromhex(answer.key)
            meeting = caller.meeting(sent, answer, mine.fingerprint, remote.fingerprint)
            self._require_trust(theirs, caller.ticket)
            until, link = deadline(), ChannelLink(raw, key=theirs, dialled=True)
            try:
                near = reachable(remote, self._addresses)
                await raw.accept(near)
                theirs_at = [host for host, _ in near.candidates]
                if not answered.done():  # nobody waits any more
                    answered.set_result(patience_s(theirs_at, self._addresses, has_servers=bool(self._ice)))
                await _opened(raw, until)
            except LinkError:
                self._blocked.note(theirs, asyncio.get_running_loop().time())
                raise
            return Opened(raw, link, meeting, until)
        except BaseException:
            await raw.close()
            raise

    def _require_trust(self, key: bytes | None, ticket: Ticket | None) -> None:
        self._admission.require_trust(key, self._key.public, ticket)

    # ------------------------------------------------------------- answer

    async def answer_offer(self, key: bytes, data: bytes) -> bytes | None:
        """The answer to an offer that came by road, by the proven holder of `key`; None: silence."""
        try:
            async with asyncio.timeout(SIGNALLING_S):
                return await self._answer(data, key) if self._admission.may_ask(data, "channel") else None
        except (LinkError, RemoteError, TimeoutError):
            return None

    def answer_stream(self, stream: Stream) -> None:
        """Take a stream that somebody opened by road. It becomes a link in `incoming`, or it ends."""
        self._streams.answer(stream)

    async def _answer(self, data: bytes, proven: bytes | None = None) -> bytes | None:
        offer, own = open_offer(data), self._key
        key = bytes.fromhex(offer.key)
        admitted = self._admission.admit(offer, data, own.public) if proven in (None, key) else None
        if admitted is None:
            return None
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._meet(offer, data, own, admitted, answered))
        self._admission.begin(key, "channel", admitted, task)
        task.add_done_callback(lambda _: _give_up(answered))
        return await answered

    async def _meet(
        self, offer: Offer, data: bytes, own: PrivateKey, admitted: Admitted, answered: asyncio.Future[bytes]
    ) -> None:
        """The rest of a handshake that the gate let in. It ends in `incoming` or in nothing."""
        raw, key = self._peer(), bytes.fromhex(offer.key)
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
            until = deadline()
            await _opened(raw, until)
            await Opened(raw, link, meeting, until).bind("a", own)
        except GossipError:
            await raw.close()  # whoever dialled sees the end of it; nothing here depends on it
            return
        except BaseException:
            await raw.close()
            raise
        await self._hand_over(link)

    def _peer(self) -> WebRTCPeer:
        return make_peer(self.backend, self._addresses, self._ice)

    async def _hand_over(self, link: Link) -> None:
        self._admission.settle(link.key, "stream" if link.backend == StreamPeer.backend else "channel")
        try:
            self.incoming.put_nowait(link)
        except asyncio.QueueFull:
            await link.close("too many links")


async def _opened(raw: WebRTCPeer, until: float) -> None:
    way = "let UDP between the two machines through their firewalls"
    async with in_time(until, "signalling works, WebRTC (UDP) does not", way):
        await raw.opened()


async def _bound(opened: Opened, key: PrivateKey) -> Link:
    """The link of a connection that we dialled, or the end of it."""
    try:
        await opened.bind("d", key)
    except BaseException:
        await opened.raw.close()
        raise
    return opened.link


def _give_up(answered: asyncio.Future[bytes]) -> None:
    if not answered.done():
        answered.set_exception(LinkError("the handshake was given up"))
        answered.exception()


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


__all__ = ["Backend", "Gate", "OpenTicket", "WebRTCTransport", "choose_backend", "make_peer"]
