"""`gossip head`: personal categories, from a few dozen own examples over the swarm's model. A head never leaves.

    gossip head train widgets examples.jsonl     {"url":"https://..","page":"https://..","type":"script",
                                                  "category":"social-widget"}, one a line; "none" for none
    gossip head train widgets --from-labels      own judgements whose note is a category: gossip label URL benign
                                                 --note "#cookie-banner"
    gossip head show [widgets]                   what there is, and how well it knows what it was not shown
    gossip score mon.har --head widgets          a category for each request

Heads lie beside the swarms, for their owner alone. How one is made stands in gossip/training/head.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import exits, options, render, settings
from cli.group import Gossip
from cli.plain import visible
from cli.scoring import Model, scorer_of
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.advisor.scorer import Scorer
    from gossip.filterlists.sighting import Sighting
    from gossip.training.head import Head

FOLDER: Final = ".heads"  # no swarm is called so: names begin with a letter or digit
TOLD: Final = 3  # bad rows told one by one
MAX_OWN_ROWS: Final = 4_096  # own rows that say what is usual
MAX_FILE_BYTES: Final = 16 << 20  # 32 categories of 65,536 buckets are half of it

app = typer.Typer(cls=Gossip, help="Personal categories, from a few dozen examples of your own.")


@app.callback()
def _group() -> None:
    pass


@app.command("train")
def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the head.")],
    examples: Annotated[Path | None, typer.Argument(metavar="[EXAMPLES]", help="JSON lines with a category.")] = None,
    from_labels: Annotated[
        bool, typer.Option("--from-labels", help='Take own judgements whose note is "#CATEGORY".')
    ] = False,
    swarm: Annotated[
        str | None, typer.Option("--swarm", metavar="NAME", help="The swarm, if there are several.")
    ] = None,
    directory: options.Dir = None,
    model: Model = None,
    json: options.Json = False,
) -> None:
    """Train a head for categories of your own; it never leaves this machine."""
    from gossip.training.head import train_head

    path = _path(name)
    if (examples is None) == (not from_labels):
        raise LocalError("which examples?", next_step="name a file of examples, or say --from-labels, not both")
    scorer = scorer_of(model, directory, swarm, personal=False)
    place = None if model is not None else settings.existing_directory(swarm, directory)
    if examples is not None:
        rows, categories, bad = read_examples(examples)
    else:
        if place is None:
            raise LocalError("--from-labels needs a peer", next_step="leave --model out, or name a file of examples")
        rows, categories, bad = *_judged(place), 0
    head = train_head(scorer.spec, scorer.theta, rows, categories, [] if place is None else _own(place))
    _write(path, head)
    told = _facts(name, head)
    if json:
        render.document({**told, "bad_rows": bad})
    else:
        _show(told)
        render.say(f"kept as {path}")
    raise typer.Exit(exits.FINDINGS if bad else exits.OK)


@app.command("show")
def show(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One head; all of them if left out.")] = None,
    json: options.Json = False,
) -> None:
    """What heads there are, and how well each knows what it was not shown."""
    folder = settings.settings().home / FOLDER
    names = [name] if name is not None else sorted(path.stem for path in folder.glob("*.head"))
    told = [_facts(one, load(one)) for one in names]
    if json:
        render.document({"heads": told})
        return
    if not told:
        render.say("No head yet: gossip head train NAME EXAMPLES.jsonl")
    for number, one in enumerate(told):
        if number:
            render.say()
        _show(one)


def load(name: str) -> Head:
    """LocalError if there is none of that name, or it cannot be read."""
    from gossip.training.head import parse_head

    path = _path(name)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        raise LocalError(
            f"no head called {name!r} here", next_step=f"train one: gossip head train {name} EXAMPLES.jsonl"
        ) from None
    return parse_head(data)


def read_examples(path: Path) -> tuple[list[Sighting], list[str], int]:
    """Rows, their categories, and how many could not be used. Those are told, the first few by number."""
    from gossip.filterlists.requests import opened
    from gossip.training.examples import MAX_ROW_BYTES, parse_example

    rows, categories, bad, number = [], [], 0, 0
    with opened(path) as lines:
        while line := lines.readline(MAX_ROW_BYTES + 1):
            number += 1
            if line.isspace():
                continue
            try:
                row, category = parse_example(line)
            except LocalError as error:
                bad += 1
                if bad <= TOLD:
                    render.complain(f"{path}: row {number} is left out: {error}")
                if not line.endswith(b"\n") and len(line) > MAX_ROW_BYTES:
                    while (line := lines.readline(MAX_ROW_BYTES)) and not line.endswith(b"\n"):
                        pass
                continue
            rows.append(row)
            categories.append(category)
    if bad > TOLD:
        render.complain(f"{path}: {bad:,} rows are left out in all")
    return rows, categories, bad


def _judged(place: Path) -> tuple[list[Sighting], list[str]]:
    """Own judgements as examples: the category is the note, if that begins with "#"; else they stand for none."""
    from gossip.filterlists.sighting import Sighting
    from gossip.judgements import judgements_path, read_standing
    from gossip.training.head import NONE

    standing = read_standing(judgements_path(place))
    kept = [standing.judgements[at] for at in standing.in_force()]
    rows = [Sighting(url=one.url, page=one.page, type=one.type) for one in kept]
    return rows, [
        one.note[1:].strip()[:40] if one.note.startswith("#") and one.note[1:].strip() else NONE for one in kept
    ]


def _own(place: Path) -> list[Sighting]:
    """Some thousand own rows, evenly taken; none, and a line that says so, where they cannot be read."""
    from cli.own import own_data
    from gossip.filterlists.requests import read_requests
    from gossip.filterlists.sighting import Sighting

    kept: list[Sighting] = []
    every, seen = 1, 0
    try:
        for path in own_data(place).files:
            for row in read_requests(path):
                if seen % every == 0:
                    kept.append(Sighting(url=row.url, page=row.page, type=row.type, third_party=row.third_party))
                seen += 1
                if len(kept) > MAX_OWN_ROWS:
                    kept, every = kept[::2], 2 * every
    except LocalError as error:
        render.complain(f"{error}; so nothing says which n-grams are usual here")
        return []
    return kept


def _path(name: str) -> Path:
    return settings.settings().home / FOLDER / f"{settings.check_name(name)}.head"


def _write(path: Path, head: Head) -> None:
    from gossip.training.head import head_bytes

    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(head_bytes(head))
        new.replace(path)
    except OSError as error:
        raise LocalError(f"cannot write {path}", why=error.strerror or "", next_step="look at the disk") from None


def _facts(name: str, head: Head) -> dict[str, Any]:
    header = head.header
    columns = zip(header.categories, header.examples, header.left_out, header.false, strict=True)
    return {
        "name": name, "features": header.features, "body": header.body, "none": header.none,
        "categories": [
            {"category": category, "examples": examples, "known_when_left_out": known, "taken_for_it": false}
            for category, examples, known, false in columns
        ],
    }  # fmt: skip


def _show(told: dict[str, Any]) -> None:
    render.say(f"head {visible(told['name'], 60)}")
    render.table(
        ("category", "examples", "known when left out", "others taken for it"),
        [
            (visible(one["category"], 40), f"{one['examples']:,}", f"{one['known_when_left_out']:,}",
             f"{one['taken_for_it']:,}")
            for one in told["categories"]
        ],
        right=(1, 2, 3),
    )  # fmt: skip
    for one in told["categories"]:
        if one["known_when_left_out"] == 0:
            name = visible(one["category"], 40)
            render.say(
                f"{name} cannot be learned from these: none is known from those of other sites; give more, or others"
            )
    render.say(f"({told['none']:,} rows stood for none; left out: trained without all rows of the same site)")


def named(head: Head, scorer: Scorer, rows: list[Sighting]) -> list[tuple[str, float]]:
    """The category of each row, and how likely it is."""
    scores = head.score(scorer.spec, rows)
    return [(head.name(row), float(row.max())) for row in scores]
