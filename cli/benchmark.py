"""`gossip bench`: how fast this machine is at all that a swarm does, as ratios measured in one run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.group import Gossip
from cli.render import say
from ledger.errors import LocalError

app = typer.Typer(cls=Gossip, help="How fast this machine is at what a swarm does, beside what is bare of it.")


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="SECTION", help="This section, and others so named.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repetitions and smaller sizes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same facts as one JSON document.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the JSON there, too.")] = None,
) -> None:
    """One table of figures, each with its goal and with what it is compared with.

    It never fails because something is slow: it prints.
    """
    if context.invoked_subcommand is not None:
        return
    from cli.bench.sections import SECTIONS, measured

    if wrong := sorted(set(only or ()) - set(SECTIONS)):
        raise LocalError(f"no section is called {wrong[0]}", next_step=f"choose from {', '.join(SECTIONS)}")
    lines, document = measured(SECTIONS, only or (), quick=quick, command=" ".join(["gossip", *sys.argv[1:]]))
    text = json.dumps(document, indent=2)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    say(text if as_json else "\n".join(lines))
