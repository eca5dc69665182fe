"""Entries for reading: one line each, or one entry whole.

The line keeps to what the entry itself says; names are what peers chose to call themselves, cleaned, and
two peers may choose the same, so the first digits of the id stand beside them. Times are claims.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cli import render
from cli.plain import name as plain_name
from cli.plain import plain
from ledger.canonical import decode_entry, entry_hash
from ledger.entry import (
    GRID_ONE,
    Accuse,
    Anchor,
    AnyEntry,
    Data,
    Enrol,
    Finality,
    Genesis,
    Member,
    PeerId,
    Recover,
    Rotate,
    Snapshot,
    Update,
)
from ledger.errors import LocalError


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of one log, as kept."""

    log: PeerId
    seq: int
    data: bytes
    entry: AnyEntry

    @property
    def hash(self) -> str:
        return entry_hash(self.data)


def read(rows: Iterable[tuple[PeerId, int, bytes]]) -> Iterator[Line]:
    for log, seq, data in rows:
        yield Line(log, seq, data, decode_entry(data))


def names_of(lines: Iterable[Line]) -> dict[PeerId, str]:
    return {line.log: plain_name(line.entry.name, 16) for line in lines if isinstance(line.entry, Enrol)}


def summary(entry: AnyEntry, names: dict[PeerId, str]) -> str:
    match entry:
        case Genesis():
            count = sum(_product(tensor.shape) for tensor in entry.layout)
            return f"swarm {plain(entry.name, 40)}, task {plain(entry.task, 20)}, {render.many(count, 'parameter')}"
        case Enrol():
            return f"{plain_name(entry.name)} enters" + (
                f", invited by {_who(entry.sponsor, names)}" if entry.sponsor else ""
            )
        case Member():
            return f"admits {_who(entry.peer, names)} as {entry.role}"
        case Data():
            labels = ", ".join(f"{plain(label, 16)} {count:,}" for label, count in sorted(entry.labels.items())[:4])
            return f"{render.many(entry.records, 'record')} ({labels}), {entry.zone}, {entry.duplicates:,} duplicates"
        case Update():
            weight = render.score(entry.weight / GRID_ONE, 2)
            return f"{render.size(entry.bytes)}, {render.many(entry.steps, 'step')}, weight {weight}"
        case Snapshot():
            return f"{render.many(entry.updates, 'update')} folded, model {render.short(entry.model)}"
        case Accuse():
            return f"accuses {_who(entry.peer, names)} of a {entry.charge} at entry {entry.index:,}"
        case Rotate():
            return f"changes to its next key {render.short(entry.key)}"
        case Recover():
            return (
                f"recovers with its next key {render.short(entry.key)}, withdraws its updates from {entry.since:,} on"
            )
        case Finality():
            return f"its snapshot {entry.snapshot:,} is final: a majority of the witnesses signed it"
        case Anchor():
            return f"time stamp from outside over its first {render.many(entry.size, 'entry')}"


def facts(line: Line) -> dict[str, Any]:
    """One entry as JSON facts: the entry as it is, and where it stands."""
    return {"log": line.log, "seq": line.seq, "hash": line.hash, "entry": json.loads(line.data)}


def pick(lines: Iterable[Line], wanted: str) -> Line:
    """The entry that `wanted` names: PEER/SEQ (name or first digits of the id), or the first digits of its hash."""
    held = list(lines)
    peer, slash, seq = wanted.partition("/")
    if slash and seq.isascii() and seq.isdigit():
        logs = matching(held, peer)
        found = [line for line in held if line.log in logs and line.seq == int(seq)]
    else:
        found = [line for line in held if len(wanted) >= 4 and line.hash.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    raise LocalError(
        f"{'no entry' if not found else 'several entries'} {wanted!r} here",
        next_step="name it PEER/SEQ, as gossip ledger log prints it, or by more digits of its hash",
    )


def matching(lines: Iterable[Line], peer: str) -> set[PeerId]:
    """Logs whose id begins with `peer`, or whose owner chose that name."""
    return {
        line.log
        for line in lines
        if (len(peer) >= 4 and line.log.startswith(peer)) or (isinstance(line.entry, Enrol) and line.entry.name == peer)
    }


def _who(peer: PeerId, names: dict[PeerId, str]) -> str:
    return names.get(peer, peer[:8])


def _product(shape: Iterable[int]) -> int:
    out = 1
    for side in shape:
        out *= side
    return out
