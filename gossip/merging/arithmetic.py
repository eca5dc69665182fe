"""The fold's vectors in NumPy: the same bits as ledger.fold.PlainArithmetic, some hundred times faster.

Why it exists: a peer folds every update of everybody. A sparse delta costs what it holds, whatever the size of the
model; a dense one is applied in strips, so that a large model needs no second copy of itself.

Rules kept here: integers only until `to_float32`, which rounds once; int64 wraps as the specification says
(docs/fold.md), never raises. It refuses to know weights and entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt, prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gossip.merging.product import product
from ledger import delta as delta_format
from ledger.delta import BLOCK, HEADER_BYTES, MAX_EXPONENT, MAX_VALUE, MIN_EXPONENT
from ledger.entry import Hash, Tensor
from ledger.errors import RemoteError
from ledger.fold import CLAMP, start_draws

Model = NDArray[np.int64]  # grid 2^-40

STRIP: Final = 1 << 18  # elements at once: 2 MiB of int64, a multiple of BLOCK


@dataclass(frozen=True, slots=True)
class ArrayDelta:
    """A decoded delta. `indices` is None when dense."""

    parameters: int
    indices: NDArray[np.int64] | None
    exponents: NDArray[np.int8]
    values: NDArray[np.int8]

    def fixed(self, begin: int = 0, end: int | None = None) -> NDArray[np.int64]:
        """Kept values begin..end on the 2^-24 grid. `begin` is a multiple of BLOCK."""
        values = self.values[begin:end].astype(np.int64)
        shifts = (self.exponents[begin // BLOCK : delta_format.blocks(begin + len(values))] + 24).astype(np.int64)
        values <<= np.repeat(shifts, BLOCK)[: len(values)]
        return values


class NumpyArithmetic:
    """ledger.fold.Arithmetic[ArrayDelta, Model]."""

    def decode(self, blob: bytes, parameters: int) -> ArrayDelta:
        parts = delta_format.outline(blob, parameters)
        raw = np.frombuffer(blob, dtype=np.uint8)
        indices = None if parts.dense else _indices(raw[HEADER_BYTES : parts.gaps_end], parts.kept, parameters)
        exponents = raw[parts.gaps_end : parts.exponents_end].view(np.int8)
        values = raw[parts.exponents_end :].view(np.int8)
        if exponents.size and not MIN_EXPONENT <= int(exponents.min()) <= int(exponents.max()) <= MAX_EXPONENT:
            raise RemoteError("a delta is malformed", why=f"an exponent is outside {MIN_EXPONENT}..{MAX_EXPONENT}")
        if values.size and int(values.min()) < -MAX_VALUE:
            raise RemoteError("a delta is malformed", why="a value is -128")
        return ArrayDelta(parameters, indices, exponents, values)

    def norm(self, delta: ArrayDelta) -> int:
        if delta.values.size == 0:
            return 0
        sums = _block_squares(delta.values)
        shifts = delta.exponents.astype(np.int64) + 24
        total = 0
        # Exact: int64 within one exponent, Python integers across them. (np.unique would import numpy.ma: 20 ms.)
        for shift in sorted(set(shifts.tolist())):
            total += int(sums[shifts == shift].sum(dtype=np.int64)) << 2 * shift
        return isqrt(total)

    def product(self, one: ArrayDelta, other: ArrayDelta) -> int:
        return product(one, other)

    def start(self, layout: Sequence[Tensor], seed: Hash) -> Model:
        theta = np.zeros(sum(prod(tensor.shape) for tensor in layout), dtype=np.int64)
        begin = 0
        for number, tensor in enumerate(layout):
            size = prod(tensor.shape)
            if tensor.bound:
                draws = np.frombuffer(start_draws(seed, number, size), dtype=np.uint32, count=size).astype(np.uint64)
                draws *= np.uint64(2 * tensor.bound + 1)  # below 2^64: MAX_BOUND in ledger/genesis.py
                draws >>= np.uint64(32)
                part = theta[begin : begin + size]
                part[:] = draws.view(np.int64)
                part -= tensor.bound
                part <<= 16
            begin += size
        return theta

    def add(self, theta: Model, delta: ArrayDelta, weight: int) -> None:
        if delta.indices is not None:
            theta[delta.indices] += delta.fixed() * np.int64(weight)  # indices differ, so no term is lost
            return
        # One factor for each block, and room for one strip that every strip uses: fresh memory for each would cost
        # more than the arithmetic (measured: seven times).
        factors = np.left_shift(np.int64(weight), delta.exponents.astype(np.int64) + 24)
        room = np.empty((min(STRIP, delta.parameters) // BLOCK, BLOCK), dtype=np.int64)
        whole = delta.parameters // BLOCK * BLOCK
        for begin, end in _strips(whole):
            terms = room[: (end - begin) // BLOCK]
            terms[...] = delta.values[begin:end].reshape(terms.shape)
            terms *= factors[begin // BLOCK : end // BLOCK, np.newaxis]
            part = theta[begin:end].reshape(terms.shape)
            part += terms
        theta[whole:] += delta.values[whole:] * factors[whole // BLOCK :]  # the last block, if it is a short one

    def subtract(self, theta: Model, delta: ArrayDelta, weight: int) -> None:
        self.add(theta, delta, -weight)

    def model_bytes(self, theta: Model) -> bytes:
        return b"".join(bytes(part) for part in self.model_parts(theta))

    def model_parts(self, theta: Model) -> Iterator[memoryview]:
        room = np.empty(min(STRIP, len(theta)), dtype="<i8")
        for begin, end in _strips(len(theta)):
            part = room[: end - begin]
            np.clip(theta[begin:end], -CLAMP, CLAMP, out=part)
            yield part.data

    def read_model(self, data: bytes) -> Model:
        """What model_bytes gave: 8 bytes for each parameter."""
        return np.frombuffer(data, dtype="<i8").astype(np.int64, copy=False)

    def sums(self, theta: Model) -> bytes:
        """The sums as they are, not clamped, int64 little-endian: read_model gives them back."""
        return theta.astype("<i8").tobytes()

    def to_float32(self, theta: Model) -> NDArray[np.float32]:
        """The model as training sees it: clamped, exact in a double, rounded once."""
        out = np.empty(len(theta), dtype=np.float32)
        for begin, end in _strips(len(theta)):
            exact = np.clip(theta[begin:end], -CLAMP, CLAMP).astype(np.float64)
            exact *= 2.0**-40
            out[begin:end] = exact
        return out


def _strips(size: int) -> Iterator[tuple[int, int]]:
    return ((begin, min(begin + STRIP, size)) for begin in range(0, size, STRIP))


def _block_squares(values: NDArray[np.int8]) -> NDArray[np.int32]:
    """The sum of squares of each block: at most 256 * 127^2."""
    sums = np.empty(delta_format.blocks(len(values)), dtype=np.int32)
    whole = len(values) // BLOCK * BLOCK
    room = np.empty((min(STRIP, whole) // BLOCK, BLOCK), dtype=np.int32)
    for begin, end in _strips(whole):
        squares = room[: (end - begin) // BLOCK]
        squares[...] = values[begin:end].reshape(squares.shape)
        squares *= squares
        squares.sum(axis=1, dtype=np.int32, out=sums[begin // BLOCK : end // BLOCK])
    if whole < len(values):
        sums[-1] = (values[whole:].astype(np.int32) ** 2).sum()
    return sums


def _indices(gaps: NDArray[np.uint8], kept: int, parameters: int) -> NDArray[np.int64]:
    """Minimal LEB128 gaps to indices, all at once."""
    last = (gaps & 0x80) == 0  # the last byte of each number
    ends = np.flatnonzero(last)
    if len(ends) != kept or (len(gaps) and not last[-1]):
        raise RemoteError("a delta is malformed", why=f"it announces {kept} indices and spells {len(ends)}")
    lengths = np.diff(ends, prepend=-1)
    if kept and int(lengths.max()) > delta_format.MAX_GAP_BYTES:
        raise RemoteError("a delta is malformed", why=f"a gap is longer than {delta_format.MAX_GAP_BYTES} bytes")
    if bool(((lengths > 1) & (gaps[ends] == 0)).any()):
        raise RemoteError("a delta is malformed", why="a gap is spelled longer than it needs to be")
    numbers = gaps[ends].astype(np.int64)
    for back in range(1, int(lengths.max()) if kept else 0):
        longer = np.flatnonzero(lengths > back)
        numbers[longer] = numbers[longer] << 7 | gaps[ends[longer] - back] & 0x7F
    numbers += 1
    indices = np.cumsum(numbers) - 1  # at most 2^27 gaps of 2^28: no overflow
    if kept and int(indices[-1]) >= parameters:
        raise RemoteError("a delta is malformed", why=f"an index is outside a model of {parameters} parameters")
    return indices
