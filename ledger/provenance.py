"""The commitment to a data set: one hash that fixes every record, and in a private zone shows none.

    record      u32le length of key || key || value         key: what makes two records the same (page, URL, type)
    d           SHA-256(record)                             value: the rest (label, party)
    k           HMAC-SHA256(salt, key)
    nonce       HMAC-SHA256(salt, "nonce" || k || d || u32le occurrence)     occurrence: equal records besides this one
    c           SHA-256(nonce || d)                                          that were numbered before it, from 0
    leaf data   k || c                                      64 bytes
    root        the RFC 6962 tree over all leaves, sorted as bytes: by k, then c

One record, ("page url", "ad"), under the salt 32 x 07:

    08000000 706167652075726c 6164           a key of 8 bytes, the key, the value
    f47323395290716f...5a955a98dd3           k
    c41d7151d65c743c...df7cf72d4d4ab         c; the leaf is alone, so the root is SHA-256(00 || k || c)

Why it exists: a `data` entry precedes every update that cites it, so that nobody can choose, after the fact,
which data an update was trained on. Leaves in order give membership and non-membership proofs, make records of one
key neighbours, and make the first leaves a sample that is the same for everybody who uses the same salt (sketch.py).
A private salt stays with the peer: without it nobody can test whether a URL is in the set. Of public data the salt
is the swarm's (opening.py), and whoever guesses a URL can test for it.

Rules kept here: records are read once and not held. 64 bytes of each go through a sort on disk, a run of them at a
time, so memory does not grow with the data; nor does it with the records of one key. The commitment does not depend
on the order of the records. It refuses to know what a record is, and where leaves are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from heapq import merge
from hmac import digest
from itertools import groupby
from typing import Final

from ledger.entry import Hash
from ledger.errors import LocalError
from ledger.merkle import HASH_BYTES, leaf_hash, root_of
from ledger.spill import SpillFile

MIN_SALT_BYTES: Final = 16
LEAF_BYTES: Final = 2 * HASH_BYTES
RUN_ROWS: Final = 1 << 16  # sorted in memory at once: 8 MB
_READ_ROWS: Final = 256  # of each run, at a time, when runs are merged
_WRITE_LEAVES: Final = 1024


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a data entry says of a data set. Records less duplicates less conflicts: the number of distinct keys."""

    root: Hash
    records: int
    duplicates: int  # records that equal an earlier one, key and value
    conflicts: int = 0  # records with the key of an earlier one, and a value that none of these has


def commit_records(
    records: Iterable[tuple[bytes, bytes]], salt: bytes, *, keep: Callable[[bytes], object] | None = None
) -> Commitment:
    """The commitment to `records`, given as (key, value), under `salt`.

    `keep` is given the sorted leaves, some thousand bytes at a time: all that openings and a sketch need.
    """
    if len(salt) < MIN_SALT_BYTES:
        raise LocalError("the salt of a data set is too short", why=f"{len(salt)} bytes, at least {MIN_SALT_BYTES}")
    spilled = SpillFile()
    rows = _Sorted(spilled)
    for key, value in records:
        rows.add(digest(salt, key, "sha256") + record_digest(key, value))
    counts = _Counts()
    leaves = _leaves(rows, salt, counts, spilled)
    root = root_of(leaf_hash(leaf) for leaf in (leaves if keep is None else _kept(leaves, keep)))
    return Commitment(root.hex(), rows.total, counts.duplicates, counts.conflicts)


def record_digest(key: bytes, value: bytes) -> bytes:
    """d: of key and value, with the border between them."""
    return sha256(len(key).to_bytes(4, "little") + key + value).digest()


def leaf_of(salt: bytes, key: bytes, value: bytes, occurrence: int = 0) -> bytes:
    """The leaf data of one record: whoever knows the salt can say which leaf it must be."""
    return _leaf(salt, digest(salt, key, "sha256"), record_digest(key, value), occurrence)


def _leaf(salt: bytes, k: bytes, d: bytes, occurrence: int) -> bytes:
    nonce = digest(salt, b"nonce" + k + d + occurrence.to_bytes(4, "little"), "sha256")
    return k + sha256(nonce + d).digest()


class _Counts:
    __slots__ = ("conflicts", "duplicates")

    def __init__(self) -> None:
        self.conflicts = self.duplicates = 0


class _Sorted:
    """Rows of 64 bytes: added in any order, then given once, in order. Never more than a run of them in memory."""

    def __init__(self, file: SpillFile) -> None:
        self.total = 0
        self._file = file
        self._rows: list[bytes] = []
        self._runs: list[int] = []  # where each lies

    def add(self, row: bytes) -> None:
        self._rows.append(row)
        self.total += 1
        if len(self._rows) == RUN_ROWS:
            self._rows.sort()
            self._runs.append(self._file.put(b"".join(self._rows)))
            self._rows.clear()

    def __iter__(self) -> Iterator[bytes]:
        self._rows.sort()
        return merge(*map(self._run, self._runs), self._rows) if self._runs else iter(self._rows)

    def _run(self, at: int) -> Iterator[bytes]:
        size = _READ_ROWS * LEAF_BYTES
        for begin in range(at, at + RUN_ROWS * LEAF_BYTES, size):
            block = self._file.get(begin, size)
            yield from [block[row : row + LEAF_BYTES] for row in range(0, size, LEAF_BYTES)]


def _leaves(rows: Iterable[bytes], salt: bytes, counts: _Counts, file: SpillFile) -> Iterator[bytes]:
    """Leaf data in order, from the rows k || d in order."""
    for k, same in groupby(rows, key=lambda row: row[:HASH_BYTES]):
        of_key = _Sorted(file)
        before, occurrence = b"", 0
        for row in same:
            d = row[HASH_BYTES:]
            if d == before:
                counts.duplicates += 1
                occurrence += 1
            else:
                counts.conflicts += before != b""
                before, occurrence = d, 0
            of_key.add(_leaf(salt, k, d, occurrence))
        yield from of_key


def _kept(leaves: Iterable[bytes], keep: Callable[[bytes], object]) -> Iterator[bytes]:
    batch: list[bytes] = []
    for leaf in leaves:
        batch.append(leaf)
        if len(batch) == _WRITE_LEAVES:
            keep(b"".join(batch))
            batch.clear()
        yield leaf
    if batch:
        keep(b"".join(batch))
