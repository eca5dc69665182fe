"""`gossip label`: what this peer's owner says of URLs and domains, over what lists and model say.

    gossip label metrics.example tracker                a domain and all below it
    gossip label https://cdn.example/app.js benign      that URL
    gossip label --undo                                 takes the newest of them back
    gossip label --list                                 what stands
    gossip label mon.har --review                       asks about a capture, the most valuable first (cli/reviewing.py)

What was said is kept in the peer's folder (gossip/judgements.py), is in what `gossip score` says at once, and in what
the peer trains on from the next round on: a node that runs is told. Each change prints the held-out scores before and
after (gossip/training/effect.py). URLs are shown without values and tokens, unless `--raw`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import control, options, render, settings
from cli.own import own_data
from cli.plain import visible
from ledger.errors import GossipError, LinkError, LocalError

if TYPE_CHECKING:
    from gossip.filterlists.judging import Judgement, Standing
    from gossip.training.effect import Effect

DIGITS: Final = 6  # of scores in the JSON: a word among thousands of rows moves the fourth
SAID: Final = {"pr_auc": "PR-AUC", "f1": "F1", "accuracy": "accuracy"}
LEAST: Final = 0.0005  # half of the last digit that is printed
HOW: Final = "gossip label URL|DOMAIN ad|tracker|benign [NAME]"


def label(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL|DOMAIN LABEL [NAME]", help="What is judged, and as what: ad, tracker, benign."),
    ] = None,
    page: Annotated[str, typer.Option("--page", metavar="URL", help="The page that makes the request.")] = "",
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="Of the request: script, image, xhr, ...")] = "",
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for yourself.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the newest judgement back.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Show what stands.")] = False,
    review: Annotated[bool, typer.Option("--review", help="Ask about the requests of a capture, key by key.")] = False,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE", help="For --review: rank by this model.")
    ] = None,
    directory: options.Dir = None,
    scores: Annotated[bool, typer.Option("--scores/--no-scores", help="Print held-out scores.")] = True,
    raw: Annotated[bool, typer.Option("--raw", help="Show URLs whole.")] = False,
    json: options.Json = False,
) -> None:
    """Judge a URL or a domain yourself: ad, tracker or benign."""
    given = list(words or ())
    if sum((undo, listed, review)) > 1:
        raise LocalError("--undo, --list and --review are three commands", next_step="keep one of them")
    if review:
        from cli.reviewing import start

        start(given, model, directory, raw=raw, json=json)
    elif model is not None:
        raise LocalError("--model is for --review", next_step="leave it out, or add --review and a capture")
    elif listed:
        _list(_place(given, 0, directory), raw=raw, json=json)
    elif undo:
        _undo(_place(given, 0, directory), scores=scores, raw=raw, json=json)
    else:
        if len(given) < 2:
            raise LocalError("what is it, and as what is it judged?", next_step=f"say {HOW}")
        _judge(given, directory, page=page, kind=kind, note=note, scores=scores, raw=raw, json=json)


def _judge(
    given: list[str], directory: Path | None, *, page: str, kind: str, note: str, scores: bool, raw: bool, json: bool
) -> None:
    from gossip.filterlists.judging import judgement_of
    from gossip.judgements import append, judgements_path, read_standing

    if "://" not in given[0] and Path(given[0]).is_file():
        raise LocalError(
            f"{visible(given[0], 60)} is a file here, and no domain",
            next_step="name a URL or a domain; or look through it: gossip label FILE --review",
        )
    said = judgement_of(given[0], given[1], page=page, kind=kind, note=note, time=int(time.time()))
    place = _place(given, 2, directory)
    before = read_standing(judgements_path(place))
    found = effect_of(place) if scores else "not asked for"
    if not isinstance(found, str) and said.label not in found.spec.classes:
        raise LocalError(
            f"this swarm's model knows no {said.label}", why=f"its classes are {', '.join(found.spec.classes)[:80]}",
            next_step="judge by one of these",
        )  # fmt: skip
    append(place, said)
    _tell(place, {"did": "label", "judgement": facts(said, raw)}, said, before, found, json=json, raw=raw)


def _undo(place: Path, *, scores: bool, raw: bool, json: bool) -> None:
    from gossip.filterlists.judging import Judgement
    from gossip.judgements import judgements_path, read_standing
    from gossip.judgements import undo as take_back

    before = read_standing(judgements_path(place))
    found = effect_of(place) if scores else "not asked for"
    back = take_back(place, int(time.time()))
    if back is None:
        raise LocalError("there is nothing to take back", why="nothing that was judged here stands")
    if not isinstance(back, Judgement):
        told = {"did": "undo", "skipped": _shown(back.target, raw)}
        render.document(told) if json else render.say(f"asked again {told['skipped']}: it had been skipped")
        return
    _tell(place, {"did": "undo", "judgement": facts(back, raw)}, back, before, found, json=json, raw=raw)


def _list(place: Path, *, raw: bool, json: bool) -> None:
    from gossip.judgements import judgements_path, read_standing

    standing = read_standing(judgements_path(place))
    rows = [facts(one, raw) for one in reversed(standing.judgements)]
    if json:
        render.document({"dir": str(place), "judgements": rows})
    elif not rows:
        render.say(f"Nothing is judged here. Judge with: {HOW}")
    else:
        render.table(
            ("label", "of", "", "said", "page", "note"),
            [
                (
                    row["label"],
                    row["target"],
                    row["covers"],
                    render.moment(row["time"]),
                    row["page"],
                    visible(row["note"], 60),
                )
                for row in rows
            ],
        )
        render.say(f"{render.many(len(rows), 'judgement')}; the newest wins, a URL beats a domain")


def effect_of(place: Path) -> Effect | str:
    """What judgements do to this peer's held-out scores, to be asked; or why that cannot be said."""
    from gossip.scorers import NoModel, load_scorer
    from gossip.training.effect import Effect
    from gossip.training.own_rows import read_own_rows

    try:
        scorer = load_scorer(None, place)
        data = own_data(place)
        rows = read_own_rows(scorer.spec, data.files, data.validation)
    except NoModel:
        return "no model yet"
    except GossipError as error:
        return str(error)
    return "no own rows are held out" if rows is None else Effect(scorer.spec, scorer.theta, rows)


def measured(found: Effect | str, before: Standing, after: Standing) -> dict[str, Any]:
    """Held-out scores before and after, as facts."""
    if isinstance(found, str):
        return {"scores": None, "why_no_scores": found}
    from gossip.training.protocol import Result

    told = {
        when: {
            metric: round(value, DIGITS)
            for metric, value in Result.of(found.scores(what)).shown(found.spec.metrics).items()
        }
        for when, what in (("before", before), ("after", after))
    }
    return {"scores": {**told, "rows": len(found.rows.requests), "judged": found.about(after)}}


def notify(place: Path) -> str:
    """Have the node that runs there read its data again: "told", "no data", "not running", or "not reached"."""
    try:
        return "not running" if control.ask(place, "relabelled") is None else "told"
    except LocalError:
        return "no data"
    except LinkError as error:
        render.complain(error)
        return "not reached"


TRAINS: Final = {
    "told": "from the next round on: the node that runs here has been told",
    "no data": "not: the node that runs here has no data; gossip run --data FILE gives it some",
    "not running": "once it runs again: gossip run",
    "not reached": "once the node has been started again: gossip run",
}


def say_effect(told: Mapping[str, Any]) -> None:
    """The same facts in lines."""
    scores = told["scores"]
    if scores is None:
        render.say(f"scores    none: {visible(told['why_no_scores'])}")
    else:
        moved = [
            f"{SAID.get(metric, metric)} {moved_from(before, scores['after'][metric])}"
            for metric, before in scores["before"].items()
        ]
        about = f"{scores['judged']:,} of them judged"
        render.say(f"scores    {', '.join(moved)} on {render.many(scores['rows'], 'held-out row')}, {about}")
    render.say(f"trains    {TRAINS[told['node']]}")


def _tell(
    place: Path, told: dict[str, Any], said: Judgement, before: Standing, found: Effect | str, *, json: bool, raw: bool
) -> None:
    from gossip.judgements import judgements_path, read_standing

    after = read_standing(judgements_path(place))
    told |= {"dir": str(place), "standing": len(after), **measured(found, before, after), "node": notify(place)}
    if json:
        render.document(told)
        return
    what = f"{said.label}  {_shown(said.target, raw)}{' and all below it' if said.covers == 'domain' else ''}"
    render.say(f"{'judged' if told['did'] == 'label' else 'undone':9} {what}")
    say_effect(told)
    render.say(f"stands    {render.many(len(after), 'judgement')}")


def facts(said: Judgement, raw: bool) -> dict[str, Any]:
    return {
        "label": said.label, "target": _shown(said.target, raw), "covers": said.covers,
        "page": _shown(said.page, raw), "type": said.type, "note": said.note, "time": said.time,
    }  # fmt: skip


def _shown(url: str, raw: bool) -> str:
    from gossip.filterlists.mask import masked

    return visible(url if raw or not url else masked(url))


def moved_from(before: float, after: float) -> str:
    """.953 -> .967: what is printed last is where the next one begins. Two digits that differ are never "no change"."""
    said, now = render.score(before), render.score(after)
    return f"{now}, no change" if said == now and abs(after - before) < LEAST else f"{said} -> {now}"


def _place(given: list[str], at: int, directory: Path | None) -> Path:
    if len(given) > at + 1:
        raise LocalError(f"{given[at + 1][:60]!r} is one word too many", next_step=f"say {HOW}")
    return settings.existing_directory(given[at] if len(given) > at else None, directory)
