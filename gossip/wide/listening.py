"""The port that direct connections come in on: looked at before it is taken, and tried again until it is free.

py-libp2p listens with SO_REUSEPORT, so that two programs of one user share a port without a word, and each of them gets
half of the connections. So a socket without it is bound first: that shows who else is there. A node whose port is taken
is reached through relays meanwhile. Runs in the trio thread; knows no libp2p.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from typing import Any

import trio

from gossip.wide.config import RETRY_FIRST_S, RETRY_LAST_S


def taken(host: str, port: int) -> str:
    """Why nobody can listen there now; "" if one can."""
    try:
        with socket.socket() as probe:
            if os.name == "posix":  # connections that are over hold nothing; elsewhere it would mean sharing
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


async def listen(network: Any, where: Any, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Return once the network listens at `where`, which is that host and port. People are told once."""
    wait_s, told = RETRY_FIRST_S, False
    while True:
        why = taken(host, port) if port else ""
        if not why and await network.listen(where):
            return
        if not told:
            told = True
            tell(
                f"libp2p cannot listen on {host} port {port}: {why or 'it was refused'}; until it is free others reach "
                "this node through relays only (--wide-port names another)"
            )
        await trio.sleep(wait_s * random.uniform(0.75, 1.25))
        wait_s = min(wait_s * 2, RETRY_LAST_S)
