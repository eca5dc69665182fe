"""A sparse update of a large model: what making, reading and folding it costs beside plain float32 additions."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Final

import numpy as np

from cli.bench.figures import Figure, Goal, Section
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import ErrorFeedback
from ledger.entry import Tensor

PARAMETERS: Final = 1_000_000
DENSITY: Final = 0.01
TIMES: Final = 25
WARM_UP: Final = 4
WEIGHT: Final = 40_000  # of 65536; any but a power of two


def measure() -> Section:
    rng = np.random.default_rng(1)
    changes = [rng.standard_normal(PARAMETERS, dtype=np.float32) * np.float32(0.01) for _ in range(4)]
    arithmetic = NumpyArithmetic()
    feedback = ErrorFeedback(PARAMETERS, DENSITY)
    model = arithmetic.start([Tensor(name="w", shape=[PARAMETERS], bound=1 << 20)], "5a" * 32)
    plain = arithmetic.to_float32(model)
    taken: list[tuple[float, ...]] = []
    blob = b""
    for number in range(TIMES + WARM_UP):
        change = changes[number % len(changes)]
        at = [perf_counter()]
        blob = feedback.compress(change)
        at.append(perf_counter())
        delta = arithmetic.decode(blob, PARAMETERS)
        at.append(perf_counter())
        arithmetic.add(model, delta, WEIGHT)
        at.append(perf_counter())
        assert delta.indices is not None
        indices, values = delta.indices, change[delta.indices]
        at.append(perf_counter())
        plain[indices] += values
        at.append(perf_counter())
        plain += change
        at.append(perf_counter())
        taken.append((at[3] - at[0], *(end - begin for begin, end in pairwise(at))))
    whole, encode, decode, fold, _, sparse, dense = (median(column) for column in zip(*taken[WARM_UP:], strict=True))
    return Section(
        "codec: top 1% of 1 million parameters, int8 with error feedback",
        (
            Figure("encode + decode + fold", 1e3 * whole, "ms", Goal(30)),
            Figure("  of it encode (choosing included)", 1e3 * encode, "ms", digits=2),
            Figure("  of it decode", 1e3 * decode, "ms", digits=2),
            Figure("  of it fold", 1e3 * fold, "ms", digits=2),
            Figure("fold / float32 add of the same indices", fold / sparse, "x", note=f"{1e3 * sparse:.3f} ms"),
            Figure("whole / dense float32 add", whole / dense, "x", note=f"{1e3 * dense:.3f} ms"),
            Figure("size / float32 model", len(blob) / (4 * PARAMETERS), "1/", digits=0, note=f"{len(blob):,} bytes"),
        ),
    )
