"""`gossip data privacy`: what models give away about a peer's own rows, measured; and what was promised of it.

    gossip data privacy requests.jsonl                   the swarm's newest snapshot, and this peer's own model
    gossip data privacy requests.jsonl --model FILE      a model that gossip model export made
    gossip data privacy requests.jsonl --audit           hold the promise against planted rows

Everything happens on this machine; nothing is sent, changed or charged. The data are read as `gossip run` reads them,
with the same rows held out. Of the files the last word may be a swarm's name. Exit code 1: the audit refutes the claim.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import exits, render, settings
from cli.labelling import labelled
from cli.plain import visible
from cli.progress import Progress
from cli.quality import files_and_name
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.training.dataset import DataSet
    from gossip.training.privacy import Attack, Audit
    from gossip.training.scoring import Theta
    from gossip.training.spec import ModelSpec

AUDIT_ROUNDS: Final = 10
_START: Final = "67" * 32  # seed of the weights that an audit begins with: any will do
_VERDICTS: Final = (  # AUC up to, what that is
    (0.52, "no better than a coin"),
    (0.6, "little better than a coin"),
    (0.75, "better than a coin: it gives rows away"),
    (1.0, "most rows can be told"),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to be attacked."""

    name: str  # "swarm", "alone" or "file"
    what: str  # for people
    theta: Theta


@dataclass(frozen=True, slots=True)
class Promised:
    """What this peer has promised; `spent` in thousandths of epsilon, None where it cannot be counted here."""

    epsilon: int
    delta: int
    spent: int | None


def privacy(
    words: Annotated[
        list[str],
        typer.Argument(metavar="FILE... [NAME]", help="Data files as given to run; the swarm, if there are several."),
    ],
    validation: Annotated[
        Path | None, typer.Option("--validation", metavar="FILE", help="Held-out file, if you run with one.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FILE", help="An exported model, instead of the newest snapshot."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Train on planted rows, and see whether the epsilon can be true.")
    ] = False,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, max=1000, help="Rounds that the audit trains.")
    ] = AUDIT_ROUNDS,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", metavar="E", help="Audit this epsilon, instead of the promised one.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of NAME.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure what models give away about your rows, and say what is promised."""
    files, name = files_and_name(words)
    if validation is not None and not validation.is_file():
        raise LocalError(f"no file {validation}", next_step="check the path")
    place = None
    if model is None or name is not None or directory is not None or settings.swarms(settings.settings().home):
        place = settings.existing_directory(name, directory)
    promised = None if place is None else _promised(place)
    wanted = _epsilon(epsilon, promised) if audit else None
    spec, subjects = _subjects(place, model)
    named = [*files, *([validation] if validation else [])]
    with labelled(named) as ready:
        data = _read(spec, ready.files[: len(files)], ready.files[-1] if validation else None)
    try:
        found = [(subject, _attack(spec, subject, data)) for subject in subjects]
        audited = None if wanted is None else _audit(spec, data, wanted, rounds)
    finally:
        data.rows.close()
    if json:
        render.document(_facts(found, promised, data, audited))
    else:
        _show(found, promised, data, audited)
    raise typer.Exit(exits.FINDINGS if audited is not None and not audited.holds else exits.OK)


# ------------------------------------------------------------------ measuring


def _promised(place: Path) -> Promised | None:
    from gossip.directory import account_path
    from gossip.training.budget import check_installed, promised_in, spent_in

    claim = promised_in(account_path(place))
    if claim is None:
        return None
    try:
        check_installed()
    except LocalError as error:
        render.complain(f"what is spent is not counted: {error}")
        return Promised(claim.epsilon, claim.delta, None)
    kept = spent_in(account_path(place))
    return Promised(claim.epsilon, claim.delta, kept[1] if kept else None)


def _epsilon(named: float | None, promised: Promised | None) -> float:
    from gossip.training.budget import check_epsilon, check_installed

    check_installed()
    if named is not None:
        check_epsilon(named)
        return named
    if promised is None:
        raise LocalError("nothing is promised that could be audited", next_step="name an epsilon: --epsilon 8")
    return promised.epsilon / 1000


def _subjects(place: Path | None, file: Path | None) -> tuple[ModelSpec, list[Subject]]:
    import numpy as np

    from cli.exporting import newest
    from gossip.training.spec import ModelSpec
    from ledger.export import read_model

    if file is not None:
        exported = read_model(file)
        spec: ModelSpec = ModelSpec.parse(exported.header.model)
        theta = np.frombuffer(exported.values, "<f4").astype(np.float32)
        first = Subject("file", f"{visible(file.name, 40)}, snapshot {_named(*exported.header.snapshot[:2])}", theta)
    else:
        found = newest(str(place))
        spec = ModelSpec.parse(found.model)
        theta = np.frombuffer(found.values, "<f4").astype(np.float32)
        first = Subject("swarm", f"the swarm's, snapshot {_named(found.log, found.seq)}", theta)
    if first.theta.shape != (spec.parameters,):
        raise LocalError("these weights do not fit their declaration", why=f"{len(first.theta)} of {spec.parameters}")
    own = None if place is None else _alone(place, spec)
    return spec, [first, *([] if own is None else [Subject("alone", "yours alone, which is never sent", own)])]


def _named(log: str, seq: int) -> str:
    return f"{visible(log[:8])}/{seq}"


def _alone(place: Path, spec: ModelSpec) -> Theta | None:
    """The model of these data alone, as the training process kept it last; None if it kept none that fits."""
    from gossip.training.session import kept_alone

    return kept_alone(place / "training.npz", spec)


def _read(spec: ModelSpec, files: Sequence[Path], validation: Path | None) -> DataSet:
    from gossip.training.dataset import read_data

    with Progress() as progress:
        return read_data(
            spec, files, validation, salt=bytes(32),  # of a commitment that nobody will see
            progress=lambda rows, done, of: progress(done, of, "bytes"),
        )  # fmt: skip


def _attack(spec: ModelSpec, subject: Subject, data: DataSet) -> Attack:
    from gossip.training.privacy import attack_all

    if data.held_out is None:
        raise LocalError(
            "there is nothing to tell apart", why="no row is held out", next_step="name a file with --validation"
        )
    return attack_all(spec, subject.theta, data.rows, data.held_out)


def _audit(spec: ModelSpec, data: DataSet, epsilon: float, rounds: int) -> Audit:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import numpy as np

    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.training.budget import make_plan
    from gossip.training.privacy import audit

    plan = make_plan(epsilon, records=len(data.rows), batch=spec.batch, steps=spec.local_steps)
    arithmetic = NumpyArithmetic()
    start = arithmetic.to_float32(arithmetic.start(spec.layout(), _START))
    with Progress() as progress:
        return audit(
            spec, data.rows.read(0, len(data.rows)), plan, start, rounds=rounds, luck=np.random.default_rng(),
            on_round=lambda done: progress(done, rounds, "rounds of the audit"),
        )  # fmt: skip


# ------------------------------------------------------------------ saying it


def verdict_of(auc: float) -> str:
    """An AUC in words."""
    return next(said for upto, said in _VERDICTS if auc <= upto)


def _facts(
    found: Sequence[tuple[Subject, Attack]], promised: Promised | None, data: DataSet, audited: Audit | None
) -> dict[str, Any]:
    from gossip.training.budget import MIN_RECORDS

    return {
        "members": len(data.rows),
        "held_out": len(data.held_out or ()),
        "models": [
            {
                "model": subject.name,
                "what": subject.what,
                "auc": round(attack.auc, 4),
                "caught_at_1_percent": round(attack.caught, 4),
                "verdict": verdict_of(attack.auc),
            }
            for subject, attack in found
        ],
        "promised": promised
        and {
            "epsilon": promised.epsilon / 1000,
            "delta": 1 / promised.delta,
            "spent": None if promised.spent is None else promised.spent / 1000,
        },
        "honest_epsilon_exists": len(data.rows) >= MIN_RECORDS,
        "audit": audited
        and {
            "canaries": audited.canaries,
            "rounds": audited.rounds,
            "claimed": round(audited.claimed, 4),
            "bound": round(audited.bound, 4),
            "holds": audited.holds,
        },
    }


def _show(
    found: Sequence[tuple[Subject, Attack]], promised: Promised | None, data: DataSet, audited: Audit | None
) -> None:
    render.say(f"trained on  {len(data.rows):,} rows     held out  {len(data.held_out or ()):,}")
    render.say()
    rows = [(s.what, f"{a.auc:.3f}", f"{a.caught:.1%}", verdict_of(a.auc)) for s, a in found]
    render.table(("model", "", "AUC", "caught", "which is"), [(s, "", *rest) for s, *rest in rows])
    render.say()
    render.say(
        "AUC: shown one row that was trained on and one that was not, how often the lower loss tells which; 0.5 is"
    )
    render.say(
        "a coin. Caught: rows trained on that are told with 1% false alarms; 1% is a coin. The rows held out are of"
    )
    render.say(
        "other sites, and that is told apart, too: rather too much is seen than too little. But this is one simple"
    )
    render.say("attack: a better one may tell more. It measures, and bounds nothing.")
    render.say()
    for line in _promise_lines(promised, len(data.rows)):
        render.say(line)
    if audited is not None:
        render.say()
        render.say(f"audit  {audited.canaries} planted rows, {audited.rounds} rounds")
        render.say(f"       claimed for as many rounds: epsilon {audited.claimed:.3f}")
        render.say(f"       shown by what was guessed:  epsilon {audited.bound:.3f} at least, in 19 of 20 audits")
        render.say(
            "       the claim is not refuted" if audited.holds else "       THE CLAIM IS FALSE: trust it no more"
        )


def _promise_lines(promised: Promised | None, records: int) -> tuple[str, ...]:
    from gossip.training.budget import MIN_RECORDS

    if promised is not None:
        spent = "cannot be counted here" if promised.spent is None else f"{promised.spent / 1000:g}"
        return (
            f"promised: epsilon {promised.epsilon / 1000:g} with delta 1 in {promised.delta:,}, for each record in all "
            "updates that this peer ever publishes",
            f"spent:    {spent}",
            "Not covered: the counts in the data entry, and the counts of right and wrong on rows held out.",
        )
    if records < MIN_RECORDS:
        return (
            f"Nothing is promised, and for {records:,} records no honest epsilon exists: below about {MIN_RECORDS:,}",
            "the noise that hides one hides what the others teach.",
        )
    return ("Nothing is promised: gossip run --epsilon E does, from a peer's first update on.",)
