"""What became of the updates that a list of entries shows: which the policy left out, which a quorum condemned.

    lines to be shown --the policy in force in the past of each, and who condemned it--> {(log, seq): "left out"}

Why it exists: an update states a weight, and states it still where it counts nothing. Who reads a list must not take
the one for the other.

Where no admin ever asked for another policy and nobody condemned anything, that of genesis decides, looked up for the
updates shown alone; else the ledger's rules are run once more over everything (`cli.opened.ruled`), so a long list
stays quick in most swarms. Of a source that breaks rules, what cannot be told is not marked. It refuses to know why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final

from cli.causal import Line
from cli.sources import Source
from ledger.canonical import decode_entry
from ledger.entry import Data, Genesis, Update
from ledger.errors import GossipError
from ledger.policy import Policy

LEFT_OUT: Final = "left out by the policy"
CONDEMNED: Final = "condemned"
VOID: Final = "counts no more"  # of a peer that forked or was proven to lie, or withdrawn by its author
HELD: Final = "condemned, but held by a final snapshot"
MOVING: Final = (
    b'"kind":"policy"',
    b'"kind":"accuse"',
    b'"kind":"recover"',
    b'"decision":"condemned"',
)  # canonical JSON

Marks = Mapping[tuple[str, int], str]


def moves(line: Line) -> bool:
    """Whether this entry may change what becomes of updates."""
    return any(word in line.data for word in MOVING)


def marks(source: Source, named: str | None, shown: Iterable[Line], moved: bool) -> Marks:
    """Of the updates in `shown`: those that do not simply count. `moved`: some entry of the source `moves`."""
    updates = [line for line in shown if isinstance(line.entry, Update)]
    if not updates:
        return {}
    try:
        told = _by_rules(named, updates) if moved else _by_genesis(source, updates)
    except GossipError:  # (said already where the source was read)
        return {}
    return {place: mark for place, mark in told.items() if mark}


def _by_genesis(source: Source, updates: Iterable[Line]) -> dict[tuple[str, int], str]:
    genesis = _entry(source.logs[source.founder], 0)
    text = source.blob(genesis.policy) if isinstance(genesis, Genesis) else None
    if text is None:
        return {}
    policy, found = Policy.from_blob(text), {}
    for line in updates:
        assert isinstance(line.entry, Update)
        data = _entry(source.logs[line.log], line.entry.data)
        if isinstance(data, Data) and policy.evaluate(line.entry, data):
            found[line.log, line.seq] = LEFT_OUT
    return found


def _by_rules(named: str | None, updates: Iterable[Line]) -> dict[tuple[str, int], str]:
    from cli.opened import ruled

    with ruled(named) as read:
        replica = read.replica
        counted = {(log, seq) for log, seq, *_ in replica.updates}

        def mark(log: str, seq: int) -> str:
            if seq >= replica.heads().get(log, 0):
                return ""
            if replica.weight_of(log, seq) is None:
                return LEFT_OUT
            if replica.condemned(log, seq):
                return HELD if (log, seq) in counted else CONDEMNED
            return "" if (log, seq) in counted else VOID

        return {(line.log, line.seq): mark(line.log, line.seq) for line in updates}


def _entry(entries: Callable[[], Iterable[bytes]], seq: int) -> object:
    data = next(islice(entries(), seq, seq + 1), None)
    return decode_entry(data) if data is not None else None
