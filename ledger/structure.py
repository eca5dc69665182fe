"""Is this ledger in one piece? The fast half of an audit: bytes, chains, trees, signatures, pasts; no meaning.

    streams of entries --64 at a time: batch.py--> canonical? --> prev, seq, swarm --> tree --> author's signature
                       --one by one, each after its past--> seen grows, is closed, `heads` is its hash

Why it exists: an auditor who is handed gigabytes wants to know first, at 60,000 entries a second, whether they are
what their authors signed and whether they agree about who had seen what. What is wrong here is wrong whatever the
entries mean.

Rules kept here: everything is recomputed from the entries, findings are values, bad bytes never raise; entries are
streamed and not kept. It refuses to know roles, weights, policies, deltas and the model (audit.py), so what passes is
not "clean": it only hangs together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice, product
from operator import gt, itemgetter, lt
from typing import Any, Final

from ledger.batch import decode_batch
from ledger.bundle import BundleContents, BundleError, BundleLog
from ledger.chain import LANE_BYTES, MAX_LOG_SIZE, fork_of, peer_of
from ledger.checkpoint import origin
from ledger.entry import Enrol, Genesis, Hash, PeerId, Recover, Rotate
from ledger.errors import RemoteError
from ledger.keys import check_public
from ledger.merkle import Tree
from ledger.pasts import Pasts
from ledger.report import Finding, Findings
from ledger.seals import OtherEntries, Seal, open_seal

BATCH: Final = 64  # entries decoded at once: as fast as more, and they fit the cache
MANY_ENTRIES: Final = 4096  # decoded at once, of all logs together
MAX_STREAMS: Final = 64  # kept open, with what they have read ahead
MAX_BUFFERED_BYTES: Final = 8 << 20  # of logs that wait for others; beyond it they are read again when they go on
MAX_TRIES: Final = 1024  # combinations of branches held against one `heads`
PROGRESS_EVERY: Final = 4096  # entries
_LANE_BITS: Final = 8 * LANE_BYTES
_GUARD: Final = b"\x00\x00\x00\x80"
_BEGINNINGS: Final = frozenset((RemoteError, Genesis, Enrol))
_KEYED: Final = (Enrol, Rotate, Recover)
_MAX_CITED: Final = 512  # kept per log: what others cite of it is mostly recent

Citation = tuple[bytes, int, int]  # peer || size || root; the past of the last of them; the size, in its lane
Progress = Callable[[int, int, str], None]  # done, total, of what


@dataclass(frozen=True, slots=True)
class LogStructure:
    """One log after the pass."""

    log: str
    size: int  # entries in the bundle, as it says
    sound: int  # entries from the first on with which nothing is wrong
    root: bytes | None  # over all of its entries; None if they cannot be read
    seal: Seal | None  # what its author signed; None if that is in doubt
    parent: str  # the branch that this one left; "" for a trunk


@dataclass(frozen=True, slots=True)
class Structure:
    findings: Findings
    logs: tuple[LogStructure, ...]

    @property
    def parents(self) -> dict[str, str]:
        """By branch: the one that it left."""
        return {log.log: log.parent for log in self.logs if log.parent}

    @property
    def entries(self) -> int:
        """Sound ones; the shared beginning of a second branch is counted once."""
        return sum(max(0, log.sound - fork_of(log.log)) for log in self.logs)


def check_structure(
    bundle: BundleContents, findings: Findings | None = None, *, on_progress: Progress | None = None
) -> Structure:
    """Read every log of a bundle once."""
    return _Pass(bundle, findings if findings is not None else Findings(), on_progress).run()


class _Cited(dict[int, Citation]):
    """What there is to say of the beginnings of one log, by size. KeyError beyond what is followed."""

    __slots__ = ("branch",)

    def __init__(self, branch: _Branch) -> None:
        super().__init__()
        self.branch = branch

    def __missing__(self, size: int) -> Citation:
        """What was put in when that entry was followed may have been given up since."""
        branch = self.branch
        if not 0 < size <= branch.size:
            raise KeyError(size)
        head = branch.name + size.to_bytes(8, "big") + branch.tree.root(size)
        found = self[size] = (head, branch.pasts[size - 1], size << branch.lane)
        return found


class _Branch:
    """A log, or another branch of one, as far as it has been read."""

    __slots__ = (
        "at", "broken", "buffered", "cited", "cites", "fork", "head", "heads", "id", "keys", "lane", "lanes", "met",
        "name", "order", "own", "parent", "pasts", "peer", "promise", "queue", "roots", "roster", "siblings", "size",
        "slots", "sort", "source", "stream", "tangled", "total", "tree", "unread", "waiters",
    )  # fmt: skip

    def __init__(self, source: BundleLog, lane: int) -> None:
        self.source = source
        self.id = source.peer
        self.peer: PeerId = peer_of(source.peer)
        self.name = bytes.fromhex(self.peer)
        self.total = source.size
        self.lane = lane * _LANE_BITS
        self.tree = Tree()
        self.stream: Iterator[bytes] | None = None
        self.queue: list[Any] = []  # entries decoded, chained, and not yet followed
        self.roots: list[bytes] = []  # peer || size || root after each of them
        self.at = 0
        self.buffered = 0  # bytes of the queue
        self.head: Hash = ""  # of the last entry read
        self.broken: tuple[int, str, str] | None = None  # index, rule, why: nothing from there on is followed
        self.unread = False  # a file is wrong: the rest cannot be read
        self.size = 0  # entries followed
        self.keys: list[tuple[int, bytes]] = []  # (least size of a checkpoint that it signs, key)
        self.promise: Hash = ""
        self.roster: list[_Branch] = []  # by slot
        self.lanes: list[int] = []  # how much it has seen of each, in that log's lane
        self.cites: list[_Cited] = []  # what is known of each: `cited` of those in the roster
        self.order: list[int] = []  # slot -> place in heads
        self.heads: list[bytes] = []  # of what it has seen, sorted by peer
        self.slots: list[int] = []  # all of them
        self.sort: Callable[[list[bytes]], tuple[bytes, ...]] = tuple  # from slots to places
        self.own = 0  # its past, packed
        self.pasts = Pasts()
        self.cited = _Cited(self)
        self.waiters: list[tuple[int, _Branch]] = []
        self.siblings: tuple[_Branch, ...] = (self,)
        self.met = -1  # the entry whose peers have their slots already: it may have to wait for branches
        self.tangled = False  # it, or a log that it has seen, has several branches
        self.parent: _Branch | None = None
        self.fork = 0

    def key_at(self, size: int) -> bytes:
        """In force for a checkpoint of that size; b"" if the log has not enrolled."""
        return next((key for least, key in reversed(self.keys) if least <= size), self.keys[0][1] if self.keys else b"")


class _Pass:
    def __init__(self, bundle: BundleContents, findings: Findings, on_progress: Progress | None) -> None:
        self._bundle = bundle
        self._found = findings
        self._on_progress = on_progress
        self._branches = [_Branch(log, lane) for lane, log in enumerate(bundle.logs)]
        self._by_peer: dict[PeerId, list[_Branch]] = {}
        for branch in self._branches:
            self._by_peer.setdefault(branch.peer, []).append(branch)
        self._guard = int.from_bytes(_GUARD * len(self._branches), "little")
        self._buffered = 0
        self._batch = max(1, min(BATCH, MANY_ENTRIES // max(1, len(self._branches))))
        self._keeps_streams = len(self._branches) <= MAX_STREAMS
        self._done = 0
        self._total = sum(branch.total for branch in self._branches)

    def run(self) -> Structure:
        for branches in self._by_peer.values():
            if len(branches) > 1:
                self._relate(branches)
        ready = deque(self._branches)
        while ready:
            branch = ready.popleft()
            more = self._advance(branch)
            if branch.waiters:
                still = []
                for size, waiter in branch.waiters:
                    if size <= branch.size or branch.broken is not None:
                        ready.appendleft(waiter)  # before those that went on already: so few wait a second time
                    else:
                        still.append((size, waiter))
                branch.waiters = still
            if more:
                ready.append(branch)
        for branch in self._branches:
            for size, waiter in branch.waiters:
                why = f"cites entry {size - 1} of log {branch.peer[:12]}, which is not here"
                self._end(waiter, waiter.size, "past", why)
        if self._on_progress is not None:
            self._on_progress(sum(branch.size for branch in self._branches), self._total, "structure")
        return Structure(self._found, tuple([self._finish(branch) for branch in self._branches]))

    # -------------------------------------------------------------- reading

    def _refill(self, branch: _Branch) -> bool:
        """Decode the next entries of a log, and check that they follow one another. False at its end."""
        branch.queue, branch.at = [], 0
        self._buffered -= branch.buffered
        branch.buffered = 0
        if branch.broken is not None or branch.unread:
            return False
        begin = branch.size
        if len(branch.cited) > _MAX_CITED:
            branch.cited.clear()
        branch.pasts.settle()
        if branch.stream is None:
            branch.stream = branch.source.entries() if begin == 0 else branch.source.entries(begin)
        try:
            batch = list(islice(branch.stream, min(self._batch, branch.total - begin)))
        except RemoteError as error:
            self._found.file(branch.id, error)
            branch.unread = True
            branch.broken = (begin, "file", "")
            return False
        if not self._keeps_streams:
            branch.stream = None
        if not batch:
            if begin < branch.total:
                branch.broken = (begin, "place", f"is missing: {branch.total} entries were promised")
            return False
        known = branch.tree.size - begin  # not 0 if this was read before, and given up for the room that it took
        branch.tree.append_all([sha256(b"\x00" + data).digest() for data in (batch[known:] if known else batch)])
        heads = [sha256(data).hexdigest() for data in batch]
        entries = decode_batch(batch)
        good = self._chained(branch, begin, entries, heads)
        branch.queue = entries[:good]
        name, size = branch.name, begin
        branch.roots = [
            name + (size := size + 1).to_bytes(8, "big") + root for root in branch.tree.roots(begin, len(batch))
        ]
        branch.head = heads[-1]
        branch.buffered = sum(map(len, batch))
        self._buffered += branch.buffered
        return good > 0

    def _chained(self, branch: _Branch, begin: int, entries: list[Any], heads: list[Hash]) -> int:
        """How many entries of a batch stand where they should; the first that does not ends the log."""
        swarm, count = self._bundle.swarm, len(entries)
        if begin and (
            _BEGINNINGS.isdisjoint(map(type, entries))
            and [entry.seq for entry in entries] == list(range(begin, begin + count))
            and [entry.prev for entry in entries] == [branch.head, *heads[:-1]]
            and [entry.swarm for entry in entries].count(swarm) == count
        ):
            return count
        for number, entry in enumerate(entries):
            index, prev = begin + number, heads[number - 1] if number else branch.head
            why = self._misplaced(branch, index, entry, heads[number], prev)
            if why:
                branch.broken = (index, "format" if isinstance(entry, RemoteError) else "place", why)
                return number
        return count

    def _misplaced(self, branch: _Branch, index: int, entry: Any, digest: Hash, prev: Hash) -> str:
        if isinstance(entry, RemoteError):
            return str(entry)
        if entry.seq != index:
            return f"says it is entry {entry.seq}"
        if entry.prev != prev:
            return "does not follow the entry before it"
        founder = branch.peer == self._bundle.founder
        if isinstance(entry, Genesis):
            whole = founder and digest == self._bundle.swarm and not entry.seen and not entry.meets
            return "" if whole else "is a genesis, but not this swarm's"
        if entry.swarm != self._bundle.swarm:
            return "is of another swarm"
        if (index == founder) != isinstance(entry, Enrol) or index < founder:
            return "should be the enrol entry that this log is named after"
        if isinstance(entry, Enrol) and digest != branch.peer:
            return "is not the enrol entry that this log is named after"
        if branch.parent is not None and index == branch.fork and not branch.id.endswith(digest):
            return "is not the entry that this branch is named after"
        return ""

    # -------------------------------------------------------------- following

    def _advance(self, branch: _Branch) -> bool:
        """Follow a log up to an entry that has seen something new; False if it waits, or has ended.

        Turns of one such entry each: then the others are as far as the next one needs, and few wait.
        """
        more = True
        while more:
            at = branch.at
            if at == len(branch.queue):
                if not self._refill(branch):
                    if branch.broken is not None and branch.broken[0] == branch.size and branch.broken[1] != "file":
                        self._found.entry(branch.source, *branch.broken)
                    return False
                at = 0
            entry = branch.queue[at]
            news = entry.seen or entry.meets
            if not (self._follow(branch, entry) if news else self._same_heads(branch, entry)):
                return False
            if type(entry) in _KEYED and not self._rekey(branch, entry):
                return False
            branch.at = at + 1
            size = branch.size = branch.size + 1
            if branch.tangled:
                own = branch.own = self._cover(branch)
            else:
                own = branch.own = branch.own + (1 << branch.lane)
            branch.pasts.tail.append(own)
            branch.cited[size] = (branch.roots[at], own, size << branch.lane)
            more = size < branch.total
            if news:
                break
        self._done += 1
        if not self._done % PROGRESS_EVERY and self._on_progress is not None:
            self._on_progress(sum(branch.size for branch in self._branches), self._total, "structure")
        return more

    def _same_heads(self, branch: _Branch, entry: Any) -> bool:
        """What an entry that has seen nothing new says of all that its log has seen."""
        heads = sorted(branch.heads) if branch.tangled else branch.heads
        if sha256(b"".join(heads)).hexdigest() == entry.heads:
            return True
        self._end(branch, branch.size, "heads", "is not the hash of the logs it has seen")
        return False

    def _follow(self, branch: _Branch, entry: Any) -> bool:
        """Take in what an entry has seen. False if it must wait, or breaks a rule."""
        if branch.tangled or entry.meets:
            return self._follow_slowly(branch, entry)
        cites = branch.cites
        try:
            cited = [cites[slot][size] for slot, size in entry.seen]
        except (KeyError, IndexError):
            found = self._cited(branch, entry)
            if found is None:
                return False
            cited = found
        return self._take(branch, entry, cited)

    def _cited(self, branch: _Branch, entry: Any) -> list[Citation] | None:
        """What an entry cites. None if it must wait, or cites nothing that there could be."""
        if not self._held(branch, entry):
            return None
        return [branch.roster[slot].cited[size] for slot, size in entry.seen]

    def _held(self, branch: _Branch, entry: Any) -> bool:
        """Whether all that it cites is followed, on some branch. If not, it waits, or its log ends."""
        roster = branch.roster
        for slot, size in entry.seen:
            if slot >= len(roster):
                self._end(branch, branch.size, "seen", f"names peer {slot} of a roster of {len(roster)}")
                return False
            if size == 0:
                self._end(branch, branch.size, "seen", "sizes are at least 1")
                return False
            if size > roster[slot].size and not self._available(branch, roster[slot], size):
                return False
        return True

    def _take(self, branch: _Branch, entry: Any, cited: list[Citation]) -> bool:
        """Count what is cited as seen, if that follows from what was seen before. False if it breaks a rule."""
        slots = [slot for slot, _ in entry.seen]
        lanes = [lane for _, _, lane in cited]
        known, order, heads = branch.lanes, branch.order, branch.heads
        before = known if slots == branch.slots else [known[slot] for slot in slots]  # (everybody has gone on: usual)
        if not (all(map(gt, lanes, before)) and (before is known or all(map(lt, slots, slots[1:])))):
            self._end(
                branch, branch.size, "seen", "does not go beyond what it saw before, or roster indices do not rise"
            )
            return False
        own = branch.own + sum(lanes) - sum(before)
        if before is known:
            branch.lanes = lanes
            heads[:] = branch.sort([head for head, _, _ in cited])
        else:
            for slot, lane, (head, _, _) in zip(slots, lanes, cited, strict=True):
                known[slot] = lane
                heads[order[slot]] = head
        if branch.tangled:
            own = self._cover(branch)
            heads = sorted(heads)
        if sha256(b"".join(heads)).hexdigest() != entry.heads:
            self._end(branch, branch.size, "heads", "is not the hash of the logs it has seen")
            return False
        guard = closed = self._guard
        guarded = own | guard
        for _, past, _ in cited:  # a lane borrows from its guard bit where that past holds more
            closed &= guarded - past
        if closed != guard:
            self._end(branch, branch.size, "closed", "has seen an entry, but not what that entry had seen")
            return False
        branch.own = own
        return True

    def _follow_slowly(self, branch: _Branch, entry: Any) -> bool:
        """The same for entries that introduce peers, or that cite logs with several branches."""
        if entry.meets and branch.met != branch.size and not self._meet(branch, entry):
            return False
        if branch.tangled and not (self._held(branch, entry) and self._resolve(branch, entry)):
            return False
        cited = self._cited(branch, entry)
        return cited is not None and self._take(branch, entry, cited)

    def _meet(self, branch: _Branch, entry: Any) -> bool:
        """Give the peers that an entry introduces their slots. False if it must wait, or breaks a rule."""
        known = {other.peer for other in branch.roster}
        count = len(branch.roster) + len(entry.meets)
        if not {slot for slot, _ in entry.seen}.issuperset(range(len(branch.roster), count)):
            self._end(branch, branch.size, "meets", "introduces a peer without seeing its log")
            return False
        met = []
        for peer in entry.meets:
            branches = self._by_peer.get(peer)
            if peer == branch.peer or (peer in known and (branches is None or len(branches) == 1)):
                self._end(branch, branch.size, "meets", "introduces itself, or a peer twice")
                return False
            if branches is None:
                self._end(branch, branch.size, "past", f"cites log {peer[:12]}, which is not here")
                return False
            known.add(peer)
            met.append(branches[0])
        cited = [*branch.roster, *met]
        for slot, size in entry.seen:
            if slot < count and size > cited[slot].size and not self._available(branch, cited[slot], size):
                return False
        branch.met = branch.size
        branch.roster += met
        branch.tangled = branch.tangled or any(len(other.siblings) > 1 for other in met)
        branch.lanes += [0] * len(met)
        branch.cites += [other.cited for other in met]
        places = sorted(range(count), key=lambda slot: branch.roster[slot].peer)
        heads = {slot: branch.heads[place] for slot, place in enumerate(branch.order)}
        branch.heads = [heads.get(slot, b"") for slot in places]
        branch.order = [0] * count
        for place, slot in enumerate(places):
            branch.order[slot] = place
        branch.slots = list(range(count))
        branch.sort = itemgetter(*places) if count > 1 else tuple
        return True

    def _available(self, branch: _Branch, other: _Branch, size: int) -> bool:
        """Whether any branch of that log is followed so far. If not, wait for the one that can be."""
        if len(other.siblings) == 1 and other.total >= size and other.broken is None:
            longest: _Branch | None = other
        elif any(sibling.size >= size for sibling in other.siblings):
            return True
        else:
            longest = next((sibling for sibling in other.siblings if self._may_reach(sibling, size)), None)
        if longest is None:
            broken = any(sibling.broken is not None and sibling.total >= size for sibling in other.siblings)
            if broken:
                self._end(branch, branch.size, "seen", f"cites log {other.peer[:12]} beyond an entry that is wrong")
            else:
                why = f"cites entry {size - 1} of log {other.peer[:12]}, which is not here"
                self._end(branch, branch.size, "past", why)
            return False
        longest.waiters.append((size, branch))
        if self._buffered > MAX_BUFFERED_BYTES:
            self._buffered -= branch.buffered
            branch.head = branch.queue[branch.at].prev
            branch.queue, branch.at, branch.buffered, branch.stream = [], 0, 0, None
        return False

    def _may_reach(self, branch: _Branch, size: int) -> bool:
        return branch.total >= size and (branch.broken is None or branch.broken[0] >= size)

    def _rekey(self, branch: _Branch, entry: Enrol | Rotate | Recover) -> bool:
        key = bytes.fromhex(entry.key)
        try:
            check_public(key)
        except RemoteError as error:
            self._end(branch, branch.size, "key", str(error))
            return False
        if not isinstance(entry, Enrol) and sha256(key).hexdigest() != branch.promise:
            self._end(branch, branch.size, "key", "is not the key that was promised")
            return False
        branch.promise = entry.next
        branch.keys.append((branch.size + 1 if branch.keys else 0, key))
        return True

    # -------------------------------------------------------------- logs that were signed twice

    def _relate(self, branches: list[_Branch]) -> None:
        """Say which branch each strand left, and at which entry: its name tells the index, its entries the rest."""
        for branch in branches:
            branch.siblings, branch.tangled = tuple(branches), True
            branch.fork = fork_of(branch.id)
        for branch in branches[1:]:
            begin = _beginning(branch, branch.fork)
            for other in branches:
                may = other is not branch and other.fork < branch.fork <= other.total
                if may and begin is not None and _beginning(other, branch.fork) == begin:
                    branch.parent = other
                    break
            else:
                branch.broken = (0, "place", "shares its beginning with no branch of its log that is here")

    def _resolve(self, branch: _Branch, entry: Any) -> bool:
        """Find the branches that an entry means: those of which `heads` is the hash (the rules are branches.py's)."""
        choices = []
        for slot, size in entry.seen:
            bound = branch.roster[slot]
            before = branch.lanes[slot] >> bound.lane
            fit = [
                other for other in bound.siblings if other.fork < size <= other.size and _common(other, bound) >= before
            ]
            if size <= before or not fit:
                return self._unresolved(branch, entry, "seen", f"sees {size} entries of a log after {before}")
            choices.append(fit)
        known = {slot: branch.heads[place] for slot, place in enumerate(branch.order)}
        fits: list[tuple[list[bytes], list[_Branch]]] = []
        for chosen in islice(product(*choices), MAX_TRIES):
            roster, rows = list(branch.roster), dict(known)
            for other, (slot, size) in zip(chosen, entry.seen, strict=True):
                roster[slot], rows[slot] = other, other.cited[size][0]
            if sha256(b"".join(sorted(rows.values()))).hexdigest() == entry.heads and _all_differ(roster, rows):
                fits.append(([rows[slot] for slot in range(len(roster))], roster))
        if not fits:
            return self._unresolved(branch, entry, "heads", "is not the hash of the logs it has seen")
        _, roster = min(fits, key=lambda fit: fit[0])
        for slot, other in enumerate(roster):
            before = branch.lanes[slot] >> branch.roster[slot].lane
            branch.roster[slot], branch.lanes[slot] = other, before << other.lane
        return True

    def _unresolved(self, branch: _Branch, entry: Any, rule: str, why: str) -> bool:
        """No branch fits that is followed so far: wait for one that may, or end the log. False."""
        for slot, size in entry.seen:
            for other in branch.roster[slot].siblings:
                if other.size < size and self._may_reach(other, size):
                    other.waiters.append((size, branch))
                    return False
        self._end(branch, branch.size, rule, why)
        return False

    def _cover(self, branch: _Branch) -> int:
        """Its past, where logs with several branches are in it: a branch brings what it shares with its parents."""
        lanes: dict[int, int] = {}
        seen = [(log, at >> log.lane) for log, at in zip(branch.roster, branch.lanes, strict=True)]
        for log, size in [*seen, (branch, branch.size)]:
            at: _Branch | None = log
            while at is not None:
                if at.parent is None or size > at.fork:
                    lanes[at.lane] = max(lanes.get(at.lane, 0), size)
                    size = at.fork
                at = at.parent
        return sum(size << lane for lane, size in lanes.items())

    # -------------------------------------------------------------- the end

    def _end(self, branch: _Branch, index: int, rule: str, why: str) -> None:
        """The log is followed no further."""
        self._found.entry(branch.source, index, rule, why)
        branch.broken = (index, rule, why)
        branch.queue, branch.at = [], 0

    def _finish(self, branch: _Branch) -> LogStructure:
        root = self._whole(branch)
        seal: Seal | None = None
        file = f"{branch.source.place}/checkpoint"
        if not branch.keys:
            self._found.add(branch.id, -1, "checkpoint", file, "nothing tells whose signature it should bear")
        elif root is not None:
            name = origin(self._bundle.swarm, branch.peer)
            try:
                seal = open_seal(branch.source, name, branch.key_at, branch.tree)
            except OtherEntries as error:
                # The note is authentic, so the entries are not; each one's `prev` vouches for all but the last.
                last, why = min(branch.size, branch.total - 1), "is not among the entries that the log's author signed"
                self._found.entry(branch.source, last, "checkpoint", why)
                if error.by_proof:
                    self._found.add(branch.id, -1, "checkpoint", f"{branch.source.place}/head.tlog-proof", str(error))
            except BundleError as error:
                self._found.add(branch.id, -1, "checkpoint", error.file, str(error))
            for problem in branch.source.inspect(branch.tree, branch.key_at):
                self._found.file(branch.id, problem)
        parent = branch.parent.id if branch.parent is not None else ""
        return LogStructure(branch.id, branch.total, branch.size, root, seal, parent)

    def _whole(self, branch: _Branch) -> bytes | None:
        """The root of all entries in the bundle, followed or not; None if they cannot be read."""
        if branch.unread:
            return None
        try:
            if branch.tree.size < branch.total:
                rest = islice(branch.source.entries(branch.tree.size), branch.total - branch.tree.size)
                while batch := list(islice(rest, BATCH)):
                    branch.tree.append_all([sha256(b"\x00" + data).digest() for data in batch])
        except RemoteError as error:
            self._found.file(branch.id, error)
            return None
        return branch.tree.root()


def _common(one: _Branch, other: _Branch) -> int:
    """The index of the first entry in which two branches of one log differ; of a log and itself, no limit."""
    limits: dict[str, int] = {}
    at: _Branch | None = one
    limit = MAX_LOG_SIZE
    while at is not None:
        limits[at.id] = limit
        limit, at = min(limit, at.fork), at.parent
    at, limit = other, MAX_LOG_SIZE
    while at is not None:
        if at.id in limits:
            return min(limit, limits[at.id])
        limit, at = min(limit, at.fork), at.parent
    return 0


def _all_differ(roster: list[_Branch], rows: dict[int, bytes]) -> bool:
    """Whether slots of one peer are different branches, none of which contains another."""
    by_peer: dict[PeerId, list[tuple[_Branch, int]]] = {}
    for slot, log in enumerate(roster):
        by_peer.setdefault(log.peer, []).append((log, int.from_bytes(rows[slot][32:40], "big")))
    return all(
        _common(log, other) < min(size, upto)
        for branches in by_peer.values()
        for at, (log, size) in enumerate(branches)
        for other, upto in branches[:at]
    )


def _beginning(branch: _Branch, size: int) -> bytes | None:
    tree = Tree()
    try:
        entries = islice(branch.source.entries(), size)
        while batch := list(islice(entries, BATCH)):
            tree.append_all([sha256(b"\x00" + data).digest() for data in batch])
    except RemoteError:
        return None
    return tree.root() if tree.size == size else None


assert MAX_LOG_SIZE < 1 << (_LANE_BITS - 1)  # the top bit of a lane is the guard's
__all__ = ["Finding", "LogStructure", "Progress", "Structure", "check_structure"]
