"""From a change of the model to a delta blob: which elements are kept, how they are rounded, what waits.

    change + what waited  -->  the k largest  -->  int8 with an exponent for each 256  -->  blob
              ^------------- what was not sent, or lost in rounding, waits (error feedback)

Why it exists: a dense float32 delta of a million parameters is 4 MB; its largest hundredth in int8 is 23 KB, and with
error feedback nothing is lost, only late. How elements are chosen is the author's business: only decoding is
normative (docs/fold.md), so floating point is welcome here.

It refuses to know weights, entries and other peers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger import delta as delta_format
from ledger.delta import BLOCK, DENSE, MAGIC, MAX_EXPONENT, MAX_VALUE, MIN_EXPONENT, SPARSE
from ledger.errors import LocalError

DENSE_BELOW: Final = 256  # parameters; one block: indices would cost as much as they save
MAX_KEPT: Final = 100_000  # by default: 230 KB, a few seconds on a slow line (1% of 10^7)
_SAMPLE_STRIDE: Final = 61  # prime, so that it does not beat with the sides of matrices
_SELECT_BELOW: Final = 1 << 15  # elements; sampling saves nothing under this


def default_density(parameters: int) -> float:
    """Share of elements kept: tenths in tiny models, a hundredth from 10^4 on, less beyond 10^7."""
    if parameters <= DENSE_BELOW:
        return 1.0
    if parameters <= 1_000:
        return 0.1
    if parameters <= 10_000:
        return 0.05
    return min(0.01, max(MAX_KEPT / parameters, 0.001))


def encode_update(change: NDArray[np.floating], density: float | None = None) -> tuple[bytes, NDArray[np.float32]]:
    """The blob for the largest share `density` of `change`, and what decoding it gives (float32, zero elsewhere).

    LocalError if `change` holds anything that is not a finite number: training has diverged.
    """
    blob, indices, sent = _encode(np.ascontiguousarray(change, dtype=np.float32), density)
    values = np.zeros(len(change), dtype=np.float32)
    values[indices] = sent
    return blob, values


class ErrorFeedback:
    """What an author has not sent yet. Private to the peer; losing it costs a little accuracy and nothing else."""

    def __init__(self, parameters: int, density: float | None = None) -> None:
        self.residual = np.zeros(parameters, dtype=np.float32)
        self.density = density

    def compress(self, change: NDArray[np.float32], permille: int = 0) -> bytes:
        """The blob that publishes `change` and what waited before it; `permille` of the usual share of elements (0: all
        of it), for a slow line. LocalError, and nothing kept, if not finite."""
        total = self.residual + change
        share = default_density(len(change)) if self.density is None else self.density
        blob, indices, sent = _encode(total, share * permille / 1000 if permille else share)
        total[indices] -= sent
        self.residual = total
        return blob


def _encode(
    change: NDArray[np.float32], density: float | None
) -> tuple[bytes, NDArray[np.int64] | slice, NDArray[np.float32]]:
    parameters = len(change)
    magnitudes = np.abs(change)
    if not np.isfinite(magnitudes.max(initial=0.0)):
        raise LocalError(
            "training gave numbers that are not finite", next_step="lower the learning rate of the model declaration"
        )
    share = default_density(parameters) if density is None else density
    kept = min(parameters, max(1, round(share * parameters)))
    indices = None if kept == parameters else _largest(magnitudes, kept)
    chosen = (change if indices is None else change[indices]).astype(np.float64)
    exponents = _exponents(np.abs(chosen))
    steps = np.repeat(np.ldexp(1.0, exponents), BLOCK)[: len(chosen)]
    scaled = chosen / steps  # exact: steps are powers of two
    values = np.clip(np.trunc(scaled + np.copysign(0.5, scaled)), -MAX_VALUE, MAX_VALUE)
    form = bytes([DENSE if indices is None else SPARSE])
    sizes = parameters.to_bytes(4, "little") + len(chosen).to_bytes(4, "little")
    gaps = b"" if indices is None else _gaps(indices)
    packed = exponents.astype(np.int8).tobytes() + values.astype(np.int8).tobytes()
    blob = b"".join((MAGIC, form, sizes, gaps, packed))
    return blob, slice(None) if indices is None else indices, (values * steps).astype(np.float32)


def _largest(magnitudes: NDArray[np.float32], kept: int) -> NDArray[np.int64]:
    """Indices of the `kept` largest, rising. A sample finds a threshold that leaves few to choose among."""
    candidates: NDArray[np.int64] | None = None
    if len(magnitudes) >= _SELECT_BELOW:
        sample = magnitudes[::_SAMPLE_STRIDE]
        rank = min(len(sample) - 1, round(1.3 * kept / _SAMPLE_STRIDE) + 8)
        threshold = np.partition(sample, len(sample) - 1 - rank)[len(sample) - 1 - rank]
        candidates = np.flatnonzero(magnitudes >= threshold)
        if len(candidates) < kept:
            candidates = None
    pool = magnitudes if candidates is None else magnitudes[candidates]
    best = np.sort(np.argpartition(pool, len(pool) - kept)[len(pool) - kept :])
    return best if candidates is None else candidates[best]


def _exponents(magnitudes: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each block the smallest z with max <= 127 * 2^z, within what the format allows."""
    peaks = np.maximum.reduceat(magnitudes, np.arange(0, len(magnitudes), BLOCK))
    exponents = np.frexp(peaks / MAX_VALUE)[1].astype(np.int64)  # peaks / 127 is in [2^(z-1), 2^z], but for rounding
    exponents -= peaks <= np.ldexp(float(MAX_VALUE), exponents - 1)
    exponents += peaks > np.ldexp(float(MAX_VALUE), exponents)
    return np.clip(np.where(peaks == 0, MIN_EXPONENT, exponents), MIN_EXPONENT, MAX_EXPONENT)


def _gaps(indices: NDArray[np.int64]) -> bytes:
    """Minimal LEB128 of the first index and of each step less one."""
    gaps = np.diff(indices, prepend=-1) - 1
    lengths = np.ones(len(gaps), dtype=np.int64)
    for length in range(1, delta_format.MAX_GAP_BYTES):
        lengths += gaps >= 1 << 7 * length
    ends = np.cumsum(lengths)
    out = np.empty(int(ends[-1]), dtype=np.uint8)
    begins = ends - lengths
    for byte in range(int(lengths.max())):
        there = np.flatnonzero(lengths > byte)
        more = np.where(lengths[there] > byte + 1, 0x80, 0)
        out[begins[there] + byte] = (gaps[there] >> 7 * byte & 0x7F | more).astype(np.uint8)
    return out.tobytes()
