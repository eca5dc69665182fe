"""A dial that failed stands in the status until one to the same place succeeds."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from gossip.events import Dial, DialFailed
from gossip.node.calls import Calls
from gossip.node.report import report
from gossip.transport.dials import Dials
from gossip.transport.memory import memory_pair
from gossip.transport.pool import LinkPool
from gossip.transport.road import place_by_road
from gossip.transport.tickets import Ticket
from gossip.transport.webrtc import WebRTCTransport
from tests.transport.joining import ANNA, BERTA, LOOPBACK, SWARM, Members, transport


def dials(pool: LinkPool) -> list[dict[str, Any]]:
    told = report(meta={}, started_at=0.0, phase="", address="", transport="", duty_percent=100, peer=None,
                  learning=None, pool=pool)["dials"]  # fmt: skip
    return list(told)


async def test_who_could_not_be_reached_is_told_until_it_is() -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    unused: Any = None
    async with transport(ANNA, Members(BERTA.public), "aiortc") as (anna, _), asyncio.TaskGroup() as tasks:
        pool = LinkPool(tasks, events.put)
        calls = Calls(
            anna, pool, unused, None, tasks=tasks, post=events.put, is_member=lambda: True,
            tell=lambda kind, **fields: None, now=lambda: 0.0,
        )  # fmt: skip
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))  # so that nobody else listens there
            port = int(held.getsockname()[1])
            for tries in (1, 2):
                calls.dial(Dial("127.0.0.1", port, BERTA.public))
                await events.get()
                (row,) = dials(pool)
                assert (row["address"], row["tries"]) == (f"127.0.0.1:{port}", tries)
                assert "refused" in row["text"]
        berta = WebRTCTransport(BERTA, SWARM, Members(ANNA.public), LOOPBACK, "aiortc")
        await berta.start("127.0.0.1", port)
        calls.dial(Dial("127.0.0.1", port, BERTA.public))
        await events.get()  # the link is up
        assert dials(pool) == []
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            calls.dial(Dial("127.0.0.1", int(held.getsockname()[1]), BERTA.public))
            await events.get()
            assert dials(pool) == []  # who is linked is missed at no other place
        await (await berta.incoming.get()).close()
        await berta.close()


async def test_who_comes_from_elsewhere_hears_of_an_address_that_leads_nowhere_only_while_nobody_is_linked() -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    told: list[str] = []
    now = 0.0
    unused: Any = None
    ticket = Ticket(SWARM, "f0" * 32, BERTA.public, (), b"s" * 16, "trainer")
    async with transport(ANNA, Members(BERTA.public), "aiortc") as (anna, _), asyncio.TaskGroup() as tasks:
        pool = LinkPool(tasks, events.put)
        calls = Calls(
            anna, pool, unused, ticket, tasks=tasks, post=events.put, is_member=lambda: False,
            tell=lambda kind, **fields: told.append(fields["text"]), now=lambda: now, far=True,
        )  # fmt: skip

        async def fails(host: str, port: int) -> None:
            calls.dial(Dial(host, port, BERTA.public))
            assert isinstance(await events.get(), DialFailed)

        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            address = "127.0.0.1", int(held.getsockname()[1])
            await fails(*place_by_road(BERTA.public))
            await fails(*address)
            assert told == [], "it has only begun"
            now = 60.0
            await fails(*address)
            assert "refused" in told.pop()
            now = 120.0
            await fails(*place_by_road(BERTA.public))
            assert "nothing here leads to keys" in told.pop()
            now = 180.0
            here, there = memory_pair(ANNA.public, BERTA.public)
            pool.add(here, "")
            await events.get()  # it is linked by another way
            await fails(*address)
            assert told == []
        await there.close()
        await pool.close()


def test_a_dial_to_a_peer_that_is_linked_by_another_way_is_no_trouble() -> None:
    failed = Dials(lambda: 1e9)
    failed.failed("10.0.0.1", 80, "nobody listens", ANNA.public)
    failed.failed("10.0.0.2", 80, "nobody listens", BERTA.public)
    failed.failed("10.0.0.3", 80, "nobody listens")
    assert [row["address"] for row in failed.rows()] == ["10.0.0.3:80", "10.0.0.2:80", "10.0.0.1:80"]
    assert [row["address"] for row in failed.rows({ANNA.public})] == ["10.0.0.3:80", "10.0.0.2:80"]
