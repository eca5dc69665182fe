"""What an entry of each kind must satisfy, given what its author had seen; and the one path to its weight.

    (charter, tip after `seen`, entry)  --check_kind-->  Outcome, or InvalidEntry with the rule it breaks

The rules, in the order in which they are tried (the word is InvalidEntry.rule):
    ended      nothing follows an entry that broke a rule (replica.py)
    format     canonical, within limits (canonical.py, genesis.py)
    place      swarm, seq, prev; genesis first in the founder's log, enrol first in every other, neither again
    seen ...   meets, seen, closed, heads (chain.py)
    key        an enrol's key is a good Ed25519 point; the founder's is an admin's
    member     written by an admin; of a peer that it has seen enrol, once, with a key no other member has
    role       data and updates by admitted trainers, snapshots by admitted members
    data       an update cites a data entry of its own log
    snapshot   every `snapshot_every` updates at most; its state and count follow from its past
    delta      size and norm that the codec allows; view within what was seen; and, once the blob is held,
               the bytes, norm and format that the entry announced (replica.open_delta)
    weight     what weights.py gives for this past: authoring runs the same code (`weigh`)

An update that breaks the *policy* is no broken rule: its log goes on, and it is left out of fold and weights.
Everything here is a property of an entry and its past. It refuses to know what else this peer holds, signatures
(whoever calls has checked them), vectors, and where bytes are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from ledger import weights
from ledger.chain import InvalidEntry, Log, Tip, admit_members
from ledger.delta import HEADER_BYTES, max_blob_bytes
from ledger.entry import (
    AnyEntry,
    Data,
    Enrol,
    FoldConstants,
    Genesis,
    Hash,
    Member,
    PeerId,
    Snapshot,
    Update,
)
from ledger.errors import LocalError, RemoteError
from ledger.fold import parameters
from ledger.genesis import MAX_NORM
from ledger.keys import check_public
from ledger.policy import Breach, Policy
from ledger.weights import Row, Sight, Weighed

TRAINING_ROLES: Final = ("trainer", "admin")


@dataclass(frozen=True, slots=True)
class Charter:
    """What every rule goes back to. `genesis` and `policy` are None until the founder's first entry is admitted."""

    swarm: Hash
    founder: PeerId
    genesis: Genesis | None = None
    policy: Policy | None = None
    parameters: int = 0

    @property
    def constants(self) -> FoldConstants:
        return self.require().fold

    def require(self) -> Genesis:
        if self.genesis is None:
            raise LocalError("the swarm's genesis is not held yet", next_step="wait for the founder's log")
        return self.genesis

    def adopt(self, genesis: Genesis, policy: Policy) -> Charter:
        return replace(self, genesis=genesis, policy=policy, parameters=parameters(genesis.layout))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What admitting an entry will do. `norm`, `weight` and `row` belong to updates in the fold."""

    tip: Tip
    blob: Hash | None = None
    norm: int | None = None
    weight: int | None = None
    row: Row | None = None
    refused: tuple[Breach, ...] = ()


def check_place(charter: Charter, tip: Tip, entry: AnyEntry, digest: Hash) -> None:
    """The entry belongs exactly here: this swarm, this log, after this entry."""

    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.peer, tip.size, "place", why)

    if entry.seq != tip.size:
        raise wrong(f"says it is entry {entry.seq}")
    if entry.prev != tip.head:
        raise wrong("does not follow the entry before it")
    if isinstance(entry, Genesis):
        if tip.peer != charter.founder or digest != charter.swarm or entry.seen or entry.meets:
            raise wrong("is a genesis, but not this swarm's")
        return
    if entry.swarm != charter.swarm:
        raise wrong("is of another swarm")
    if tip.key == b"":
        if not isinstance(entry, Enrol) or digest != tip.peer or tip.size != (tip.peer == charter.founder):
            raise wrong("should be the enrol entry that this log is named after")
    elif isinstance(entry, Enrol):
        raise wrong("enrols a second time")


def check_kind(charter: Charter, tip: Tip, own: Log | None, entry: AnyEntry) -> Outcome:
    """The rules of one kind. `tip` has followed what the entry has seen; `own` is its log, None at its first entry."""
    match entry:
        case Genesis():
            return Outcome(tip, blob=entry.policy)
        case Enrol():
            return Outcome(_check_enrol(charter, tip, entry))
        case Member():
            _check_member(charter, tip, entry)
            return Outcome(admit_members(tip, {entry.peer: entry.role in TRAINING_ROLES}))
        case Data():
            _check_trains(tip)
            return Outcome(replace(tip, data=MappingProxyType({**tip.data, entry.seq: entry})))
        case Update():
            return _check_update(charter, tip, _present(own), entry)
        case Snapshot():
            if tip.peer not in tip.admitted:
                raise InvalidEntry(tip.peer, tip.size, "role", "is by a peer that it has not seen admitted")
            if (entry.state, entry.updates) != snapshot_facts(tip, _present(own)):
                raise InvalidEntry(tip.peer, tip.size, "snapshot", "does not follow from its own past")
            return Outcome(replace(tip, unsnapped=0))
        case _:
            raise InvalidEntry(tip.peer, tip.size, "kind", "is of a kind that this version does not admit")


def weigh(constants: FoldConstants, tip: Tip, own: Log, view: Mapping[int, int], norm: int) -> Weighed:
    """The one path to a weight, for authors and checkers. `tip` has followed what the update has seen."""
    logs = [tip.roster[index] for index in tip.trainers]
    sizes = [tip.sizes[index] for index in tip.trainers]
    norms = [log.norm[size] for log, size in zip(logs, sizes, strict=True)]
    passed = 0
    for index, size in view.items():
        column = tip.roster[index].weight
        passed += column[tip.sizes[index]] - column[size]
    sight = Sight(
        peers=tuple([log.peer for log in logs]),
        counts=tuple([1 + log.folded[size] for log, size in zip(logs, sizes, strict=True)]),
        norms=tuple([constants.norm0 if known < 0 else known for known in norms]),
        unviewed=passed,
    )
    return weights.weigh(constants, own.row, sight, norm)


def snapshot_facts(tip: Tip, own: Log) -> tuple[Hash, int]:
    """The `state` and `updates` of a snapshot with this past."""
    held = [*zip(tip.roster, tip.sizes, strict=True), (own, tip.size)]
    counts = [(log, log.folded[size]) for log, size in held]
    rows = [(log.peer, log.row_hashes[count - 1]) for log, count in counts if count]
    return weights.state_hash(rows), sum(count for _, count in counts)


def _check_enrol(charter: Charter, tip: Tip, entry: Enrol) -> Tip:
    key = bytes.fromhex(entry.key)
    try:
        check_public(key)
    except RemoteError as error:
        raise InvalidEntry(tip.peer, tip.size, "key", str(error)) from None
    enrolled = replace(tip, key=key)
    if tip.peer != charter.founder:
        return enrolled
    if entry.key not in charter.require().admins:
        raise InvalidEntry(tip.peer, tip.size, "key", "the founder's key is not among the admins of its genesis")
    return admit_members(enrolled, {tip.peer: True})


def _check_member(charter: Charter, tip: Tip, entry: Member) -> None:
    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.peer, tip.size, "member", why)

    if charter.founder not in tip.admitted:
        raise wrong("its author has not seen the founder enrol")
    admins = charter.require().admins
    if tip.key.hex() not in admins:
        raise wrong("its author is no admin")
    if entry.peer in tip.admitted:
        raise wrong("its author has seen that peer admitted before")
    keys = {log.peer: log.tip.key for log in tip.roster} | {tip.peer: tip.key}
    if not keys.get(entry.peer):
        raise wrong("its author has not seen that peer enrol")
    if any(keys[peer] == keys[entry.peer] for peer in tip.admitted):
        raise wrong("another member has that key")
    if entry.role == "admin" and keys[entry.peer].hex() not in admins:
        raise wrong("gives the role of admin to a key that genesis does not name")


def _check_trains(tip: Tip) -> None:
    if not tip.admitted.get(tip.peer, False):
        raise InvalidEntry(tip.peer, tip.size, "role", "is by a peer that it has not seen admitted as a trainer")


def _check_update(charter: Charter, tip: Tip, own: Log, entry: Update) -> Outcome:
    def wrong(rule: str, why: str) -> InvalidEntry:
        return InvalidEntry(tip.peer, tip.size, rule, why)

    _check_trains(tip)
    constants = charter.constants
    data = tip.data.get(entry.data)
    if data is None:
        raise wrong("data", f"cites entry {entry.data}, which is no data entry of its log")
    if tip.unsnapped >= constants.snapshot_every:
        raise wrong("snapshot", f"is update {tip.unsnapped + 1} since the last snapshot")
    if not HEADER_BYTES <= entry.bytes <= max_blob_bytes(charter.parameters):
        raise wrong("delta", f"no delta of this model has {entry.bytes} bytes")
    if not 0 <= entry.norm <= MAX_NORM:
        raise wrong("delta", f"no delta has norm {entry.norm}")
    for index, size in entry.view:
        if index >= len(tip.sizes) or not 0 <= size < tip.sizes[index]:
            raise wrong("delta", "its view is not part of what it has seen")
    try:
        weighed = weigh(constants, tip, own, dict(entry.view), entry.norm)
    except RemoteError as error:
        raise wrong("weight", str(error)) from None
    if weighed.weight != entry.weight:
        raise wrong("weight", f"says {entry.weight}, its past gives {weighed.weight}")
    after = replace(tip, unsnapped=tip.unsnapped + 1)
    refused = charter.policy.evaluate(entry, data) if charter.policy else ()
    if refused:
        return Outcome(after, refused=refused)
    return Outcome(after, blob=entry.delta, norm=entry.norm, weight=weighed.weight, row=weighed.row)


def _present(own: Log | None) -> Log:
    if own is None:
        raise LocalError("a log begins with its enrol entry")
    return own
