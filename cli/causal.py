"""Entries of many logs in one order that everybody finds: what an entry cites comes before it.

    logs, each a stream  --the first entry of each that cites nothing still to come-->  one stream

Ties go by claimed time, then by log: so among entries that do not know of one another the order is a claim, and
between entries that do it is proven. Nothing is checked here: this is for reading. Where entries cite what is not
there, or one another in a circle (only a forged bundle has that), they come anyway, at their claimed times.

Rule kept here: one entry of each log in memory, however long the logs are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from ledger.canonical import decode_entry, entry_hash
from ledger.entry import AnyEntry


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of one log, as kept."""

    log: str
    seq: int
    data: bytes
    entry: AnyEntry

    @property
    def hash(self) -> str:
        return entry_hash(self.data)


@dataclass(slots=True)
class _Reader:
    """One log on its way through: the entry that comes next, and what it waits for."""

    log: str
    stream: Iterator[bytes]
    roster: list[str] = field(default_factory=list)  # "" for a second branch of a peer: which one, the entry tells not
    given: int = 0  # entries that are in the order already
    head: Line | None = None
    cites: list[tuple[str, int]] = field(default_factory=list)

    def advance(self) -> bool:
        """Read the next entry. False at the end."""
        data = next(self.stream, None)
        if data is None:
            self.head = None
            return False
        entry = decode_entry(data)
        self.roster += [peer if peer not in self.roster else "" for peer in entry.meets]
        self.head = Line(self.log, self.given, data, entry)
        self.cites = [(self.roster[slot], size) for slot, size in entry.seen if slot < len(self.roster)]
        return True


def in_causal_order(logs: Mapping[str, Callable[[], Iterator[bytes]]]) -> Iterator[Line]:
    """Every entry of `logs`, each once. RemoteError where bytes are no entry."""
    readers = {log: _Reader(log, open_()) for log, open_ in sorted(logs.items())}
    ready: list[tuple[int, str]] = []
    waiting: dict[str, list[_Reader]] = {}  # by the log that it waits for first
    ended: set[str] = set()

    def place(reader: _Reader) -> None:
        """Among the ready, or under what it waits for."""
        assert reader.head is not None
        for log, size in reader.cites:
            if log in readers and log not in ended and readers[log].given < size:
                waiting.setdefault(log, []).append(reader)
                return
        heappush(ready, (reader.head.entry.time, reader.log))

    def go_on(reader: _Reader) -> None:
        if reader.advance():
            place(reader)
        else:
            ended.add(reader.log)

    for reader in readers.values():
        go_on(reader)
    while True:
        if not ready:
            stuck = [reader for readers_ in waiting.values() for reader in readers_ if reader.head is not None]
            if not stuck:
                return
            first = min(stuck, key=lambda reader: (reader.head.entry.time if reader.head else 0, reader.log))
            for readers_ in waiting.values():
                if first in readers_:
                    readers_.remove(first)
            first.cites = []
            place(first)
        reader = readers[heappop(ready)[1]]
        assert reader.head is not None
        yield reader.head
        reader.given += 1
        go_on(reader)
        for other in waiting.pop(reader.log, ()):
            place(other)
