"""A connection ends when we say so, whatever its far end makes of that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

import trio
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr

from gossip.peer_ids import peer_id_of
from gossip.wide.cutting import cut
from tests.wide import meeting
from tests.wide.bare import Bare, until
from tests.wide.test_streams import neighbours

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.mark.parametrize("reads", [True, False])
def test_it_is_gone_at_both_ends_even_if_no_goodbye_gets_through(reads: bool) -> None:
    async def play() -> None:
        async with meeting.peer(listens=True) as near, meeting.peer(listens=True) as far:
            at = await meeting.reach(near, str(far.get_addrs()[0]))
            (conn,) = near.get_network().get_connections(at)
            await meeting.until(lambda: far.get_network().get_connections(near.get_id()))
            written = trio.Event()

            async def write() -> None:
                """As if it were a word that waits in full buffers."""
                async with conn.muxed_conn._write_lock:
                    written.set()
                    await trio.sleep_forever()

            async with trio.open_nursery() as nursery:
                if not reads:
                    nursery.start_soon(write)
                    await written.wait()
                await cut(near.get_network(), at)
                assert near.get_network().get_connections(at) == []
                assert at not in near.get_network().connections
                await meeting.until(lambda: not far.get_network().get_connections(near.get_id()))
                nursery.cancel_scope.cancel()

    meeting.story(play)


async def test_who_was_let_in_in_the_moment_it_was_put_out_does_not_stay(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        at = two.report()["bootstrap"][0]["address"]
        with Bare() as late:
            one.allow(frozenset({two.key, late.key}), strangers=False)
            await two.exchange(one.key, b"a word after which this holds")
            await late.do(late.host.connect, info_from_p2p_addr(Multiaddr(at)))
            (conn,) = late.host.get_network().get_connections(ID.from_string(peer_id_of(one.key)))
            gate = one._engine._gate
            one._bridge.wake(lambda: gate.allow(frozenset({peer_id_of(two.key)}), False))  # nobody is told whom to cut
            await until(lambda: conn.muxed_conn.is_closed, "it is cut all the same")
            assert one.report()["connected"] == 1
            assert await two.exchange(one.key, b"last") == b"answer to last"
