"""What a peer holds: the admitted entries and, always in step with them, the model they make.

    Checked + its blob --admit--> Replica.admit --Change: terms out, terms in--> Fold, or neither
    base of a final snapshot --begin_from--> Fold, and the terms by which its past differs from all that is held

Every way into the model (others' entries, own ones, the store at a restart) is this one door, so the model is
never the fold of anything but the replica's version vector. Most entries put in their own term or none; an accusation,
a second branch, a recovery or a final can move others' (ledger/standing.py), whose blobs are looked up (`find`).

A peer that prunes (docs/adr/0005-pruning.md) has let go of deltas that its base holds. Nearly nothing moves those;
where something does (who wrote a final is shown out from before it), the term is *owed* until its delta is here again,
and until then the sum is no model: it has no hash, and the peer writes nothing. So the same entries give the same bits.
It refuses to know links and where blobs come from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ledger.entry import Anchor, Data, Genesis, Hash, PeerId, Snapshot, Update
from ledger.errors import LocalError, RemoteError
from ledger.fold import Arithmetic, Fold, model_hash
from ledger.inspection_rules import check_sketch
from ledger.kept import StoredBase, StoredCheckpoint, StoredVote
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
from ledger.rules import check_token


class PeerArithmetic(Arithmetic[Any, Any], Protocol):
    """The fold's arithmetic, and the one rounding that training needs (gossip/merging/arithmetic.py)."""

    def read_model(self, data: bytes) -> Any: ...

    def sums(self, theta: Any) -> bytes: ...

    def to_float32(self, theta: Any) -> NDArray[np.float32]: ...


class Shelf(Protocol):
    """What the store keeps, to be looked up. Reads what Append and the Keeps wrote; may lag behind."""

    def blob(self, digest: Hash, /) -> bytes | None: ...

    def checkpoint(self, log: PeerId, /) -> StoredCheckpoint | None: ...

    def witnessed(self, log: PeerId, /) -> tuple[int, bytes] | None:
        """(size, root) that this peer last cosigned of a log"""
        ...

    def vote(self) -> StoredVote | None:
        """the snapshot that this peer last voted for"""
        ...

    def cosigned(self, log: PeerId, /) -> tuple[int, bytes] | None:
        """(size, note) of a log's newest checkpoint with cosignatures"""
        ...

    def model(self) -> Hash:
        """which model of a final snapshot is kept; "" if none"""
        ...

    def model_part(self, begin: int, end: int, /) -> bytes:
        """bytes of it; b"" if it is not here, or not so long"""
        ...


@dataclass(frozen=True, slots=True)
class Base:
    """The final snapshot whose sums are on disk, so that deltas in them need not be."""

    log: LogId
    seq: int
    updates: int  # in these sums


@dataclass(frozen=True, slots=True)
class Owed:
    """A term that is to be moved as soon as its delta is here."""

    delta: Hash
    weight: int  # below 0: it is to be taken out


class Book:
    """A replica and its fold. `fold` is None until genesis is admitted.

    `find` looks up the blob of an update that was admitted before; with a `base` some of those were let go of.
    """

    def __init__(
        self, replica: Replica, arithmetic: PeerArithmetic, find: Callable[[Hash], bytes | None] = lambda digest: None
    ) -> None:
        self.replica = replica
        self.arithmetic = arithmetic
        self.find = find
        self.fold: Fold[Any, Any] | None = None
        self.base: Base | None = None
        self.owed: dict[tuple[LogId, int], Owed] = {}
        self._model_hash: Hash = ""

    @classmethod
    def empty(cls, swarm: Hash, founder: PeerId, arithmetic: PeerArithmetic) -> Book:
        return cls(Replica(swarm, founder), arithmetic)

    def admit(self, checked: Checked, blob: bytes | None) -> Change:
        """Take an entry in. `blob` is the one `checked.blob` names.

        InvalidEntry if the author's entry and its blob disagree; RemoteError if the blob is not the one named.
        """
        if isinstance(checked.entry, Genesis):
            return self._admit_genesis(checked, checked.entry, blob or b"")
        if isinstance(checked.entry, Update) and checked.blob is not None:
            decoded = open_delta(checked, blob or b"", self.require_fold())
            change = self.replica.admit(checked)
        else:
            if isinstance(checked.entry, Anchor):
                check_token(checked.log, checked.entry, blob or b"")
            elif isinstance(checked.entry, Data) and checked.blob is not None:
                check_sketch(checked.log, checked.entry, blob or b"")
            decoded = None
            change = self.replica.admit(checked, blob or b"")
        if change.removed or change.added:
            self._move(change, checked.blob or "", decoded)
        return change

    def readmit(self, checked: Checked, blob: bytes | None) -> None:
        """Take an entry in that was admitted here in an earlier run, before begin_from: nothing moves in the fold."""
        if isinstance(checked.entry, Genesis):
            self._admit_genesis(checked, checked.entry, blob or b"")
        else:
            self.replica.admit(checked, blob or b"")

    def begin_from(self, base: StoredBase) -> None:
        """Make the fold of everything admitted from the sums of a final snapshot's past.

        LocalError if that snapshot is not held, or its model is another one: the store is damaged.
        """
        fold, replica = self.require_fold(), self.replica
        entry = replica.entry(base.log, base.seq) if base.seq < replica.size(base.log) else None
        if not isinstance(entry, Snapshot) or len(base.sums) != 8 * fold.parameters:
            raise _damaged(RemoteError("its base is of a snapshot that it does not hold"))
        theta = copy.copy(self.arithmetic.read_model(base.sums))  # (what was read may not be written to)
        if model_hash(fold.layout, self.arithmetic.model_parts(theta)) != entry.model:
            raise _damaged(RemoteError("its base is not the model of the snapshot that it is of"))
        fold.theta, self.base = theta, Base(base.log, base.seq, entry.updates)
        self.owed.clear()
        self._move(replica.change(replica.past(base.log, base.seq + 1), replica.heads()), "", None)

    def pay(self, log: LogId, seq: int, blob: bytes) -> None:
        """The delta of a term that is owed is here."""
        owed, fold = self.owed.pop((log, seq)), self.require_fold()
        decoded = self.arithmetic.decode(blob, fold.parameters)
        (fold.add if owed.weight >= 0 else fold.remove)(decoded, abs(owed.weight))
        self._model_hash = ""

    def _move(self, change: Change, opened: Hash, decoded: Any) -> None:
        fold = self.require_fold()
        for terms, sign, apply in ((change.removed, -1, fold.remove), (change.added, 1, fold.add)):
            for log, seq, delta, weight in terms:
                if (log, seq) in self.owed:  # back again, before its delta was: nothing has moved
                    del self.owed[log, seq]
                    continue
                if decoded is not None and delta == opened:
                    apply(decoded, weight)
                    continue
                blob = self.find(delta)
                if blob is None and self.base is not None:
                    self.owed[log, seq] = Owed(delta, sign * weight)
                    continue
                if blob is None:
                    raise LocalError(
                        "the store lacks a blob", why=f"{delta} of entry {seq} in log {log[:12]} moves in the model"
                    )
                apply(self.arithmetic.decode(blob, fold.parameters), weight)
        self._model_hash = ""

    def _admit_genesis(self, checked: Checked, genesis: Genesis, policy: bytes) -> Change:
        try:
            self.replica.install_policy(policy)
        except RemoteError as error:
            raise InvalidEntry(checked.log, checked.seq, "policy", str(error)) from None
        change = self.replica.admit(checked)
        self.fold = Fold(genesis.layout, genesis.seed, self.arithmetic)
        return change

    def require_fold(self) -> Fold[Any, Any]:
        if self.fold is None:
            raise LocalError("there is no model yet", why="the swarm's genesis is not held")
        return self.fold

    def model_hash(self) -> Hash:
        """The hash of the model of everything admitted; "" before genesis, and while a term is owed."""
        if not self._model_hash and self.fold is not None and not self.owed:
            self._model_hash = self.fold.model_hash()
        return self._model_hash

    def theta(self) -> NDArray[np.float32]:
        """The model, rounded once; a copy that nobody changes."""
        theta = self.arithmetic.to_float32(self.require_fold().theta)
        theta.flags.writeable = False
        return theta

    def theta_with(self, terms: Sequence[tuple[Hash, int]]) -> NDArray[np.float32] | None:
        """The model and these (delta, weight) more, or less where the weight is below 0, rounded once; None if the blob
        of one is not here."""
        fold = self.require_fold()
        blobs = [(self.find(delta), weight) for delta, weight in terms]
        decoded = [
            (self.arithmetic.decode(blob, fold.parameters), weight) for blob, weight in blobs if blob is not None
        ]
        if len(decoded) < len(terms):
            return None
        for delta, weight in decoded:
            fold.add(delta, weight)
        theta = self.arithmetic.to_float32(fold.theta)
        for delta, weight in decoded:  # exact, so the sum is just what it was
            fold.remove(delta, weight)
        theta.flags.writeable = False
        return theta


def restore(
    swarm: Hash,
    founder: PeerId,
    history: Iterable[tuple[LogId, int, bytes]],
    blob: Callable[[Hash], bytes | None],
    arithmetic: PeerArithmetic,
    base: StoredBase | None = None,
) -> Book:
    """The book of a peer that stopped, from its store: entries in the order in which they were kept.

    A joiner's own enrol entry was kept before anything else; entries wait here for their past. LocalError if the
    store holds what cannot be admitted: it is damaged. An entry whose past never came is left out. A branch of a log
    that was signed twice comes back under the id that it had. With a `base`, no delta of before is opened again: it was
    when its entry came, and the sums of all of them have the hash that the snapshot says.
    """
    book = Book(Replica(swarm, founder), arithmetic, blob)
    left = [entry for entry in history if not _readmit(book, *entry, blob, is_based=base is not None)]
    while left:
        again = [entry for entry in left if not _readmit(book, *entry, blob, is_based=base is not None)]
        if len(again) == len(left):
            break
        left = again
    if base is not None:
        book.begin_from(base)
    for log, seq, data in left:
        if seq == book.replica.size(log):
            _check(book, log, data, last=True)
    return book


def _readmit(
    book: Book, log: LogId, seq: int, data: bytes, blob: Callable[[Hash], bytes | None], *, is_based: bool
) -> bool:
    replica = book.replica
    if fork_of(log) == seq > 0 and replica.strand_for(peer_of(log), data) != log:
        return False  # what it branched off from is not all here yet
    if seq != replica.size(log) or (log != replica.founder and not replica.has_genesis):
        return False
    checked = _check(book, log, data)
    if checked is None:
        return False
    is_summed = is_based and isinstance(checked.entry, Update)
    held = blob(checked.blob) if checked.blob is not None and not is_summed else None
    if checked.blob is not None and held is None and not is_summed:
        raise LocalError("the store lacks a blob", why=f"{checked.blob} of entry {seq} in log {log[:12]}")
    try:
        if is_based:
            book.readmit(checked, held)
        else:
            book.admit(checked, held)
    except RemoteError as error:
        raise _damaged(error) from None
    return True


def _check(book: Book, log: LogId, data: bytes, *, last: bool = False) -> Checked | None:
    """None if it must wait for its past, or for another branch that it has seen: unless nothing more will come."""
    try:
        checked = book.replica.check(log, data)
    except RemoteError as error:
        if isinstance(error, Disputed) and not last:
            return None
        raise _damaged(error) from None
    return None if isinstance(checked, Waiting) else checked


def _damaged(error: RemoteError) -> LocalError:
    return LocalError(
        "the store is damaged", why=str(error), next_step="restore the directory from a backup, or join again"
    )
