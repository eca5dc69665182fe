"""Bootstraps and relays: kept, lost, found again, refused; and what people are told of it, in one line, once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

from gossip.peer_ids import peer_id_of
from gossip.wide import relays
from gossip.wide.config import WideConfig
from gossip.wide.hop import Limits
from gossip.wide.reasons import short
from ledger.errors import LinkError
from ledger.keys import PrivateKey
from tests.wide.bare import FULL, ROOMY, Bare, Community, until, wide

pytestmark = pytest.mark.usefixtures("no_thread_left")


def relay_of(node: Any) -> dict[str, Any]:
    told: dict[str, Any] = node.report()["relays"][0]
    return told


async def test_a_relay_that_dies_and_comes_back_keeps_a_place_for_us_again(free_port: Callable[[], int]) -> None:
    port, seed = free_port(), os.urandom(32)
    with ExitStack() as first:
        relay = first.enter_context(Bare(port, ROOMY, seed))
        async with wide(WideConfig((), (relay.address,), "127.0.0.1")) as node:
            await until(lambda: relay_of(node)["reserved"], "a place is reserved")
            assert node.report()["state"] == "ready"
            assert relay_of(node)["until"] > 0
            first.close()
            await until(lambda: not relay_of(node)["reserved"], "it is lost")
            assert node.report()["state"] == "alone"
            await until(lambda: "connection refused" in relay_of(node)["text"], "it says why")
            with Bare(port, ROOMY, seed):
                await until(lambda: relay_of(node)["reserved"], "a place is reserved again")
                assert relay_of(node)["text"] == ""
            assert len([each for each in node.kept.said if "connection refused" in each]) == 1


async def test_a_relay_over_its_limits_says_so_and_dials_through_it_name_it() -> None:
    with Bare(limits=FULL) as relay:
        async with wide(WideConfig((), (relay.address + "/p2p-circuit",), "127.0.0.1")) as node:
            await until(lambda: "over its limits" in relay_of(node)["text"], "it says why")
            assert not relay_of(node)["reserved"]
            await until(lambda: node.kept.said, "people are told")
            assert node.kept.said == [
                f"the relay {relay.address} keeps no place for us: it is over its limits; trying again"
            ]
            with pytest.raises(LinkError, match=f"through the relay {relay.peer}: the peer has no place reserved"):
                await node.exchange(PrivateKey.generate().public, b"an offer")


async def test_a_bootstrap_that_relays_is_a_relay_if_none_was_named() -> None:
    with Bare(limits=ROOMY) as relay, Bare() as plain:
        config = WideConfig((plain.address, relay.address), (), "127.0.0.1")
        async with wide(config) as node:
            await until(lambda: len(node.report()["relays"]) == 1, "a place is reserved")
            assert relay_of(node)["address"] == relay.address
            assert relay_of(node)["reserved"]
            await until(lambda: all(each["connected"] for each in node.report()["bootstrap"]), "both are connected")
            assert node.kept.said == []


async def test_a_wrong_peer_id_and_an_unreachable_bootstrap_are_one_line_each(free_port: Callable[[], int]) -> None:
    somebody = peer_id_of(PrivateKey.generate().public)
    nowhere = f"/ip4/127.0.0.1/tcp/{free_port()}/p2p/{somebody}"
    with Bare() as plain:
        other = peer_id_of(PrivateKey.generate().public)
        wrong = plain.address.replace(plain.peer, other)
        async with wide(WideConfig((wrong, nowhere), (), "127.0.0.1")) as node:
            await until(lambda: len(node.kept.said) == 2, "both are told")
            told = {each["address"]: each["text"] for each in node.report()["bootstrap"]}
            assert told[wrong] == f"it answers as {short(plain.peer)}, not as {short(other)}; check the address"
            assert told[nowhere] == "connection refused; trying again"
            assert sorted(node.kept.said) == sorted(
                f"the bootstrap {address} cannot be used: {text}" for address, text in told.items()
            )
            assert node.report()["state"] == "alone"


async def test_what_answers_and_is_no_libp2p_is_told_as_that() -> None:
    async def http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(http, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    address = f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(PrivateKey.generate().public)}"
    async with server, wide(WideConfig((address,), (), "127.0.0.1")) as node:
        await until(lambda: node.kept.said, "people are told")
        assert "does not speak libp2p" in node.report()["bootstrap"][0]["text"]


async def test_a_place_is_reserved_again_before_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "SHORTEST_S", 0.2)
    relay = Community()
    relay.hop_limits = Limits(ttl_s=3)
    with relay:
        async with wide(WideConfig((), (relay.address,), "127.0.0.1")) as node:
            first = await until(lambda: relay_of(node)["until"], "a place is reserved")

            def renewed() -> bool:
                assert relay_of(node)["reserved"]
                return bool(relay_of(node)["until"] > first)

            await until(renewed, "it is renewed")
            assert node.kept.said == []


async def test_a_member_is_reached_through_a_relay_that_only_it_was_told_of() -> None:
    with Bare(limits=ROOMY) as relay, Bare() as plain:
        async with (
            wide(WideConfig((), (relay.address,), "127.0.0.1")) as one,
            wide(WideConfig((plain.address,), (), "127.0.0.1")) as two,
        ):
            one.allow(frozenset({two.key}), strangers=False)
            two.allow(frozenset({one.key}), strangers=False)
            await until(lambda: relay_of(one)["reserved"] and two.report()["state"] == "ready", "both are there")
            with pytest.raises(LinkError, match="no address of it is known"):
                await two.exchange(one.key, b"an offer")
            said = [relay.address + "/p2p-circuit", "/ip4/127.0.0.1/tcp/1"]  # as records in the DHT say
            two._bridge.wake(lambda: two._engine._learned.learn(one.key, said))
            assert await two.exchange(one.key, b"an offer") == b"answer to an offer"
            assert two._engine._gate._carrying[relay.peer] == 1
