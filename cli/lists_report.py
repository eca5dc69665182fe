"""`gossip lists report CAPTURE...`: what the rules of each list did on captures, and which are needless, and why.

    gossip lists report mon.har                        the lists that are remembered
    gossip lists report mon.har tue.har --list ./mine.txt --all
    gossip lists report mon.har --csv report.csv       a row for each rule that fired, is there twice, or is covered

Facts first (gossip/advisor/list_report.py), then the same facts as tables, CSV or JSON. Exit code 1: some rows could
not be used; the others were counted.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import exits, render, settings
from cli.plain import cell, visible
from cli.progress import Progress
from cli.scoring import Captures, Lists, known_lists
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.advisor.list_report import Needless, OfList, Place, Report

TOP: Final = 10
RULE_CHARS: Final = 70
NARROW: Final = 120  # columns: below, two rules do not fit beside one another
HEADS: Final = (
    "list", "rules", "dropped", "not tried", "fired", "never", "exceptions never", "twice", "covered", "as seen",
)  # fmt: skip
COLUMNS: Final = ("list", "line", "rule", "what", "hits", "sites", "by_list", "by_line", "by_rule")
NO_PROOF: Final = (
    "A rule that never fired here is not dead by that: these are few pages on few days. Covered by structure means: "
    "for every request. Covered as seen: for all requests of these captures."
)


def report(
    words: Annotated[list[Path], typer.Argument(metavar="CAPTURE...", help="HAR, uBlock's log, JSON lines or URLs.")],
    lists: Lists = None,
    every: Annotated[bool, typer.Option("--all", help="Show every rule, those that never fired too.")] = False,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many rules of each kind to show.")] = TOP,
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a row for each rule that there is a word on.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what the rules of each list did on captures: fired, never fired, there twice, covered by another."""
    settings.check_output("--csv", table, [*words, *(lists or [])])
    known = known_lists(lists or [])
    if known.engine is None:
        raise LocalError("no list to report on", why=known.why_not, next_step="name a list with --list FILE")
    from gossip.advisor.list_report import report_of
    from gossip.filterlists.firing import Firing

    with Progress() as progress:
        captures = Captures(words, progress)
        firing = Firing(known.texts)
        for chunk in captures.chunks():
            for seen in chunk:
                firing.add(seen)
    found = report_of(firing)
    if table is not None:
        _write(found, table, every)
    if json:
        render.document(facts(found, captures.bad, every))
    else:
        _show(found, captures.bad, top, every)
        if table is not None:
            render.say(f"wrote   {table}")
    raise typer.Exit(exits.FINDINGS if captures.bad else exits.OK)


# ------------------------------------------------------------------ facts


def facts(found: Report, bad: int, every: bool) -> dict[str, Any]:
    return {
        "requests": found.requests, "sites": found.sites, "without_page": found.pageless,
        "unreadable": found.unreadable, "rows_left_out": bad, "first": _day(found.first), "last": _day(found.last),
        "matched": found.blocked, "excepted": found.excepted,
        "lists": [_of_list(each, every) for each in found.lists], "note": NO_PROOF,
    }  # fmt: skip


def _of_list(each: OfList, every: bool) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": visible(each.name),
        "rules": each.rules,
        "exceptions": each.exceptions,
        "dropped_by_engine": each.unread,
        "not_tried": each.other,
        "fired": len(each.fired),
        "never_fired": len(each.never),
        "exceptions_never_fired": len(each.exceptions_never),
        "twice": [_pair(one) for one in each.duplicates],
        "covered": [_pair(one) for one in each.covered],
        "covered_as_seen": [_pair(one) for one in each.covered_seen],
        "hits": [
            {"line": one.at.line, "rule": visible(one.at.rule), "hits": one.hits, "sites": one.sites}
            for one in each.fired
        ],
    }
    if every:
        said["never"] = [{"line": one.line, "rule": visible(one.rule)} for one in each.never]
        said["exceptions_never"] = [{"line": one.line, "rule": visible(one.rule)} for one in each.exceptions_never]
    return said


def _pair(one: Needless) -> dict[str, Any]:
    by = {"list": visible(one.by.list), "line": one.by.line, "rule": visible(one.by.rule)}
    return {"line": one.at.line, "rule": visible(one.at.rule), "hits": one.hits, "by": by}


def _day(unix: float | None) -> str | None:
    return None if unix is None else render.moment(int(unix))[:10]


# ------------------------------------------------------------------ for people


def _show(found: Report, bad: int, top: int, every: bool) -> None:
    render.say(_seen(found, bad))
    narrow = render.console().width < NARROW
    rows = [(visible(each.name, 40), *(f"{count:,}" for count in _figures(each))) for each in found.lists]
    if narrow:  # a column for each list instead
        titles, *counts = zip(HEADS, *rows, strict=True)
        render.table(titles, counts, range(1, len(titles)))
    else:
        render.table(HEADS, rows, range(1, len(HEADS)))
    limit = sys.maxsize if every else top
    _rules("fired most", [(of.name, one.at.rule, f"{one.hits:,}", f"{one.sites:,}") for of in found.lists
                          for one in of.fired[:limit]], ["list", "rule", "hits", "sites"])  # fmt: skip
    left = 0
    for title, kind in (("there twice", "duplicates"), ("covered by structure", "covered"),
                        ("covered as seen", "covered_seen")):  # fmt: skip
        pairs = [one for of in found.lists for one in getattr(of, kind)[:limit]]
        left += sum(len(getattr(of, kind)) for of in found.lists) - len(pairs)
        if narrow:
            both = [
                row for one in pairs
                for row in ((_where(one.at), one.at.rule), (f"by {_where(one.by)}", one.by.rule))
            ]  # fmt: skip
            _rules(title, both, ["where", "rule"])
            continue
        whole = [(_where(one.at), one.at.rule, f"{one.hits:,}", _where(one.by), one.by.rule) for one in pairs]
        _rules(title, whole, ["where", "rule", "hits", "by", "rule"])
    if every:
        for title, kind in (("never fired", "never"), ("exceptions that never fired", "exceptions_never")):
            places = [(f"{one.list}:{one.line}", one.rule) for of in found.lists for one in getattr(of, kind)]
            _rules(title, places, ["where", "rule"])
    render.say()
    if left:
        render.wrapped(
            f"{render.many(left, 'rule')} more there twice or covered: --top N shows more, --csv FILE writes all"
        )
    render.wrapped(NO_PROOF)


def _where(place: Place) -> str:
    return f"{place.list}:{place.line}"


def _figures(each: OfList) -> tuple[int, ...]:
    told = (each.fired, each.never, each.exceptions_never, each.duplicates, each.covered, each.covered_seen)
    return each.rules, each.unread, each.other, *map(len, told)


def _seen(found: Report, bad: int) -> str:
    days = "" if found.first is None else f", {_day(found.first)} to {_day(found.last)}"
    said = [f"{render.many(found.requests, 'request')} of {render.many(found.sites, 'site')}{days}"]
    if found.pageless:
        said.append(f"{found.pageless:,} without a page, taken as third parties")
    if bad:
        said.append(f"{render.many(bad, 'row')} left out")
    said.append(f"{found.blocked:,} matched by a rule, {found.excepted:,} of these freed by an exception")
    return "; ".join(said)


def _rules(title: str, rows: Sequence[Sequence[str]], head: Sequence[str]) -> None:
    if rows:
        render.say()
        render.say(title)
        right = [number for number, name in enumerate(head) if name in ("hits", "sites")]
        render.table(head, [[visible(cell, RULE_CHARS) for cell in row] for row in rows], right)


def _write(found: Report, path: Path, every: bool) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(COLUMNS)
            out.writerows(_rows(found, every))
    except OSError as error:
        raise LocalError(
            f"{path}: cannot be written", why=error.strerror or str(error), next_step="name another file with --csv"
        ) from error


def _rows(found: Report, every: bool) -> Iterator[tuple[object, ...]]:
    for of in found.lists:
        for one in of.fired:
            yield cell(of.name), one.at.line, cell(one.at.rule), "fired", one.hits, one.sites, "", "", ""
        for what, pairs in (("twice", of.duplicates), ("covered", of.covered), ("covered as seen", of.covered_seen)):
            for pair in pairs:
                by = (cell(pair.by.list), pair.by.line, cell(pair.by.rule))
                yield cell(of.name), pair.at.line, cell(pair.at.rule), what, pair.hits, "", *by
        for what, places in (("never", of.never), ("exception never", of.exceptions_never)):
            for place in places if every else ():
                yield cell(of.name), place.line, cell(place.rule), what, 0, 0, "", "", ""
