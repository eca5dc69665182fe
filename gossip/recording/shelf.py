"""What a machine looks up in its store: noted while it is recorded, answered from the notes when it is replayed.

    machine --asks--> Noting --asks--> the node's store         Noted --asks--> notes, and the blobs of a store
                        `--> notes

Why: what the disk has answered by the time of an event is luck (a write may have reached it or not), and at the replay
the store has gone on. Blobs are noted as found or not: their bytes are their name. It refuses to know why the machine
asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from gossip.peer.book import Shelf
from gossip.recording.records import (
    BlobSought,
    CheckpointSought,
    CosignedSought,
    ModelPartSought,
    ModelSought,
    Sought,
    VoteSought,
    WitnessedSought,
)
from ledger.entry import Hash, PeerId
from ledger.kept import StoredCheckpoint, StoredVote

N = TypeVar("N", bound=Sought)


class Noting:
    """A shelf that notes what was asked of it."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._notes: list[Sought] | None = []

    def stop(self) -> None:
        """Nobody asks for notes any more."""
        self._notes = None

    def take(self) -> tuple[Sought, ...]:
        """What was asked since the last take."""
        notes, self._notes = tuple(self._notes or ()), []
        return notes

    def _note(self, note: Sought) -> None:
        if self._notes is not None:
            self._notes.append(note)

    def blob(self, digest: Hash, /) -> bytes | None:
        found = self._shelf.blob(digest)
        self._note(BlobSought(digest, found is not None))
        return found

    def checkpoint(self, log: PeerId, /) -> StoredCheckpoint | None:
        found = self._shelf.checkpoint(log)
        self._note(CheckpointSought(log, found))
        return found

    def witnessed(self, log: PeerId, /) -> tuple[int, bytes] | None:
        found = self._shelf.witnessed(log)
        self._note(WitnessedSought(log, found))
        return found

    def vote(self) -> StoredVote | None:
        found = self._shelf.vote()
        self._note(VoteSought(found))
        return found

    def cosigned(self, log: PeerId, /) -> tuple[int, bytes] | None:
        found = self._shelf.cosigned(log)
        self._note(CosignedSought(log, found))
        return found

    def model(self) -> Hash:
        found = self._shelf.model()
        self._note(ModelSought(found))
        return found

    def model_part(self, begin: int, end: int, /) -> bytes:
        found = self._shelf.model_part(begin, end)
        self._note(ModelPartSought(begin, end, found))
        return found


class Astray(Exception):
    """The machine looked up something else than it did when it was recorded."""


class Lacking(Exception):
    """The store lacks a blob that was found when the machine was recorded."""


class Noted:
    """A shelf that answers what was noted, in the same order. Astray if it is asked anything else."""

    def __init__(self, stored: Callable[[Hash], bytes | None]) -> None:
        self._stored = stored
        self._kept: dict[Hash, bytes] = {}
        self._notes: Sequence[Sought] = ()
        self._at = 0

    def give(self, notes: Sequence[Sought]) -> None:
        """What will be asked next."""
        self._notes, self._at = notes, 0

    def end(self) -> None:
        """Astray if less was asked than noted."""
        if self._at < len(self._notes):
            raise Astray(f"it did not look up {_told(self._notes[self._at])}, and looked that up when it was recorded")

    def keep(self, blob: bytes | None) -> None:
        """The machine has asked for this blob to be kept."""
        if blob is not None:
            self._kept[sha256(blob).hexdigest()] = blob

    def _next(self, asked: str, kind: type[N], key: str = "") -> N:
        note = self._notes[self._at] if self._at < len(self._notes) else None
        if not isinstance(note, kind) or key not in ("", _key(note)):
            instead = _told(note) if note is not None else "nothing more"
            raise Astray(f"it looked up {asked} {key[:8]}".rstrip() + f", and {instead} when it was recorded")
        self._at += 1
        return note

    def blob(self, digest: Hash, /) -> bytes | None:
        note = self._next("blob", BlobSought, digest)
        if not note.found:
            return None
        found = self._kept.get(digest) or self._stored(digest)
        if found is None:
            raise Lacking(digest)
        return found

    def checkpoint(self, log: PeerId, /) -> StoredCheckpoint | None:
        return self._next("checkpoint", CheckpointSought, log).found

    def witnessed(self, log: PeerId, /) -> tuple[int, bytes] | None:
        return self._next("witnessed", WitnessedSought, log).found

    def vote(self) -> StoredVote | None:
        return self._next("vote", VoteSought).found

    def cosigned(self, log: PeerId, /) -> tuple[int, bytes] | None:
        return self._next("cosigned", CosignedSought, log).found

    def model(self) -> Hash:
        return self._next("model", ModelSought).found

    def model_part(self, begin: int, end: int, /) -> bytes:
        return self._next("model_part", ModelPartSought, f"{begin}-{end}").found


def _key(note: Sought) -> str:
    match note:
        case BlobSought(digest):
            return digest
        case VoteSought() | ModelSought():
            return ""
        case ModelPartSought(begin, end):
            return f"{begin}-{end}"
        case _:
            return note.log


def _told(note: Sought) -> str:
    return f"{note.__struct_config__.tag} {_key(note)[:8]}".rstrip()
