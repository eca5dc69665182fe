"""Rows that others lend this peer, on its disk: DIR/borrowed/, a file for each shard.

    KeepRows --what is a row--> a file        Borrow --> files in use --> the trainer reads anew      DropRows --> gone

They are the lenders' and not ours: none outlives its lease, nor this run. What is lent again is fetched again.
"""

from __future__ import annotations

import shutil
from itertools import groupby
from pathlib import Path

from gossip.events import Borrow, Borrowed, DropRows, KeepRows
from gossip.training.lent_rows import write_rows
from gossip.training.protocol import BorrowedRows
from gossip.training.spec import ModelSpec
from ledger.entry import Hash
from ledger.errors import LocalError


class BorrowedFiles:
    """The folder of one node. Its methods are called one after the other."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / "borrowed"
        self._files: dict[Hash, tuple[Path, int]] = {}  # by shard: the file, and its rows
        self._use: tuple[Borrowed, ...] = ()

    def clear(self) -> None:
        """Forget whatever was borrowed, in this run or before. LocalError if that cannot be."""
        try:
            shutil.rmtree(self._folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise LocalError(
                f"cannot remove {self._folder}", why=error.strerror or "", next_step="remove it: it holds others' rows"
            ) from None

    def keep(self, model: str, effect: KeepRows) -> None:
        """Write the rows of a shard; for a thread. LocalError if the disk does not take them."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._files[effect.shard] = write_rows(ModelSpec.parse(model), self._folder, effect.shard, effect.records)
        except OSError as error:
            raise LocalError(
                f"cannot write to {self._folder}", why=error.strerror or str(error),
                next_step="make space there, or run without --borrow-from",
            ) from None  # fmt: skip

    def use(self, effect: Borrow) -> None:
        """From now on these."""
        self._use = effect.shards

    def drop(self, effect: DropRows) -> None:
        """Remove rows that are not in use."""
        for shard in effect.shards:
            self._files.pop(shard)[0].unlink(missing_ok=True)

    def rows(self) -> list[BorrowedRows]:
        """What is trained on, by data set."""
        of = groupby(self._use, key=lambda one: (one.lender, one.root, one.licence))
        return [
            BorrowedRows(lender=lender, root=root, licence=licence, files=files)
            for (lender, root, licence), shards in of
            if (files := [str(path) for path, rows in (self._files[one.shard] for one in shards) if rows])
        ]
