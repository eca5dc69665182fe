"""Rows that another peer lends, written as a file that training reads like an owner's own.

    (page NUL url NUL type, ["ad",true])  --> DIR/borrowed/5d1c....jsonl      requests
    (float32 ..., "setosa")               --> DIR/borrowed/5d1c....npz        numbers

A proof says that a record is in its lender's data set, not that it is a record at all. One that no file of ours could
have led to is left out here: training stops at a row that it cannot read, and a stranger's must not do that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from gossip.filterlists.requests import MAX_ROW_BYTES, parse_record
from gossip.training.spec import ModelSpec, UrlGrams
from gossip.training.tables import LARGEST

Record = tuple[bytes, bytes]  # key, value
_ROWS: Final = msgspec.json.Encoder()


def write_rows(spec: ModelSpec, folder: Path, name: str, records: Iterable[Record]) -> tuple[Path, int]:
    """The file, and how many rows it has. OSError if the disk does not take it."""
    if isinstance(spec.features, UrlGrams):
        path, lines = folder / f"{name}.jsonl", list(_lines(spec, records))
        path.write_bytes(b"".join(lines))
        return path, len(lines)
    path = folder / f"{name}.npz"
    rows = list(_numbers(spec.features.columns, spec.classes, records))
    inputs = np.frombuffer(b"".join(key for key, _ in rows), "<f4").reshape(-1, spec.features.columns)
    with path.open("wb") as file:
        np.savez(file, x=inputs.astype(np.float32), y=np.array([label for _, label in rows], np.str_))
    return path, len(rows)


def _lines(spec: ModelSpec, records: Iterable[Record]) -> Iterator[bytes]:
    for key, value in records:
        request = parse_record(key, value)
        if request is None or request.label not in spec.classes:
            continue
        line = _ROWS.encode(request) + b"\n"
        if len(line) <= MAX_ROW_BYTES:
            yield line


def _numbers(columns: int, classes: Iterable[str], records: Iterable[Record]) -> Iterator[tuple[bytes, str]]:
    known = {name.encode(): name for name in classes}
    for key, value in records:
        if len(key) == 4 * columns and value in known and (np.abs(np.frombuffer(key, "<f4")) < LARGEST).all():
            yield key, known[value]
