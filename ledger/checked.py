"""An entry that has been checked, its delta opened against what it announced, and what admitting it did.

    Replica.check --> Checked --open_delta (of an update in the fold)--> Replica.admit --> Change

It refuses to know which rules an entry has passed (rules.py) and whose fold a delta goes into.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar

from ledger.chain import InvalidEntry, LogId
from ledger.charter import Outcome
from ledger.entry import AnyEntry, Hash, Update
from ledger.errors import LocalError, RemoteError
from ledger.fold import Fold
from ledger.policy import Breach, Ruling
from ledger.standing import Term

D = TypeVar("D")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checked:
    """An entry that may be admitted once its blob is held. Only Replica.check makes one."""

    log: LogId
    seq: int
    data: bytes
    entry: AnyEntry
    hash: Hash
    blob: Hash | None  # the delta, policy or evidence to hold first; None also for updates that the policy leaves out
    norm: int | None  # of an update in the fold
    weight: int | None  # of an update in the fold
    refused: tuple[Breach, ...]  # policy rules that the update breaks: it is left out
    outcome: Outcome = field(repr=False)  # for Replica.admit

    @property
    def basis(self) -> Hash:
        """The policy that an update was ruled on by: the one in force in its past."""
        return self.outcome.basis

    @property
    def ruling(self) -> Ruling | None:
        """What that policy says of an update, rule by rule."""
        return self.outcome.ruling


@dataclass(frozen=True, slots=True)
class Change:
    """What admitting an entry did to the sum of updates that the model is: terms taken out and put in."""

    removed: tuple[Term, ...] = ()
    added: tuple[Term, ...] = ()


def open_delta(checked: Checked, blob: bytes, fold: Fold[D, T]) -> D:
    """Decode the blob of an update in the fold.

    RemoteError if it is not the blob that the entry names: the messenger's fault, ask another. InvalidEntry if it is,
    and its length, format or norm is not what the entry says: the author's, and its log ends here.
    """
    entry = checked.entry
    if not isinstance(entry, Update):
        raise LocalError("only updates have deltas")
    if sha256(blob).hexdigest() != entry.delta:
        raise RemoteError("a delta is not the one that its entry names", why=f"expected SHA-256 {entry.delta}")
    if len(blob) != entry.bytes:
        raise InvalidEntry(checked.log, checked.seq, "delta", f"says {entry.bytes} bytes, its delta has {len(blob)}")
    try:
        decoded = fold.arithmetic.decode(blob, fold.parameters)
    except RemoteError as error:
        raise InvalidEntry(checked.log, checked.seq, "delta", str(error)) from None
    norm = fold.arithmetic.norm(decoded)
    if norm != entry.norm:
        raise InvalidEntry(checked.log, checked.seq, "delta", f"says norm {entry.norm}, its delta has {norm}")
    return decoded
