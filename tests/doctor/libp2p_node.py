"""A libp2p node in a process of its own, until stdin closes.

    python -m tests.doctor.libp2p_node RESERVATIONS BYTES WORDS

WORDS: which of "relay" and "dht" it is, joined by commas. Prints its multiaddress.
"""

from __future__ import annotations

import secrets
import sys
from contextlib import AsyncExitStack

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.relay.circuit_v2 import CircuitV2Protocol
from libp2p.relay.circuit_v2.resources import RelayLimits
from libp2p.tools.anyio_service import background_trio_service


async def main(reservations: int, size: int, words: list[str]) -> None:
    host = new_host(key_pair=create_new_key_pair(secrets.token_bytes(32)), muxer_preference="YAMUX")
    async with host.run(listen_addrs=[multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]), AsyncExitStack() as stack:
        if "relay" in words:
            limits = RelayLimits(duration=7_200, data=size, max_circuit_conns=8, max_reservations=reservations)
            await stack.enter_async_context(
                background_trio_service(CircuitV2Protocol(host, limits=limits, allow_hop=True))
            )
        if "dht" in words:
            await stack.enter_async_context(background_trio_service(KadDHT(host, DHTMode.SERVER)))
        print(host.get_addrs()[0], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(","))
