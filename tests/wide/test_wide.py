"""A node beyond its network, whole: found under a namespace, started again, and bounded against its own members."""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

import trio
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.utils.varint import read_length_prefixed_protobuf
from multiaddr import Multiaddr

import gossip.wide.bridge as bridge
from gossip.peer_ids import peer_id_of
from gossip.wide.config import LINK_PROTOCOL, WideConfig
from ledger.keys import PrivateKey
from tests.wide.bare import DEADLINE_S, ROOMY, Bare, Community, until, wide
from tests.wide.test_streams import know_each_other, neighbours

pytestmark = pytest.mark.usefixtures("no_thread_left")


async def test_two_who_know_a_namespace_and_a_relay_find_one_another_and_talk() -> None:
    with Community() as relay:
        config = WideConfig((relay.address,), (), "127.0.0.1")
        async with wide(config) as one, wide(config) as two:
            know_each_other(one, two)
            namespace = os.urandom(32)
            one.meet((namespace,), 1)
            two.meet((namespace, os.urandom(32)), 0)
            await until(lambda: two.kept.found_keys, "it is found")
            assert two.kept.found_keys[0] == one.key
            assert two.report()["found"] >= 1
            assert set(one.kept.found_keys) <= {two.key}, "not itself"
            assert await two.exchange(one.key, b"an offer") == b"answer to an offer"


async def test_members_with_one_relay_find_one_another_though_nobody_answers_lookups() -> None:
    with Bare(limits=ROOMY) as relay:
        config = WideConfig((), (relay.address,), "127.0.0.1")
        async with wide(config) as one, wide(config) as two:
            know_each_other(one, two)
            for node in (one, two):
                node.meet((os.urandom(32),), 1)  # who holds the ledger needs no name to meet under
            await until(lambda: two.key in one.kept.found_keys and one.key in two.kept.found_keys, "both are found")
            assert one.report()["found"] == two.report()["found"] == 0, "by no lookup"


async def test_a_host_that_breaks_is_told_and_another_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "RETRY_FIRST_S", 0.01)
    with Bare() as plain:
        async with wide(WideConfig((plain.address,), (), "127.0.0.1")) as node:
            await until(lambda: node.report()["state"] == "ready", "it is connected")

            def breaks() -> None:
                raise RuntimeError("inside of libp2p")

            node._bridge.wake(lambda: node._engine._nursery.start_soon(_raise, breaks))
            await until(lambda: node.kept.said, "people are told")
            assert node.kept.said[0].startswith("libp2p failed: RuntimeError: inside of libp2p; it is started again")
            await until(lambda: node.report()["state"] == "ready", "it is connected again")


async def _raise(breaks: Callable[[], None]) -> None:
    breaks()


async def connected(hostile: Bare, address: str) -> None:
    await hostile.do(hostile.host.connect, info_from_p2p_addr(Multiaddr(address)))


async def test_a_member_that_opens_streams_without_end_is_cut_and_others_are_not(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        at = two.report()["bootstrap"][0]["address"]
        with Bare() as hostile:
            one.allow(frozenset({two.key, hostile.key}), strangers=False)
            await two.exchange(one.key, b"first")
            await connected(hostile, at)

            async def flood() -> None:
                (conn,) = hostile.host.get_network().get_connections(ID.from_string(peer_id_of(one.key)))
                with suppress(MuxedStreamError):
                    for _ in range(200):  # of more than 256 py-libp2p itself waits for the first to end
                        await conn.muxed_conn.open_stream()
                with trio.fail_after(DEADLINE_S):
                    await conn.muxed_conn.event_closed.wait()

            await hostile.do(flood)
            assert await two.exchange(one.key, b"last") == b"answer to last"


async def test_a_member_that_sends_past_its_window_is_cut_at_eight_megabytes(free_port: Callable[[], int]) -> None:
    async with AsyncExitStack() as stack:
        one, two = await neighbours(stack, free_port())
        at = two.report()["bootstrap"][0]["address"]
        with Bare() as hostile:
            one.allow(frozenset({two.key, hostile.key}), strangers=False)
            await two.exchange(one.key, b"first")
            await connected(hostile, at)

            async def flood() -> int:
                stream = await hostile.host.new_stream(ID.from_string(peer_id_of(one.key)), [LINK_PROTOCOL])
                muxed, piece, sent = stream.muxed_stream, bytes(60_000), 0
                header = struct.pack("!BBHII", 0, 0, 0, muxed.stream_id, len(piece))
                try:
                    while sent < 64 << 20 and not muxed.conn.event_shutting_down.is_set():
                        await muxed.conn._write_frame(header + piece)
                        sent += len(piece)
                except Exception:
                    return sent
                return sent

            before = one.report()["bytes_received"]
            assert await hostile.do(flood) < 64 << 20
            assert one.report()["bytes_received"] - before < 16 << 20
            assert await two.exchange(one.key, b"last") == b"answer to last"


async def test_nothing_of_libp2p_reaches_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    code = f"""
import asyncio
from gossip.wide.config import WideConfig
from gossip.wide.wide import Wide
from ledger.keys import PrivateKey

class Silent:
    def tell(self, text): told.append(text)

told = []

async def main():
    nobody = "/ip4/127.0.0.1/tcp/1/p2p/{peer_id_of(PrivateKey.generate().public)}"
    node = Wide(PrivateKey.generate(), WideConfig((nobody,), (), "127.0.0.1"), Silent())
    await node.start()
    while not told:
        await asyncio.sleep(0.05)
    await node.close()

asyncio.run(main())
import logging
assert not logging.getLogger().handlers
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 0
    assert capfd.readouterr() == ("", "")


async def test_members_that_are_connected_hear_announcements_and_the_newest_wins() -> None:
    with Community() as relay:
        config = WideConfig((relay.address,), (), "127.0.0.1")
        async with wide(config) as one, wide(config) as two:
            know_each_other(one, two)
            namespace = os.urandom(32)
            for node in (one, two):
                node.meet((namespace,), 1)
            one.announce(b"first")
            await until(lambda: (one.key, b"first") in two.kept.announcements, "it is heard")
            one.announce(b"second")
            one.announce(b"third")
            await until(lambda: (one.key, b"third") in two.kept.announcements, "the newest is heard")
            assert two.report()["heard"] >= 2
            await until(lambda: one.report()["announced"] >= 2, "it is counted")


async def test_a_bootstrap_learns_no_protocol_of_ours_and_no_version() -> None:
    with Bare() as plain:
        async with wide(WideConfig((plain.address,), (), "127.0.0.1")) as node:
            await until(lambda: node.report()["state"] == "ready", "it is connected")
            me = ID.from_string(peer_id_of(node.key))

            async def ask() -> Any:
                while not plain.host.get_network().get_connections(me):  # its side of it is a moment later
                    await trio.sleep(0.01)
                stream = await plain.host.new_stream(me, [IDENTIFY])
                said = Identify()
                said.ParseFromString(await read_length_prefixed_protobuf(stream, use_varint_format=True))
                await stream.close()
                return said

            said = await plain.do(ask)
            assert said.agent_version == "libp2p"
            assert said.protocols
            assert not [each for each in said.protocols if each.startswith(("/gossip", "/meshsub", "/floodsub"))]
            node.allow(frozenset({plain.key}), strangers=False)
            await until(lambda: node.report()["connected"] == 1, "it is a member now")
            assert LINK_PROTOCOL in (await plain.do(ask)).protocols
            offered = node._engine._host.get_network().upgrader
            assert list(offered.security_multistream.transports) == ["/noise"]
            assert list(offered.muxer_multistream.transports) == ["/yamux/1.0.0"]
