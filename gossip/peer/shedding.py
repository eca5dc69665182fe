"""Which deltas a peer may let go of, and from which sums it begins without them.

    finals held --newest--> snapshot --its past's terms--> base: sums, whose hash the snapshot says
                                          `-- but those of the newest updates --> deltas to let go of

Why a final: what counted in its snapshot's past counts for everybody from then on (docs/fold.md, section 7), so nothing
that is learned later takes it out again, but that who wrote the final is shown out from before it; then terms are owed
(book.py) until their deltas have come back from somebody who keeps everything.

Rules kept here: a delta goes only if its term is in the base, and if nothing that stays names the same bytes: neither
an update nor an entry of another kind, whose blob each start opens (anybody may call a delta a time stamp). What is
condemned or void may come back under another final, and is kept. It refuses to know disks and links.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gossip.peer.book import Book
from gossip.peer.shifted import hash_of, shifted
from ledger import standing
from ledger.chain import FinalPast, Log, LogId
from ledger.entry import Accuse, Anchor, AnyEntry, Data, Hash, Opening, PolicyChange, Snapshot, Update
from ledger.ranges import within
from ledger.replica import Replica

ANY: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Ground:
    """A final snapshot that a peer can begin from."""

    author: Log
    final: FinalPast
    updates: int  # in its sum

    @property
    def log(self) -> LogId:
        return self.author.id

    @property
    def seq(self) -> int:
        return self.final.snapshot


def newest_ground(replica: Replica) -> Ground | None:
    """Of the finals that hold something in the past of everything admitted, the one with the most updates."""
    found: list[Ground] = []
    for author, final in standing.finals_in(replica.branches.logs, replica.heads()):
        entry = replica.entry(author.id, final.snapshot)
        assert isinstance(entry, Snapshot)
        found.append(Ground(author, final, entry.updates))
    return max(found, key=lambda ground: (ground.updates, ground.log, ground.seq), default=None)


def sums_of(book: Book, ground: Ground, *, terms: int = ANY, size: int = ANY) -> Any | None:
    """The sums of a ground's past, to be read only; None if they are too far off, or not what its author says."""
    replica = book.replica
    change = replica.change(replica.heads(), replica.past(ground.log, ground.seq + 1))
    if change.added:
        return None  # (what a final holds counts; if ever it did not, nothing may be built on it)
    theta = shifted(book, change, book.find, terms=terms, size=size)
    entry = replica.entry(ground.log, ground.seq)
    return theta if theta is not None and isinstance(entry, Snapshot) and hash_of(book, theta) == entry.model else None


class Shedding:
    """Which deltas are to go, each named once, as grounds come and logs grow. `keep`: so many updates stay, whatever
    holds them: they are what others ask for, what witnesses count back, and what leaders add up."""

    def __init__(self, replica: Replica, keep: int) -> None:
        self._replica = replica
        self._keep = keep
        self._passed: dict[LogId, int] = {}  # updates of each log that are decided about
        self._spared: set[Hash] = set()  # deltas of those that stay, and what other entries name; asked, never iterated
        self._looked: dict[LogId, int] = {}  # entries of each log that are no updates are known so far

    def next(self, ground: Ground) -> tuple[Hash, ...]:
        """The deltas that may go now, and were not named before."""
        logs = [log for log in self._replica.branches.logs.values() if log.tip.size]
        border, going = self._border(logs), list[Hash]()
        for log in logs:
            self._look(log)
            held = standing.held_by([(ground.author, ground.final)], log)
            number, end = self._passed.get(log.id, log.folded[log.fork]), log.folded[-1]
            while number < end and log.positions[log.folded_at[number]] < border:
                seq = log.folded_at[number]
                if seq >= ground.author.seen_at(ground.seq, log):
                    break
                if within(seq, held):
                    going.append(log.delta(number))
                else:
                    self._spared.add(log.delta(number))
                number += 1
            self._passed[log.id] = number
        staying = self._spared.union(*(_deltas(log, self._passed[log.id]) for log in logs))
        return tuple(dict.fromkeys(digest for digest in going if digest not in staying))

    def _look(self, log: Log) -> None:
        """What entries that are no updates name stays."""
        begin = self._looked.get(log.id, log.fork)
        updates = {log.folded_at[number] for number in range(log.folded[begin], log.folded[-1])}
        for seq in range(begin, log.tip.size):
            if seq not in updates and (name := blob_named(self._replica.entry(log.id, seq))):
                self._spared.add(name)
        self._looked[log.id] = log.tip.size

    def _border(self, logs: list[Log]) -> int:
        """Where, in our order of admission, the updates begin that stay."""
        if not self._keep:
            return ANY
        newest = heapq.nlargest(self._keep, (at for log in logs for at in self._newest(log)))
        return newest[-1] if len(newest) == self._keep else 0

    def _newest(self, log: Log) -> Iterator[int]:
        """Where the newest updates of a log came in, as many as might stay."""
        end = log.folded[-1]
        for number in range(max(log.folded[log.fork], end - self._keep), end):
            yield log.positions[log.folded_at[number]]


def blob_named(entry: AnyEntry) -> Hash:
    """The blob that an entry names; "" if none (the policy of genesis is never a delta: it is a text)."""
    match entry:
        case Update(delta=name) | Accuse(evidence=name) | Anchor(token=name) | PolicyChange(policy=name):
            return name
        case Data(sketch=name) | Opening(opened=name):
            return name
        case _:
            return ""


def _deltas(log: Log, begin: int) -> Iterator[Hash]:
    return (log.delta(number) for number in range(begin, log.folded[-1]))
