"""Who took part, who was absent and when: a table and what follows from it in words, for every command that ends a run.

    peer           role     updates  share  first entry  last entry  absent
    alder 4be94882 admin         41  51.2%  12:00:00Z    12:20:04Z
    birch 91e0c7d2 trainer       39  48.8%  12:00:02Z    12:20:01Z   12:04:10 to 12:19:02 (14:52)
    elder 77ab0e11 trainer        0   0.0%  12:00:09Z    12:00:09Z   published nothing

    (times of 2026-01-01, UTC, are claims ...)
    2 of 3 trainers took part. Absent for a while: birch. Let in to train, and published nothing: elder.

What an absence is, and what times are worth: ledger/attendance.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from cli import render
from cli.plain import name as plain_name
from ledger.attendance import OUT, Absence, Attended
from ledger.roll import Roll, call

SHOWN: Final = 3  # absences of one peer: its longest
TIME: Final = 11  # letters of a moment before its time ...
DATE: Final = 5  # ... and before its month
NAMED: Final = 12  # in a sentence
NOTE: Final = (
    "are claims, moved to where the clocks of others have them; an absence is a silence of more than ten of the peer's "
    "usual intervals and a minute, as this copy of the ledger shows it"
)


def of(source: str | None) -> tuple[Roll, tuple[Any, ...]]:
    """Of a bundle, a peer's directory or a swarm; and what is wrong with it."""
    from cli.opened import ruled

    with ruled(source) as read:
        logs = {log.peer: log.entries for log in read.contents.logs}
        return call(read.replica, lambda log: logs[log](), now=int(time.time())), read.report.findings


def show(roll: Roll) -> None:
    table(roll)
    render.say(f"({note(roll)})")
    for sentence in summary(roll):
        render.say(sentence)


def note(roll: Roll) -> str:
    """What the table's times are worth, and of which day they are."""
    day = _day(roll)
    return f"times{f' of {day}, UTC,' if day else ''} {NOTE}"


def table(roll: Roll) -> None:
    whole, short = roll.weight, _short(roll)
    rows = []
    for row in roll.rows:
        absent = list(_absent(row, roll, short))
        cells = [
            f"{called(roll, row)} {row.peer[:8]}", row.role or "not let in", f"{row.updates:,}",
            f"{100 * row.weight / whole:.1f}%" if whole else render.NONE, _moment(row.first, short),
            _moment(row.last, short), absent[0] if absent else "",
        ]  # fmt: skip
        rows.append(cells)
        rows += [["", "", "", "", "", "", more] for more in absent[1:]]
    render.table(("peer", "role", "updates", "share", "first entry", "last entry", "absent"), rows, right=(2, 3))


def summary(roll: Roll) -> Iterator[str]:
    """What the table comes to: how many took part, and by name whoever did not, all along."""
    expected = [row for row in roll.rows if row.updates or row.role == "trainer" or row.absences]
    expected = [row for row in expected if row.role not in OUT or row.updates]
    there = [row for row in expected if row.updates]
    yield f"{len(there):,} of {render.many(len(expected), 'trainer')} took part."
    gone = [row for row in expected if row.is_absent and row.role not in OUT]
    if gone:
        yield f"Absent at the end: {_named(roll, gone, since=True)}."
    back = [row for row in expected if row.absences and row not in gone]
    if back:
        yield f"Absent for a while: {_named(roll, back)}."
    never = [row for row in expected if row.word == "never"]
    if never:
        yield f"Let in to train, and published nothing: {_named(roll, never)}."
    if there and not (gone or back or never):
        yield "Nobody was absent."


def called(roll: Roll, row: Attended) -> str:
    return plain_name(roll.names.get(row.peer, ""), 16) or "?"


def _named(roll: Roll, rows: list[Attended], *, since: bool = False) -> str:
    told = [
        f"{called(roll, row)} since {render.moment(row.absences[-1].since)}" if since else called(roll, row)
        for row in rows[:NAMED]
    ]
    return ", ".join(told) + (f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else "")


def _absent(row: Attended, roll: Roll, short: int) -> Iterator[str]:
    """Lines: a table of 110 columns has room for some 22 letters of each, where times have dates."""
    longest = sorted(row.absences, key=lambda one: _length(one, roll), reverse=True)[:SHOWN]
    for one in sorted(longest, key=lambda one: one.since):
        begin = _moment(one.since, short)
        if one.until is None:
            yield f"since {begin}"
            continue
        begin, until = begin.removesuffix("Z"), _moment(one.until, short).removesuffix("Z")
        words = (f"{begin} to", until, f"({render.span(one.until - one.since)})")
        yield from (" ".join(words),) if short == TIME else words
    if row.absences_in_all > SHOWN:
        yield f"and {render.many(row.absences_in_all - SHOWN, 'time')} more"
    if row.word == "never":
        yield "published nothing"


def _length(one: Absence, roll: Roll) -> float:
    return one.until - one.since if one.until is not None else float("inf")


def _day(roll: Roll) -> str:
    """The day that all of a table's times are of, or "": they are of several, or of none."""
    days = {_date(at) for at in _times(roll)}
    return days.pop() if len(days) == 1 else ""


def _short(roll: Roll) -> int:
    """How many letters all of its times can go without: those of the day, of the year, or none."""
    days = {_date(at) for at in _times(roll)}
    if "" in days:
        return 0
    return TIME if len(days) == 1 else DATE if len({day[:4] for day in days}) == 1 else 0


def _times(roll: Roll) -> Iterator[int]:
    for row in roll.rows:
        yield from (at for at in (row.first, row.last) if at is not None)
        for one in row.absences:
            yield from (at for at in (one.since, one.until) if at is not None)


def _date(unix: int) -> str:
    text = render.moment(unix)
    return text[:TIME].strip() if text.endswith("Z") else ""


def _moment(unix: int | None, short: int) -> str:
    return render.NONE if unix is None else render.moment(unix)[short:]
