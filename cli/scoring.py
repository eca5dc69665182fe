"""What the commands of the bench share: a model, captures, lists, and how each is named.

    words, options --> scorer_of, known_lists, Captures --> scored chunks

A capture is read and scored a few thousand rows at a time, so memory is bounded however long it is. Rows that cannot be
used are said by file and row, on stderr, the first few of each file; the rest goes on, and all are counted. What scores
mean is gossip/advisor's business.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli import exits, render, settings
from cli.own import judged_into, personalised
from ledger.errors import LocalError

if TYPE_CHECKING:
    from cli.progress import Progress
    from gossip.advisor.scored import Scored
    from gossip.advisor.scorer import Scorer
    from gossip.filterlists.engine import ListText, RuleEngine
    from gossip.filterlists.shelf import Kept
    from gossip.filterlists.sighting import Sighting
    from gossip.filterlists.tally import Tally

ROWS_AT_ONCE: Final = 4_096
TOLD_FAULTS: Final = 3  # of each file
MADE_ONE: Final = "made one already? name it: --model FILE\n"

Words = Annotated[
    list[str],
    typer.Argument(metavar="CAPTURE... [NAME]", help="HAR, uBlock's log, JSON lines or URLs; the swarm last."),
]
Model = Annotated[
    Path | None, typer.Option("--model", metavar="FILE", help="Score with this model, instead of a swarm's.")
]
Lists = Annotated[
    list[Path] | None,
    typer.Option("--list", metavar="FILE...", help="Filter lists to ask besides those that gossip lists remembers."),
]
Raw = Annotated[bool, typer.Option("--raw", help="Show URLs whole: values of queries, user names and tokens, too.")]
Calibrate = Annotated[
    Path | None, typer.Option("--calibrate", metavar="DATA", help="Labelled rows to calibrate the model by.")
]


@dataclass(frozen=True, slots=True)
class Known:
    """The lists that are asked."""

    engine: RuleEngine | None  # None: none can be asked, so what they would say is not known
    kept: tuple[Kept, ...]
    why_not: str = ""
    texts: tuple[ListText, ...] = ()  # of each of `kept`


def scorer_of(
    model: Path | None, directory: Path | None, name: str | None, *, personal: bool = True, files: bool = True
) -> Scorer:
    """The model that is meant; of a peer, unless not `personal`, mixed with its own and calibrated (cli/own.py). Where
    there is none yet, one line says what to do, a second how a file is named, and the command ends. `files`: whether it
    takes --model."""
    from gossip.scorers import NO_MODEL, NoModel, load_scorer

    if model is not None and (directory is not None or name is not None):
        raise LocalError("--model and a swarm name two models", next_step="keep one of them")
    place: Path | None = None
    if model is None and (directory is not None or name is not None or settings.swarms(settings.settings().home)):
        place = settings.existing_directory(name, directory)
    try:
        found = load_scorer(model, place)
    except NoModel:
        sys.stderr.write(f"{NO_MODEL}\n{MADE_ONE if files else ''}")
        raise typer.Exit(exits.USAGE) from None
    return judged_into(personalised(found, place), place) if place is not None and personal else found


def known_lists(files: Sequence[Path]) -> Known:
    """Lists that are remembered, and those named now. One that cannot be used is said, and left out; LocalError if it
    was named now."""
    from gossip.filterlists.engine import Lists as Engine
    from gossip.filterlists.engine import is_installed
    from gossip.filterlists.shelf import Shelf, look_at, texts

    named = [look_at(path) for path in files]
    entries = {kept.path: kept for kept in (*Shelf(settings.shelf_path()).entries(), *named)}
    if not entries:
        return Known(None, (), "no list is remembered or named: gossip lists add FILE..., or --list FILE...")
    if not is_installed():
        return Known(None, (), "the extra named lists is not installed: pip install adblock")
    taken: dict[str, int] = {}
    kept = []
    for each in entries.values():  # two files of one title are two lists
        taken[each.name] = count = taken.get(each.name, 0) + 1
        kept.append(each if count == 1 else _renamed(each, f"{each.name} ({each.path.name})"))
    read, missing = texts(kept)
    for error in missing:
        render.complain(error)
    if not read:
        return Known(None, (), "none of the lists that are remembered can be used")
    names = {text.name for text in read}
    return Known(Engine(read), tuple(each for each in kept if each.name in names), texts=read)


def _renamed(kept: Kept, name: str) -> Kept:
    import msgspec

    return msgspec.structs.replace(kept, name=name)


@dataclass(slots=True)
class Captures:
    """Files to be read, once. `tallies` are filled on the way."""

    paths: Sequence[Path]
    progress: Progress | None = None
    tallies: list[Tally] = field(default_factory=list)
    broken: int = 0  # files that could not be read to the end, or at all

    def chunks(self) -> Iterator[list[Sighting]]:
        """All rows, ROWS_AT_ONCE at a time; what is wrong with others is said. LocalError if a file cannot be opened,
        or if there is no row at all."""
        rows = self._rows()
        while chunk := list(islice(rows, ROWS_AT_ONCE)):
            yield chunk
        if not self.rows:
            raise LocalError(
                f"there is nothing to score in {', '.join(path.name for path in self.paths)[:200]}",
                why="no row of it is a request", next_step="docs/captures.md says how to export one",
            )  # fmt: skip

    @property
    def rows(self) -> int:
        return sum(tally.rows for tally in self.tallies)

    @property
    def bad(self) -> int:
        return sum(sum(tally.bad.values()) for tally in self.tallies) + self.broken

    def _rows(self) -> Iterator[Sighting]:
        from gossip.filterlists.captures import read_capture
        from gossip.filterlists.tally import Tally

        sizes = [path.stat().st_size if path.is_file() else 0 for path in self.paths]
        for number, path in enumerate(self.paths):
            tally, told = Tally(), 0

            def at(done: int, before: int = sum(sizes[:number])) -> None:
                if self.progress is not None:
                    self.progress(before + done, sum(sizes), "bytes read")

            for row in read_capture(path, at, tally):
                if not isinstance(row, LocalError):
                    yield row
                else:
                    told += 1
                    if told <= TOLD_FAULTS:
                        render.complain(row)
            self.tallies.append(tally)
            self.broken += max(0, told - sum(tally.bad.values()))


def scored(scorer: Scorer, captures: Captures, engine: RuleEngine | None = None) -> Iterator[list[Scored]]:
    """All rows, scored."""
    for chunk in captures.chunks():
        yield scorer.judge(chunk, engine)


def recalibrated(scorer: Scorer, data: Path) -> Scorer:
    """The same model, calibrated by the labelled rows of a file. LocalError if it has none."""
    import numpy as np

    from gossip.advisor.scorer import CLASSES, Scorer
    from gossip.training.calibration import calibrate

    captures = Captures([data])
    logits, labels, sites = [], list[int](), list[str]()
    for chunk in captures.chunks():
        rows = [row for row in chunk if row.label is not None]
        if rows:
            logits.append(scorer.logits(rows))
            labels += [CLASSES.index(row.label) for row in rows if row.label is not None]
            sites += [row.site for row in rows]
    if not labels:
        raise LocalError(
            f"{data}: nothing to calibrate by", why="no row of it has a label",
            next_step='label rows with "label": "ad", "tracker" or "benign"',
        )  # fmt: skip
    groups = np.unique(np.array(sites), return_inverse=True)[1]
    found = calibrate(np.concatenate(logits), np.array(labels), groups=groups)
    return Scorer(scorer.spec, scorer.theta, found, scorer.name, notes=scorer.notes)
