"""What libp2p nodes say to a stranger that asks: for `gossip doctor --wide`, by a host of its own that lives seconds.

    connect(PeerId) -> identify: agent, protocols, from where we came -> RESERVE -> a circuit from a second host to the
    first, through the relay, and "ping" there and back

Facts and no verdicts (gossip/doctor/wide.py has those). Both hosts have fresh keys: no node's reservation is replaced,
nothing is published, and a relay that serves strangers at all serves them. Everything is bounded: one address takes at
most `patience_s` for each step, and answers are read up to a length. It refuses to know any swarm.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

from gossip.transport.multiaddresses import Multiaddress
from gossip.wide.present import broken

WHY_CHARS: Final = 160

Step = Literal["", "name", "tcp", "key", "speech"]  # how far it came: "" all the way


@dataclass(frozen=True, slots=True)
class Seen:
    """One node, asked."""

    address: str
    at: str = ""  # the same, with the IP address that its name had
    failed: Step = ""
    why: str = ""  # of a failure, in few words; may hold what the other end said
    other: str = ""  # the PeerId that answered in place of the one named
    agent: str = ""
    kad: bool = False
    hop: bool = False
    observed: str = ""  # the IP address that we came from, as it says
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation that was asked for. Limits: 0 where the relay names none."""

    address: str
    status: int = 0  # as circuit relay v2 numbers them; 0: no answer
    why: str = ""
    lasts_s: int = 0
    limit_s: int = 0
    limit_bytes: int = 0
    circuit: str = "not tried"  # "": one opened, and carried a word both ways; else why not
    circuit_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Probed:
    seen: tuple[Seen, ...]
    held: tuple[Held, ...]


async def probe(nodes: Sequence[str], relays: Sequence[str], patience_s: float) -> Probed:
    """Ask all of `nodes`, and those that are in `relays` for a reservation. LocalError: libp2p does not load."""
    reached = [await _reach(address, patience_s) for address in nodes]
    asked = await asyncio.to_thread(load)
    over = threading.Event()
    try:
        return await asyncio.to_thread(asked, reached, tuple(relays), patience_s, over)
    except asyncio.CancelledError:
        over.set()
        raise


def load() -> Callable[[Sequence[Seen], Sequence[str], float, threading.Event], Probed]:
    """Import libp2p, which takes a second of a core. LocalError: it does not load."""
    try:
        from gossip.wide.probe_host import run
    except (ImportError, OSError, AttributeError) as error:  # AttributeError: parts that do not fit together
        raise broken(error) from error
    return run


async def _reach(address: str, patience_s: float) -> Seen:
    """A TCP connection there and nothing else: what the system says of one tells more than libp2p does."""
    at = Multiaddress.parse(address)
    seen = Seen(at.node)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return replace(seen, failed="name", why=error.strerror or str(error))
    ip, begun = str(found[0][4][0]), time.perf_counter()
    seen = replace(seen, at=f"/ip{6 if ':' in ip else 4}/{ip}/tcp/{at.port}/p2p/{at.peer_id}")
    try:
        async with asyncio.timeout(patience_s):
            _, writer = await asyncio.open_connection(ip, at.port)
    except TimeoutError:
        return replace(seen, failed="tcp", why=f"no answer within {patience_s:g} s")
    except OSError as error:
        return replace(seen, failed="tcp", why=os.strerror(error.errno) if error.errno else str(error))
    took_ms = (time.perf_counter() - begun) * 1000
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return replace(seen, took_ms=took_ms)
