"""The rows that a peer judges by, read again with what training has no use for: their sites, and which domains are new.

    files, judgements --the same split by site as in training--> features, labels, site of each row, domain new or not

A row is of a *new* domain if it goes to a third party that none of the own rows trained on goes to. Labels are the
owner's own judgements where there are any, as in training (gossip/filterlists/judging.py). At most MAX_JUDGED_ROWS rows
are kept, every second one of what would be more. Two passes over the files, and no jax.

It refuses to know models, and what is done with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from gossip.filterlists.judging import Standing
from gossip.filterlists.requests import Request, read_requests
from gossip.filterlists.split import host_of, is_held_out, registrable, site_of
from gossip.training.blocks import Bags
from gossip.training.rows import bags_of
from gossip.training.spec import ModelSpec

MAX_OWN_ROWS: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class OwnRows:
    bags: Bags  # with labels
    sites: NDArray[np.int64]  # a number for each
    new: NDArray[np.bool_]
    trained: int  # own rows that are not among these
    requests: tuple[Request, ...] = ()  # the rows themselves


def read_own_rows(
    spec: ModelSpec, files: Sequence[Path], validation: Path | None, judged: Standing | None = None
) -> OwnRows | None:
    """The rows held out of `files`, or those of `validation`; None if there are none. LocalError at the first row that
    cannot be used."""
    share = 0.0 if validation else spec.validation_share
    known = set[str]()
    held: list[Request] = []
    every, trained, seen = 1, 0, 0
    for row, out in _rows(files, validation, share):
        if not out:
            trained += 1
            if row.party:
                known.add(_domain(row))
            continue
        if seen % every == 0:
            held.append(_relabelled(row, judged))
        seen += 1
        if len(held) > MAX_OWN_ROWS:
            held, every = held[::2], every * 2
    if not held:
        return None
    numbers: dict[str, int] = {}
    return OwnRows(
        bags_of(spec, held),
        np.array([numbers.setdefault(site_of(row.page), len(numbers)) for row in held], np.int64),
        np.array([row.party and _domain(row) not in known for row in held], np.bool_),
        trained,
        tuple(held),
    )


def _rows(files: Sequence[Path], validation: Path | None, share: float) -> Iterator[tuple[Request, bool]]:
    for path in files:
        for row in read_requests(path):
            yield row, share > 0 and is_held_out(site_of(row.page), share)
    if validation:
        for row in read_requests(validation):
            yield row, True


def _relabelled(row: Request, judged: Standing | None) -> Request:
    label = judged.label(row.url) if judged else None
    return row if label is None else msgspec.structs.replace(row, label=label)


def _domain(row: Request) -> str:
    return registrable(host_of(row.url))
