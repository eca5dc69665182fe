"""Is this ledger in one piece? The fast half of an audit: bytes, chains, trees, signatures, pasts; no meaning.

    streams of entries --64 at a time: batch.py--> canonical? --> prev, seq, swarm --> tree --> author's signature
                       --one by one, each after its past--> seen grows, is closed, `heads` is its hash

Why it exists: an auditor who is handed gigabytes wants to know first, at tens of thousands of entries a second, whether
they are what their authors signed and whether they agree about who had seen what. What is wrong here is wrong whatever
the entries mean.

Rules kept here: everything is recomputed from the entries, findings are values, bad bytes never raise; entries are
streamed and not kept. It refuses to know roles, weights, policies, deltas and the model (audit.py), so what passes is
not "clean": it only hangs together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from operator import gt, itemgetter, lt
from typing import Any, Final

from ledger.batch import decode_batch
from ledger.bundle import BundleContents
from ledger.chain import fork_of
from ledger.entry import Enrol, PeerId, Recover, Rotate
from ledger.errors import RemoteError
from ledger.followed import BATCH, GUARD, Branch, Citation, bind, meant, relate
from ledger.keys import check_public
from ledger.place import chained
from ledger.report import Finding, Findings
from ledger.whole import LogStructure, excuse, finish

MANY_ENTRIES: Final = 4096  # decoded at once, of all logs together
MAX_STREAMS: Final = 64  # kept open, with what they have read ahead
MAX_BUFFERED_BYTES: Final = 8 << 20  # of logs that wait for others; beyond it they are read again when they go on
PROGRESS_EVERY: Final = 4096  # entries
MAX_CITED: Final = 512  # kept per log: what others cite of it is mostly recent
_KEYED: Final = (Enrol, Rotate, Recover)

Progress = Callable[[int, int, str], None]  # done, total, of what


@dataclass(frozen=True, slots=True)
class Structure:
    findings: Findings
    logs: tuple[LogStructure, ...]

    @property
    def parents(self) -> dict[str, str]:
        """By branch: the one that it left."""
        return {log.log: log.parent for log in self.logs if log.parent}

    @property
    def damaged(self) -> dict[str, int]:
        """By log: the first entry that cannot be read, or is not what its author signed."""
        return {log.log: log.damaged for log in self.logs if log.damaged is not None}

    @property
    def entries(self) -> int:
        """Sound ones; the shared beginning of a second branch is counted once."""
        return sum(max(0, log.sound - fork_of(log.log)) for log in self.logs)


def check_structure(
    bundle: BundleContents, findings: Findings | None = None, *, on_progress: Progress | None = None
) -> Structure:
    """Read every log of a bundle once."""
    return _Pass(bundle, findings if findings is not None else Findings(), on_progress).run()


class _Pass:
    def __init__(self, bundle: BundleContents, findings: Findings, on_progress: Progress | None) -> None:
        self._bundle = bundle
        self._found = findings
        self._on_progress = on_progress
        self._branches = [Branch(log, lane) for lane, log in enumerate(bundle.logs)]
        self._by_peer: dict[PeerId, list[Branch]] = {}
        for branch in self._branches:
            self._by_peer.setdefault(branch.peer, []).append(branch)
        self._guard = int.from_bytes(GUARD * len(self._branches), "little")
        self._buffered = 0
        self._batch = max(1, min(BATCH, MANY_ENTRIES // max(1, len(self._branches))))
        self._keeps_streams = len(self._branches) <= MAX_STREAMS
        self._done = 0
        self._total = sum(branch.total for branch in self._branches)

    def run(self) -> Structure:
        for branches in self._by_peer.values():
            if len(branches) > 1:
                relate(branches)
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
        logs = tuple([finish(branch, self._bundle.swarm, self._found) for branch in self._branches])
        excuse(self._branches, {log.log: log.damaged for log in logs if log.damaged is not None}, self._found)
        for branch in self._branches:  # they refer to one another, so they would stay for a while
            branch.give_up()
        return Structure(self._found, logs)

    # -------------------------------------------------------------- reading

    def _refill(self, branch: Branch) -> bool:
        """Decode the next entries of a log, and check that they follow one another. False at its end."""
        branch.queue, branch.at = [], 0
        self._buffered -= branch.buffered
        branch.buffered = 0
        if branch.broken is not None or branch.unread:
            return False
        begin = branch.size
        if len(branch.cited) > MAX_CITED:
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
        good = chained(branch, self._bundle.swarm, self._bundle.founder, begin, entries, heads)
        branch.queue = entries[:good]
        name, size = branch.name, begin
        branch.roots = [
            name + (size := size + 1).to_bytes(8, "big") + root for root in branch.tree.roots(begin, len(batch))
        ]
        branch.head = heads[-1]
        branch.buffered = sum(map(len, batch))
        self._buffered += branch.buffered
        return good > 0

    # -------------------------------------------------------------- following

    def _advance(self, branch: Branch) -> bool:
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
                own = branch.own = branch.cover()
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

    def _same_heads(self, branch: Branch, entry: Any) -> bool:
        """What an entry that has seen nothing new says of all that its log has seen."""
        heads = sorted(branch.heads) if branch.tangled else branch.heads
        if sha256(b"".join(heads)).hexdigest() == entry.heads:
            return True
        self._end(branch, branch.size, "heads", "is not the hash of the logs it has seen")
        return False

    def _follow(self, branch: Branch, entry: Any) -> bool:
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

    def _cited(self, branch: Branch, entry: Any) -> list[Citation] | None:
        """What an entry cites. None if it must wait, or cites nothing that there could be."""
        if not self._held(branch, entry):
            return None
        return [branch.roster[slot].cited[size] for slot, size in entry.seen]

    def _held(self, branch: Branch, entry: Any) -> bool:
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

    def _take(self, branch: Branch, entry: Any, cited: list[Citation]) -> bool:
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
            own = branch.cover()
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

    def _follow_slowly(self, branch: Branch, entry: Any) -> bool:
        """The same for entries that introduce peers, or that cite logs with several branches."""
        if entry.meets and branch.met != branch.size and not self._meet(branch, entry):
            return False
        if branch.tangled and not (self._held(branch, entry) and self._resolve(branch, entry)):
            return False
        cited = self._cited(branch, entry)
        return cited is not None and self._take(branch, entry, cited)

    def _meet(self, branch: Branch, entry: Any) -> bool:
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

    def _available(self, branch: Branch, other: Branch, size: int) -> bool:
        """Whether any branch of that log is followed so far. If not, wait for the one that can be."""
        if len(other.siblings) == 1 and other.total >= size and other.broken is None:
            longest: Branch | None = other
        elif any(sibling.size >= size for sibling in other.siblings):
            return True
        else:
            longest = next((sibling for sibling in other.siblings if sibling.may_reach(size)), None)
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

    def _rekey(self, branch: Branch, entry: Enrol | Rotate | Recover) -> bool:
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

    def _resolve(self, branch: Branch, entry: Any) -> bool:
        """Find the branches that an entry means. False if it must wait for one that may fit, or if none does."""
        found = meant(branch, entry)
        if isinstance(found, list):
            bind(branch, found)
            return True
        for slot, size in entry.seen:
            for other in branch.roster[slot].siblings:
                if other.size < size and other.may_reach(size):
                    other.waiters.append((size, branch))
                    return False
        self._end(branch, branch.size, *found)
        return False

    # -------------------------------------------------------------- the end

    def _end(self, branch: Branch, index: int, rule: str, why: str) -> None:
        """The log is followed no further."""
        self._found.entry(branch.source, index, rule, why)
        branch.broken = (index, rule, why)
        branch.queue, branch.at = [], 0


__all__ = ["Finding", "LogStructure", "Progress", "Structure", "check_structure"]
