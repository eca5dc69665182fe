"""The disk of a simulated peer: what a crash leaves, and what it takes.

    Append, Keep, KeepCheckpoint --one after another--> DISK_S later on disk      (the store)
    the mark of what was signed  ----------------------> on disk at once           (a file of its own)

A power cut may leave half of a row. It is there at the next start, as the bytes of a write-ahead log are, and its
checksum is wrong: `recover` drops it, as SQLite does. Backups are copies of it. It refuses to know what is written.
"""

from __future__ import annotations

from hashlib import sha256

from ledger.entry import Hash, PeerId
from ledger.errors import LocalError
from ledger.kept import StoredBase, StoredCheckpoint, StoredVote

Mark = tuple[int, Hash]  # size and root (hex) of the own log


class Memory:
    """The store of a simulated peer, and its mark."""

    def __init__(self) -> None:
        self.history: list[tuple[PeerId, int, bytes]] = []
        self._places: set[tuple[PeerId, int]] = set()
        self.blobs: dict[Hash, bytes] = {}
        self.checkpoints: dict[PeerId, StoredCheckpoint] = {}
        self.mark: Mark | None = None
        self.promises: dict[PeerId, tuple[int, bytes]] = {}  # what was witnessed: (size, root)
        self.last_vote: StoredVote | None = None
        self.notes: dict[PeerId, tuple[int, bytes]] = {}  # with cosignatures: (size, note)
        self.kept_model: tuple[Hash, bytes] = ("", b"")  # of a final snapshot
        self.base: StoredBase | None = None
        self.rendezvous = b""  # where members meet, as the machine kept it
        self._gone: dict[Hash, bytes] = {}  # blobs that were let go of: nobody asks for these but who checks the rules
        self._meant = b""  # the checksum of the last row, as it was to be
        self._under_way: dict[Hash, bytes] = {}  # blobs that were given to the disk and are not on it yet

    def blob(self, digest: Hash, /) -> bytes | None:
        return self.blobs.get(digest) or self._under_way.get(digest)

    def ever(self, digest: Hash, /) -> bytes | None:
        """The blob, if it was ever on this disk."""
        return self.blob(digest) or self._gone.get(digest)

    def drop(self, hashes: tuple[Hash, ...]) -> None:
        """Let go of blobs. LocalError as the store has it."""
        if self.base is None:
            raise LocalError("will not let go of blobs", why="no base is kept that holds what they add")
        self._gone |= {digest: self.blobs.pop(digest) for digest in hashes if digest in self.blobs}

    def checkpoint(self, log: PeerId, /) -> StoredCheckpoint | None:
        return self.checkpoints.get(log)

    def witnessed(self, log: PeerId, /) -> tuple[int, bytes] | None:
        return self.promises.get(log)

    def vote(self) -> StoredVote | None:
        return self.last_vote

    def cosigned(self, log: PeerId, /) -> tuple[int, bytes] | None:
        return self.notes.get(log)

    def model(self) -> Hash:
        return self.kept_model[0]

    def model_part(self, begin: int, end: int, /) -> bytes:
        data = self.kept_model[1]
        return data[begin:end] if end <= len(data) else b""

    def begin(self, blob: bytes | None) -> None:
        """A blob is on its way to the disk."""
        if blob is not None:
            self._under_way[sha256(blob).hexdigest()] = blob

    def put(self, log: PeerId, seq: int, entry: bytes, blob: bytes | None) -> None:
        """An entry and its blob are on the disk."""
        if (log, seq) not in self._places:  # an entry may come again, with a blob that was not asked for before
            self._places.add((log, seq))
            self.history.append((log, seq, entry))
            self._meant = sha256(entry).digest()
        if blob is not None:
            self.blobs[sha256(blob).hexdigest()] = blob

    def tear(self, log: PeerId, seq: int, entry: bytes) -> None:
        """The power went while an entry was being written: half of it is there."""
        if (log, seq) not in self._places:
            self._places.add((log, seq))
            self.history.append((log, seq, entry[: len(entry) // 2]))
            self._meant = sha256(entry).digest()

    def recover(self) -> None:
        """At a start: drop what was not written to its end."""
        if self.history and sha256(self.history[-1][2]).digest() != self._meant:
            log, seq, _ = self.history.pop()
            self._places.remove((log, seq))
            self._meant = sha256(self.history[-1][2]).digest() if self.history else b""

    def sign(self, size: int, root: Hash) -> None:
        """Move the mark; LocalError if that would fork the own log, as ledger/mark.py has it."""
        if self.mark is not None and (size < self.mark[0] or (size == self.mark[0] and root != self.mark[1])):
            raise LocalError("will not sign another history", why=f"{size} after {self.mark[0]}")
        self.mark = (size, root)

    def crash(self) -> None:
        """What was not on the disk is gone."""
        self._under_way.clear()

    def copy(self) -> Memory:
        """A backup."""
        other = Memory()
        other.history, other.blobs = list(self.history), dict(self.blobs)
        other._places, other._meant = set(self._places), self._meant
        other.kept_model, other.base, other._gone = self.kept_model, self.base, dict(self._gone)
        other.checkpoints, other.mark = dict(self.checkpoints), self.mark
        other.promises, other.last_vote, other.notes = dict(self.promises), self.last_vote, dict(self.notes)
        return other
