"""What a member costs as the swarm grows: time of its machine for each minute and each update, memory, entries.

Setting: swarms that were founded long ago (gossip/sim/founded.py), the toy problem (33 parameters), rounds of 4 s, so
that a panel of ten publishes 2.5 updates a second; stand-in signatures. At most UP of the members are up, the panel
among them. Counted is all processor time from when links are open on, the simulator's included, for each that is up.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from time import process_time
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from gossip.config import PeerConfig
from gossip.sim import Scenario
from gossip.sim.clock import EPOCH
from gossip.sim.founded import FoundedSwarm

PANEL: Final = 10
UP: Final = 30
WARM_S: Final = 20.0  # until links are open, and the panel has introduced itself
COUNTED_S: Final = 40.0
ROUND_S: Final = 4.0
SIZES: Final = (10, 30, 100, 300, 1000)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one size of swarm."""

    members: int
    up: int
    seconds: float  # of a core, all that were up together
    counted_s: float  # of virtual time
    updates: int  # published meanwhile
    events: int  # that machines handled
    bytes_s: float  # received by each, on average
    start_s: float  # of a core, to read the store of one

    @property
    def node_ms(self) -> float:
        """Of a core, of a peer that is up, for each minute."""
        return 1000 * self.seconds / self.up * 60 / self.counted_s

    @property
    def update_us(self) -> float:
        """Of a core, of a peer that is up, for each update of anybody."""
        return 1e6 * self.seconds / self.up / max(1, self.updates)


def measure(*, quick: bool = False, sizes: Sequence[int] = SIZES) -> Section:
    found = [cost(members) for members in (sizes[:3] if quick else sizes)]
    first, last = found[0], found[-1]
    figures = [
        figure
        for one in found
        for figure in (
            Figure(f"{one.members:,} members: a peer that is up, a minute", one.node_ms, "ms", note=_note(one)),
            Figure("  for each update", one.update_us, "us", digits=0),
            Figure("  to read its store", 1000 * one.start_s, "ms"),
        )
    ]
    power = exponent([one.members for one in found], [one.node_ms for one in found])
    figures += [
        Figure(f"cost at {last.members:,} / at {first.members:,}", last.node_ms / first.node_ms, "x", Goal(1.5), 2),
        Figure("cost ~ members ^", power, "", Goal(0.1), 2, "least squares of logarithms"),
    ]
    return Section(f"scale: {PANEL} publish at a time, 1 update in {ROUND_S:g} s each", tuple(figures))


def cost(members: int, *, up: int = UP, panel: int = PANEL, seed: int = 1, counted_s: float = COUNTED_S) -> Cost:
    """Run such a swarm for a minute, and count."""
    scenario = Scenario(
        peers=min(up, members), seconds=WARM_S + counted_s, round_s=ROUND_S, seed=seed, signatures="checked",
        constants={"panel": panel}, config=PeerConfig(window_s=86_400.0), settle_s=0,
    )  # fmt: skip
    swarm = FoundedSwarm(scenario, members)
    marks: list[tuple[float, int, int, int]] = []

    def mark() -> None:
        gc.collect()
        updates = sum(peer.machine.status().updates for peer in swarm.peers if peer.machine is not None)
        marks.append((process_time(), updates, swarm.events, sum(swarm.network.bytes_received.values())))

    swarm.clock.at(EPOCH + WARM_S, mark)
    swarm.clock.at(EPOCH + WARM_S + counted_s - 0.001, mark)
    began = process_time()
    with swarm.signing.standing_in():
        swarm.book_of(swarm.peers[0])
    start_s = process_time() - began
    swarm.run()
    seconds, updates, events, received = (after - before for before, after in zip(*marks, strict=True))
    up = len(swarm.peers)
    return Cost(members, up, seconds, counted_s, round(updates), round(events), received / up / counted_s, start_s)


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The b of cost = a * size^b that fits best: least squares of logarithms."""
    xs, ys = [log(size) for size in sizes], [log(one) for one in costs]
    x, y = _mean(xs), _mean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def _note(one: Cost) -> str:
    return f"{one.up} up, {one.updates} updates, {one.bytes_s / 1000:.1f} kB/s to each"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
