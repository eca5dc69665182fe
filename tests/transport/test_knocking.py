"""Finding the door: several may call out one number, some of them evil, and the joiner tries few."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gossip.transport import card, knocking
from gossip.transport.code import ASK_PATH, CONFIRM_PATH, Answer, Box, Code
from gossip.transport.discovery import Discovery
from gossip.transport.open_codes import OpenCodes, Wrong
from gossip.transport.signalling import Hatch, SignallingServer
from gossip.transport.tickets import Ticket
from ledger import canonical
from ledger.errors import LocalError
from tests.transport.joining import ANNA, LOOPBACK, MALLORY, SWARM

TICKET = Ticket(SWARM, "f0" * 32, ANNA.public, ("127.0.0.1:4100",), b"s" * 16, "trainer").signed(ANNA)
EVIL = Ticket("66" * 32, "f0" * 32, MALLORY.public, ("127.0.0.1:4100",), b"s" * 16, "trainer").signed(MALLORY)
ELEMENT = "6ecfae6f0fd1170aa04023d70121ed6de1c27b9042ce61adb0c94d1ddcbdd855"  # of tests/vectors/code.json

Host = Callable[..., Any]


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """`await host(hatches, shout)`: a signalling server and what it calls out; its port."""
    async with AsyncExitStack() as stack:

        async def silent(_: bytes) -> None:
            return None

        async def make(hatches: Mapping[str, Hatch], *shout: tuple[str, str]) -> int:
            server = SignallingServer(silent, hatches)
            port = await server.start("127.0.0.1", 0)
            stack.push_async_callback(server.close)
            if shout:
                discovery = Discovery(LOOPBACK, "ab" * 32, lambda _: None)
                stack.push_async_callback(discovery.close)
                await discovery.start()
                await discovery.shout(port, shout)
            return port

        yield make


def hatches(codes: OpenCodes) -> dict[str, Hatch]:
    return {
        ASK_PATH: lambda body, host: codes.ask(body, host, time.monotonic()),
        CONFIRM_PATH: lambda body, host: codes.confirm(body, host, time.monotonic()),
    }


def opened(text: str = TICKET.text) -> tuple[OpenCodes, Code]:
    codes = OpenCodes()
    return codes, codes.open(text, uses=1, until=time.monotonic() + 60, now=time.monotonic())


class Liar:
    """Somebody who calls out a number and does not know the words. What it is told it keeps."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.hatches: dict[str, Hatch] = {ASK_PATH: self._answer, CONFIRM_PATH: self._box}

    def _answer(self, body: bytes, _: str) -> bytes:
        self.asked.append(body)
        return canonical.encode(Answer(ELEMENT, "11" * 16))

    def _box(self, _: bytes, __: str) -> bytes:
        return canonical.encode(Box("00" * 64))


async def test_of_several_who_call_out_one_number_the_one_that_knows_the_words_is_found(host: Host) -> None:
    codes, code = opened()
    liar, said = Liar(), ("code", str(code.number))
    await host(liar.hatches, said)
    await host(hatches(codes), said)
    assert await knocking.by_code(code, LOOPBACK, search_s=5.0) == TICKET


async def test_evil_answers_get_four_guesses_however_many_they_are(host: Host) -> None:
    code, liar = Code(7, b"ab"), Liar()
    said = ("code", "7")
    places = [("127.0.0.1", await host(liar.hatches, said)) for _ in range(6)]
    for named in (places, []):
        liar.asked.clear()
        with pytest.raises(LocalError, match="nobody took this code") as caught:
            await knocking.by_code(code, LOOPBACK, named, search_s=3.0)
        assert len(liar.asked) == knocking.MAX_KNOCKS
        assert str(caught.value).count("does not know the words") == knocking.MAX_KNOCKS
    assert len(set(liar.asked)) == knocking.MAX_KNOCKS, "each knock has an element of its own"


async def test_the_number_of_another_inviter_costs_it_one_try_and_tells_the_joiner(host: Host) -> None:
    codes, code = opened()
    port = await host(hatches(codes))
    wrong = Code(code.number, bytes(byte ^ 1 for byte in code.secret))
    with pytest.raises(LocalError, match=f"127.0.0.1:{port} does not take this code"):
        await knocking.by_code(wrong, LOOPBACK, [("127.0.0.1", port)])
    assert codes.news == [Wrong(code.number, "127.0.0.1", 2)]


async def test_whoever_guesses_right_can_hand_out_no_ticket_that_is_none(host: Host) -> None:
    for text in ("gossip2-nonsense", EVIL.text[:-1], "\x1b[31m"):
        codes, code = opened(text)
        port = await host(hatches(codes))
        with pytest.raises(LocalError, match="an invite that is none"):
            await knocking.by_code(code, LOOPBACK, [("127.0.0.1", port)])


async def test_where_nobody_calls_out_the_number_the_joiner_is_told_what_to_try(host: Host) -> None:
    codes, code = opened()
    await host(hatches(codes), ("code", str(code.number % 999 + 1)), ("open", str(code.number)))
    with pytest.raises(LocalError, match=f"nobody here has code number {code.number} open") as caught:
        await knocking.by_code(code, LOOPBACK, search_s=0.8)
    assert "--address HOST:PORT" in (caught.value.next_step or "")
    with pytest.raises(LocalError, match=r"cannot reach 127\.0\.0\.1:9"):
        await knocking.by_code(code, LOOPBACK, [("127.0.0.1", 9)])


async def test_a_crowd_of_other_records_hides_no_number(host: Host) -> None:
    """More than twice as many as a peer remembers: what says something else is passed over."""
    codes, code = opened()
    crowd = [("code", str(number)) for number in range(1000, 1_600)]
    async with crowd_of(crowd):
        await host(hatches(codes), ("code", str(code.number)))
        async for place in knocking.find_shouts(("code", "1500"), LOOPBACK, 8.0):
            assert place == ("127.0.0.1", 9), "the crowd is heard"
            break
        began = asyncio.get_running_loop().time()
        assert await knocking.by_code(code, LOOPBACK, search_s=8.0) == TICKET
        assert asyncio.get_running_loop().time() - began < 8.0


@asynccontextmanager
async def crowd_of(said: list[tuple[str, str]]) -> AsyncIterator[None]:
    """Records without end, announced straight from one socket."""
    from zeroconf import IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    from gossip.transport.discovery import shout_record

    noisy = AsyncZeroconf(interfaces=list(LOOPBACK), ip_version=IPVersion.V4Only)
    await noisy.zeroconf.async_wait_for_start()
    for one in said:
        noisy.zeroconf.registry.async_add(shout_record(one, 9, LOOPBACK))
    try:
        yield
    finally:
        noisy.zeroconf.registry.async_remove(noisy.zeroconf.registry.async_get_service_infos())
        await noisy.async_close()


@pytest.mark.parametrize("name", ["Listen für alle", "\U0001f6e1" * 64], ids=["short", "256 bytes"])
async def test_an_open_swarm_answers_to_its_name_alone(host: Host, name: str) -> None:
    port = await host({card.PATH: lambda body, _: card.answer(body, name, TICKET.text)}, ("open", card.called(name)))
    assert await knocking.by_name(name, LOOPBACK, search_s=4.0) == TICKET
    assert await knocking.by_name(name, LOOPBACK, [("127.0.0.1", port)]) == TICKET
    for other in ("Listen", name + "!", "x" * 500, ""):
        with pytest.raises(LocalError, match="no open swarm"):
            await knocking.by_name(other, LOOPBACK, [("127.0.0.1", port)])


async def test_a_card_that_is_none_is_no_card(host: Host) -> None:
    for text in ("", "gossip2-x", "x" * 3_000):
        port = await host({card.PATH: lambda body, _, text=text: card.answer(body, "lists", text)})
        with pytest.raises(LocalError, match="no open swarm"):
            await knocking.by_name("lists", LOOPBACK, [("127.0.0.1", port)])


async def test_a_number_is_called_out_as_long_as_it_is_wanted_and_not_a_moment_longer() -> None:
    """Also if it is taken back while it is still being announced."""
    discovery, said = Discovery(LOOPBACK, "ab" * 32, lambda _: None), ("code", "77")
    await discovery.start()
    try:
        await discovery.shout(4100, [said])
        async for place in knocking.find_shouts(said, LOOPBACK, 4.0):
            assert place == ("127.0.0.1", 4100)
            break
        await discovery.shout(4100, [said, ("code", "78")])
        await discovery.shout(4100, [("code", "78")])
        assert [place async for place in knocking.find_shouts(said, LOOPBACK, 1.0)] == []
        async for place in knocking.find_shouts(("code", "78"), LOOPBACK, 4.0):
            assert place == ("127.0.0.1", 4100)
            break
    finally:
        await discovery.close()


async def test_a_place_where_nobody_is_costs_no_try_and_is_named_once() -> None:
    """And without advice about words that nobody has read."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match="nobody could be asked") as caught:
            await knocking.by_code(Code(7, b"ab"), LOOPBACK, [("127.0.0.1", port)])
    told = str(caught.value)
    assert told.count(str(port)) == 1
    assert "Connection refused" in told
    assert "word" not in told
