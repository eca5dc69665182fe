"""The vocabulary of the project: everything that can happen to a peer, and everything it can ask for.

The peer is a machine with one door, `handle(event, now) -> tuple[Effect, ...]`. The real node, the
simulator and the fuzzer all feed it these events and carry out these effects; nothing else passes.

    world --Event--> Peer.handle --Effect--> world
             Found, LinkUp, Received, Trained, Stored, Timer ...
                                   Dial, Send, Append, Train, SetTimer, Note ...

`now` is seconds since the Unix epoch and never goes back. Effects are carried out in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ledger.entry import Data, Hash, Measured, PeerId, Role, Scores
from ledger.keys import PrivateKey

LinkId = int  # chosen by the shell, never reused within a run


# ------------------------------------------------------------------ events


@dataclass(frozen=True, slots=True)
class Started:
    """The store has been read back; the machine may act."""


@dataclass(frozen=True, slots=True)
class Found:
    """Discovery or the user names an address. A hint, never a fact."""

    host: str
    port: int
    key: bytes | None  # 32-byte public key if the hint names one


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A link whose far end has proven `key` over the channel's own fingerprints."""

    link: LinkId
    key: bytes
    dialled: bool  # by us
    role: str = ""  # that a guest may enter in; "": no guest
    address: tuple[str, int] | None = None  # where we dialled, if we did
    expires: int = 0  # when a guest's membership is to end, Unix seconds; 0: never


@dataclass(frozen=True, slots=True)
class LinkDown:
    link: LinkId
    reason: str


@dataclass(frozen=True, slots=True)
class DialFailed:
    host: str
    port: int
    key: bytes | None
    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    link: LinkId
    message: bytes  # one whole wire message (wire/frames.py), at most MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class DataReady:
    """The trainer has read its data. `commitment` is a Data entry whose chain fields the machine fills in."""

    commitment: Data
    epoch_s: float  # measured or estimated time of one round
    sketch: bytes = b""  # the blob that the commitment names as its sketch, if it has one
    steps: int = 0  # local steps of one round, as the model declares; 0: every round is as long as the trainer likes


@dataclass(frozen=True, slots=True)
class Relabelled:
    """The owner has judged what is in the data, or taken that back: have them read again when no round is under way."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The answer to Train. `blob` is an encoded delta (ledger/delta.py)."""

    round: int
    blob: bytes
    steps: int
    examples: int
    scores: Scores
    seconds: float
    epsilon: int = (
        0  # thousandths: privacy spent with this delta and all before it, charged already; 0: none is claimed
    )


@dataclass(frozen=True, slots=True)
class TrainingFailed:
    round: int
    reason: str
    is_over: bool = True  # no other round is to be tried; False: this one diverged, and gave nothing


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything asked for with Append up to own entry `seq` is on disk, fsynced."""

    seq: int


@dataclass(frozen=True, slots=True)
class WitnessedStored:
    """What KeepWitnessed or KeepVote asked for is on disk, fsynced: that checkpoint of `log` may be cosigned now."""

    log: PeerId
    size: int


@dataclass(frozen=True, slots=True)
class NewKey:
    """The owner changes keys: write it, and sign with `key` from then on.

    `key` is the one that the own log promises, `promise` the digest of the one after it; both are on disk.
    """

    key: PrivateKey
    promise: Hash
    recover: bool = False  # because the key in force was stolen or lost
    since: int | None = None  # then: own updates from that entry on leave the model; None: none of them


@dataclass(frozen=True, slots=True)
class Anchored:
    """The owner has a time stamp over the checkpoint of the first `size` own entries: keep it in the own log.

    `token` is the TimeStampToken as its authority made it, and was checked by whoever brings it (ledger/timestamp.py).
    """

    size: int
    token: bytes


@dataclass(frozen=True, slots=True)
class RecordsOpened:
    """The answer to OpenRecords. `blob` is the opening as it goes to the challenger; b"": it cannot be made."""

    challenger: PeerId
    seq: int  # of the challenge in that peer's log
    blob: bytes


@dataclass(frozen=True, slots=True)
class ShardsCut:
    """The answer to CutShards: all of them by number, b"" for one without records; (): they cannot be made."""

    root: Hash
    shards: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Inspected:
    """The answer to Inspect: facts of the policy by name ("opened.malformed") and what was found; None: not looked."""

    number: int
    measured: dict[str, int] | None


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer to Judge: on the own holdout, on the policy's canary set, on both, or () if neither is here.

    `loss_milli`: by how many thousandths of a nat own rows, weighted as `labels` of the question, fare worse further
    than back (gossip/quality/leaning.py); None if too few of them have such labels.
    """

    number: int
    measured: tuple[Measured, ...]
    loss_milli: int | None = None


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """The owner, an admin, wants this policy in force: say so in the own log."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Admit:
    """The owner, an admin, wants a member to stay longer, or in another role: say so in the own log."""

    peer: PeerId
    role: Role
    expires: int  # Unix seconds; 0: never


@dataclass(frozen=True, slots=True)
class Revoking:
    """The owner, an admin, wants a member out, and nothing of its log to count from entry `since` on."""

    peer: PeerId
    since: int


@dataclass(frozen=True, slots=True)
class NewRendezvous:
    """The owner, an admin, has the members meet elsewhere from now on: sign this secret and tell them.

    Sent when Peer.wants_rendezvous says so; the machine draws no luck that others must not guess.
    """

    secret: bytes = field(repr=False)  # 32, as random as this machine can make them


@dataclass(frozen=True, slots=True)
class Timer:
    name: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Begin no round from now on, and say why; what is under way is finished. An empty reason: go on."""

    reason: str  # for people: "on battery"


@dataclass(frozen=True, slots=True)
class Woke:
    """This machine slept, or stands at another address: who could not be reached may be there now.

    Dials that were under way are over, each with its DialFailed before this.
    """

    slept_s: float  # 0: it did not
    moved: bool = False  # its addresses are others now: links over the old ones are dead, even if nothing says so


@dataclass(frozen=True, slots=True)
class Drain:
    """Stop training; finish what is in flight, publish a last snapshot, keep gossiping."""


Event = (
    Started
    | Found
    | LinkUp
    | LinkDown
    | DialFailed
    | Received
    | DataReady
    | Relabelled
    | Trained
    | TrainingFailed
    | Stored
    | WitnessedStored
    | NewKey
    | Anchored
    | RecordsOpened
    | ShardsCut
    | Inspected
    | Judged
    | NewPolicy
    | Admit
    | Revoking
    | NewRendezvous
    | Timer
    | Pause
    | Woke
    | Drain
)

# ------------------------------------------------------------------ effects


@dataclass(frozen=True, slots=True)
class Dial:
    host: str
    port: int
    key: bytes | None  # refuse anyone else, if given


@dataclass(frozen=True, slots=True)
class Send:
    link: LinkId
    message: bytes
    bulk: bool = False  # the bulk channel: blob pieces


@dataclass(frozen=True, slots=True)
class Drop:
    link: LinkId
    reason: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Deliver Timer(name) at `at`; a later SetTimer of the same name replaces it."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Append:
    """Store an own entry (and its blob) durably, then answer Stored(seq)."""

    seq: int
    entry: bytes
    blob: bytes | None


@dataclass(frozen=True, slots=True)
class Keep:
    """Store another peer's admitted entry (and the blob it names, if not yet kept)."""

    log: PeerId
    seq: int
    entry: bytes
    blob: bytes | None


@dataclass(frozen=True, slots=True)
class KeepCheckpoint:
    """Store a signed checkpoint of a log (own or another's): a C2SP signed note over `size` entries. Others' notes may
    sign more than we hold: then `held` says how much that is (else all), and `proof` is the consistency proof."""

    log: PeerId
    size: int
    note: bytes
    held: int | None = None
    proof: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepWitnessed:
    """Store durably which root of `log` this peer is about to cosign, then answer WitnessedStored(log, size)."""

    log: PeerId
    size: int
    root: bytes  # 32


@dataclass(frozen=True, slots=True)
class KeepVote:
    """Store durably which snapshot this peer is about to vote for (entry `size` - 1 of `log`, by its hash), then
    answer WitnessedStored(log, size)."""

    log: PeerId
    size: int
    hash: Hash


@dataclass(frozen=True, slots=True)
class KeepCosigned:
    """Store the newest checkpoint of a log that carries witnesses' cosignatures: a C2SP signed note."""

    log: PeerId
    size: int
    note: bytes


@dataclass(frozen=True, slots=True)
class KeepModel:
    """Store this model of a final snapshot in place of the one kept before, so that who comes late can be given it."""

    model: Hash
    data: bytes  # whose SHA-256 that is


@dataclass(frozen=True, slots=True)
class KeepBase:
    """Store the sums of a final snapshot's past in place of those kept before: a restart may begin from them."""

    log: PeerId
    seq: int  # of the snapshot
    sums: bytes  # 8 for each parameter, little-endian, not clamped


@dataclass(frozen=True, slots=True)
class KeepRendezvous:
    """Store where members meet, in place of what was kept before: PeerConfig.rendezvous of the next run."""

    data: bytes = field(repr=False)  # a message of wire/meeting.py, secret and signature and all


@dataclass(frozen=True, slots=True)
class DropBlobs:
    """Let go of these deltas, once the base that was stored before is on disk."""

    hashes: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Train:
    """Train from `theta` and answer Trained(round). Training reads its own data; the machine never sees it."""

    round: int
    theta: np.ndarray  # float32[parameters], read-only: the model, rounded once
    spent: int = 0  # thousandths of epsilon in our newest update: an account that knows of less is an old copy
    steps: int = 0  # local steps; 0: as many as the model declares
    density_permille: int = 0  # of the share of elements that the model declares, 1..1000; 0: all of that share
    published: Hash = ""  # the delta of our newest update: a round of which it is not, was thrown away


@dataclass(frozen=True, slots=True)
class OpenRecords:
    """Open the records of the own public data set `root` that a challenge picked; answer RecordsOpened."""

    challenger: PeerId
    seq: int  # of the challenge in that peer's log
    root: Hash
    signature: bytes  # 64: with `count` it says which records (ledger/opening.py)
    count: int


@dataclass(frozen=True, slots=True)
class CutShards:
    """Cut the own public data set `root` into shards to be lent; answer ShardsCut."""

    root: Hash


@dataclass(frozen=True, slots=True)
class KeepRows:
    """Keep the records of a shard that was lent, and has been proven, for a Borrow that names it."""

    shard: Hash
    records: tuple[tuple[bytes, bytes], ...]  # (key, value)


@dataclass(frozen=True, slots=True)
class Borrowed:
    """One shard that is trained on."""

    lender: PeerId
    root: Hash  # of the lender's data set
    shard: Hash
    licence: str  # of it, as the lender says


@dataclass(frozen=True, slots=True)
class Borrow:
    """From now on train on own rows and those of these shards, all of them kept. Answer DataReady. No Train comes
    before that."""

    shards: tuple[Borrowed, ...]


@dataclass(frozen=True, slots=True)
class DropRows:
    """Remove the rows of these shards, none of which is trained on any more."""

    shards: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Inspect:
    """Look at records that another peer has opened, their labels above all; answer Inspected(number)."""

    number: int
    records: tuple[tuple[bytes, bytes], ...]  # (key, value)


@dataclass(frozen=True, slots=True)
class Judge:
    """Compare models with more of the updates judged, as it is, and with less, on own rows; answer Judged(number)."""

    number: int
    given: np.ndarray  # float32[parameters], read-only
    without: np.ndarray  # as it is
    back: np.ndarray  # as far the other way as `given` is theirs
    labels: Mapping[str, int]  # how many rows of each label their author says it has


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person may want to see; it decides nothing. `kind` names a row of the table in docs/events.md."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)


Effect = (
    Dial
    | Send
    | Drop
    | SetTimer
    | Append
    | Keep
    | KeepCheckpoint
    | KeepWitnessed
    | KeepVote
    | KeepCosigned
    | KeepModel
    | KeepBase
    | KeepRendezvous
    | DropBlobs
    | Train
    | OpenRecords
    | CutShards
    | KeepRows
    | Borrow
    | DropRows
    | Inspect
    | Judge
    | Note
)


__all__ = [
    "Admit",
    "Anchored",
    "Append",
    "Borrow",
    "Borrowed",
    "CutShards",
    "DataReady",
    "Dial",
    "DialFailed",
    "Drain",
    "Drop",
    "DropBlobs",
    "DropRows",
    "Effect",
    "Event",
    "Found",
    "Hash",
    "Inspect",
    "Inspected",
    "Judge",
    "Judged",
    "Keep",
    "KeepBase",
    "KeepCheckpoint",
    "KeepCosigned",
    "KeepModel",
    "KeepRendezvous",
    "KeepRows",
    "KeepVote",
    "KeepWitnessed",
    "LinkDown",
    "LinkId",
    "LinkUp",
    "NewKey",
    "NewPolicy",
    "NewRendezvous",
    "Note",
    "OpenRecords",
    "Pause",
    "Received",
    "RecordsOpened",
    "Relabelled",
    "Revoking",
    "Send",
    "SetTimer",
    "ShardsCut",
    "Started",
    "Stored",
    "Timer",
    "Train",
    "Trained",
    "TrainingFailed",
    "WitnessedStored",
    "Woke",
]
