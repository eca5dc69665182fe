"""The swarm as one peer holds it: which entries are admitted, and what they mean together.

    bytes --check--> Checked | Waiting(needs) | InvalidEntry          pure: depends on the entry and its past alone
    Checked --(its blob is held and opened: open_delta)--> admit      the only way in

Why it exists: every peer and every auditor must decide alike about every entry, whatever order entries came in.

Rules kept here: an entry comes in after the one before it and after everything it has seen, never twice, never
after an invalid one; nothing admitted ever changes. What entries must satisfy is in chain.py and rules.py. This file
refuses to know signatures (whoever calls has checked them), vectors, and where bytes are kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from ledger import rules, weights
from ledger.canonical import decode_entry, entry_hash
from ledger.chain import MAX_LOG_SIZE, Disputed, InvalidEntry, Log, Tip, Waiting, follow, guards, heads_hash, pack
from ledger.entry import FORMAT_VERSION, AnyEntry, Enrol, Entry, FoldConstants, Genesis, Hash, Member, PeerId, Update
from ledger.errors import LocalError, RemoteError
from ledger.fold import D, Fold, T
from ledger.merkle import Tree
from ledger.policy import Breach, Policy
from ledger.rules import TRAINING_ROLES, Charter, Outcome

__all__ = ["ChainFields", "Checked", "Disputed", "InvalidEntry", "Replica", "Waiting", "open_delta"]

MAX_MEETS: Final = 256  # peers introduced in one entry: 17 KB
MAX_SEEN: Final = 1024  # logs seen to grow in one entry: 15 KB, and as much again for a view
_RANK: Final = ("admin", "trainer", "relay", "auditor", "observer")  # admitted twice: the first of these counts

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Checked:
    """An entry that may be admitted once its blob is held. Only Replica.check makes one."""

    log: PeerId
    seq: int
    data: bytes
    entry: AnyEntry
    hash: Hash
    blob: Hash | None  # the delta or policy text to hold first; None also for updates that the policy leaves out
    norm: int | None  # of an update in the fold
    weight: int | None  # of an update in the fold
    refused: tuple[Breach, ...]  # policy rules that the update breaks: it is left out
    outcome: Outcome = field(repr=False)  # for Replica.admit


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


class Replica:
    """Everything admitted so far.

    `swarm` and `founder` come from an invite, a store or an auditor's anchor, never from a peer.
    """

    def __init__(self, swarm: Hash, founder: PeerId) -> None:
        self._charter = Charter(swarm, founder)
        self._logs: dict[PeerId, Log] = {}  # in order of lanes
        self._ended: dict[PeerId, int] = {}
        self._roles: dict[PeerId, str] = {}
        self._members: dict[bytes, PeerId] = {}
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
    def updates(self) -> Iterator[tuple[PeerId, int, Hash, int]]:
        """Every update in the fold, by log: (log, seq, delta, weight)."""
        for log in self._logs.values():
            for seq, delta, weight in log.updates:
                yield log.peer, seq, delta, weight

    def heads(self) -> dict[PeerId, int]:
        """How many entries of each log are admitted: V, the version vector that a model hash belongs to."""
        return {peer: log.tip.size for peer, log in self._logs.items()}

    def size(self, log: PeerId) -> int:
        held = self._logs.get(log)
        return held.tip.size if held else 0

    def tree(self, log: PeerId) -> Tree:
        return self._log(log).tree

    def root(self, log: PeerId, size: int) -> bytes:
        return self._log(log).tree.root(size)

    def data(self, log: PeerId, seq: int) -> bytes:
        """The bytes of an admitted entry, as received."""
        return self._log(log).entries[seq]

    def entry(self, log: PeerId, seq: int) -> AnyEntry:
        return decode_entry(self.data(log, seq))

    def past(self, log: PeerId, size: int) -> dict[PeerId, int]:
        """The version vector of a log's first `size` entries, its own included."""
        packed = self._log(log).pasts[size - 1]
        sizes = ((peer, packed >> (32 * held.lane) & MAX_LOG_SIZE) for peer, held in self._logs.items())
        return {peer: seen for peer, seen in sizes if seen}

    def ended_at(self, log: PeerId) -> int | None:
        """The index at which an invalid entry ended a log, if one did."""
        return self._ended.get(log)

    def enrolled(self, log: PeerId) -> bool:
        held = self._logs.get(log)
        return held is not None and bool(held.tip.key)

    def key_of(self, log: PeerId) -> bytes:
        """The public key that signs a log's checkpoints."""
        key = self._log(log).tip.key
        if not key:
            raise LocalError(f"log {log[:12]} has no enrol entry yet", next_step="admit it first")
        return key

    def role_of(self, peer: PeerId) -> str:
        """The role of a member by all that is admitted now; "" for a stranger."""
        return self._roles.get(peer, "")

    def member_by_key(self, key: bytes) -> PeerId | None:
        return self._members.get(key)

    def trainers(self) -> tuple[PeerId, ...]:
        return tuple(sorted(peer for peer, role in self._roles.items() if role in TRAINING_ROLES))

    # -------------------------------------------------------------- what may come in

    def check(self, log: PeerId, data: bytes) -> Checked | Waiting:
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
        if isinstance(followed, Waiting):
            return followed
        out = rules.check_kind(self._charter, followed, held, entry)
        out = replace(out, tip=replace(out.tip, size=tip.size + 1, head=digest))
        return Checked(log, tip.size, data, entry, digest, out.blob, out.norm, out.weight, out.refused, out)

    def install_policy(self, blob: bytes) -> None:
        """Hand over the policy that genesis names, before genesis is admitted. RemoteError if it is not a policy."""
        self._policy = Policy.from_blob(blob)

    def admit(self, checked: Checked) -> None:
        """Take an entry in, whose blob is held and, for an update, has passed open_delta."""
        entry, held, tip = checked.entry, self._logs.get(checked.log), checked.outcome.tip
        if (held.tip.size if held else 0) != checked.seq or (held.tip.head if held else "") != entry.prev:
            raise LocalError("this entry is not the next of its log any more", next_step="check it again")
        if isinstance(entry, Genesis):
            if self._policy is None or self._policy.hash != entry.policy:
                raise LocalError("the policy of this swarm is not held", next_step="call install_policy first")
            self._charter = self._charter.adopt(entry, self._policy)
        if held is None:
            held = Log(checked.log, len(self._logs), Tip(checked.log))
            self._logs[checked.log] = held
            self._guard = guards(len(self._logs))
        held.append(checked.data, tip, pack((*tip.roster, held), (*tip.sizes, tip.size)), self._admitted)
        self._admitted += 1
        _account(held, checked)
        if isinstance(entry, Enrol) and checked.log == self.founder:
            held.admissions.append((checked.seq, checked.log, True))
            self._enter(checked.log, "admin")
        elif isinstance(entry, Member):
            held.admissions.append((checked.seq, entry.peer, entry.role in TRAINING_ROLES))
            self._enter(entry.peer, entry.role)

    def end(self, log: PeerId, seq: int) -> None:
        """Remember that the author's own entry `seq` broke a rule: its log ends, and so does any log that cites it."""
        if seq != self.size(log):
            raise LocalError("only the next entry of a log can end it", why=f"entry {seq}, {self.size(log)} are held")
        self._ended[log] = seq

    # -------------------------------------------------------------- authoring

    def draft(self, log: PeerId) -> ChainFields:
        """The chain fields of the next own entry, as of everything admitted now."""
        tip = self._log(log).tip
        sizes = dict(zip((held.peer for held in tip.roster), tip.sizes, strict=True))
        index = {held.peer: at for at, held in enumerate(tip.roster)}
        grown = [held for held in self._logs.values() if held.peer != log and held.tip.size > sizes.get(held.peer, 0)]
        horizon = self._horizon(grown, sizes)
        upto = {held.peer: bisect_right(held.positions, horizon) for held in grown}
        grown = [held for held in grown if upto[held.peer] > sizes.get(held.peer, 0)]
        met = sorted((held for held in grown if held.peer not in index), key=lambda held: held.peer)
        index.update((held.peer, len(tip.roster) + at) for at, held in enumerate(met))
        seen = sorted((index[held.peer], upto[held.peer]) for held in grown)
        followed = follow(tip, self._log(log), met, seen, self._guard)
        return ChainFields(
            v=FORMAT_VERSION, swarm=self.swarm, seq=tip.size, prev=tip.head,
            meets=[held.peer for held in met], seen=seen, heads=_heads(followed), complete=horizon == self._admitted,
        )  # fmt: skip

    def view(self, log: PeerId, draft: ChainFields, view_heads: Mapping[PeerId, int]) -> list[tuple[int, int]]:
        """The `view` field of an update drafted so: what was seen, but not yet in the model it was trained from."""
        return _view(self._redo(log, draft), view_heads)

    def weigh(self, log: PeerId, draft: ChainFields, view_heads: Mapping[PeerId, int], norm: int) -> int:
        """The `weight` field of an update drafted so. `norm` is that of its delta, grid 2^-24."""
        tip = self._redo(log, draft)
        return rules.weigh(self.constants, tip, self._log(log), dict(_view(tip, view_heads)), norm).weight

    def snapshot_facts(self, log: PeerId, draft: ChainFields) -> tuple[Hash, int]:
        """The `state` and `updates` fields of a snapshot drafted so."""
        return rules.snapshot_facts(self._redo(log, draft), self._log(log))

    def snapshot_due(self, log: PeerId) -> bool:
        """Whether the next update of this log would be refused without a snapshot before it."""
        return self._log(log).tip.unsnapped >= self.constants.snapshot_every

    # -------------------------------------------------------------- private

    def _follow(self, tip: Tip, held: Log | None, entry: AnyEntry) -> Tip | Waiting:
        names = [*(log.peer for log in tip.roster), *entry.meets]
        if tip.peer in entry.meets or len(set(names)) != len(names):
            raise InvalidEntry(tip.peer, tip.size, "meets", "introduces itself, or a peer twice")
        needs: list[tuple[PeerId, int]] = []
        for index, size in entry.seen:
            if index >= len(names):
                raise InvalidEntry(tip.peer, tip.size, "seen", f"names peer {index} of a roster of {len(names)}")
            peer = names[index]
            if size > self._ended.get(peer, size):
                raise Disputed(tip.peer, tip.size, "seen", "cites an entry that breaks a rule")
            if size > self.size(peer):
                needs.append((peer, size))
        if not {index for index, _ in entry.seen}.issuperset(range(len(tip.roster), len(names))):
            raise InvalidEntry(tip.peer, tip.size, "meets", "introduces a peer without seeing its log")
        if needs:
            return Waiting(tuple(needs))
        met = [self._logs[peer] for peer in entry.meets]
        followed = follow(tip, held, met, entry.seen, self._guard)
        if _heads(followed) != entry.heads:
            raise Disputed(tip.peer, tip.size, "heads", "is not the hash of the logs it has seen")
        return followed

    def _log(self, log: PeerId) -> Log:
        held = self._logs.get(log)
        if held is None:
            raise LocalError(f"nothing of log {log[:12]} is held")
        return held

    def _redo(self, log: PeerId, draft: ChainFields) -> Tip:
        held = self._log(log)
        if draft.seq != held.tip.size:
            raise LocalError("the draft is not of this log's next entry", next_step="draft it again")
        return follow(held.tip, held, [self._logs[peer] for peer in draft.meets], draft.seen, self._guard)

    def _horizon(self, grown: list[Log], sizes: Mapping[PeerId, int]) -> int:
        """Up to where, in our order of admission, one entry can cite: any prefix of that order is a closed past."""
        firsts = sorted((held.positions[sizes.get(held.peer, 0)], held.peer not in sizes) for held in grown)
        met = 0
        for count, (position, new) in enumerate(firsts):
            met += new
            if met > MAX_MEETS or count >= MAX_SEEN:
                return position - 1
        return self._admitted

    def _enter(self, peer: PeerId, role: str) -> None:
        key = self.key_of(peer)
        self._roles[peer] = min(self._roles.get(peer, role), role, key=_RANK.index)
        self._members[key] = min(peer, self._members.get(key, peer))


def _account(held: Log, checked: Checked) -> None:
    """Extend the columns that later entries look up."""
    folded, weight, norm = held.folded[-1], held.weight[-1], held.norm[-1]
    row = checked.outcome.row
    if row is not None and checked.weight is not None and checked.norm is not None:
        folded, weight, norm = folded + 1, weight + checked.weight, checked.norm
        held.row = row
        held.row_hashes.append(weights.row_hash(row))
        held.updates.append((checked.seq, checked.blob or "", checked.weight))
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


def _view(tip: Tip, view_heads: Mapping[PeerId, int]) -> list[tuple[int, int]]:
    held = ((index, view_heads.get(log.peer, 0)) for index, log in enumerate(tip.roster))
    return [(index, size) for index, size in held if size < tip.sizes[index]]


def _heads(tip: Tip) -> Hash:
    return heads_hash([tip.heads[index] for index in tip.order])
