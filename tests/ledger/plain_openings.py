"""Sketches and openings a second time, from docs/data.md alone: short, slow, and nothing of the ledger's in it.

It can be told to lie: rows stand in the tree in whatever order they are given, and what is claimed of them is another
argument.
"""

from __future__ import annotations

import hmac
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple


class Row(NamedTuple):
    key: bytes
    value: bytes
    occurrence: int = 0


@dataclass(frozen=True)
class Claims:
    """What a data entry says."""

    root: str
    records: int
    duplicates: int = 0
    conflicts: int = 0


class FalseProof(Exception):
    pass


# ------------------------------------------------------------------ commitments


def salt_of(swarm: str) -> bytes:
    return sha256(b"gossip/public-data/1\n" + swarm.encode()).digest()


def leaf(salt: bytes, row: Row) -> bytes:
    k = hmac.new(salt, row.key, sha256).digest()
    d = sha256(struct.pack("<I", len(row.key)) + row.key + row.value).digest()
    nonce = hmac.new(salt, b"nonce" + k + d + struct.pack("<I", row.occurrence), sha256).digest()
    return k + sha256(nonce + d).digest()


def ordered(salt: bytes, records: Iterable[tuple[bytes, bytes]]) -> list[Row]:
    """An honest author's rows, as they stand in the tree."""
    before: Counter[tuple[bytes, bytes]] = Counter()
    rows = []
    for key, value in records:
        rows.append(Row(key, value, before[key, value]))
        before[key, value] += 1
    return sorted(rows, key=lambda row: leaf(salt, row))


def claims_of(salt: bytes, rows: Sequence[Row]) -> Claims:
    """What is true of them."""
    distinct, keys = len({(row.key, row.value) for row in rows}), len({row.key for row in rows})
    return Claims(root([leaf(salt, row) for row in rows]).hex(), len(rows), len(rows) - distinct, distinct - keys)


def middle(begin: int, end: int) -> int:
    half = 1
    while 2 * half < end - begin:
        half *= 2
    return begin + half


def root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    at = middle(0, len(leaves))
    return sha256(b"\x01" + root(leaves[:at]) + root(leaves[at:])).digest()


# ------------------------------------------------------------------ sketches


def right_of_sketch(records: int) -> list[tuple[int, int]]:
    """The parts of the tree to the right of the first 256 leaves, from the inside."""
    spans, end = [], records
    while end > 256:
        spans.append((middle(0, end), end))
        end = middle(0, end)
    return spans[::-1]


def sketch(leaves: Sequence[bytes]) -> bytes:
    hashes = [root(leaves[begin:end]) for begin, end in right_of_sketch(len(leaves))]
    return b"".join([b"gossip-sketch/1\n", *leaves[:256], *hashes])


def read_sketch(blob: bytes, claims: Claims) -> list[bytes]:
    """The keys."""
    count = min(256, claims.records)
    hashes = len(right_of_sketch(claims.records))
    if not count or blob[:16] != b"gossip-sketch/1\n" or len(blob) != 16 + 64 * count + 32 * hashes:
        raise FalseProof("form")
    leaves = [blob[16 + 64 * i :][:64] for i in range(count)]
    node = root(leaves)
    for i in range(hashes):
        node = sha256(b"\x01" + node + blob[16 + 64 * count + 32 * i :][:32]).digest()
    if node.hex() != claims.root:
        raise FalseProof("root")
    if any(a >= b for a, b in pairwise(leaves)):
        raise FalseProof("order")
    return [each[:32] for each in leaves]


# ------------------------------------------------------------------ openings


def picks(signature: str, records: int, count: int) -> list[int]:
    found: set[int] = set()
    counter = 0
    while len(found) < min(records, count):
        seed = b"gossip/chosen/1\n" + bytes.fromhex(signature) + struct.pack("<I", counter)
        found.add(int(sha256(seed).hexdigest(), 16) % records)
        counter += 1
    return sorted(found)


def shown(indices: Iterable[int], records: int) -> list[int]:
    return sorted({i for index in indices for i in (index, index + 1) if i < records})


def unseen(begin: int, end: int, seen: set[int]) -> Iterator[tuple[int, int]]:
    """The largest parts of the tree without a leaf that is shown, from left to right."""
    if seen.isdisjoint(range(begin, end)):
        yield begin, end
    elif end - begin > 1:
        yield from unseen(begin, middle(begin, end), seen)
        yield from unseen(middle(begin, end), end, seen)


def opening(leaves: Sequence[bytes], rows: dict[int, Row], indices: Sequence[int]) -> bytes:
    """Whatever the rows are, at these indices of a tree of these leaves."""
    records = b"".join(
        struct.pack("<QIII", i, rows[i].occurrence, len(rows[i].key), len(rows[i].value)) + rows[i].key + rows[i].value
        for i in indices
    )
    seen = shown(indices, len(leaves))
    others = [leaves[i] for i in seen if i not in indices]
    hashes = [root(leaves[begin:end]) for begin, end in unseen(0, len(leaves), set(seen))]
    return b"".join([b"gossip-opening/1\n", records, *others, *hashes])


def read_opening(
    blob: bytes, claims: Claims, swarm: str, signature: str, count: int
) -> list[tuple[int, bytes, bytes, bool]]:
    """(index, key, value, whether the next has the same key) of each record."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        if at > len(blob):
            raise FalseProof("short")
        return blob[at - size : at]

    if not claims.records or blob[:17] != b"gossip-opening/1\n":
        raise FalseProof("form")
    take(17)
    salt, leaves, rows = salt_of(swarm), {}, {}
    indices = picks(signature, claims.records, count)
    for wanted in indices:
        index, occurrence, key_size, value_size = struct.unpack("<QIII", take(20))
        if index != wanted:
            raise FalseProof("other")
        if occurrence > claims.duplicates:
            raise FalseProof("copies")
        rows[index] = Row(take(key_size), take(value_size), occurrence)
        leaves[index] = leaf(salt, rows[index])
    seen = shown(indices, claims.records)
    for index in seen:
        if index not in rows:
            leaves[index] = take(64)
    given = {span: take(32) for span in unseen(0, claims.records, set(seen))}
    if at != len(blob):
        raise FalseProof("long")

    def node(begin: int, end: int) -> bytes:
        if (begin, end) in given:
            return given[begin, end]
        if end - begin == 1:
            return sha256(b"\x00" + leaves[begin]).digest()
        cut = middle(begin, end)
        return sha256(b"\x01" + node(begin, cut) + node(cut, end)).digest()

    if node(0, claims.records).hex() != claims.root:
        raise FalseProof("root")
    if any(leaves[a] >= leaves[b] for a, b in pairwise(seen)):
        raise FalseProof("order")
    return [(i, rows[i].key, rows[i].value, i + 1 in leaves and leaves[i][:32] == leaves[i + 1][:32]) for i in indices]
