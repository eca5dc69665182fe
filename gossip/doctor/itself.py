"""From this machine to itself, over the addresses of an interface: the port that is listened on, and DTLS over UDP.

Traffic to an own address does not leave the machine, so what fails here is this machine's fault: a port that is taken,
a firewall program, a library. What a firewall does to others' packets only others can see (way.py).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Final

from gossip.doctor import talk
from gossip.doctor.finding import Finding, Patience, fails, ok, skipped
from gossip.doctor.holders import holder
from gossip.transport.signalling import SignallingServer, Unheard, exchange
from gossip.transport.webrtc import Backend, WebRTCTransport
from ledger.errors import GossipError, LinkError
from ledger.keys import PrivateKey

LOCAL_FIREWALL: Final = "look for a firewall program on this machine that stops programs from reaching its own ports"


async def look_port(address: str, port: int, patience_s: float, *, own: str = "") -> Finding:
    """Listen where a peer would (0: any port), and knock. `own`: where a node of this peer answers already."""
    server = SignallingServer(_nothing)
    where = own or f"{address}:{port or 'any'}"
    try:
        if own:
            at = (own.rpartition(":")[0], int(own.rpartition(":")[2]))
        else:
            at = (address, await server.start(address, port))
    except LinkError as error:
        who = holder(port, "tcp4")
        text = f"cannot listen on it: {error.why}" + (f" (held by {who})" if who else "")
        how = f"end {who or 'the program that has it'}, or take another with: gossip run --port PORT"
        return fails("port", text, how, where, held_by=who)
    try:
        async with asyncio.timeout(patience_s):
            await exchange(*at, b"{}")
    except Unheard:
        text = "this peer's node answers there" if own else "can be listened on and connected to"
        return ok("port", text, where, port=at[1])
    except (GossipError, TimeoutError) as error:
        why = getattr(error, "why", "") or f"no answer within {patience_s:g} s"
        return fails("port", f"listened on, and not to be connected to: {why}", LOCAL_FIREWALL, where, port=at[1])
    finally:
        await server.close()
    return fails("port", "somebody else answers there", "take another with: gossip run --port PORT", where)


async def _nothing(offer: bytes) -> bytes | None:
    return None


async def look_channel(addresses: Sequence[str], backend: Backend, patience: Patience) -> Finding:
    """Two peers of ours on these addresses open a link to each other, by that library."""
    patience_s = patience.of("channel")
    swarm, keys = secrets.token_hex(32), (PrivateKey.generate(), PrivateKey.generate())
    begun = time.perf_counter()
    try:
        one, two = (
            WebRTCTransport(key, swarm, talk.Anybody(), tuple(addresses), backend) for key in keys
        )  # fmt: skip
    except GossipError as error:
        return skipped("channel", str(error), "", backend)
    tasks: list[asyncio.Task[float]] = []
    try:
        port = await two.start(addresses[0])
        async with asyncio.timeout(patience_s):
            link = await one.dial(addresses[0], port, key=keys[1].public)
            opened_s = time.perf_counter() - begun
            tasks.append(asyncio.create_task(talk.answer(await two.incoming.get(), time.time, patience_s)))
            told = await talk.ask(link, time.time, patience)
            await link.close()
    except (GossipError, TimeoutError, ImportError, OSError) as error:
        why = str(error) or f"not open within {patience_s:g} s"
        how = "look for a firewall program on this machine that stops UDP between its own programs"
        return fails("channel", f"no DTLS from this machine to itself: {why}", how, backend)
    finally:
        await asyncio.gather(*tasks, return_exceptions=True)
        await one.close()
        await two.close()
    if not told.whole_s:
        return fails("channel", "open, and 64 KiB do not come through it", "install the library again", backend)
    return ok(
        "channel", f"DTLS to itself open after {opened_s * 1000:.0f} ms", backend,
        opened_ms=round(opened_s * 1000, 1), whole_ms=round(told.whole_s * 1000, 1),
    )  # fmt: skip
