"""What a peer trains on: a `Task` turns somebody's data into rows, a few thousand at a time.

    Task          for your own data: give `train()` and, if you like, `validation()` as arrays
    FileTask      the same as files that are there already, for simulations
    chunks_of     files, as the model's features ask: labelled requests (.jsonl, plain or gzip;
                  gossip/filterlists/requests.py) or numbers with a label column (.csv, .npz; tables.py)
    records_of    of the same files the records alone, as they were committed to

Files are streamed, so that memory stays bounded however long they are; errors name the file, the row and what
to do. Which rows a peer keeps for judging its own model depends on the row's
site or number alone, never on luck: the same file always splits the same way.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossip.filterlists.judging import Standing
from gossip.filterlists.requests import Request, read_requests
from gossip.filterlists.split import is_held_out, site_of
from gossip.training.blocks import Bags, Block, Numbers
from gossip.training.rows import bags_of
from gossip.training.spec import ModelSpec, UrlGrams
from gossip.training.tables import TableRows, read_table
from ledger.errors import LocalError

ROWS_AT_ONCE: Final = 4_096


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of a task: `inputs` of shape (rows, columns), and for each row the name of its class."""

    inputs: ArrayLike
    labels: Sequence[Any] | NDArray[Any]


class Task(ABC):
    """Your own data, for `NodeConfig(task=...)` and `simulate(...)`.

    The model declaration needs features of kind "numbers/1" with as many columns as `inputs` has, and
    classes named as the labels are (numbers become text: 3 is "3"). Both methods are called once.
    """

    @abstractmethod
    def train(self) -> Examples:
        """What this peer learns from. It never leaves the machine."""

    def validation(self) -> Examples | None:
        """What the model is judged by. None: a share of `train()` is held out, as the model declares."""
        return None

    def save(self, folder: Path) -> tuple[Path, Path | None]:
        """Write both as .npz files for the training process. Returns their paths."""
        paths: list[Path] = []
        for name, examples in (("train", self.train()), ("validation", self.validation())):
            if examples is None:
                return paths[0], None
            inputs = np.asarray(examples.inputs, np.float32)
            labels = np.asarray([str(label) for label in examples.labels], np.str_)
            if inputs.ndim != 2 or len(inputs) != len(labels):
                raise LocalError(
                    f"{type(self).__name__}.{name}() gave inputs of shape {inputs.shape} for {len(labels)} labels",
                    next_step="give inputs as (rows, columns) and one label for each row",
                )
            path = Path(tempfile.mkstemp(suffix=".npz", prefix=f"{name}-", dir=folder)[1])
            np.savez(path, x=inputs, y=labels)
            paths.append(path)
        return paths[0], paths[1]


@dataclass(frozen=True, slots=True)
class FileTask:
    """Files as they lie on disk, in place of a Task: labelled requests, or tables."""

    files: tuple[Path, ...]
    held_out: Path | None = None
    """What the model is judged by. None: a share of `files` is held out, as the model declares."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Up to ROWS_AT_ONCE rows that all belong to training, or all to judging."""

    held_out: bool
    block: Block
    records: tuple[tuple[bytes, bytes], ...]  # (key, value) of each row, for the data commitment
    groups: tuple[str, ...]  # of each row; "" in most
    judged: tuple[int, ...] = ()  # of each row the judgement that gave it its label, -1: none; (): nothing is judged


def chunks_of(
    spec: ModelSpec, paths: Iterable[Path], *, held_out_share: float, at: Callable[[int], None] = lambda at: None,
    judged: Standing | None = None,
) -> Iterator[Chunk]:  # fmt: skip
    """All rows of the files, in order, with `held_out_share` of them (of sites, for requests) marked as held out.
    Requests have the labels that their owner has `judged` them to have, whatever the files say.

    Now and then `at` hears how many bytes of the file that is being read lie behind.
    """
    for path in paths:
        if isinstance(spec.features, UrlGrams):
            yield from _requests(spec, path, held_out_share, at, judged)
        else:
            yield from _table(spec, path, held_out_share, at)


def records_of(
    spec: ModelSpec, paths: Iterable[Path], *, held_out_share: float, judged: Standing | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of every row that is not held out: those of `chunks_of`, in the same order."""
    for path in paths:
        if isinstance(spec.features, UrlGrams):
            for row in read_requests(path):
                if not _is_out(row, held_out_share):
                    yield row.key, _relabelled(row, judged)[0].value
        else:
            for chunk in _table(spec, path, held_out_share, lambda at: None):
                if not chunk.held_out:
                    yield from chunk.records


def _is_out(row: Request, share: float) -> bool:
    return share > 0 and is_held_out(site_of(row.page), share)


def _relabelled(row: Request, judged: Standing | None) -> tuple[Request, int]:
    """The row as its owner has judged it, and by which judgement; -1: none."""
    at = judged.find(row.url) if judged else None
    if judged is None or at is None:
        return row, -1
    label = judged.judgements[at].label
    return (row if label == row.label else msgspec.structs.replace(row, label=label)), at


def _requests(
    spec: ModelSpec, path: Path, share: float, at: Callable[[int], None], judged: Standing | None
) -> Iterator[Chunk]:
    assert isinstance(spec.features, UrlGrams)
    rows = read_requests(path, at)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        found = [_relabelled(row, judged) for row in batch]
        kept = [_is_out(row, share) for row in batch]
        for held_out in (False, True):
            chosen = [row for (row, _), out in zip(found, kept, strict=True) if out == held_out]
            if chosen:
                yield Chunk(
                    held_out,
                    _bags(spec, path, chosen),
                    tuple((row.key, row.value) for row in chosen),
                    tuple(row.group for row in chosen),
                    tuple(at for (_, at), out in zip(found, kept, strict=True) if out == held_out) if judged else (),
                )


def chunk_of(spec: ModelSpec, rows: Sequence[Request], judged: Sequence[int]) -> Chunk:
    """Requests of no file, to train on: those that stand for their owner's judgements."""
    assert isinstance(spec.features, UrlGrams)
    return Chunk(
        False, _bags(spec, Path("judgements.jsonl"), rows),
        tuple((row.key, row.value) for row in rows), ("",) * len(rows), tuple(judged),
    )  # fmt: skip


def _bags(spec: ModelSpec, path: Path, rows: Sequence[Request]) -> Bags:
    try:
        return bags_of(spec, rows)
    except LocalError as error:
        raise LocalError(f"{path}: {error.what}", why=error.why, next_step=error.next_step) from None


def _table(spec: ModelSpec, path: Path, share: float, at: Callable[[int], None]) -> Iterator[Chunk]:
    begin = 0
    for rows in read_table(path, spec, at):
        out = np.array([share > 0 and is_held_out(str(begin + i), share) for i in range(len(rows.labels))], np.bool_)
        begin += len(rows.labels)
        for held_out in (False, True):
            chosen = np.flatnonzero(out == held_out)
            if len(chosen):
                yield _numbers(spec, rows, chosen, held_out)


def _numbers(spec: ModelSpec, rows: TableRows, chosen: NDArray[np.intp], held_out: bool) -> Chunk:
    assert not isinstance(spec.features, UrlGrams)
    raw, labels = rows.inputs[chosen], rows.labels[chosen]
    scaled = ((raw - np.float32(spec.features.shift)) * np.float32(spec.features.scale)).astype(np.float32)
    keys = [row.astype("<f4").tobytes() for row in raw]
    records = tuple((key, spec.classes[label].encode()) for key, label in zip(keys, labels, strict=True))
    return Chunk(held_out, Numbers(scaled, labels), records, ("",) * len(chosen))
