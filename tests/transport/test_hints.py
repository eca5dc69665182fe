"""What is heard on mDNS is bounded, and a crowd of inventions does not drown those we know."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zeroconf import DNSOutgoing, DNSPointer, DNSQuestion, ServiceInfo

from gossip.transport.discovery import shout_record
from gossip.transport.hearing import (
    ANSWER_S,
    MAX_DATAGRAM_BYTES,
    MAX_PLACES,
    MAX_RECORDS,
    QUESTION,
    SERVICE,
    Ear,
    Pace,
    Turns,
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
        self.reached: list[tuple[bytes, tuple[Any, ...]]] = []

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.reached.append((data, addr))

    def connection_lost(self, _: Exception | None) -> None:
        pass


class Later:
    """What is to be done when the clock has moved on."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, delay: float, what: Callable[[], None]) -> None:
        self.waiting.append((self.clock.now + delay, what))

    def move(self, by: float) -> None:
        self.clock.now += by
        due = [what for at, what in self.waiting if at <= self.clock.now]
        self.waiting = [(at, what) for at, what in self.waiting if at > self.clock.now]
        for what in due:
            what()


def an_ear(heard: list[ServiceInfo] | None = None) -> tuple[Ear, Behind, Later]:
    behind, later = Behind(), Later(Clock())
    return Ear(behind, b"code=7", ([] if heard is None else heard).append, Turns(later.clock, later)), behind, later


def test_zeroconf_hears_the_one_question_that_we_ask_and_nothing_else() -> None:
    heard: list[ServiceInfo] = []
    ear, behind, _ = an_ear(heard)
    asked = DNSOutgoing(0)
    asked.add_question(DNSQuestion(SERVICE, 12, 1))
    assert asked.packets() == [QUESTION]
    alone, parts, known = bytearray(QUESTION), bytearray(QUESTION), DNSOutgoing(0)
    alone[-2] |= 0x80
    parts[2] |= 2
    known.add_question(DNSQuestion(SERVICE, 12, 1))
    known.add_answer_at_time(DNSPointer(SERVICE, 12, 1, 4500, f"x.{SERVICE}"), 0)
    for data in (
        question("_ipp._tcp.local."),
        question(f"x.{SERVICE}"),
        bytes(alone),
        bytes(parts),
        known.packets()[0],
        QUESTION + bytes(MAX_DATAGRAM_BYTES),
        b"",
        answer(shout_record(("code", "7"), 1, LOOPBACK)),
        answer(shout_record(("open", "swarm"), 1, LOOPBACK)),
    ):
        ear.datagram_received(data, ("127.0.0.1", 5353))
    assert behind.reached == []
    assert [info.port for info in heard] == [1]
    ear.datagram_received(QUESTION, ("127.0.0.1", 4711))
    assert behind.reached == [(QUESTION, ("127.0.0.1", 5353))]  # as if from there: the answer goes to everybody


def test_however_many_ask_one_answer_a_second_serves_them_and_the_last_one_is_served_too() -> None:
    ear, behind, later = an_ear()
    for _ in range(1_000):  # ten seconds, a hundred a second
        ear.datagram_received(QUESTION, ("127.0.0.1", 5353))
        later.move(0.01)
    later.move(ANSWER_S)
    assert 10 <= len(behind.reached) <= 12
    ear.datagram_received(QUESTION, ("127.0.0.1", 5353))
    ear.datagram_received(QUESTION, ("127.0.0.2", 5353))  # comes when one was just answered
    before = len(behind.reached)
    later.move(ANSWER_S)
    assert len(behind.reached) == before + 1
    ear.datagram_received(QUESTION, ("127.0.0.1", 5353))
    before = len(behind.reached)
    ear.connection_lost(None)
    later.move(ANSWER_S)
    assert len(behind.reached) == before  # nobody answers after the end


def test_questions_that_nobody_answers_silence_nobody() -> None:
    """200 small datagrams a second for ten seconds, and one joiner. The control: one budget for all who name us."""
    ear, behind, later = an_ear()
    pace = Pace(64, 20.0, later.clock)
    answered_of_any = 0
    junk = question(f"x.{SERVICE}")
    for number in range(2_000):
        later.move(0.005)
        for data in (junk, QUESTION) if number % 400 == 399 else (junk,):
            ear.datagram_received(data, ("127.0.0.1", 5353))
            if b"_gossip" in data and pace.take() and data == QUESTION:
                answered_of_any += 1
    assert len(behind.reached) == 5
    assert answered_of_any == 0


def test_of_one_datagram_a_few_records_are_made_however_it_is_filled() -> None:
    """60 places of one name with the mark, or 20 with 43 addresses, took 4 ms each: 0.3 MB/s filled a core."""
    name = b"\1x" + QUESTION[12:-4]
    text = b"".join(bytes([len(part)]) + part for part in (b"code=7", b"id=" + b"ab" * 32))
    here = b"\xc0\x0c"

    def record(owner: bytes, kind: int, data: bytes) -> bytes:
        return owner + pack("!HHIH", kind, 1, 120, len(data)) + data

    def filled(places: int, addresses: int) -> bytes:
        records = [record(name, 16, text)]
        records += [record(here, 1, bytes((127, 0, 0, 1 + at))) for at in range(addresses)]
        records += [record(here, 33, pack("!HHH", 0, 0, 1000 + at) + here) for at in range(places)]
        return pack("!6H", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)

    (info,) = read_datagram(filled(30, 30))
    assert (info.port, len(info.addresses)) == (1000, MAX_PLACES)
    many = [shout_record(("code", str(number)), 1000 + number, LOOPBACK) for number in range(10)]
    crowd = answer(*many)
    assert len(read_datagram(crowd)) == MAX_PLACES
    assert [info.port for info in read_datagram(crowd, b"code=9")] == [1009]  # what is looked for is not crowded out


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
