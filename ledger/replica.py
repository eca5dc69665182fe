"""The swarm as one peer holds it: which entries are admitted, and what they mean together.

    bytes --check--> Checked | Waiting(needs) | InvalidEntry          pure: depends on the entry and its past alone
    Checked --(its blob is held and opened: open_delta)--> admit --> Change      the only way in, and what it does
                                                                                 to the sum that is the model

Why it exists: every peer and every auditor must decide alike about every entry, whatever order entries came in. What is
asked of it is in known.py, and what entries do to the sum in moves.py; here is what lets them in.

Rules kept here: an entry comes in after the one before it and after everything it has seen, never twice, never
after an invalid one; nothing admitted ever changes. What entries must satisfy is in chain.py and rules.py, what
counts when an author has signed two histories in standing.py. This file refuses to know whether bytes are their
author's (whoever calls has checked a checkpoint), vectors, and, if it is given a reader, where bytes are kept.

Of a log that was signed twice both branches are held, each under an id of its own (chain.py). An author names
branches only by `heads`, a hash over all of them: which one a size means is found by trying those held against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from ledger import drafting, in_force, rules, standing, weights
from ledger.canonical import decode_entry, entry_hash
from ledger.chain import (
    ROWS_EVERY,
    Charge,
    Disputed,
    FinalPast,
    Held,
    InvalidEntry,
    Log,
    LogId,
    Tip,
    Waiting,
    accuse,
    common,
    fork_of,
    pack,
    peer_of,
    strand_id,
)
from ledger.charter import Charter, Past, data_at
from ledger.checked import Change, Checked, open_delta
from ledger.condemned import Ballot, ballots_of, cast
from ledger.drafting import ChainFields, follow_draft, view_of
from ledger.entry import (
    Accuse,
    Challenge,
    Enrol,
    Finality,
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
from ledger.errors import LocalError, RemoteError
from ledger.membership import Admission, Membership, Word
from ledger.merkle import Tree, leaf_hash
from ledger.moves import Moves
from ledger.policy import Policy
from ledger.rebuild import row_at, tip_at
from ledger.standing import Term
from ledger.tail import NeedsHistory, Tail

__all__ = [
    "ChainFields",
    "Change",
    "Checked",
    "Disputed",
    "InvalidEntry",
    "LogId",
    "NeedsHistory",
    "Replica",
    "Term",
    "Waiting",
    "fork_of",
    "open_delta",
    "peer_of",
]  # fmt: skip


N = TypeVar("N", bytes, str)


class Replica(Moves):
    """Everything admitted so far, and the one way in (known.py says what it is made with)."""

    @classmethod
    def opened(cls, charter: Charter, logs: Iterable[Log], entries: dict[LogId, Tail[bytes]]) -> Replica:
        """Of logs that are held from a snapshot on, in order of lanes (state_opening.py, which has verified them).

        What cannot be decided from there raises NeedsHistory, and changes nothing.
        """
        replica = cls(charter.swarm, charter.founder)
        replica._charter, replica._policy = charter, charter.policy
        replica._entries = dict(entries)
        for log in logs:
            replica._held.add(log)
        for log in replica._logs.values():
            for admission in log.admissions:
                replica._enter(admission)
            for _, peer, word in log.revokes:
                replica._expel(peer, word)
        for peer, strands in replica._strands.items():
            for held in (held for log in strands for held in log.keys):
                replica._had.setdefault(held.key, set()).add(peer)
            replica._know_keys(peer)
        replica._troubled = {peer for peer, strands in replica._strands.items() if len(strands) > 1}
        replica._charged = {charge for log in replica._logs.values() for _, charge in log.charges}
        replica._troubled |= {charge.peer for charge in replica._charged}
        replica._troubled |= {log.peer for log in replica._logs.values() if log.recovers}
        replica._troubled |= {peer for peer in replica._words if replica.is_revoked(peer)}
        for log in replica._logs.values():
            for said in log.condemns:
                replica._judges.setdefault(said.peer, set()).add(log.peer)
        replica._troubled |= {peer for peer, judges in replica._judges.items() if len(judges) > 1}
        replica._said = in_force.said_in((log, log.tip.size) for log in replica._logs.values())
        replica._cuts = standing.cuts(replica._logs, replica.heads())
        replica._admitted = 1  # all of it at once
        return replica

    # -------------------------------------------------------------- what may come in

    def check(self, log: LogId, data: bytes) -> Checked | Waiting:
        """Decide about bytes that are said to be the next entry of `log`.

        Waiting if its past is not all admitted. InvalidEntry if it can never be: if the bytes are the author's own
        (a signed checkpoint covers them), tell `end` so, unless it is only Disputed.
        """
        held = self._logs.get(log)
        tip = held.tip if held else Tip(log)
        if self._held.ended.get(log) == tip.size:
            raise InvalidEntry(log, tip.size, "ended", "follows an entry that broke a rule")
        try:
            entry = decode_entry(data)
        except RemoteError as error:
            raise InvalidEntry(log, tip.size, "format", str(error)) from None
        digest = entry_hash(data)
        rules.check_place(self._charter, tip, entry, digest)
        followed = self._held.resolve(tip, held, entry.meets, entry.seen, entry.heads)
        if not isinstance(followed, Tip):
            return followed
        out = rules.check_kind(self._charter, followed, Past(held, self._logs), entry)
        out = replace(out, tip=replace(out.tip, size=tip.size + 1, head=digest))
        return Checked(log, tip.size, data, entry, digest, out.blob, out.norm, out.weight, out.refused, out)

    def install_policy(self, blob: bytes) -> None:
        """Hand over the policy that genesis names, before genesis is admitted. RemoteError if it is not a policy."""
        self._policy = Policy.from_blob(blob)

    def branch(self, parent: LogId, index: int, data: bytes) -> LogId:
        """Make room for another branch of a log, to which `data` would be entry `index`; check and admit go on there.

        LocalError if the parent has no such entry yet, or just this one: then there is nothing to branch off from.
        """
        held = self._held.get(parent)
        if not 1 <= index < held.tip.size or held.tree.leaf(index) == leaf_hash(data):
            raise LocalError("this entry is no second branch of that log", why=f"entry {index} of {parent[:12]}")
        while held.parent is not None and index <= held.fork:
            held = held.parent
        for strand in self._strands[held.peer]:  # it may be one of another name
            if common(strand, held) >= index and strand.tip.size > index and strand.tree.leaf(index) == leaf_hash(data):
                return strand.id
        name = strand_id(held.peer, index, entry_hash(data))
        if name not in self._logs:
            strand = held.branch(name, len(self._logs), index)
            strand.tip = replace(tip_at(held, index, entry_hash(self.data(held.id, index - 1))), log=name)
            strand.row = row_at(self.constants, held, held.folded[index])
            self._held.add(strand)
        return name

    def strand_for(self, peer: PeerId, data: bytes) -> LogId | None:
        """The branch of a peer's log on which these bytes stand, or come next; made if there is none (see branch).

        None if the entry before them is on none of the branches held. RemoteError if they are no entry.
        """
        entry = decode_entry(data)
        for log in self._strands.get(peer, ()):
            if entry.seq == 0 or not log.fork < entry.seq <= log.tip.size:
                continue  # (of a strand the entries before its fork are its parent's)
            if entry_hash(self.data(log.id, entry.seq - 1)) != entry.prev:
                continue
            if entry.seq == log.tip.size or log.tree.leaf(entry.seq) == leaf_hash(data):
                return log.id
            return self.branch(log.id, entry.seq, data)
        return peer if entry.seq == 0 else None

    def admit(self, checked: Checked, evidence: bytes = b"") -> Change:
        """Take an entry in, whose blob is held and, for an update, has passed open_delta.

        `evidence` is the blob of an accuse or policy entry: RemoteError if it is not the one named, InvalidEntry if it
        is, and proves nothing, or is no policy.
        """
        entry, held, tip = checked.entry, self._logs.get(checked.log), checked.outcome.tip
        if (held.tip.size if held else 0) != checked.seq or (held.tip.head if held else "") != entry.prev:
            raise LocalError("this entry is not the next of its log any more", next_step="check it again")
        charge: Charge | None = None
        if isinstance(entry, Genesis):
            if self._policy is None or self._policy.hash != entry.policy:
                raise LocalError("the policy of this swarm is not held", next_step="call install_policy first")
            self._charter = self._charter.adopt(entry, self._policy)
        elif isinstance(entry, Accuse):
            before = replace(tip, size=checked.seq)
            among = Past(self._held.get(checked.log), self._logs)
            charge = rules.open_accusation(self._charter, before, among, entry, evidence)
            tip = standing.settle(accuse(tip, {charge.peer: (charge,)}))
        elif isinstance(entry, PolicyChange):
            self._charter = self._charter.know(in_force.open_policy(tip, entry, evidence))
        ballots: list[Ballot] = []
        if isinstance(entry, Verdict):
            seat = tip.admitted[tip.peer]  # (only members judge)
            ballots = ballots_of(held, checked.seq, entry, seat.house, self._strands)
        self._foresee(checked, charge, ballots)
        if held is None:
            tree, column = Tree(column=self._column), self._column
            held = Log(checked.log, len(self._logs), Tip(checked.log), tree=tree, deltas=column(), row_hashes=column())
            self._held.add(held)
        if self._keeps:
            self._entries.setdefault(held.id, []).append(checked.data)
        for slot, log in enumerate(tip.roster):
            if slot >= len(held.tip.roster) or held.tip.roster[slot] is not log:
                held.slots.append((checked.seq, slot, log))
        past = pack((*tip.roster, held), (*tip.sizes, tip.size))
        held.append(leaf_hash(checked.data), tip, past, self._admitted)
        self._admitted += 1
        _account(held, checked)
        self._register(held, checked, charge, ballots)
        return self._reckon(held, checked, charge, ballots)

    def end(self, log: LogId, seq: int) -> None:
        """Remember that the author's own entry `seq` broke a rule: its log ends, and so does any log that cites it."""
        if seq != self.size(log):
            raise LocalError("only the next entry of a log can end it", why=f"entry {seq}, {self.size(log)} are held")
        self._held.ended[log] = seq

    def reopen(self, log: LogId) -> None:
        """Another entry than the one that broke a rule was signed for the same place: the log may go on with that."""
        self._held.ended.pop(log, None)

    # -------------------------------------------------------------- authoring

    def draft(self, log: LogId) -> ChainFields:
        """The chain fields of the next entry of a log, as of everything admitted now."""
        return drafting.draft(self._held, self.swarm, self._admitted, self._held.get(log))

    def view(self, log: LogId, draft: ChainFields, view_heads: Mapping[LogId, int]) -> list[tuple[int, int]]:
        """The `view` field of an update drafted so: what was seen, but not yet in the model it was trained from."""
        return view_of(self._redo(log, draft), view_heads)

    def weigh(self, log: LogId, draft: ChainFields, view_heads: Mapping[LogId, int], body: Update) -> int:
        """The `weight` field of an update drafted so. What `body` has there does not matter; all else does."""
        tip, own = self._redo(log, draft), self._held.get(log)
        data = data_at(own, tip.size, body.data)
        if data is None:
            raise LocalError(f"entry {body.data} of the own log is no data entry", next_step="write one first")
        return rules.weigh(self._charter, tip, own, dict(view_of(tip, view_heads)), body, data)[0].weight

    def policy_in_force(self, log: LogId, draft: ChainFields) -> Policy:
        """The policy that an update drafted so is ruled on by."""
        return in_force.policy_of(self._charter, self._redo(log, draft))

    def next_policy(self, log: LogId, draft: ChainFields) -> int:
        """The `number` of a policy entry drafted so."""
        return in_force.in_force(self.genesis, self._redo(log, draft).said)[0] + 1

    def snapshot_facts(self, log: LogId, draft: ChainFields) -> tuple[Hash, int]:
        """The `state` and `updates` fields of a snapshot drafted so."""
        return rules.snapshot_facts(self._redo(log, draft), Past(self._held.get(log), self._logs))

    def snapshot_due(self, log: LogId) -> bool:
        """Whether the next update of this log would be refused without a snapshot before it."""
        return self._held.get(log).tip.unsnapped >= self.constants.snapshot_every

    # -------------------------------------------------------------- private

    def _redo(self, log: LogId, draft: ChainFields) -> Tip:
        return follow_draft(self._held, self._held.get(log), draft)

    def _register(self, held: Log, checked: Checked, charge: Charge | None, ballots: list[Ballot]) -> None:
        """Extend what is looked up by peer: keys, roles, admissions, accusations, recoveries, finals."""
        seq = checked.seq
        match checked.entry:
            case Enrol() | Rotate() | Recover() as entry:
                held.keys.append(Held(seq + 1, bytes.fromhex(entry.key), entry.next))
                if isinstance(entry, Enrol):
                    held.sponsor = entry.sponsor
                if isinstance(entry, Recover):
                    held.recovers.append((seq, entry.since))
                if isinstance(entry, Enrol) and held.id == self.founder:
                    held.admissions.append(Admission(seq, held.peer, "admin", 0, ""))
                    self._enter(held.admissions[-1])
                self._know_keys(held.peer)
            case Member(peer=peer, role=role, expires=expires):
                held.admissions.append(Admission(seq, peer, role, expires, checked.outcome.house))
                self._enter(held.admissions[-1])
            case Revoke(peer=peer, since=since):
                held.revokes.append((seq, peer, self._word(held, since)))
                self._expel(*held.revokes[-1][1:])
            case Challenge() as entry:
                held.challenges.append((seq, entry))
            case Opening() as entry:
                held.openings.append((seq, entry))
            case PolicyChange(number=number, policy=policy):
                held.policies.append((seq, number, policy))
                self._said.setdefault((number, policy), set()).add(held.enrol_key.hex())
            case Snapshot():
                held.snapshots.append(seq)
            case Finality(snapshot=snapshot):
                past = self.past(held.id, snapshot + 1)
                cut = standing.counts(self._logs, past)
                gone = standing.condemned_in(self._logs, past, cut)
                held.finals.append(FinalPast(seq, snapshot, MappingProxyType(cut), MappingProxyType(gone)))
            case Verdict(judgements=judgements):
                for peer in {judgement.peer for judgement in judgements}:
                    self._about.setdefault(peer, []).append((held.id, seq))
        if charge is not None:
            held.charges.append((seq, charge))
            self._know_keys(charge.peer)
        if held.fork == seq and held.fork:
            self._know_keys(held.peer)
        for ballot in ballots:
            held.condemns.append(ballot.said)
            cast(held, ballot)

    def _enter(self, admission: Admission) -> None:
        peer = admission.peer
        self._seats[peer] = Membership.of(admission).join(self._seats.get(peer))
        self._know_keys(peer)

    def _expel(self, peer: PeerId, word: Word) -> None:
        self._words.setdefault(peer, set()).add(word)
        self._know_keys(peer)

    def _know_keys(self, peer: PeerId) -> None:
        """Which keys this peer may show: those of the branches that stand, or of all if none does."""
        strands = [log for log in self._strands[peer] if log.keys]
        for log in strands:
            self._had.setdefault(log.keys[-1].key, set()).add(peer)
        strands = [log for log in strands if self.void_from(log.id) is None] or strands
        shown = {log.keys[-1].key for log in strands}, {log.keys[-1].promise for log in strands}
        keys, promises = self._shown.get(peer, (set(), set()))
        self._shown[peer] = shown
        for key in sorted(keys ^ shown[0]):
            _own(self._members, key, peer, is_owner=key in shown[0])
        for digest in sorted(promises ^ shown[1]):
            _own(self._promised, digest, peer, is_owner=digest in shown[1])


def _own(owners: dict[N, tuple[PeerId, ...]], name: N, peer: PeerId, *, is_owner: bool) -> None:
    """Let a peer be the last of the owners of something, or none of them."""
    found = [owner for owner in owners.pop(name, ()) if owner != peer]
    if is_owner:
        found.append(peer)
    if found:
        owners[name] = tuple(found)


def _account(held: Log, checked: Checked) -> None:
    """Extend the columns that later entries look up."""
    folded, weight, norm = held.folded[-1], held.weight[-1], held.norm[-1]
    row = checked.outcome.row
    if row is not None and checked.weight is not None and checked.norm is not None:
        folded, weight, norm = folded + 1, weight + checked.weight, checked.norm
        held.row = row
        held.row_hashes += weights.row_hash(row)
        held.deltas += bytes.fromhex(checked.blob or "")
        held.folded_at.append(checked.seq)
        held.cites.append(checked.entry.data if isinstance(checked.entry, Update) else 0)
        held.active.append(checked.outcome.active)
        if folded % ROWS_EVERY == 0:
            held.rows.append(row)
    elif isinstance(checked.entry, Update):
        held.refused.append(checked.seq)
    held.folded.append(folded)
    held.weight.append(weight)
    held.norm.append(norm)
