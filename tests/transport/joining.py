"""How the tests get two joined ends: of memory, on a stream of it, of one WebRTC library, or of two different ones.

Everything here is loopback. `KINDS` are the pairs that this interpreter can make.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gossip.transport.channels import ChannelLink
from gossip.transport.memory import MemoryPeer, raw_pair
from gossip.transport.rawpeer import WebRTCPeer
from gossip.transport.streamed import StreamPeer
from gossip.transport.webrtc import OpenTicket, WebRTCTransport, make_peer
from ledger.keys import PrivateKey
from tests.transport.roads import stream_pair

LOOPBACK = ("127.0.0.1",)
BACKENDS = ["aiortc"]
if importlib.util.find_spec("aiolibdatachannel") is not None:
    BACKENDS.append("aiolibdatachannel")
KINDS = [("memory", "memory"), ("libp2p", "libp2p")] + [(one, two) for one in BACKENDS for two in BACKENDS]

ANNA = PrivateKey.from_seed(b"a" * 32)
BERTA = PrivateKey.from_seed(b"b" * 32)
MALLORY = PrivateKey.from_seed(b"m" * 32)
SWARM = "5a" * 32


Carrier = WebRTCPeer | MemoryPeer | StreamPeer


async def raw_join(kind: tuple[str, str]) -> tuple[Carrier, Carrier]:
    """Two carriers; WebRTC ones have exchanged descriptions and open once somebody listens."""
    if kind[0] == "memory":
        return raw_pair()
    if kind[0] == "libp2p":
        here, there = stream_pair(ANNA.public, BERTA.public)
        return StreamPeer(here), StreamPeer(there)
    one, two = make_peer(kind[0], LOOPBACK), make_peer(kind[1], LOOPBACK)
    await one.accept(await two.answer(await one.offer()))
    return one, two


async def opened(*peers: Carrier) -> None:
    """Wait for the carriers to open; memory is open from the start."""
    for peer in peers:
        if not isinstance(peer, MemoryPeer | StreamPeer):
            await asyncio.wait_for(peer.opened(), 20)


@asynccontextmanager
async def joined(kind: tuple[str, str]) -> AsyncIterator[tuple[ChannelLink, ChannelLink]]:
    """Two links to each other, as if bound (bind has tests of its own); closed at the end, leaving no task behind."""
    before = asyncio.all_tasks()
    one, two = await raw_join(kind)
    dialler = ChannelLink(one, key=BERTA.public, dialled=True)
    answerer = ChannelLink(two, key=ANNA.public, dialled=False)
    dialler.session = answerer.session = bytes(32)
    await opened(one, two)
    try:
        yield dialler, answerer
    finally:
        await asyncio.gather(dialler.close(), answerer.close())
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if left:
            await asyncio.wait_for(asyncio.wait(left), 5)  # a library's last steps; a leak would run into the limit


class Members:
    """A gate made of two sets."""

    def __init__(self, *keys: bytes, tickets: dict[bytes, OpenTicket] | None = None) -> None:
        self.keys = set(keys)
        self.tickets = tickets or {}
        self.guests: dict[bytes, str] = {}
        self.forgetful = False

    def admits(self, key: bytes) -> bool:
        return key in self.keys

    def seeks(self) -> bool:
        return self.forgetful

    def ticket(self, ticket_id: bytes, key: bytes) -> OpenTicket | None:
        return self.tickets.get(ticket_id)

    def expects(self, key: bytes) -> bool:
        return key in self.guests

    def guest(self, key: bytes) -> str:
        return self.guests.get(key, "")


@asynccontextmanager
async def transport(
    key: PrivateKey, gate: Members, backend: str = "auto"
) -> AsyncIterator[tuple[WebRTCTransport, int]]:
    """A listening transport and its port."""
    made = WebRTCTransport(key, SWARM, gate, LOOPBACK, backend)  # type: ignore[arg-type]
    port = await made.start("127.0.0.1")
    try:
        yield made, port
    finally:
        await made.close()


__all__ = ["ANNA", "BACKENDS", "BERTA", "KINDS", "LOOPBACK", "MALLORY", "SWARM", "Members", "joined", "opened"]
