"""The closed set of messages between two peers, and how large each may be.

Why it exists: everything that a link can say is a type on this page, and nothing else is. Their bytes are codec.py's;
docs/frames.md is the prose, with one of each.

Rules kept here: every limit has a name and a reason, and no message is beyond MAX_MESSAGE_BYTES. The transport has
proven who the sender is; this file refuses to know, and refuses to know what the entries say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ledger.entry import Hash, PeerId
from ledger.merkle import HASH_BYTES

MAX_MESSAGE_BYTES: Final = 65_536  # a browser's data channel moves this everywhere
HEAD_BYTES: Final = 8  # of a log's last entry's hash: enough to notice another branch, proofs come later
MAX_HAVE: Final = (MAX_MESSAGE_BYTES - 3) // (36 + HEAD_BYTES)  # 1,489 logs in one message; more logs, more messages
MAX_ROWS: Final = (MAX_MESSAGE_BYTES - 79) // 68  # 962 logs in one message
MAX_CITED: Final = 1 << 16  # logs that one entry can cite
MAX_PROOF: Final = 64  # a consistency proof of 2^32 leaves has at most 33 hashes
MAX_BATCH: Final = 1024  # entries in one message; the smallest real entry has about 300 bytes
PIECE_BYTES: Final = 32 * 1024  # of a blob in one message: two pieces of the transport
MAX_WINDOW_BYTES: Final = 256 * 1024  # asked for at once: eight messages in flight fill a fast link
MAX_SIZE: Final = (1 << 32) - 1
NO_HASH: Final = "0" * 64  # `prev` where there is nothing before
DIGEST_TAG: Final = b"\x01"  # the first byte of a message says what it is
HAVE_TAG: Final = b"\x02"
WANT_TAG: Final = b"\x03"
ENTRIES_TAG: Final = b"\x04"
WANT_BLOB_TAG: Final = b"\x05"
PIECE_TAG: Final = b"\x06"
LACKS_TAG: Final = b"\x07"
VOUCH_TAG: Final = b"\x08"
DIFFERS_TAG: Final = b"\x09"
TRACE_TAG: Final = b"\x0a"
ROWS_TAG: Final = b"\x0b"
TALLY_TAG: Final = b"\x0c"
MAX_VOUCHERS: Final = 64  # cosignatures in one Vouch: a genesis names at most so many witnesses
MAX_TALLY: Final = (MAX_MESSAGE_BYTES - 3) // 13  # rows in one message; more, more messages
PACKED_TAG: Final = b"\x0d"
MIN_PACKED_BYTES: Final = 256  # what is shorter is hardly made shorter
LATEST_TAG: Final = b"\x0e"
WANT_PARTS_TAG: Final = b"\x0f"
PARTS_TAG: Final = b"\x10"
PART_BYTES: Final = 64 * 1024  # of a model under one hash of its manifest: two pieces, so little is lost with a link
MAX_PARTS: Final = (
    MAX_MESSAGE_BYTES - 39
) // 32  # 2,046 hashes in one message: a model of 134 MB, or 16 million weights
LEAD_TAG: Final = b"\x11"
BUNDLED_TAG: Final = b"\x12"
MAX_PACE: Final = 40  # powers of two of bytes a second: a terabyte
MAX_BUNDLED: Final = 1024  # updates in one sum, as in gossip/merging/bundled_sum.py
MAX_BUNDLED_BYTES: Final = 1 << 20  # more than any sum that is allowed there
LEASE_TAG: Final = b"\x13"
MAX_BORROWERS: Final = 64  # named by one lender: a lease, which lists them, is one message
RENDEZVOUS_TAG: Final = b"\x14"
SECRET_BYTES: Final = 32
MAX_SPEAKERS: Final = 64  # logs that a rendezvous names: as many as genesis can have admins
MAX_TIME: Final = (1 << 63) - 1  # as in ledger/cosignature.py

SHORT_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Digest:
    """`vector` is vector_hash() of what the sender holds; `ask`: answer with yours, so that I can compare."""

    vector: Hash
    ask: bool


@dataclass(frozen=True, slots=True)
class Have:
    """The sender holds these logs at least up to these sizes (>= 1): rows (log, size, head), strictly rising, where
    `head` is the first 8 bytes of the SHA-256 of entry size - 1. Two branches of one log are two rows."""

    rows: tuple[tuple[PeerId, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Want:
    """Please send entries start..stop of `log`. `prev` is the SHA-256 of entry start - 1 as the sender holds
    it (NO_HASH at 0): who holds only another one holds another branch, and answers Differs. `root` names the branch
    whose root at `stop` is that (NO_HASH: any that goes on after `prev`)."""

    log: PeerId
    start: int
    stop: int
    prev: Hash
    root: Hash = NO_HASH


@dataclass(frozen=True, slots=True)
class Entries:
    """A stretch of a log. `note` is a checkpoint by the log's author whose size is at least the stretch's end,
    `proof` the consistency proof from that end to the checkpoint (empty if they are equal)."""

    log: PeerId
    start: int
    note: bytes
    proof: tuple[bytes, ...]
    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Differs:
    """A Want was not after my entry start - 1: this one. `note` is a checkpoint by the log's author, `proof` the
    inclusion proof of that entry in it: with its own half the asker has the evidence of a fork."""

    log: PeerId
    start: int  # >= 1
    note: bytes
    proof: tuple[bytes, ...]
    entry: bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """Which logs does entry `seq` of `log`, the one with that hash, cite? To who sent it; rows from `first` on."""

    log: PeerId
    seq: int
    entry: Hash
    first: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows `first`... of the `total` (peer, size, root) whose hash is `heads` of that entry, sorted."""

    log: PeerId
    seq: int
    entry: Hash
    first: int
    total: int
    rows: tuple[tuple[PeerId, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class WantBlob:
    hash: Hash
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Piece:
    hash: Hash
    total: int  # bytes of the whole blob
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Lacks:
    hash: Hash


@dataclass(frozen=True, slots=True)
class Voucher:
    """One witness's cosignature (ledger/cosignature.py), as it travels."""

    witness: PeerId
    time: int  # Unix time, seconds
    signature: bytes  # 64


@dataclass(frozen=True, slots=True)
class Vouch:
    """A checkpoint of `log` with its author's signature (over the checkpoint's text), and what witnesses added:
    sorted by witness, each once."""

    log: PeerId
    size: int  # >= 1
    root: bytes
    signature: bytes  # 64
    vouchers: tuple[Voucher, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows (log, size, signatures), strictly rising: of the checkpoint of exactly that size the sender holds so many
    signatures, the author's included; 0 says that it does not hold it. Who holds more sends a Vouch. A log goes by
    short_name() here, for this is only a hint and the most frequent of its kind."""

    rows: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest final snapshot whose model the sender holds: the entry, the inclusion proof that it is the last of its
    log as `note` has it, and in `note` the cosignatures of a majority of the witnesses that genesis names."""

    log: PeerId
    note: bytes
    proof: tuple[bytes, ...]
    entry: bytes


@dataclass(frozen=True, slots=True)
class WantParts:
    """Which hashes have the parts of that model, from part `first` on? NO_HASH: which is your Latest?"""

    model: Hash
    first: int


@dataclass(frozen=True, slots=True)
class Parts:
    """SHA-256 of the parts of a model, each of PART_BYTES but the last, from part `first` on. The parts themselves are
    asked for with WantBlob: a model is a blob whose hash is its name."""

    model: Hash
    first: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Lead:
    """The sender bundles for others, or does so no more. `pace`: blobs came to it at about 2 ^ pace bytes a second; 0:
    it does not know. A hint, and nothing more."""

    pace: int
    bundles: bool


@dataclass(frozen=True, slots=True)
class Bundled:
    """A sum of updates that the sender has, as a blob: ask for it with WantBlob. Rows (log, first, last): what it names
    of a log lies within; a log goes by short_name(), strictly rising. The sum itself says exactly what it names."""

    sum: Hash
    bytes: int
    updates: int
    rows: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """Of the sender's public data set with this root the shards (number, SHA-256, bytes) are the receiver's, since
    `epoch` and until the next Lease: `among` are all who share it, strictly rising, and who gets what follows from
    that (gossip/peer/lease.py). None of either: nothing is lent any more."""

    root: Hash
    epoch: int  # Unix time of its beginning, by the sender's clock
    among: tuple[PeerId, ...]
    shards: tuple[tuple[int, Hash, int], ...]


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Where members meet beyond the LAN: a secret that namespaces are made of. The `author`, an admin, held `heads` of
    the logs in which admins put members out, its own among them, rows (log, size), strictly rising: whoever holds less
    takes it later, so that nobody passes it on to somebody whom its author knew to be out."""

    epoch: int  # >= 1
    secret: bytes = field(repr=False)  # 32
    author: PeerId
    heads: tuple[tuple[PeerId, int], ...]
    signature: bytes = field(repr=False)  # 64


Frame = (
    Digest | Have | Want | Entries | Differs | Trace | Rows | WantBlob | Piece | Lacks | Vouch | Tally
    | Latest | WantParts | Parts | Lead | Bundled | Lease | Rendezvous
)  # fmt: skip


def short_name(log: PeerId) -> str:
    """The first 8 bytes of a log's id, in hex."""
    return log[: 2 * SHORT_BYTES]


def entries_room(note: bytes, proof: tuple[bytes, ...]) -> int:
    """Bytes left for entries (each with two bytes of length) in an Entries message with this note and proof."""
    return MAX_MESSAGE_BYTES - (1 + HASH_BYTES + 4 + 2 + len(note) + 1 + HASH_BYTES * len(proof) + 2)
