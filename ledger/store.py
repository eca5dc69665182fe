"""What a peer keeps on disk: entries, blobs, checkpoints, tickets and what it knows of itself, in one SQLite file.

    log         id, peer                       entry       id (order of admission), log, seq, data
    blob        hash, data                     checkpoint  peer, size, note, held, proof (the best)
    tile        log, number, nodes, sum        witnessed   log, size, root (what this peer vouched for)
    cosigned    log, size, note                vote        log, size, hash (of one snapshot)
    meta        key, value                     ticket      id, secret, role, uses (left), expires
    allowed     key, role, expires             base        log, seq (of a final snapshot), base_part (its sums)

Why SQLite: a commit either happened or did not, whenever the power goes. WAL lets `gossip status` and an auditor
read while the node writes. `synchronous=FULL` is not negotiable: NORMAL lost 4,727 of 5,449 acknowledged entries
under a simulated power cut, FULL none; one transaction per batch of writes (group commit) pays for it.

Rules kept here: commit() returns after the fsync or raises, and then nothing of the batch is kept (where it was the
sync that failed, the next start may find it, as after a power cut, whole or not at all); an entry once at (log, seq)
is never replaced by other bytes, and no log has a gap; blobs lie under their own SHA-256; checkpoints only grow, and
what was witnessed never goes back or names a second root; a store of before is upgraded when it is opened, one of a
later version is refused, not guessed at; a blob goes only where a base is kept that holds what it adds, and that
base is as durable by then. It refuses to know what entries mean.

One thread at a time may use a Store; other processes open their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, assert_never

from ledger.entry import Hash, PeerId
from ledger.errors import LocalError
from ledger.kept import (
    DropBlobs,
    PutBase,
    PutBlob,
    PutCheckpoint,
    PutCosigned,
    PutEntry,
    PutMeta,
    PutVote,
    PutWitnessed,
    StoredAllowed,
    StoredBase,
    StoredCheckpoint,
    StoredTicket,
    StoredVote,
    Write,
)
from ledger.mark import Signed, SignedMark
from ledger.merkle import HASH_BYTES
from ledger.stored_logs import StoredLogs

__all__ = [
    "DropBlobs", "PutBase", "PutBlob", "PutCheckpoint", "PutCosigned", "PutEntry", "PutMeta", "PutVote",
    "PutWitnessed", "Signed", "SignedMark", "Store", "StoredAllowed", "StoredBase", "StoredCheckpoint", "StoredTicket",
    "StoredVote", "Write",
]  # fmt: skip


PART_BYTES: Final = 4 << 20  # of a base in one row


class Store(StoredLogs):
    """The store of one peer. `Store(path)` makes the file if its directory exists; use it with `with`.

    `grown_by`: how many blobs, and bytes of them, there are more than when this was opened.
    """

    grown_by: tuple[int, int] = (0, 0)

    # -------------------------------------------------------------- writing

    def commit(self, writes: Iterable[Write]) -> None:
        """Make all of `writes` durable in one transaction, or raise LocalError and keep none of them."""
        self._sizes.clear()
        writes = tuple(writes)
        count = size = 0
        size_bytes = sum(len(one.data) for one in writes if isinstance(one, PutEntry | PutBlob))
        with self._transaction(size_bytes + sum(len(one.sums) for one in writes if isinstance(one, PutBase))):
            for write in writes:
                match write:
                    case PutEntry():
                        self._put_entry(write)
                    case PutBlob():
                        if sha256(write.data).hexdigest() != write.hash:
                            raise LocalError("a blob does not have the hash it is to be kept under", why=write.hash)
                        put = self._db.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (write.hash, write.data))
                        count, size = count + put.rowcount, size + put.rowcount * len(write.data)
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
                    case PutBase():
                        self._put_base(write)
                    case DropBlobs(hashes):
                        if not self._row("SELECT 1 FROM base"):
                            raise LocalError("will not let go of blobs", why="no base is kept that holds what they add")
                        fewer, less = self.sizes_of(hashes)
                        count, size = count - fewer, size - less
                        self._db.executemany("DELETE FROM blob WHERE hash = ?", ((digest,) for digest in hashes))
                    case _:
                        assert_never(write)
        self.grown_by = (self.grown_by[0] + count, self.grown_by[1] + size)

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

    def _put_base(self, write: PutBase) -> None:
        self._db.execute("INSERT OR REPLACE INTO base VALUES (1, ?, ?)", (write.log, write.seq))
        self._db.execute("DELETE FROM base_part")
        for number, begin in enumerate(range(0, len(write.sums), PART_BYTES)):
            part = write.sums[begin : begin + PART_BYTES]
            self._db.execute("INSERT INTO base_part VALUES (?, ?)", (number, part))

    # -------------------------------------------------------------- reading

    def base(self) -> StoredBase | None:
        """What PutBase kept; None: this store holds every blob that it ever held."""
        row = self._row("SELECT log, seq FROM base")
        if row is None:
            return None
        parts = self._rows("SELECT data FROM base_part ORDER BY number")
        return StoredBase(row[0], row[1], b"".join(part for (part,) in parts))

    def base_place(self) -> tuple[PeerId, int] | None:
        """The log and index of the snapshot that the base is of, without reading it."""
        row = self._row("SELECT log, seq FROM base")
        return (row[0], row[1]) if row else None

    def blob_sizes(self) -> tuple[int, int]:
        """How many blobs there are, and their bytes."""
        count, size = self._row("SELECT count(*), coalesce(sum(length(data)), 0) FROM blob")
        return int(count), int(size)

    def sizes_of(self, hashes: Iterable[Hash]) -> tuple[int, int]:
        """How many of these blobs are kept, and their bytes."""
        rows = (self._row("SELECT length(data) FROM blob WHERE hash = ?", digest) for digest in hashes)
        found = [int(row[0]) for row in rows if row is not None]
        return len(found), sum(found)

    def blob(self, digest: Hash) -> bytes | None:
        """The blob with this SHA-256, if kept; LocalError if the disk changed it."""
        row = self._row("SELECT data FROM blob WHERE hash = ?", digest)
        if row is None:
            return None
        data: bytes = row[0]
        if sha256(data).hexdigest() != digest:
            raise self._damaged(f"blob {digest[:16]} has changed on disk")
        return data

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

    def add_ticket(self, ticket_id: bytes, secret: bytes, role: str, uses: int, expires: int = 0) -> None:
        """Open an invitation for `uses` peers, until `expires` (Unix seconds; 0: for ever)."""
        with self._transaction():
            self._db.execute("INSERT INTO ticket VALUES (?, ?, ?, ?, ?)", (ticket_id, secret, role, uses, expires))

    def close_ticket(self, ticket_id: bytes) -> None:
        """Nobody enters with it any more."""
        with self._transaction():
            self._db.execute("DELETE FROM ticket WHERE id = ?", (ticket_id,))

    def ticket(self, ticket_id: bytes) -> StoredTicket | None:
        """The invitation, if uses of it are left. Whether it has expired its reader asks: a store has no clock."""
        row = self._row("SELECT secret, role, uses, expires FROM ticket WHERE id = ? AND uses > 0", ticket_id)
        return StoredTicket(*row) if row else None

    def open_tickets(self, now: float) -> int:
        """How many invitations somebody may still enter with."""
        row = self._row("SELECT count(*) FROM ticket WHERE uses > 0 AND (expires = 0 OR expires > ?)", now)
        return int(row[0]) if row else 0

    def close_tickets(self) -> None:
        """Nobody enters with any of them any more."""
        with self._transaction():
            self._db.execute("DELETE FROM ticket")

    def use_ticket(self, ticket_id: bytes) -> bool:
        """Take one use, durably; False if none was left."""
        with self._transaction():
            cursor = self._db.execute("UPDATE ticket SET uses = uses - 1 WHERE id = ? AND uses > 0", (ticket_id,))
            return cursor.rowcount == 1

    def allow(self, key: bytes, role: str, expires: int = 0) -> None:
        """Let the holder of `key` enter as `role`, until `expires` (Unix s; 0: for ever). The last word counts."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO allowed VALUES (?, ?, ?)", (key, role, expires))

    def disallow(self, key: bytes) -> bool:
        """Take that back; False if it was never said."""
        with self._transaction():
            return self._db.execute("DELETE FROM allowed WHERE key = ?", (key,)).rowcount == 1

    def allowed(self) -> tuple[StoredAllowed, ...]:
        """Every key that `allow` named, in order of the keys."""
        return tuple(StoredAllowed(*row) for row in self._rows("SELECT key, role, expires FROM allowed ORDER BY key"))
