"""A whole swarm in one process, without links: peers that hold replicas, author entries and pass them on.

Time stands still (every entry claims the same second) and keys come from seeds, so the same story gives the
same bytes. A `twin` is a second copy of a peer: whatever both write is a fork, whoever of them is the thief.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

import msgspec
import numpy as np

from gossip.merging.arithmetic import ArrayDelta, Model, NumpyArithmetic
from gossip.merging.codec import encode_update
from gossip.setup import fold_constants
from ledger.canonical import decode_entry, encode_entry, entry_hash
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.cosignature import add_cosignatures, cosign
from ledger.entry import (
    Accuse,
    AnyEntry,
    Data,
    Enrol,
    Finality,
    FoldConstants,
    Genesis,
    Hash,
    Member,
    PeerId,
    PolicyChange,
    Recover,
    Revoke,
    Rotate,
    Scores,
    Snapshot,
    Tensor,
    Update,
)
from ledger.fold import Fold
from ledger.fork import make_evidence
from ledger.inspection_rules import check_sketch
from ledger.keys import PrivateKey, key_digest
from ledger.policy import Policy
from ledger.proof import TlogProof, make_proof
from ledger.replica import (
    Change,
    Checked,
    Disputed,
    InvalidEntry,
    LogId,
    Replica,
    Waiting,
    fork_of,
    open_delta,
    peer_of,
)

NOW = 1_767_225_600
NOTHING_SEEN = sha256(b"").hexdigest()
POLICY = "policy = 1\n\n[update.steps]\nmax = 1000\n"
LAYOUT = [Tensor(name="w", shape=[3, 4], bound=1 << 20), Tensor(name="b", shape=[4], bound=0)]
SEED = sha256(b"toy").hexdigest()
CHAIN = {"v": 1, "swarm": "", "seq": 0, "prev": "", "time": NOW, "meets": [], "seen": [], "heads": NOTHING_SEEN}


def constants(**changes: int) -> FoldConstants:
    """Those of every swarm, with a table short enough to reach the end of."""
    usual = fold_constants(eta=1.0, norm0=1 << 22)
    return msgspec.structs.replace(usual, **{"staleness": usual.staleness[:64], **changes})


def key_of(name: str, number: int = 0) -> PrivateKey:
    """The first key of somebody, or that after so many changes."""
    return PrivateKey.from_seed(sha256(b"toy key " + name.encode() + b"+" * number).digest())


def promise_of(name: str, number: int) -> Hash:
    return key_digest(key_of(name, number).public)


def enrol(
    swarm: Hash, name: str, *, key: PrivateKey | None = None, seq: int = 0, prev: Hash = "", sponsor: PeerId = ""
) -> bytes:
    public = (key or key_of(name)).public
    entry = Enrol(
        **{**CHAIN, "swarm": swarm, "seq": seq, "prev": prev},
        key=public.hex(), next=promise_of(name, 1), sponsor=sponsor, name=name,
    )  # fmt: skip
    return encode_entry(entry)


def genesis(
    *,
    fold: FoldConstants | None = None,
    layout: Sequence[Tensor] = LAYOUT,
    model: str = "{}",
    admins: Iterable[str] = ("founder",),
    threshold: int = 1,
    witnesses: Iterable[str] = (),
    guests: int = 0,
) -> bytes:
    entry = Genesis(
        **CHAIN, name="toy", task="toy", model=model, layout=list(layout), seed=SEED, fold=fold or constants(),
        policy=Policy.parse(POLICY).hash, admins=[key_of(name).public.hex() for name in admins], threshold=threshold,
        witnesses=[key_of(name).public.hex() for name in witnesses], guests=guests,
    )  # fmt: skip
    return encode_entry(entry)


@lru_cache(maxsize=4096)
def _seq(data: bytes) -> int:
    """Where an entry stands: asked a thousand times of the same ones."""
    return decode_entry(data).seq


@dataclass(eq=False)
class Peer:
    """One member: its replica, its fold, and the blobs it holds."""

    name: str
    id: PeerId
    replica: Replica
    blobs: dict[Hash, bytes] = field(default_factory=dict)
    fold: Fold[ArrayDelta, Model] | None = None
    views: dict[LogId, int] = field(default_factory=dict)  # what it last trained from
    learns_from: int | None = None  # own data entry, if not the first
    clock: int = NOW

    @property
    def keys(self) -> int:
        """How often it has changed its key, by its own log."""
        public = self.replica.key_of(self.id)
        return next(number for number in range(99) if key_of(self.name, number).public == public)

    @property
    def theta(self) -> np.ndarray:
        assert self.fold is not None
        return NumpyArithmetic().to_float32(self.fold.theta).astype(np.float64)

    def model_hash(self) -> Hash:
        assert self.fold is not None
        return self.fold.model_hash()

    def take(self, log: PeerId, data: bytes) -> Checked | Waiting:
        """Check an entry and admit it, if its past is held."""
        checked = self.replica.check(log, data)
        if isinstance(checked, Checked):
            self._admit(checked)
        return checked

    def deliver(self, peer: PeerId, data: bytes) -> Checked | Waiting | None:
        """Take an entry of a log, on whichever of its branches it stands. None if it was held, or cannot be placed."""
        log = self.replica.strand_for(peer, data)
        if log is None or (peer == self.id and fork_of(log)):  # nobody takes in that it has signed twice
            return None
        if _seq(data) < self.replica.size(log):
            return None
        try:
            return self.take(log, data)
        except Disputed:
            return None

    def _admit(self, checked: Checked) -> None:
        if isinstance(checked.entry, Genesis):
            self.replica.install_policy(POLICY.encode())
            self.fold = Fold(checked.entry.layout, checked.entry.seed, NumpyArithmetic())
        if checked.weight is not None:
            assert self.fold is not None
            assert checked.blob is not None
            open_delta(checked, self.blobs[checked.blob], self.fold)
        if isinstance(checked.entry, Data) and checked.blob is not None:
            check_sketch(checked.log, checked.entry, self.blobs[checked.blob])
        change = self.replica.admit(checked, self.blobs.get(checked.blob or "", b""))
        self._move(change)

    def _move(self, change: Change) -> None:
        fold = self.fold
        for _, _, delta, weight in change.removed:
            fold.remove(fold.arithmetic.decode(self.blobs[delta], fold.parameters), weight)
        for _, _, delta, weight in change.added:
            fold.add(fold.arithmetic.decode(self.blobs[delta], fold.parameters), weight)

    def write(self, entry: AnyEntry) -> Checked:
        """Author an entry over everything held."""
        fields = self.replica.draft(self.id)
        taken = self.take(self.id, encode_entry(fields.stamp(entry, self.clock)))
        assert isinstance(taken, Checked)
        return taken

    def let_in(self, peer: Peer, role: str = "trainer", expires: int = 0) -> Checked:
        return self.write(Member(**CHAIN, peer=peer.id, role=role, expires=expires))

    def revoke(self, peer: Peer, since: int | None = None) -> Checked:
        """As an admin, want somebody out: from the next entry on that is not here yet, if not said otherwise."""
        since = self.replica.size(peer.id) if since is None else since
        return self.write(Revoke(**CHAIN, peer=peer.id, since=since))

    def announce_data(self) -> Checked:
        return self.write(
            Data(
                **CHAIN, root=sha256(self.name.encode()).hexdigest(), records=100, labels={"ad": 40, "benign": 60},
                duplicates=0, features="toy-1", zone="private", sources=[],
            )
        )  # fmt: skip

    def ask_for(self, text: str, number: int | None = None) -> Checked:
        """As an admin, write that the policy should be this."""
        blob = text.encode()
        digest = sha256(blob).hexdigest()
        self.blobs[digest] = blob
        number = self.replica.next_policy(self.id, self.replica.draft(self.id)) if number is None else number
        return self.write(PolicyChange(**CHAIN, number=number, policy=digest, policy_bytes=len(blob)))

    def snapshot(self) -> Checked:
        fields = self.replica.draft(self.id)
        state, updates = self.replica.snapshot_facts(self.id, fields)
        return self.write(Snapshot(**CHAIN, model=self.model_hash(), state=state, updates=updates))

    def publish(
        self, change: np.ndarray, *, view: dict[PeerId, int] | None = None, density: float = 1.0, steps: int = 10
    ) -> Checked:
        """Author an update; `view` is what the change was trained from (everything held, if not said)."""
        return self.publish_blob(encode_update(change, density)[0], view=view, steps=steps)

    def publish_blob(self, blob: bytes, *, view: dict[PeerId, int] | None = None, steps: int = 10) -> Checked:
        assert self.fold is not None
        if self.replica.snapshot_due(self.id):
            self.snapshot()
        arithmetic = NumpyArithmetic()
        norm = arithmetic.norm(arithmetic.decode(blob, self.fold.parameters))
        digest = sha256(blob).hexdigest()
        self.blobs[digest] = blob
        fields = self.replica.draft(self.id)
        known = self.replica.heads() if view is None else view
        body = Update(
            **CHAIN, delta=digest, bytes=len(blob), codec="gossip-delta/1",
            view=self.replica.view(self.id, fields, known), data=self._data_entry(), steps=steps, examples=100,
            scores=Scores(examples=10, tp=4, fp=1, fn=1), norm=norm, weight=0,
        )  # fmt: skip
        return self.write(msgspec.structs.replace(body, weight=self.replica.weigh(self.id, fields, known, body)))

    def _data_entry(self) -> int:
        if self.learns_from is not None:
            return self.learns_from
        seqs = range(self.replica.size(self.id))
        return next(seq for seq in seqs if isinstance(self.replica.entry(self.id, seq), Data))

    # -------------------------------------------------------------- keys, forks, finals

    def key_at(self, log: LogId, size: int, name: str) -> PrivateKey:
        """The private key that signs a log's checkpoint of that size; `name` is its author's."""
        public = self.replica.key_at(log, size)
        return next(key for number in range(9) if (key := key_of(name, number)).public == public)

    def note(self, log: LogId, size: int, name: str) -> bytes:
        """A log's checkpoint, signed as its author would."""
        checkpoint = Checkpoint(origin(self.replica.swarm, peer_of(log)), size, self.replica.root(log, size))
        return sign(checkpoint, self.key_at(log, size, name))

    def rotate(self) -> Checked:
        number = self.keys + 1
        public = key_of(self.name, number).public.hex()
        return self.write(Rotate(**CHAIN, key=public, next=promise_of(self.name, number + 1)))

    def recover(self, since: int) -> Checked:
        number = self.keys + 1
        public = key_of(self.name, number).public.hex()
        return self.write(Recover(**CHAIN, key=public, next=promise_of(self.name, number + 1), since=since))

    def proven(self, log: LogId, index: int, name: str, size: int | None = None) -> tuple[bytes, TlogProof]:
        """Half of an evidence: entry `index` of a branch, under its author's checkpoint."""
        note = self.note(log, size or self.replica.size(log), name)
        return self.replica.data(log, index), make_proof(self.replica.tree(log), index, note)

    def accuse(self, peer: PeerId, index: int, evidence: bytes) -> Checked:
        digest = sha256(evidence).hexdigest()
        self.blobs[digest] = evidence
        entry = Accuse(**CHAIN, peer=peer, charge="fork", index=index, evidence=digest, bytes=len(evidence))
        return self.write(entry)

    def accuse_twins(self, one: Peer, other: Peer, index: int) -> Checked:
        """Accuse an author of whose log we have met two branches, from what each of its halves has signed."""
        halves = [twin.proven(twin.id, index, twin.name) for twin in (one, other)]
        return self.accuse(one.id, index, make_evidence(*halves))

    def final(self, snapshot: int, witnesses: Iterable[Peer]) -> Checked:
        """Write that a snapshot of its own is final; these witnesses have signed it."""
        size = snapshot + 1
        checkpoint = Checkpoint(origin(self.replica.swarm, self.id), size, self.replica.root(self.id, size))
        names = {witness: origin(self.replica.swarm, witness.id) for witness in witnesses}
        signed = [cosign(checkpoint, name, key_of(by.name, by.keys), NOW) for by, name in names.items()]
        note = add_cosignatures(self.note(self.id, size, self.name), signed)
        return self.write(Finality(**CHAIN, snapshot=snapshot, note=note.decode()))

    def try_accuse(self, one: Peer, other: Peer, index: int) -> bool:
        """Accuse, if what we know of the author's keys makes it evidence."""
        try:
            self.accuse_twins(one, other, index)
        except InvalidEntry:
            return False
        return True

    def write_final_if_met(self, snapshot: int, witnesses: Iterable[Peer]) -> None:
        """Write a final, if these witnesses are known here under the keys that they have now."""
        self.final(snapshot, [by for by in witnesses if self.replica.key_of(by.id) == key_of(by.name, by.keys).public])

    def twin(self) -> Peer:
        """A copy of this peer, with its key: both go on from here."""
        twin = Peer(self.name, "", Replica(self.replica.swarm, self.replica.founder))
        twin.fetch(self)
        twin.id = self.id
        return twin

    def fetch(self, other: Peer) -> int:
        """Take everything that `other` holds and this peer does not. Returns how many entries came in."""
        self.blobs.update(other.blobs)
        taken, stuck = 0, False
        while not stuck:
            stuck = True
            for log, size in other.replica.heads().items():
                for seq in range(self._in_common(other, log), size):
                    data = other.replica.data(log, seq)
                    if isinstance(self.deliver(peer_of(log), data), Checked):
                        taken, stuck = taken + 1, False
                    elif self.replica.strand_for(peer_of(log), data) is None or not self._has(peer_of(log), seq, data):
                        break
        return taken

    def _in_common(self, other: Peer, log: LogId) -> int:
        """From where on our log of that name may differ from theirs, or the log's fork."""
        ours, theirs = self.replica.size(log), other.replica.size(log)
        upto = min(ours, theirs)
        same = upto > fork_of(log) and self.replica.tree(log).leaf(upto - 1) == other.replica.tree(log).leaf(upto - 1)
        return upto if same else fork_of(log)

    def _has(self, peer: PeerId, seq: int, data: bytes) -> bool:
        log = self.replica.strand_for(peer, data)
        return log is not None and self.replica.size(log) > seq


class Swarm:
    """A founder and members that it has admitted, all of whom hold everything and have announced data."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        fold: FoldConstants | None = None,
        layout: Sequence[Tensor] = LAYOUT,
        model: str = "{}",
        witnesses: Iterable[str] = (),
        admins: Iterable[str] = (),
        threshold: int = 1,
        guests: int = 0,
    ) -> None:
        """`admins` are those of `names` who are, beside the founder."""
        keys = ("founder", *admins)
        first = genesis(
            fold=fold, layout=layout, model=model, witnesses=witnesses, admins=keys, threshold=threshold, guests=guests
        )
        self.swarm = entry_hash(first)
        second = enrol(self.swarm, "founder", seq=1, prev=self.swarm)
        self.founder_id = entry_hash(second)
        self.peers: dict[str, Peer] = {}
        founder = self.newcomer("founder", self.founder_id)
        for data in (first, second):
            founder.take(self.founder_id, data)
        for name in names:
            self.join(name, role="admin" if name in keys else "trainer")
        founder.announce_data()
        self.exchange()

    def __getitem__(self, name: str) -> Peer:
        return self.peers[name]

    @property
    def founder(self) -> Peer:
        return self.peers["founder"]

    def newcomer(self, name: str, peer: PeerId) -> Peer:
        self.peers[name] = Peer(name, peer, Replica(self.swarm, self.founder_id))
        return self.peers[name]

    def observer(self) -> Peer:
        """Somebody who holds nothing yet and writes nothing."""
        return Peer("observer", "", Replica(self.swarm, self.founder_id))

    def join(self, name: str, *, role: str = "trainer", by: str = "founder", expires: int = 0) -> Peer:
        first = enrol(self.swarm, name, sponsor="" if by == "founder" else self[by].id)
        peer = self.newcomer(name, entry_hash(first))
        peer.take(peer.id, first)
        self[by].take(peer.id, first)
        self[by].let_in(peer, role, expires)
        peer.fetch(self[by])
        if role in ("trainer", "admin"):
            peer.announce_data()
        return peer

    def exchange(self, *names: str) -> None:
        """Everybody (or those named) ends up holding what any of them holds."""
        group = [self.peers[name] for name in names] if names else list(self.peers.values())
        for other in group[1:]:
            group[0].fetch(other)
        for other in group[1:]:
            other.fetch(group[0])

    def everything(self) -> list[tuple[PeerId, int, bytes]]:
        """Every entry of every log, after an exchange: (log, seq, bytes)."""
        replica = self.founder.replica
        heads = replica.heads().items()
        return [(peer_of(log), seq, replica.data(log, seq)) for log, size in heads for seq in range(fork_of(log), size)]
