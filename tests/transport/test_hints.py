"""What is heard on mDNS is bounded, and a crowd of inventions does not drown those we know."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zeroconf import DNSOutgoing, DNSPointer, ServiceInfo

from gossip.transport.discovery import shout_record
from gossip.transport.hearing import (
    MAX_DATAGRAM_BYTES,
    MAX_RECORDS,
    QUESTIONS,
    SERVICE,
    Ear,
    Pace,
    listen,
    read_datagram,
)
from gossip.transport.hints import AGAIN_S, CHANGE_S, MAX_STRANGERS, PLACES, TOLD_AT_ONCE, Hints
from tests.transport.joining import LOOPBACK
from tests.transport.mdns import answer, question

KNOWN = b"k" * 32


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def hints(*known: bytes) -> tuple[Hints, Clock, set[bytes]]:
    clock, members = Clock(), set(known)
    return Hints(members.__contains__, random.Random(3), clock), clock, members


def test_a_hundred_thousand_invented_keys_leave_a_handful_behind_and_the_known_one_is_heard() -> None:
    heard, clock, _ = hints(KNOWN)
    luck = random.Random(4)
    told = 0
    for number in range(100_000):
        clock.now += 0.0001
        told += heard.is_news(luck.randbytes(32), ("127.0.0.1", 1 + number % 60_000))
    assert heard.is_news(KNOWN, ("127.0.0.1", 7))
    assert told <= TOLD_AT_ONCE + 10 * 8 + 1
    assert len(heard) <= MAX_STRANGERS + 1


def test_a_stranger_that_becomes_a_member_is_heard_at_its_next_word() -> None:
    heard, _, members = hints()
    luck = random.Random(5)
    while heard.is_news(luck.randbytes(32), ("127.0.0.1", 1)):
        pass
    assert not heard.is_news(KNOWN, ("127.0.0.1", 7))
    members.add(KNOWN)
    assert heard.is_news(KNOWN, ("127.0.0.1", 7))


def test_strangers_that_became_members_are_not_pushed_out() -> None:
    heard, clock, members = hints()
    assert heard.is_news(KNOWN, ("127.0.0.1", 7))
    members.add(KNOWN)
    luck = random.Random(6)
    for _ in range(20 * MAX_STRANGERS):
        clock.now += 1.0
        heard.is_news(luck.randbytes(32), ("127.0.0.1", 1))
    assert KNOWN in heard._told


def test_false_places_for_a_known_key_come_slowly_and_the_true_one_has_its_turn() -> None:
    heard, clock, _ = hints(KNOWN)
    told = sum(heard.is_news(KNOWN, ("127.0.0.1", port)) for port in range(1, 10_000))
    assert told == PLACES
    clock.now += CHANGE_S
    assert heard.is_news(KNOWN, ("127.0.0.1", 20_000))
    assert not heard.is_news(KNOWN, ("127.0.0.1", 20_000))
    clock.now += AGAIN_S
    assert heard.is_news(KNOWN, ("127.0.0.1", 20_000))  # the machine may have forgotten


def test_a_record_is_read_as_its_peer_says_it() -> None:
    record = shout_record(("code", "7"), 4000, LOOPBACK)
    (info,) = read_datagram(answer(record))
    assert (info.port, info.properties, info.parsed_addresses()) == (4000, {b"code": b"7"}, ["127.0.0.1"])
    crowded = DNSOutgoing(0x8400)
    for number in range(MAX_RECORDS + 1):
        crowded.add_answer_at_time(DNSPointer(SERVICE, 12, 1, 4500, f"{number}.{SERVICE}"), 0)
    for of_it in (record.dns_service(), record.dns_text(), *record.dns_addresses()):
        crowded.add_answer_at_time(of_it, 0)
    assert read_datagram(crowded.packets()[0]) == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
def test_no_bytes_are_more_than_nothing(noise: bytes, at: int, value: int) -> None:
    read_datagram(noise)
    real = bytearray(answer(shout_record(("code", "7"), 4000, LOOPBACK)))
    real[at % len(real)] = value
    read_datagram(bytes(real))


class Behind:
    """Stands for zeroconf's listener: counts what reaches it."""

    def __init__(self) -> None:
        self.reached: list[bytes] = []

    def datagram_received(self, data: bytes, _: tuple[Any, ...]) -> None:
        self.reached.append(data)


def test_zeroconf_hears_questions_about_our_service_at_a_pace_and_nothing_else() -> None:
    behind, heard, clock = Behind(), list[ServiceInfo](), Clock()
    ear = Ear(behind, b"code=7", heard.append, Pace(QUESTIONS, 1.0, clock))
    ours, others = question(SERVICE), question("_ipp._tcp.local.")
    parts = bytearray(ours)
    parts[2] |= 2
    for data in (
        others,
        bytes(parts),
        ours + bytes(MAX_DATAGRAM_BYTES),
        b"",
        answer(shout_record(("code", "7"), 1, LOOPBACK)),
    ):
        ear.datagram_received(data, ("127.0.0.1", 5353))
    ear.datagram_received(answer(shout_record(("open", "swarm"), 1, LOOPBACK)), ("127.0.0.1", 5353))
    assert behind.reached == []
    assert [info.port for info in heard] == [1]
    for _ in range(2 * QUESTIONS):
        ear.datagram_received(ours.swapcase() if b"_GOSSIP" in ours else ours, ("127.0.0.1", 5353))
    assert len(behind.reached) == QUESTIONS
    clock.now += 1
    ear.datagram_received(ours, ("127.0.0.1", 5353))
    assert len(behind.reached) == QUESTIONS + 1


@pytest.mark.e2e
async def test_what_others_send_does_not_stay_with_zeroconf() -> None:
    heard: asyncio.Queue[int] = asyncio.Queue()
    zeroconf = await listen(LOOPBACK, b"code=7", lambda info: heard.put_nowait(info.port or 0))
    other = await listen(LOOPBACK, b"nothing", lambda _: None)
    try:
        await other.async_register_service(shout_record(("code", "7"), 4000, LOOPBACK), cooperating_responders=True)
        async with asyncio.timeout(20):
            assert await heard.get() == 4000
        assert zeroconf.zeroconf.cache.cache == {}
    finally:
        await other.async_close()
        await zeroconf.async_close()
