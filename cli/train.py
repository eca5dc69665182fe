"""`gossip train`: a model of one's own data, without a swarm, in a file that scores.

    gossip train mon.jsonl --out m.gossip                       a labelled table
    gossip train mon.har --list easylist.txt --out m.gossip     a capture, labelled by the lists

The baseline of what a swarm has to offer, and the way to try the model in a minute. Everything happens on this machine.
What training is stands in gossip/training/alone.py, what is in the file in gossip/model_file.py; here the figures of
the held-out sites are shown.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import labelling, render, settings
from cli.options import Validation
from cli.plain import visible
from cli.progress import Progress
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.training.alone import Alone, Judged
    from gossip.training.calibration import Calibration

FEW: Final = 100  # rows to train on: below, what comes out scores nothing that one would look at


def train(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Labelled tables, or captures to be labelled.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the model.")],
    lists: Annotated[
        list[Path] | None, typer.Option("--list", metavar="FILE...", help="Filter lists that label captures.")
    ] = None,
    validation: Validation = None,
    licence: Annotated[str, typer.Option("--licence", metavar="SPDX", help="Licence of the data, to be named.")] = "",
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", min=1, max=100_000, help="Rounds of training.")] = 60,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**31, help="Order of the rows.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a model on your own data alone, without a swarm."""
    from cli.model import read_declaration
    from gossip.filterlists.captures import is_none
    from gossip.model_file import check_target, write_model_file
    from gossip.training.alone import train_alone
    from gossip.training.licence import check_licence

    check_licence(licence)
    named = [*data, *(lists or []), *([validation] if validation else [])]
    for path in named:
        if not path.is_file():
            raise LocalError(f"no file {path}", next_step="check the path")
    for path in data:
        if (what := is_none(path)) is not None:
            raise what
    settings.check_output("--out", out, named)
    check_target(out)
    begun = time.monotonic()
    files = [*data, *([validation] if validation else [])]
    with labelling.labelled(files, lists or ()) as ready, Progress() as progress:
        found = train_alone(
            read_declaration(None, None)[0], ready.files[: len(data)], ready.files[-1] if validation else None,
            lists=[kept.path for kept in ready.lists] or lists or (), licence=licence, rounds=rounds, seed=seed,
            against="own list" if ready.labelled else "labels", told=progress,
        )  # fmt: skip
    write_model_file(out, found.model)
    seconds = time.monotonic() - begun
    if (few := too_few(found)) is not None:
        render.complain(few)
    if json:
        captures = [labelling.facts(each.card) for each in ready.labelled]
        render.document({**facts(found, out, seconds), "captures": captures})
        return
    for each in ready.labelled:
        labelling.show(each.card)
    show(found, out, seconds, validation)


def facts(found: Alone, out: Path, seconds: float) -> dict[str, Any]:
    """Everything, for programs."""
    trained = found.model.trained
    return {
        "file": str(out.resolve()),
        "bytes": out.stat().st_size,
        "parameters": found.model.spec.parameters,
        "records": sum(trained.labels.values()),
        "labels": trained.labels,
        "duplicates": found.duplicates,
        "conflicts": found.conflicts,
        "held_out": trained.held_out,
        "rounds": trained.rounds,
        "seed": trained.seed,
        "sources": [asdict_of(source) for source in trained.sources],
        "lists": [asdict_of(source) for source in trained.lists],
        "figures": asdict(found.judged) if found.judged else None,
        "calibrated": found.model.calibration.measured,
        "threshold": found.model.calibration.threshold,
        "precision_at_least": found.model.calibration.precision_at_least,
        "seconds": round(seconds, 2),
    }


def too_few(found: Alone) -> str | None:
    """What is said of a model of a handful of rows; None of others."""
    rows = sum(found.model.trained.labels.values())
    if found.judged is not None and rows >= FEW:
        return None
    held = "none" if found.judged is None else f"{found.judged.rows:,}"
    return f"too few rows to be of use: {rows:,} to train on, {held} held out to judge by; add captures or tables"


def asdict_of(source: Any) -> dict[str, Any]:
    return {name: getattr(source, name) for name in source.__struct_fields__}


def show(found: Alone, out: Path, seconds: float, validation: Path | None) -> None:
    trained, calibration = found.model.trained, found.model.calibration
    labels = ", ".join(f"{count:,} {name}" for name, count in trained.labels.items())
    render.wrapped(f"trained    {render.many(sum(trained.labels.values()), 'row')}: {labels}")
    render.wrapped(f"           {render.many(trained.rounds, 'round')} in {render.span(seconds)}, seed {trained.seed}")
    of = f" of {visible(validation.name, 60)}" if validation is not None else ""
    for line in of_held_out(found.judged, calibration, of):
        render.wrapped(line)
    render.wrapped(f"wrote      {out}: {render.size(out.stat().st_size)}")
    render.wrapped(f"next       gossip score CAPTURE --model {out}")


def of_held_out(judged: Judged | None, calibration: Calibration, of: str) -> list[str]:
    """What the rows that were held out say, in lines."""
    if judged is None:
        return ["held out   nothing: of a model that nobody judged no figure is known"]
    within = f", {render.score(judged.low)} to {render.score(judged.high)}" if judged.low is not None else ""
    lines = [
        f"held out   {render.many(judged.rows, 'row')}{of} of {render.many(judged.sites, 'site')}, "
        f"{judged.positives:,} of them ads or trackers",
        f"           PR-AUC {render.score(judged.pr_auc)}{within}; AUC {render.score(judged.auc)}; "
        f"F1 {render.score(judged.f1)}",
    ]
    if judged.new_pr_auc is not None:
        lines.append(
            f"           PR-AUC {render.score(judged.new_pr_auc)} on {judged.new_rows:,} to third parties never seen"
        )
    if calibration.against == "own list":
        lines.append("           benign here is what these lists do not block: precision is understated")
    return [*lines, threshold_line(calibration)]


def threshold_line(calibration: Calibration) -> str:
    """The threshold, and what is known of it."""
    if not calibration.measured:
        return f"threshold  {render.score(calibration.threshold)}, not calibrated: too few held-out rows to measure by"
    return (
        f"threshold  {render.score(calibration.threshold)}: precision {calibration.precision:.1%} "
        f"(at least {calibration.precision_at_least:.1%}), recall {calibration.recall:.1%}"
    )
