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

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import islice, product
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from ledger import rules, standing, weights
from ledger.canonical import decode_entry, entry_hash
from ledger.chain import (
    MAX_LOG_SIZE,
    ROWS_EVERY,
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
    accuse,
    admit_members,
    common,
    follow,
    fork_of,
    guards,
    heads_hash,
    pack,
    peer_of,
    strand_id,
)
from ledger.entry import (
    FORMAT_VERSION,
    Accuse,
    AnyEntry,
    Enrol,
    Entry,
    Finality,
    FoldConstants,
    Genesis,
    Hash,
    Member,
    PeerId,
    Recover,
    Rotate,
    Snapshot,
    Update,
)
from ledger.errors import LocalError, RemoteError
from ledger.fold import D, Fold, T
from ledger.merkle import Tree, leaf_hash
from ledger.policy import Breach, Policy
from ledger.rules import TRAINING_ROLES, Charter, Outcome, Past
from ledger.standing import Term
from ledger.weights import START, Row

__all__ = [
    "ChainFields",
    "Change",
    "Checked",
    "Disputed",
    "InvalidEntry",
    "LogId",
    "Replica",
    "Term",
    "Waiting",
    "fork_of",
    "open_delta",
    "peer_of",
]  # fmt: skip

MAX_MEETS: Final = 256  # peers introduced in one entry: 17 KB
MAX_SEEN: Final = 1024  # logs seen to grow in one entry: 15 KB, and as much again for a view
MAX_TRIES: Final = 1024  # combinations of branches held against one `heads`: ten logs signed twice
_RANK: Final = ("admin", "trainer", "relay", "auditor", "observer")  # admitted twice: the first of these counts

E = TypeVar("E", bound=Entry)


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


@dataclass(frozen=True, slots=True)
class Change:
    """What admitting an entry did to the sum of updates that the model is: terms taken out and put in."""

    removed: tuple[Term, ...] = ()
    added: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainFields:
    """The chain half of a new entry: what an author says it has seen."""

    v: int
    swarm: Hash
    seq: int
    prev: Hash
    meets: list[PeerId]
    seen: list[tuple[int, int]]
    heads: Hash
    complete: bool  # False if not all that is admitted fits one entry: write another; no snapshot over this one

    def stamp(self, entry: E, time: int) -> E:
        """`entry` with these chain fields and this time in place of whatever it had."""
        return msgspec.structs.replace(
            entry, v=self.v, swarm=self.swarm, seq=self.seq, prev=self.prev, time=time,
            meets=self.meets, seen=self.seen, heads=self.heads,
        )  # fmt: skip


Reader = Callable[[LogId, int], bytes]


class Replica:
    """Everything admitted so far.

    `swarm` and `founder` come from an invite, a store or an auditor's anchor, never from a peer. `read` looks up the
    bytes of an admitted entry (a strand's own ones only, from its fork on); without it they are kept here.
    """

    def __init__(self, swarm: Hash, founder: PeerId, read: Reader | None = None) -> None:
        self._charter = Charter(swarm, founder)
        self._logs: dict[LogId, Log] = {}  # in order of lanes
        self._strands: dict[PeerId, tuple[Log, ...]] = {}
        self._entries: dict[LogId, list[bytes]] = {}  # a strand's from its fork on
        self._read = read or self._kept
        self._keeps = read is None
        self._ended: dict[LogId, int] = {}
        self._roles: dict[PeerId, str] = {}
        self._members: dict[bytes, PeerId] = {}  # by key in force, for display and links
        self._promised: dict[Hash, PeerId] = {}
        self._cuts: dict[LogId, Ranges] = {}  # what counts of those logs of which not everything does (standing.py)
        self._troubled: set[PeerId] = set()  # accused, forked or recovered: only their cuts can move
        self._policy: Policy | None = None
        self._guard = 0
        self._admitted = 0  # entries

    # -------------------------------------------------------------- what is held

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
        held = self._log(log)
        return held.weight[seq + 1] - held.weight[seq] if held.folded[seq + 1] > held.folded[seq] else None

    def void_from(self, log: LogId) -> int | None:
        """The lowest index from which a log counts no more by all that is admitted now; None if it all counts.

        Finals may hold some of what is void, and recoveries take out more: `terms` is what counts.
        """
        held = self._log(log)
        charges = {c for other in self._logs.values() for _, c in other.charges if c.peer == held.peer}
        branches = [(strand, strand.tip.size) for strand in self._strands[held.peer]]
        void = standing.void_from((held, held.tip.size), branches, charges)
        return None if void == standing.NEVER else void

    def accused_at(self, peer: PeerId) -> int | None:
        """The lowest index that an admitted accusation names in a peer's log."""
        indices = [c.index for log in self._logs.values() for _, c in log.charges if c.peer == peer]
        return min(indices, default=None)

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
        return self._log(log).tree

    def root(self, log: LogId, size: int) -> bytes:
        return self._log(log).tree.root(size)

    def data(self, log: LogId, seq: int) -> bytes:
        """The bytes of an admitted entry, as received."""
        held = self._log(log)
        while held.parent is not None and seq < held.fork:
            held = held.parent
        if not 0 <= seq < held.tip.size:
            raise LocalError(f"entry {seq} of log {log[:12]} is not held")
        return self._read(held.id, seq)

    def entry(self, log: LogId, seq: int) -> AnyEntry:
        return decode_entry(self.data(log, seq))

    def past(self, log: LogId, size: int) -> dict[LogId, int]:
        """The version vector of a log's first `size` entries, its own included."""
        packed = self._log(log).pasts[size - 1]
        sizes = ((name, packed >> (32 * held.lane) & MAX_LOG_SIZE) for name, held in self._logs.items())
        return {name: seen for name, seen in sizes if seen}

    def ended_at(self, log: LogId) -> int | None:
        """The index at which an invalid entry ended a log, if one did."""
        return self._ended.get(log)

    def enrolled(self, log: LogId) -> bool:
        held = self._logs.get(log)
        return held is not None and bool(held.keys)

    def key_of(self, log: LogId) -> bytes:
        """The public key that signs a log's checkpoints now."""
        return self.key_at(log, MAX_LOG_SIZE)

    def key_at(self, log: LogId, size: int) -> bytes:
        """The public key that must sign a log's checkpoint of that size."""
        return self._log(log).held_at(size).key

    def promised(self, log: LogId) -> Hash:
        """The SHA-256 of the key that a log may change to next."""
        return self._log(log).held_at(MAX_LOG_SIZE).promise

    def enrol_key_of(self, peer: PeerId) -> bytes:
        """The key that lists of admins and witnesses know a peer by; it never changes."""
        return self._log(peer).held_at(0).key

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
        if self._ended.get(log) == tip.size:
            raise InvalidEntry(log, tip.size, "ended", "follows an entry that broke a rule")
        try:
            entry = decode_entry(data)
        except RemoteError as error:
            raise InvalidEntry(log, tip.size, "format", str(error)) from None
        digest = entry_hash(data)
        rules.check_place(self._charter, tip, entry, digest)
        followed = self._follow(tip, held, entry)
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
        held = self._log(parent)
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
            strand.tip, strand.row = self.tip_at(held.id, index), self._row_at(held, held.folded[index])
            strand.tip = replace(strand.tip, log=name)
            self._add(strand)
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

        `evidence` is the blob of an accuse entry: RemoteError if it is not the one named, InvalidEntry if it is, and
        proves nothing.
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
            charge = rules.open_accusation(self._charter, before, self._log(checked.log), entry, evidence)
            tip = standing.settle(accuse(tip, {charge.peer: (charge,)}))
        if held is None:
            held = Log(checked.log, len(self._logs), Tip(checked.log))
            self._add(held)
        if self._keeps:
            self._entries.setdefault(held.id, []).append(checked.data)
        for slot, log in enumerate(tip.roster):
            if slot >= len(held.tip.roster) or held.tip.roster[slot] is not log:
                held.slots.append((checked.seq, slot, log))
        past = pack((*tip.roster, held), (*tip.sizes, tip.size))
        held.append(leaf_hash(checked.data), tip, past, self._admitted)
        self._admitted += 1
        _account(held, checked)
        self._register(held, checked, charge)
        return self._reckon(held, checked, charge)

    def end(self, log: LogId, seq: int) -> None:
        """Remember that the author's own entry `seq` broke a rule: its log ends, and so does any log that cites it."""
        if seq != self.size(log):
            raise LocalError("only the next entry of a log can end it", why=f"entry {seq}, {self.size(log)} are held")
        self._ended[log] = seq

    def reopen(self, log: LogId) -> None:
        """Another entry than the one that broke a rule was signed for the same place: the log may go on with that."""
        self._ended.pop(log, None)

    # -------------------------------------------------------------- authoring

    def draft(self, log: LogId) -> ChainFields:
        """The chain fields of the next own entry, as of everything admitted now.

        LocalError if a second branch of this very log is held: its author was a forker, or was restored from an old
        copy, and whatever it writes on either branch nobody who holds the other will take.
        """
        own = self._log(log)
        tip = own.tip
        if sum(strand.tip.size > strand.fork for strand in self._strands[own.peer]) > 1:
            raise LocalError(
                "the own log was signed twice: two branches of it are held", next_step="join again as a new peer"
            )
        branches = list(zip(tip.roster, tip.sizes, strict=True))
        fresh: list[tuple[int, bool, Log, int]] = []  # position of the first entry to cite, ..., and what is seen of it
        for held in self._logs.values():
            if held.peer == own.peer:
                continue
            known = max((min(common(held, seen), size) for seen, size in branches if seen.peer == held.peer), default=0)
            known = max(known, held.fork)
            if held.tip.size > known:
                fresh.append((held.positions[known], all(held is not seen for seen in tip.roster), held, known))
        horizon = self._horizon(fresh)
        grown = [(held, bisect_right(held.positions, horizon), known) for _, _, held, known in fresh]
        grown = [(held, size, known) for held, size, known in grown if size > known]
        slots: dict[int, tuple[Log, int]] = {}
        met: list[tuple[Log, int]] = []
        taken: list[tuple[Log, int]] = []
        # (A trunk first: what it shares with a strand was there before the strand was.)
        for held, size, _ in sorted(grown, key=lambda item: (item[0].peer, -item[1], item[0].id)):
            if any(common(held, other) >= size for other, _ in taken if other.peer == held.peer):
                continue  # contained in a branch that is cited
            slot = next(
                (
                    slot
                    for slot, (seen, upto) in enumerate(branches)
                    if seen.peer == held.peer and slot not in slots and common(held, seen) >= upto
                ),
                None,
            )
            if slot is None:
                met.append((held, size))
            else:
                slots[slot] = (held, size)
            taken.append((held, size))
        met.sort(key=lambda item: item[0].head_at(item[1]))
        slots.update((len(branches) + at, item) for at, item in enumerate(met))
        heads = [*tip.heads, *(b"" for _ in met)]
        for slot, (held, size) in slots.items():
            heads[slot] = held.head_at(size)
        return ChainFields(
            v=FORMAT_VERSION, swarm=self.swarm, seq=tip.size, prev=tip.head,
            meets=[held.peer for held, _ in met], seen=sorted((slot, size) for slot, (_, size) in slots.items()),
            heads=heads_hash(heads), complete=horizon == self._admitted,
        )  # fmt: skip

    def view(self, log: LogId, draft: ChainFields, view_heads: Mapping[LogId, int]) -> list[tuple[int, int]]:
        """The `view` field of an update drafted so: what was seen, but not yet in the model it was trained from."""
        return _view(self._redo(log, draft), view_heads)

    def weigh(self, log: LogId, draft: ChainFields, view_heads: Mapping[LogId, int], norm: int) -> int:
        """The `weight` field of an update drafted so. `norm` is that of its delta, grid 2^-24."""
        tip = self._redo(log, draft)
        return rules.weigh(self.constants, tip, self._log(log), dict(_view(tip, view_heads)), norm).weight

    def snapshot_facts(self, log: LogId, draft: ChainFields) -> tuple[Hash, int]:
        """The `state` and `updates` fields of a snapshot drafted so."""
        return rules.snapshot_facts(self._redo(log, draft), Past(self._log(log), self._logs))

    def snapshot_due(self, log: LogId) -> bool:
        """Whether the next update of this log would be refused without a snapshot before it."""
        return self._log(log).tip.unsnapped >= self.constants.snapshot_every

    # -------------------------------------------------------------- private

    def tip_at(self, log: LogId, size: int) -> Tip:
        """The tip of a log's first `size` entries, made again from the columns (size >= 1)."""
        held = self._log(log)
        if size == held.tip.size:
            return held.tip
        roster: list[Log] = []
        for seq, slot, meant in held.slots:
            if seq < size:
                roster[slot : slot + 1] = [meant]
        sizes = tuple([held.seen_at(size - 1, seen) for seen in roster])
        known = held.held_at(size) if held.keys and held.keys[0].size <= size else Held(0, b"", "")
        snapped = held.snapshots[at - 1] if (at := bisect_left(held.snapshots, size)) else -1
        unsnapped = sum(
            bisect_left(column, size) - bisect_right(column, snapped) for column in (held.folded_at, held.refused)
        )
        tip = Tip(
            log, size, entry_hash(self.data(log, size - 1)), known.key, known.promise, tuple(roster), sizes,
            tuple([seen.head_at(upto) for seen, upto in zip(roster, sizes, strict=True)]),
            tuple(sorted(range(len(roster)), key=lambda slot: roster[slot].peer)),
            data=MappingProxyType({seq: data for seq, data in held.tip.data.items() if seq < size}),
            unsnapped=unsnapped,
        )  # fmt: skip
        admitted: dict[PeerId, bool] = {}
        charges: dict[PeerId, set[Charge]] = {}
        for seen, upto in [*zip(roster, sizes, strict=True), (held, size)]:
            for seq, peer, trains in seen.admissions:
                if seq < upto:
                    admitted[peer] = trains or admitted.get(peer, False)
            for seq, charge in seen.charges:
                if seq < upto:
                    charges.setdefault(charge.peer, set()).add(charge)
        return standing.settle(admit_members(accuse(tip, charges), admitted))

    # -------------------------------------------------------------- private

    def _follow(self, tip: Tip, held: Log | None, entry: AnyEntry) -> Tip | Waiting:
        return self._resolve(tip, held, entry.meets, entry.seen, entry.heads)

    def _resolve(
        self, tip: Tip, own: Log | None, meets: list[PeerId], seen: list[tuple[int, int]], heads: Hash
    ) -> Tip | Waiting:
        """Follow what an entry has seen, along those branches that its `heads` is the hash of."""
        if tip.peer in meets:
            raise InvalidEntry(tip.log, tip.size, "meets", "introduces itself")
        count = len(tip.roster) + len(meets)
        if not {slot for slot, _ in seen}.issuperset(range(len(tip.roster), count)):
            raise InvalidEntry(tip.log, tip.size, "meets", "introduces a peer without seeing its log")
        if not seen:
            if heads_hash(tip.heads) != heads:
                raise InvalidEntry(tip.log, tip.size, "heads", "is not the hash of the logs it has seen")
            return tip
        choices: list[list[Log]] = []
        needs: list[tuple[LogId, int]] = []
        for slot, size in seen:
            if slot >= count:
                raise InvalidEntry(tip.log, tip.size, "seen", f"names peer {slot} of a roster of {count}")
            if (
                slot < len(tip.roster)
                and tip.sizes[slot] < size <= (log := tip.roster[slot]).tip.size
                and len(self._strands[log.peer]) == 1
            ):
                choices.append([log])  # nearly always
                continue
            found = self._branches_meant(tip, slot, size, meets)
            if isinstance(found, list):
                choices.append(found)
            else:
                needs.append(found)
        if needs:
            return Waiting(tuple(needs))
        match = self._try_branches(tip, len(meets), seen, choices, heads)
        if match is None:
            roster = self._spelled(tip, seen, [found[0] for found in choices], count)[0]
            if len({log.id for log in roster}) < count:
                raise Disputed(tip.log, tip.size, "meets", "names a peer twice, of whose log one branch is held")
            follow(tip, own, roster, seen, self._guard, sure=False)  # says it if a past is left out
            raise Disputed(tip.log, tip.size, "heads", "is not the hash of the logs it has seen")
        followed = follow(tip, own, match, seen, self._guard)
        moved = followed.admitted is not tip.admitted or followed.charges or followed.limits
        return standing.settle(followed) if moved or followed.roster != tip.roster else followed

    def _branches_meant(self, tip: Tip, slot: int, size: int, meets: list[PeerId]) -> list[Log] | tuple[LogId, int]:
        """The branches held that a slot may mean at that size, or what to wait for."""
        if slot < len(tip.roster):
            log, before = tip.roster[slot], tip.sizes[slot]
            if size <= before:
                raise InvalidEntry(tip.log, tip.size, "seen", f"sees {size} entries of a log after {before}")
            strands = self._strands[log.peer]
            fit = [strand for strand in strands if common(strand, log) >= before] if len(strands) > 1 else [log]
            peer = log.peer
        else:
            peer = meets[slot - len(tip.roster)]
            fit = list(self._strands.get(peer, ()))
        found = [strand for strand in fit if strand.fork < size <= strand.tip.size]
        if found:
            return found
        alive = [strand for strand in fit if size <= self._ended.get(strand.id, size)]
        if not alive and (fit or size > self._ended.get(peer, size)):
            raise Disputed(tip.log, tip.size, "seen", "cites an entry that breaks a rule")
        return max(alive, key=lambda strand: strand.tip.size).id if alive else peer, size

    def _try_branches(
        self, tip: Tip, met: int, seen: list[tuple[int, int]], choices: list[list[Log]], heads: Hash
    ) -> tuple[Log, ...] | None:
        """The roster that `heads` is the hash of; of those that differ in the order of their slots alone, one."""
        fits: list[tuple[list[bytes], tuple[Log, ...]]] = []
        for chosen in islice(product(*choices), MAX_TRIES):
            roster, rows = self._spelled(tip, seen, list(chosen), len(tip.roster) + met)
            if heads_hash(rows) == heads and _all_differ(roster, rows):
                if all(len(found) == 1 for found in choices):
                    return roster
                fits.append((rows, roster))
        return min(fits, key=lambda fit: fit[0])[1] if fits else None

    def _spelled(
        self, tip: Tip, seen: list[tuple[int, int]], chosen: list[Log], count: int
    ) -> tuple[tuple[Log, ...], list[bytes]]:
        roster: list[Log] = [*tip.roster, *chosen[len(chosen) - count + len(tip.roster) :]]
        rows = [*tip.heads, *(b"" for _ in range(count - len(tip.roster)))]
        for (slot, size), log in zip(seen, chosen, strict=True):
            roster[slot] = log
            rows[slot] = log.head_at(size)
        return tuple(roster), rows

    def _kept(self, log: LogId, seq: int) -> bytes:
        return self._entries[log][seq - self._logs[log].fork]

    def _add(self, log: Log) -> None:
        self._logs[log.id] = log
        self._strands[log.peer] = (*self._strands.get(log.peer, ()), log)
        self._guard = guards(len(self._logs))

    def _log(self, log: LogId) -> Log:
        held = self._logs.get(log)
        if held is None:
            raise LocalError(f"nothing of log {log[:12]} is held")
        return held

    def _redo(self, log: LogId, draft: ChainFields) -> Tip:
        held = self._log(log)
        if draft.seq != held.tip.size:
            raise LocalError("the draft is not of this log's next entry", next_step="draft it again")
        tip = self._resolve(held.tip, held, draft.meets, draft.seen, draft.heads)
        if not isinstance(tip, Tip):
            raise LocalError("the draft cites what is not held", next_step="draft it again")
        return tip

    def _horizon(self, fresh: list[tuple[int, bool, Log, int]]) -> int:
        """Up to where, in our order of admission, one entry can cite: any prefix of that order is a closed past."""
        met = 0
        for count, (position, new) in enumerate(sorted(item[:2] for item in fresh)):
            met += new
            if met > MAX_MEETS or count >= MAX_SEEN:
                return position - 1
        return self._admitted

    def _row_at(self, log: Log, number: int) -> Row:
        """The row after a log's first `number` folded updates: from one kept before, by the growth since."""
        if number == log.folded[-1]:
            return log.row
        kept = number // ROWS_EVERY
        row = log.rows[kept - 1] if kept else START
        for seq in log.folded_at[kept * ROWS_EVERY : number]:
            tip = self.tip_at(log.id, seq + 1)
            sight = rules.sight(self.constants, tip, {})
            row = weights.weigh(self.constants, row, sight, 1).row
        return row

    def _register(self, held: Log, checked: Checked, charge: Charge | None) -> None:
        """Extend what is looked up by peer: keys, roles, admissions, accusations, recoveries, finals."""
        seq = checked.seq
        match checked.entry:
            case Enrol() | Rotate() | Recover() as entry:
                held.keys.append(Held(seq + 1, bytes.fromhex(entry.key), entry.next))
                if isinstance(entry, Recover):
                    held.recovers.append((seq, entry.since))
                if isinstance(entry, Enrol) and held.id == self.founder:
                    held.admissions.append((seq, held.peer, True))
                    self._enter(held.peer, "admin")
                self._know_keys(held.peer)
            case Member(peer=peer, role=role):
                held.admissions.append((seq, peer, role in TRAINING_ROLES))
                self._enter(peer, role)
            case Snapshot():
                held.snapshots.append(seq)
            case Finality(snapshot=snapshot):
                cut = standing.cuts(self._logs, self.past(held.id, snapshot + 1))
                held.finals.append(FinalPast(seq, snapshot, MappingProxyType(cut)))
        if charge is not None:
            held.charges.append((seq, charge))

    def _reckon(self, held: Log, checked: Checked, charge: Charge | None) -> Change:
        """What the entry just admitted did to the sum."""
        before = {held.id: checked.seq}
        if charge is not None:
            self._troubled.add(charge.peer)
            self._know_keys(charge.peer)
        if isinstance(checked.entry, Recover) or held.fork:
            self._troubled.add(held.peer)
        if held.fork == checked.seq and held.fork:
            self._know_keys(held.peer)
        if charge is None and held.peer not in self._troubled and not isinstance(checked.entry, Finality):
            added = standing.terms_in(held, ((checked.seq, checked.seq + 1),)) if checked.weight is not None else []
            return Change((), tuple(added))
        old, self._cuts = self._cuts, standing.cuts(self._logs, self.heads())
        removed: list[Term] = []
        new: list[Term] = []
        for name in {held.id: None, **dict.fromkeys(old), **dict.fromkeys(self._cuts)}:
            log = self._logs[name]
            was = standing.ranges_of(log, before.get(name, log.tip.size), old)
            now = standing.ranges_of(log, log.tip.size, self._cuts)
            removed += standing.terms_in(log, standing.difference(was, now))
            new += standing.terms_in(log, standing.difference(now, was))
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


def _all_differ(roster: tuple[Log, ...], rows: list[bytes]) -> bool:
    """Whether slots of one peer are different branches, none of which contains another."""
    if len({log.peer for log in roster}) == len(roster):
        return True
    by_peer: dict[PeerId, list[tuple[Log, int]]] = {}
    for log, row in zip(roster, rows, strict=True):
        by_peer.setdefault(log.peer, []).append((log, int.from_bytes(row[32:40], "big")))
    return all(
        common(log, other) < min(size, upto)
        for branches in by_peer.values()
        for at, (log, size) in enumerate(branches)
        for other, upto in branches[:at]
    )


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
        if folded % ROWS_EVERY == 0:
            held.rows.append(row)
    elif isinstance(checked.entry, Update):
        held.refused.append(checked.seq)
    held.folded.append(folded)
    held.weight.append(weight)
    held.norm.append(norm)


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


def _view(tip: Tip, view_heads: Mapping[LogId, int]) -> list[tuple[int, int]]:
    """`view_heads` holds strands with their parents, as Replica.heads gives it."""
    shown: list[tuple[int, int]] = []
    for slot, log in enumerate(tip.roster):
        known = view_heads.get(log.id, 0)
        at = log
        while at.parent is not None and known == 0:
            known = min(at.fork, view_heads.get(at.parent.id, 0))
            at = at.parent
        if known < tip.sizes[slot]:
            shown.append((slot, known))
    return shown
