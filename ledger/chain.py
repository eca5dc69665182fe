"""One log as this peer holds it, and the step from one of its entries to the next.

    entry k of o      seen, meets ----follow----> Tip: what o's chain says it holds after it (its past)
    Log               the columns that later entries of anybody look up at any past size

Rules kept here (each is a property of an entry and its past, so everybody decides alike):
- the roster is a log's own list of peers: `meets` introduces a peer in the entry that first sees its log;
- `seen` only grows, never names its own log, and is closed: who has seen an entry has seen that entry's past;
- `heads` is the hash over every (peer, size, root) seen, so two histories cannot hide behind one `seen`;
- nobody honest cites an entry that breaks a rule, so who does breaks one, too (or has seen another entry there).

It refuses to know what the kinds of entries mean (replica.py) and whether bytes are authentic: a caller has
checked a signed checkpoint before it holds an author to what an entry says.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from sys import byteorder
from types import MappingProxyType
from typing import Final

from ledger.entry import Data, Hash, PeerId
from ledger.errors import RemoteError
from ledger.merkle import Tree, leaf_hash
from ledger.weights import START, Row

LANE_BYTES: Final = 4  # sizes of logs, packed side by side in one integer; the top bit of each lane stays free
MAX_LOG_SIZE: Final = (1 << 31) - 1  # entries in one log: 68 years of one per second
_GUARD: Final = b"\x00\x00\x00\x80"
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
    """Not to be decided yet: `needs` names logs, and how many of their entries must be admitted first."""

    needs: tuple[tuple[PeerId, int], ...]


@dataclass(frozen=True, slots=True)
class Tip:
    """What a log's chain says after its last entry. Columns run along `roster`; never changed in place."""

    peer: PeerId
    size: int = 0
    head: Hash = ""  # of the last entry
    key: bytes = b""  # of its enrol entry
    roster: tuple[Log, ...] = ()
    sizes: tuple[int, ...] = ()  # how much of each log it has seen
    heads: tuple[bytes, ...] = ()  # peer || size || root of each
    order: tuple[int, ...] = ()  # roster indices, sorted by peer id
    admitted: Mapping[PeerId, bool] = field(default_factory=dict)  # members that it has seen admitted -> may train
    trainers: tuple[int, ...] = ()  # roster indices of those who may train, sorted by peer id
    data: Mapping[int, Data] = field(default_factory=dict)  # own data entries by seq
    unsnapped: int = 0  # own updates since the last own snapshot


@dataclass(slots=True)
class Log:
    """An admitted prefix of one log. Columns indexed by size hold their value after that many entries."""

    peer: PeerId
    lane: int  # this log's place in a packed past
    tip: Tip
    entries: list[bytes] = field(default_factory=list)
    tree: Tree = field(default_factory=Tree)
    pasts: list[int] = field(default_factory=list)  # packed sizes of every log, after each entry
    positions: array[int] = field(default_factory=lambda: array("q"))  # of each entry in our order of admission
    folded: array[int] = field(default_factory=lambda: array("q", [0]))  # by size: updates in the fold
    weight: array[int] = field(default_factory=lambda: array("q", [0]))  # by size: sum of their weights
    norm: array[int] = field(default_factory=lambda: array("q", [-1]))  # by size: of the latest; -1 = none
    admissions: list[tuple[int, PeerId, bool]] = field(default_factory=list)  # (seq, peer, may train)
    updates: list[tuple[int, Hash, int]] = field(default_factory=list)  # (seq, delta, weight) in the fold
    row_hashes: list[bytes] = field(default_factory=list)  # after each of them
    row: Row = START  # after the last of them
    _heads: dict[int, bytes] = field(default_factory=dict)

    def head_at(self, size: int) -> bytes:
        """peer || size || root at that size: one item of the list that `heads` hashes."""
        found = self._heads.get(size)
        if found is None:
            if len(self._heads) >= _MAX_CACHED_HEADS:
                self._heads.clear()
            found = bytes.fromhex(self.peer) + size.to_bytes(8, "big") + self.tree.root(size)
            self._heads[size] = found
        return found

    def append(self, data: bytes, tip: Tip, past: int, position: int) -> None:
        self.entries.append(data)
        self.tree.append(leaf_hash(data))
        self.pasts.append(past)
        self.positions.append(position)
        self.tip = tip


def heads_hash(heads: Sequence[bytes]) -> Hash:
    """SHA-256 over 32 bytes of peer id, size u64be and root of each log seen, sorted by peer id."""
    return sha256(b"".join(heads)).hexdigest()


def pack(logs: Sequence[Log], sizes: Sequence[int]) -> int:
    """Sizes side by side in one integer, so that a whole past is compared at once."""
    lanes = array("I", bytes(LANE_BYTES * (1 + max((log.lane for log in logs), default=0))))
    for log, size in zip(logs, sizes, strict=True):
        lanes[log.lane] = size
    if byteorder == "big":
        lanes.byteswap()
    return int.from_bytes(lanes.tobytes(), "little")


def guards(lanes: int) -> int:
    """The top bit of every lane: `(past | guard) - other` keeps them all where no lane of `other` is larger."""
    return int.from_bytes(_GUARD * lanes, "little")


def follow(tip: Tip, own: Log | None, met: Sequence[Log], seen: Sequence[tuple[int, int]], guard: int) -> Tip:
    """The tip after an entry's `meets` and `seen` (the entry itself not yet counted). All logs are held that far.

    Raises InvalidEntry if what was seen goes back or leaves out a past.
    """
    roster, order = tip.roster, tip.order
    if met:
        roster = (*roster, *met)
        order = tuple(sorted(range(len(roster)), key=lambda index: roster[index].peer))
    if not seen:
        return replace(tip, roster=roster, order=order)

    sizes = [*tip.sizes, *(0 for _ in met)]
    heads = [*tip.heads, *(b"" for _ in met)]
    admitted: dict[PeerId, bool] = {}
    for index, size in seen:
        log, before = roster[index], sizes[index]
        if size <= before:
            raise InvalidEntry(tip.peer, tip.size, "seen", f"sees {size} entries of a log after {before}")
        sizes[index] = size
        heads[index] = log.head_at(size)
        if log.admissions:
            first = bisect_left(log.admissions, before, key=lambda admission: admission[0])
            for seq, peer, trains in log.admissions[first:]:
                if seq < size:
                    admitted[peer] = trains or admitted.get(peer, False) or tip.admitted.get(peer, False)

    held = ((*roster, own), (*sizes, tip.size)) if own is not None else (roster, sizes)
    guarded = pack(*held) | guard
    for index, size in seen:
        if (guarded - roster[index].pasts[size - 1]) & guard != guard:
            raise Disputed(tip.peer, tip.size, "closed", "has seen an entry, but not what that entry had seen")
    followed = replace(tip, roster=roster, order=order, sizes=tuple(sizes), heads=tuple(heads))
    return admit_members(followed, admitted) if admitted else followed


def admit_members(tip: Tip, admitted: Mapping[PeerId, bool]) -> Tip:
    """The tip after its past has grown by these admissions."""
    known = {**tip.admitted, **admitted}
    trainers = tuple(index for index in tip.order if known.get(tip.roster[index].peer, False))
    return replace(tip, admitted=MappingProxyType(known), trainers=trainers)
