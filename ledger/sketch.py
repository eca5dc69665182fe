"""The sketch of a public data set: the first leaves of its tree, and the proof that they are.

    "gossip-sketch/1\\n"                 16 bytes
    leaf 0 | leaf 1 | ...               k || c, 64 bytes each: the first 256, or all if there are fewer
    hash | hash | ...                   32 bytes each: RFC 6962 consistency from 256 leaves to all, if there are more

The sketch of one record, (key "page url", value "ad"), of the swarm 2a2a...2a:

    676f737369702d736b657463682f310a                                         the first line
    47d2b715d5911b60...1a747c247d 9942977ce71ca54f...d577b7d5bf67            k, c; no hash: the leaf's is the root

Why it exists: of public data all peers key records alike (opening.py: public_salt), so the smallest keys of two data
sets are a fair sample of both, and show how much the one has of the other: bottom-k (Cohen and Kaplan 2007), whose
error goes with the root of the number of keys compared. A data entry names this blob, and waits for it.

Rules kept here: exactly the bytes that the number of records demands; leaves in order, none twice; the root is the
data entry's. It refuses to know whether the leaves are of real records: openings show that.

Limit: of more than 256 records a sketch does not show how many there are, only between which powers of two (a
consistency proof from 256 leaves is the same for 400 and 500). A count that is a lie is found when records are opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from ledger.entry import Hash
from ledger.errors import LocalError, RemoteError
from ledger.merkle import HASH_BYTES, consistency_spans, leaf_hash, root_of, verify_consistency
from ledger.provenance import LEAF_BYTES

SKETCH_LEAVES: Final = 256
LEAST_COMPARED: Final = 32  # with fewer keys the estimate is off by a fifth: it says nothing
_BEGIN: Final = b"gossip-sketch/1\n"
_AT_ONCE: Final = 4096


class Committed(Protocol):
    """What is claimed of a data set: a data entry, or what commit_records gave."""

    @property
    def root(self) -> Hash: ...
    @property
    def records(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def conflicts(self) -> int: ...


class Leaves(Protocol):
    """All leaf data of a tree, one after the other, as commit_records gave it: bytes, or a file mapped into memory."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes | bytearray: ...


@dataclass(frozen=True, slots=True)
class Sketch:
    """The smallest keys of a data set. Made by verify_sketch."""

    keys: frozenset[bytes]  # 32 bytes each
    bound: bytes | None  # all keys of the set up to and with this one are here; None: these are all


def make_sketch(leaves: Leaves) -> bytes:
    """The sketch of the tree over `leaves`, which are read once. LocalError if there are none."""
    count = count_of(leaves)
    first = min(SKETCH_LEAVES, count)
    spans = consistency_spans(first, count)
    hashes = [span_root(leaves, begin, end) for begin, end in spans]
    return b"".join((_BEGIN, bytes(leaves[: first * LEAF_BYTES]), *hashes))


def verify_sketch(blob: bytes, data: Committed) -> Sketch:
    """Raise RemoteError unless these are the first leaves of the tree of `data`, and in order."""
    first = min(SKETCH_LEAVES, data.records)
    if not first:
        raise RemoteError("a sketch is of nothing", why="its data entry claims no records")
    proof_at = len(_BEGIN) + first * LEAF_BYTES
    hashes = len(consistency_spans(first, data.records))
    if not blob.startswith(_BEGIN) or len(blob) != proof_at + hashes * HASH_BYTES:
        raise RemoteError(
            "a sketch is malformed", why=f"{len(blob)} bytes; of {data.records} records it has "
            f"{proof_at + hashes * HASH_BYTES}, and begins with {_BEGIN.decode().strip()}",
        )  # fmt: skip
    leaves = [blob[at : at + LEAF_BYTES] for at in range(len(_BEGIN), proof_at, LEAF_BYTES)]
    proof = [blob[at : at + HASH_BYTES] for at in range(proof_at, len(blob), HASH_BYTES)]
    check_order(leaves, "a sketch")
    begun = root_of(map(leaf_hash, leaves))
    try:
        verify_consistency(first, data.records, begun, bytes.fromhex(data.root), proof)
    except RemoteError as error:
        raise RemoteError(
            "a sketch does not lead to the root of its data entry", why=f"{data.records} records: {error.what}"
        ) from None
    keys = [leaf[:HASH_BYTES] for leaf in leaves]
    return Sketch(frozenset(keys), keys[-1] if first < data.records else None)


def overlap_permille(a: Sketch, b: Sketch, before: Iterable[Sketch] = ()) -> int:
    """How many thousandths of the keys of `a` are keys of `b`, as far as the sketches tell.

    `before`: what the owner of `a` had shown before it knew of `b`. Keys that are in there it has not from `b`.

    Exact if both are whole. Else an estimate from the keys of `a` up to the smaller bound, +-90 with 32 of them and
    +-30 with 256 (one standard deviation, at worst); 0 if there are fewer than LEAST_COMPARED.
    """
    bounds = [sketch.bound for sketch in (a, b) if sketch.bound is not None]
    bound = min(bounds) if bounds else None
    compared = a.keys if bound is None else {key for key in a.keys if key <= bound}
    if not compared or (bound is not None and len(compared) < LEAST_COMPARED):
        return 0
    return 1000 * len((compared & b.keys).difference(*(sketch.keys for sketch in before))) // len(compared)


def count_of(leaves: Leaves) -> int:
    """How many leaves these are. LocalError if that is no number, or none."""
    count, rest = divmod(len(leaves), LEAF_BYTES)
    if rest or not count:
        raise LocalError("these are not the leaves of a data set", why=f"{len(leaves)} bytes, {LEAF_BYTES} each")
    return count


def span_root(leaves: Leaves, begin: int, end: int) -> bytes:
    """The root over leaves begin..end, which are read once."""
    return root_of(_leaf_hashes(leaves, begin, end))


def check_order(leaves: Iterable[bytes], what: str) -> None:
    """Raise RemoteError unless they rise. Equal leaves are one record counted twice: copies are numbered."""
    for left, right in pairwise(leaves):
        if left == right:
            raise RemoteError(f"{what} has a leaf twice", why=f"{left[:8].hex()}...")
        if left > right:
            raise RemoteError(f"{what} has leaves out of order", why=f"{right[:8].hex()}... after {left[:8].hex()}...")


def _leaf_hashes(leaves: Leaves, begin: int, end: int) -> Iterable[bytes]:
    for start in range(begin, end, _AT_ONCE):
        block = leaves[start * LEAF_BYTES : min(start + _AT_ONCE, end) * LEAF_BYTES]
        for at in range(0, len(block), LEAF_BYTES):
            yield leaf_hash(bytes(block[at : at + LEAF_BYTES]))
