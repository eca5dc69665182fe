"""`gossip bench`: how fast this machine is at all that a swarm does, as ratios measured in one run."""

from __future__ import annotations

import json
import sys
import tempfile
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
        list[str] | None,
        typer.Option("--only", metavar="SECTION", help="This section; may be repeated. A wrong name lists them."),
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
    from cli.children import sigterm_interrupts

    if wrong := sorted(set(only or ()) - set(SECTIONS)):
        raise LocalError(f"no section is called {wrong[0]}", next_step=f"choose from {', '.join(SECTIONS)}")
    with sigterm_interrupts():
        command = " ".join(["gossip", *sys.argv[1:]])
        tell = (lambda text: None) if as_json else say
        document = measured(SECTIONS, only or (), quick=quick, command=command, tell=tell)
    text = json.dumps(document, indent=2)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    if as_json:
        say(text)


@app.command("time-to-accuracy")
def time_to_accuracy(
    peers: Annotated[int, typer.Option("--peers", metavar="N", min=2, max=64, help="How many, as processes.")] = 4,
    seed: Annotated[int, typer.Option("--seed", metavar="K", min=0, help="Deals the rows, and draws the start.")] = 1,
    slow: Annotated[
        float, typer.Option("--slow", metavar="FACTOR", min=1, max=100, help="One peer runs so many times slower.")
    ] = 1.0,
    kill: Annotated[bool, typer.Option("--kill", help="Kill one after 85%, and say how others stalled.")] = False,
    cold: Annotated[bool, typer.Option("--cold", help="As if this user had never compiled the model.")] = False,
    system: Annotated[
        str, typer.Option("--system", metavar="SYSTEM", help="gossip, or jax: one process, all rows.")
    ] = "gossip",
    bound_s: Annotated[
        float, typer.Option("--for", metavar="SECONDS", min=1, max=3600, help="Give up after so long.")
    ] = 60.0,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE", help="Another model, declared in JSON.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE", help="Other rows than MNIST-5k: an .npz of x and y.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FOLDER", help="Leave the peers' folders and logs there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line, as any other system can print it.")] = False,
) -> None:  # fmt: skip
    """How long a few peers take from the start of their commands until all have a good model."""
    from cli.bench.figures import Section
    from cli.bench.mnist import MODEL
    from cli.bench.time_to_accuracy import figures, line, prepared, raced
    from cli.children import sigterm_interrupts
    from cli.model import read_declaration

    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise LocalError(f"{keep} is not empty", next_step="name a new folder with --keep")
    text = MODEL if model is None else read_declaration(model, "table")[0]
    with sigterm_interrupts(), tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
        place = Path(folder) if keep is None else keep.resolve()
        setting = prepared(
            place / "rows",
            text,
            rows,
            peers=peers,
            seed=seed,
            system=system,
            slow=slow,
            kill=kill,
            bound_s=bound_s,
            cold=cold,
        )
        race = raced(setting, keep and place)
    say(line(race) if as_json else "\n".join(Section(f"time to accuracy: {system}", tuple(figures(race))).lines()))
