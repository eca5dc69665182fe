"""`gossip score`: what a model makes of the requests of a capture, and which lists block them already.

    gossip score mon.har                                 by the swarm's model, as tables: first what nobody blocks
    gossip score mon.har --model m.gossip --list ./easylist.txt
    gossip score mon.har --json | jq -r 'select(.block and .listed_by == []) | .url'

`--json` streams one object per request on stdout and, when all are through, one on stderr with the counts, the groups
and what was scored with; `--csv` writes the same rows as a table. By default no value of a query, user name or long
token is shown (gossip/filterlists/mask.py). It is an advisor: nothing is blocked, and no list is written.

Exit code 1: some rows could not be used; the others were scored.
"""

from __future__ import annotations

import csv
import json as jsons
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import exits, heads, options, render, settings
from cli.plain import cell, visible
from cli.progress import Progress
from cli.quality import files_and_name
from cli.score_told import Told, facts, show
from cli.scoring import Calibrate, Captures, Lists, Model, Raw, Words, known_lists, recalibrated, scored, scorer_of
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.advisor.scored import Scored

TOP: Final = 20
COLUMNS: Final = ("url", "page", "type", "p_ad", "p_tracker", "p_block", "block", "listed_by")
DIGITS: Final = 6

Shown = Callable[[str], str]
Named = list[tuple[str, float]]  # what a head says of each row: a category of its owner's, and how likely; [] without
Sink = Callable[[list["Scored"], Named], None]


def score(
    words: Words,
    model: Model = None,
    directory: options.Dir = None,
    lists: Lists = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many domains to show.")] = TOP,
    raw: Raw = False,
    calibrate: Calibrate = None,
    table: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help='Write a row for each request; "-": to stdout.')
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the tables as a page, too.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", metavar="NAME", help="Name a category of your own, too: gossip head.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per request.")] = False,
) -> None:
    """Score the requests of a capture: P(ad), P(tracker), and which lists block them already."""
    paths, name = files_and_name(words)
    if json and table == "-":
        raise LocalError("--json and --csv - both go to stdout", next_step="name a file after --csv")
    read = [*paths, *(lists or []), model, calibrate, directory]
    settings.check_page(html, read)
    settings.check_output("--csv", Path(table) if table not in (None, "-") and table else None, read)
    scorer = scorer_of(model, directory, name)
    if calibrate is not None:
        scorer = recalibrated(scorer, calibrate)
    known = known_lists(lists or [])
    own = None if head is None else heads.load(head)
    from gossip.advisor.groups import Groups
    from gossip.advisor.summary import Summary
    from gossip.filterlists.mask import masked

    shown: Shown = str if raw else masked
    summary, groups = Summary(), Groups()
    found = Counter[str]()
    with Progress() as progress, _sinks(table, json, shown, named=own is not None) as sinks:
        captures = Captures(paths, progress)
        for chunk in scored(scorer, captures, known.engine):
            summary.add(chunk)
            for row in chunk:
                groups.add(row)
            named = [] if own is None else heads.named(own, scorer, [row.seen for row in chunk])
            found.update(category for category, _ in named)
            for sink in sinks:
                sink(chunk, named)
    told = Told(captures, scorer, known, summary, groups.ordered(shown, top=top), top, shown)
    if html is not None:
        from cli.page.score import write_page

        write_page(told, html)
    if json:
        sys.stderr.write(jsons.dumps(facts(told), separators=(",", ":")) + "\n")
    elif table != "-":
        show(told)
        if found:
            counts = (f"{visible(name, 40)} {count:,}" for name, count in found.most_common())
            render.say(f"by head    {', '.join(counts)}")
        for written in (None if table is None else Path(table), html):
            if written is not None:
                render.say(f"wrote      {written}")
    raise typer.Exit(exits.FINDINGS if captures.bad else exits.OK)


@contextmanager
def _sinks(table: str | None, json: bool, shown: Shown, *, named: bool) -> Iterator[list[Sink]]:
    """Where rows go as they come. LocalError if the table cannot be written."""
    sinks: list[Sink] = [lambda chunk, said: _as_json(chunk, said, shown)] if json else []
    if table is None:
        yield sinks
    elif table == "-":
        yield [*sinks, _as_csv(sys.stdout, shown, named=named)]
    else:
        try:
            with Path(table).open("w", encoding="utf-8", newline="") as file:
                yield [*sinks, _as_csv(file, shown, named=named)]
        except OSError as error:
            raise LocalError(
                f"cannot write {table}", why=error.strerror or "", next_step="name another file with --csv"
            ) from None


def _rows(chunk: list[Scored], named: Named, shown: Shown) -> Iterator[dict[str, Any]]:
    for at, row in enumerate(chunk):
        said = {"category": named[at][0], "p_category": round(named[at][1], DIGITS)} if named else {}
        yield {**_row(row, shown), **said}


def _row(row: Scored, shown: Shown) -> dict[str, Any]:
    seen = row.seen
    return {
        "url": shown(seen.url), "page": shown(seen.page) if seen.page else "", "type": seen.type,
        "p_ad": round(row.p_ad, DIGITS), "p_tracker": round(row.p_tracker, DIGITS),
        "p_block": round(row.p_block, DIGITS), "block": row.block, "listed_by": list(row.listed_by),
    }  # fmt: skip


def _as_json(chunk: list[Scored], named: Named, shown: Shown) -> None:
    rows = _rows(chunk, named, shown)
    sys.stdout.write("".join(jsons.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    sys.stdout.flush()


def _as_csv(file: Any, shown: Shown, *, named: bool) -> Sink:
    out = csv.writer(file)
    out.writerow((*COLUMNS, "category", "p_category") if named else COLUMNS)

    def write(chunk: list[Scored], said: Named) -> None:
        for row, cells in zip(chunk, _rows(chunk, said, shown), strict=True):
            cells |= {"block": str(row.block).lower(), "listed_by": "; ".join(row.listed_by)}
            out.writerow([cell(each) if isinstance(each, str) else each for each in cells.values()])

    return write
