"""What a peer holds: the admitted entries and, always in step with them, the model they make.

    Checked + its blob --admit--> Replica.admit and Fold.add, or neither

Every way into the model (others' entries, own ones, the store at a restart) is this one door, so the model is
never the fold of anything but the replica's version vector. It refuses to know links and where blobs come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ledger.entry import Genesis, Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.fold import Arithmetic, Fold
from ledger.kept import StoredCheckpoint
from ledger.replica import Checked, InvalidEntry, Replica, Waiting, open_delta


class PeerArithmetic(Arithmetic[Any, Any], Protocol):
    """The fold's arithmetic, and the one rounding that training needs (gossip/merging/arithmetic.py)."""

    def to_float32(self, theta: Any) -> NDArray[np.float32]: ...


class Shelf(Protocol):
    """What the store keeps, to be looked up. Reads what Append, Keep and KeepCheckpoint wrote; may lag behind."""

    def blob(self, digest: Hash, /) -> bytes | None: ...

    def checkpoint(self, log: PeerId, /) -> StoredCheckpoint | None: ...


class Book:
    """A replica and its fold. `fold` is None until genesis is admitted."""

    def __init__(self, replica: Replica, arithmetic: PeerArithmetic) -> None:
        self.replica = replica
        self.arithmetic = arithmetic
        self.fold: Fold[Any, Any] | None = None
        self._model_hash: Hash = ""

    @classmethod
    def empty(cls, swarm: Hash, founder: PeerId, arithmetic: PeerArithmetic) -> Book:
        return cls(Replica(swarm, founder), arithmetic)

    def admit(self, checked: Checked, blob: bytes | None) -> None:
        """Take an entry in. `blob` is the one `checked.blob` names.

        InvalidEntry if the author's entry and its blob disagree; RemoteError if the blob is not the one named.
        """
        if isinstance(checked.entry, Genesis):
            self._admit_genesis(checked, checked.entry, blob or b"")
        elif checked.blob is not None:
            fold = self.require_fold()
            decoded = open_delta(checked, blob or b"", fold)
            self.replica.admit(checked)
            fold.add(decoded, checked.weight or 0)
            self._model_hash = ""
        else:
            self.replica.admit(checked)

    def _admit_genesis(self, checked: Checked, genesis: Genesis, policy: bytes) -> None:
        try:
            self.replica.install_policy(policy)
        except RemoteError as error:
            raise InvalidEntry(checked.log, checked.seq, "policy", str(error)) from None
        self.replica.admit(checked)
        self.fold = Fold(genesis.layout, genesis.seed, self.arithmetic)

    def require_fold(self) -> Fold[Any, Any]:
        if self.fold is None:
            raise LocalError("there is no model yet", why="the swarm's genesis is not held")
        return self.fold

    def model_hash(self) -> Hash:
        """The hash of the model of everything admitted; "" before genesis."""
        if not self._model_hash and self.fold is not None:
            self._model_hash = self.fold.model_hash()
        return self._model_hash

    def theta(self) -> NDArray[np.float32]:
        """The model, rounded once; a copy that nobody changes."""
        theta = self.arithmetic.to_float32(self.require_fold().theta)
        theta.flags.writeable = False
        return theta


def restore(
    swarm: Hash,
    founder: PeerId,
    history: Iterable[tuple[PeerId, int, bytes]],
    blob: Callable[[Hash], bytes | None],
    arithmetic: PeerArithmetic,
) -> Book:
    """The book of a peer that stopped, from its store: entries in the order in which they were kept.

    A joiner's own enrol entry was kept before anything else; entries wait here for their past. LocalError if the
    store holds what cannot be admitted: it is damaged. An entry whose past never came is left out.
    """
    book = Book.empty(swarm, founder, arithmetic)
    left = [entry for entry in history if not _readmit(book, *entry, blob)]
    while left:
        again = [entry for entry in left if not _readmit(book, *entry, blob)]
        if len(again) == len(left):
            break
        left = again
    return book


def _readmit(book: Book, log: PeerId, seq: int, data: bytes, blob: Callable[[Hash], bytes | None]) -> bool:
    if seq != book.replica.size(log) or (log != book.replica.founder and not book.replica.has_genesis):
        return False
    try:
        checked = book.replica.check(log, data)
        if isinstance(checked, Waiting):
            return False
        held = blob(checked.blob) if checked.blob is not None else None
        if checked.blob is not None and held is None:
            raise LocalError("the store lacks a blob", why=f"{checked.blob} of entry {seq} in log {log[:12]}")
        book.admit(checked, held)
    except RemoteError as error:
        raise LocalError(
            "the store is damaged", why=str(error), next_step="restore the directory from a backup, or join again"
        ) from None
    return True
