"""How late the network loop of a node is while its peer trains and exchanges: for two nodes, three models.

Two real nodes over WebRTC (pair.py) train as fast as they can on made-up rows; each has a probe (probe.py) in its event
loop from its first merge on. What is printed is the worse of the two. A machine that has other work makes every loop
late: so beside the lateness stands what the loop's own thread was busy without a break, which is ours.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from cli.bench.made_up import mlp, numbers, requests
from cli.bench.pair import Pair, Plan
from gossip.training.spec import FILTERLIST

SECONDS: Final = 20.0
QUICK_S: Final = 4.0
ROWS: Final = 2_000
P99: Final = Goal(20)


def measure(*, quick: bool = False, seconds: float = 0.0) -> Section:
    """Section of `seconds` for each model (0: as usual)."""
    figures: list[Figure] = []
    lasts = seconds or (QUICK_S if quick else SECONDS)
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
        plans = {"MLP 784-128-10": Plan(mlp(128, steps=31), numbers(Path(folder), ROWS))}
        if not quick:
            plans["filter lists"] = Plan(FILTERLIST, requests(Path(folder), ROWS))
            plans["1 million parameters"] = Plan(mlp(1258, steps=31), plans["MLP 784-128-10"].data)
        for name, plan in plans.items():
            figures += _figures(name, plan, lasts)
    return Section("stall: how late the network loop is while the peer trains, the worse of two nodes", tuple(figures))


def _figures(name: str, plan: Plan, seconds: float) -> Iterator[Figure]:
    with Pair(plan) as sides:
        for side in sides:
            side.wait("merged")
        time.sleep(seconds)
        ends = [side.end() for side in sides]
        published = sum(len(side.all("published")) for side in sides)
    middle, rare, worst = (max(end["late_ms"][rank] for end in ends) for rank in range(3))
    _, own_rare, own_worst = (max(end["held_ms"][rank] for end in ends) for rank in range(3))
    yield Figure(f"{name}: p99 of the lateness", rare, "ms", P99, note=f"middle {middle:.1f}; {published} updates")
    yield Figure("  the worst", worst, "ms")
    yield Figure("  busy without a break, p99", own_rare, "ms", note=f"worst {own_worst:.1f} ms")
