"""What can be seen of an entry beside what other peers had published in its past: copies, likeness, overlap.

    copied        whether the very delta of another peer, by hash, was let in before in the update's past
    likenesses    the cosine to each of the newest NEWEST updates of every other log in its past
    overlaps      the overlap of its sketch with that of the newest data entry of every other log in its past; but for
                  keys that its author had shown before, in an entry that has not that one in its past

Why from an entry's own past: whoever published first is not blamed for what others made of it, and everybody who holds
the entry holds all that it takes. So a peer that judges and an auditor compare the same.

Why not what had been shown before: whoever takes the leaves of a sketch for a data set of its own would else make its
victim the copier, as soon as that announces its data anew.

Why sets and no maximum: a judge names the largest that it found, and of more than 16 logs it looks at 16 of its own
choice. Any of them is a value that it can have seen; any other is not.

Rules kept here: integers only; blobs come one at a time; so much work at a time and no more (TooMuch), for a verdict of
64 KB may name thousands of updates. It refuses to know policies, and what follows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Generic

from ledger.bundle import Blob
from ledger.chain import Log, LogId, peer_of
from ledger.entry import MAX_SKETCH_BYTES, Data, Hash, Update
from ledger.errors import RemoteError
from ledger.fold import Arithmetic, D, T, parameters
from ledger.likeness import permille
from ledger.opening import Sketch, overlap_permille, verify_sketch
from ledger.replica import Replica

NEWEST: Final = 4  # updates of each other log
BEFORE: Final = 8  # own data sets of before that one is held against
MAX_FOUND: Final = 256  # updates and data sets whose comparisons are remembered: several judge the same
MAX_CACHED: Final = 4 << 20  # bytes of blobs whose deltas are kept decoded
MAX_WORK: Final = 1 << 14  # comparisons for one verdict, those of more than 64 KB as several: 256 updates x 16 logs x 4
_PIECE_BITS: Final = 16


class TooMuch(Exception):
    """More than an audit compares for one verdict."""


class Comparing(Generic[D, T]):
    """`most_parameters`: deltas of a larger model are not looked at."""

    def __init__(self, replica: Replica, arithmetic: Arithmetic[D, T], blob: Blob, most_parameters: int) -> None:
        self._replica = replica
        self._arithmetic = arithmetic
        self._blob = blob
        self._most = most_parameters
        self._kept: OrderedDict[Hash, tuple[D, int, int]] = OrderedDict()  # delta, its product with itself, bytes
        self._found: OrderedDict[tuple[LogId, int], tuple[set[int], bool]] = OrderedDict()
        self._size = 0
        self._work = MAX_WORK

    def begin(self) -> None:
        """Another verdict is looked at."""
        self._work = MAX_WORK

    def spend(self, size: int = 0) -> None:
        """TooMuch if there was enough work already."""
        self._work -= 1 + (size >> _PIECE_BITS)
        if self._work < 0:
            raise TooMuch

    # -------------------------------------------------------------- updates

    def copied(self, log: LogId, seq: int, update: Update) -> bool:
        wanted = bytes.fromhex(update.delta)
        for other, size in self._others(log, seq) if update.norm else ():
            end = 32 * other.folded[size]
            self.spend(end)
            column = bytes(other.deltas[:end])
            at = column.find(wanted)
            while at >= 0 and at % 32:
                at = column.find(wanted, at + 1)
            if at >= 0:
                return True
        return False

    def likenesses(self, log: LogId, seq: int, update: Update) -> tuple[set[int], bool]:
        """Each of them once; and whether that is all, or some delta is not here."""
        known = self._found.get((log, seq))
        if known is not None:
            return known
        own = self._delta(update.delta, update.bytes) if update.norm else None
        if own is None:
            return set(), not update.norm
        (delta, square), found, whole = own, set[int](), True
        for other, size in self._others(log, seq):
            count = other.folded[size]
            for number in range(max(0, count - NEWEST), count):
                self.spend(update.bytes)
                theirs = self._delta(other.delta(number))
                if theirs is None:
                    whole = False
                else:
                    found.add(permille(self._arithmetic.product(delta, theirs[0]), square, theirs[1]))
        return self._remember(log, seq, found, whole)

    def _remember(self, log: LogId, seq: int, found: set[int], whole: bool) -> tuple[set[int], bool]:
        self._found[log, seq] = found, whole
        if len(self._found) > MAX_FOUND:
            self._found.popitem(last=False)
        return found, whole

    def _delta(self, name: Hash, limit: int | None = None) -> tuple[D, int] | None:
        """A delta, and its product with itself."""
        kept = self._kept.get(name)
        if kept is not None:
            return kept[0], kept[1]
        count = parameters(self._replica.genesis.layout)
        if count > self._most:
            return None
        try:
            blob = self._blob(name) if limit is None else self._blob(name, limit)
            if blob is None:
                return None
            decoded = self._arithmetic.decode(blob, count)
        except RemoteError:
            return None
        square = self._arithmetic.product(decoded, decoded)
        self._kept[name] = (decoded, square, len(blob))
        self._size += len(blob)
        while self._size > MAX_CACHED:
            _, (_, _, freed) = self._kept.popitem(last=False)
            self._size -= freed
        return decoded, square

    # -------------------------------------------------------------- data sets

    def overlaps(self, log: LogId, seq: int, data: Data) -> tuple[set[int], bool]:
        """Each of them once; and whether that is all, or some sketch is not here."""
        known = self._found.get((log, seq))
        if known is not None:
            return known
        own = self._sketch(data)
        if own is None:
            return set(), not data.sketch
        found, whole = set[int](), True
        for other, size in self._others(log, seq):
            theirs = newest(other, size)
            if theirs is not None:
                earlier = shown_before(self._replica, log, seq, other.id, theirs.seq)
                self.spend(len(earlier) << _PIECE_BITS)
                sketch, before = self._sketch(theirs), [self._sketch(one) for one in earlier]
                if sketch is None or None in before:
                    whole = False
                else:
                    found.add(overlap_permille(own, sketch, [one for one in before if one is not None]))
        return self._remember(log, seq, found, whole)

    def _sketch(self, data: Data) -> Sketch | None:
        if not data.sketch:
            return None
        try:
            blob = self._blob(data.sketch, MAX_SKETCH_BYTES)
            return None if blob is None else verify_sketch(blob, data)
        except RemoteError:
            return None

    def _others(self, log: LogId, seq: int) -> Iterator[tuple[Log, int]]:
        for other, size in self._replica.past(log, seq + 1).items():
            if peer_of(other) != peer_of(log):
                yield self._replica.branches.get(other), size


def shown_before(replica: Replica, log: LogId, seq: int, other: LogId, theirs: int) -> list[Data]:
    """The newest data entries with a sketch in a log below `seq` that have not seen that of another log."""
    sets = [data for at, data in sorted(replica.branches.get(log).tip.data.items()) if at < seq and data.sketch]
    unaware = bisect_left(sets, True, key=lambda data: replica.past(log, data.seq + 1).get(other, 0) > theirs)
    return sets[max(0, unaware - BEFORE) : unaware]


def newest(log: Log, size: int) -> Data | None:
    """The newest data entry with a sketch among a log's first `size` entries."""
    return next((data for seq, data in sorted(log.tip.data.items(), reverse=True) if seq < size and data.sketch), None)
