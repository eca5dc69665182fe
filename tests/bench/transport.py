"""Five megabytes over one link on loopback, for each WebRTC library that is installed, beside bare TCP.

Both ends of a link live in one process and share one core with the event loop, here as for TCP: a node has only
one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter
from typing import Final

from cli.bench.figures import Figure, Section
from gossip.transport.link import MAX_MESSAGE_BYTES
from tests.transport.joining import BACKENDS, joined

SIZE: Final = 5_000_000
MESSAGES: Final = tuple(bytes(min(MAX_MESSAGE_BYTES, SIZE - at)) for at in range(0, SIZE, MAX_MESSAGE_BYTES))
TIMES: Final = 3


def measure() -> Section:
    bare = asyncio.run(_over_tcp())
    figures = [Figure("bare TCP", SIZE / 1e6 / bare, "MB/s")]
    for backend in ("memory", *BACKENDS):
        seconds, opened = asyncio.run(_over_link(backend))
        note = f"{bare / seconds:.2f} x TCP" + (f", open in {opened:.2f} s" if backend != "memory" else "")
        figures.append(Figure(backend, SIZE / 1e6 / seconds, "MB/s", note=note))
    return Section("transport: 5 MB over one link on loopback, both ends in one process", tuple(figures))


async def _over_link(backend: str) -> tuple[float, float]:
    """Median seconds for all messages, and seconds until the link was open."""
    begun = perf_counter()
    async with joined((backend, backend)) as (one, two):
        opened = perf_counter() - begun

        async def send() -> None:
            for message in MESSAGES:
                await one.send(message, bulk=True)

        async def receive() -> None:
            got = 0
            while got < SIZE:
                got += len(await two.receive())

        return await _median_s(send, receive), opened


async def _over_tcp() -> float:
    arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.put((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    reader, answering = await arrived.get()

    async def send() -> None:
        for message in MESSAGES:
            writer.write(message)
            await writer.drain()

    async def receive() -> None:
        for message in MESSAGES:
            await reader.readexactly(len(message))

    try:
        return await _median_s(send, receive)
    finally:
        writer.close()
        answering.close()
        server.close()


async def _median_s(send: Callable[[], Awaitable[None]], receive: Callable[[], Awaitable[None]]) -> float:
    taken = []
    for _ in range(TIMES + 1):
        begun = perf_counter()
        await asyncio.gather(send(), receive())
        taken.append(perf_counter() - begun)
    return median(taken[1:])
