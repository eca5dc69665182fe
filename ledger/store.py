"""What a peer keeps on disk: entries, blobs, checkpoints, tickets and what it knows of itself, in one SQLite file.

    log         id, peer                       entry       id (order of admission), log, seq, data
    blob        hash, data                     checkpoint  peer, size, note, held, proof (the best)
    tile        log, number, nodes, sum        witnessed   log, size, root (what this peer vouched for)
    cosigned    log, size, note                vote        log, size, hash (of one snapshot)
    meta        key, value                     ticket      id, secret, role, uses (left)

Why SQLite: a commit either happened or did not, whenever the power goes. WAL lets `gossip status` and an auditor
read while the node writes. `synchronous=FULL` is not negotiable: NORMAL lost 4,727 of 5,449 acknowledged entries
under a simulated power cut, FULL none; one transaction per batch of writes (group commit) pays for it.

Rules kept here: commit() returns after the fsync or raises, and then nothing of the batch is kept; an entry once
at (log, seq) is never replaced by other bytes, and no log has a gap; blobs lie under their own SHA-256; checkpoints
only grow, and what was witnessed never goes back or names a second root; a store of before is upgraded when it is
opened, one of a later version is refused, not guessed at. It refuses to know what entries mean.

One thread at a time may use a Store; other processes open their own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, assert_never

import msgspec

from ledger.entry import Hash, PeerId
from ledger.errors import LocalError
from ledger.kept import (
    STRAND,
    PutBlob,
    PutCheckpoint,
    PutCosigned,
    PutEntry,
    PutMeta,
    PutVote,
    PutWitnessed,
    StoredCheckpoint,
    StoredTicket,
    StoredVote,
    Write,
    first_of,
)
from ledger.keys import fsync_directory
from ledger.mark import Signed, SignedMark
from ledger.merkle import HASH_BYTES
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

__all__ = [
    "PutBlob", "PutCheckpoint", "PutCosigned", "PutEntry", "PutMeta", "PutVote", "PutWitnessed", "Signed",
    "SignedMark", "Store", "StoredCheckpoint", "StoredTicket", "StoredVote", "Write",
]  # fmt: skip

BUSY_TIMEOUT_S: Final = 5.0  # a commit takes milliseconds; somebody who writes for longer is stuck
CHUNK_ROWS: Final = 256  # rows per query of an iteration, so that a slow reader pins no old snapshot of the WAL


class _Chained(msgspec.Struct):
    """All that the store reads in an entry, and only in the first of a strand."""

    prev: Hash


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
                        self._put_checkpoint(write)
                    case PutWitnessed():
                        self._put_witnessed(write)
                    case PutVote(log, size, digest):
                        self._db.execute("INSERT OR REPLACE INTO vote VALUES (1, ?, ?, ?)", (log, size, digest))
                    case PutCosigned(log, size, note):
                        self._db.execute(
                            "INSERT INTO cosigned VALUES (?, ?, ?) ON CONFLICT (log) DO UPDATE"
                            " SET size = excluded.size, note = excluded.note WHERE excluded.size >= size",
                            (log, size, note),
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
            known = (number, first_of(write.log) if last is None else last + 1)
        number, size = known
        if write.seq > size:
            raise LocalError(
                f"log {write.log[:8]} would get a gap", why=f"entry {write.seq} comes, entry {size} is next"
            )
        if write.seq < first_of(write.log):
            raise LocalError(f"entry {write.seq} lies before strand {write.log[:8]} branches off", why=write.log)
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

    def _put_checkpoint(self, write: PutCheckpoint) -> None:
        held = write.size if write.held is None else write.held
        if not 0 <= held <= write.size or any(len(node) != HASH_BYTES for node in write.proof):
            raise LocalError(
                "this checkpoint cannot be kept", why=f"size {write.size}, held {held}, {len(write.proof)} hashes"
            )
        self._db.execute(
            "INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?) ON CONFLICT (peer) DO UPDATE"
            " SET size = excluded.size, note = excluded.note, held = excluded.held, proof = excluded.proof"
            " WHERE (excluded.held, excluded.size) >= (held, size)",
            (write.log, write.size, write.note, held, b"".join(write.proof)),
        )

    def _put_witnessed(self, write: PutWitnessed) -> None:
        kept = self.witnessed(write.log)
        if kept is not None and (write.size < kept[0] or (write.size == kept[0] and write.root != kept[1])):
            raise LocalError(
                f"will not witness size {write.size} of log {write.log[:8]}",
                why=f"size {kept[0]} was witnessed before, and this does not continue it",
            )
        if len(write.root) != HASH_BYTES:
            raise LocalError("a root is 32 bytes", why=f"got {len(write.root)}")
        self._db.execute("INSERT OR REPLACE INTO witnessed VALUES (?, ?, ?)", (write.log, write.size, write.root))

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
        """The entries of one log from `start` on, in order; of a strand, its parent's before its own."""
        at, first = start, first_of(log)
        if at < first and self._row("SELECT 1 FROM log WHERE peer = ?", log):
            yield from islice(self.entries(self._parent(log), at), first - at)
            at = first
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
        if 0 <= seq < first_of(log):
            return next(self.entries(log, seq), None)
        return self._own_entry(log, seq)

    def _own_entry(self, log: PeerId, seq: int) -> bytes | None:
        query = "SELECT data FROM entry WHERE log = (SELECT id FROM log WHERE peer = ?) AND seq = ?"
        row = self._row(query, log, seq)
        return row[0] if row else None

    def _parent(self, log: PeerId) -> PeerId:
        """The log that a strand shares its beginning with: where it branches off, that one has what `prev` names."""
        first, peer = first_of(log), log.partition(STRAND)[0]
        prev = _previous(self._own_entry(log, first) or b"")
        for (other,) in self._rows("SELECT peer FROM log WHERE peer = ? OR peer GLOB ?", peer, f"{peer}{STRAND}*"):
            before = self._own_entry(other, first - 1)
            if before is not None and sha256(before).hexdigest() == prev:
                return str(other)
        raise self._damaged(f"what strand {log[:8]}{STRAND}{first} branches off from is missing")

    def blob(self, digest: Hash) -> bytes | None:
        """The blob with this SHA-256, if kept; LocalError if the disk changed it."""
        row = self._row("SELECT data FROM blob WHERE hash = ?", digest)
        if row is None:
            return None
        data: bytes = row[0]
        if sha256(data).hexdigest() != digest:
            raise self._damaged(f"blob {digest[:16]} has changed on disk")
        return data

    def checkpoint(self, log: PeerId) -> StoredCheckpoint | None:
        """The checkpoint of a log that PutCheckpoint kept."""
        row = self._row("SELECT size, note, held, proof FROM checkpoint WHERE peer = ?", log)
        if row is None:
            return None
        size, note, held, proof = row
        return StoredCheckpoint(
            size, note, held, tuple(proof[at : at + HASH_BYTES] for at in range(0, len(proof), HASH_BYTES))
        )

    def witnessed(self, log: PeerId) -> tuple[int, bytes] | None:
        """(size, root) of a log that this peer last witnessed."""
        row = self._row("SELECT size, root FROM witnessed WHERE log = ?", log)
        return (row[0], row[1]) if row else None

    def vote(self) -> StoredVote | None:
        """The snapshot that this peer, as a fixed witness, last voted for."""
        row = self._row("SELECT log, size, hash FROM vote")
        return StoredVote(*row) if row else None

    def cosigned(self, log: PeerId) -> tuple[int, bytes] | None:
        """(size, note) of the newest note of a log that carries cosignatures."""
        row = self._row("SELECT size, note FROM cosigned WHERE log = ?", log)
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
        if readonly:
            if version < SCHEMA_VERSION:
                read_as_new(self._db)
        elif fresh or version < SCHEMA_VERSION:
            with self._transaction():
                if not self._row("SELECT 1 FROM sqlite_master"):  # somebody else may have done it just now
                    create(self._db)
                elif self._row("PRAGMA user_version") < (SCHEMA_VERSION,):
                    upgrade(self._db)

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


def _previous(entry: bytes) -> Hash:
    try:
        return msgspec.json.decode(entry, type=_Chained).prev
    except msgspec.DecodeError:
        return ""
