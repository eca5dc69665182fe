"""What a peer keeps on disk: entries, blobs, checkpoints, tickets and what it knows of itself, in one SQLite file.

    log         id, peer                       entry       id (order of admission), log, seq, data
    blob        hash, data                     checkpoint  peer, size, note (the newest)
    meta        key, value                     ticket      id, secret, role, uses (left)

Why SQLite: a commit either happened or did not, whenever the power goes. WAL lets `gossip status` and an auditor
read while the node writes. `synchronous=FULL` is not negotiable: NORMAL lost 4,727 of 5,449 acknowledged entries
under a simulated power cut, FULL none; one transaction per batch of writes (group commit) pays for it.

Rules kept here: commit() returns after the fsync or raises, and then nothing of the batch is kept; an entry once
at (log, seq) is never replaced by other bytes, and no log has a gap; blobs lie under their own SHA-256; checkpoints
only grow; a store of another version is refused, not guessed at. It refuses to know what entries mean.

One thread at a time may use a Store; other processes open their own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, assert_never

from ledger.entry import Hash, PeerId
from ledger.errors import LocalError
from ledger.keys import fsync_directory
from ledger.mark import Signed, SignedMark
from ledger.schema import ADVICE, APPLICATION_ID, RESTORE, SCHEMA, SCHEMA_VERSION

__all__ = [
    "PutBlob", "PutCheckpoint", "PutEntry", "PutMeta", "Signed", "SignedMark", "Store", "StoredTicket", "Write",
]  # fmt: skip

BUSY_TIMEOUT_S: Final = 5.0  # a commit takes milliseconds; somebody who writes for longer is stuck
CHUNK_ROWS: Final = 256  # rows per query of an iteration, so that a slow reader pins no old snapshot of the WAL


# ------------------------------------------------------------------ what can be written


@dataclass(frozen=True, slots=True)
class PutEntry:
    """Add an entry at the end of a log. Writing the same bytes again is no error."""

    log: PeerId
    seq: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PutBlob:
    """Keep a blob under its hash."""

    hash: Hash
    data: bytes


@dataclass(frozen=True, slots=True)
class PutCheckpoint:
    """Keep the newest checkpoint of a log; an older one is ignored."""

    log: PeerId
    size: int
    note: bytes


@dataclass(frozen=True, slots=True)
class PutMeta:
    """Set what this peer knows of itself."""

    key: str
    value: bytes


Write = PutEntry | PutBlob | PutCheckpoint | PutMeta


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """An invitation that is still open: `uses` more peers may enter with it."""

    secret: bytes
    role: str
    uses: int


class Store:
    """The store of one peer. `Store(path)` makes the file if its directory exists; use it with `with`."""

    def __init__(self, path: Path, *, _readonly: bool = False) -> None:
        self._path = path
        self._sizes: dict[PeerId, tuple[int, int]] = {}  # row id and size of each log, within one commit
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
    def open_readonly(cls, path: Path) -> Store:
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

    # -------------------------------------------------------------- writing

    def commit(self, writes: Iterable[Write]) -> None:
        """Make all of `writes` durable in one transaction, or raise LocalError and keep none of them."""
        with self._transaction():
            for write in writes:
                match write:
                    case PutEntry():
                        self._put_entry(write)
                    case PutBlob():
                        if sha256(write.data).hexdigest() != write.hash:
                            raise LocalError("a blob does not have the hash it is to be kept under", why=write.hash)
                        self._db.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (write.hash, write.data))
                    case PutCheckpoint():
                        self._db.execute(
                            "INSERT INTO checkpoint VALUES (?, ?, ?) ON CONFLICT (peer) DO UPDATE"
                            " SET size = excluded.size, note = excluded.note WHERE excluded.size >= size",
                            (write.log, write.size, write.note),
                        )
                    case PutMeta():
                        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (write.key, write.value))
                    case _:
                        assert_never(write)

    def _put_entry(self, write: PutEntry) -> None:
        known = self._sizes.get(write.log)
        if known is None:
            self._db.execute("INSERT OR IGNORE INTO log (peer) VALUES (?)", (write.log,))
            (number,) = self._row("SELECT id FROM log WHERE peer = ?", write.log) or (0,)
            (last,) = self._row("SELECT max(seq) FROM entry WHERE log = ?", number) or (None,)
            known = (number, 0 if last is None else last + 1)
        number, size = known
        if write.seq > size:
            raise LocalError(
                f"log {write.log[:8]} would get a gap", why=f"entry {write.seq} comes, entry {size} is next"
            )
        if write.seq < size:
            (kept,) = self._row("SELECT data FROM entry WHERE log = ? AND seq = ?", number, write.seq) or (None,)
            if kept != write.data:
                raise LocalError(
                    f"entry {write.seq} of log {write.log[:8]} is kept already, with other bytes",
                    why="an entry is never replaced",
                )
        else:
            self._db.execute("INSERT INTO entry (log, seq, data) VALUES (?, ?, ?)", (number, write.seq, write.data))
            size += 1
        self._sizes[write.log] = (number, size)

    # -------------------------------------------------------------- reading

    def logs(self) -> dict[PeerId, int]:
        """Every log with its size, in the order in which they were first met."""
        query = "SELECT peer, (SELECT max(seq) + 1 FROM entry WHERE log = log.id) FROM log ORDER BY id"
        return {peer: size for peer, size in self._rows(query) if size}

    def history(self) -> Iterator[tuple[PeerId, int, bytes]]:
        """Every entry as (log, seq, bytes) in the order of admission: each comes after everything it cites."""
        at = 0
        query = (
            "SELECT entry.id, peer, seq, data FROM entry JOIN log ON log.id = entry.log"
            " WHERE entry.id > ? ORDER BY entry.id LIMIT ?"
        )
        while rows := self._rows(query, at, CHUNK_ROWS):
            for _, peer, seq, data in rows:
                yield peer, seq, data
            at = rows[-1][0]

    def entries(self, log: PeerId, start: int = 0) -> Iterator[bytes]:
        """The entries of one log from `start` on, in order."""
        at = start
        query = (
            "SELECT seq, data FROM entry WHERE log = (SELECT id FROM log WHERE peer = ?) AND seq >= ?"
            " ORDER BY seq LIMIT ?"
        )
        while rows := self._rows(query, log, at, CHUNK_ROWS):
            for seq, data in rows:
                if seq != at:
                    raise self._damaged(f"entry {at} of log {log[:8]} is missing")
                at += 1
                yield data

    def entry(self, log: PeerId, seq: int) -> bytes | None:
        """The entry at (log, seq), if kept."""
        query = "SELECT data FROM entry WHERE log = (SELECT id FROM log WHERE peer = ?) AND seq = ?"
        row = self._row(query, log, seq)
        return row[0] if row else None

    def blob(self, digest: Hash) -> bytes | None:
        """The blob with this SHA-256, if kept; LocalError if the disk changed it."""
        row = self._row("SELECT data FROM blob WHERE hash = ?", digest)
        if row is None:
            return None
        data: bytes = row[0]
        if sha256(data).hexdigest() != digest:
            raise self._damaged(f"blob {digest[:16]} has changed on disk")
        return data

    def checkpoint(self, log: PeerId) -> tuple[int, bytes] | None:
        """(size, signed note) of the newest checkpoint of a log."""
        row = self._row("SELECT size, note FROM checkpoint WHERE peer = ?", log)
        return (row[0], row[1]) if row else None

    def meta(self, key: str) -> bytes:
        """What PutMeta set; LocalError if nothing did."""
        value = self.find_meta(key)
        if value is None:
            raise LocalError(
                f"{self._path} says nothing about {key!r}",
                why="the peer was not set up to the end",
                next_step="make it again with `gossip new` or `gossip join`",
            )
        return value

    def find_meta(self, key: str) -> bytes | None:
        """What PutMeta set, if anything did."""
        row = self._row("SELECT value FROM meta WHERE key = ?", key)
        return row[0] if row else None

    # -------------------------------------------------------------- tickets

    def add_ticket(self, ticket_id: bytes, secret: bytes, role: str, uses: int) -> None:
        """Open an invitation for `uses` peers."""
        with self._transaction():
            self._db.execute("INSERT INTO ticket VALUES (?, ?, ?, ?)", (ticket_id, secret, role, uses))

    def ticket(self, ticket_id: bytes) -> StoredTicket | None:
        """The invitation, if it is still open."""
        row = self._row("SELECT secret, role, uses FROM ticket WHERE id = ? AND uses > 0", ticket_id)
        return StoredTicket(*row) if row else None

    def use_ticket(self, ticket_id: bytes) -> bool:
        """Take one use, durably; False if none was left."""
        with self._transaction():
            cursor = self._db.execute("UPDATE ticket SET uses = uses - 1 WHERE id = ? AND uses > 0", (ticket_id,))
            return cursor.rowcount == 1

    # -------------------------------------------------------------- SQLite

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
        if fresh:
            self._db.execute("BEGIN IMMEDIATE")
            if not self._row("SELECT 1 FROM sqlite_master"):  # somebody else may have done it just now
                for statement in SCHEMA.split(";"):
                    self._db.execute(statement)
            self._db.execute("COMMIT")

    def _check_format(self, application: int, version: int) -> None:
        if application != APPLICATION_ID:
            raise LocalError(
                f"{self._path} is not the store of a peer", next_step="name the directory of a peer with --dir"
            )
        if version != SCHEMA_VERSION:
            raise LocalError(
                f"{self._path} has the format of another version of this program",
                why=f"its schema is {version}, this program knows {SCHEMA_VERSION}",
                next_step="use the version that made it" if version < SCHEMA_VERSION else "install a newer version",
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sizes.clear()
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
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")  # absent where Python itself refused the call
            known = (advice for prefix, *advice in ADVICE if name.startswith(prefix))
            why, next_step = next(known, (str(error), ""))
            raise LocalError(f"cannot {verb} {self._path}", why=why, next_step=next_step) from error

    def _damaged(self, what: str) -> LocalError:
        return LocalError(f"{self._path} is damaged", why=what, next_step=RESTORE)
