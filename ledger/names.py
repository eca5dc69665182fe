"""A set of hashes in some 20 bytes each: a million names of blobs, where Python's own set needs a hundred megabytes.

Kept are 10 of the 32 bytes. Somebody who makes 2^60 hashes may hide one stray file from an audit that way, and gains
nothing by it: what a file holds is told by its whole name.
"""

from __future__ import annotations

from typing import Final

from ledger.entry import Hash

_BUCKET_DIGITS: Final = 4  # hex digits that choose a bucket: 65,536 of them
_KEPT_BYTES: Final = 8


class HashSet:
    """Grows only."""

    __slots__ = ("_buckets", "_size")

    def __init__(self) -> None:
        self._buckets: dict[str, bytearray] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, name: Hash) -> bool:
        return _find(self._buckets.get(name[:_BUCKET_DIGITS], b""), _kept(name))

    def add(self, name: Hash) -> bool:
        """Whether it was not there yet."""
        bucket = self._buckets.setdefault(name[:_BUCKET_DIGITS], bytearray())
        kept = _kept(name)
        if _find(bucket, kept):
            return False
        bucket += kept
        self._size += 1
        return True


def _kept(name: Hash) -> bytes:
    return bytes.fromhex(name[_BUCKET_DIGITS : _BUCKET_DIGITS + 2 * _KEPT_BYTES])


def _find(bucket: bytes | bytearray, kept: bytes) -> bool:
    at = bucket.find(kept)
    while at % _KEPT_BYTES > 0:  # found across two of them (or -1 % 8 == 7: not found)
        if at < 0:
            return False
        at = bucket.find(kept, at + 1)
    return at >= 0
