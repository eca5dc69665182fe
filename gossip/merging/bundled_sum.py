"""The bundled sum, "gossip-sum/1": what many updates add to the model, as one exact sum of integers.

    "GSS1" | length u32le | a raw deflate stream of `length` bytes, which are:

    parameters u32le | logs u16le | logs x (log 32 | count LEB128 | count x LEB128) | entries 32
    shift u8 | kept u32le | gaps | values

    count       updates named of this log, and then their numbers: the first, then each less the one before less 1
    entries     SHA-256 over "gossip/sum/1\\n" and, log by log and number by number, the hash of each entry named
    kept        how many elements the sum moves; no others are there
    gaps        if kept < parameters: kept numbers, as in a delta (ledger/delta.py)
    values      kept x LEB128 of (v >> shift) in zigzag, v being the sum of W(u) * (q_u << (z_u + 24)) at that place,
                as the fold sums (grid 2^-40, int64, modulo 2^64); `shift` is the largest that loses no bit

Why it exists: who is far behind needs the sum of what it missed before it needs the parts. Sixteen updates of a
57-parameter model are some 12 KB of entries and deltas, and their sum is 0.3 KB. The sum is a loan: whoever uses one
takes each update out of it as it folds it (Remainder), and what is left at the end is zero, bit for bit, or the sum was
false. The fold itself never sees it.

A real one, of update 3 of log a1..a1 (weight 65536, one kept value 127 * 2^-24 of three parameters):

    47535331 50000000 and, deflated, these 80 bytes:

    03000000 0100 a1..a1 01 03 f2df9b..d33 10 01000000 00 fe01

Not to be confused with the bundle that `gossip ledger bundle` writes for auditors (ledger/bundle.py).

Rules kept here: what is inflated has one spelling (minimal LEB128, rising names, the largest shift, no zeros, nothing
behind the last field); every length is bounded before anything is allocated, and numbers are read in strips; a sum
moves no element further than its updates can. There are none of models beyond MAX_PARAMETERS: who makes or reads them
answers to many links, and would stand still for too long. It refuses to know who made a sum, and what becomes of it
(gossip/peer/leading.py, gossip/peer/following.py).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gossip.merging.arithmetic import ArrayDelta, Model
from ledger.delta import MAX_GAP_BYTES, MAX_VALUE
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError

MAGIC: Final = b"GSS1"
DOMAIN: Final = b"gossip/sum/1\n"
MAX_NAMED: Final = 1024  # updates in one sum: beyond, a snapshot serves better
MAX_SEQ_BYTES: Final = 5  # of the number of an entry, below 2^32
MAX_VALUE_BYTES: Final = 8  # 1,024 updates move an element by less than 2^53
MAX_PARAMETERS: Final = 65_536  # making or reading one stays below 50 ms (docs/bundles.md)
MAX_STEP: Final = MAX_VALUE << 36  # grid 2^-40: one update moves an element by 127 * 2^-4 at most, whatever its weight
STRIP: Final = 1 << 13  # numbers read at once
HEAD_BYTES: Final = 8
_FIXED: Final = 4 + 2 + 32 + 1 + 4
_HASH: Final = 32

Named = tuple[tuple[PeerId, tuple[int, ...]], ...]  # logs rising, and of each the numbers of entries, rising


@dataclass(frozen=True, slots=True)
class BundledSum:
    """The sum of named updates. `indices` is None when every parameter moves; else strictly rising."""

    parameters: int
    named: Named
    entries: Hash
    indices: NDArray[np.int64] | None
    values: NDArray[np.int64]  # grid 2^-40; none is 0

    @property
    def updates(self) -> int:
        return sum(len(seqs) for _, seqs in self.named)

    def names(self) -> Iterable[tuple[PeerId, int]]:
        return ((log, seq) for log, seqs in self.named for seq in seqs)


def most_bytes(parameters: int) -> int:
    """No sum of a model of so many parameters is longer, deflated or not; 0 if there are none of so large a model."""
    if parameters > MAX_PARAMETERS:
        return 0
    names = MAX_NAMED * (_HASH + 2 + MAX_SEQ_BYTES)
    return _FIXED + names + parameters * (MAX_GAP_BYTES + MAX_VALUE_BYTES)


def sum_up(
    parameters: int, terms: Iterable[tuple[ArrayDelta, int]], entries: Mapping[tuple[PeerId, int], Hash]
) -> BundledSum:
    """The sum of (delta, weight), one for each of `entries`, which says what each named entry hashes to."""
    return _summed(parameters, ((d.indices, d.fixed() * np.int64(weight)) for d, weight in terms), entries)


def join(one: BundledSum, other: BundledSum, entries: Mapping[tuple[PeerId, int], Hash]) -> BundledSum:
    """The sum of two that name different updates; `entries` are those of both."""
    return _summed(one.parameters, ((part.indices, part.values) for part in (one, other)), entries)


def _summed(
    parameters: int, parts: Iterable[tuple[NDArray[np.int64] | None, NDArray[np.int64]]],
    entries: Mapping[tuple[PeerId, int], Hash],
) -> BundledSum:  # fmt: skip
    total = np.zeros(parameters, dtype=np.int64)
    for indices, values in parts:
        total[slice(None) if indices is None else indices] += values  # indices of one part differ
    where = np.flatnonzero(total)
    return BundledSum(
        parameters, _named(entries), entries_hash(entries), None if len(where) == parameters else where, total[where]
    )


def _named(names: Iterable[tuple[PeerId, int]]) -> Named:
    by_log: dict[PeerId, list[int]] = {}
    for log, seq in sorted(names):
        by_log.setdefault(log, []).append(seq)
    return tuple((log, tuple(seqs)) for log, seqs in by_log.items())


def entries_hash(entries: Mapping[tuple[PeerId, int], Hash]) -> Hash:
    """One hash of the entries that a sum names."""
    digest = sha256(DOMAIN)
    for name in sorted(entries):
        digest.update(bytes.fromhex(entries[name]))
    return digest.hexdigest()


# ------------------------------------------------------------------ to bytes


def encode(bundled: BundledSum) -> bytes:
    """The blob of a sum. LocalError if no peer would take it: it is too large, or names too much."""
    if not 1 <= bundled.updates <= MAX_NAMED:
        raise LocalError(f"a sum of {bundled.updates} updates is none", why=f"from 1 to {MAX_NAMED} are named")
    plain = _plain(bundled)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    blob = MAGIC + len(plain).to_bytes(4, "little") + packer.compress(plain) + packer.flush()
    most = most_bytes(bundled.parameters)
    if max(len(plain), len(blob)) > most:
        raise LocalError("a sum is too large to be passed on", why=f"{len(blob)} bytes, allowed are {most}")
    return blob


def _plain(bundled: BundledSum) -> bytes:
    parts = [struct.pack("<IH", bundled.parameters, len(bundled.named))]
    for log, seqs in bundled.named:
        parts += [bytes.fromhex(log), _spelled(np.array([len(seqs)])), _spelled(_steps(np.array(seqs, dtype=np.int64)))]
    shift = _shift(bundled.values)
    parts.append(bytes.fromhex(bundled.entries) + struct.pack("<BI", shift, len(bundled.values)))
    if bundled.indices is not None:
        parts.append(_spelled(_steps(bundled.indices)))
    short = bundled.values >> shift
    parts.append(_spelled((short << 1) ^ (short >> 63)))
    return b"".join(parts)


def _steps(rising: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first, and then each less the one before less 1."""
    before = np.concatenate((np.array([-1], dtype=np.int64), rising[:-1]))
    return rising - before - 1


def _shift(values: NDArray[np.int64]) -> int:
    """How many low bits are zero in all of them."""
    bits = int(np.bitwise_or.reduce(values)) if len(values) else 0
    return (bits & -bits).bit_length() - 1 if bits else 0


def _spelled(numbers: NDArray[np.int64]) -> bytes:
    """Minimal LEB128 of numbers below 2^56, taken as unsigned."""
    left = numbers.astype(np.int64).view(np.uint64)
    lengths = np.ones(len(left), dtype=np.int64)
    for length in range(1, MAX_VALUE_BYTES):
        lengths += left >= np.uint64(1 << 7 * length)
    ends = np.cumsum(lengths)
    out = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    begins = ends - lengths
    for byte in range(int(lengths.max(initial=0))):
        there = np.flatnonzero(lengths > byte)
        more = np.where(lengths[there] > byte + 1, 0x80, 0).astype(np.uint8)
        out[begins[there] + byte] = (left[there] >> np.uint64(7 * byte)).astype(np.uint8) & 0x7F | more
    return out.tobytes()


# ------------------------------------------------------------------ from bytes


def decode(blob: bytes, parameters: int) -> BundledSum:
    """The sum a blob spells, for a model of `parameters` elements. RemoteError if it breaks the format, or moves an
    element further than its updates can."""
    plain = _inflated(blob, most_bytes(parameters))
    reader = _Reader(plain)
    stated, logs = struct.unpack("<IH", reader.take(6))
    _require(stated == parameters, f"it is for {stated} parameters, the model has {parameters}")
    named: list[tuple[PeerId, tuple[int, ...]]] = []
    updates = 0
    for _ in range(logs):
        log = reader.take(_HASH).hex()
        _require(not named or log > named[-1][0], "the logs that it names are out of order")
        (count,) = reader.numbers(1, MAX_SEQ_BYTES).tolist()
        updates += count
        _require(count >= 1 and updates <= MAX_NAMED, f"it names no update of a log, or more than {MAX_NAMED} in all")
        seqs = np.cumsum(reader.numbers(count, MAX_SEQ_BYTES).astype(np.int64) + 1) - 1
        _require(int(seqs[-1]) < 1 << 32, "it names an entry beyond any log")
        named.append((log, tuple(seqs.tolist())))
    _require(updates >= 1, "it names no update")
    entries = reader.take(_HASH).hex()
    shift, kept = struct.unpack("<BI", reader.take(5))
    _require(shift < 64 and kept <= parameters and kept <= reader.left, f"{kept} values do not fit it")
    indices = None
    if kept < parameters:
        indices = np.cumsum(reader.numbers(kept, MAX_GAP_BYTES).astype(np.int64) + 1) - 1
        _require(not kept or int(indices[-1]) < parameters, "an index is outside the model")
    values = reader.numbers(kept, MAX_VALUE_BYTES)
    _require(bool(values.all()), "it spells zeros")
    short = (values >> np.uint64(1)).view(np.int64) ^ -(values & np.uint64(1)).view(np.int64)
    most = updates * MAX_STEP >> shift  # of any element; below 2^53, so that no shift loses a bit
    _require(-most <= int(short.min(initial=0)) and int(short.max(initial=0)) <= most, "it moves more than it can")
    values = short << shift
    _require(shift == _shift(values), "another shift would be shorter")
    _require(reader.left == 0, f"{reader.left} bytes stand behind the last field")
    return BundledSum(parameters, tuple(named), entries, indices, values)


def _inflated(blob: bytes, most: int) -> bytes:
    """What was deflated: not a byte more is made than it says, and it says no more than fits the model."""
    _require(HEAD_BYTES < len(blob) <= most and blob[:4] == MAGIC, "it does not begin as gossip-sum/1")
    length = int.from_bytes(blob[4:HEAD_BYTES], "little")
    _require(_FIXED <= length <= most, f"{length} bytes are no sum for this model")
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(blob[HEAD_BYTES:], length)
        rest = inflater.decompress(inflater.unconsumed_tail, 1)  # nothing, but for the mark of the end
    except zlib.error:
        raise _malformed("it cannot be inflated") from None
    _require(len(plain) == length and not rest, "it is not as long as it says")
    _require(inflater.eof and not inflater.unused_data, "its stream ends early, or not at all")
    return plain


class _Reader:
    """A cursor that never cuts beyond the end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        _require(length <= self.left, "it ends inside a field")
        self._at += length
        return self._data[self._at - length : self._at]

    def numbers(self, count: int, most_bytes: int) -> NDArray[np.uint64]:
        """So many minimal LEB128 numbers."""
        _require(count <= self.left, "it ends inside a field")
        found = np.empty(count, dtype=np.uint64)
        for begin in range(0, count, STRIP):
            part = found[begin : begin + STRIP]
            part[:] = self._strip(len(part), most_bytes)
        return found

    def _strip(self, count: int, most_bytes: int) -> NDArray[np.uint64]:
        room = min(self.left, count * most_bytes)
        raw = np.frombuffer(self._data, dtype=np.uint8, count=room, offset=self._at)
        ends = np.flatnonzero((raw & 0x80) == 0)[:count]
        _require(len(ends) == count, "it ends inside a field, or a number is too long")
        raw = raw[: int(ends[-1]) + 1]
        lengths = np.diff(ends, prepend=-1)
        longest = int(lengths.max())
        _require(longest <= most_bytes, f"a number is longer than {most_bytes} bytes")
        _require(not bool(((lengths > 1) & (raw[ends] == 0)).any()), "a number is spelled longer than it needs to be")
        found = raw[ends].astype(np.uint64)
        for back in range(1, longest):
            longer = np.flatnonzero(lengths > back)
            found[longer] = found[longer] << np.uint64(7) | (raw[ends[longer] - back] & 0x7F).astype(np.uint64)
        self._at += len(raw)
        return found


def _require(condition: bool, why: str) -> None:
    if not condition:
        raise _malformed(why)


def _malformed(why: str) -> RemoteError:
    return RemoteError("a bundled sum is malformed", why=why)


# ------------------------------------------------------------------ a loan


class Remainder:
    """What a sum still adds to the model: less with each of its updates that is folded, zero at the end if it is true.

    The caller takes out each named update once, whether it was folded before the sum came or after.
    """

    __slots__ = ("_theta", "left")

    def __init__(self, bundled: BundledSum) -> None:
        self._theta: Model = np.zeros(bundled.parameters, dtype=np.int64)  # MAX_PARAMETERS bound it
        self._theta[slice(None) if bundled.indices is None else bundled.indices] = bundled.values
        self.left: dict[tuple[PeerId, int], None] = dict.fromkeys(bundled.names())

    def fold(self, log: PeerId, seq: int, delta: ArrayDelta, weight: int) -> None:
        """That update is in the fold now."""
        del self.left[log, seq]
        self._theta[slice(None) if delta.indices is None else delta.indices] -= delta.fixed() * np.int64(weight)

    def add_to(self, theta: Model) -> None:
        """theta += what is left, modulo 2^64."""
        theta += self._theta

    @property
    def is_zero(self) -> bool:
        return not bool(self._theta.any())
