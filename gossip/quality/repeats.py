"""Counting what repeats among millions of rows in bounded memory: 17 bytes of each lie in a file without a name.

    key u64 | near u64 | code u8      hashes of what makes rows the same, and nearly the same; label, party, held out

A hash of 64 bits takes two of a million different rows for one with a chance of 1 in 37 million. To count, the file is
read as often as it has PART_ROWS rows, each time only those of one part of the hashes are kept and sorted, so memory
is that of one part. It refuses to know what a row is.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ledger.errors import LocalError

PART_ROWS: Final = 1 << 20  # 60 MB while they are sorted
_AT_ONCE: Final = 1 << 16
_ROW: Final = np.dtype([("key", "<u8"), ("near", "<u8"), ("code", "u1")])
HELD_OUT: Final = 128  # of a code: the row is judged by and not trained on
MAX_CODE: Final = 127


@dataclass(frozen=True, slots=True)
class Counts:
    """Of some rows. `rows` less `duplicates` less `conflicts` is the number of different keys, as in a commitment."""

    rows: int
    duplicates: int  # key and code as in an earlier row
    conflicts: int  # key as in an earlier row, another code


@dataclass(frozen=True, slots=True)
class Repeats:
    all: Counts
    trained: Counts  # of the rows that are not held out
    near: int  # different keys that are nearly the same as an earlier one
    near_conflicts: int  # sets of nearly the same rows with more than one label


class Rows:
    """Add rows, count once. A context: leaving it removes the file."""

    def __init__(self, part_rows: int = PART_ROWS) -> None:
        self._part_rows = part_rows
        self._file = tempfile.TemporaryFile(prefix="gossip-")  # noqa: SIM115 - closed by __exit__
        self._keys, self._near, self._codes = array("Q"), array("Q"), bytearray()
        self._total = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, key: int, near: int, code: int) -> None:
        """`code` says what beside the key makes rows equal: at most MAX_CODE, and HELD_OUT on top. Rows of one key are
        all held out, or none is."""
        self._keys.append(key)
        self._near.append(near)
        self._codes.append(code)
        if len(self._codes) == _AT_ONCE:
            self._flush()

    def count(self, label_of: Callable[[NDArray[Any]], NDArray[Any]]) -> Repeats:
        """`label_of` takes the label out of codes."""
        self._flush()
        parts = max(1, -(-self._total // self._part_rows))
        rows = [0, 0]
        duplicates, conflicts = [0, 0], [0, 0]
        different = near_different = near_conflicts = 0
        for part in range(parts):
            some = self._part("key", part, parts)
            codes, held = some["code"] & MAX_CODE, some["code"] >= HELD_OUT
            order = np.lexsort((codes, some["key"]))
            key, code, trained = some["key"][order], codes[order], ~held[order]
            new_key = _changes(key)
            new_pair = new_key | _changes(code)
            different += int(new_key.sum())
            for number, mask in enumerate((np.ones(len(key), np.bool_), trained)):
                rows[number] += int(mask.sum())
                duplicates[number] += int((mask & ~new_pair).sum())
                conflicts[number] += int((mask & new_pair & ~new_key).sum())
            some = self._part("near", part, parts)
            labels = label_of(some["code"] & MAX_CODE)
            order = np.lexsort((labels, some["near"]))
            new = _changes(some["near"][order])
            near_different += int(new.sum())
            more = ~new & _changes(labels[order])
            near_conflicts += len(np.unique(np.cumsum(new)[more]))
        every, trained_only = (Counts(rows[i], duplicates[i], conflicts[i]) for i in (0, 1))
        return Repeats(every, trained_only, different - near_different, near_conflicts)

    def _flush(self) -> None:
        block = np.empty(len(self._codes), _ROW)
        block["key"], block["near"] = self._keys, self._near
        block["code"] = np.frombuffer(bytes(self._codes), np.uint8)
        try:
            self._file.write(block.tobytes())
        except OSError as error:
            raise LocalError(
                "there is no room for the hashes of so many rows", why=error.strerror or "",
                next_step="free some space, or set TMPDIR to another disk",
            ) from None  # fmt: skip
        self._total += len(block)
        self._keys, self._near, self._codes = array("Q"), array("Q"), bytearray()

    def _part(self, field: str, part: int, parts: int) -> NDArray[Any]:
        chosen = [block[block[field] % np.uint64(parts) == part] for block in self._blocks()]
        return np.concatenate(chosen) if chosen else np.empty(0, _ROW)

    def _blocks(self) -> Iterator[NDArray[Any]]:
        self._file.seek(0)
        while data := self._file.read(_AT_ONCE * _ROW.itemsize):
            yield np.frombuffer(data, _ROW)


def _changes(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a value differs from the one before it; the first does."""
    changed = np.ones(len(column), np.bool_)
    changed[1:] = column[1:] != column[:-1]
    return changed
