"""What others ask of a node: strangers pay for strangers, and learn little."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

import trio
import trio.testing
from libp2p.host.exceptions import StreamFailure
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from multiaddr import Multiaddr

import gossip.wide.host as host_module
import gossip.wide.serving as serving
from gossip.peer_ids import peer_id_of
from gossip.wide import hop
from gossip.wide.config import LINK_PROTOCOL, OFFER_PROTOCOL, WideConfig
from gossip.wide.offers import ALL_AT_ONCE, AT_ONCE, HEAD_S, STRANGERS_AT_ONCE, WHOLE_S, Answering
from tests.wide.bare import DEADLINE_S, Bare, Community, until, wide
from tests.wide.test_relay_node import connect, gone, reserve
from tests.wide.test_streams import neighbours

pytestmark = pytest.mark.usefixtures("no_thread_left")


async def allow(node: Any, *members: Bare | bytes, strangers: bool = False) -> None:
    """Returns once the other thread heeds it."""
    keys = frozenset(each if isinstance(each, bytes) else each.key for each in members)
    node.allow(keys, strangers=strangers)
    gate = node._engine._gate
    await until(lambda: gate._members == frozenset(map(peer_id_of, keys)) and gate._open == strangers, "it is heeded")


# ------------------------------------------------------------------ offers


class Said:
    """One end of a stream in memory, with libp2p's names."""

    def __init__(self, end: Any) -> None:
        self._end = end

    async def read(self, size: int) -> bytes:
        data: bytes = await self._end.receive_some(size)
        return data

    async def write(self, data: bytes) -> None:
        await self._end.send_all(data)


def stream() -> tuple[Said, Said]:
    one, two = trio.testing.memory_stream_pair()
    return Said(one), Said(two)


def offering(play: Callable[[Answering, Any], Any]) -> None:
    """In a time of its own, that jumps."""

    async def answer(key: bytes, offer: bytes) -> bytes:
        return b"answer to " + offer

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            await play(Answering(answer), nursery)
            nursery.cancel_scope.cancel()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


async def answered(answering: Answering, nursery: Any, key: bytes, is_member: bool) -> bytes:
    ours, theirs = stream()
    nursery.start_soon(answering.handle, key, theirs, is_member)
    await ours.write(b"\x05\x00offer")
    return await ours.read(100)


def test_strangers_with_half_offers_shut_out_neither_members_nor_other_strangers() -> None:
    async def play(answering: Answering, nursery: Any) -> None:
        over: list[int] = []
        began = trio.current_time()

        async def half(number: int, theirs: Said) -> None:
            await answering.handle(number.to_bytes(32, "big"), theirs, False)
            over.append(number)

        for number in range(ALL_AT_ONCE):
            ours, theirs = stream()
            nursery.start_soon(half, number // AT_ONCE, theirs)
            await ours.write(b"\x05")
            await trio.testing.wait_all_tasks_blocked()
        assert len(over) == ALL_AT_ONCE - STRANGERS_AT_ONCE
        for number in range(ALL_AT_ONCE - 1):  # members' own places are all theirs
            nursery.start_soon(answering.handle, b"member %d" % (number // AT_ONCE), stream()[1], True)
        await trio.testing.wait_all_tasks_blocked()
        assert await answered(answering, nursery, b"member", is_member=True) == b"\x0f\x00answer to offer"
        assert await answered(answering, nursery, b"stranger", is_member=False) == b"\x0f\x00answer to offer"
        assert trio.current_time() == began, "while the others hold what they have"

    offering(play)


def test_an_offer_begins_within_two_seconds_and_is_whole_within_five() -> None:
    async def play(answering: Answering, nursery: Any) -> None:
        began = trio.current_time()
        _, theirs = stream()
        await answering.handle(b"silent", theirs, True)
        assert trio.current_time() - began == pytest.approx(HEAD_S)
        began = trio.current_time()
        ours, theirs = stream()
        await ours.write(b"\x05\x00of")
        await answering.handle(b"slow", theirs, True)
        assert trio.current_time() - began == pytest.approx(WHOLE_S)

    offering(play)


# ------------------------------------------------------------------ what is spoken


async def spoken(bare: Bare, peer: Any) -> str:
    async def ask() -> str:
        said = MultiselectCommunicator(await bare.host.get_network().new_stream(peer))
        await said.write("/multistream/1.0.0")
        await said.read()
        await said.write("ls")
        listed: str = await said.read()
        return listed

    listed: str = await bare.do(ask)
    return listed


async def opens(bare: Bare, peer: Any, protocol: str) -> bool:
    async def ask() -> bool:
        try:
            await (await bare.host.new_stream(peer, [protocol])).reset()
        except StreamFailure:
            return False
        return True

    opened: bool = await bare.do(ask)
    return opened


async def test_a_bootstrap_cannot_tell_that_a_swarm_is_here_and_a_joiner_sees_what_it_needs() -> None:
    with Bare() as bootstrap:
        async with wide(WideConfig((bootstrap.address,), (), "127.0.0.1")) as node:
            await until(lambda: node.report()["state"] == "ready", "it is connected")
            peer = ID.from_string(peer_id_of(node.key))
            listed = await spoken(bootstrap, peer)
            assert "/ipfs/ping/1.0.0" in listed
            assert "gossip" not in listed
            assert "meshsub" not in listed
            for protocol in (OFFER_PROTOCOL, LINK_PROTOCOL, "/meshsub/1.1.0"):
                assert not await opens(bootstrap, peer, protocol)
            with Bare() as joiner:
                await allow(node, strangers=True)
                at = f"{node._engine._host.get_transport_addrs()[0]}".partition("/p2p/")[0] + f"/p2p/{peer}"
                await joiner.do(joiner.host.connect, info_from_p2p_addr(Multiaddr(at)))
                listed = await spoken(joiner, peer)
                assert OFFER_PROTOCOL in listed
                assert LINK_PROTOCOL in listed
                assert "meshsub" not in listed
                await allow(node, joiner)
                assert "meshsub" in await spoken(joiner, peer)


# ------------------------------------------------------------------ places


async def test_silent_connections_do_not_shut_a_node_s_door(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "HANDSHAKES", 4)
    monkeypatch.setattr(host_module, "ATTEMPT_S", 600.0)  # which they would have the places for
    port = free_port()
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, port)
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        for reader, _ in kept[:2]:
            async with asyncio.timeout(DEADLINE_S):
                await reader.read()  # the oldest are ended for those that came after
        at = two.report()["bootstrap"][0]["address"]
        with Bare() as member:
            await allow(one, two.key, member)
            await member.do(member.host.connect, info_from_p2p_addr(Multiaddr(at)))
        for _, writer in kept:
            writer.close()


async def test_a_circuit_of_somebody_who_may_not_come_in_is_refused_before_it_stands() -> None:
    with Community() as relay, Bare() as stranger:
        async with wide(WideConfig((), (relay.address,), "127.0.0.1")) as node:
            await until(lambda: node.report()["relays"][0]["reserved"], "a place is reserved")
            at, target = ID.from_string(relay.peer), ID.from_string(peer_id_of(node.key))
            await stranger.do(stranger.host.connect, info_from_p2p_addr(Multiaddr(relay.address)))
            answer, _ = await stranger.do(connect, stranger.host, at, target)
            assert answer.status == hop.FAILED
            await allow(node, stranger)
            answer, _ = await stranger.do(connect, stranger.host, at, target)
            assert answer.status == hop.OK
            assert (await stranger.do(reserve, stranger.host, at)).status == hop.OK


async def is_refused(host: Any, peer: ID) -> bool:
    """Whether a stream for a link is reset, be it while its protocol is still agreed on."""
    try:
        return await gone(await host.new_stream(peer, [LINK_PROTOCOL]))
    except StreamFailure:
        return True


async def test_link_streams_of_strangers_are_not_counted_against_members(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ALL_LINKS", 1)
    monkeypatch.setattr(serving, "STRANGERS_LINKS", 1)
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        at = two.report()["bootstrap"][0]["address"]
        with Bare() as stranger:
            await allow(one, two.key, strangers=True)
            await stranger.do(stranger.host.connect, info_from_p2p_addr(Multiaddr(at)))
            peer = ID.from_string(peer_id_of(one.key))
            await stranger.do(stranger.host.new_stream, peer, [LINK_PROTOCOL])
            first = await asyncio.wait_for(one.kept.streams.get(), DEADLINE_S)
            assert first.key == stranger.key
            assert await stranger.do(is_refused, stranger.host, peer)
            ours = await two.open(one.key)
            third = await asyncio.wait_for(one.kept.streams.get(), DEADLINE_S)
            assert third.key == two.key
            await ours.close()
            await third.close()
            await first.close()
