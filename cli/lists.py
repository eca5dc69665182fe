"""`gossip lists`: the user's own copies of filter lists: remembered, linted, and held against captures.

    gossip lists add easylist.txt easyprivacy.txt     remembers where they are, for score, suggest, flag and triage
    gossip lists show                                 what each says of itself, as its file is now
    gossip lists lint mine.txt --style uassets        what is wrong with its rules, line by line
    gossip lists report mon.har                       what each list's rules did on a capture, and which are needless

No list is ever changed, copied or fetched: each stays where its owner keeps it, under its own licence.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import lists_lint, lists_report, render, settings
from cli.group import Gossip
from cli.plain import visible
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.filterlists.shelf import Kept

app = typer.Typer(cls=Gossip, help="Your own copies of filter lists: remembered, linted, held against captures.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Filter lists, as downloaded.")],
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="ad|tracker", help="What they are for. At first: as their titles say."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Remember lists: their paths, and what their headers say. A list that was added before is looked at again."""
    from gossip.filterlists.shelf import Shelf, look_at

    if kind not in (None, "ad", "tracker"):
        raise LocalError(f"--kind {visible(kind, 40)} is neither ad nor tracker", next_step="use one of these two")
    for file in files:
        look_at(file)  # all are lists, or none is added
    shelf = Shelf(settings.shelf_path())
    before = {each.name: each.path for each in shelf.entries()}
    added = [shelf.add(file, "tracker" if kind == "tracker" else "ad" if kind == "ad" else None) for file in files]
    if json:
        render.document({"added": [facts(each) for each in added]})
        return
    for each in added:
        old = before.get(each.name, each.path)
        instead = "" if old == each.path else f", in place of {visible(old)}, which has the same title"
        render.say(f"remembered {_told(each)}{instead}")


@app.command()
def show(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Show the lists that are remembered, as their files are now."""
    from gossip.filterlists.shelf import Shelf, renewed

    entries = Shelf(settings.shelf_path()).entries()
    now = [(kept, renewed(kept)) for kept in entries]
    missing = [error for _, error in now if isinstance(error, LocalError)]
    there = [(kept, fresh) for kept, fresh in now if not isinstance(fresh, LocalError)]
    if json:
        render.document({
            "lists": [{**facts(fresh), "changed": fresh.sha256 != kept.sha256} for kept, fresh in there],
            "left_out": [{"list": visible(kept.name), "why": visible(str(error))} for kept, error in now
                         if isinstance(error, LocalError)],
        })  # fmt: skip
        return
    if not entries:
        render.say("No list is remembered yet: gossip lists add FILE...")
        return
    render.table(
        ["list", "kind", "version", "licence", "", "file"],
        [
            [
                visible(fresh.name), fresh.kind, visible(fresh.version, 20) or render.NONE,
                visible(fresh.licence, 44) or render.NONE, "changed since" if fresh.sha256 != kept.sha256 else "",
                visible(fresh.path),
            ]
            for kept, fresh in there
        ],
    )  # fmt: skip
    for error in missing:
        render.complain(f"left out: {error}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As gossip lists show calls it, or its file.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Forget a list. Its file stays where it is."""
    from gossip.filterlists.shelf import Shelf

    gone = Shelf(settings.shelf_path()).remove(name)
    if json:
        render.document({"removed": facts(gone)})
    else:
        render.say(f"forgotten {visible(gone.name)}; its file stays at {visible(gone.path)}")


def facts(kept: Kept) -> dict[str, Any]:
    return {
        "name": visible(kept.name), "path": str(kept.path), "kind": kept.kind, "version": visible(kept.version),
        "licence": visible(kept.licence), "date": kept.date, "sha256": kept.sha256,
    }  # fmt: skip


def _told(kept: Kept) -> str:
    more = [f"version {visible(kept.version, 20)}"] if kept.version else []
    return ", ".join(
        [visible(kept.name), f"a list for {kept.kind}s", *more, visible(kept.licence, 44) or "licence not said"]
    )


app.command("lint")(lists_lint.lint)
app.command("report")(lists_report.report)
