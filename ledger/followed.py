"""One log on its way through the structural pass: what was read of it, what was followed, and what others may cite.

    queue [ decoded, chained ............ ] --followed, one by one--> size, past, cited
    trunk  0 1 2 3 4 5        of a log that was signed twice each branch is one of these, read whole; what they share
             `- 3'4'          counts as the parent's, so that a past does not depend on which branch it came by

Rules kept here: which branches an entry means is found as branches.py finds it, by its `heads`. It refuses to know
files, findings, and when anything happens (structure.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice, product
from typing import Any, Final

from ledger.branches import MAX_TRIES
from ledger.bundle import BundleLog
from ledger.chain import LANE_BYTES, MAX_LOG_SIZE, fork_of, peer_of
from ledger.entry import Hash, PeerId
from ledger.errors import RemoteError
from ledger.merkle import Tree
from ledger.pasts import Pasts

BATCH: Final = 64  # entries decoded at once: as fast as more, and they fit the cache
LANE_BITS: Final = 8 * LANE_BYTES
GUARD: Final = b"\x00\x00\x00\x80"  # the top bit of a lane
assert MAX_LOG_SIZE < 1 << (LANE_BITS - 1)

Citation = tuple[bytes, int, int]  # peer || size || root; the past of the last of them; the size, in its lane


class Cited(dict[int, Citation]):
    """What there is to say of the beginnings of one log, by size. KeyError beyond what is followed."""

    __slots__ = ("branch",)

    def __init__(self, branch: Branch) -> None:
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


class Branch:
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
        self.lane = lane * LANE_BITS
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
        self.roster: list[Branch] = []  # by slot
        self.lanes: list[int] = []  # how much it has seen of each, in that log's lane
        self.cites: list[Cited] = []  # what is known of each: `cited` of those in the roster
        self.order: list[int] = []  # slot -> place in heads
        self.heads: list[bytes] = []  # of what it has seen, sorted by peer
        self.slots: list[int] = []  # all of them
        self.sort: Callable[[list[bytes]], tuple[bytes, ...]] = tuple  # from slots to places
        self.own = 0  # its past, packed
        self.pasts = Pasts()
        self.cited = Cited(self)
        self.waiters: list[tuple[int, Branch]] = []
        self.siblings: tuple[Branch, ...] = (self,)
        self.met = -1  # the entry whose peers have their slots already: it may have to wait for branches
        self.tangled = False  # it, or a log that it has seen, has several branches
        self.parent: Branch | None = None
        self.fork = 0

    def key_at(self, size: int) -> bytes:
        """In force for a checkpoint of that size; b"" if the log has not enrolled."""
        return next((key for least, key in reversed(self.keys) if least <= size), self.keys[0][1] if self.keys else b"")

    def give_up(self) -> None:
        """Let go of what is large."""
        self.tree, self.pasts, self.queue, self.roots, self.stream = Tree(), Pasts(), [], [], None
        self.cited.clear()

    def may_reach(self, size: int) -> bool:
        """Whether so many of its entries may yet be followed."""
        return self.total >= size and (self.broken is None or self.broken[0] >= size)

    def cover(self) -> int:
        """Its past, where logs with several branches are in it: a branch brings what it shares with its parents."""
        lanes: dict[int, int] = {}
        seen = [(log, at >> log.lane) for log, at in zip(self.roster, self.lanes, strict=True)]
        for log, size in [*seen, (self, self.size)]:
            at: Branch | None = log
            while at is not None:
                if at.parent is None or size > at.fork:
                    lanes[at.lane] = max(lanes.get(at.lane, 0), size)
                    size = at.fork
                at = at.parent
        return sum(size << lane for lane, size in lanes.items())


# ------------------------------------------------------------------ logs that were signed twice


def relate(branches: list[Branch]) -> None:
    """Say which branch each strand left, and at which entry: its name tells the index, its entries the rest."""
    for branch in branches:
        branch.siblings, branch.tangled = tuple(branches), True
        branch.fork = fork_of(branch.id)
    for branch in branches[1:]:
        begin = beginning(branch, branch.fork)
        for other in branches:
            may = other is not branch and other.fork < branch.fork <= other.total
            if may and begin is not None and beginning(other, branch.fork) == begin:
                branch.parent = other
                break
        else:
            branch.broken = (0, "place", "shares its beginning with no branch of its log that is here")


def meant(branch: Branch, entry: Any) -> list[Branch] | tuple[str, str]:
    """The roster along the branches that an entry means, those of which `heads` is the hash; or a rule and why not."""
    choices = []
    for slot, size in entry.seen:
        bound = branch.roster[slot]
        before = branch.lanes[slot] >> bound.lane
        fit = [other for other in bound.siblings if other.fork < size <= other.size and common(other, bound) >= before]
        if size <= before or not fit:
            return "seen", f"sees {size} entries of a log after {before}"
        choices.append(fit)
    known = {slot: branch.heads[place] for slot, place in enumerate(branch.order)}
    fits: list[tuple[list[bytes], list[Branch]]] = []
    for chosen in islice(product(*choices), MAX_TRIES):
        roster, rows = list(branch.roster), dict(known)
        for other, (slot, size) in zip(chosen, entry.seen, strict=True):
            roster[slot], rows[slot] = other, other.cited[size][0]
        if sha256(b"".join(sorted(rows.values()))).hexdigest() == entry.heads and all_differ(roster, rows):
            fits.append(([rows[slot] for slot in range(len(roster))], roster))
    if not fits:
        return "heads", "is not the hash of the logs it has seen"
    return min(fits, key=lambda fit: fit[0])[1]


def bind(branch: Branch, roster: list[Branch]) -> None:
    """Let the slots of a log mean these branches."""
    for slot, other in enumerate(roster):
        before = branch.lanes[slot] >> branch.roster[slot].lane
        branch.roster[slot], branch.lanes[slot] = other, before << other.lane


def common(one: Branch, other: Branch) -> int:
    """The index of the first entry in which two branches of one log differ; of a log and itself, no limit."""
    limits: dict[str, int] = {}
    at: Branch | None = one
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


def all_differ(roster: list[Branch], rows: dict[int, bytes]) -> bool:
    """Whether slots of one peer are different branches, none of which contains another."""
    by_peer: dict[PeerId, list[tuple[Branch, int]]] = {}
    for slot, log in enumerate(roster):
        by_peer.setdefault(log.peer, []).append((log, int.from_bytes(rows[slot][32:40], "big")))
    return all(
        common(log, other) < min(size, upto)
        for branches in by_peer.values()
        for at, (log, size) in enumerate(branches)
        for other, upto in branches[:at]
    )


def beginning(branch: Branch, size: int) -> bytes | None:
    tree = Tree()
    try:
        entries = islice(branch.source.entries(), size)
        while batch := list(islice(entries, BATCH)):
            tree.append_all([sha256(b"\x00" + data).digest() for data in batch])
    except RemoteError:
        return None
    return tree.root() if tree.size == size else None
