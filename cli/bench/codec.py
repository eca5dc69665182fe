"""A sparse update of a large model: what making, signing, reading and folding it costs beside plain float32 additions.

Signing is what an author does with a delta: its SHA-256 into an entry of usual length, the entry's canonical bytes and
hash, and a signature of the author's log.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from time import process_time
from typing import Final

import numpy as np

from cli.bench.entries import Author
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
    blob, author = b"", Author()
    for number in range(TIMES + WARM_UP):
        change = changes[number % len(changes)]
        at = [process_time()]
        blob = feedback.compress(change)
        at.append(process_time())
        author.sign(author.entry(blob))
        at.append(process_time())
        delta = arithmetic.decode(blob, PARAMETERS)
        at.append(process_time())
        arithmetic.add(model, delta, WEIGHT)
        at.append(process_time())
        assert delta.indices is not None
        indices, values = delta.indices, change[delta.indices]
        at.append(process_time())
        plain[indices] += values
        at.append(process_time())
        plain += change
        at.append(process_time())
        taken.append((at[1] - at[0] + at[4] - at[2], at[2] - at[0], *(end - begin for begin, end in pairwise(at))))
    columns = zip(*taken[WARM_UP:], strict=True)
    whole, made, encode, signed, decode, fold, _, sparse, dense = (median(column) for column in columns)
    return Section(
        "codec: top 1% of 1 million parameters, int8 with error feedback, of processor time",
        (
            Figure("encode + decode + fold", 1e3 * whole, "ms", Goal(30)),
            Figure("encode + sign", 1e3 * made, "ms", Goal(10), 2, f"hash, entry and signature {1e3 * signed:.2f} ms"),
            Figure("  of it encode (choosing included)", 1e3 * encode, "ms", digits=2),
            Figure("decode", 1e3 * decode, "ms", digits=2),
            Figure("fold", 1e3 * fold, "ms", digits=2),
            Figure("fold / float32 add of the same indices", fold / sparse, "x", Goal(2), 2, f"{1e3 * sparse:.3f} ms"),
            Figure("whole / dense float32 add", whole / dense, "x", note=f"{1e3 * dense:.3f} ms"),
            Figure("size / float32 model", len(blob) / (4 * PARAMETERS), "1/", digits=0, note=f"{len(blob):,} bytes"),
        ),
    )
