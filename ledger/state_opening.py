"""A replica opened from a snapshot's state document, and from nothing before it.

    document, genesis, policy --checked part by part, and the whole against the snapshot's `state`--> Replica

Why it exists: a joiner that has a snapshot it trusts need not fetch, and weigh again, all that led to it.

Rules kept here: nothing is used that the hash does not cover. Leaves, frontier, last entry, data entries and rows each
fit the hash that names them; what an author had seen fits its last entry's `heads`; then the state is computed from
what was built, by the code that computes it for everybody; at last the document must be what this replica would write.
What cannot be decided from here raises NeedsHistory (tail.py): an author that has seen less of a log than its steps
reach back to, a branch or an accusation below the snapshot, deltas of updates before it. It refuses to know whether the
snapshot is to be trusted, and what the model is: the sum of its past is for the caller to bring, and to hold against
the snapshot's `model`.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from ledger.canonical import decode, decode_entry, entry_hash
from ledger.chain import (
    Charge,
    Condemnation,
    FinalPast,
    Held,
    Log,
    LogId,
    Ranges,
    Tip,
    heads_hash,
    lineage,
    pack,
    sizes_of,
    strand_id,
)
from ledger.charter import Charter
from ledger.condemned import Ballot, branch_with, cast, chained, judges
from ledger.entry import Challenge, Data, Genesis, Opening, Snapshot
from ledger.errors import GossipError, RemoteError
from ledger.membership import Admission, Word
from ledger.merkle import HASH_BYTES, Tree, leaf_hash
from ledger.policy import Policy
from ledger.ranges import difference, union
from ledger.rebuild import tip_at
from ledger.replica import Replica
from ledger.standing import Branch, count, finals_in, held_by
from ledger.state import CHECKS_HELD, DATA_HELD, NO_ROW, OWN, along, sorted_branches, state_hash
from ledger.state_document import FORMAT, MAX_STATE_BYTES, Knot, StateBranch, StateDocument, spell
from ledger.tail import Base, Named, Tail, TailBytes
from ledger.weights import Row, row_hash

E = TypeVar("E", Challenge, Data, Opening)

_WRONG: Final = (ValueError, LookupError, OverflowError, struct.error, StopIteration, AssertionError)


def open_state(document: bytes, genesis: bytes, policy: bytes, snapshot: Snapshot) -> Replica:
    """The replica of whoever holds just the past of `snapshot`; the snapshot's own entry comes next in its log.

    RemoteError if any part is not what the snapshot's hashes name.
    """
    try:
        return _Opening(document, genesis, policy, snapshot).replica
    except RemoteError:
        raise
    except GossipError as error:  # what was built from it misses something
        raise RemoteError("a state document is malformed", why=error.what) from None
    except _WRONG as error:
        raise RemoteError("a state document is malformed", why=type(error).__name__) from None


def _refused(part: str, why: str = "") -> RemoteError:
    return RemoteError(f"a state document is wrong about {part}", why=why)


def _bytes(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != HASH_BYTES:
        raise ValueError("a hash has 32 bytes")
    return value


def _tail(log: LogId, what: str, first: int, known: dict[int, int], numbers: Iterable[int]) -> Tail[int]:
    column = Tail(log, what, first, known)
    for number in numbers:
        column.append(number)
    return column


class _Opening:
    def __init__(self, document: bytes, genesis: bytes, policy: bytes, snapshot: Snapshot) -> None:
        found = decode(document, StateDocument, limit=MAX_STATE_BYTES, what="a state document")
        if found.format != FORMAT:
            raise _refused("its format", why=found.format[:40])
        charter = _charter(found, genesis, policy, snapshot)
        self._threshold = charter.require().threshold
        self._parts = found.branches
        self._knots = {knot.peer: knot for knot in found.knots}
        self._logs: list[Log] = []
        self._sizes: list[list[list[int]]] = []  # by branch: what is seen by place, after each step
        for part in self._parts:
            self._logs.append(self._new_log(part))
        for log, part, sizes in zip(self._logs, self._parts, self._sizes, strict=True):
            self._fill(log, part, sizes)
        for log, part in zip(self._logs, self._parts, strict=True):
            self._finish(log, part)

        branches: list[Branch] = [(log, part.size) for log, part in zip(self._logs, self._parts, strict=True)]
        logs = {log.id: log for log in self._logs}
        self._hear(logs, sizes_of(branches))
        if state_hash(logs, branches) != snapshot.state:
            raise _refused("its state", why="this is not what the snapshot's hash names")
        if count(logs, sizes_of(branches)) != snapshot.updates:
            raise _refused("its updates", why=f"the snapshot says {snapshot.updates}")
        self.replica = Replica.opened(charter, self._logs, self._entries(genesis))
        begins = [part.size - len(part.steps) + 1 for part in self._parts]
        if sorted_branches(branches) != branches or spell(self.replica, branches, begins) != document:
            raise _refused("more than its state", why="it holds what nobody would write")

    # ------------------------------------------------------------------ columns

    def _new_log(self, part: StateBranch) -> Log:
        """Columns that depend on this branch alone."""
        number = len(self._logs)
        parent, fork = self._parent(part)
        marks = self._marks(part)
        leaves = {seq: leaf_hash(text.encode()) for seq, text in _looked_up(part)}
        leaves |= {index: _bytes(leaf) for index, leaf, *_ in marks}
        leaves |= {index: _bytes(leaf) for index, leaf in self._of_knot(part, "heard")}
        name = strand_id(part.peer, fork, leaves[fork].hex()) if parent is not None else part.peer
        steps, size = part.steps, part.size
        begin = size - len(steps) + 1
        if not steps or begin < 1:
            raise _refused("how far back a log goes")
        tree = Tree.opened(name, begin - 1, [_bytes(node) for node in part.frontier], leaves)
        for step in steps:
            tree.append(_bytes(step.leaf))
        if leaf_hash(part.last.encode()) != tree.leaf(size - 1):
            raise _refused("the last entry of a log", why=name[:12])
        sizes: list[list[int]] = []
        for step in steps:
            before = sizes[-1] if sizes else []
            if len(step.sizes) < len(before) or len(step.sizes) > len(part.roster) or min(step.sizes, default=0) < 0:
                raise _refused("what a log has seen", why=name[:12])
            sizes.append(
                [grown + was for grown, was in zip(step.sizes, before, strict=False)] + step.sizes[len(before) :]
            )
        self._sizes.append(sizes)

        log = Log(name, number, Tip(name), parent, fork, tree=tree, imprints={begin - 1: _bytes(part.before)})
        log.base = self._base(part, begin)
        log.keys = [Held(at, _bytes(key), promise) for at, key, promise in part.keys]
        log.sponsor = part.sponsor
        log.admissions = [Admission(*told) for told in part.admitted]
        log.revokes = [
            (seq, peer, Word(log.enrol_key.hex(), since, self._threshold)) for seq, peer, since in part.revoked
        ]
        log.recovers = list(part.recovered)
        log.policies = list(part.policies)
        digest = NO_ROW
        for seq, peer, seqs, leaf, house in part.condemned:
            digest = chained(digest, seq, peer, seqs, _bytes(leaf), house)
            log.condemns.append(Condemnation(seq, peer, tuple(seqs), _bytes(leaf), digest, house))
        for seq, peer, index, told in part.accused:
            halves = tuple([(_bytes(leaf), _bytes(key) if key else b"") for leaf, key in told])
            log.charges.append((seq, Charge(peer, index, halves)))
        log.snapshots = array("I", sorted({step.snapped - 1 for step in steps if step.snapped >= begin}))
        log.folded = _tail(
            name,
            "how many updates it had after",
            begin,
            {0: 0} | {mark[0]: mark[2] for mark in marks},
            [step.folded for step in steps],
        )
        log.weight = _tail(
            name,
            "the weights up to",
            begin,
            {0: 0} | {mark[0]: mark[3] for mark in marks},
            [step.weight for step in steps],
        )
        log.norm = _tail(
            name, "the norm at", begin, {0: -1} | {mark[0]: mark[4] for mark in marks}, [step.norm for step in steps]
        )
        log.positions = Tail(name, "when it had", size, otherwise=0)  # all of it came in at once
        log.folded_at = Tail(name, "update number", log.folded[size])
        log.cites = Tail(name, "what was cited by update number", log.folded[size])
        log.active = Tail(name, "who was active at update number", log.folded[size])
        log.deltas = TailBytes(name, HASH_BYTES * log.folded[size])
        self._take_rows(log, part)
        return log

    def _parent(self, part: StateBranch) -> tuple[Log | None, int]:
        """Of the branches of this peer's log so far, the one that it has most in common with, and how much."""
        earlier = [log for log, other in zip(self._logs, self._parts, strict=False) if other.peer == part.peer]
        if not earlier:
            return None, 0
        mine = len(earlier)
        forks = {(i, j): index for i, j, index in self._knots[part.peer].forks}
        best = max(range(mine), key=lambda i: (forks[i, mine], -i))
        return earlier[best], forks[best, mine]

    def _marks(self, part: StateBranch) -> list[tuple[int, str, int, int, int]]:
        return self._of_knot(part, "marks")

    def _of_knot(self, part: StateBranch, word: Literal["heard", "judged", "marks"]) -> list[Any]:
        """What its peer's knot says of the branch that comes next."""
        knot: Knot | None = self._knots.get(part.peer)
        if knot is None:
            return []
        found: list[Any] = getattr(knot, word)[sum(log.peer == part.peer for log in self._logs)]
        return found

    def _base(self, part: StateBranch, begin: int) -> Base:
        row = Row(
            tuple([self._parts[number].peer for number in part.row.peers]), tuple(part.row.seen),
            tuple(part.row.credited), tuple(part.row.grown_at), part.row.progress, part.row.spent,
        )  # fmt: skip
        snapped = tuple([(step.snapped, step.unsnapped) for step in part.steps])

        def unknown_before(told: list[tuple[int, str]], held: int) -> int:
            early = [seq for seq, _ in told if seq < begin]
            return early[0] if len(early) >= held else 0

        return Base(
            begin, part.size, part.steps[-1].folded, row, snapped, data=unknown_before(part.data, DATA_HELD),
            challenges=unknown_before(part.challenges, CHECKS_HELD),
            openings=unknown_before(part.openings, CHECKS_HELD),
            named=tuple([Named(*run) for run in self._of_knot(part, "judged")]),
        )  # fmt: skip

    def _take_rows(self, log: Log, part: StateBranch) -> None:
        """Row hashes of the steps, and the row that the last of them names."""
        folded = [step.folded for step in part.steps]
        log.row_hashes = TailBytes(log.id, HASH_BYTES * max(0, folded[0] - 1))
        for before, step in zip([folded[0] - 1, *folded], part.steps, strict=False):
            if step.folded - before not in (0, 1) or (step.row != "") != (step.folded > max(before, 0)):
                raise _refused("the updates of a log", why=log.id[:12])
            if step.row:
                log.row_hashes += _bytes(step.row)
        assert log.base is not None
        log.row = log.base.row
        if row_hash(log.row) != (log.row_hash(folded[-1] - 1) if folded[-1] else row_hash(Row())):
            raise _refused("the row of a log", why=log.id[:12])

    # ------------------------------------------------------------------ what branches say of one another

    def _fill(self, log: Log, part: StateBranch, sizes: list[list[int]]) -> None:
        """Roster, pasts, finals and data: they name other branches."""
        assert log.base is not None
        begin = log.base.size
        times = sorted((snapshot + 1, seen) for _, snapshot, seen, *_ in part.final if snapshot + 1 < begin)
        times += enumerate(sizes, begin)
        known: dict[int, int] = {}
        recent: list[int] = []
        meant: list[Log] = []
        before = 0
        for at, seen in times:
            for slot, held in enumerate(seen):
                now = _meaning(self._logs[part.roster[slot]], held)
                if slot == len(meant) or meant[slot] is not now:
                    log.slots.append((before, slot, now))
                    meant[slot : slot + 1] = [now]
            past = pack((*meant[: len(seen)], log), (*seen, at))
            if at < begin:
                known[at - 1] = past
            else:
                recent.append(past)
            before = at
        log.pasts = _tail(log.id, "what was seen at", begin - 1, known, recent)
        data = dict(_entries_of(log, part.data, Data))
        log.tip = Tip(log.id, data=MappingProxyType(data))
        log.challenges = _entries_of(log, part.challenges, Challenge)
        log.openings = _entries_of(log, part.openings, Opening)
        for slot, root in part.roots:
            other, upto = self._logs[part.roster[slot]], sizes[-1][slot]
            assert other.base is not None
            row = bytes.fromhex(other.peer) + upto.to_bytes(8, "big") + _bytes(root)
            other.base.heads.setdefault(upto, row)  # who says otherwise does not fit the heads of its last entry

    def _finish(self, log: Log, part: StateBranch) -> None:
        """Finals and tip, and whether all that was seen fits the last entry."""
        for seq, snapshot, seen, parts, gone in part.final:
            cuts = self._cuts(log, part, snapshot, seen, parts)
            less = self._gone(log, part, gone)
            log.finals.append(FinalPast(seq, snapshot, MappingProxyType(cuts), MappingProxyType(less)))
        last = decode_entry(part.last.encode())
        log.tip = tip_at(log, part.size, entry_hash(part.last.encode()))
        if last.seq != part.size - 1 or heads_hash(log.tip.heads) != last.heads:
            raise _refused("what the last entry of a log has seen", why=log.id[:12])

    def _cuts(
        self,
        log: Log,
        part: StateBranch,
        snapshot: int,
        seen: list[int],
        parts: Sequence[tuple[int, list[tuple[int, int]]]],
    ) -> dict[LogId, Ranges]:
        """The cuts of a final's past by log, from what counts of whole branches."""
        counted = {slot: tuple(ranges) for slot, ranges in parts}
        chains = [(OWN, log, snapshot + 1)]
        chains += [(slot, self._logs[part.roster[slot]], size) for slot, size in enumerate(seen)]
        covered: dict[LogId, tuple[int, Ranges]] = {}
        by_id: dict[LogId, Log] = {}
        for slot, chain, size in chains:
            at: Log | None = chain
            for name, shared in lineage(chain).items():
                assert at is not None
                upto = min(size, shared)
                if upto > covered.get(name, (at.fork, ()))[0]:
                    covered[name] = upto, counted.get(slot, ((0, size),))
                    by_id[name] = at
                at = at.parent
        cuts: dict[LogId, Ranges] = {}
        for name, (upto, ranges) in covered.items():
            fork = by_id[name].fork
            mine = tuple((max(begin, fork), min(end, upto)) for begin, end in ranges if begin < upto and end > fork)
            if difference(((fork, upto),), mine):
                cuts[name] = mine
        return cuts

    def _gone(
        self, log: Log, part: StateBranch, told: Sequence[tuple[int, list[tuple[int, int]]]]
    ) -> dict[LogId, Ranges]:
        """What is condemned in a final's past by log, from what is of whole branches."""
        gone: dict[LogId, Ranges] = {}
        for slot, ranges in told:
            chain = log if slot == OWN else self._logs[part.roster[slot]]
            at: Log | None = chain
            for name, shared in lineage(chain).items():
                assert at is not None
                mine = tuple((max(a, at.fork), min(b, shared)) for a, b in ranges if a < shared and b > at.fork)
                if mine:
                    gone[name] = union(gone.get(name, ()), mine)
                at = at.parent
        return gone

    def _hear(self, logs: dict[LogId, Log], past: dict[LogId, int]) -> None:
        """Hang votes on the entries that they name, and note how much the document tells of them."""
        for judge in self._logs:
            for said in judge.condemns:
                if said.seq >= judge.fork:
                    strands = [log for log in self._logs if log.peer == said.peer]
                    cast(judge, Ballot(said, branch_with(strands, said.seqs[-1], said.leaf)))
        finals = finals_in(logs, past)
        for log in self._logs:
            assert log.base is not None
            by = judges(log, log.base.upto, past)
            log.base.judged.update(by)
            log.base.spared.extend(along((log, log.base.upto), lambda at: held_by(finals, at)) if by else ())

    # ------------------------------------------------------------------ bytes

    def _entries(self, genesis: bytes) -> dict[LogId, Tail[bytes]]:
        """Those entries that are held: by log, counted from its fork."""
        known: dict[LogId, dict[int, bytes]] = {log.id: {} for log in self._logs}
        for log, part in zip(self._logs, self._parts, strict=True):
            for seq, text in (*_looked_up(part), (part.size - 1, part.last)):
                at = _meaning(log, seq + 1)
                known[at.id][seq - at.fork] = text.encode()
        founder = next(log for log in self._logs if log.keys[0].size == 2)
        known[founder.peer][0] = genesis
        sizes = {log.id: part.size - log.fork for log, part in zip(self._logs, self._parts, strict=True)}
        return {name: Tail(name, "entry", sizes[name], entries) for name, entries in known.items()}


def _charter(found: StateDocument, genesis: bytes, policy: bytes, snapshot: Snapshot) -> Charter:
    if found.swarm != snapshot.swarm or entry_hash(genesis) != snapshot.swarm:
        raise _refused("its swarm", why="the snapshot is of another")
    entry = decode_entry(genesis)
    if not isinstance(entry, Genesis) or entry.policy != found.policy:
        raise _refused("its policy", why="genesis names another")
    rules = Policy.from_blob(policy)
    if rules.hash != entry.policy:
        raise _refused("its policy", why="what came with it is another")
    founders = {part.peer for part in found.branches if part.keys and part.keys[0][0] == 2}
    if len(founders) != 1:  # the first key of everybody else is in force from size 1 on
        raise _refused("its founder", why=f"{len(founders)} logs begin with genesis")
    charter = Charter(snapshot.swarm, founders.pop()).adopt(entry, rules)
    for text in found.policies:
        charter = charter.know(Policy.from_blob(text.encode()))
    if any(digest not in charter.policies for part in found.branches for _, _, digest in part.policies):
        raise _refused("its policies", why="a text is missing")
    return charter


def _looked_up(part: StateBranch) -> list[tuple[int, str]]:
    """The entries of a branch that are given whole."""
    return [*part.data, *part.challenges, *part.openings]


def _entries_of(log: Log, told: list[tuple[int, str]], kind: type[E]) -> list[tuple[int, E]]:
    found: list[tuple[int, E]] = []
    for seq, text in told:
        entry = decode_entry(text.encode())
        if not isinstance(entry, kind) or entry.seq != seq or leaf_hash(text.encode()) != log.tree.leaf(seq):
            raise _refused(f"a {kind.__name__.lower()} entry", why=f"entry {seq} of {log.id[:12]}")
        found.append((seq, entry))
    return found


def _meaning(log: Log, size: int) -> Log:
    """The log to which the first `size` entries of a branch belong: its own, or an ancestor's."""
    while log.parent is not None and size <= log.fork:
        log = log.parent
    return log
