"""A doctor that answers, and visitors that keep still."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from gossip.doctor import answering, machine, talk
from gossip.doctor.finding import Patience
from gossip.node.power import Battery
from gossip.transport.webrtc import WebRTCTransport
from ledger.keys import PrivateKey

HERE = "127.0.0.1"


@pytest.mark.e2e
async def test_visitors_that_keep_still_keep_no_doctor_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have as long as they like here, and one less than may be in at once are in: it is seen all the same."""
    monkeypatch.setattr(answering, "HELLO_S", 3600.0)
    waits: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    seen: asyncio.Queue[str] = asyncio.Queue()

    def tell(kind: str, facts: dict[str, Any]) -> None:
        (waits.put_nowait(facts) if kind == "waiting" else seen.put_nowait(kind))

    doctor = asyncio.create_task(answering.wait((HERE,), 0, tell))
    port = int((await waits.get())["address"].rpartition(":")[2])
    visitors: list[WebRTCTransport] = []
    try:
        for _ in range(answering.VISITS):
            visitor = WebRTCTransport(PrivateKey.generate(), talk.SWARM, talk.Anybody(), (HERE,), "auto")
            visitors.append(visitor)
            await visitor.start(HERE, 0)
            link = await visitor.dial(HERE, port)
        told = await talk.ask(link, time.time, Patience(100.0))
        assert told.whole_s > 0
        await link.close("seen")
        assert await seen.get() == "visited"
    finally:
        doctor.cancel()
        await asyncio.gather(doctor, *(visitor.close() for visitor in visitors), return_exceptions=True)


class Still:
    """A link over which nothing comes."""

    closed = ""

    async def receive(self) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self, reason: str) -> None:
        self.closed = reason


async def test_who_says_no_hello_is_let_go_long_before_a_visit_is_over() -> None:
    link: Any = Still()
    with pytest.raises(Exception, match="said nothing"):
        await talk.answer(link, time.time, 3600.0, 0.0)
    assert link.closed


@pytest.mark.parametrize(("found", "told"), [(None, (None, True)), (Battery(12.4, plugged=False), (12, False))])
def test_a_battery_is_read_as_the_node_reads_it(
    monkeypatch: pytest.MonkeyPatch, found: Battery | None, told: tuple[int | None, bool]
) -> None:
    """That one knows of kernels whose files cannot be read, and of systems that do not tell."""
    monkeypatch.setattr(machine, "battery", lambda: found)
    facts = machine.look().facts
    assert (facts["battery_percent"], facts["plugged"]) == told
