"""What a link of aiortc does about a lost packet: it waits less than the library alone, and looks before it sends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gossip.transport import aiortc_backend
from tests.transport.joining import joined

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
        assert sctp._rto == aiortc_backend.WAIT_LEAST_S < 0.5
        for _ in range(100):
            sctp._update_rto(60.0)
        assert sctp._rto == aiortc_backend.WAIT_MOST_S


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
