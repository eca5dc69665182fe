"""Entries for reading: one line each, or one entry whole.

The line keeps to what the entry itself says; names are what peers chose to call themselves, cleaned, and
two peers may choose the same, so the first digits of the id stand beside them. Times are claims.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from cli import render
from cli.causal import Line
from cli.damaged import Damaged
from cli.plain import name as plain_name
from cli.plain import visible
from cli.said import says
from cli.sources import Source
from ledger.canonical import decode_entry
from ledger.chain import fork_of, peer_of
from ledger.entry import (
    GRID_ONE,
    Accuse,
    Anchor,
    AnyEntry,
    Challenge,
    Data,
    Enrol,
    Finality,
    Genesis,
    Member,
    Opening,
    PeerId,
    PolicyChange,
    Recover,
    Revoke,
    Rotate,
    Snapshot,
    Update,
    Verdict,
)
from ledger.errors import LocalError


def summary(entry: AnyEntry, names: Mapping[str, str]) -> str:
    match entry:
        case Genesis():
            count = sum(_product(tensor.shape) for tensor in entry.layout)
            return f"swarm {visible(entry.name, 40)}, task {visible(entry.task, 20)}, {render.many(count, 'parameter')}"
        case Enrol():
            return f"{plain_name(entry.name)} enters" + (
                f", invited by {_who(entry.sponsor, names)}" if entry.sponsor else ""
            )
        case Member():
            until = f" until {date(entry.expires)}" if entry.expires else ""
            return f"admits {_who(entry.peer, names)} as {entry.role}{until}"
        case Revoke():
            return f"wants {_who(entry.peer, names)} out: nothing of its log from entry {entry.since:,} on counts"
        case Data():
            labels = ", ".join(f"{visible(label, 16)} {count:,}" for label, count in sorted(entry.labels.items())[:4])
            told = f"{render.many(entry.records, 'record')} ({labels}), {zone(entry)}, {entry.duplicates:,} duplicates"
            if judged := sum(entry.judgements.values()):
                told += f", {judged:,} labelled by its author's own judgement"
            return told + _licences(entry) + _privacy(entry)
        case Update():
            weight = render.score(entry.weight / GRID_ONE, 2)
            return f"{render.size(entry.bytes)}, {render.many(entry.steps, 'step')}, weight {weight}"
        case Snapshot():
            return f"{render.many(entry.updates, 'update')} folded, model {render.short(entry.model)}"
        case Accuse():
            charge = "signing two entries" if entry.charge == "fork" else "opening what it never committed to"
            return f"accuses {_who(entry.peer, names)} of {charge}: entry {entry.index:,}"
        case Rotate():
            return f"changes to its next key {render.short(entry.key)}"
        case Recover():
            return (
                f"recovers with its next key {render.short(entry.key)}, withdraws its updates from {entry.since:,} on"
            )
        case Finality():
            return f"its snapshot {entry.snapshot:,} is final: a majority of the witnesses signed it"
        case PolicyChange():
            return f"wants policy {render.short(entry.policy)} as number {entry.number:,}"
        case Verdict():
            return " | ".join(says(entry, names))
        case Challenge():
            return (
                f"asks {_who(entry.peer, names)} to open {render.many(entry.count, 'record')} of entry {entry.data:,}"
            )
        case Opening():
            size = render.size(entry.opened_bytes)
            return f"opens records to {_who(entry.peer, names)}, who asked in entry {entry.challenge:,} ({size})"
        case Anchor():
            return f"time stamp from outside over its first {render.many(entry.size, 'entry')}"


def date(seconds: int) -> str:
    """A Unix time as a person writes it: 2026-11-21 20:15 UTC."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):  # beyond the year 9999
        return f"second {seconds:,}"


def zone(data: Data) -> str:
    """Who may have records of a data set opened."""
    if data.zone != "public":
        return "private"
    return (
        f"public, opened to {' and '.join(visible(who[:12], 12) for who in data.opens)} only"
        if data.opens
        else "public"
    )


def _licences(data: Data) -> str:
    named = sorted({visible(source.licence, 24) for source in data.sources if source.licence})
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f", licence {', '.join(named[:3])}{more}" if named else ""


def _privacy(data: Data) -> str:
    return f", claims epsilon {data.privacy.epsilon / 1000:g}" if data.privacy.epsilon else ""


def label(log: str, seq: int) -> str:
    """Where an entry stands, in few digits: 4be94882/9, and 4be94882~9/10 on the branch that left that log at 9."""
    return f"{peer_of(log)[:8]}{f'~{fork_of(log)}' if fork_of(log) else ''}/{seq}"


def kind(entry: AnyEntry) -> str:
    """The word by which the format calls it."""
    return str(entry.__struct_config__.tag)


def facts(line: Line) -> dict[str, Any]:
    """One entry as JSON facts: the entry as it is, and where it stands."""
    return {"log": line.log, "seq": line.seq, "hash": line.hash, "entry": json.loads(line.data)}


def told(line: Line, names: Mapping[str, str]) -> dict[str, Any]:
    """The same, with what the list says of it: whose it is, and what it says, in words."""
    return {**facts(line), "name": names.get(line.log, ""), "says": summary(line.entry, names)}


def marked(line: Line, names: Mapping[str, str], marks: Mapping[tuple[str, int], str]) -> str:
    """What it says, and what became of it where that is not what it says."""
    mark = marks.get((line.log, line.seq), "")
    return f"{mark.upper()}: {summary(line.entry, names)}" if mark else summary(line.entry, names)


def pick(source: Source, wanted: str) -> Line:
    """The entry that `wanted` names: PEER/SEQ (name or first digits of the id), or the first digits of its hash."""
    peer, slash, seq = wanted.partition("/")
    if slash and seq.isascii() and seq.isdigit() and len(seq) < 16:
        at = int(seq)
        found = [
            Line(log, at, data, decode_entry(data))
            for log in matching(source, peer)
            for data in islice((source.files or source.logs)[log](), at, at + 1)  # wrong ones, too: to look at
        ]
    else:
        found = [line for line in _lines(source) if len(wanted) >= 4 and line.hash.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if not found and source.findings:
        raise Damaged(source.findings)
    raise LocalError(
        f"{'no entry' if not found else 'several entries'} {wanted!r} here",
        next_step="name it PEER/SEQ, as gossip ledger log prints it, or by more digits of its hash",
    )


def matching(source: Source, peer: str) -> list[str]:
    """Logs whose id begins with `peer`, or whose owner chose that name."""
    named = {log for log, entry in source.enrolments().items() if entry.name == peer}
    return sorted(log for log in source.logs if log in named or (len(peer) >= 4 and log.startswith(peer)))


def logs_of(source: Source, wanted: str) -> list[str]:
    """As `matching`; LocalError if there is none."""
    found = matching(source, wanted)
    if not found and source.findings:
        raise Damaged(source.findings)
    if not found:
        raise _unknown("no peer", source, wanted)
    return found


def one_peer(source: Source, wanted: str) -> PeerId:
    """The one peer that `wanted` names. LocalError if none does, or several do."""
    peers = sorted({peer_of(log) for log in logs_of(source, wanted)})
    if len(peers) > 1:
        raise _unknown("several peers", source, wanted)
    return peers[0]


def _unknown(what: str, source: Source, wanted: str) -> LocalError:
    return LocalError(
        f"{what} {visible(wanted, 40)!r} here",
        why="there are " + ", ".join(sorted(set(source.names().values()))),
        next_step="name one of them, or the first digits of its id",
    )


def _lines(source: Source) -> Iterator[Line]:
    for log, entries in source.logs.items():
        for seq, data in enumerate(entries()):
            yield Line(log, seq, data, decode_entry(data))


def _who(peer: PeerId, names: Mapping[str, str]) -> str:
    return names.get(peer, peer[:8])


def _product(shape: Iterable[int]) -> int:
    out = 1
    for side in shape:
        out *= side
    return out
