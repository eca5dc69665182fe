"""Roads and streams of memory: what gossip/wide gives a transport, without libp2p.

A stream takes any number of bytes and gives them in pieces of odd sizes, only as fast as the far end reads: as a relay
between two machines does it.
"""

from __future__ import annotations

import asyncio
import random

import gossip.transport.aiortc_backend  # noqa: F401 (now: on a busy machine reading it takes longer than a handshake may)
from gossip.transport.signalling import Unheard
from gossip.transport.webrtc import WebRTCTransport
from ledger.errors import LinkError

MAX_PIECE_BYTES = 65_536


class MemoryStream:
    """One end. `key` is the far end's."""

    def __init__(self, key: bytes, luck: random.Random) -> None:
        self.key = key
        self.other = self
        self.sent = bytearray()  # and not read by the far end yet
        self.is_closed = False
        self._luck = luck
        self._changed = asyncio.Event()

    def send(self, data: bytes) -> None:
        if self.is_closed or self.other.is_closed:
            raise LinkError("the stream is closed")
        self.sent += data
        self.other._changed.set()

    async def receive(self) -> bytes:
        while not self.other.sent:
            if self.other.is_closed:
                return b""
            if self.is_closed:
                raise LinkError("the stream is closed")
            self._changed.clear()
            await self._changed.wait()
        size = self._luck.choice((1, 2, 3, 5, 100, 4_096, MAX_PIECE_BYTES))
        data = bytes(self.other.sent[:size])
        del self.other.sent[:size]
        return data

    async def close(self) -> None:
        self.is_closed = True
        self._changed.set()
        self.other._changed.set()


def stream_pair(one: bytes, two: bytes, seed: int = 1) -> tuple[MemoryStream, MemoryStream]:
    """The end of the holder of `one`, and that of `two`."""
    here, there = MemoryStream(two, random.Random(seed)), MemoryStream(one, random.Random(seed + 1))
    here.other, there.other = there, here
    return here, there


class Map:
    """Who can be reached by key. What it counts: offers and streams to each key."""

    def __init__(self) -> None:
        self.transports: dict[bytes, WebRTCTransport] = {}
        self.offers: list[tuple[bytes, bytes]] = []  # from, to
        self.streams: list[tuple[MemoryStream, MemoryStream]] = []

    def join(self, key: bytes, transport: WebRTCTransport) -> None:
        self.transports[key] = transport
        transport.road = MemoryRoad(self, key)


class MemoryRoad:
    """The road of one peer."""

    def __init__(self, where: Map, own: bytes) -> None:
        self.map = where
        self.own = own

    async def exchange(self, key: bytes, offer: bytes) -> bytes:
        transport = self.map.transports.get(key)
        if transport is None:
            raise LinkError("nobody knows a way to that peer")
        self.map.offers.append((self.own, key))
        answer = await transport.answer_offer(self.own, offer)
        if answer is None:
            raise Unheard("that peer does not answer us")
        return answer

    async def open(self, key: bytes) -> MemoryStream:
        transport = self.map.transports.get(key)
        if transport is None:
            raise LinkError("nobody knows a way to that peer")
        here, there = stream_pair(self.own, key, seed=len(self.map.streams))
        self.map.streams.append((here, there))
        transport.answer_stream(there)
        return here
