"""The swarm as one peer holds it: which entries are admitted, and what they mean together.

    bytes --check--> Checked | Waiting(needs) | InvalidEntry          pure: depends on the entry and its past alone
    Checked --(its blob is held and opened: open_delta)--> admit --> Change      the only way in, and what it does
                                                                                 to the sum that is the model

Why it exists: every peer and every auditor must decide alike about every entry, whatever order entries came in.

Rules kept here: an entry comes in after the one before it and after everything it has seen, never twice, never
after an invalid one; nothing admitted ever changes. What entries must satisfy is in chain.py and rules.py, what
counts when an author has signed two histories in standing.py. This file refuses to know whether bytes are their
author's (whoever calls has checked a checkpoint), vectors, and, if it is given a reader, where bytes are kept.

Of a log that was signed twice both branches are held, each under an id of its own (chain.py). An author names
branches only by `heads`, a hash over all of them: which one a size means is found by trying those held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from ledger import drafting, in_force, rules, standing, weights
from ledger.branches import Branches
from ledger.canonical import decode_entry, entry_hash
from ledger.chain import (
    MAX_LOG_SIZE,
    ROWS_EVERY,
    TRAINING_ROLES,
    Charge,
    Disputed,
    FinalPast,
    Held,
    InvalidEntry,
    Log,
    LogId,
    Ranges,
    Tip,
    Waiting,
    Wish,
    accuse,
    common,
    fork_of,
    lineage,
    pack,
    peer_of,
    strand_id,
)
from ledger.charter import Charter, Past, data_at
from ledger.checked import Change, Checked, open_delta
from ledger.condemned import Ballot, ballots_of, cast, is_judged, judges_of, owner, quorum, uncast
from ledger.drafting import ChainFields, follow_draft, view_of
from ledger.entry import (
    Accuse,
    AnyEntry,
    Challenge,
    Data,
    Enrol,
    Finality,
    FoldConstants,
    Genesis,
    Hash,
    Judgement,
    Member,
    Opening,
    PeerId,
    PolicyChange,
    Recover,
    Rotate,
    Snapshot,
    Update,
    Verdict,
)
from ledger.errors import LocalError, RemoteError
from ledger.inspection_rules import answered_by, is_false
from ledger.merkle import Column, Tree, leaf_hash
from ledger.policy import Policy
from ledger.ranges import difference
from ledger.rebuild import row_at, tip_at
from ledger.standing import Term
from ledger.tail import Items, NeedsHistory, Tail

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

_RANK: Final = ("admin", "trainer", "relay", "auditor", "observer")  # admitted twice: the first of these counts


Reader = Callable[[LogId, int], bytes]


class Replica:
    """Everything admitted so far.

    `swarm` and `founder` come from an invite, a store or an auditor's anchor, never from a peer. `read` looks up the
    bytes of an admitted entry (a strand's own ones only, from its fork on); without it they are kept here. `column`
    makes the columns of hashes: an auditor's need not be in memory.
    """

    def __init__(
        self,
        swarm: Hash,
        founder: PeerId,
        read: Reader | None = None,
        column: Callable[[], Column] = bytearray,
    ) -> None:
        self._column = column
        self._charter = Charter(swarm, founder)
        self._held = Branches()
        self._logs, self._strands = self._held.logs, self._held.strands
        self._entries: dict[LogId, Items[bytes]] = {}  # a strand's from its fork on
        self._read = read or self._kept
        self._keeps = read is None
        self._roles: dict[PeerId, str] = {}
        self._members: dict[bytes, PeerId] = {}  # by key in force, for display and links
        self._promised: dict[Hash, PeerId] = {}
        self._cuts: dict[LogId, Ranges] = {}  # what counts of those logs of which not everything does (standing.py)
        self._troubled: set[PeerId] = set()  # accused, forked, recovered or judged: only their cuts move
        self._charged: set[Charge] = set()  # by admitted accusations: the same once more moves nothing
        self._judges: dict[PeerId, set[PeerId]] = {}  # who condemned anything of a peer: one alone moves nothing
        self._about: dict[PeerId, list[tuple[LogId, int]]] = {}  # verdicts on a peer's entries
        self._policy: Policy | None = None
        self._said: dict[Wish, set[str]] = {}  # policies asked for, and by which admins
        self._admitted = 0  # entries

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
            for _, peer, role in log.admissions:
                replica._enter(peer, role)
        replica._troubled = {peer for peer, strands in replica._strands.items() if len(strands) > 1}
        replica._charged = {charge for log in replica._logs.values() for _, charge in log.charges}
        replica._troubled |= {charge.peer for charge in replica._charged}
        replica._troubled |= {log.peer for log in replica._logs.values() if log.recovers}
        for log in replica._logs.values():
            for said in log.condemns:
                replica._judges.setdefault(said.peer, set()).add(log.peer)
        replica._troubled |= {peer for peer, judges in replica._judges.items() if len(judges) > 1}
        replica._said = in_force.said_in((log, log.tip.size) for log in replica._logs.values())
        replica._cuts = standing.cuts(replica._logs, replica.heads())
        replica._admitted = 1  # all of it at once
        return replica

    # -------------------------------------------------------------- what is held

    @property
    def branches(self) -> Branches:
        """The logs themselves, for who reads their columns (state_document.py). Never to be changed."""
        return self._held

    @property
    def swarm(self) -> Hash:
        return self._charter.swarm

    @property
    def founder(self) -> PeerId:
        return self._charter.founder

    @property
    def has_genesis(self) -> bool:
        return self._charter.genesis is not None

    @property
    def genesis(self) -> Genesis:
        """LocalError until it is admitted."""
        return self._charter.require()

    @property
    def constants(self) -> FoldConstants:
        return self._charter.constants

    def policy_now(self) -> Policy:
        """The policy in force in the past that holds everything admitted. LocalError before genesis."""
        return self._charter.policies[self.policy_standing()[1]]

    def policy_standing(self) -> Wish:
        """Its number and hash."""
        return in_force.in_force(self.genesis, {wish: tuple(admins) for wish, admins in self._said.items()})

    def admins_for(self, wish: Wish) -> int:
        """How many admins have asked for a policy under that number."""
        return len(self._said.get(wish, ()))

    @property
    def policies(self) -> Mapping[Hash, Policy]:
        """Genesis' policy and every one that an admitted entry names."""
        return self._charter.policies

    def asked(self) -> tuple[Wish, ...]:
        """Every (number, hash) that an admitted policy entry asks for, sorted."""
        return tuple(sorted(self._said))

    def policy_of(self, digest: Hash) -> Policy:
        """One of them by its hash."""
        found = self._charter.policies.get(digest)
        if found is None:
            raise LocalError(f"no entry that is held names a policy {digest[:12]}")
        return found

    def left_out(self, past: Mapping[LogId, int]) -> list[tuple[LogId, int]]:
        """Every update of a past that would be in its sum if the policy had let it in: log and index."""
        return standing.left_out(self._logs, past)

    def opens_falsely(self, log: LogId, seq: int, blob: bytes) -> bool:
        """Whether `blob`, which opening entry `seq` of a log names, is not what that log's data entry commits to."""
        held = self._held.get(log)
        opening = next((opening for at, opening in held.openings if at == seq), None)
        if opening is None or sha256(blob).hexdigest() != opening.opened:
            raise LocalError(f"this is not what entry {seq} of log {log[:12]} opens")
        return is_false(self._charter, Past(held, self._logs), held, opening, blob)

    def answers(self, log: LogId, seq: int) -> list[tuple[Data, Challenge]]:
        """What the opening at that place may answer: the challenge, and the data entry that it asks about."""
        held = self._held.get(log)
        opening = next((opening for at, opening in held.openings if at == seq), None)
        return [] if opening is None else answered_by(Past(held, self._logs), held, opening)

    @property
    def updates(self) -> Iterator[Term]:
        """Every update in the sum of everything admitted, by log: (log, seq, delta, weight)."""
        for log in self._logs.values():
            yield from standing.terms_in(log, standing.ranges_of(log, log.tip.size, self._cuts))

    def terms(self, past: Mapping[LogId, int]) -> Iterator[Term]:
        """Every update in the sum of a past."""
        return standing.terms(self._logs, past)

    def change(self, before: Mapping[LogId, int], after: Mapping[LogId, int]) -> Change:
        """What turns the sum of one past into that of another."""
        removed, added = standing.change(self._logs, before, after)
        return Change(tuple(removed), tuple(added))

    def weight_of(self, log: LogId, seq: int) -> int | None:
        """The weight of an admitted update that the policy let in, whether it still counts or not; None of others."""
        held = self._held.get(log)
        return held.weight[seq + 1] - held.weight[seq] if held.folded[seq + 1] > held.folded[seq] else None

    def void_from(self, log: LogId) -> int | None:
        """The lowest index from which a log counts no more by all that is admitted now; None if it all counts.

        Finals may hold some of what is void, and recoveries take out more: `terms` is what counts.
        """
        held = self._held.get(log)
        charges = {c for other in self._logs.values() for _, c in other.charges if c.peer == held.peer}
        branches = [(strand, strand.tip.size) for strand in self._strands[held.peer]]
        void = standing.void_from((held, held.tip.size), branches, charges)
        return None if void == standing.NEVER else void

    def convicted_at(self, peer: PeerId) -> int | None:
        """The lowest index at which accusations alone show that a branch of a peer's log does not count; or None."""
        charges = {c for log in self._logs.values() for _, c in log.charges if c.peer == peer}
        found = (standing.void_from((log, log.tip.size), (), charges) for log in self._strands.get(peer, ()))
        lowest = min(found, default=standing.NEVER)
        return None if lowest == standing.NEVER else lowest

    def accused_at(self, peer: PeerId) -> int | None:
        """The lowest index that an admitted accusation names in a peer's log."""
        indices = [c.index for log in self._logs.values() for _, c in log.charges if c.peer == peer]
        return min(indices, default=None)

    def condemned(self, log: LogId, seq: int) -> bool:
        """Whether by all that is admitted now a quorum condemns an update, or the data that it learned from.

        Of a data entry: whether that many condemn it that no update which cites it could count (were n(u) the number
        of trainers now). What a final holds counts all the same: `terms` is what does.
        """
        held = self._held.get(log)
        if held.folded[seq + 1] > held.folded[seq]:
            enough = quorum(held.active[held.folded[seq]])
            return len(judges_of(held, seq, self.heads())) >= enough
        votes = owner(held, seq).votes.get(seq, ())
        return len({judge.peer for judge, _ in votes}) >= quorum(len(self.trainers()))

    def condemnations(self, past: Mapping[LogId, int]) -> Iterator[tuple[LogId, int, int, tuple[PeerId, ...]]]:
        """Every update let in that a quorum condemns in a past: log, seq, weight, and by whom, sorted."""
        for name, size in past.items():
            log = self._logs[name]
            for number in range(log.folded[log.fork], log.folded[size]) if is_judged(log) else ():
                seq = log.folded_at[number]
                judges = judges_of(log, seq, past)
                if len(judges) >= quorum(log.active[number]):
                    yield name, seq, log.weight[seq + 1] - log.weight[seq], tuple(sorted(judges))

    def judgements(self, peer: PeerId) -> Iterator[tuple[LogId, int, Judgement]]:
        """Everything that is said of a peer's entries: in which log (its author is the judge), where, and what.

        Of a replica that was opened from a snapshot: what was said since.
        """
        for log, seq in self._about.get(peer, ()):
            entry = self.entry(log, seq)
            assert isinstance(entry, Verdict)
            yield from ((log, seq, judgement) for judgement in entry.judgements if judgement.peer == peer)

    def leaf(self, log: LogId, seq: int) -> Hash:
        """The leaf hash of an admitted entry: by which a judgement names it."""
        return self._held.get(log).tree.leaf(seq).hex()

    def heads(self) -> dict[LogId, int]:
        """How many entries of each log are admitted: V, the version vector that a model hash belongs to."""
        return {name: log.tip.size for name, log in self._logs.items() if log.tip.size > log.fork}

    def strands(self, peer: PeerId) -> tuple[LogId, ...]:
        """The branches held of one peer's log, the trunk first; () if nothing is."""
        return tuple(log.id for log in self._strands.get(peer, ()))

    def size(self, log: LogId) -> int:
        held = self._logs.get(log)
        return held.tip.size if held else 0

    def holds(self, log: LogId, size: int) -> bool:
        """Whether that many entries of a log, or of any other branch of it, are admitted: what Waiting waits for."""
        return any(strand.tip.size >= size for strand in self._strands.get(peer_of(log), ()))

    def tree(self, log: LogId) -> Tree:
        return self._held.get(log).tree

    def root(self, log: LogId, size: int) -> bytes:
        return self._held.get(log).tree.root(size)

    def data(self, log: LogId, seq: int) -> bytes:
        """The bytes of an admitted entry, as received."""
        held = self._held.get(log)
        while held.parent is not None and seq < held.fork:
            held = held.parent
        if not 0 <= seq < held.tip.size:
            raise LocalError(f"entry {seq} of log {log[:12]} is not held")
        return self._read(held.id, seq)

    def entry(self, log: LogId, seq: int) -> AnyEntry:
        return decode_entry(self.data(log, seq))

    def past(self, log: LogId, size: int) -> dict[LogId, int]:
        """The version vector of a log's first `size` entries, its own included."""
        packed = self._held.get(log).pasts[size - 1]
        sizes = ((name, packed >> (32 * held.lane) & MAX_LOG_SIZE) for name, held in self._logs.items())
        return {name: seen for name, seen in sizes if seen}

    def cited(self, log: LogId, seq: int) -> list[bytes]:
        """Peer || size || root of every branch that an admitted entry has seen, sorted: `heads` is their hash."""
        return sorted(tip_at(self._held.get(log), seq + 1, "").heads)

    def ended_at(self, log: LogId) -> int | None:
        """The index at which an invalid entry ended a log, if one did."""
        return self._held.ended.get(log)

    def enrolled(self, log: LogId) -> bool:
        held = self._logs.get(log)
        return held is not None and bool(held.keys)

    def key_of(self, log: LogId) -> bytes:
        """The public key that signs a log's checkpoints now."""
        return self.key_at(log, MAX_LOG_SIZE)

    def key_at(self, log: LogId, size: int) -> bytes:
        """The public key that must sign a log's checkpoint of that size."""
        return self._held.get(log).held_at(size).key

    def keys_of(self, log: LogId) -> tuple[bytes, ...]:
        """Every public key that a log has had, the one of its enrolment first."""
        return tuple(held.key for held in self._held.get(log).keys)

    def promised(self, log: LogId) -> Hash:
        """The SHA-256 of the key that a log may change to next."""
        return self._held.get(log).held_at(MAX_LOG_SIZE).promise

    def enrol_key_of(self, peer: PeerId) -> bytes:
        """The key that lists of admins and witnesses know a peer by; it never changes."""
        return self._held.get(peer).held_at(0).key

    def role_of(self, peer: PeerId) -> str:
        """The role of a member by all that is admitted now; "" for a stranger."""
        return self._roles.get(peer, "")

    def member_by_key(self, key: bytes) -> PeerId | None:
        """The member whose key this is: the one in force, or the one it has promised to change to."""
        return self._members.get(key) or self._promised.get(sha256(key).hexdigest())

    def trainers(self) -> tuple[PeerId, ...]:
        return tuple(sorted(peer for peer, role in self._roles.items() if role in TRAINING_ROLES))

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
            ballots = ballots_of(held, checked.seq, entry, self._strands)
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

    def _kept(self, log: LogId, seq: int) -> bytes:
        return self._entries[log][seq - self._logs[log].fork]

    def _register(self, held: Log, checked: Checked, charge: Charge | None, ballots: list[Ballot]) -> None:
        """Extend what is looked up by peer: keys, roles, admissions, accusations, recoveries, finals."""
        seq = checked.seq
        match checked.entry:
            case Enrol() | Rotate() | Recover() as entry:
                held.keys.append(Held(seq + 1, bytes.fromhex(entry.key), entry.next))
                if isinstance(entry, Recover):
                    held.recovers.append((seq, entry.since))
                if isinstance(entry, Enrol) and held.id == self.founder:
                    held.admissions.append((seq, held.peer, "admin"))
                    self._enter(held.peer, "admin")
                self._know_keys(held.peer)
            case Member(peer=peer, role=role):
                held.admissions.append((seq, peer, role))
                self._enter(peer, role)
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
        for ballot in ballots:
            held.condemns.append(ballot.said)
            cast(held, ballot)

    def _foresee(self, checked: Checked, charge: Charge | None, ballots: list[Ballot]) -> None:
        """NeedsHistory now, before anything is changed, if what an entry does to the sum lies in what is not held."""
        match checked.entry:
            case Recover(since=since):
                for name in lineage(self._logs[checked.log]):
                    standing.require_since(self._logs[name], since, self._cuts)
            case Finality(snapshot=snapshot):
                author = self._logs[checked.log]
                cut = standing.cuts(self._logs, self.past(checked.log, snapshot + 1))
                for name in self._cuts:
                    log = self._logs[name]
                    whole = ((log.fork, author.seen_at(snapshot, log)),)
                    standing.require_ranges(log, cut.get(name, whole), self._cuts)
            case Verdict() if any(ballot.on.base is not None for ballot in ballots):
                judge = owner(self._logs[checked.log], checked.seq - 1)  # as if its last entry had said so
                votes = [replace(ballot, said=replace(ballot.said, seq=checked.seq - 1)) for ballot in ballots]
                new = [vote for ballot in votes for vote in cast(judge, ballot)]
                try:
                    cut = standing.cuts(self._logs, self.heads())
                    for log in self._logs.values():
                        standing.require_difference(log, self._cuts, cut)
                finally:
                    uncast(reversed(new))
            case _ if charge is not None:
                for log in self._strands[charge.peer]:
                    if charge.index < log.tip.size:
                        log.tree.leaf(charge.index)
                        standing.require_since(log, charge.index, self._cuts)

    def _reckon(self, held: Log, checked: Checked, charge: Charge | None, ballots: list[Ballot]) -> Change:
        """What the entry just admitted did to the sum."""
        before = {held.id: checked.seq}
        if charge in self._charged:
            charge = None
        if charge is not None:
            self._charged.add(charge)
            self._troubled.add(charge.peer)
            self._know_keys(charge.peer)
        if isinstance(checked.entry, Recover) or held.fork:
            self._troubled.add(held.peer)
        if held.fork == checked.seq and held.fork:
            self._know_keys(held.peer)
        judged = {ballot.said.peer for ballot in ballots}
        for peer in judged:
            judges = self._judges.setdefault(peer, set())
            judges.add(held.peer)
            if len(judges) > 1:
                self._troubled.add(peer)
        calm = charge is None and not isinstance(checked.entry, Finality)
        if calm and held.peer not in self._troubled and self._troubled.isdisjoint(judged):
            added = standing.terms_in(held, ((checked.seq, checked.seq + 1),)) if checked.weight is not None else []
            return Change((), tuple(added))
        old, self._cuts = self._cuts, standing.cuts(self._logs, self.heads())
        removed: list[Term] = []
        new: list[Term] = []
        for name in {held.id: None, **dict.fromkeys(old), **dict.fromkeys(self._cuts)}:
            log = self._logs[name]
            was = standing.ranges_of(log, before.get(name, log.tip.size), old)
            now = standing.ranges_of(log, log.tip.size, self._cuts)
            removed += standing.terms_in(log, difference(was, now))
            new += standing.terms_in(log, difference(now, was))
        return Change(tuple(removed), tuple(new))

    def _enter(self, peer: PeerId, role: str) -> None:
        self._roles[peer] = min(self._roles.get(peer, role), role, key=_RANK.index)
        self._know_keys(peer)

    def _know_keys(self, peer: PeerId) -> None:
        """Which keys this member may show: those of the branches that stand, or of all if none does."""
        if peer not in self._roles:
            return
        strands = [log for log in self._strands[peer] if log.keys]
        strands = [log for log in strands if self.void_from(log.id) is None] or strands
        self._members = {key: owner for key, owner in self._members.items() if owner != peer}
        self._promised = {digest: owner for digest, owner in self._promised.items() if owner != peer}
        for log in strands:
            latest = log.keys[-1]
            self._members[latest.key] = min(peer, self._members.get(latest.key, peer))
            self._promised[latest.promise] = min(peer, self._promised.get(latest.promise, peer))


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
