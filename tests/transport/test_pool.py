"""The pool of a node's links: events in order, and no memory for a peer that takes nothing."""

from __future__ import annotations

import asyncio

from gossip.events import LinkDown, LinkUp, Received
from gossip.limits import DEFAULT
from gossip.transport.link import MAX_MESSAGE_BYTES
from gossip.transport.memory import memory_pair
from gossip.transport.pool import LinkPool

LIMIT_S = 20.0


async def test_a_link_is_told_of_from_up_to_down() -> None:
    near, far = memory_pair(b"n" * 32, b"f" * 32)
    events: asyncio.Queue[LinkUp | LinkDown | Received] = asyncio.Queue()
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        pool = LinkPool(tasks, events.put)
        ended = asyncio.Event()
        pool.add(near, "trainer", ended=ended.set)
        assert (pool.number_of(near), pool.number_of(far)) == (1, None)
        await far.send(b"word")
        assert await events.get() == LinkUp(1, b"f" * 32, True, "trainer")
        assert await events.get() == Received(1, b"word")
        pool.send(1, b"answer", bulk=False)
        assert await far.receive() == b"answer"
        await far.close("enough")
        assert isinstance(await events.get(), LinkDown)
        await ended.wait()
    assert pool.rows() == []
    assert pool.bytes_sent == near.bytes_sent > 0


async def test_who_takes_nothing_loses_its_link_before_it_costs_memory() -> None:
    near, _far = memory_pair(b"n" * 32, b"f" * 32)
    events: asyncio.Queue[LinkUp | LinkDown | Received] = asyncio.Queue()
    message = bytes(MAX_MESSAGE_BYTES)
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        pool = LinkPool(tasks, events.put)
        pool.add(near, "")
        assert isinstance(await events.get(), LinkUp)
        for _ in range(DEFAULT.outbox_bytes // len(message)):
            pool.send(1, message, bulk=True)
        assert events.empty()  # so much it may wait for
        pool.send(1, message, bulk=True)
        down = await events.get()
        assert isinstance(down, LinkDown)
        assert "takes too little" in down.reason
