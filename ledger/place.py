"""Whether the entries of one log stand where they should: each says its number, its swarm and the entry before it.

Batches are compared whole; the first entry that does not fit is named. It refuses to know files, and what entries cite.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.entry import Enrol, Genesis, Hash, PeerId
from ledger.errors import RemoteError
from ledger.followed import Branch

_BEGINNINGS: Final = frozenset((RemoteError, Genesis, Enrol))


def chained(branch: Branch, swarm: Hash, founder: PeerId, begin: int, entries: list[Any], heads: list[Hash]) -> int:
    """How many entries of a batch stand where they should; the first that does not ends the log."""
    count = len(entries)
    if begin and (
        _BEGINNINGS.isdisjoint(map(type, entries))
        and [entry.seq for entry in entries] == list(range(begin, begin + count))
        and [entry.prev for entry in entries] == [branch.head, *heads[:-1]]
        and [entry.swarm for entry in entries].count(swarm) == count
    ):
        return count
    for number, entry in enumerate(entries):
        index, prev = begin + number, heads[number - 1] if number else branch.head
        why = _misplaced(branch, swarm, founder, index, entry, heads[number], prev)
        if why:
            branch.broken = (index, "format" if isinstance(entry, RemoteError) else "place", why)
            return number
    return count


def _misplaced(branch: Branch, swarm: Hash, founder: PeerId, index: int, entry: Any, digest: Hash, prev: Hash) -> str:
    if isinstance(entry, RemoteError):
        return str(entry)
    if entry.seq != index:
        return f"says it is entry {entry.seq}"
    if entry.prev != prev:
        return "does not follow the entry before it"
    founding = branch.peer == founder
    if isinstance(entry, Genesis):
        whole = founding and digest == swarm and not entry.seen and not entry.meets
        return "" if whole else "is a genesis, but not this swarm's"
    if entry.swarm != swarm:
        return "is of another swarm"
    if (index == founding) != isinstance(entry, Enrol) or index < founding:
        return "should be the enrol entry that this log is named after"
    if isinstance(entry, Enrol) and digest != branch.peer:
        return "is not the enrol entry that this log is named after"
    if branch.parent is not None and index == branch.fork and not branch.id.endswith(digest):
        return "is not the entry that this branch is named after"
    return ""
