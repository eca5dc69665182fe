"""An auditor's arithmetic: large dense updates folded in exact integers and hashed, beside the same sum in float32.

The measure is what anybody does without a ledger: add up eight float32 updates, and hash the model that comes of it.
Both sides have what they add in memory. What an audit does besides (the hash of each delta, its format, its norm) has
rows of its own. Both are measured in turn, so that a busy moment slows both.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cli.bench.figures import Figure, Goal, Section
from gossip.merging.arithmetic import ArrayDelta, NumpyArithmetic
from ledger.delta import BLOCK, DENSE, MAGIC
from ledger.fold import model_hash

PARAMETERS: Final = 10_000_000
DELTAS: Final = 8
TIMES: Final = 7
WEIGHT: Final = 40_000  # of 65536; any but a power of two


def measure() -> Section:
    rng = np.random.default_rng(1)
    arithmetic = NumpyArithmetic()
    blobs = [_blob(rng) for _ in range(DELTAS)]
    deltas = [arithmetic.decode(blob, PARAMETERS) for blob in blobs]
    updates = [_worth(delta) for delta in deltas]
    taken: list[tuple[float, ...]] = []
    for _ in range(TIMES + 1):
        theta, plain = np.zeros(PARAMETERS, np.int64), np.zeros(PARAMETERS, np.float32)
        theta.fill(1)  # so that the memory is there
        plain.fill(1)
        at = [perf_counter()]
        for update in updates:
            plain += update
        sha256(plain.data).hexdigest()
        at.append(perf_counter())
        for delta in deltas:
            arithmetic.add(theta, delta, WEIGHT)
        at.append(perf_counter())
        model_hash([], arithmetic.model_parts(theta))
        at.append(perf_counter())
        for blob in blobs:
            sha256(blob).hexdigest()
            arithmetic.norm(arithmetic.decode(blob, PARAMETERS))
        at.append(perf_counter())
        taken.append(tuple(end - begin for begin, end in pairwise(at)))
    floats, fold, hashed, opened = (median(column) for column in zip(*taken[1:], strict=True))
    ratio = median((row[1] + row[2]) / row[0] for row in taken[1:])
    whole = median((row[1] + row[2] + row[3]) / row[0] for row in taken[1:])
    return Section(
        f"replay: {PARAMETERS // 1_000_000} million parameters, {DELTAS} dense deltas",
        (
            Figure("float32 sum + SHA-256", 1e3 * floats, "ms"),
            Figure("exact fold + model hash", 1e3 * (fold + hashed), "ms"),
            Figure("  of it fold", 1e3 * fold, "ms"),
            Figure("  of it model hash", 1e3 * hashed, "ms", note="80 MB, twice as many as of float32"),
            Figure("replay / float32 sum + SHA-256", ratio, "x", Goal(3), digits=2),
            Figure("checking the deltas: hash, format, norm", 1e3 * opened, "ms"),
            Figure("replay and checks / float32 sum + SHA-256", whole, "x", digits=2),
        ),
    )


def _blob(rng: np.random.Generator) -> bytes:
    exponents = rng.integers(-20, -8, -(-PARAMETERS // BLOCK), dtype=np.int8)
    values = rng.integers(-127, 128, PARAMETERS, dtype=np.int8)
    size = PARAMETERS.to_bytes(4, "little")
    return b"".join((MAGIC, bytes([DENSE]), size, size, exponents.tobytes(), values.tobytes()))


def _worth(delta: ArrayDelta) -> NDArray[np.float32]:
    """The same update in float32."""
    steps: NDArray[np.float32] = np.repeat(np.exp2(delta.exponents.astype(np.float32)), BLOCK)[:PARAMETERS]
    steps *= delta.values
    return steps
