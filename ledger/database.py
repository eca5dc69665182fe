"""One SQLite file, opened: made or upgraded if need be, its transactions, and its errors in plain words.

Rules kept here: a file of somebody else's is refused and left alone; a file of ours is its owner's alone; a
transaction happened or did not, and `synchronous=FULL` is set before the first one begins; every error of SQLite
becomes one line with advice. It refuses to know what the tables are for (store.py).

What was committed lies in the write-ahead log first, and is carried over into the file now and then. SQLite does that
behind a commit, and says nothing when it fails: here it is done before a transaction, which then does not begin.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ledger.errors import LocalError
from ledger.keys import fsync_directory
from ledger.schema import (
    ADVICE,
    APPLICATION_ID,
    OLDEST_VERSION,
    RESTORE,
    SCHEMA_VERSION,
    create,
    read_as_new,
    upgrade,
)

CARRY_OVER_BYTES: Final = 4 << 20  # of the write-ahead log, as SQLite has it by itself (1,000 pages)
COMMIT_BYTES: Final = 32 << 10  # that even a small transaction adds to it: a page of every tree that it touches
BUSY_TIMEOUT_S: Final = 5.0  # a commit takes milliseconds; somebody who writes for longer is stuck


class Database:
    """An open file. `Database(path)` makes it if its directory exists; use it with `with`."""

    def __init__(self, path: Path, *, _readonly: bool = False) -> None:
        self._path = path
        self._to_carry_over, self._carry_over_at = 0, CARRY_OVER_BYTES
        if not path.parent.is_dir():
            raise LocalError(
                f"{path.parent} does not exist", next_step="make a peer with `gossip new` or `gossip join`"
            )
        if _readonly and not path.exists():
            raise LocalError(f"there is no peer in {path.parent}", next_step="name its directory with --dir")
        if not _readonly:
            self._create_file()
        with self._translated("open"):
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if _readonly else 'rw'}",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,  # transactions begin and end where this file says so
                check_same_thread=False,  # the node writes from a worker thread, one at a time
            )
        try:
            with self._translated("open"):
                self._prepare(_readonly)
        except BaseException:
            self._db.close()
            raise

    @classmethod
    def open_readonly(cls, path: Path) -> Self:
        """For other processes than the peer's own: sees every commit that was complete when each call began."""
        return cls(path, _readonly=True)

    def close(self) -> None:
        """Release the file. Everything committed is safe with or without this."""
        with self._translated("close"):
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create_file(self) -> None:
        """An empty file for its owner's eyes only (it will hold ticket secrets); SQLite gives WAL the same mode.

        A file that exists is not touched: closing it here would drop the locks that another Store of this
        process holds on it, as POSIX has it (sqlite.org/howtocorrupt.html, section 2.2).
        """
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            fsync_directory(self._path.parent)
        except FileExistsError:
            pass
        except OSError as error:
            raise LocalError(
                f"cannot open {self._path}", why=error.strerror or "", next_step="check that the directory is yours"
            ) from None

    def _prepare(self, readonly: bool) -> None:
        (application,) = self._row("PRAGMA application_id") or (0,)
        (version,) = self._row("PRAGMA user_version") or (0,)
        (tables,) = self._row("SELECT count(*) FROM sqlite_master") or (0,)
        # A file of nothing is new, or its maker was killed before the first commit.
        fresh = not (application or version or tables or readonly)
        if not fresh:
            self._check_format(application, version)
        if not readonly:
            self._db.execute("PRAGMA journal_mode = WAL").fetchone()
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
        if readonly:
            if version < SCHEMA_VERSION:
                read_as_new(self._db, version)
        elif fresh or version < SCHEMA_VERSION:
            with self._transaction():
                if not self._row("SELECT 1 FROM sqlite_master"):  # somebody else may have done it just now
                    create(self._db)
                elif (now := self._row("PRAGMA user_version")[0]) < SCHEMA_VERSION:
                    upgrade(self._db, now)
                    self._upgraded(now)

    def _upgraded(self, version: int) -> None:
        """What a store of that version needs beside new tables; within the transaction that makes them."""

    def _check_format(self, application: int, version: int) -> None:
        if application != APPLICATION_ID:
            raise LocalError(
                f"{self._path} is not the store of a peer", next_step="name the directory of a peer with --dir"
            )
        if not OLDEST_VERSION <= version <= SCHEMA_VERSION:
            raise LocalError(
                f"{self._path} has the format of another version of this program",
                why=f"its schema is {version}, this program knows {SCHEMA_VERSION}",
                next_step="use the version that made it" if version < SCHEMA_VERSION else "install a newer version",
            )

    def settle(self) -> None:
        """Carry over all that was ever committed, and begin the write-ahead log anew. LocalError if the disk fails.

        For a node that starts. After a sync that failed, what is read back from that log may be in the memory of the
        system only, which takes it for written; in the file it is written once more, and synced.
        """
        with self._translated("write"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def spare_bytes(self) -> tuple[int, int]:
        """How much of the file is free pages, which new rows fill first, and how long the file is."""
        free, pages, size = (self._row(f"PRAGMA {name}")[0] for name in ("freelist_count", "page_count", "page_size"))
        return free * size, pages * size

    def compact(self) -> None:
        """Write the file anew without its free pages; it happens or does not, like a transaction.

        LocalError if there is no room: for a moment what is kept takes its space three times.
        """
        with self._translated("write"):
            self._db.execute("VACUUM")
        self.settle()

    def _carry_over(self, size_bytes: int) -> None:
        """Before a transaction of about so many bytes. Readers may keep it from going all the way; then it goes on at
        the next one."""
        if self._to_carry_over >= self._carry_over_at:
            with self._translated("write"):
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._to_carry_over, self._carry_over_at = 0, CARRY_OVER_BYTES
        self._to_carry_over += COMMIT_BYTES + size_bytes

    @contextmanager
    def _transaction(self, size_bytes: int = 0) -> Iterator[None]:
        self._carry_over(size_bytes)
        with self._translated("write"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # some errors (a full disk) have rolled back already
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._translated("read"):
            return self._db.execute(query, values).fetchall()

    def _row(self, query: str, *values: object) -> Any:
        with self._translated("read"):
            return self._db.execute(query, values).fetchone()

    @contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        """Every error of SQLite becomes one line with advice."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # (the second: SQLite quotes the damaged bytes)
            name = getattr(error, "sqlite_errorname", "")  # absent where Python itself refused the call
            known = (advice for prefix, *advice in ADVICE if name.startswith(prefix))
            why, next_step = next(known, (str(error), ""))
            raise LocalError(f"cannot {verb} {self._path}", why=why, next_step=next_step) from error

    def _damaged(self, what: str) -> LocalError:
        return LocalError(f"{self._path} is damaged", why=what, next_step=RESTORE)
