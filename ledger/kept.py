"""What a store can be told to keep, and what it gives back: the words, without the disk.

A strand (another branch of a log, docs/ledger.md) is kept under an id of its own, `peer~fork~hash`: its entries
begin at index `fork`, and everything before that is its parent's. `log` below means a trunk or a strand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.entry import Hash, PeerId

STRAND: Final = "~"  # between the parts of a strand's id; in no peer id


def first_of(log: PeerId) -> int:
    """The index of the first entry that is kept under this id."""
    return int(log.split(STRAND)[1]) if STRAND in log else 0


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
    """Keep the best checkpoint of a log: the one that covers more of what is held, then the one that signs more.

    `note` signs `size` entries, `held` of which we hold (all, if not given); `proof` is the consistency proof from
    `held` to `size`, 32 bytes a hash.
    """

    log: PeerId
    size: int
    note: bytes
    held: int | None = None
    proof: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class PutWitnessed:
    """Remember (size, root) of a log before it is cosigned. LocalError if it goes back, or if this would be a second
    root for one size."""

    log: PeerId
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class PutVote:
    """Remember the snapshot that this peer, as a fixed witness, votes for: entry `size` - 1 of a log, by its hash."""

    log: PeerId
    size: int
    hash: Hash


@dataclass(frozen=True, slots=True)
class PutCosigned:
    """Keep the newest note of a log that carries cosignatures; one of a smaller size is ignored."""

    log: PeerId
    size: int
    note: bytes


@dataclass(frozen=True, slots=True)
class PutMeta:
    """Set what this peer knows of itself."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class PutBase:
    """Keep the sums of a final snapshot's past (docs/adr/0005-pruning.md) in place of the base kept before.

    `log` and `seq` are the snapshot's, `sums` 8 bytes little-endian for each parameter, not clamped.
    """

    log: PeerId
    seq: int
    sums: bytes


@dataclass(frozen=True, slots=True)
class DropBlobs:
    """Let go of these blobs. LocalError where no base is kept: what they add to the model would be lost."""

    hashes: tuple[Hash, ...]


Write = PutEntry | PutBlob | PutCheckpoint | PutWitnessed | PutVote | PutCosigned | PutMeta | PutBase | DropBlobs


class StoredCheckpoint(NamedTuple):
    """What PutCheckpoint kept."""

    size: int
    note: bytes
    held: int
    proof: tuple[bytes, ...]


class StoredVote(NamedTuple):
    """What PutVote kept."""

    log: PeerId
    size: int
    hash: Hash


class StoredBase(NamedTuple):
    """What PutBase kept."""

    log: PeerId
    seq: int
    sums: bytes


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """An invitation that is still open: `uses` more peers may enter with it."""

    secret: bytes
    role: str
    uses: int
    expires: int  # Unix seconds: from then on it is good for nobody; 0: never


@dataclass(frozen=True, slots=True)
class StoredAllowed:
    """A key whose holder may enter without a secret."""

    key: bytes
    role: str
    expires: int  # Unix seconds: from then on it may not, and its membership ends; 0: never
