"""What an entry of each kind must satisfy, given what its author had seen; and the one path to its weight.

    (charter, tip after `seen`, entry)  --check_kind-->  Outcome, or InvalidEntry with the rule it breaks

The rules, in the order in which they are tried (the word is InvalidEntry.rule):
    ended      nothing follows an entry that broke a rule (replica.py)
    format     canonical, within limits (canonical.py, genesis.py)
    place      swarm, seq, prev; genesis first in the founder's log, enrol first in every other, neither again
    seen ...   meets, seen, closed, heads (chain.py)
    key        a key is a good Ed25519 point; the founder's is an admin's; a rotation or recovery brings the very key
               that was promised, and nobody else's
    role       of a kind that its author may write, by what its past says of it (roles.py: one table)
    expired    claimed to be written before its author's membership was over
    member     of a peer that it has seen enrol, with a key no other member has, and that is not out; it adds
               something to what its past says, and a member says nothing of itself; keys that genesis names are let
               in as admins, and no others. By a trainer who is no guest itself: of those who enrolled as its guests,
               as trainer, observer or relay, for no longer than itself, and genesis.guests at most
    data       an update cites a data entry of its own log
    privacy    an update says what it has spent of the epsilon that its data entry claims: something, and no more than
               that; of no claim, nothing
    snapshot   every `snapshot_every` updates at most; its state and count follow from its past
    delta      size and norm that the codec allows; view within what was seen; and, once the blob is held,
               the bytes, norm and format that the entry announced (replica.open_delta)
    weight     what weights.py gives for this past, times what the policy's rules leave of it: authoring runs the same
               code (`weigh`)
    policy-breach   a snapshot whose count follows only if updates were folded that the policy leaves out
    accuse     of a log that it has seen enrol; and, once the blob is held, evidence (fork.py) under keys
               of that log that its past shows
    sketch, challenge, opening, and accusations of openings   inspection_rules.py
    token      a time stamp (anchor): of a token's possible size, and, once the blob is held, just of that
               size. Whose it is, and of what time, is for those who trust some authority (timestamp.py)
    policy     a change of the policy, with the number that comes next in its past; and, once the blob is
               held, a policy (in_force.py)
    revoke     of a peer that it has seen admitted, from a lower entry on than this admin has named before; it leaves
               as many admins as the threshold asks for
    verdict    on entries of others that it has seen (verdicts.py)
    final      of an own snapshot: a note over exactly the log up to it, signed by its author and by a majority of
               the witnesses that genesis names

An update that breaks the *policy* in force in its past is no broken rule: its log goes on, and it is left out of fold
and weights.
Admins and witnesses are recognised by the key of their enrolment, whatever key is in force. Everything here is a
property of an entry and its past. It refuses to know what else this peer holds, whether the bytes are their author's
(whoever calls has checked that), vectors, and where bytes are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import assert_never

from ledger import standing, weights
from ledger.chain import Charge, InvalidEntry, Log, LogId, Tip, admit_members, expel, sizes_of
from ledger.charter import Charter, Outcome, Past, branches_of, data_at
from ledger.checkpoint import Checkpoint, open_note, origin
from ledger.cosignature import cosignatures, verify_cosignature
from ledger.delta import HEADER_BYTES, max_blob_bytes
from ledger.entry import (
    MAX_TOKEN_BYTES,
    Accuse,
    Anchor,
    AnyEntry,
    Challenge,
    Data,
    Enrol,
    Finality,
    FoldConstants,
    Genesis,
    Hash,
    Member,
    Opening,
    PeerId,
    PolicyChange,
    Recover,
    Revoke,
    Rotate,
    Snapshot,
    Update,
    Verdict,
)
from ledger.errors import RemoteError
from ledger.fork import check_evidence
from ledger.genesis import MAX_NORM
from ledger.in_force import check_change, policy_of
from ledger.inspection_rules import check_accused, check_challenge, check_opening, find_false
from ledger.keys import check_public
from ledger.membership import GUEST_ROLES, Membership, Word, guest_until, revoked_from
from ledger.note import Signature
from ledger.policy import Policy, Ruling
from ledger.roles import check_role
from ledger.state import state_hash
from ledger.verdicts import check_verdict
from ledger.weights import Sight, Weighed


def check_place(charter: Charter, tip: Tip, entry: AnyEntry, digest: Hash) -> None:
    """The entry belongs exactly here: this swarm, this log, after this entry."""

    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "place", why)

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


def check_kind(charter: Charter, tip: Tip, past: Past, entry: AnyEntry) -> Outcome:
    """The rules of one kind. `tip` has followed what the entry has seen."""
    check_role(charter, tip, past.own, entry)
    match entry:
        case Genesis():
            return Outcome(tip, blob=entry.policy)
        case Enrol():
            return Outcome(_check_enrol(charter, tip, entry))
        case Member():
            seat = _check_member(charter, tip, past.require(), entry)
            joined = seat.join(tip.admitted.get(entry.peer))
            return Outcome(standing.settle(admit_members(tip, {entry.peer: joined})), house=seat.house)
        case Revoke():
            return Outcome(standing.settle(_check_revoke(charter, tip, past.require(), entry)))
        case Data():
            after = replace(tip, data=MappingProxyType({**tip.data, entry.seq: entry}))
            return Outcome(after, blob=entry.sketch or None)
        case Update():
            return _check_update(charter, tip, past.require(), entry)
        case Snapshot():
            _check_snapshot(tip, past, entry)
            return Outcome(replace(tip, unsnapped=0))
        case Accuse(charge="opening"):
            return check_accused(tip, past, entry)
        case Accuse():
            if not any(log.peer == entry.peer and log.keys for log, _ in branches_of(tip, past.require())):
                raise InvalidEntry(tip.log, tip.size, "accuse", "its author has not seen that peer enrol")
            return Outcome(tip, blob=entry.evidence)
        case Rotate() | Recover():
            _check_rotation(tip, entry)
            return Outcome(replace(tip, key=bytes.fromhex(entry.key), promise=entry.next))
        case Finality():
            _check_final(charter, tip, past.require(), entry)
            return Outcome(tip)
        case Anchor():
            if not 1 <= entry.bytes <= MAX_TOKEN_BYTES:
                raise InvalidEntry(tip.log, tip.size, "token", f"no time stamp has {entry.bytes} bytes")
            return Outcome(tip, blob=entry.token)
        case PolicyChange():
            return check_change(charter, tip, past.require(), entry)
        case Verdict():
            check_verdict(tip, past.require(), entry)
            return Outcome(tip)
        case Challenge():
            return check_challenge(charter, tip, past.require(), entry)
        case Opening():
            return check_opening(tip, past.require(), entry)
    assert_never(entry)


def open_accusation(charter: Charter, tip: Tip, past: Past, entry: Accuse, blob: bytes) -> Charge:
    """What the evidence that an accuse entry names proves.

    RemoteError if it is not that blob: the messenger's fault. InvalidEntry if it is, and proves nothing: the author's.
    """
    if sha256(blob).hexdigest() != entry.evidence:
        raise RemoteError("evidence is not what its entry names", why=f"expected SHA-256 {entry.evidence}")
    if len(blob) != entry.bytes:
        raise InvalidEntry(tip.log, entry.seq, "accuse", f"says {entry.bytes} bytes, its evidence has {len(blob)}")
    charge = _proven(charter, tip, past, entry, blob)
    if charge in tip.charges.get(charge.peer, ()):
        raise InvalidEntry(tip.log, entry.seq, "accuse", "proves what an accusation that its author has seen does")
    return charge


def _proven(charter: Charter, tip: Tip, past: Past, entry: Accuse, blob: bytes) -> Charge:
    if entry.charge == "opening":
        return find_false(charter, tip, past, entry, blob)
    branches = [(log, size) for log, size in branches_of(tip, past.require()) if log.peer == entry.peer]

    def keys(size: int) -> set[bytes]:
        return {log.held_at(min(size, held)).key for log, held in branches}

    try:
        halves = check_evidence(blob, origin(charter.swarm, entry.peer), entry.index, keys)
    except RemoteError as error:
        raise InvalidEntry(tip.log, entry.seq, "accuse", str(error)) from None
    return Charge(entry.peer, entry.index, halves)


def check_token(log: LogId, entry: Anchor, blob: bytes) -> None:
    """What is decided about a time stamp by everybody: RemoteError if `blob` is not the one that the entry names,
    InvalidEntry if it is, and not as long as the entry says."""
    if sha256(blob).hexdigest() != entry.token:
        raise RemoteError("a time stamp is not what its entry names", why=f"expected SHA-256 {entry.token}")
    if len(blob) != entry.bytes:
        raise InvalidEntry(log, entry.seq, "token", f"says {entry.bytes} bytes, its token has {len(blob)}")


def weigh(
    charter: Charter, tip: Tip, own: Log, view: Mapping[int, int], update: Update, data: Data
) -> tuple[Weighed, Policy, Ruling]:
    """The one path to a weight, for authors and checkers: what follows from the past and the policy in force in it.

    `tip` has followed what the update has seen. The update's own `weight` and `view` are not looked at.
    """
    constants = charter.constants
    weighed = weights.weigh(constants, own.row, sight(constants, tip, view), update.norm)
    policy = policy_of(charter, tip)
    ruling = policy.rule_on(update, data)
    return replace(weighed, weight=weighed.weight * ruling.permille // 1000), policy, ruling


def sight(constants: FoldConstants, tip: Tip, view: Mapping[int, int]) -> Sight:
    """What an update's past shows of the other trainers."""
    logs = [tip.roster[slot] for slot in tip.trainers]
    sizes = [tip.limits.get(slot, tip.sizes[slot]) for slot in tip.trainers]
    own = tip.admitted.get(tip.peer)
    norms = [log.norm[size] for log, size in zip(logs, sizes, strict=True)]
    return Sight(
        peers=tuple([log.peer for log in logs]),
        counts=tuple([1 + log.folded[size] for log, size in zip(logs, sizes, strict=True)]),
        norms=tuple([constants.norm0 if known < 0 else known for known in norms]),
        unviewed=standing.unviewed(tip, view),
        houses=tip.houses,
        house=own.house if own is not None else "",
    )


def snapshot_facts(tip: Tip, past: Past) -> tuple[Hash, int]:
    """The `state` and `updates` of a snapshot with this past."""
    branches = branches_of(tip, past.require())
    return state_hash(past.logs, branches), standing.count(past.logs, sizes_of(branches))


def _check_snapshot(tip: Tip, past: Past, entry: Snapshot) -> None:
    """Its count and state follow from its past. Where the count is that of somebody who folds what the policy leaves
    out, that is what it is called."""
    state, updates = snapshot_facts(tip, past)
    if (entry.state, entry.updates) == (state, updates):
        return
    left_out = len(standing.left_out(past.logs, sizes_of(branches_of(tip, past.require()))))
    if updates < entry.updates <= updates + left_out:
        more = entry.updates - updates
        why = f"counts {entry.updates} updates: {updates}, and {more} of {left_out} that the policy leaves out"
        raise InvalidEntry(tip.log, tip.size, "policy-breach", why)
    raise InvalidEntry(tip.log, tip.size, "snapshot", "does not follow from its own past")


def _check_enrol(charter: Charter, tip: Tip, entry: Enrol) -> Tip:
    key = bytes.fromhex(entry.key)
    try:
        check_public(key)
    except RemoteError as error:
        raise InvalidEntry(tip.log, tip.size, "key", str(error)) from None
    enrolled = replace(tip, key=key, promise=entry.next)
    if tip.peer != charter.founder:
        return enrolled
    if entry.key not in charter.require().admins:
        raise InvalidEntry(tip.log, tip.size, "key", "the founder's key is not among the admins of its genesis")
    return admit_members(enrolled, {tip.peer: Membership("admin")})


def _check_member(charter: Charter, tip: Tip, own: Log, entry: Member) -> Membership:
    """What the entry says of the peer that it admits."""

    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "member", why)

    if charter.founder not in tip.admitted:
        raise wrong("its author has not seen the founder enrol")
    past = branches_of(tip, own)
    keys = {held.key for log, size in past if log.peer == entry.peer for held in log.keys if held.size <= size}
    if not keys:
        raise wrong("its author has not seen that peer enrol")
    if any(_has_had(log, size, keys) for log, size in past if log.peer != entry.peer and log.peer in tip.admitted):
        raise wrong("another member has that key")
    if tip.revoked_from(entry.peer) is not None:
        raise wrong("its author has seen admins revoke that peer")
    if entry.peer == tip.peer and tip.peer in tip.admitted:
        raise wrong("a member says nothing of itself")  # or it would stay as long as it likes
    admins = charter.require().admins
    newcomer = next(log for log in (*tip.roster, own) if log.peer == entry.peer)
    named = newcomer.enrol_key.hex() in admins
    if (entry.role == "admin") is not named:
        raise wrong(
            "lets in a key that genesis names as an admin as something else"
            if named
            else "gives the role of admin to a key that genesis does not name"
        )
    seat = Membership(entry.role, entry.expires, _house(charter, tip, own))
    if seat.house:
        _check_guest(charter, tip, own, newcomer, seat)
    known = tip.admitted.get(entry.peer)
    if known == seat.join(known) and (seat.house or entry.peer in _let_in(charter, tip, own)):
        raise wrong("its author has seen that peer admitted before, and it adds nothing")
    return seat


def _house(charter: Charter, tip: Tip, own: Log) -> PeerId:
    """Who answers for those whom the author of this log lets in; "" if they stand alone."""
    if own.enrol_key.hex() in charter.require().admins:
        return ""
    return tip.peer


def _check_guest(charter: Charter, tip: Tip, own: Log, guest: Log, seat: Membership) -> None:
    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "member", why)

    if tip.admitted[tip.peer].house:
        raise wrong("a guest lets nobody in")
    if guest.sponsor != tip.peer:  # else one sponsor could draw another's guests into its house, or hide its own there
        raise wrong("that peer has enrolled as the guest of another, or of nobody")
    if seat.role not in GUEST_ROLES:
        raise wrong(f"a member who is no admin lets in somebody as {seat.role}")
    if seat.expires != guest_until(tip.admitted[tip.peer], seat.expires):
        raise wrong("a guest would stay longer than the member who lets it in")
    guests = {
        said.peer
        for log, size in branches_of(tip, own)
        for said in log.admissions
        if log.peer == tip.peer and said.seq < size and said.peer != guest.peer
    }
    most = charter.require().guests
    if len(guests) >= most:
        raise wrong(f"{len(guests)} peers are guests of that house already, the limit is {most}")


def _check_revoke(charter: Charter, tip: Tip, own: Log, entry: Revoke) -> Tip:
    """The tip with the author's word added."""

    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "revoke", why)

    if entry.peer not in tip.admitted:
        raise wrong("its author has not seen that peer admitted")
    genesis, admin = charter.require(), own.enrol_key.hex()
    before = tip.revoked.get(entry.peer, ())
    if any(word.admin == admin and word.since <= entry.since for word in before):
        raise wrong("its author has said that before, and it adds nothing")
    after = expel(tip, {entry.peer: {Word(admin, entry.since, genesis.threshold)}})
    if before and revoked_from(before) is not None:
        return after
    if tip.admitted[entry.peer].role != "admin" or after.revoked_from(entry.peer) is None:
        return after
    holders = _holders(charter, after, own)
    left = sum(
        key not in holders or any(after.member(peer) is not None for peer in holders[key]) for key in genesis.admins
    )
    if left < genesis.threshold:
        raise wrong(f"would leave {left} admins, and it takes {genesis.threshold} to change anything")
    return after


def _let_in(charter: Charter, tip: Tip, own: Log) -> set[PeerId]:
    """Whom somebody else has let in in this past. (Admins whom genesis names may do so themselves.)"""
    rows = ((log, said) for log, size in branches_of(tip, own) for said in log.admissions if said.seq < size)
    return {said.peer for log, said in rows if said.peer != log.peer} | {charter.founder}


def _holders(charter: Charter, tip: Tip, own: Log) -> dict[str, set[PeerId]]:
    """By the key of their enrolment, the members of this past (or who was one) who stand for that key in lists of
    admins and witnesses.

    Whoever holds a key that its owner has left behind may enrol with it once more, and let itself in, in a past that
    does not show the owner. So of several with one key those count whom somebody else has let in, if there are any.
    """
    others = _let_in(charter, tip, own)
    found: dict[str, set[PeerId]] = {}
    for log in (*tip.roster, own):
        if log.keys and log.peer in tip.admitted:
            found.setdefault(log.enrol_key.hex(), set()).add(log.peer)
    return {key: peers & others or peers for key, peers in found.items()}


def _has_had(log: Log, size: int, keys: set[bytes]) -> bool:
    """Whether one of these was a key of a log's author, as far as that log is seen."""
    return any(held.key in keys for held in log.keys if held.size <= size)


def _known_keys(tip: Tip, own: Log) -> dict[PeerId, set[bytes]]:
    """Every key that each peer has had in this past."""
    keys: dict[PeerId, set[bytes]] = {}
    for log, size in branches_of(tip, own):
        if found := {held.key for held in log.keys if held.size <= size}:
            keys.setdefault(log.peer, set()).update(found)
    return keys


def _check_rotation(tip: Tip, entry: Rotate | Recover) -> None:
    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "key", why)

    key = bytes.fromhex(entry.key)
    if sha256(key).hexdigest() != tip.promise:
        raise wrong("is not the key that was promised")
    try:
        check_public(key)
    except RemoteError as error:
        raise wrong(str(error)) from None
    if key == tip.key or any(
        key == held.key
        for log, size in zip(tip.roster, tip.sizes, strict=True)
        for held in log.keys
        if held.size <= size and log.peer != tip.peer
    ):
        raise wrong("somebody has that key")
    if any(
        entry.next == held.promise or entry.next == sha256(held.key).hexdigest()
        for log, size in zip(tip.roster, tip.sizes, strict=True)
        for held in log.keys
        if held.size <= size and log.peer != tip.peer
    ):
        raise wrong("promises a key that somebody has, or has promised")


def _check_final(charter: Charter, tip: Tip, own: Log, entry: Finality) -> None:
    """Who has signed. A majority of the witnesses has made it final; no witnesses, no finality."""

    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "final", why)

    if entry.snapshot not in own.snapshots:
        own.require(entry.snapshot + 1)
        raise wrong(f"entry {entry.snapshot} is no snapshot of its log")
    size, note = entry.snapshot + 1, entry.note.encode("utf-8", "replace")
    try:
        checkpoint = open_note(note, own.held_at(size).key)
        signatures = cosignatures(note)
    except RemoteError as error:
        raise wrong(str(error)) from None
    if (checkpoint.origin, checkpoint.size) != (origin(charter.swarm, tip.peer), size):
        raise wrong("its note is of another log, or of another size")
    if checkpoint.root != own.tree.root(size):
        raise wrong("its note is of another history")
    witnesses = charter.require().witnesses
    keys = _known_keys(tip, own)
    holders = _holders(charter, tip, own)
    signed = 0
    for witness in witnesses:
        signed += any(
            signature.name == name and _cosigned(checkpoint, signature, name, key)
            for peer in holders.get(witness, ())
            if tip.member(peer) is not None
            for name in (origin(charter.swarm, peer),)
            for signature in signatures
            for key in keys.get(peer, ())
        )
    if 2 * signed <= len(witnesses):
        raise wrong(f"{signed} of {len(witnesses)} witnesses have signed it")


def _cosigned(checkpoint: Checkpoint, signature: Signature, name: str, key: bytes) -> bool:
    try:
        verify_cosignature(checkpoint, signature, name, key)
    except RemoteError:
        return False
    return True


def _check_update(charter: Charter, tip: Tip, own: Log, entry: Update) -> Outcome:
    def wrong(rule: str, why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, rule, why)

    data = data_at(own, tip.size, entry.data)
    if data is None:
        raise wrong("data", f"cites entry {entry.data}, which is no data entry of its log")
    claimed = data.privacy.epsilon
    if entry.epsilon > claimed or (claimed and not entry.epsilon):
        raise wrong("privacy", f"has spent an epsilon of {entry.epsilon} thousandths, its data entry claims {claimed}")
    if tip.unsnapped >= charter.constants.snapshot_every:
        raise wrong("snapshot", f"is update {tip.unsnapped + 1} since the last snapshot")
    if not HEADER_BYTES <= entry.bytes <= max_blob_bytes(charter.parameters):
        raise wrong("delta", f"no delta of this model has {entry.bytes} bytes")
    if not 0 <= entry.norm <= MAX_NORM:
        raise wrong("delta", f"no delta has norm {entry.norm}")
    for index, size in entry.view:
        if index >= len(tip.sizes) or not 0 <= size < tip.sizes[index]:
            raise wrong("delta", "its view is not part of what it has seen")
    try:
        weighed, policy, ruling = weigh(charter, tip, own, dict(entry.view), entry, data)
    except RemoteError as error:
        raise wrong("weight", str(error)) from None
    if weighed.weight != entry.weight:
        raise wrong("weight", f"says {entry.weight}, its past gives {weighed.weight}")
    after = replace(tip, unsnapped=tip.unsnapped + 1)
    if ruling.refused:
        return Outcome(after, basis=policy.hash, ruling=ruling)
    return Outcome(
        after, entry.delta, entry.norm, weighed.weight, weighed.row, policy.hash, ruling, weighed.active
    )  # fmt: skip
