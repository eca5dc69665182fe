"""A long column of bytes of which only the end is in memory: the rest lies in a temporary file without a name.

    file:   block 7 of a | block 0 of b | block 8 of a | ...        any number of columns share it
    memory: where each block lies, and what is not a whole block yet

Why it exists: an audit of a million entries needs 128 bytes of hashes for each of them, once, and some of them again.
It behaves as the bytearray that it stands for: grows at the end, gives slices. What is looked up is mostly recent. The
file is gone when the process is, however it ends. It refuses to know what the bytes mean.
"""

from __future__ import annotations

import tempfile
from typing import IO, Final, Self

from ledger.errors import LocalError

BLOCK_BYTES: Final = 4096


class SpillFile:
    """What columns share. `column` makes one."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._end = 0

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def column(self) -> Spill:
        return Spill(self)

    def put(self, block: bytes) -> int:
        """Write a block; where it lies now."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="gossip-")  # noqa: SIM115  it lives as long as the columns
            at = self._end
            self._file.seek(at)
            self._file.write(block)
        except OSError as error:
            raise LocalError(
                "there is no room for what does not fit in memory", why=error.strerror or "",
                next_step="free some space, or set TMPDIR to another disk",
            ) from None  # fmt: skip
        self._end += len(block)
        return at

    def get(self, at: int, size: int) -> bytes:
        assert self._file is not None
        self._file.seek(at)
        return self._file.read(size)


class Spill:
    """One column."""

    __slots__ = ("_blocks", "_file", "_start", "_tail")

    def __init__(self, file: SpillFile) -> None:
        self._file = file
        self._blocks: list[int] = []
        self._start = 0  # what lies before it is in the file
        self._tail = bytearray()

    def __len__(self) -> int:
        return self._start + len(self._tail)

    def __iadd__(self, more: bytes | bytearray) -> Self:
        tail = self._tail
        tail += more
        while len(tail) >= 2 * BLOCK_BYTES:
            self._blocks.append(self._file.put(bytes(tail[:BLOCK_BYTES])))
            del tail[:BLOCK_BYTES]
            self._start += BLOCK_BYTES
        return self

    def __getitem__(self, part: slice) -> bytes | bytearray:
        begin, end, step = part.indices(len(self))
        assert step == 1, "a column gives plain slices"
        if begin >= self._start:
            return self._tail[begin - self._start : max(begin, end) - self._start]
        pieces = []
        while begin < min(end, self._start):
            block, offset = divmod(begin, BLOCK_BYTES)
            size = min(end - begin, BLOCK_BYTES - offset)
            pieces.append(self._file.get(self._blocks[block] + offset, size))
            begin += size
        if begin < end:
            pieces.append(bytes(self._tail[begin - self._start : end - self._start]))
        return b"".join(pieces)


__all__ = ["BLOCK_BYTES", "Spill", "SpillFile"]
