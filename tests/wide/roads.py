"""Roads without libp2p: what gossip/wide does for a node, among nodes of one process, with a dictionary for a network.

    roads = Roads()
    class Far(Node):
        def _road(self, key, config, listener): return roads.open(key, config, listener)

It keeps the same contract: who is no member and not awaited gets no connection, namespaces say who is found, and only
members hear announcements. `cut` parts the network, `offers` and `streams` count what was carried.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gossip.peer_ids import peer_id_of
from gossip.transport.road import Stream
from gossip.transport.signalling import Unheard
from gossip.wide.config import WideConfig
from gossip.wide.wide import Listener
from ledger.errors import LinkError
from ledger.keys import PrivateKey

PIECE = 64 << 10


class End:
    """One end of a stream in memory."""

    def __init__(self, own: bytes, key: bytes) -> None:
        self.own, self.key = own, key
        self.other: End | None = None
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self._closed = False

    def send(self, data: bytes) -> None:
        if self._closed or self.other is None or self.other._closed:
            raise LinkError("the stream is closed")
        for at in range(0, len(data), PIECE):
            self.other._came.put_nowait(data[at : at + PIECE])

    async def receive(self) -> bytes:
        return await self._came.get()

    async def close(self) -> None:
        self.end()

    def end(self) -> None:
        if not self._closed:
            self._closed = True
            self._came.put_nowait(b"")
            if self.other is not None:
                self.other._came.put_nowait(b"")


def stream_pair(one: bytes, two: bytes) -> tuple[End, End]:
    """Two ends, of the holders of these keys."""
    ends = End(one, two), End(two, one)
    ends[0].other, ends[1].other = ends[1], ends[0]
    return ends


class Roads:
    """The network between the nodes of one process."""

    def __init__(self) -> None:
        self.hosts: dict[bytes, Carried] = {}
        self.offers: list[tuple[bytes, bytes]] = []  # (from, to), of those that reached somebody
        self.streams = 0
        self.cut = False  # nobody reaches anybody

    def open(self, key: PrivateKey, config: WideConfig, listener: Listener) -> Carried:
        return Carried(self, key, config, listener)

    def look_up(self) -> None:
        """Everybody hears of everybody who is published where they look."""
        for looking in self.hosts.values():
            for host in self.hosts.values():
                if host is not looking and host.published and host.published in looking.namespaces:
                    asyncio.get_running_loop().call_soon(looking.listener.found, host.key)


class Carried:
    """One node's part of it."""

    def __init__(self, roads: Roads, key: PrivateKey, config: WideConfig, listener: Listener) -> None:
        self.roads, self.key, self.config, self.listener = roads, key.public, config, listener
        self.members: frozenset[bytes] = frozenset()
        self.strangers = False
        self.namespaces: tuple[bytes, ...] = ()
        self.published = b""
        self.said: list[bytes] = []
        self.ends: list[End] = []
        self.state = "ready"

    async def start(self) -> None:
        self.roads.hosts[self.key] = self

    async def close(self) -> None:
        if self.roads.hosts.get(self.key) is self:
            del self.roads.hosts[self.key]
        for end in self.ends:
            end.end()

    def allow(self, members: frozenset[bytes], strangers: bool) -> None:
        self.members, self.strangers = members, strangers
        for end in self.ends:
            if not self._keeps(end.key):
                end.end()

    def meet(self, namespaces: tuple[bytes, ...], publish: int) -> None:
        self.namespaces, self.published = namespaces, namespaces[0] if publish else b""
        self.roads.look_up()

    def announce(self, data: bytes) -> None:
        self.said.append(data)
        for other in self.roads.hosts.values():
            if self.key in other.members and other.key in self.members and not self.roads.cut:
                asyncio.get_running_loop().call_soon(other.listener.heard, self.key, data)

    async def exchange(self, key: bytes, offer: bytes) -> bytes:
        host = self._reach(key)
        self.roads.offers.append((self.key, key))
        answer = await host.listener.offered(self.key, offer)
        if answer is None:
            raise Unheard("it does not answer us")
        return answer

    async def open(self, key: bytes) -> Stream:
        host = self._reach(key)
        here, there = stream_pair(self.key, key)
        self.ends.append(here)
        host.ends.append(there)
        self.roads.streams += 1
        host.listener.streamed(there)
        return here

    def report(self) -> dict[str, Any]:
        return {
            "peer_id": peer_id_of(self.key), "state": self.state,
            "bootstrap": [{"address": one, "connected": True, "text": ""} for one in self.config.bootstrap],
            "relays": [{"address": one, "reserved": True, "until": None, "text": ""} for one in self.config.relays],
            "found": 0, "connected": 0, "announced": len(self.said), "heard": 0, "bytes_sent": 0, "bytes_received": 0,
        }  # fmt: skip

    def _keeps(self, key: bytes) -> bool:
        return key in self.members or self.strangers

    def _reach(self, key: bytes) -> Carried:
        host = self.roads.hosts.get(key)
        if host is None or self.roads.cut or self.roads.hosts.get(self.key) is not self:
            raise LinkError("nobody is there")
        if not host._keeps(self.key):
            raise LinkError("the connection was closed")
        return host
