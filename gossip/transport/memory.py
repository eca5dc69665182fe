"""Links inside one process: for tests, and for swarms of several peers in one program.

A memory pair runs the same flows, credits and orderly end as a WebRTC link; only the carrier differs.
Frames pass through the event loop's queue, so the order of things is the loop's and nothing sleeps.
There is no handshake: whoever makes the pair vouches for both keys.
"""

from __future__ import annotations

import asyncio
import hashlib

from gossip.transport.channels import ChannelLink
from gossip.transport.rawpeer import Ears
from ledger.errors import LinkError


class MemoryPeer:
    """One end of a pair; `other` is set by `raw_pair`."""

    backend = "memory"

    def __init__(self) -> None:
        self.other: MemoryPeer | None = None
        self._ears: Ears | None = None
        self._closed = False

    def attach(self, ears: Ears) -> None:
        self._ears = ears

    def send(self, channel: int, frame: bytes) -> None:
        if self._closed or self.other is None or self.other._closed:
            raise LinkError("the memory link is closed")
        asyncio.get_running_loop().call_soon(self.other._deliver, channel, frame)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self.other is not None:
                asyncio.get_running_loop().call_soon(self.other._gone)

    def _deliver(self, channel: int, frame: bytes) -> None:
        if self._ears is not None and not self._closed:
            self._ears.arrived(channel, frame)

    def _gone(self) -> None:
        if self._ears is not None and not self._closed:
            self._ears.gone("the other end closed")


def raw_pair() -> tuple[MemoryPeer, MemoryPeer]:
    """Two joined carriers, for whoever wants to speak frames by hand."""
    one, two = MemoryPeer(), MemoryPeer()
    one.other, two.other = two, one
    return one, two


def memory_pair(
    dialler: bytes, answerer: bytes, *, role: str = "", ticket: bytes = b""
) -> tuple[ChannelLink, ChannelLink]:
    """(the dialler's link to the answerer, the answerer's to the dialler). `role` is that of the dialler's ticket."""
    one, two = raw_pair()
    links = (
        ChannelLink(one, key=answerer, dialled=True),
        ChannelLink(two, key=dialler, dialled=False, role=role, ticket=ticket),
    )
    for link in links:
        link.session = hashlib.sha256(b"gossip/memory-session/1\n" + dialler + answerer).digest()
    return links
