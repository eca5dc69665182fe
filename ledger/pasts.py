"""What each entry of a log had seen, one integer per entry, kept small.

    past = sizes of every log side by side, 32 bits each (chain.pack)
    [sealed, sealed, ...] + tail        a sealed block is the pasts of some entries, compressed: 3 to 10 bytes each

Why it exists: a past is as wide as the swarm and there is one for each entry, so plain integers would be most of what
an audit of a million entries holds. Neighbours differ in a few bytes, and what is looked up is mostly recent. It
behaves as a list that only grows, and refuses to know what the integers mean.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

MAX_RAW_BYTES: Final = 1 << 15  # of one block: bounds what a look-up unpacks, and the tails of many wide logs together
MAX_BLOCK: Final = 256
_LEVEL: Final = 1  # the fastest: 10 us for a block of eight logs


class Pasts:
    """A growing column of non-negative integers."""

    __slots__ = ("_block", "_cached", "_numbers", "_sealed", "_starts", "tail", "tail_start")

    def __init__(self) -> None:
        self.tail: list[int] = []  # the newest, for callers in a hurry: number n is tail[n - tail_start] ...
        self.tail_start = 0  # ... if n >= tail_start
        self._sealed: list[tuple[int, bytes]] = []  # bytes per number, and the compressed block
        self._starts: list[int] = []
        self._cached = -1  # which block `_numbers` holds
        self._numbers: list[int] = []
        self._block = MAX_BLOCK

    def __len__(self) -> int:
        return self.tail_start + len(self.tail)

    def __iter__(self) -> Iterator[int]:
        return (self[number] for number in range(len(self)))

    def append(self, past: int) -> None:
        self.tail.append(past)
        self.settle()

    def settle(self) -> None:
        """Pack what is older than recent: for callers who append to the tail themselves."""
        while len(self.tail) >= 2 * self._block:
            self._seal()

    def _seal(self) -> None:
        """Compress the older half of the tail: what was appended just now is what will be looked up."""
        width = max(1, (max(self.tail).bit_length() + 7) // 8)
        count = self._block
        raw = b"".join([past.to_bytes(width, "little") for past in self.tail[:count]])
        self._sealed.append((width, zlib.compress(raw, _LEVEL)))
        self._starts.append(self.tail_start)
        self.tail_start += count
        del self.tail[:count]
        self._block = max(1, min(MAX_BLOCK, MAX_RAW_BYTES // width))

    def __getitem__(self, number: int) -> int:
        if number < 0:
            number += len(self)
        at = number - self.tail_start
        if at >= 0:
            return self.tail[at]
        if number < 0:
            raise IndexError(number)
        block = bisect_right(self._starts, number) - 1
        if block != self._cached:
            width, packed = self._sealed[block]
            raw = zlib.decompress(packed)
            self._numbers = [int.from_bytes(raw[at : at + width], "little") for at in range(0, len(raw), width)]
            self._cached = block
        return self._numbers[number - self._starts[block]]

    def prefix(self, count: int) -> Pasts:
        """A column of its own with the first `count`."""
        column = Pasts()
        for number in range(count):
            column.append(self[number])
        return column
