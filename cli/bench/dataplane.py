"""The data plane beside what it stands on: bytes over our links, and blobs from `want` to stored, both ways.

Everything is measured in one run and in turn, both ends in one process: bare TCP (asyncio's streams), each WebRTC
library bare (16 KiB messages, one data channel), our link over it (messages of 64 KiB on bulk: pieces, credits,
police), and a node's blob path over that link (blobpair.py: asked for, let through the gate, cut, hashed, on disk).
Ratios are of medians of rates; processor seconds are of the whole process, so of both ends and all threads of a
library. Where others use the machine, the ratio of processor seconds is the one to read: "cpu" in the notes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter, process_time
from typing import Final

from cli.bench.blobpair import blobs
from cli.bench.carriers import BARE, LIBRARIES, Carrier, link, tcp
from cli.bench.figures import Figure, Goal, Section

SIZES: Final[Mapping[int, int]] = {64_000: 9, 1_000_000: 5, 16_000_000: 2, 64_000_000: 1}  # bytes, and times each way
QUICK: Final[Mapping[int, int]] = {64_000: 5, 1_000_000: 3}
GOAL_AT: Final = 16_000_000
GOALS: Final = {"aiortc": 0.9, "aiolibdatachannel": 0.6}  # of the bare library's rate, on blobs
LIMIT_S: Final = 300.0  # for one transfer


@dataclass(slots=True)
class Row:
    """What one carrier took for one size: seconds and processor seconds, there and back."""

    name: str
    walls: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    cpus: list[float] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        return median(self.walls[0] + self.walls[1])

    @property
    def cpu_s(self) -> float:
        return median(self.cpus)


def measure(*, quick: bool = False) -> Section:
    return Section(
        "data plane: over loopback, both ends in one process, both ways",
        asyncio.run(_figures(QUICK if quick else SIZES)),
    )


def _pairs() -> list[tuple[str, str]]:
    return [(one, two) for one in LIBRARIES for two in LIBRARIES if one <= two]


def _carriers() -> dict[str, AbstractAsyncContextManager[Carrier]]:
    made: dict[str, AbstractAsyncContextManager[Carrier]] = {"bare TCP": tcp()}
    for one, two in _pairs():
        if one == two:
            made[f"bare {one}"] = BARE[one]()
        made[f"link, {_said(one, two)}"] = link(one, two)
        made[f"blob, {_said(one, two)}"] = blobs(one, two)
    return made


def _said(one: str, two: str) -> str:
    return one if one == two else f"{one} and {two}"


async def _figures(sizes: Mapping[int, int]) -> tuple[Figure, ...]:
    figures: list[Figure] = []
    async with AsyncExitStack() as stack:
        carriers = {name: await stack.enter_async_context(made) for name, made in _carriers().items()}
        for carrier in carriers.values():
            await _once(carrier, 64_000, back=False)  # windows open, code is loaded
        for size, times in sizes.items():
            rows = {name: Row(name) for name in carriers}
            for _ in range(times):
                for back in (False, True):
                    for name, carrier in carriers.items():
                        wall, cpu = await _once(carrier, size, back=back)
                        rows[name].walls[back].append(wall)
                        rows[name].cpus.append(cpu)
            figures += [_figure(row, rows, size) for row in rows.values()]
    return tuple(figures)


async def _once(carrier: Carrier, size: int, *, back: bool) -> tuple[float, float]:
    """Seconds, and processor seconds."""
    carrier.ready(size, back=back)
    begun, computed = perf_counter(), process_time()
    await asyncio.wait_for(carrier.carry(size, back=back), LIMIT_S)
    return perf_counter() - begun, process_time() - computed


def _figure(row: Row, rows: Mapping[str, Row], size: int) -> Figure:
    """A rate, with what it is of the bare library's and of TCP's."""
    mb = size / 1e6
    there, back = (mb / median(walls) for walls in row.walls)
    note = f"there {there:.1f}, back {back:.1f} MB/s; {row.cpu_s / mb * 1000:.1f} ms of a core a MB"
    note += f"; {rows['bare TCP'].wall_s / row.wall_s:.3f} x TCP"
    library = row.name.removeprefix("link, ").removeprefix("blob, ")
    bare, goal = rows.get(f"bare {library}"), None
    if bare is not None and bare is not row:
        note += f"; {bare.wall_s / row.wall_s:.2f} x bare, cpu {bare.cpu_s / row.cpu_s:.2f}"
        if size == GOAL_AT:
            limit = GOALS[library]
            goal = Goal(limit * mb / bare.wall_s, at_most=False, note=f">= {limit:.0%} of bare")
    return Figure(f"{_bytes(size)}: {row.name}", mb / row.wall_s, "MB/s", goal, 1, note)


def _bytes(size: int) -> str:
    return f"{size // 1_000_000} MB" if size >= 1_000_000 else f"{size // 1_000} KB"
