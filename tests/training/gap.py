"""Four unequal peers in one process: real sessions, real codec, real integer fold; only the network is missing.

    python -m tests.training.gap [SEEDS]      the table of `make bench`, offline

The third peer is three times slower. Each update is folded at eta / n, as four active peers weigh theirs.
"""

from __future__ import annotations

import heapq
import sys
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

from gossip.filterlists.split import write_demo
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.training.pooled import pooled
from gossip.training.protocol import OwnData
from gossip.training.session import Session
from gossip.training.spec import FILTERLIST, ModelSpec

SLOW, SLOWER = 2, 3
GRID = 1 << 16


@dataclass(frozen=True)
class Gap:
    """PR-AUC on sites that no peer has seen."""

    seed: int
    alone: tuple[float, ...]  # largest peer first
    swarm: float
    pooled: float
    updates: tuple[int, ...]
    largest_update: int  # bytes

    @property
    def closed(self) -> float:
        """For the smallest peer."""
        return (self.swarm - self.alone[-1]) / (self.pooled - self.alone[-1])

    @property
    def closed_on_average(self) -> float:
        mean = sum(self.alone) / len(self.alone)
        return (self.swarm - mean) / (self.pooled - mean)


def measure(seed: int, rounds: int, *, pooled_rounds: int, cache: Path, folder: Path) -> Gap:
    """Train until every peer but the slow one has published `rounds` updates."""
    spec, arithmetic = ModelSpec.parse(FILTERLIST), NumpyArithmetic()
    share = write_demo(folder, peers=4, seed=seed)
    theta = arithmetic.start(spec.layout(), f"{seed:064x}")
    start = arithmetic.to_float32(theta)
    peers = [
        Session.load(OwnData.private(FILTERLIST, [path], share.validation, bytes([seed, i]) * 16), start, cache=cache)[
            0
        ]
        for i, (path, _) in enumerate(share.peers)
    ]
    weight = min(GRID, round(spec.eta * GRID / len(peers)))
    views = [start] * len(peers)
    due = [((SLOWER if i == SLOW else 1) * (1 + i / 10), i) for i in range(len(peers))]
    heapq.heapify(due)
    published = [""] * len(peers)
    done, alone, largest = [0] * len(peers), [0.0] * len(peers), 0
    while min(count for i, count in enumerate(done) if i != SLOW) < rounds:
        now, i = heapq.heappop(due)
        trained, blob = peers[i].train(done[i], views[i], published=published[i])
        published[i] = sha256(blob).hexdigest()
        arithmetic.add(theta, arithmetic.decode(blob, spec.parameters), weight)
        done[i], largest = done[i] + 1, max(largest, len(blob))
        alone[i] = trained.alone.pr_auc if trained.alone else 0.0
        views[i] = arithmetic.to_float32(theta)
        heapq.heappush(due, (now + (SLOWER if i == SLOW else 1), i))
    scored = peers[0].evaluate(arithmetic.to_float32(theta)).swarm
    for peer in peers:
        peer.close()
    everything = pooled(
        FILTERLIST, [path for path, _ in share.peers], share.validation, rounds=pooled_rounds, seed=seed, cache=cache
    )
    assert scored is not None
    return Gap(seed, tuple(alone), scored.pr_auc, everything["sites"].pr_auc, tuple(done), largest)


def main(seeds: int, rounds: int = 24) -> None:
    closed = []
    print("seed   alone (largest ... smallest)   swarm  pooled   closed: smallest, average   updates   bytes")
    with tempfile.TemporaryDirectory() as place:
        for seed in range(seeds):
            gap = measure(seed, rounds, pooled_rounds=60, cache=Path(place, "cache"), folder=Path(place, str(seed)))
            alone = "  ".join(f"{each:.3f}" for each in gap.alone)
            print(
                f"{seed:4}   {alone}   {gap.swarm:.3f}   {gap.pooled:.3f}    "
                f"{gap.closed:.2f}  {gap.closed_on_average:.2f}   {gap.updates}   {gap.largest_update}"
            )
            closed.append(gap.closed)
    print(f"median gap closed for the smallest peer: {median(closed):.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
