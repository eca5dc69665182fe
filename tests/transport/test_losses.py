"""What a link of aiortc does about its pace: it waits less for a lost packet than the library alone and looks before it
sends, it keeps queues short, acknowledges less, and reads all that a datagram holds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gossip.transport import aiortc_backend
from gossip.transport.aiortc_pace import (
    PROBE_LEAST_S,
    PROBES,
    QUEUE_BYTES,
    WAIT_LEAST_S,
    WAIT_MOST_S,
)
from gossip.transport.police import WINDOW_BYTES
from gossip.transport.webrtc import make_peer
from tests.transport.joining import LOOPBACK, joined, opened

pytestmark = pytest.mark.e2e
AIORTC = ("aiortc", "aiortc")


def sctp_of(link: Any) -> Any:
    return link._raw._pc.sctp


def lose(sctp: Any, count: int) -> list[bytes]:
    """Have so many packets of that end's lost from now on; those that were."""
    send, lost = sctp.transport._send_data, list[bytes]()

    async def send_or_lose(data: bytes) -> None:
        if len(lost) < count:
            lost.append(data)
        else:
            await send(data)

    sctp.transport._send_data = send_or_lose
    return lost


async def test_on_a_way_of_a_tenth_of_a_second_a_loss_costs_less_than_half_a_second() -> None:
    async with joined(AIORTC) as (one, _):
        sctp = sctp_of(one)
        for _ in range(100):
            sctp._update_rto(0.1)
        assert PROBE_LEAST_S < sctp._rto <= WAIT_LEAST_S < 0.5
        for _ in range(100):
            sctp._update_rto(60.0)
        assert sctp._rto == WAIT_MOST_S


async def test_what_is_lost_is_sent_again_but_not_before_what_has_come_was_read() -> None:
    async with joined(AIORTC) as (one, two):
        await one.send(b"first")
        assert await two.receive() == b"first"
        sctp = sctp_of(one)
        lost = lose(sctp, 1)
        await one.send(b"second")
        while not lost:
            await asyncio.sleep(0)
        waiting = sctp._sent_queue[-1]
        sctp._t3_handle.cancel()
        sctp._t3_expired()  # as its timer does when it is over
        assert not waiting._retransmit
        assert sctp._t3_handle is not None
        assert await two.receive() == b"second"
        assert waiting._sent_count == 2


async def test_a_small_blob_whose_end_is_lost_is_whole_after_two_round_trips_and_no_window_shrinks() -> None:
    async with joined(AIORTC) as (one, two):
        await one.send(b"first")
        assert await two.receive() == b"first"
        sctp = sctp_of(one)
        window = sctp._cwnd
        lost = lose(sctp, 2)
        await one.send(bytes(2_000), bulk=True)  # two packets, and nothing behind them
        assert await two.receive() == bytes(2_000)
        assert len(lost) == 2
        assert sctp._cwnd >= window


async def test_who_stays_silent_is_not_probed_for_ever() -> None:
    async with joined(AIORTC) as (one, two):
        await one.send(b"first")
        assert await two.receive() == b"first"
        sctp = sctp_of(one)
        window = sctp._cwnd
        lose(sctp, 1 + PROBES)
        await one.send(b"second")
        assert await two.receive() == b"second"
        assert sctp._cwnd < window  # as after any silence: what comes next comes slowly


async def test_what_waits_in_queues_is_bounded_and_a_long_way_is_filled() -> None:
    async with joined(AIORTC) as (one, _):
        sctp = sctp_of(one)
        sctp._cwnd = WINDOW_BYTES
        for _ in range(100):
            sctp._update_rto(0.1)
        assert sctp._cwnd == WINDOW_BYTES  # a tenth of a second is how long the way is: all of that is on it
        for _ in range(100):
            sctp._update_rto(1.0)
        assert sctp._cwnd < 2 * QUEUE_BYTES
        sctp._update_rto(-5.0)  # the clock was set back
        sctp._update_rto(0.0)


async def test_one_acknowledgement_for_two_packets_while_all_is_well() -> None:
    async with joined(AIORTC) as (one, two):
        sent = [record_of(sctp_of(end)) for end in (one, two)]
        for _ in range(20):
            await one.send(bytes(65_536), bulk=True)
            await two.receive()
        data = sum(packet[12] == 0 for packet in sent[0])
        acknowledged = sum(packet[12] == 3 for packet in sent[1])
        assert data > 20 * 65_536 / 1_200
        assert acknowledged < 0.8 * data


async def test_two_records_in_one_datagram_are_both_read() -> None:
    """No library sends them so, but any may."""
    async with joined(AIORTC) as (one, two):
        carrier = sctp_of(one).transport.transport
        sctp_of(one)._rto = 30.0
        send, held = carrier._send, list[bytes]()

        async def send_two_as_one(data: bytes) -> None:
            held.append(data)
            if len(held) == 2:
                await send(held[0] + held[1])
                carrier._send = send

        carrier._send = send_two_as_one
        await one.send(b"first")
        await one.send(b"second")
        counted = record_of(sctp_of(one))
        assert [await two.receive(), await two.receive()] == [b"first", b"second"]
        assert sum(packet[12] == 0 for packet in counted) == 2  # neither was sent again


async def test_data_that_overtake_the_end_of_a_handshake_leave_nothing_unread() -> None:
    """OpenSSL keeps them until then: whoever reads one record a packet is one packet behind from there on."""
    dialler, other = make_peer("aiortc", LOOPBACK), make_peer("aiortc", LOOPBACK)
    ice: Any = other._ice  # type: ignore[attr-defined]
    receive, late, overtook = ice.data_received, list[bytes](), list[bytes]()

    def receive_out_of_order(data: bytes, component: int) -> None:
        if late and data[0] == 23:
            overtook.append(data)
            receive(data, component)
            while len(overtook) == 2 and late:
                receive(late.pop(0), component)
        elif len(overtook) < 2 and (late or b"\x14\xfe\xfd" in data):  # "change cipher spec": the end follows
            late.append(data)
        else:
            receive(data, component)

    ice.data_received = receive_out_of_order
    dialler._pc.sctp._rto = 0.05  # type: ignore[attr-defined]  # it says the first thing again
    await dialler.accept(await other.answer(await dialler.offer()))
    await opened(dialler, other)
    assert len(overtook) == 2
    assert not late
    assert aiortc_backend._more(other._pc.sctp.transport) == b""  # type: ignore[attr-defined]
    await asyncio.gather(dialler.close(), other.close())


def record_of(sctp: Any) -> list[bytes]:
    """Every packet that this end sends from now on."""
    send, sent = sctp.transport._send_data, list[bytes]()

    async def send_and_tell(data: bytes) -> None:
        sent.append(data)
        await send(data)

    sctp.transport._send_data = send_and_tell
    return sent
