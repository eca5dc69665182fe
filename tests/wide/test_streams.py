"""Offers and link streams between two nodes, over real py-libp2p on loopback: directly, and through a relay."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

from libp2p.host.exceptions import StreamFailure
from libp2p.network.stream.exceptions import StreamReset
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr

from gossip.peer_ids import peer_id_of
from gossip.transport.signalling import Unheard
from gossip.wide.config import LINK_PROTOCOL, OFFER_PROTOCOL, WAITING_BYTES, WideConfig
from gossip.wide.wide import Wide
from ledger.errors import LinkError
from ledger.keys import PrivateKey
from tests.wide.bare import DEADLINE_S, ROOMY, Bare, until, wide

pytestmark = pytest.mark.usefixtures("no_thread_left")


def know_each_other(*nodes: Wide) -> None:
    for node in nodes:
        node.allow(frozenset(each.key for each in nodes if each is not node), strangers=False)


async def neighbours(stack: AsyncExitStack, port: int) -> tuple[Any, Any]:
    """Two members; the second was told of the first, and they are connected without a relay."""
    key = PrivateKey.generate()
    one = await stack.enter_async_context(wide(WideConfig((), (), "127.0.0.1", port), key))
    await until(lambda: one.report()["state"] == "alone", "it listens")
    at = f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(key.public)}"
    two = await stack.enter_async_context(wide(WideConfig((at,), (), "127.0.0.1")))
    know_each_other(one, two)
    await until(lambda: two.report()["state"] == "ready" and one.report()["connected"], "they are connected")
    return one, two


async def apart(stack: AsyncExitStack, relay: Bare) -> tuple[Any, Any]:
    """Two members that know nothing of one another but a relay."""
    one = await stack.enter_async_context(wide(WideConfig((), (relay.address,), "127.0.0.1")))
    two = await stack.enter_async_context(wide(WideConfig((), (relay.address + "/p2p-circuit",), "127.0.0.1")))
    know_each_other(one, two)
    for each in (one, two):
        await until(lambda each=each: each.report()["relays"][0]["reserved"], "a place is reserved")
    return one, two


async def received(stream: Any, size: int) -> bytes:
    data = b""
    async with asyncio.timeout(DEADLINE_S):
        while len(data) < size and (more := await stream.receive()):
            assert len(more) <= 65_536
            data += more
    return data


async def both_ways(one: Any, two: Any, size: int) -> None:
    """An offer, and so many bytes each way on one stream."""
    assert await two.exchange(one.key, b"an offer") == b"answer to an offer"
    assert one.kept.offers == [(two.key, b"an offer")]
    stream = await two.open(one.key)
    assert stream.key == one.key
    far = await asyncio.wait_for(one.kept.streams.get(), DEADLINE_S)
    assert far.key == two.key
    sent = os.urandom(size)
    for near, other in ((stream, far), (far, stream)):
        for at in range(0, len(sent), 50_000):
            near.send(sent[at : at + 50_000])
        assert await received(other, len(sent)) == sent
    await stream.close()
    assert await received(far, 1) == b""
    await far.close()
    with pytest.raises(LinkError):
        stream.send(b"too late")


async def test_two_neighbours_exchange_offers_and_bytes(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        await both_ways(one, two, 5_000_000)
        assert two.report()["bytes_sent"] > 5_000_000


async def test_through_a_relay_the_same_with_no_address_known() -> None:
    with Bare(limits=ROOMY) as relay:
        async with AsyncExitStack() as stack:
            one, two = await apart(stack, relay)
            await both_ways(one, two, 1_000_000)


async def test_a_far_end_that_does_not_read_holds_the_bytes_back_and_then_costs_its_stream(
    free_port: Callable[[], int],
) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        stream = await two.open(one.key)
        far = await asyncio.wait_for(one.kept.streams.get(), DEADLINE_S)
        piece, handed = bytes(65_536), 0
        for _ in range(100):
            stream.send(piece)
            handed += len(piece)
        await until(lambda: far._arrived >= 256 << 10, "read ahead")
        for _ in range(5):  # the loop turns, and nobody reads
            await two.exchange(one.key, b"meanwhile")
        assert far._arrived <= (256 << 10) + len(piece)
        assert len(await received(far, handed)) == handed

        def too_much() -> None:
            for _ in range(2 * WAITING_BYTES // len(piece)):
                stream.send(piece)

        with pytest.raises(LinkError, match="does not read"):
            too_much()
        with pytest.raises(LinkError):
            stream.send(piece)
        assert await two.exchange(one.key, b"again") == b"answer to again"


async def test_silence_is_unheard_and_a_key_that_nobody_has_is_no_way(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        one.kept.silent = True
        with pytest.raises(Unheard):
            await two.exchange(one.key, b"an offer")
        with pytest.raises(LinkError, match="no way to 12D3KooW"):
            await two.exchange(PrivateKey.generate().public, b"an offer")


async def test_a_stranger_is_refused_until_an_invite_is_open(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        at = two.report()["bootstrap"][0]["address"]
        stranger = await stack.enter_async_context(wide(WideConfig((at,), (), "127.0.0.1")))
        stranger.allow(frozenset({one.key}), strangers=False)
        await until(
            lambda: stranger.report()["bootstrap"][0]["text"] not in ("starting", "not connected yet"), "refused"
        )
        with pytest.raises(LinkError):
            await stranger.exchange(one.key, b"let me in")
        assert one.kept.offers == []
        one.allow(frozenset({two.key}), strangers=True)

        async def enters() -> bytes:
            while True:
                try:
                    return await stranger.exchange(one.key, b"let me in")
                except LinkError:
                    await asyncio.sleep(0.1)

        assert await asyncio.wait_for(enters(), DEADLINE_S) == b"answer to let me in"
        one.allow(frozenset({two.key}), strangers=False)
        await until(lambda: not stranger.report()["bootstrap"][0]["connected"], "it has to go again")


async def test_a_member_is_cut_when_it_is_one_no_longer(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        stream = await two.open(one.key)
        await asyncio.wait_for(one.kept.streams.get(), DEADLINE_S)
        one.allow(frozenset(), strangers=False)
        with pytest.raises(LinkError):
            await asyncio.wait_for(stream.receive(), DEADLINE_S)
        with pytest.raises(LinkError):
            await two.exchange(one.key, b"an offer")
        assert one.kept.offers == []


async def test_bad_offers_end_their_own_stream_and_nothing_else(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        at = two.report()["bootstrap"][0]["address"]
        with Bare() as hostile:
            one.allow(frozenset({two.key, hostile.key}), strangers=False)
            two_answers = asyncio.ensure_future(two.exchange(one.key, b"first"))

            async def send(protocol: str, data: bytes, end: bool) -> bytes:
                host = hostile.host
                await host.connect(info_from_p2p_addr(Multiaddr(at)))
                stream = await host.new_stream(ID.from_string(peer_id_of(one.key)), [protocol])
                try:  # it may be reset while we write
                    await stream.write(data)
                    if end:
                        await stream.close_write()
                    said: bytes = await stream.read(100)
                except Exception:
                    said = b""
                await stream.reset()
                return said

            assert await two_answers == b"answer to first"
            for data in (b"", b"\x05", b"\xff\xff" + bytes(70_000), b"\x00\x00", b"\x10\x00short", os.urandom(3)):
                assert await hostile.do(send, OFFER_PROTOCOL, data, True) == b"", data[:10]
            assert await hostile.do(send, OFFER_PROTOCOL, b"\x04\x00good", False) == b"\x0e\x00answer to good"
            assert [offer for _, offer in one.kept.offers] == [b"first", b"good"]

            async def many() -> None:
                host = hostile.host
                for _ in range(12):
                    with suppress(StreamFailure, StreamReset):  # refused before it was quite open
                        stream = await host.new_stream(ID.from_string(peer_id_of(one.key)), [LINK_PROTOCOL])
                        await stream.write(b"never ending")

            await hostile.do(many)
            assert await two.exchange(one.key, b"last") == b"answer to last"
            assert one.kept.streams.qsize() == 4  # of one key
            two_link = await two.open(one.key)
            two_link.send(b"hello")
            await asyncio.gather(*[one.kept.streams.get_nowait().close() for _ in range(4)])
            far = await asyncio.wait_for(one.kept.streams.get(), DEADLINE_S)
            assert await received(far, 5) == b"hello"


async def test_closing_while_everything_is_under_way_leaves_nothing_behind(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        one.kept.silent = True
        nobody = PrivateKey.generate().public
        tasks = [asyncio.ensure_future(two.exchange(key, bytes(4000))) for key in (one.key, nobody) * 4]
        stream = await two.open(one.key)
        for _ in range(100):
            stream.send(bytes(60_000))
        reading = asyncio.ensure_future(stream.receive())
        await asyncio.sleep(0)
        await two.close()
        for task in (*tasks, reading):
            with pytest.raises(LinkError):
                await asyncio.wait_for(task, DEADLINE_S)
        await stream.close()
        await two.close()
        with pytest.raises(LinkError):
            await two.open(one.key)
