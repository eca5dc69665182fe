"""Rows as arrays: in memory (a block) and on disk (a spool), for both kinds of features.

    Bags      ragged: all n-gram buckets one after the other, where each row begins, five marks a row
    Numbers   a matrix of float32

A spool is a nameless temporary file that blocks are appended to and ranges are read back from. Reads are
plain reads, not a memory map: mapped pages count as resident, and a million requests are 400 MB of n-grams.
What stays in memory per row of a spool is its label and, for bags, where it begins and its marks: 20 bytes.

This file refuses to know where rows come from and what they are for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]  # index of the class; at most 256 classes
Inputs = tuple[NDArray[np.generic], ...]  # what one call of the model takes: leading axis rows
UINT16_MAX: Final = (1 << 16) - 1
MAX_INT32: Final = (1 << 31) - 1
ROWS_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class Bags:
    tokens: NDArray[np.uint16]
    offsets: NDArray[np.int64]  # rows + 1
    marks: NDArray[np.uint16]  # (rows, five): see gossip/filterlists/features.py
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64], width: int, padding: int, luck: np.random.Generator) -> Inputs:
        """Rows side by side: buckets (rows, width), scales (rows,), marks (rows, 5), labels (rows,).

        Rows with more n-grams than `width` show an even sample of them, scaled so that its sum is right on
        average; shorter ones are filled up with the bucket `padding`, which lies outside the table.
        """
        counts = self.offsets[rows + 1] - self.offsets[rows]
        shift = luck.random(len(rows), dtype=np.float32)
        buckets = np.empty((len(rows), width), np.int32 if padding > UINT16_MAX else np.uint16)
        for begin in range(0, len(rows), ROWS_AT_ONCE):  # on the way a bucket takes some times its room
            part = slice(begin, begin + ROWS_AT_ONCE)
            at = self._places(rows[part], counts[part], shift[part], width)
            buckets[part] = np.take(self.tokens, at, mode="clip")  # what lies beyond a row is overwritten
            beyond = np.arange(width, dtype=np.int32) >= counts[part, None].astype(np.int32)
            np.copyto(buckets[part], padding, where=beyond)
        scales = np.sqrt(counts) / np.maximum(np.minimum(counts, width), 1)
        return (
            buckets,
            scales.astype(np.float32),
            self.marks[rows].astype(np.int32),
            self.labels[rows].astype(np.int32),
        )

    def _places(
        self, rows: NDArray[np.int64], counts: NDArray[np.int64], shift: NDArray[np.float32], width: int
    ) -> NDArray[np.integer]:
        """Where in `tokens` the n-grams of rows lie that are shown; of a row of fewer than `width`, and then beyond."""
        kind: Any = np.int32 if len(self.tokens) < MAX_INT32 - width else np.int64  # the half of memory to go through
        begins: NDArray[Any] = self.offsets[rows].astype(kind)
        places = begins[:, None] + np.arange(width, dtype=kind)
        long = np.flatnonzero(counts > width)  # the rest needs no floating point, which took most of the time
        if len(long):
            stretch = (counts[long] / width).astype(np.float32)
            shown = np.arange(width, dtype=np.float32) + shift[long, None]
            at = (shown * stretch[:, None]).astype(kind)
            places[long] = np.minimum(at, (counts[long, None] - 1).astype(kind)) + begins[long, None]
        return places

    @classmethod
    def join(cls, blocks: Sequence[Self]) -> Self:
        sizes = np.concatenate([np.diff(block.offsets) for block in blocks])
        return cls(
            np.concatenate([block.tokens for block in blocks]),
            np.concatenate(([0], np.cumsum(sizes))),
            np.concatenate([block.marks for block in blocks]),
            np.concatenate([block.labels for block in blocks]),
        )

    def only(self, kept: NDArray[np.bool_]) -> Self:
        """The rows where `kept` is true."""
        counts = np.diff(self.offsets)
        offsets = np.concatenate(([0], np.cumsum(counts[kept])))
        return type(self)(self.tokens[np.repeat(kept, counts)], offsets, self.marks[kept], self.labels[kept])

    def labelled(self, labels: Labels) -> Self:
        """The same rows under other labels."""
        return type(self)(self.tokens, self.offsets, self.marks, labels)


@dataclass(frozen=True, slots=True)
class Numbers:
    inputs: NDArray[np.float32]  # (rows, columns), scaled
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64], width: int, padding: int, luck: np.random.Generator) -> Inputs:
        """Inputs (rows, columns) and labels (rows,). The other arguments are for bags."""
        return self.inputs[rows], self.labels[rows].astype(np.int32)

    @classmethod
    def join(cls, blocks: Sequence[Self]) -> Self:
        return cls(
            np.concatenate([block.inputs for block in blocks]), np.concatenate([block.labels for block in blocks])
        )

    def only(self, kept: NDArray[np.bool_]) -> Self:
        """The rows where `kept` is true."""
        return type(self)(self.inputs[kept], self.labels[kept])

    def labelled(self, labels: Labels) -> Self:
        """The same rows under other labels."""
        return type(self)(self.inputs, labels)


Block = Bags | Numbers


def thinned(block: Block) -> Block:
    """Every second row."""
    return block.only(np.arange(len(block)) % 2 == 0)


def join(blocks: Sequence[Block]) -> Block:
    """One block out of several of one kind."""
    bags = [block for block in blocks if isinstance(block, Bags)]
    return Bags.join(bags) if bags else Numbers.join([block for block in blocks if isinstance(block, Numbers)])


class Spool(Protocol):
    """Rows on disk. Append first; from the first `read` on it is whole."""

    def __len__(self) -> int: ...

    def append(self, block: Block) -> None: ...

    def read(self, begin: int, end: int) -> Block: ...

    def close(self) -> None: ...


class BagSpool:
    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the data set
        self._ends: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
        self._marks: list[NDArray[np.uint16]] = []
        self._labels: list[Labels] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, block: Block) -> None:
        assert isinstance(block, Bags)
        block.tokens.tofile(self._file)
        self._ends.append(block.offsets[1:] + self._ends[-1][-1])
        self._marks.append(block.marks)
        self._labels.append(block.labels)
        self._rows += len(block)

    def read(self, begin: int, end: int) -> Bags:
        if len(self._marks) > 1:  # joined once, at the first read
            self._marks, self._labels = [np.concatenate(self._marks)], [np.concatenate(self._labels)]
        if len(self._ends) > 1:
            self._ends = [np.concatenate(self._ends)]
            self._file.flush()
        bounds = self._ends[0][begin : end + 1]
        self._file.seek(int(bounds[0]) * 2)
        tokens = np.fromfile(self._file, np.uint16, int(bounds[-1] - bounds[0]))
        return Bags(tokens, bounds - bounds[0], self._marks[0][begin:end], self._labels[0][begin:end])

    def close(self) -> None:
        self._file.close()


class NumberSpool:
    def __init__(self, folder: Path | None, columns: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the data set
        self._columns = columns
        self._labels: list[Labels] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, block: Block) -> None:
        assert isinstance(block, Numbers)
        block.inputs.astype(np.float32).tofile(self._file)
        self._labels.append(block.labels)
        self._rows += len(block)

    def read(self, begin: int, end: int) -> Numbers:
        if len(self._labels) > 1:
            self._labels = [np.concatenate(self._labels)]
        self._file.flush()
        self._file.seek(begin * self._columns * 4)
        inputs = np.fromfile(self._file, np.float32, (end - begin) * self._columns)
        return Numbers(inputs.reshape(-1, self._columns), self._labels[0][begin:end])

    def close(self) -> None:
        self._file.close()


TAKEN_AT_ONCE: Final = 256  # rows: what is computed on the way to a batch stays in the processor's cache
STRETCH_ROWS: Final = 2_048  # read from a spool in one piece
WINDOW_ROWS: Final = 1 << 15  # shuffled together: all rows of a small set, a random sixteen stretches of a big one


class Sampler:
    """Endless random batches from a spool, every row once before any row twice.

    Memory is one window whatever the size of the set; a set of at most WINDOW_ROWS is shuffled perfectly.
    """

    def __init__(self, spool: Spool, *, width: int, padding: int, seed: int) -> None:
        assert len(spool) > 0
        self._spool, self._width, self._padding = spool, width, padding
        self._luck = np.random.default_rng(seed)
        self._stretches: list[int] = []
        self._whole: Block | None = None
        self._window: Block | None = None
        self._order: NDArray[np.int64] = np.empty(0, np.int64)

    def take(self, rows: int) -> Inputs:
        """The next `rows` rows."""
        parts: list[Inputs] = []
        while rows:
            if not len(self._order):
                self._refill()
            assert self._window is not None
            count = min(rows, TAKEN_AT_ONCE)
            now, self._order = self._order[:count], self._order[count:]
            parts.append(self._window.take(now, self._width, self._padding, self._luck))
            rows -= len(now)
        return parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts, strict=True)))

    def _refill(self) -> None:
        if len(self._spool) <= WINDOW_ROWS:
            self._whole = self._whole or self._spool.read(0, len(self._spool))
            self._window = self._whole
        else:
            if not self._stretches:
                self._stretches = list(range(0, len(self._spool), STRETCH_ROWS))
                self._luck.shuffle(self._stretches)
            count = WINDOW_ROWS // STRETCH_ROWS
            now, self._stretches = self._stretches[:count], self._stretches[count:]
            self._window = None  # let go of the old rows before reading the new ones
            self._window = join([self._spool.read(at, min(at + STRETCH_ROWS, len(self._spool))) for at in now])
        self._order = self._luck.permutation(len(self._window)).astype(np.int64)
