"""What is refused before anything of it is read: who is not admitted, and who asks too many things at once."""

from __future__ import annotations

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

import trio
import trio.testing
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID

from gossip.peer_ids import peer_id_of
from gossip.wide.hop import CONTROLS_OF_PEER, Hop, Limits
from gossip.wide.host import make_host
from ledger.keys import PrivateKey

PEER = peer_id_of(PrivateKey.from_seed(b"p" * 32).public)


class Far:
    """The far end of a connection, or of a stream on it."""

    def __init__(self) -> None:
        self.peer_id = ID.from_string(PEER)
        self.muxed_conn = self
        self.closed = self.was_reset = False

    async def close(self) -> None:
        self.closed = True

    async def reset(self) -> None:
        self.was_reset = True

    async def read(self, _: int) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    def get_remote_address(self) -> tuple[str, int]:
        return "192.0.2.1", 4001


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_a_connection_that_is_not_admitted_is_closed_and_never_one_of_the_host_s(direction: str) -> None:
    asked: list[tuple[str, bool]] = []

    def admit(peer: str, outbound: bool) -> bool:
        asked.append((peer, outbound))
        return False

    async def come() -> None:
        host, _ = make_host(b"h" * 32, admit, lambda found: found, lambda _: False, lambda _: False)
        far = Far()
        with pytest.raises(SwarmException, match="not admitted"):
            await host.get_network().add_conn(far, direction)
        assert far.closed
        assert not host.get_network().connections

    trio.run(come)
    assert asked == [(PEER, direction == "outbound")]


def test_one_peer_asks_a_relay_so_many_things_at_once() -> None:
    async def ask() -> None:
        host, _ = make_host(b"h" * 32, lambda *_: True, lambda found: found, lambda _: False, lambda _: False)
        hop = Hop(host, Limits(), ())
        streams = [Far() for _ in range(CONTROLS_OF_PEER)]
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(hop._came, stream)
            await trio.testing.wait_all_tasks_blocked()
            more = Far()
            with trio.move_on_after(60):
                await hop._came(more)
            assert more.was_reset
            assert not any(stream.was_reset for stream in streams)
            nursery.cancel_scope.cancel()

    trio.run(ask)
