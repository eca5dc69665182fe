"""The same swarm beyond one network, seen from the node: a road to peers by their keys, and who is out there.

    node (asyncio)  --allow, meet, announce, exchange, open-->  Wide  ==thread==>  py-libp2p (trio)
                    <--offered, streamed, found, heard, tell--

Rules kept: every call and every callback is on the event loop's own thread; what comes out of the thread is bytes,
keys and one-line texts, never a type of libp2p; nothing is awaited of the other side without a bound. A failure over
there is a line for people and another try, never the end of the node.
"""

from __future__ import annotations

from typing import Any, Protocol

from gossip.peer_ids import peer_id_of
from gossip.transport.road import Stream
from gossip.wide.config import WideConfig
from ledger.errors import LinkError
from ledger.keys import PrivateKey


class Listener(Protocol):
    """What the node gives. Called on the event loop's thread."""

    async def offered(self, key: bytes, offer: bytes) -> bytes | None:
        """Signalling came in, by the proven holder of `key`. The answer; None: silence."""
        ...

    def streamed(self, stream: Stream) -> None:
        """Somebody opened a stream for a link; who may stay is the node's business."""
        ...

    def found(self, key: bytes) -> None:
        """Somebody of the namespace is said to be there: a hint, paced and bounded."""
        ...

    def heard(self, key: bytes, data: bytes) -> None:
        """An announcement by a member."""
        ...

    def tell(self, text: str) -> None:
        """Trouble, for people: what, why, what next in one line."""
        ...


class Wide:
    """A Road (gossip/transport/road.py) over libp2p, with its finding and announcements."""

    def __init__(self, key: PrivateKey, config: WideConfig, listener: Listener) -> None:
        self._key, self._config, self._listener = key, config, listener

    async def start(self) -> None:
        """Begin the thread and return at once. LocalError: libp2p is missing or too old."""

    async def close(self) -> None:
        """End everything, within a bounded time. Safe in any state, and twice."""

    def allow(self, members: frozenset[bytes], strangers: bool) -> None:
        """Whose connections are kept. Strangers only while an invite is open here."""

    def meet(self, namespaces: tuple[bytes, ...], publish: int) -> None:
        """Namespaces of 32 bytes to look up; the first `publish` of them (0 or 1) are published in as well."""

    def announce(self, data: bytes) -> None:
        """To all members that are connected, at most 512 bytes; the newest wins."""

    async def exchange(self, key: bytes, offer: bytes) -> bytes:
        raise LinkError("no way to the peer over libp2p yet", why="it is starting")

    async def open(self, key: bytes) -> Stream:
        raise LinkError("no way to the peer over libp2p yet", why="it is starting")

    def report(self) -> dict[str, Any]:
        """For the status: docs/status.md, `wide`."""
        config = self._config
        return {
            "peer_id": peer_id_of(self._key.public),
            "state": "starting",
            "bootstrap": [{"address": each, "connected": False, "text": "starting"} for each in config.bootstrap],
            "relays": [{"address": each, "reserved": False, "until": None, "text": ""} for each in config.relays],
            "found": 0, "connected": 0, "announced": 0, "heard": 0, "bytes_sent": 0, "bytes_received": 0,
        }  # fmt: skip
