"""Garbage from strangers and from a member: the node says so, drops the link, and goes on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cli import exits
from gossip.directory import keys_path, store_path
from gossip.transport.webrtc import WebRTCTransport
from ledger.errors import LinkError, RemoteError
from ledger.keys import PrivateKey
from ledger.store import Store
from tests.e2e.machines import PATIENCE_S, Machine, Running, status
from tests.transport.joining import LOOPBACK, Members

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(range(256)) * 40,  # somebody tries TLS, and goes on
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b'POST /gossip/1/offer HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"key":1}',
    b"POST /gossip/1/offer HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 4096,
    b"POST /gossip/1/offer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" + b"x" * 4096,
    b"X" * 100_000,
)


@pytest.fixture
def anna(machine: Callable[..., Machine]) -> tuple[Machine, Running]:
    """Runs the node that everybody bothers."""
    made = machine("anna")
    assert made.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    node = made.start("run", "--json")
    node.event("ready")
    return made, node


def endpoint(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def goes_on(anna: tuple[Machine, Running], pid: int) -> None:
    now = status(anna[0].swarms / "my-swarm")
    assert (now["state"], now["pid"]) == ("observing", pid)
    assert anna[1].err == []


def test_strangers_who_send_garbage_hear_nothing_and_harm_nothing(anna: tuple[Machine, Running]) -> None:
    where = endpoint(anna[1].event("ready")["address"])
    for garbage in GARBAGE:
        with socket.create_connection(where, timeout=PATIENCE_S) as connection:
            connection.settimeout(PATIENCE_S)
            try:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                while heard := connection.recv(4096):
                    assert b"200" not in heard.split(b"\r\n")[0]
                    assert b"gossip" not in heard.lower()
                    assert b"aiohttp" not in heard.lower()
            except ConnectionError:
                pass  # cut off, which is as good
    goes_on(anna, anna[1].process.pid)


async def test_a_key_that_nobody_admitted_gets_no_link(anna: tuple[Machine, Running]) -> None:
    ready = anna[1].event("ready")
    with Store.open_readonly(store_path(anna[0].swarms / "my-swarm")) as store:
        swarm = store.meta("swarm").decode()
    key = PrivateKey.load(keys_path(anna[0].swarms / "my-swarm") / "current").public
    stranger = WebRTCTransport(PrivateKey.generate(), swarm, Members(key), LOOPBACK)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(LinkError, match="does not answer us"):
            await stranger.dial(*endpoint(ready["address"]), key=key)
        await stranger.close()
    goes_on(anna, anna[1].process.pid)


def test_a_member_who_sends_garbage_loses_its_link_and_the_others_notice_nothing(
    anna: tuple[Machine, Running], machine: Callable[..., Machine]
) -> None:
    home, node = anna
    berta, cleo = machine("berta"), machine("cleo")
    place = berta.home / "peer"
    invite = home.gossip("invite", "--uses", 2, "--json").document["ticket"]
    berta.start("join", invite, "--dir", place, "--name", "berta", "--json")
    member = node.event("admitted", name="berta")["peer"]
    assert berta.gossip("stop", "--dir", place).code == exits.OK

    key = PrivateKey.load(keys_path(home.swarms / "my-swarm") / "current").public
    asyncio.run(send(place, endpoint(node.event("ready")["address"]), key, b"\xff" * 40))
    refused = node.event("refused")
    assert (refused["peer"], refused["name"]) == (member, "berta")
    assert "malformed" in refused["text"]
    goes_on(anna, node.process.pid)

    asyncio.run(send(place, endpoint(node.event("ready")["address"]), key, b"\xff" * 40))  # not heard a second time
    cleo.start("join", invite, "--name", "cleo", "--json").event("admitted", name="cleo")
    assert sum(event["event"] == "refused" for event in node.events) == 1
    goes_on(anna, node.process.pid)


async def send(place: Path, where: tuple[str, int], to: bytes, frame: bytes) -> None:
    """As the member that lives in `place`: open a link, say `frame`, and see the link end."""
    with Store.open_readonly(store_path(place)) as store:
        swarm = store.meta("swarm").decode()
    liar = WebRTCTransport(PrivateKey.load(keys_path(place) / "current"), swarm, Members(to), LOOPBACK)
    async with asyncio.timeout(PATIENCE_S):
        link = await liar.dial(*where, key=to)
        await link.send(frame)
        with suppress(LinkError, RemoteError):
            while True:  # what it says before it ends the link does not matter; that it ends it does
                await link.receive()
        await link.close()
        await liar.close()
