"""The logs of a store: entries, the hashes over them, and the checkpoint that each is held under.

    entries 0 ........ 255 | 256 ........ 511 | 512 ... 600      of one log, as rows
            tile 0         | tile 1           |                  the 511 hashes over 256 entries, with their sum

Why tiles: hashing a million entries again takes seconds, reading 64 bytes for each of them does not. A tile is
written with the entry that completes it, in the same transaction.

Rules kept here: an entry once at (log, seq) is never replaced by other bytes, and no log has a gap; a strand begins
at the index in its name and shares what is before that with the log whose entry its `prev` names; a tile is used only
if its sum is right, and a tree only if it agrees with the checkpoint kept for the log. Hashes can always be computed
again, so a damaged tile costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from ledger.checkpoint import parse_checkpoint
from ledger.database import Database
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.kept import STRAND, PutCheckpoint, PutEntry, StoredCheckpoint, first_of
from ledger.merkle import HASH_BYTES, Tree, leaf_hash, verify_consistency

CHUNK_ROWS: Final = 256  # rows per query of an iteration, so that a slow reader pins no old snapshot of the WAL
TILE_HEIGHT: Final = 8
TILE_ENTRIES: Final = 1 << TILE_HEIGHT


class _Chained(msgspec.Struct):
    """All that the store reads in an entry, and only in the first of a strand."""

    prev: Hash


class StoredLogs(Database):
    """The part of a store that holds logs."""

    def __init__(self, path: Path, *, _readonly: bool = False) -> None:
        self._sizes: dict[PeerId, tuple[int, int]] = {}  # row id and size of each log, within one commit
        super().__init__(path, _readonly=_readonly)

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

    def tree(self, log: PeerId) -> Tree:
        """The tree over a log, from the hashes kept beside it; what is damaged in them is computed from the entries.

        LocalError if the entries themselves are not those that the checkpoint kept with them was signed for.
        """
        size = self.size(log)
        tree = Tree()
        self._grow(tree, log, size, tiles=True)
        if not self._agrees(log, tree):
            tree = Tree()
            self._grow(tree, log, size, tiles=False)
            if not self._agrees(log, tree):
                raise self._damaged(f"the entries of log {log[:8]} are not those its author signed for")
        return tree

    def _grow(self, tree: Tree, log: PeerId, stop: int, *, tiles: bool) -> None:
        """Let `tree` grow from its size to `stop` entries of a log."""
        first = first_of(log)
        if tree.size < min(first, stop):
            self._grow(tree, self._parent(log), min(first, stop), tiles=tiles)
        border = -(-first // TILE_ENTRIES)  # before it, a tile would be the parent's in part
        for tile in range(border, stop // TILE_ENTRIES) if tiles else ():
            self._hash(tree, log, tile * TILE_ENTRIES)
            row = self._row(
                "SELECT nodes, sum FROM tile WHERE log = (SELECT id FROM log WHERE peer = ?) AND number = ?", log, tile
            )
            if row is not None and _sum(row[0]) == row[1]:
                tree.extend(row[0], TILE_HEIGHT)
        self._hash(tree, log, stop)

    def _hash(self, tree: Tree, log: PeerId, stop: int) -> None:
        if tree.size < stop:
            for data in islice(self.entries(log, tree.size), stop - tree.size):
                tree.append(leaf_hash(data))

    def _agrees(self, log: PeerId, tree: Tree) -> bool:
        """Whether a tree is the one that the checkpoint kept for this log speaks of. Signatures are not checked."""
        kept = self.checkpoint(log)
        if kept is None or not 0 < kept.held <= tree.size:
            return True
        try:
            _, signed = parse_checkpoint(kept.note)
            verify_consistency(kept.held, signed.size, tree.root(kept.held), signed.root, kept.proof)
        except RemoteError:
            return False
        return True

    def size(self, log: PeerId) -> int:
        """How many entries a log has here, a strand's shared beginning included."""
        query = "SELECT max(seq) + 1 FROM entry WHERE log = (SELECT id FROM log WHERE peer = ?)"
        return self._row(query, log)[0] or 0

    def head(self, log: PeerId) -> Hash:
        """The hash of the last entry of a log: what the next one's `prev` must be. "" if there is none."""
        data = self.entry(log, self.size(log) - 1)
        return "" if data is None else sha256(data).hexdigest()

    def checkpoint(self, log: PeerId) -> StoredCheckpoint | None:
        """The checkpoint of a log that PutCheckpoint kept."""
        row = self._row("SELECT size, note, held, proof FROM checkpoint WHERE peer = ?", log)
        if row is None:
            return None
        size, note, held, proof = row
        return StoredCheckpoint(
            size, note, held, tuple(proof[at : at + HASH_BYTES] for at in range(0, len(proof), HASH_BYTES))
        )

    # -------------------------------------------------------------- writing, within a transaction

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
            if not size % TILE_ENTRIES:
                self._keep_tile(number, size // TILE_ENTRIES - 1)
        self._sizes[write.log] = (number, size)

    def _keep_tile(self, number: int, tile: int) -> None:
        """Keep the hashes over entries `tile` * 256 and the following 255, if they are all in this log's own rows."""
        query = "SELECT data FROM entry WHERE log = ? AND seq >= ? ORDER BY seq LIMIT ?"
        rows = self._rows(query, number, tile * TILE_ENTRIES, TILE_ENTRIES)
        if len(rows) == TILE_ENTRIES:
            nodes = Tree(leaf_hash(data) for (data,) in rows).nodes()
            self._db.execute("INSERT OR REPLACE INTO tile VALUES (?, ?, ?, ?)", (number, tile, nodes, _sum(nodes)))

    def _upgraded(self, version: int) -> None:
        if version >= 2:
            return  # its tiles are kept
        query = "SELECT log.id, (SELECT max(seq) + 1 FROM entry WHERE log = log.id) FROM log"
        for number, size in self._rows(query):
            for tile in range((size or 0) // TILE_ENTRIES):
                self._keep_tile(number, tile)

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


def _previous(entry: bytes) -> Hash:
    try:
        return msgspec.json.decode(entry, type=_Chained).prev
    except (ValueError, RecursionError):
        return ""


def _sum(nodes: bytes) -> bytes:
    return sha256(nodes).digest()
