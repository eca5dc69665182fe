"""The delta blob, "gossip-delta/1": one compressed change of the model, as bytes.

    "GSD1" | form u8 | parameters u32le | kept u32le | gaps | exponents | values

    form        0 dense (kept == parameters, no gaps), 1 sparse (kept < parameters)
    gaps        sparse only: kept minimal LEB128 numbers; the first index, then each index less the one before less 1
    exponents   ceil(kept / 256) x i8, -24..-4: one for each block of 256 kept values
    values      kept x i8, -127..127

An element is worth q << (z + 24) on the grid of 2^-24. A dense delta of three parameters, +1, -2 and 127 steps
of 2^-24, is one block:

    47534431 00 03000000 03000000   e8   01 fe 7f

Rules kept here: one spelling (minimal LEB128, no trailing bytes, -128 refused, a sparse blob keeps less than
all), and every length is known from the header and the blob's own size before anything is allocated.
This file refuses to know which elements deserve to be kept (gossip/merging/codec.py) and what a delta
weighs (weights.py). It is plain Python so that an auditor needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Final

from ledger.errors import RemoteError

CODEC: Final = "gossip-delta/1"
MAGIC: Final = b"GSD1"
DENSE: Final = 0
SPARSE: Final = 1
BLOCK: Final = 256  # kept values that share an exponent
MIN_EXPONENT: Final = -24  # one step of the 2^-24 grid
MAX_EXPONENT: Final = -4  # 127 * 2^-4 < 8: bounds one term of the fold to 2^43 (docs/fold.md, "Room in int64")
MAX_VALUE: Final = 127
HEADER_BYTES: Final = 13
MAX_PARAMETERS: Final = 1 << 27  # 1 GiB of model at 8 bytes each
MAX_GAP_BYTES: Final = 4  # 28 bits: more than any index


@dataclass(frozen=True, slots=True)
class Delta:
    """One decoded delta. `indices` is None when dense; otherwise strictly increasing, one for each value."""

    parameters: int
    indices: tuple[int, ...] | None
    exponents: tuple[int, ...]  # one for each block of 256 values
    values: tuple[int, ...]

    def terms(self) -> Iterator[tuple[int, int]]:
        """(index, value on the 2^-24 grid) of every kept element, zeros included."""
        places = range(self.parameters) if self.indices is None else self.indices
        for at, (index, value) in enumerate(zip(places, self.values, strict=True)):
            yield index, value << (self.exponents[at // BLOCK] + 24)


@dataclass(frozen=True, slots=True)
class Outline:
    """Where the parts of a blob lie, as its header and its length tell; nothing else is checked yet."""

    dense: bool
    kept: int
    gaps_end: int
    exponents_end: int


def blocks(kept: int) -> int:
    return -(-kept // BLOCK)


def max_blob_bytes(parameters: int) -> int:
    """No valid blob is longer. A gap of n bytes skips at least n - 1 elements, so all gaps fit `parameters` bytes."""
    return HEADER_BYTES + 2 * parameters + blocks(parameters)


def outline(blob: bytes, parameters: int) -> Outline:
    """Measure a blob before any of it is unpacked. RemoteError if its lengths do not fit one another."""
    if len(blob) < HEADER_BYTES or blob[:4] != MAGIC:
        raise _malformed("it does not begin as gossip-delta/1")
    form = blob[4]
    stated = int.from_bytes(blob[5:9], "little")
    kept = int.from_bytes(blob[9:13], "little")
    if form not in (DENSE, SPARSE):
        raise _malformed(f"form {form} does not exist")
    if stated != parameters:
        raise _malformed(f"it is for {stated} parameters, the model has {parameters}")
    if (kept != parameters) if form == DENSE else (kept >= parameters):
        raise _malformed(f"a {'dense' if form == DENSE else 'sparse'} blob cannot keep {kept} of {parameters}")
    gaps_end = len(blob) - blocks(kept) - kept
    gap_bytes = gaps_end - HEADER_BYTES
    if (gap_bytes != 0) if form == DENSE else not kept <= gap_bytes <= MAX_GAP_BYTES * kept:
        raise _malformed(f"{len(blob)} bytes do not fit {kept} kept values")
    return Outline(form == DENSE, kept, gaps_end, gaps_end + blocks(kept))


def decode(blob: bytes, parameters: int) -> Delta:
    """The delta a blob spells, for a model of `parameters` elements. RemoteError if it breaks the format."""
    parts = outline(blob, parameters)
    indices = None if parts.dense else _indices(blob[HEADER_BYTES : parts.gaps_end], parts.kept, parameters)
    exponents = tuple(memoryview(blob[parts.gaps_end : parts.exponents_end]).cast("b"))
    values = tuple(memoryview(blob[parts.exponents_end :]).cast("b"))
    if exponents and not MIN_EXPONENT <= min(exponents) <= max(exponents) <= MAX_EXPONENT:
        raise _malformed(f"an exponent is outside {MIN_EXPONENT}..{MAX_EXPONENT}")
    if values and min(values) < -MAX_VALUE:
        raise _malformed("a value is -128")
    return Delta(parameters, indices, exponents, values)


def encode(delta: Delta) -> bytes:
    """The one spelling of a delta. The caller keeps the rules of the format; decode(encode(d)) == d."""
    kept = len(delta.values)
    parts = [
        MAGIC,
        bytes([DENSE if delta.indices is None else SPARSE]),
        delta.parameters.to_bytes(4, "little"),
        kept.to_bytes(4, "little"),
    ]
    if delta.indices is not None:
        gaps = bytearray()
        before = -1
        for index in delta.indices:
            gap = index - before - 1
            while gap >= 0x80:
                gaps.append(gap & 0x7F | 0x80)
                gap >>= 7
            gaps.append(gap)
            before = index
        parts.append(bytes(gaps))
    parts.append(bytes(z & 0xFF for z in delta.exponents))
    parts.append(bytes(q & 0xFF for q in delta.values))
    return b"".join(parts)


def norm(delta: Delta) -> int:
    """Floor of the Euclidean norm on the 2^-24 grid, from an exact sum of squares."""
    total = 0
    for block, exponent in enumerate(delta.exponents):
        part = delta.values[block * BLOCK : (block + 1) * BLOCK]
        total += sum(q * q for q in part) << (2 * (exponent + 24))
    return isqrt(total)


def _indices(gaps: bytes, kept: int, parameters: int) -> tuple[int, ...]:
    found: list[int] = []
    index, gap, shift = -1, 0, 0
    for byte in gaps:
        if shift and byte == 0:
            raise _malformed("a gap is spelled longer than it needs to be")
        gap |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            if shift >= 7 * MAX_GAP_BYTES:
                raise _malformed(f"a gap is longer than {MAX_GAP_BYTES} bytes")
            continue
        index += gap + 1
        found.append(index)
        gap = shift = 0
    if shift or len(found) != kept:
        raise _malformed(f"it announces {kept} indices and spells {len(found)}")
    if found and found[-1] >= parameters:
        raise _malformed(f"index {found[-1]} is outside a model of {parameters} parameters")
    return tuple(found)


def _malformed(why: str) -> RemoteError:
    return RemoteError("a delta is malformed", why=why)
