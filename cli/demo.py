"""`gossip demo`: the command and its options. The play itself, and all that it needs, is in play.py, which is
imported when the command runs: every `gossip ... --help` reads this file.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

import typer

MAX_PEERS: Final = 16  # as many as have a name (play.NAMES)


def demo(
    peers: Annotated[int, typer.Option("--peers", metavar="N", min=2, max=MAX_PEERS, help="Processes to start.")] = 4,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=1, max=3600, help="How long they train.")
    ] = 30,
    seed: Annotated[int, typer.Option("--seed", metavar="K", min=0, help="Of the split and the starting weights.")] = 1,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="Where to keep this run. A fresh one if left out.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the live view.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end, nothing before.")] = False,
    picture: Annotated[Path | None, typer.Option("--picture", hidden=True, help="Keep the view as SVG.")] = None,
) -> None:
    """Four peers co-train here on real requests; an auditor checks."""
    started = time.time() - time.process_time()  # from the start of this process, imports included
    from cli import play

    raise typer.Exit(
        play.run(peers, seconds, seed, directory, started=started, json=json, plain=plain, picture=picture)
    )
