"""One log as this peer holds it, and the step from one of its entries to the next.

    entry k of o      seen, meets ----follow----> Tip: what o's chain says it holds after it (its past)
    Log               the columns that later entries of anybody look up at any past size

    trunk    0 - 1 - 2 - 3 - 4           log id: the peer id
                     `-- 3'- 4'          a *strand*: "<peer id>~3~<SHA-256 of entry 3'>", parent the trunk, fork 3

An author that signs two histories makes two logs of one. Each branch is a Log, whose columns begin with copies of
its parent's first `fork` items. Which of them is the trunk is an accident of who came first here: nothing that all
must agree on depends on it.

Rules kept here (each is a property of an entry and its past, so everybody decides alike):
- the roster is a log's own list of peers: `meets` introduces a peer in the entry that first sees its log, and again
  in the entry that first sees a second branch of it;
- `seen` only grows, never names its own log, and is closed: who has seen an entry has seen that entry's past;
- `heads` is the hash over every (peer, size, root) seen, so two histories cannot hide behind one `seen`;
- nobody honest cites an entry that breaks a rule, so who does breaks one, too (or has seen another entry there).

It refuses to know what the kinds of entries mean (replica.py) and whether bytes are authentic: a caller has
checked a signed checkpoint before it holds an author to what an entry says.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from sys import byteorder
from types import MappingProxyType
from typing import Final

from ledger.entry import Challenge, Data, Hash, Opening, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.membership import Admission, Membership, Word, revoked_from
from ledger.merkle import Column, Tree, prefix_bytes
from ledger.pasts import Pasts
from ledger.runs import Runs
from ledger.tail import Base, Items, NeedsHistory, Tail
from ledger.weights import START, Row

LogId = str  # a peer id (the trunk of its log), or strand_id(): another branch of it
Ranges = tuple[tuple[int, int], ...]  # begin <= index < end, rising
Wish = tuple[int, Hash]  # number and hash of a policy that an admin asked for
Revoked = Mapping[PeerId, tuple[Word, ...]]  # sorted
Said = Mapping[Wish, tuple[str, ...]]  # the enrol keys (hex, sorted) of the admins who did

LANE_BYTES: Final = 4  # sizes of logs, packed side by side in one integer; the top bit of each lane stays free
MAX_LOG_SIZE: Final = (1 << 31) - 1  # entries in one log: 68 years of one per second
_GUARD: Final = b"\x00\x00\x00\x80"
ROWS_EVERY: Final = 256  # folded updates between rows that are kept, for whoever begins from a past
_MAX_CACHED_HEADS: Final = 256


class InvalidEntry(RemoteError):
    """An entry that can never be admitted: its log ends here, for everybody. `rule` is one word for tables."""

    def __init__(self, log: PeerId, seq: int, rule: str, why: str) -> None:
        super().__init__(f"entry {seq} of log {log[:12]} breaks the rule {rule!r}", why=why)
        self.log = log
        self.seq = seq
        self.rule = rule


class Disputed(InvalidEntry):
    """An entry that contradicts what is held of a third log. Its author lies, or the author of that log has signed two
    histories and showed us another one; nothing here tells which. It is not admitted, and nobody is to blame yet."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not to be decided yet: `needs` names logs, and how many of their entries must be admitted first.

    Of a peer with several branches any that fits will do: Replica.holds says whether to ask again.
    """

    needs: tuple[tuple[LogId, int], ...]


@dataclass(frozen=True, slots=True, order=True)
class Charge:
    """What an admitted accusation proves: the author of log `peer` signed two entries at `index`.

    Or, with one half and no key, that this very entry there is a data entry that it opened wrongly.
    """

    peer: PeerId
    index: int
    halves: tuple[tuple[bytes, bytes], ...]  # leaf hash of each entry, and the key that signed it


@dataclass(frozen=True, slots=True)
class Condemnation:
    """A judgement in the log that holds this: it condemns entries of `peer`, on the branch that has that leaf."""

    seq: int  # of the verdict
    peer: PeerId
    seqs: tuple[int, ...]
    leaf: bytes  # of the last of them
    digest: bytes  # over this one and all before it in its log (condemned.py)
    house: PeerId  # of the judge, in the past of the verdict; "" if it stands alone


@dataclass(frozen=True, slots=True)
class FinalPast:
    """A `final` entry: what the sum of the past of entry `snapshot` of its log held, stays."""

    seq: int
    snapshot: int
    cuts: Mapping[LogId, Ranges]  # of that past, were nothing condemned (standing.counts)
    condemned: Mapping[LogId, Ranges]  # ... and what is in it


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sizes of a log at which it has the same facts and roster: a step of imprints (state.py) looks up no more."""

    begin: int
    end: int  # included
    upto: int  # how many entries were held when this was found ...
    deeds: int  # ... with so many things to tell of: beyond `upto` it holds if there are no more of them
    facts: bytes
    lanes: tuple[int, ...]  # of the roster


@dataclass(slots=True)
class Chained:
    """Of a list of a log that only grows: where each item stands, and one hash over it and all before it."""

    seqs: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Held:
    """A key and the promise of the next, in force for checkpoints of at least `size` entries."""

    size: int
    key: bytes
    promise: Hash


@dataclass(frozen=True, slots=True)
class Tip:
    """What a log's chain says after its last entry. Columns run along `roster`; never changed in place."""

    log: LogId
    size: int = 0
    head: Hash = ""  # of the last entry
    key: bytes = b""  # in force
    promise: Hash = ""  # SHA-256 of the next key
    roster: tuple[Log, ...] = ()  # its slots: a peer twice if two branches of its log were seen
    sizes: tuple[int, ...] = ()  # how much of each log it has seen
    heads: tuple[bytes, ...] = ()  # peer || size || root of each
    order: tuple[int, ...] = ()  # slots, sorted by peer id
    admitted: Mapping[PeerId, Membership] = field(default_factory=dict)  # members that it has seen admitted
    revoked: Revoked = field(default_factory=dict)  # members of whom it has seen an admin say that they are out
    charges: Mapping[PeerId, tuple[Charge, ...]] = field(default_factory=dict)  # accusations that it has seen, sorted
    said: Said = field(default_factory=dict)  # policies that it has seen asked for, and those of its own
    trainers: tuple[int, ...] = ()  # slots of those who may train, one for each peer, sorted by peer id
    houses: tuple[PeerId, ...] = ()  # the house of each of them, "" if it stands alone; (): all of them do
    limits: Mapping[int, int] = field(default_factory=dict)  # slot -> entries that count in weights, where not all do
    data: Mapping[int, Data] = field(default_factory=dict)  # own data entries by seq
    unsnapped: int = 0  # own updates since the last own snapshot

    @property
    def peer(self) -> PeerId:
        return peer_of(self.log)

    def revoked_from(self, peer: PeerId) -> int | None:
        """The index from which nothing of a peer's log counts, because admins want it out; None if it is not."""
        return revoked_from(self.revoked[peer]) if peer in self.revoked else None

    def member(self, peer: PeerId) -> Membership | None:
        """What this past says of a peer; None if it is no member, or not any more."""
        found = self.admitted.get(peer)
        return found if found is None or self.revoked_from(peer) is None else None


@dataclass(slots=True, eq=False)
class Log:
    """An admitted prefix of one log. Columns indexed by size hold their value after that many entries."""

    id: LogId
    lane: int  # this log's place in a packed past
    tip: Tip
    parent: Log | None = None
    fork: int = 0  # entries shared with the parent
    peer: PeerId = ""
    tree: Tree = field(default_factory=Tree)
    pasts: Pasts | Tail[int] = field(default_factory=Pasts)  # packed sizes of every log, after each entry
    positions: Items[int] = field(default_factory=lambda: array("Q"))  # of each entry in our order of admission
    folded: Items[int] = field(default_factory=lambda: array("I", [0]))  # by size: updates that the policy lets in
    weight: Items[int] = field(default_factory=lambda: array("Q", [0]))  # by size: sum of their weights
    norm: Items[int] = field(default_factory=lambda: array("q", [-1]))  # by size: of the latest; -1 = none
    folded_at: Items[int] = field(default_factory=lambda: array("I"))  # seq of each of them
    cites: Items[int] = field(default_factory=lambda: array("I"))  # seq of the data entry that each of them cites
    active: Items[int] = field(default_factory=lambda: array("H"))  # among how many each of them was weighed
    deltas: Column = field(default_factory=bytearray)  # 32 bytes each
    row_hashes: Column = field(default_factory=bytearray)  # 32 bytes each, of the row after it
    row: Row = START  # after the last of them
    rows: list[Row] = field(default_factory=list)  # after every ROWS_EVERY of them
    refused: array[int] = field(default_factory=lambda: array("I"))  # seq of updates that the policy leaves out
    snapshots: array[int] = field(default_factory=lambda: array("I"))  # their seqs
    slots: list[tuple[int, int, Log]] = field(default_factory=list)  # (seq, slot, what it means from there on)
    admissions: list[Admission] = field(default_factory=list)
    revokes: list[tuple[int, PeerId, Word]] = field(default_factory=list)  # whom it wants out
    charges: list[tuple[int, Charge]] = field(default_factory=list)  # accusations that this log makes
    condemns: list[Condemnation] = field(default_factory=list)  # what this log condemns
    votes: dict[int, list[tuple[Log, int, PeerId]]] = field(default_factory=dict)  # own entry -> its votes: log, seq,
    #   and the judge's house then
    runs: dict[int, Runs] = field(default_factory=dict)  # by data entry that is condemned (condemned.py)
    policies: list[tuple[int, int, Hash]] = field(default_factory=list)  # (seq, number, policy): changes it asks for
    challenges: list[tuple[int, Challenge]] = field(default_factory=list)  # by seq
    openings: list[tuple[int, Opening]] = field(default_factory=list)  # by seq
    keys: list[Held] = field(default_factory=list)
    sponsor: PeerId = ""  # whose guest this peer may be, as its enrol entry says: one for ever
    recovers: list[tuple[int, int]] = field(default_factory=list)  # (seq, since)
    finals: list[FinalPast] = field(default_factory=list)
    imprints: dict[int, bytes] = field(default_factory=dict)  # by size, those that are remembered (state.py)
    stretch: Stretch | None = None
    chained: dict[str, Chained] = field(default_factory=dict)  # what facts say of the lists above (state.py)
    base: Base | None = None  # of a log that is not held from its beginning (tail.py)
    _heads: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.peer = peer_of(self.id)

    @property
    def enrol_key(self) -> bytes:
        """What this peer is recognised by in lists of admins and witnesses; b"" before it enrolled."""
        return self.keys[0].key if self.keys else b""

    def held_at(self, size: int) -> Held:
        """The key and promise in force after that many entries. LocalError before the enrol entry is admitted."""
        if not self.keys:
            raise LocalError(f"log {self.id[:12]} has no enrol entry yet", next_step="admit it first")
        found = bisect_right(self.keys, size, key=lambda held: held.size)
        return self.keys[max(0, found - 1)]

    def delta(self, number: int) -> Hash:
        """That of folded update `number` of this log."""
        return self.deltas[32 * number : 32 * number + 32].hex()

    def row_hash(self, number: int) -> bytes:
        return bytes(self.row_hashes[32 * number : 32 * number + 32])

    def seen_at(self, seq: int, log: Log) -> int:
        """How many entries of `log` the past of entry `seq` holds, itself included."""
        return self.pasts[seq] >> (32 * log.lane) & MAX_LOG_SIZE

    def roster_at(self, size: int) -> tuple[Log, ...]:
        """Its slots after `size` entries."""
        if size == self.tip.size:
            return self.tip.roster
        roster: list[Log] = []
        for seq, slot, meant in self.slots:
            if seq < size:
                roster[slot : slot + 1] = [meant]
        return tuple(roster)

    def snapped_at(self, size: int) -> tuple[int, int]:
        """After `size` entries: its size at the last snapshot in them (0: none), and the updates since."""
        at = bisect_left(self.snapshots, size)
        snapped = begin = self.snapshots[at - 1] + 1 if at else 0
        since = low = 0
        if self.base is not None:
            self.require(size)
            if size <= self.base.upto:
                return self.base.snapped[size - self.base.size]
            low = self.base.folded
            if snapped <= self.base.upto:
                snapped, since = self.base.snapped[-1]
                begin = self.base.upto
        since += bisect_left(self.folded_at, size, low) - bisect_left(self.folded_at, begin, low)
        return snapped, since + bisect_left(self.refused, size) - bisect_left(self.refused, begin)

    def row_before(self, number: int) -> tuple[int, Row]:
        """Of the rows after the first `number` folded updates or less, the last that is kept: how many, and the row."""
        kept, first = number // ROWS_EVERY, 0
        if self.base is not None:
            if number < self.base.folded:
                raise NeedsHistory(self.id, f"the row after {number} updates")
            first = self.base.folded // ROWS_EVERY
            if kept == first:
                return self.base.folded, self.base.row
        return kept * ROWS_EVERY, self.rows[kept - first - 1] if kept else START

    def require(self, size: int) -> None:
        """NeedsHistory if this log is held from a later size on only."""
        if self.base is not None and size < self.base.size:
            raise NeedsHistory(self.id, f"what followed from {size} entries")

    def head_at(self, size: int) -> bytes:
        """peer || size || root at that size: one item of the list that `heads` hashes."""
        found = self._heads.get(size)
        if found is None and self.base is not None and size < self.base.size:
            found = self.base.heads.get(size)
            if found is None:
                raise NeedsHistory(self.id, f"the root of {size} entries")
        elif found is None:
            if len(self._heads) >= _MAX_CACHED_HEADS:
                self._heads.clear()
            found = bytes.fromhex(self.peer) + size.to_bytes(8, "big") + self.tree.root(size)
            self._heads[size] = found
        return found

    def append(self, leaf: bytes, tip: Tip, past: int, position: int) -> None:
        self.tree.append(leaf)
        self.pasts.append(past)
        self.positions.append(position)
        self.tip = tip

    def branch(self, log: LogId, lane: int, fork: int) -> Log:
        """A strand that shares the first `fork` entries. Its tip and row are for the caller to set."""
        if self.base is not None and fork < self.base.upto:
            raise NeedsHistory(self.id, f"a branch at {fork}")
        folded = self.folded[fork]
        first = self.base.folded // ROWS_EVERY if self.base is not None else 0
        return Log(
            log, lane, Tip(log), self, fork, base=self.base, tree=self.tree.prefix(fork), pasts=self.pasts.prefix(fork),
            positions=prefix(self.positions, fork), folded=prefix(self.folded, fork + 1),
            weight=prefix(self.weight, fork + 1), norm=prefix(self.norm, fork + 1),
            folded_at=prefix(self.folded_at, folded), cites=prefix(self.cites, folded),
            active=prefix(self.active, folded), deltas=prefix_bytes(self.deltas, 32 * folded),
            row_hashes=prefix_bytes(self.row_hashes, 32 * folded), rows=self.rows[: folded // ROWS_EVERY - first],
            refused=self.refused[: bisect_left(self.refused, fork)],
            snapshots=self.snapshots[: bisect_left(self.snapshots, fork)],
            slots=[item for item in self.slots if item[0] < fork],
            admissions=[item for item in self.admissions if item.seq < fork],
            revokes=[item for item in self.revokes if item[0] < fork],
            charges=[item for item in self.charges if item[0] < fork],
            condemns=[item for item in self.condemns if item.seq < fork],
            policies=[item for item in self.policies if item[0] < fork],
            challenges=[item for item in self.challenges if item[0] < fork],
            openings=[item for item in self.openings if item[0] < fork],
            keys=[held for held in self.keys if held.size <= fork], sponsor=self.sponsor,
            recovers=[item for item in self.recovers if item[0] < fork],
            finals=[final for final in self.finals if final.seq < fork],
            imprints={size: found for size, found in self.imprints.items() if size <= fork},
        )  # fmt: skip


def prefix(column: Items[int], count: int) -> Items[int]:
    """A column of its own with the first `count` numbers."""
    if isinstance(column, Tail):
        return column.prefix(count)
    assert isinstance(column, array)
    return column[:count]


def peer_of(log: LogId) -> PeerId:
    """Whose log, or branch of a log, that is."""
    return log.partition("~")[0]


def fork_of(log: LogId) -> int:
    """The index of the first entry in which a branch differs from the one that it left here; 0 for a trunk."""
    return int(log.split("~")[1]) if "~" in log else 0


def strand_id(peer: PeerId, fork: int, digest: Hash) -> LogId:
    return f"{peer}~{fork}~{digest}"


def _ancestors(log: Log) -> Iterator[Log]:
    at: Log | None = log
    while at is not None:
        yield at
        at = at.parent


def lineage(log: Log) -> dict[LogId, int]:
    """The log and its ancestors, nearest first: how many entries it has in common with each."""
    found: dict[LogId, int] = {}
    limit = MAX_LOG_SIZE
    for at in _ancestors(log):
        found[at.id] = limit
        limit = min(limit, at.fork)
    return found


def common(one: Log, other: Log) -> int:
    """The index of the first entry in which two branches of one log differ. (Of a log and itself: no limit.)"""
    if one is other:
        return MAX_LOG_SIZE
    ours = lineage(one)
    return next(min(limit, ours[log]) for log, limit in lineage(other).items() if log in ours)


def sizes_of(branches: Iterable[tuple[Log, int]]) -> dict[LogId, int]:
    """The version vector of a past that holds these branches: strands bring their parents, up to the fork."""
    past: dict[LogId, int] = {}
    for log, size in branches:
        for at in _ancestors(log):
            if size > at.fork:
                past[at.id] = max(past.get(at.id, 0), size)
            if at.parent is not None:
                size = min(size, at.fork)
    return past


def heads_hash(heads: Sequence[bytes]) -> Hash:
    """SHA-256 over 32 bytes of peer id, size u64be and root of each log seen, sorted by peer id, size and root."""
    return sha256(b"".join(sorted(heads))).hexdigest()


def pack(logs: Sequence[Log], sizes: Sequence[int]) -> int:
    """Sizes side by side in one integer, so that a whole past is compared at once. A strand brings its parents."""
    lanes = array("I", bytes(LANE_BYTES * (1 + max([log.lane for log in logs], default=0))))
    strands = False
    for log, size in zip(logs, sizes, strict=True):
        lanes[log.lane] = size
        strands = strands or log.parent is not None
    if strands:
        lanes = array("I", bytes(len(lanes) * LANE_BYTES))
        by_id = {log.id: log for held in logs for log in _ancestors(held)}
        for name, size in sizes_of(zip(logs, sizes, strict=True)).items():
            lanes[by_id[name].lane] = size
    if byteorder == "big":
        lanes.byteswap()
    return int.from_bytes(lanes.tobytes(), "little")


def guards(lanes: int) -> int:
    """The top bit of every lane: `(past | guard) - other` keeps them all where no lane of `other` is larger."""
    return int.from_bytes(_GUARD * lanes, "little")


def follow(
    tip: Tip,
    own: Log | None,
    roster: tuple[Log, ...],
    seen: Sequence[tuple[int, int]],
    guard: int,
    *,
    sure: bool = True,
) -> Tip:
    """The tip after an entry's `seen` (the entry itself not yet counted). All logs are held that far.

    `roster` is the tip's with those that the entry meets, and with the branch that each slot now means. Raises
    InvalidEntry if what was seen leaves out a past; Disputed if it is not `sure` that these are the branches meant.
    """
    if not seen:
        return tip

    sizes = [*tip.sizes, *(0 for _ in range(len(roster) - len(tip.sizes)))]
    heads = [*tip.heads, *(b"" for _ in range(len(roster) - len(tip.heads)))]
    admitted: dict[PeerId, Membership] = {}
    revoked: dict[PeerId, set[Word]] = {}
    charges: dict[PeerId, set[Charge]] = {}
    said: dict[Wish, set[str]] = {}
    for index, size in seen:
        log, before = roster[index], sizes[index]
        sizes[index] = size
        heads[index] = log.head_at(size)
        if log.admissions:
            first, last = (
                bisect_left(log.admissions, at, key=lambda admission: admission.seq) for at in (before, size)
            )
            for admission in log.admissions[first:last]:
                known = admitted.get(admission.peer, tip.admitted.get(admission.peer))
                admitted[admission.peer] = Membership.of(admission).join(known)
        for seq, peer, word in log.revokes:
            if before <= seq < size:
                revoked.setdefault(peer, set()).add(word)
        for seq, charge in log.charges:
            if before <= seq < size:
                charges.setdefault(charge.peer, set()).add(charge)
        for seq, number, policy in log.policies:
            if before <= seq < size:
                said.setdefault((number, policy), set()).add(log.enrol_key.hex())

    held = ((*roster, own), (*sizes, tip.size)) if own is not None else (roster, sizes)
    guarded = pack(*held) | guard
    for index, size in seen:
        if (guarded - roster[index].pasts[size - 1]) & guard != guard:
            why = "has seen an entry, but not what that entry had seen"
            raise (InvalidEntry if sure else Disputed)(tip.log, tip.size, "closed", why)
    order = tip.order
    if len(roster) != len(tip.roster):
        order = tuple(sorted(range(len(roster)), key=lambda index: roster[index].peer))
    followed = replace(tip, roster=roster, order=order, sizes=tuple(sizes), heads=tuple(heads))
    if charges:
        followed = accuse(followed, charges)
    if said:
        followed = hear(followed, said)
    if revoked:
        followed = expel(followed, revoked)
    return admit_members(followed, admitted) if admitted else followed


def expel(tip: Tip, revoked: Mapping[PeerId, Collection[Word]]) -> Tip:
    """The tip after its past has grown by these wishes of admins."""
    known = {peer: tuple(sorted({*tip.revoked.get(peer, ()), *new})) for peer, new in revoked.items()}
    return replace(tip, revoked=MappingProxyType({**tip.revoked, **known}))


def admit_members(tip: Tip, admitted: Mapping[PeerId, Membership]) -> Tip:
    """The tip after its past has grown by these admissions."""
    return replace(tip, admitted=MappingProxyType({**tip.admitted, **admitted}))


def accuse(tip: Tip, charges: Mapping[PeerId, Collection[Charge]]) -> Tip:
    """The tip after its past has grown by these accusations."""
    known = {peer: tuple(sorted({*tip.charges.get(peer, ()), *new})) for peer, new in charges.items()}
    return replace(tip, charges=MappingProxyType({**tip.charges, **known}))


def hear(tip: Tip, said: Mapping[Wish, Collection[str]]) -> Tip:
    """The tip after its past has grown by these wishes of admins."""
    known = {wish: tuple(sorted({*tip.said.get(wish, ()), *new})) for wish, new in said.items()}
    return replace(tip, said=MappingProxyType({**tip.said, **known}))
