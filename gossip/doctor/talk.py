"""What two doctors say to each other over a link, and how a doctor makes a link at all.

    dialler  -- {"time_ms":1767225600000} --> answerer
             <-- {"time_ms":1767225600210} --
             -- 64 KiB ------------------->
             <-- the same 64 KiB ----------

They meet in a swarm of their own, whose id everybody knows and in which there is nothing: so the whole of
gossip/transport is used as a node uses it, signalling, WebRTC and the proof of keys, with keys that are thrown away.
Strangers may do that only where somebody runs a doctor that answers (--answer), and get no more than is drawn here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from gossip.doctor.finding import Patience
from gossip.transport.link import MAX_MESSAGE_BYTES, Link
from gossip.transport.webrtc import OpenTicket
from ledger import canonical
from ledger.errors import LinkError, RemoteError

SWARM: Final = sha256(b"gossip/doctor/1").hexdigest()
MAX_HELLO_BYTES: Final = 64


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    time_ms: int  # Unix time of who says it


class Anybody:
    """The gate of a doctor: whoever comes, by no ticket."""

    def admits(self, key: bytes) -> bool:
        return True

    def seeks(self) -> bool:
        return True

    def ticket(self, ticket_id: bytes, key: bytes) -> OpenTicket | None:
        return None

    def expects(self, key: bytes) -> bool:
        return False

    def guest(self, key: bytes) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the dialler has learned. Seconds."""

    ahead_s: float  # their clock, seen from ours; wrong by half a round trip at most
    round_trip_s: float
    whole_s: float  # for 64 KiB there and back; 0.0: they did not come back


def read_hello(data: bytes) -> Hello:
    """RemoteError: no hello."""
    return canonical.decode(data, Hello, limit=MAX_HELLO_BYTES, what="a doctor's hello")


def hello(wall: Callable[[], float]) -> bytes:
    return canonical.encode(Hello(int(wall() * 1000)))


async def ask(link: Link, wall: Callable[[], float], patience: Patience) -> Told:
    """The dialler's half. LinkError: nothing came back; only the 64 KiB may be missing without one."""
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(patience.of("udp")):
            before, sent_at = clock(), wall()
            await link.send(hello(lambda: sent_at))
            theirs = read_hello(await link.receive())
            round_trip_s = clock() - before
    except TimeoutError as error:
        raise LinkError("the link is open, and nothing comes through it") from error
    ahead_s = theirs.time_ms / 1000 - (sent_at + round_trip_s / 2)
    whole, begun = secrets.token_bytes(MAX_MESSAGE_BYTES), clock()
    try:
        async with asyncio.timeout(patience.of("size")):
            await link.send(whole, bulk=True)
            if await link.receive() != whole:
                raise RemoteError("it came back changed")
    except (TimeoutError, LinkError):
        return Told(ahead_s, round_trip_s, 0.0)
    return Told(ahead_s, round_trip_s, clock() - begun)


async def answer(link: Link, wall: Callable[[], float], patience_s: float, hello_s: float | None = None) -> float:
    """The other half, which ends the link: by how many seconds their clock is ahead of ours. LinkError, RemoteError:
    they said no hello in time."""
    try:
        async with asyncio.timeout(patience_s if hello_s is None else hello_s):
            theirs = read_hello(await link.receive())
            ahead_s = theirs.time_ms / 1000 - wall()
            await link.send(hello(wall))
        with suppress(LinkError, TimeoutError):
            async with asyncio.timeout(patience_s):
                await link.send(await link.receive(), bulk=True)
                await link.receive()  # they close when they have seen it
        return ahead_s
    except TimeoutError as error:
        raise LinkError("a visitor that said nothing in time") from error
    finally:
        await link.close("seen")
