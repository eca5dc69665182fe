"""Openings: records of a public data set that its author shows, because somebody's signature picked them.

    "gossip-opening/1\\n"                                                     17 bytes
    index u64le | occurrence u32le | key bytes u32le | value bytes u32le | key | value     of each record, indices rise
    leaf | leaf | ...       64 bytes each: of every opened one the leaf to its right, unless that is opened, too
    hash | hash | ...       32 bytes each: the rest of the tree, from left to right, in the largest parts that know
                            none of these leaves

Record 1 of two, ("page url", "ad") and ("page url", "benign"), of the swarm 2a2a...2a:

    676f737369702d6f70656e696e672f310a                                            the first line
    0100000000000000 00000000 08000000 06000000 706167652075726c 62656e69676e    its key and value; no leaf to its right
    6864cc0b55ae5701...98a7f63eb9                                                 the hash of leaf 0

Why it exists: a commitment shows that data were fixed, not that they are any good. The challenger signs over the data
entry; the signature picks records; the author opens those or none. Who did not know the signature when it committed
could not prepare for the choice: with 5% bad records, 59 openings find one with 95% (1 - .95^59).

    claims of the entry   records, duplicates      an index that is not there cannot be opened; copies are numbered,
                                                   so one whose number is above the duplicates claimed is a lie
    neighbours            right of each            in order, never equal; equal keys show how many records repeat

Rules kept here: an opening is true or false, the same for everybody and for ever, given the data entry and the
challenge; one spelling, every length checked before it is read. A false one bans its author, so whatever the author
did not sign does not matter to it. It refuses to know what records mean: whether labels are right is inspection's.

A shard, a sixteenth of the records that its author lends (gossip/peer/lending.py), has the same format and the same
proof: all records from one index to another, longer than an opening may be. Records lie in the order of keyed hashes,
so a stretch of the tree is a share drawn by lot.

Limits: a challenger that colludes can choose among many signatures of its own until the bad records are left out, so
the odds hold only for challengers that do not. An author that answers nothing cannot be convicted of anything else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from struct import Struct
from typing import Final

from ledger.entry import MAX_OPENING_BYTES, Challenge, Hash, Opening, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.merkle import HASH_BYTES, leaf_hash, node_hash, split
from ledger.provenance import LEAF_BYTES, leaf_of
from ledger.sketch import (
    Committed,
    Leaves,
    Sketch,
    check_order,
    count_of,
    make_sketch,
    overlap_permille,
    span_root,
    verify_sketch,
)

_BEGIN: Final = b"gossip-opening/1\n"
_RECORD: Final = Struct("<QIII")
SHARDS: Final = 16  # that a data set is lent in
MAX_SHARD_BYTES: Final = 2 * 1024 * 1024  # all of a data set are 32 MiB, which its lender holds
MAX_SHARD_RECORDS: Final = 2_048  # proven in 50 ms (22 us each), for which a borrower does nothing else


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """One record that is in the data set."""

    index: int
    key: bytes
    value: bytes
    repeats: bool  # the record to its right has the same key


@dataclass(frozen=True, slots=True)
class VerifiedOpening:
    """Made by verify_opening only."""

    records: tuple[OpenedRecord, ...]  # in order of index
    claimed_permille: int  # of all records, those that repeat a key, as the data entry has it

    @property
    def duplicates_permille(self) -> int:
        """How many thousandths more of the opened records repeat than were claimed: never below 0."""
        repeats = sum(record.repeats for record in self.records)
        return max(0, 1000 * repeats // len(self.records) - self.claimed_permille)


def is_opening(blob: bytes) -> bool:
    """Whether a blob begins as openings do; whether it is true or false, verify_opening says."""
    return blob.startswith(_BEGIN)


def public_salt(swarm: Hash) -> bytes:
    """The salt of all public data of a swarm: everybody keys records alike, so that data sets can be compared."""
    return sha256(b"gossip/public-data/1\n" + swarm.encode()).digest()


def challenge_text(swarm: Hash, challenger: PeerId, data: Hash, count: int) -> bytes:
    """What a challenge signs: who asks for how many records of which data entry."""
    return f"gossip/challenge/1\n{swarm}\n{challenger}\n{data}\n{count}\n".encode()


def chosen(signature: str, records: int, count: int) -> tuple[int, ...]:
    """Which of so many records a challenge's signature (hex) picks: `count` of them, or all there are. They rise."""
    if count >= records:
        return tuple(range(records))
    seed, picked, counter = b"gossip/chosen/1\n" + bytes.fromhex(signature), set[int](), 0
    while len(picked) < count:
        # 256 bits modulo at most 53 are even to within 2^-203.
        picked.add(int.from_bytes(sha256(seed + counter.to_bytes(4, "little")).digest(), "big") % records)
        counter += 1
    return tuple(sorted(picked))


# ------------------------------------------------------------------ the author


def make_opening(
    leaves: Leaves, records: Iterable[tuple[bytes, bytes]], swarm: Hash, signature: str, count: int
) -> bytes:
    """The answer to a challenge. Both are read once: the leaves as commit_records gave them, the records in any order.

    LocalError if the records are not those that were committed to, or too long to be sent.
    """
    indices = chosen(signature, count_of(leaves), count)
    blob = _blob(leaves, indices, _packed(leaves, records, swarm, indices))
    if len(blob) > MAX_OPENING_BYTES:
        raise LocalError("these records are too long to be opened", why=f"{len(blob)} of {MAX_OPENING_BYTES} bytes")
    return blob


def shard_of(records: int, shard: int) -> range:
    """Which records, of so many, a shard has."""
    return range(shard * records // SHARDS, (shard + 1) * records // SHARDS)


def make_shards(leaves: Leaves, records: Iterable[tuple[bytes, bytes]], swarm: Hash) -> tuple[bytes, ...]:
    """All records of a data set with their proofs, in SHARDS parts; b"" for one without any. LocalError as above."""
    total = count_of(leaves)
    if total > SHARDS * MAX_SHARD_RECORDS:
        raise _too_long(f"{total} records, at most {SHARDS * MAX_SHARD_RECORDS} are lent")
    found = _packed(leaves, _few(records), swarm, range(total))
    shards = tuple(_blob(leaves, part, found) if (part := shard_of(total, n)) else b"" for n in range(SHARDS))
    if (longest := max(map(len, shards))) > MAX_SHARD_BYTES:
        raise _too_long(f"a shard of {longest} bytes, the limit is {MAX_SHARD_BYTES}")
    return shards


def _few(records: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Them, as long as they may still fit: all are held at once."""
    left = SHARDS * MAX_SHARD_BYTES
    for key, value in records:
        left -= _RECORD.size + len(key) + len(value)
        if left < 0:
            raise _too_long(f"all shards have at most {SHARDS * MAX_SHARD_BYTES} bytes")
        yield key, value


def _too_long(why: str) -> LocalError:
    return LocalError(
        "these data are too long to be lent", why=why,
        next_step="lend a part of them: put it into a file of its own, and train another peer on that",
    )  # fmt: skip


def _packed(
    leaves: Leaves, records: Iterable[tuple[bytes, bytes]], swarm: Hash, indices: Sequence[int]
) -> dict[int, bytes]:
    """The records with these indices, as they are spelled."""
    total = count_of(leaves)
    wanted = {_leaf_at(leaves, index): index for index in indices}
    keys = {leaf[:HASH_BYTES] for leaf in wanted}
    salt, found, copies, read = public_salt(swarm), dict[int, bytes](), Counter[tuple[bytes, bytes]](), 0
    for key, value in records:
        read += 1
        if digest(salt, key, "sha256") not in keys:
            continue
        occurrence = copies[key, value]
        copies[key, value] += 1
        index = wanted.get(leaf_of(salt, key, value, occurrence))
        if index is not None:
            found[index] = _RECORD.pack(index, occurrence, len(key), len(value)) + key + value
    if read != total or len(found) != len(indices):
        why = f"{read} of {total}" if read != total else f"{len(indices) - len(found)} of {len(indices)} are missing"
        raise LocalError(
            "the records are no longer those that were committed to", why=why,
            next_step="bring the files back as they were, or start again with the new ones",
        )  # fmt: skip
    return found


def _blob(leaves: Leaves, indices: Sequence[int], found: dict[int, bytes]) -> bytes:
    total, opened = count_of(leaves), set(indices)
    known = _with_neighbours(indices, total)
    others = [_leaf_at(leaves, index) for index in known if index not in opened]
    hashes: list[bytes] = []
    _root(0, total, known, lambda index: b"", lambda begin, end: _noted(hashes, span_root(leaves, begin, end)))
    return b"".join((_BEGIN, *(found[index] for index in indices), *others, *hashes))


def _leaf_at(leaves: Leaves, index: int) -> bytes:
    return bytes(leaves[index * LEAF_BYTES : (index + 1) * LEAF_BYTES])


def _noted(hashes: list[bytes], node: bytes) -> bytes:
    hashes.append(node)
    return node


# ------------------------------------------------------------------ everybody


def verify_opening(blob: bytes, data: Committed, swarm: Hash, signature: str, count: int) -> VerifiedOpening:
    """The records that `blob` opens. RemoteError says what is false.

    Given the data entry, and the challenge's signature and count; that these belong together was checked before.
    """
    if len(blob) > MAX_OPENING_BYTES:
        raise RemoteError("an opening is too long", why=f"{len(blob)} bytes, the limit is {MAX_OPENING_BYTES}")
    return _verified(blob, data, swarm, chosen(signature, data.records, count))


def verify_shard(blob: bytes, data: Committed, swarm: Hash, shard: int) -> VerifiedOpening:
    """The records of a shard of the data set that `data` commits to. RemoteError says what is false."""
    if len(blob) > MAX_SHARD_BYTES or not 0 <= shard < SHARDS:
        raise RemoteError("a shard is too long, or is none", why=f"{len(blob)} bytes, the limit is {MAX_SHARD_BYTES}")
    part = shard_of(data.records, shard)
    if len(part) * _RECORD.size > len(blob):  # before a list as long as a claim is made
        raise RemoteError("a shard is cut short", why=f"{len(blob)} bytes for {len(part)} records")
    if len(part) > MAX_SHARD_RECORDS:
        raise RemoteError("a shard is of too many records", why=f"{len(part)}, the limit is {MAX_SHARD_RECORDS}")
    if not part:
        raise RemoteError("a shard has no records")
    return _verified(blob, data, swarm, part)


def _verified(blob: bytes, data: Committed, swarm: Hash, indices: Sequence[int]) -> VerifiedOpening:
    if not data.records:
        raise RemoteError("an opening is of nothing", why="its data entry claims no records")
    if not blob.startswith(_BEGIN):
        raise RemoteError("an opening is of another format", why=f"it does not begin with {_BEGIN.decode().strip()}")
    salt, at = public_salt(swarm), len(_BEGIN)
    leaves: dict[int, bytes] = {}
    records: list[tuple[int, bytes, bytes]] = []
    for wanted in indices:
        index, occurrence, key_bytes, value_bytes = _RECORD.unpack(_part(blob, at, _RECORD.size))
        at += _RECORD.size
        if index != wanted:
            raise RemoteError("an opening is of other records than were asked for", why=f"{index}, not {wanted}")
        if occurrence > data.duplicates:
            raise RemoteError(
                "an opening shows more copies than its data entry claims",
                why=f"record {index} is copy {occurrence}, of {data.duplicates} duplicates in all",
            )
        row = _part(blob, at, key_bytes + value_bytes)
        at += key_bytes + value_bytes
        records.append((index, row[:key_bytes], row[key_bytes:]))
        leaves[index] = leaf_of(salt, row[:key_bytes], row[key_bytes:], occurrence)
    known = _with_neighbours(indices, data.records)
    for index in known:
        if index not in leaves:
            leaves[index] = _part(blob, at, LEAF_BYTES)
            at += LEAF_BYTES
    reader = _Hashes(blob, at)
    root = _root(0, data.records, known, leaves.__getitem__, reader.next)
    if reader.at != len(blob):
        raise RemoteError("an opening is too long", why=f"{len(blob) - reader.at} bytes after its last hash")
    if root.hex() != data.root:
        raise RemoteError(
            "an opening does not lead to the root of its data entry",
            why=f"with {data.records} records, as claimed, they are not in that tree",
        )
    check_order((leaves[index] for index in known), "an opening")
    return VerifiedOpening(
        tuple(
            OpenedRecord(index, key, value, repeats=_key_at(leaves, index) == _key_at(leaves, index + 1))
            for index, key, value in records
        ),
        1000 * (data.duplicates + data.conflicts) // data.records,
    )


def verify_answer(blob: bytes, opening: Opening, data: Committed, swarm: Hash, challenge: Challenge) -> VerifiedOpening:
    """What a blob opens, as an entry names it and a challenge asked for. RemoteError says what is false."""
    if len(blob) != opening.opened_bytes:
        raise RemoteError("an opening is not as long as its entry says", why=f"{len(blob)} bytes")
    return verify_opening(blob, data, swarm, challenge.signature, challenge.count)


class _Hashes:
    """The hashes at the end of an opening, in order."""

    def __init__(self, blob: bytes, at: int) -> None:
        self._blob, self.at = blob, at

    def next(self, begin: int, end: int) -> bytes:
        self.at += HASH_BYTES
        return _part(self._blob, self.at - HASH_BYTES, HASH_BYTES)


def _part(blob: bytes, at: int, size: int) -> bytes:
    if at + size > len(blob):
        raise RemoteError("an opening is cut short", why=f"{len(blob)} bytes, at least {at + size}")
    return blob[at : at + size]


def _key_at(leaves: dict[int, bytes], index: int) -> bytes | None:
    leaf = leaves.get(index)
    return leaf and leaf[:HASH_BYTES]


def _with_neighbours(indices: Iterable[int], records: int) -> list[int]:
    """The indices and those to their right, rising."""
    return sorted({index + step for index in indices for step in (0, 1) if index + step < records})


def _root(
    begin: int, end: int, known: Sequence[int], leaf: Callable[[int], bytes], hashed: Callable[[int, int], bytes]
) -> bytes:
    """The root over begin..end: of known leaves from `leaf`, of the largest parts without any from `hashed`."""
    first = bisect_left(known, begin)
    if first == len(known) or known[first] >= end:
        return hashed(begin, end)
    if end - begin == 1:
        return leaf_hash(leaf(begin))
    middle = begin + split(end - begin)
    left = _root(begin, middle, known, leaf, hashed)
    return node_hash(left, _root(middle, end, known, leaf, hashed))


__all__ = [
    "MAX_SHARD_BYTES", "SHARDS", "Committed", "Leaves", "OpenedRecord", "Sketch", "VerifiedOpening", "challenge_text",
    "chosen", "is_opening", "make_opening", "make_shards", "make_sketch", "overlap_permille", "public_salt", "shard_of",
    "verify_answer", "verify_opening", "verify_shard", "verify_sketch",
]  # fmt: skip
