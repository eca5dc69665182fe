"""What can be seen beside what other peers published: copies, likeness, overlap.

    crossed.copied            the very delta (by hash) of another peer is in the update's past
    crossed.cosine_permille   the largest likeness (likeness.py) to one of the newest 4 deltas of others in its past
    crossed.overlap_permille  of a data set's keys, how many are in another peer's newest public data set in its past,
                              and in none that its own author had shown before it knew of that one

In its past: whoever published first is not blamed for what others made of it, nor when it announces its data anew:
anybody can take the leaves of a sketch for a data set of its own. (Such a one can open nothing: asking.py.) Two that
copy from one another without citing one another cannot be told apart, and neither is blamed.

Rules kept here: all of it is a function of the ledger and its blobs, in integers, so whoever looks finds the same, but
that of more than 16 trainers each looks at 16 of its own choice. A delta of nothing is like no other. It refuses to
know who should look, and what follows.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gossip.merging.arithmetic import ArrayDelta
from gossip.peer.inspection.likeness import Spread, cosine_permille, spread
from gossip.peer.inspection.office import Office
from ledger.chain import LogId, peer_of
from ledger.comparing import shown_before
from ledger.entry import Data, Hash
from ledger.errors import RemoteError
from ledger.opening import Sketch, overlap_permille, verify_sketch

COPIED: Final = "crossed.copied"
COSINE: Final = "crossed.cosine_permille"
OVERLAP: Final = "crossed.overlap_permille"
NEWEST: Final = 4  # updates of each other trainer
MAX_TRAINERS: Final = 16  # that one update is compared with
MAX_CACHED: Final = 1 << 21  # numbers of spread out deltas that are kept: 16 MB
MAX_DELTAS: Final = 4 * NEWEST * MAX_TRAINERS  # at most, however small: an update is compared with a quarter of that
MAX_SKETCHES: Final = 256  # of 8 KB in memory each


class Crossing:
    """Comparisons of what is admitted."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._deltas: OrderedDict[Hash, Spread] = OrderedDict()
        self._cached = 0
        self._sketches: OrderedDict[Hash, Sketch] = OrderedDict()
        self._data: dict[LogId, list[int]] = {}  # data entries with a sketch, by log

    def learn(self, log: LogId, seq: int, entry: Data) -> None:
        if entry.sketch:
            self._data.setdefault(log, []).append(seq)

    # -------------------------------------------------------------- updates

    def update(self, log: LogId, seq: int, facts: frozenset[str]) -> dict[str, int]:
        """Those of `facts` that can be told of an update."""
        update = self._office.update_of(log, seq)
        if update is None or not update.norm:
            return {}
        found: dict[str, int] = {}
        past = self._office.replica.past(log, seq + 1)
        if COPIED in facts:
            found[COPIED] = int(self._is_copied(log, update.delta, past))
        if COSINE in facts:
            likeness = self._likeness(log, update.delta, past)
            if likeness is not None:
                found[COSINE] = likeness
        return found

    def _is_copied(self, log: LogId, delta: Hash, past: dict[LogId, int]) -> bool:
        wanted = bytes.fromhex(delta)
        for other, size in past.items():
            if peer_of(other) == peer_of(log):
                continue
            held = self._office.replica.branches.get(other)
            end = 32 * held.folded[size]
            column = bytes(held.deltas[:end])
            at = column.find(wanted)
            while at >= 0 and at % 32:
                at = column.find(wanted, at + 1)
            if at >= 0:
                return True
        return False

    def _likeness(self, log: LogId, delta: Hash, past: dict[LogId, int]) -> int | None:
        own = self._spread(delta)
        if own is None:
            return None
        best = 0
        others = [other for other in past if peer_of(other) != peer_of(log)]
        if len(others) > MAX_TRAINERS:
            others = self._office.luck.sample(others, MAX_TRAINERS)
        for other in others:
            held = self._office.replica.branches.get(other)
            count = held.folded[past[other]]
            for number in range(max(0, count - NEWEST), count):
                theirs = self._spread(held.delta(number))
                if theirs is not None:
                    best = max(best, cosine_permille(own, theirs))
        return best

    def _spread(self, delta: Hash) -> Spread | None:
        found = self._deltas.get(delta)
        if found is not None:
            self._deltas.move_to_end(delta)
            return found
        fold, blob = self._office.book.require_fold(), self._office.blobs.find(delta)
        if blob is None:
            return None
        try:
            decoded = fold.arithmetic.decode(blob, fold.parameters)
        except RemoteError:
            return None
        if not isinstance(decoded, ArrayDelta) or not decoded.values.any():
            return None
        found = self._deltas[delta] = spread(decoded)
        self._cached += found.elements
        while (self._cached > MAX_CACHED and len(self._deltas) > 1) or len(self._deltas) > MAX_DELTAS:
            self._cached -= self._deltas.popitem(last=False)[1].elements
        return found

    # -------------------------------------------------------------- data sets

    def overlap(self, log: LogId, seq: int) -> int | None:
        """The largest overlap of a data set with another peer's newest; None if it has no sketch here."""
        data = self._office.data_of(log, seq)
        own = self._sketch(data) if data is not None else None
        if own is None:
            return None
        best = 0
        past = self._office.replica.past(log, seq + 1)
        for other, seqs in self._data.items():
            if peer_of(other) == peer_of(log):
                continue
            before = [at for at in seqs if at < past.get(other, 0)]
            entry = self._office.data_of(other, before[-1]) if before else None
            theirs = self._sketch(entry) if entry is not None else None
            if theirs is None:
                continue
            earlier = shown_before(self._office.replica, log, seq, other, before[-1])
            known = [sketch for one in earlier if (sketch := self._sketch(one)) is not None]
            if len(known) == len(earlier):
                best = max(best, overlap_permille(own, theirs, known))
        return best

    def _sketch(self, data: Data) -> Sketch | None:
        if not data.sketch:
            return None
        found = self._sketches.get(data.sketch)
        blob = self._office.blobs.find(data.sketch) if found is None else None
        if found is not None or blob is None:
            return found
        try:
            found = verify_sketch(blob, data)
        except RemoteError:
            return None
        self._sketches[data.sketch] = found
        while len(self._sketches) > MAX_SKETCHES:
            self._sketches.popitem(last=False)
        return found
