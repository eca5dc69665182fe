"""A peer's data set, read once: rows to train on, rows to be judged by, and the facts a data entry states.

Reading is one pass: each row is hashed into features, spooled to disk, counted and committed to on the way.
The commitment covers the rows trained on, for those are what updates cite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gossip.filterlists.requests import file_digest
from gossip.training.blocks import BagSpool, Block, NumberSpool, Spool, join, thinned
from gossip.training.licence import check_licence
from gossip.training.spec import ModelSpec, UrlGrams
from gossip.training.task import Chunk, chunks_of
from ledger.entry import Source
from ledger.errors import LocalError
from ledger.provenance import Commitment, commit_records

MAX_JUDGED_ROWS: Final = 1 << 14  # kept in memory and scored every round; more says nothing new
MAX_GROUPS: Final = 16


@dataclass(frozen=True, slots=True)
class DataSet:
    rows: Spool
    held_out: Block | None  # at most MAX_JUDGED_ROWS; None if there is nothing to judge by
    groups: dict[str, NDArray[np.int64]]  # rows of `held_out` that are also scored on their own
    labels: dict[str, int]  # of the rows trained on
    commitment: Commitment
    sources: tuple[Source, ...]


def read_data(
    spec: ModelSpec,
    files: Sequence[Path],
    validation: Path | None,
    *,
    salt: bytes,
    licence: str = "",
    folder: Path | None = None,
) -> DataSet:
    """Read everything; `licence` is what the owner says of all `files`.

    LocalError at the first row that cannot be used, if nothing is left to train on, or if that is no licence's name.
    """
    check_licence(licence)
    share = 0.0 if validation else spec.validation_share
    spool: Spool = (
        BagSpool(folder) if isinstance(spec.features, UrlGrams) else NumberSpool(folder, spec.features.columns)
    )
    judged = _Judged()
    counts: Counter[int] = Counter()

    def records() -> Iterator[tuple[bytes, bytes]]:
        for chunk in chunks_of(spec, files, held_out_share=share):
            if chunk.held_out:
                judged.add(chunk)
            else:
                spool.append(chunk.block)
                counts.update(chunk.block.labels.tolist())
                yield from chunk.records

    try:
        commitment = commit_records(records(), salt)
        if validation:
            for chunk in chunks_of(spec, [validation], held_out_share=0.0):
                judged.add(chunk)
        if not len(spool):
            raise LocalError(
                "there is no row to train on", why=f"in {', '.join(path.name for path in files) or 'no files'}",
                next_step="give more data with --data, or lower validation_share in the model",
            )  # fmt: skip
    except BaseException:
        spool.close()
        raise
    return DataSet(
        rows=spool,
        held_out=judged.block,
        groups=judged.groups(),
        labels={spec.classes[number]: count for number, count in sorted(counts.items())},
        commitment=commitment,
        sources=tuple(
            Source(name=path.name, sha256=file_digest(path), licence=licence, url="", retrieved="", version="")
            for path in files
        ),
    )


def read_judged(spec: ModelSpec, files: Sequence[Path]) -> Block | None:
    """Rows to judge a model by, thinned as a peer's held-out rows are; None if there are none. LocalError as above."""
    judged = _Judged()
    for chunk in chunks_of(spec, files, held_out_share=0.0):
        judged.add(chunk)
    return judged.block


@dataclass(slots=True)
class _Judged:
    """Held-out rows, thinned by half whenever they become too many, so that all of a long file is represented."""

    block: Block | None = None
    names: list[str] = field(default_factory=list)
    every: int = 1

    def add(self, chunk: Chunk) -> None:
        block, names = chunk.block, list(chunk.groups)
        thin = self.every
        while thin > 1:
            block, names, thin = thinned(block), names[::2], thin // 2
        self.block = block if self.block is None else join([self.block, block])
        self.names += names
        if len(self.block) > MAX_JUDGED_ROWS:
            self.block, self.names, self.every = thinned(self.block), self.names[::2], self.every * 2

    def groups(self) -> dict[str, NDArray[np.int64]]:
        found = sorted(set(self.names) - {""})[:MAX_GROUPS]
        return {name: np.array([i for i, each in enumerate(self.names) if each == name], np.int64) for name in found}
