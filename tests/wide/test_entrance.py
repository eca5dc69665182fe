"""Who comes in by TCP: a machine that is gone without a word does not keep its place for ever."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

import trio

from gossip.wide.entrance import SILENT_S, TRY_S, Entrance


async def _options_of_a_connection() -> dict[str, int]:
    """What is set on a connection that came in, when the host gets it."""
    seen: dict[str, int] = {}
    done = trio.Event()

    class Host:
        def get_network(self) -> Host:
            return self

        async def upgrade_inbound_raw_conn(self, raw: Any, where: Any) -> Any:
            sock = raw.stream.stream.socket
            seen["alive"] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
                seen[name] = sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            done.set()
            raise OSError("no more of it")

    entrance = Entrance(Host())
    port = await entrance.open("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(entrance.run)
        async with await trio.open_tcp_stream("127.0.0.1", port):
            with trio.fail_after(60):
                await done.wait()
        nursery.cancel_scope.cancel()
    return seen


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system calls them otherwise")
def test_a_far_end_that_says_nothing_more_is_asked_about() -> None:
    seen = trio.run(_options_of_a_connection)
    assert seen == {"alive": 1, "TCP_KEEPIDLE": SILENT_S, "TCP_KEEPINTVL": TRY_S, "TCP_KEEPCNT": 3}
