"""Captures where labelled data are asked for: labelled first, by the lists that are named or remembered.

    run, join                  into the peer's folder, once; what trains there is remembered as the table that was made
    train, data check, ...     into a folder that is gone when the command ends: `labelled`

What is done stands in gossip/labelling.py; here it is said what came of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import remembered, render, settings
from cli.plain import visible
from cli.progress import Progress
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.labelling import Card, Ready
    from gossip.node import NodeConfig


@contextmanager
def labelled(files: Sequence[Path], lists: Sequence[Path] = ()) -> Iterator[Ready]:
    """The same files, with a table in place of each capture, as long as the context lasts."""
    from gossip.labelling import FOLDER, prepared

    with tempfile.TemporaryDirectory(prefix="gossip-") as folder:
        with Progress() as progress:
            ready = prepared(files, lists, Path(folder, FOLDER), shelf=_Shelf(), told=progress)
        yield ready


def for_run(place: Path, config: NodeConfig, *, quiet: bool) -> NodeConfig:
    """What a node is told: with tables of its own in place of captures, and the lists that labelled them."""
    from gossip.labelling import FOLDER, prepared

    files = [*config.data, *([config.validation] if config.validation else [])]
    with Progress() as progress:
        ready = prepared(files, config.lists, place / FOLDER, shelf=_Shelf(), told=progress)
    if not ready.labelled:
        return config
    count = len(config.data)
    data, validation = tuple(ready.files[:count]), ready.files[count] if config.validation else None
    lists = tuple(kept.path for kept in ready.lists)
    remembered.keep_tables(place, config, data, lists, validation)
    if not quiet:
        for each in ready.labelled:
            show(each.card)
    return replace(config, data=data, lists=lists, validation=validation)


def check(files: Sequence[Path], lists: Sequence[Path]) -> dict[Path, int]:
    """Captures among the files, and how many requests each holds, before anything is made. LocalError if there is
    nothing to label them by, or nothing in one to be labelled."""
    from gossip.filterlists.captures import needs_labels, read_capture
    from gossip.filterlists.tally import Tally
    from gossip.labelling import chosen

    found = {path: 0 for path in files if needs_labels(path)}
    for path in found:
        chosen(path, lists, _Shelf())
        tally, why = Tally(), "it holds no request"
        for row in read_capture(path, tally=tally):
            why = row.why if isinstance(row, LocalError) else why
        if not tally.rows:
            raise LocalError(
                f"{path}: there is nothing to label", why=why, next_step="docs/captures.md says how to export a capture"
            )
        found[path] = tally.rows
    return found


def refuse_public(file: Path) -> None:
    """LocalError if a file is a capture: its labelled table may be public, and what it was made of never is."""
    from gossip.filterlists.captures import needs_labels

    if needs_labels(file):
        raise LocalError(
            f"{file} is a capture", why="it holds more than requests: headers, cookies, bodies",
            next_step="run with it once; then the table of it, in the folder labelled of this peer, can be made public",
        )  # fmt: skip


def show(card: Card) -> None:
    """What came of one capture, in lines."""
    labels = ", ".join(f"{count:,} {name}" for name, count in card.labels.items())
    by = ", ".join(visible(kept.name, 40) for kept in card.lists)
    render.wrapped(f"labelled {visible(card.capture, 60)} ({visible(card.kind, 40)}) by {by}: {labels}")
    if card.repeated:
        render.wrapped(f"  {render.many(card.repeated, 'request')} of the same page again: kept once")
    for line in beside(card):
        render.wrapped(f"  {line}")


def beside(card: Card) -> list[str]:
    """What is to be known beside the labels."""
    from collections import Counter

    from gossip.filterlists.tally import Tally, told

    tally = Tally(card.kind, card.rows, Counter(card.bad), Counter(card.left_out), notes=list(card.notes))
    return [visible(line) for line in told(tally)]


def facts(card: Card) -> dict[str, Any]:
    """The same for programs."""
    return {
        "capture": visible(card.capture), "format": visible(card.kind), "sha256": card.sha256, "labels": card.labels,
        "bad": {visible(why): count for why, count in card.bad.items()},
        "left_out": {visible(kind): count for kind, count in card.left_out.items()},
        "repeated": card.repeated, "notes": [visible(note) for note in card.notes],
        "lists": [
            {"name": visible(kept.name), "kind": kept.kind, "version": visible(kept.version), "licence": kept.licence}
            for kept in card.lists
        ],
    }  # fmt: skip


class _Shelf:
    """The user's lists, read when they are asked for: a damaged shelf is no matter where nothing needs labels."""

    def __iter__(self) -> Iterator[Any]:
        from gossip.filterlists.shelf import Shelf

        return iter(Shelf(settings.shelf_path()).entries())
