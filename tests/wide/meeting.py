"""py-libp2p hosts on loopback, and a relay of ours, for tests of what runs on them (trio)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from gossip.wide.entrance import Places
from gossip.wide.hop import Limits
from gossip.wide.host import make_host
from gossip.wide.quiet import keep_off_the_root, quieten
from gossip.wide.relay_node import Counts, RelayNode
from tests.wide.forgotten import forget

PATIENCE_S: Final = 90.0  # a busy machine's
HERE: Final = "/ip4/127.0.0.1/tcp/0"


def story(play: Callable[[], Any]) -> Any:
    """Play it to its end, within PATIENCE_S."""
    quieten()
    keep_off_the_root()

    async def bounded() -> Any:
        with trio.fail_after(PATIENCE_S):
            return await play()

    try:
        return trio.run(bounded)
    finally:
        forget()


@asynccontextmanager
async def nursery() -> AsyncIterator[Any]:
    """One whose tasks end with it."""
    async with trio.open_nursery() as opened:
        yield opened
        opened.cancel_scope.cancel()


async def until(fact: Callable[[], Any]) -> None:
    """Wait for a fact."""
    while not fact():
        await trio.sleep(0.01)


@asynccontextmanager
async def relay(
    limits: Limits | None = None, places: Places | None = None, minute: Callable[[Counts], None] = lambda counts: None
) -> AsyncIterator[tuple[RelayNode, str]]:
    """One relay on loopback, and its address."""
    node = RelayNode(secrets.token_bytes(32), "127.0.0.1", 0, [], limits or Limits(), places or Places())
    told: list[str] = []
    await node.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.run, told.extend, minute, 0.05)
        await until(lambda: told)
        yield node, told[0]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def peer(*addresses: str, listens: bool = False, seed: bytes = b"") -> AsyncIterator[Any]:
    """A host that tells these addresses of itself."""
    host, _ = make_host(
        seed or secrets.token_bytes(32), lambda peer_id, out: True, lambda own: [*own, *addresses], lambda _: True
    )
    from multiaddr import Multiaddr

    async with host.run(listen_addrs=[Multiaddr(HERE)] if listens else []):
        yield host


async def reach(host: Any, address: str) -> Any:
    """Connect to the node at an address; its PeerId."""
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from multiaddr import Multiaddr

    info = info_from_p2p_addr(Multiaddr(address))
    await host.connect(info)
    return info.peer_id
