"""A model of ten million parameters (one million with --quick) between two nodes over WebRTC, end to end.

Real nodes on the loopback interface (pair.py); the second joins when the first has published, fetches what there is,
folds it, trains, and both go on for some rounds. Nothing is written down that was not seen at one of the two: a round
ends when the first says `trained`, its update has arrived when the second says `merged`.
"""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from cli.bench.figures import Figure, Section
from cli.bench.made_up import mlp, numbers
from cli.bench.pair import Pair, Plan, Side
from gossip.training.spec import ModelSpec

LARGE: Final = mlp(4096, 1642, batch=16, steps=4)
QUICK: Final = mlp(1258, batch=16, steps=4)
ROWS: Final = 1_000
BEFORE: Final = 2  # updates of the first when the second joins
UPDATES: Final = 6  # of the first, in all


def measure(*, quick: bool = False, model: str = "") -> Section:
    """The section for this model ("": as usual)."""
    text = model or (QUICK if quick else LARGE)
    size = ModelSpec.parse(text).parameters
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
        plan = Plan(text, numbers(Path(folder), ROWS), joins_when="published", joins_after=BEFORE)
        with Pair(plan) as (ann, bob):
            bob.wait("merged", BEFORE)
            joined_s = bob.wait("merged", BEFORE)["at"] - bob.started_at
            own_s = bob.wait("published")["at"] - bob.started_at
            last = ann.wait("published", UPDATES)
            bob.wait("merged", seq=last["seq"])
            ann.wait("merged")
            under_way = _under_way(ann, bob)
            ends = [side.end() for side in (ann, bob)]
            sizes = [line["bytes"] for side in (ann, bob) for line in side.all("published")]
            rounds = [line["seconds"] for line in ann.all("trained")[1:]]
    node = max(end["peak_mb"] for end in ends)
    trainer = max(max(end["children_peak_mb"], default=0.0) for end in ends)
    late = max(end["held_ms"][2] for end in ends)
    return Section(
        f"large: {size / 1e6:.1f} million parameters, two nodes over {ends[0]['transport']}",
        (
            Figure("an update", median(sizes) / 1e3, "KB", note=f"1/{4 * size / median(sizes):.0f} of float32"),
            Figure("  from trained at one to merged at the other", median(under_way), "s", digits=2,
                   note=f"worst of {len(under_way)}: {max(under_way):.2f}"),
            Figure("a round: training, scores, choosing", median(rounds), "s", digits=2),
            Figure("start of the second -> holds all that there was", joined_s, "s", note=f"{BEFORE} updates"),
            Figure("start of the second -> its own first update", own_s, "s"),
            Figure("memory of a node at its highest", node, "MB", digits=0, note="the model on the grid: "
                   f"{8 * size / 1e6:.0f} MB"),
            Figure("memory of a training process at its highest", trainer, "MB", digits=0),
            Figure("loop busy without a break, the worst", late, "ms", note="from the first merge on"),
        ),
    )  # fmt: skip


def _under_way(ann: Side, bob: Side) -> list[float]:
    """Seconds from `trained` at the first to `merged` at the second, of what it published once the second was there."""
    found = list[float]()
    for number in count(BEFORE + 1):
        trained = ann.all("trained", round=number)
        published = ann.all("published", round=number)
        if not trained or not published:
            return found
        merged = bob.all("merged", seq=published[0]["seq"])
        if merged and trained[0]["at"] > bob.all("ready")[0]["at"]:
            found.append(merged[0]["at"] - trained[0]["at"])
    raise AssertionError("unreachable")
