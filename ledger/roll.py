"""The roll of a swarm: who its members are by everything admitted, and what each of them brought (attendance.py).

    replica: roles, weights that count      entries, read once, log by log     --> rows, for people and as JSON facts

Rules kept here: only what was admitted is looked at, so of a damaged bundle the roll is of the rest; an update that the
policy leaves out or a quorum condemns is counted as an update and weighs nothing. It refuses to know where entries are
kept, and what time it is: `now` says which memberships are over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ledger.attendance import Attendance, Attended
from ledger.canonical import decode_entry
from ledger.chain import LogId
from ledger.entry import PeerId
from ledger.known import Known
from ledger.roster import roster


@dataclass(frozen=True, slots=True)
class Roll:
    """Who took part between two moments; None: from the beginning, to the last entry."""

    rows: tuple[Attended, ...]
    names: dict[PeerId, str]  # as peers wrote them
    since: int | None
    until: int | None

    @property
    def weight(self) -> int:
        return sum(row.weight for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Facts, names as peers wrote them."""
        whole = self.weight
        return {
            "since": self.since,
            "until": self.until,
            "peers": [
                {
                    "peer": row.peer,
                    "name": self.names.get(row.peer, ""),
                    "role": row.role,
                    "word": row.word,
                    "first": row.first,
                    "last": row.last,
                    "entries": row.entries,
                    "updates": row.updates,
                    "weight": row.weight,
                    "share": round(row.weight / whole, 6) if whole else 0.0,
                    "absences": [
                        {"since": one.since, "until": one.until, "at_least_s": one.at_least_s} for one in row.absences
                    ],
                    "absences_in_all": row.absences_in_all,
                }
                for row in self.rows
            ],
        }


def call(
    known: Known,
    entries: Callable[[LogId], Iterable[bytes]],
    *,
    now: int,
    since: int | None = None,
    until: int | None = None,
    reader: PeerId | None = None,
) -> Roll:
    """Everybody who ever enrolled. `entries` gives those of a log from its first on. `reader`: whose run it was."""
    counted = {(log, seq): weight for log, seq, _, weight in known.updates}
    attendance = Attendance()
    for log, size in known.heads().items():
        for seq, data in enumerate(islice(entries(log), size)):
            attendance.saw(log, seq, decode_entry(data), counted.get((log, seq)))
    rows = roster(known, now)
    roles = {
        row.peer: row.role if row.state == "member" else "" if row.state == "waiting" else row.state for row in rows
    }
    table = attendance.table(roles, since=since, until=until, reader=reader)
    return Roll(table, {row.peer: row.name for row in rows}, since, until)
