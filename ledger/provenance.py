"""The commitment to a data set: one hash that fixes every record and shows none.

    leaf data   k || c            64 bytes
    k           HMAC-SHA256(salt, key)                                 key: what makes two records the same request
    c           SHA-256(nonce || record)                               record: the row, with its label
    nonce       HMAC-SHA256(salt, "nonce" || k || u32le occurrence)    occurrence: records of this key that came before
    root        the RFC 6962 tree over all leaves, sorted by k, then c

Why it exists: a `data` entry precedes every update that cites it, so that nobody can choose, after the fact,
which data an update was trained on. Sorted leaves give membership and non-membership proofs; the salt stays
with the peer, without it nobody can test whether a URL is in the set.

Rules kept here: records are read once and never held: 64 bytes of memory per record, and some more for keys
that repeat. Records of different keys may come in any order; those of one key are numbered as they come. It
refuses to know what a record is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from typing import Final

from ledger.entry import Hash
from ledger.errors import LocalError
from ledger.merkle import HASH_BYTES, leaf_hash, root_of

MIN_SALT_BYTES: Final = 16
LEAF_BYTES: Final = 2 * HASH_BYTES
_PREFIX_BYTES: Final = 2  # 65,536 buckets: a look-up scans about 1 KB at a million records


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a data entry says of a data set."""

    root: Hash
    records: int
    duplicates: int  # records that equal an earlier one, key and content


class _Repeats:
    """A key seen more than once: how often, and digests of the records after the first."""

    __slots__ = ("count", "others")

    def __init__(self) -> None:
        self.count = 1
        self.others: set[bytes] = set()


def commit_records(records: Iterable[tuple[bytes, bytes]], salt: bytes) -> Commitment:
    """The commitment to `records`, given as (key, record), under this peer's private `salt`."""
    if len(salt) < MIN_SALT_BYTES:
        raise LocalError("the salt of a data set is too short", why=f"{len(salt)} bytes, at least {MIN_SALT_BYTES}")
    buckets: dict[bytes, bytearray] = {}
    repeats: dict[bytes, _Repeats] = {}
    total = duplicates = 0
    for key, record in records:
        k = digest(salt, key, "sha256")
        bucket = buckets.setdefault(k[:_PREFIX_BYTES], bytearray())
        repeated = repeats.get(k)
        if repeated is None and _find(bucket, k) is not None:
            repeated = repeats[k] = _Repeats()
        occurrence = 0
        if repeated is not None:
            occurrence = repeated.count
            repeated.count += 1
            first = _find(bucket, k)
            name = sha256(record).digest()
            if first == record_commitment(salt, k, 0, record) or name in repeated.others:
                duplicates += 1
            else:
                repeated.others.add(name)
        bucket += k + record_commitment(salt, k, occurrence, record)
        total += 1
    return Commitment(root_of(_sorted_leaves(buckets)).hex(), total, duplicates)


def record_commitment(salt: bytes, k: bytes, occurrence: int, record: bytes) -> bytes:
    """c: hides the record from whoever lacks the nonce, and opens with (nonce, record)."""
    nonce = digest(salt, b"nonce" + k + occurrence.to_bytes(4, "little"), "sha256")
    return sha256(nonce + record).digest()


def _find(bucket: bytearray, k: bytes) -> bytes | None:
    """The c of the first leaf with this k."""
    at = bucket.find(k)
    while at % LEAF_BYTES and at >= 0:  # bytes that straddle leaves and happen to look like k
        at = bucket.find(k, at + 1)
    return bytes(bucket[at + HASH_BYTES : at + LEAF_BYTES]) if at >= 0 else None


def _sorted_leaves(buckets: dict[bytes, bytearray]) -> Iterable[bytes]:
    for prefix in sorted(buckets):
        bucket = buckets.pop(prefix)
        for leaf in sorted(bytes(bucket[at : at + LEAF_BYTES]) for at in range(0, len(bucket), LEAF_BYTES)):
            yield leaf_hash(leaf)
