"""The entry kinds: what a peer can put in its log, as frozen types with units.

One real `update`, spread over lines for reading (on disk it is one line, keys sorted, no spaces):

    {"bytes":1402,"codec":"gossip-delta/1","data":1,"delta":"5d1c...","examples":2048,"heads":"91e0...",
     "kind":"update","meets":[],"norm":18231,"prev":"77ab...","scores":{"examples":412,"fn":20,"fp":11,
     "tp":96},"seen":[[0,14],[2,9]],"seq":12,"steps":32,"swarm":"b2f9...","time":1767225600,"v":1,
     "view":[[2,8]],"weight":29127}

Rules kept here: integers within +-(2^53 - 1), no floats, no nulls, every field present (but one: Data.judged), hashes
as 64 lower-case hex digits ("" where a field says it may be empty). What the fields *mean together* (chains,
roles, weights) is decided in replica.py; this file refuses to know.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Hash = str  # SHA-256, 64 lower-case hex digits
PeerId = str  # the Hash of a peer's enrol entry; also the name of its log

FORMAT_VERSION: Final = 1
MAX_ENTRY_BYTES: Final = 63 * 1024  # below tlog-tiles' 65,535, and an entry with its header fits one 64 KiB message
MAX_EVIDENCE_BYTES: Final = 256 * 1024  # of a fork: two entries and two proofs in base64
MAX_SKETCH_BYTES: Final = 24 * 1024  # of a public data set: 256 leaves of 64 bytes and a proof
MAX_OPENING_BYTES: Final = 1 << 20  # 256 opened records; of URLs some 60 KB at 59 records
MAX_TOKEN_BYTES: Final = 64 * 1024  # of a time stamp: some 1 to 8 KB with the certificates of its authority
GRID_ONE: Final = 1 << 16  # weights, staleness and fold constants live on a grid of 2^-16
VALUE_ONE: Final = 1 << 24  # delta values and norms live on a grid of 2^-24
MODEL_ONE: Final = 1 << 40  # the model lives on a grid of 2^-40

Role = Literal["trainer", "observer", "auditor", "relay", "admin"]


class _Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of an entry."""


class Tensor(_Value, frozen=True):
    """One tensor of the model, in storage order."""

    name: str
    shape: list[int]
    bound: int  # starting weights are uniform integers in [-bound, bound], on the 2^-24 grid


class FoldConstants(_Value, frozen=True, omit_defaults=True):
    """The constants of docs/fold.md, fixed for the life of a swarm. Grid 2^-16 unless said otherwise."""

    eta: int  # server step: how much of a full round of deltas is applied
    staleness: list[int]  # s(tau) for tau = 0, 1/4, 2/4, ...; the last value holds beyond the table
    leak: int  # r: quota returned per unit of the others' progress
    burst: int  # B: spent quota below which an update counts in full
    kappa: int  # norm clip, in medians
    norm0: int  # of a trainer not yet heard, and beside an even number of norms, grid 2^-24
    window: int  # progress T after which a silent trainer no longer counts as active
    snapshot_every: int  # own updates between snapshots, at most (a count)
    panel: int = 100  # trainers who publish at a time: of more, these are drawn (a count; left out where it is 100)


class Source(_Value, frozen=True):
    """A file that a data set came from; empty strings where unknown."""

    name: str
    sha256: Hash
    licence: str  # SPDX
    url: str
    retrieved: str  # ISO date
    version: str


class Scores(_Value, frozen=True):
    """Held-out results as counts at the author's threshold: an opinion, not a proof."""

    examples: int
    tp: int
    fp: int
    fn: int


class Claim(_Value, frozen=True):
    """Differential privacy as the author claims it for a data set; all 0: nothing is claimed."""

    epsilon: int = 0  # thousandths: what all updates trained on it may spend together
    delta: int = 0  # 1 / delta of (epsilon, delta)


class Reading(_Value, frozen=True):
    """One rule of the policy as it came out: `rule` is "data.records.min", `value` what was found."""

    rule: str
    value: int
    limit: int


class Measured(_Value, frozen=True):
    """How the model does with more of the updates judged, and without more, on rows of the judge's: an opinion."""

    on: Literal["holdout", "canary"]
    given: Scores
    without: Scores


class Judgement(_Value, frozen=True):
    """What a peer found about entries of one log for one set of reasons."""

    peer: PeerId
    seqs: list[int]  # rising: updates, or one data entry (and so every update that cites it)
    hash: Hash  # leaf hash of the last of these entries, as in its log's tree: names the branch
    decision: Literal["scored", "refused", "quarantined", "condemned"]  # the last one counts, by quorum
    readings: list[Reading]
    measured: list[Measured]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What every entry says.

    `seen` names every log that grew since this log's previous entry as (roster index, size); the
    roster is this log's own list of peers, in the order in which its `meets` introduced them.
    `heads` is the SHA-256 over the whole (peer, size, root) list, see chain.heads_hash. Together:
    "I hold, have checked and have folded every entry and blob up to there, with its whole past".
    """

    v: int
    swarm: Hash  # "" in genesis
    seq: int  # index in this log, from 0
    prev: Hash  # SHA-256 of the previous entry's bytes; "" at seq 0
    time: int  # claimed Unix time, whole seconds
    meets: list[PeerId]
    seen: list[tuple[int, int]]
    heads: Hash


class Genesis(Entry, frozen=True, tag="genesis"):
    """Entry 0 of the founder's log; its hash is the swarm id."""

    name: str
    task: str  # filterlist | table | a name of the user's own
    model: str  # the model declaration (JSON text), as the founder wrote it
    layout: list[Tensor]
    seed: Hash  # of the starting weights
    fold: FoldConstants
    policy: Hash  # of the policy text, held as a blob
    admins: list[str]  # Ed25519 public keys, hex
    threshold: int  # admins needed to change the policy, or to revoke a member
    witnesses: list[str]  # Ed25519 public keys, hex
    guests: int = 0  # how many peers each trainer may let in, who is no admin and no guest itself


class Enrol(Entry, frozen=True, tag="enrol"):
    """First entry of every log (the founder's second); its hash is the peer id."""

    key: str  # Ed25519 public key, hex
    next: Hash  # SHA-256 of the next public key (raw bytes), for rotation
    sponsor: PeerId  # who invited; "" for the founder
    name: str  # chosen by the peer itself: for people, never for decisions


class Member(Entry, frozen=True, tag="member"):
    """An admin admits a peer; or, where genesis allows guests, a trainer does, who answers for it (membership.py)."""

    peer: PeerId
    role: Role
    expires: int  # Unix time, 0 = never


class Revoke(Entry, frozen=True, tag="revoke"):
    """An admin wants a member out; it is, where as many admins as the threshold asks for have said so."""

    peer: PeerId
    since: int  # index in that peer's log: nothing from there on counts


class Data(Entry, frozen=True, tag="data"):
    """A commitment to a data set, before any update may cite it."""

    root: Hash  # Merkle root over keyed, sorted record commitments (provenance.py)
    records: int
    labels: dict[str, int]
    duplicates: int  # records that equal an earlier one
    features: str  # feature-spec name and version
    zone: Literal["public", "private"]
    sources: list[Source]
    conflicts: int = 0  # records with the key of an earlier one, and a label (or other value) that none of these has
    generator: str = ""  # program and version that made the commitment
    suffixes: str = ""  # version of the public-suffix list: it changes features
    opens: list[str] = []  # who may have records opened, in a public zone: roles and peer ids; []: every member
    sketch: Hash = ""  # of the blob with the first leaves of the tree (opening.py); "" if there is none
    sketch_bytes: int = 0  # of that blob
    privacy: Claim = Claim()
    judged: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    """Records by label whose label is the author's own word, and no list's; part of `labels`. Left out if there are
    none: entries of before it existed are spelt as they always were."""

    @property
    def judgements(self) -> dict[str, int]:
        return {} if isinstance(self.judged, msgspec.UnsetType) else self.judged


class Update(Entry, frozen=True, tag="update"):
    """One compressed weight delta. `weight` depends on nothing but this entry's past (weights.py)."""

    delta: Hash
    bytes: int
    codec: Literal["gossip-delta/1"]
    view: list[tuple[int, int]]  # logs of which less than `seen` was in the view trained from: (roster index, size)
    data: int  # seq of the data entry in this log
    steps: int
    examples: int
    scores: Scores
    norm: int  # floor of the delta's Euclidean norm, grid 2^-24
    weight: int  # 0..65536
    epsilon: int = 0  # thousandths: privacy spent up to here, of what its data entry claims; 0 if that is nothing


class Snapshot(Entry, frozen=True, tag="snapshot"):
    """The author's fold of its own past, so that a peer that folds wrongly convicts itself."""

    model: Hash  # model_hash of the fold of everything in this entry's past, own log included
    state: Hash  # of all that it takes to weigh and admit what comes after this past (state.py)
    updates: int  # folded updates in this past


class Accuse(Entry, frozen=True, tag="accuse"):
    """Proof, for ever and for anybody, that a log's author misbehaved. Anyone in the swarm may write one."""

    peer: PeerId  # whose log
    charge: Literal["fork", "opening"]
    index: (
        int  # fork: the evidence shows two entries of that log at this index; opening: of the entry that opens wrongly
    )
    evidence: Hash  # of the blob that proves it (fork.py; opening.py: the very blob that the entry names)
    bytes: int  # of that blob


class Rotate(Entry, frozen=True, tag="rotate"):
    """The author changes to the key it promised: from this entry on, `key` signs this log's checkpoints."""

    key: str  # Ed25519 public key, hex; its SHA-256 is what `next` promised last
    next: Hash  # SHA-256 of the public key after that


class Recover(Entry, frozen=True, tag="recover"):
    """A rotation because the key was stolen or lost: the author's own updates from `since` on leave the model."""

    key: str
    next: Hash
    since: int  # own index; equal to `seq` if nothing is to be withdrawn


class Finality(Entry, frozen=True, tag="final"):
    """A majority of the swarm's witnesses signed an own snapshot: what it holds no later evidence can change."""

    snapshot: int  # seq of that snapshot in this log
    note: str  # the checkpoint of size snapshot + 1 with the witnesses' cosignatures: a C2SP signed note


class Anchor(Entry, frozen=True, tag="anchor"):
    """A time stamp from outside the swarm over one of this log's checkpoints."""

    size: int  # of this log, at most `seq`
    token: Hash  # of the blob: a TimeStampToken of RFC 3161 over the checkpoint's body (timestamp.py)
    bytes: int  # of that blob


class PolicyChange(Entry, frozen=True, tag="policy"):
    """An admin wants another policy; in force where as many admins as the threshold asks for have said the same."""

    number: int  # one above that of the policy in force in this entry's past; genesis' has 0
    policy: Hash  # of the text, held as a blob
    policy_bytes: int  # of that blob


class Verdict(Entry, frozen=True, tag="verdict"):
    """What this peer's checks of others' updates and data came to: refusals, condemnations, and scores."""

    basis: Hash  # the policy that it judged by
    judgements: list[Judgement]


class Challenge(Entry, frozen=True, tag="challenge"):
    """A request to open records of a public data set; the signature picks which (opening.py)."""

    peer: PeerId
    data: int  # seq of the data entry in that peer's log
    hash: Hash  # of that entry
    count: int  # records
    signature: str  # Ed25519 over challenge_text(), hex


class Opening(Entry, frozen=True, tag="opening"):
    """The answer to a challenge. The blob goes to whom the data entry allows (`opens`); no entry waits for it."""

    peer: PeerId  # whose challenge
    challenge: int  # its seq in that peer's log
    opened: Hash  # of the blob with the records and their proofs
    opened_bytes: int  # of that blob


AnyEntry = (
    Genesis
    | Enrol
    | Member
    | Revoke
    | Data
    | Update
    | Snapshot
    | Accuse
    | Rotate
    | Recover
    | Finality
    | Anchor
    | PolicyChange
    | Verdict
    | Challenge
    | Opening
)
