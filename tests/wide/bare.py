"""Who the tests of gossip/wide talk to: a relay of py-libp2p as it comes, strangers, and a listener that keeps all."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.relay.circuit_v2 import CircuitV2Protocol
from libp2p.relay.circuit_v2.resources import RelayLimits
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from gossip.peer_ids import peer_id_of
from gossip.transport.road import Stream
from gossip.wide.config import WideConfig
from gossip.wide.entrance import Places
from gossip.wide.hop import Limits
from gossip.wide.quiet import keep_off_the_root, quieten
from gossip.wide.relay_node import RelayNode
from gossip.wide.wide import Wide
from ledger.keys import PrivateKey

quieten()
keep_off_the_root()

DEADLINE_S = 60.0


class Kept:
    """A Listener that answers offers with "answer to ..." and keeps whatever it is told."""

    def __init__(self) -> None:
        self.offers: list[tuple[bytes, bytes]] = []
        self.streams: asyncio.Queue[Stream] = asyncio.Queue()
        self.said: list[str] = []
        self.found_keys: list[bytes] = []
        self.announcements: list[tuple[bytes, bytes]] = []
        self.silent = False

    async def offered(self, key: bytes, offer: bytes) -> bytes | None:
        self.offers.append((key, offer))
        return None if self.silent else b"answer to " + offer

    def streamed(self, stream: Stream) -> None:
        self.streams.put_nowait(stream)

    def found(self, key: bytes) -> None:
        self.found_keys.append(key)

    def heard(self, key: bytes, data: bytes) -> None:
        self.announcements.append((key, data))

    def tell(self, text: str) -> None:
        self.said.append(text)


async def until(fact: Callable[[], Any], what: str) -> Any:
    """Wait for a fact."""
    async with asyncio.timeout(DEADLINE_S):
        while not (value := fact()):
            await asyncio.sleep(0.02)
    assert value, what
    return value


@asynccontextmanager
async def wide(config: WideConfig, key: PrivateKey | None = None) -> Any:
    """A Wide that runs, with its listener and key."""
    key = key if key is not None else PrivateKey.generate()
    listener = Kept()
    made = Wide(key, config, listener)
    made.kept, made.key = listener, key.public  # type: ignore[attr-defined]
    await made.start()
    try:
        yield made
    finally:
        await made.close()


class Bare:
    """A host of py-libp2p as it comes, in a thread of its own: a relay, if it has limits."""

    def __init__(self, port: int = 0, limits: RelayLimits | None = None, seed: bytes | None = None) -> None:
        self.seed = seed if seed is not None else os.urandom(32)
        self.key = PrivateKey.from_seed(self.seed).public
        self.peer = peer_id_of(self.key)
        self._port, self._limits = port, limits
        self.address = ""
        self._ready = threading.Event()
        self._token: Any = None
        self._scope: Any = None
        self.host: Any = None
        self._thread = threading.Thread(target=trio.run, args=(self._run,), name="bare libp2p", daemon=True)

    def __enter__(self) -> Bare:
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._token.run_sync_soon(self._scope.cancel)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        if self._limits is None:
            self._ready.set()
            await trio.sleep_forever()
        relay = CircuitV2Protocol(self.host, limits=self._limits, allow_hop=True)
        async with background_trio_service(relay):
            await relay.event_started.wait()
            self._ready.set()
            await trio.sleep_forever()

    async def _run(self) -> None:
        self.host = new_host(key_pair=create_new_key_pair(self.seed))
        self._token = trio.lowlevel.current_trio_token()
        async with self.host.run([Multiaddr(f"/ip4/127.0.0.1/tcp/{self._port}")]):
            self.address = str(self.host.get_addrs()[0])
            try:
                with trio.CancelScope() as self._scope:
                    await self._serve()
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(5.0):
                    await self.host.close()

    async def do(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run a coroutine function in its thread."""
        return await asyncio.to_thread(trio.from_thread.run, function, *args, trio_token=self._token)


class Community(Bare):
    """A relay and DHT server of ours (gossip relay), in a thread of its own."""

    hop_limits = Limits()

    async def _run(self) -> None:
        node = RelayNode(self.seed, "127.0.0.1", 0, [], self.hop_limits, Places())
        self._token = trio.lowlevel.current_trio_token()
        await node.open()

        def started(addresses: list[str]) -> None:
            self.address = addresses[0]
            self._ready.set()

        with trio.CancelScope() as self._scope:
            await node.run(started, lambda counts: None)


ROOMY = RelayLimits(duration=3600, data=1 << 30, max_circuit_conns=64, max_reservations=64)
FULL = RelayLimits(duration=3600, data=1 << 30, max_circuit_conns=0, max_reservations=0)
