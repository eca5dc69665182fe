"""`gossip model`: read a declaration before anybody trains it (`check`), take the trained model out (`export`), name a
final snapshot of it (`release`, `releases`) and go back to one (`use`).

A declaration is JSON: layers, loss, optimiser, batch, local steps, features. It is data: reading it runs
nothing of it. What the words mean is `gossip.training.spec`'s business; what an exported model says of itself, so
that it can be held against its ledger, is `ledger.export`'s.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import exits, options, render
from cli.group import Gossip
from cli.outgoing import Format
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.releases import Release

app = typer.Typer(cls=Gossip, help="Models: check a declaration, name a release, take one elsewhere.")

DEFAULT_TASK: Final = "filterlist"
SUFFIX: Final = ".gossip-model"
MAX_FILE_BYTES: Final = 64 * 1024  # more than any declaration may have: the parser says how much that is


@app.callback()
def _group() -> None:
    pass


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model declared in JSON.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print a model's layers, parameters and bytes per update."""
    from gossip.training.spec import ModelSpec

    report = ModelSpec.parse(_read(file)).check()
    if json:
        facts = asdict(report)
        render.document({"layers": list(facts.pop("rows")), **facts})
        return
    render.table(("part", "shape", "parameters"), [(r.what, r.shape, f"{r.parameters:,}") for r in report.rows], (2,))
    render.say()
    render.say(f"{report.parameters:,} parameters, {render.size(report.float32_bytes)} as float32")
    render.say(f"one update keeps {report.density:.3%} of them: about {render.size(report.update_bytes)}")


@app.command()
def export(
    source: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The swarm, if there are several; or a folder or bundle.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write the model.", show_default="model.*")
    ] = None,
    kind: Annotated[
        Format, typer.Option("--format", help="gossip can be held against its ledger; others are for other programs.")
    ] = Format.GOSSIP,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE", help="Export this model file, instead of a swarm's.")
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option("--calibrate", metavar="DATA", help="Labelled rows to calibrate the model by (not gossip)."),
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option("--snapshot", metavar="PEER/SEQ", help="The newest final one, else the newest, if left out."),
    ] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Only a snapshot that a majority of the swarm's witnesses has signed.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a snapshot's model as a file that says which ledger it is from; or any model, for other programs."""
    from cli import damaged, exporting, outgoing, settings

    out = out or Path(f"model{outgoing.SUFFIXES[kind]}")
    settings.check_output("--out", out, [Path(source) if source is not None else None, model, calibrate])
    if model is not None and (source is not None or snapshot is not None or final):
        raise LocalError("--model and a snapshot of a swarm name two models", next_step="keep one of them")
    if kind is Format.GOSSIP and (model is not None or calibrate is not None):
        raise LocalError(
            f"{'--model' if model is not None else '--calibrate'} goes with another format",
            why="a file that can be held against a ledger is made of that ledger alone",
            next_step="add --format safetensors, js or onnx",
        )
    try:
        with damaged.reading(source, json=json):
            if kind is Format.GOSSIP:
                facts = exporting.export(source, out, snapshot, final=final)
            else:
                found = outgoing.of_file(model) if model else exporting.outgoing(source, snapshot, final=final)
    except exporting.NotFinal as error:
        render.complain(error)
        raise typer.Exit(exits.INCONCLUSIVE) from None
    if kind is not Format.GOSSIP:
        facts = outgoing.write(outgoing.calibrated(found, calibrate) if calibrate else found, kind, out)
    if json:
        render.document(facts)
        return
    if kind is not Format.GOSSIP:
        outgoing.show(facts)
        return
    of = f"{facts['log'][:8]}/{facts['seq']}, {'final' if facts['final'] else 'not final'}"
    count = render.many(facts["parameters"], "parameter")
    render.say(f"wrote   {out}: {render.size(facts['bytes'])}, {count} as float32")
    render.say(f"model   {facts['model_hash']}")
    render.say(f"of      snapshot {of}: {render.many(facts['updates'], 'update')}")
    render.say(f"check   gossip ledger verify BUNDLE --model {out}")


@app.command()
def release(
    called: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    swarm: Annotated[str | None, typer.Argument(metavar="[SWARM]", help="The swarm, if there are several.")] = None,
    directory: options.Dir = None,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", metavar="PEER/SEQ", help="The newest final one, if left out.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Give a final snapshot a name, and keep its model."""
    import time

    from cli import damaged, exporting, settings

    place = settings.existing_directory(swarm, directory)
    try:
        with damaged.reading(str(place), json=json):
            found = exporting.release(place, called, snapshot, int(time.time()))
    except exporting.NotFinal as error:
        render.complain(error)
        raise typer.Exit(exits.INCONCLUSIVE) from None
    if json:
        render.document({"dir": str(place), **_of(found)})
        return
    render.say(f"released  {found.name}: snapshot {found.log[:8]}/{found.seq}, {render.many(found.updates, 'update')}")
    render.say(f"model     {found.model_hash}")
    render.say(f"use it    gossip model use {found.name} {settings.how(place)}")


@app.command()
def releases(
    swarm: options.Name = None,
    directory: options.Dir = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Snapshots that were given a name here, and which is in use."""
    from cli import settings
    from gossip.releases import index

    place = settings.existing_directory(swarm, directory)
    kept = index(place)
    if json:
        render.document({"dir": str(place), "in_use": kept.in_use, "releases": [_of(each) for each in kept.releases]})
        return
    if not kept.releases:
        render.say("No release yet. Name a final snapshot with: gossip model release NAME")
        return
    render.table(
        ("", "release", "named", "snapshot", "updates", "model"),
        [
            ("in use" if each.name == kept.in_use else "", each.name, render.moment(each.time),
             f"{each.log[:8]}/{each.seq}", f"{each.updates:,}", render.short(each.model_hash))
            for each in reversed(kept.releases)
        ],
        right=(4,),
    )  # fmt: skip
    if not kept.in_use:
        render.say("in use: the newest model of the swarm")


@app.command()
def use(
    called: Annotated[str, typer.Argument(metavar="NAME|newest", help="A release, or the swarm's newest model.")],
    swarm: Annotated[str | None, typer.Argument(metavar="[SWARM]", help="The swarm, if there are several.")] = None,
    directory: options.Dir = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score with a release from now on, or with the newest model. Training goes on as it was."""
    from cli import settings
    from gossip import releases as kept

    place = settings.existing_directory(swarm, directory)
    found = kept.use(place, called)
    if json:
        render.document(
            {"dir": str(place), "in_use": found.name if found else "", **({"release": _of(found)} if found else {})}
        )
        return
    if found is None:
        render.say("in use: the newest model of the swarm")
        return
    render.say(
        f"in use: release {found.name}, snapshot {found.log[:8]}/{found.seq}, model {render.short(found.model_hash)}"
    )
    render.say("It is what score, suggest and label go by here; what the swarm trains on is as it was.")


def _of(release: Release) -> dict[str, Any]:
    return {
        "name": release.name, "log": release.log, "seq": release.seq, "model_hash": release.model_hash,
        "sha256": release.sha256, "updates": release.updates, "time": release.time,
    }  # fmt: skip


def read_declaration(file: Path | None, task: str | None) -> tuple[str, str]:
    """(text of the declaration, name of its task) for a new swarm. Raises LocalError if they do not fit together."""
    from gossip.training.spec import BUILTIN, ModelSpec, UrlGrams

    if file is None:
        wanted = task or DEFAULT_TASK
        if wanted in BUILTIN:
            return BUILTIN[wanted], wanted
        raise LocalError(
            f"cannot found a swarm for the task {wanted!r}",
            why="no model for it is built in",
            next_step="declare one in JSON, as examples/own_model.json does, and name it with --model",
        )
    text = _read(file)
    natural = "filterlist" if isinstance(ModelSpec.parse(text).features, UrlGrams) else "table"
    if task is not None and task != natural:
        raise LocalError(
            f"{file} does not fit the task {task!r}",
            why=f"its features are those of a {natural}",
            next_step="leave --task out, or declare other features",
        )
    return text, natural


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        return data.decode()
    except OSError as error:
        raise LocalError(f"cannot read {file}", why=error.strerror or "", next_step="name a model in JSON") from error
    except UnicodeDecodeError as error:
        raise LocalError(
            f"{file} is no UTF-8 text", why=f"byte {error.start}", next_step="name a model in JSON"
        ) from error
