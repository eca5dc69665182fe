"""The other end of `gossip doctor --peer`: a doctor that waits, and can be found, until it is told to stop.

It stands where a peer would, with the same signalling, announcement and links, in the swarm of doctors (talk.py). Every
visitor learns this machine's time and gets one message back; nothing of this machine's peers is touched or told.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from gossip.doctor import talk
from gossip.transport.discovery import Discovery
from gossip.transport.webrtc import Backend, WebRTCTransport
from ledger.errors import GossipError, LinkError
from ledger.keys import PrivateKey

VISIT_S: Final = 10.0
HELLO_S: Final = 2.0  # a visitor that says nothing for so long is no doctor ...
VISITS: Final = 4  # ... and so many may be here at once: who keeps still keeps nobody out

Tell = Callable[[str, dict[str, Any]], None]


async def _receive(transport: WebRTCTransport, wall: Callable[[], float], tell: Tell) -> None:
    """One visit after another."""
    while True:
        link = await transport.incoming.get()
        try:
            ahead_s = await talk.answer(link, wall, VISIT_S, HELLO_S)
        except GossipError as error:  # whoever it was, it was no doctor
            tell("silent", {"text": str(error)})
            continue
        tell("visited", {"ahead_s": round(ahead_s, 1), "by": link.key.hex()[:8]})


async def wait(
    addresses: Sequence[str], port: int, tell: Tell, *, backend: Backend = "auto",
    wall: Callable[[], float] = time.time,
) -> None:  # fmt: skip
    """Answer until cancelled. `tell` hears "waiting" (address), "silent" (text) and "visited" (ahead_s, by). LinkError:
    the port cannot be had."""
    key = PrivateKey.generate()
    transport = WebRTCTransport(key, talk.SWARM, talk.Anybody(), tuple(addresses), backend)
    voice = Discovery(addresses, talk.SWARM, lambda candidate: None)
    try:
        taken = await transport.start(addresses[0], port)
        try:
            await voice.start()
            await voice.advertise(taken, key=key.public, peer=secrets.token_hex(32))
        except LinkError as error:  # it can be reached all the same; the other end says that it was not heard
            tell("silent", {"text": str(error)})
        tell("waiting", {"address": f"{addresses[0]}:{taken}"})
        async with asyncio.TaskGroup() as visits:
            for _ in range(VISITS):
                visits.create_task(_receive(transport, wall, tell))
    finally:
        await voice.close()
        await transport.close()
