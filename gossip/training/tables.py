"""Tables of numbers with a label column: .csv (with a header line) and .npz (arrays `x` and `y`), streamed.

    sepal,petal,label          np.savez("iris.npz", x=float array (rows, columns), y=labels (rows,))
    5.1,1.4,setosa

The label column is the one the model declares; all others are inputs, in their order. Of an .npz the arrays
are read piece by piece out of the archive, and one that needs pickle is refused.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, BinaryIO, Final, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gossip.filterlists.requests import UTF16, is_utf16
from gossip.training.spec import ModelSpec, Numbers
from ledger.errors import LocalError

ROWS_AT_ONCE: Final = 4_096
LARGEST: Final = 1e30  # beyond it the squares that training adds up are infinite
MAX_LABEL_BYTES: Final = 1_024  # of one stored label; an array of longer strings is a mistake


# What the libraries raise on a damaged archive: RuntimeError where it is locked, or packed in other ways; those of the
# last line where the header of an array is no Python literal.
_ODD_ARCHIVE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, OverflowError, RuntimeError,
    ValueError, TypeError, SyntaxError, MemoryError, TokenError,
)  # fmt: skip

Fault = Callable[[LocalError], None] | None


@dataclass(frozen=True, slots=True)
class TableRows:
    """Some rows in file order, not scaled yet."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.uint8]


def read_table(
    path: Path, spec: ModelSpec, at: Callable[[int], None] = lambda at: None, *, fault: Fault = None
) -> Iterator[TableRows]:
    """All rows of one file. Raises LocalError naming the file, the row and what to do; with `fault`, that is told what
    is wrong with single rows, which are left out, and the reading goes on.

    Now and then `at` hears how many bytes of the file lie behind.
    """
    assert isinstance(spec.features, Numbers)
    if path.suffix.lower() not in (".csv", ".npz"):
        raise LocalError(f"{path}: this kind of file is not known", next_step="give numbers as .csv or .npz")
    try:
        if path.suffix.lower() == ".csv":
            yield from _csv(path, spec, spec.features, at, fault)
        else:
            yield from _npz(path, spec, spec.features, at, fault)
    except OSError as error:
        raise LocalError(
            f"{path}: cannot be read", why=error.strerror or str(error), next_step="check the path after --data"
        ) from error


# ------------------------------------------------------------------ csv


def _csv(path: Path, spec: ModelSpec, wanted: Numbers, at: Callable[[int], None], fault: Fault) -> Iterator[TableRows]:
    with path.open("rb") as begin:
        if begin.read(2) in UTF16:
            raise is_utf16(path)
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:  # reads a byte order mark away
        lines = csv.reader(file)
        try:
            for rows in _csv_rows(path, spec, wanted, lines, fault):
                at(cast(BinaryIO, file.buffer).tell())
                yield rows
        except csv.Error as error:
            raise _bad(path, lines.line_num, str(error)) from error


def _csv_rows(path: Path, spec: ModelSpec, wanted: Numbers, lines: Any, fault: Fault) -> Iterator[TableRows]:
    header = [name.strip() for name in next(lines, [])]
    if wanted.label not in header:
        raise LocalError(
            f"{path}: no column is called {wanted.label!r}", why=f"the header line has {', '.join(header[:12])}",
            next_step="rename the label column, or set features.label in the model",
        )  # fmt: skip
    if len(header) - 1 != wanted.columns:
        raise LocalError(
            f"{path}: {len(header) - 1} columns of numbers, the model takes {wanted.columns}",
            next_step="set features.columns in the model, or drop columns",
        )
    at, numbers = header.index(wanted.label), _numbers_of(spec)
    inputs: list[list[float]] = []
    labels: list[int] = []
    for row in lines:
        if not row:
            continue
        try:
            if len(row) != len(header):
                raise _bad(path, lines.line_num, f"it has {len(row)} fields, the header {len(header)}")
            label = _label(path, lines.line_num, row.pop(at).strip(), numbers)
            inputs.append([_number(path, lines.line_num, text, wanted, at) for text in row])
            labels.append(label)
        except LocalError as error:
            _tell(fault, error)
        if len(inputs) == ROWS_AT_ONCE:
            yield TableRows(np.array(inputs, np.float32), np.array(labels, np.uint8))
            inputs, labels = [], []
    if inputs:
        yield TableRows(np.array(inputs, np.float32), np.array(labels, np.uint8))


def _number(path: Path, line: int, text: str, wanted: Numbers, at: int) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _bad(path, line, f"{text[:40]!r} is no number") from None
    if not abs(value) < LARGEST:  # also catches nan: it would spread through the whole model
        raise _bad(path, line, f"{text[:40]!r} is no finite number")
    return value


# ------------------------------------------------------------------ npz


def _npz(path: Path, spec: ModelSpec, wanted: Numbers, at: Callable[[int], None], fault: Fault) -> Iterator[TableRows]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("x.npy") as x, archive.open("y.npy") as y:
            size = path.stat().st_size
            for rows, share in _npz_rows(path, spec, wanted, x, y, fault):
                at(int(share * size))
                yield rows
    except KeyError as error:
        raise _archive(path, "it has no arrays `x` and `y`") from error
    except _ODD_ARCHIVE as error:
        raise _archive(path, str(error)) from error


def _npz_rows(
    path: Path, spec: ModelSpec, wanted: Numbers, x: IO[bytes], y: IO[bytes], fault: Fault
) -> Iterator[tuple[TableRows, float]]:
    shape, kind = _header(path, x)
    label_shape, label_kind = _header(path, y)
    if len(shape) != 2 or shape[1] != wanted.columns or label_shape != shape[:1]:
        raise _archive(path, f"x is {shape} and y {label_shape}; the model takes (rows, {wanted.columns}) and (rows,)")
    if kind.kind not in "fiub" or label_kind.kind not in "iubUS" or label_kind.itemsize > MAX_LABEL_BYTES:
        raise _archive(path, f"x holds {kind} and y {label_kind}; give numbers, and numbers or text")
    numbers = _numbers_of(spec)
    for begin in range(0, shape[0], ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, shape[0] - begin)
        inputs = _piece(x, kind, count * shape[1]).reshape(count, shape[1]).astype(np.float32)
        names = [
            name.decode() if isinstance(name, bytes) else str(name) for name in _piece(y, label_kind, count).tolist()
        ]
        kept: list[int] = []
        labels: list[int] = []
        broken = set(np.flatnonzero(~(np.abs(inputs) < LARGEST).all(1)).tolist())
        for i, name in enumerate(names):
            try:
                if i in broken:
                    raise _bad(path, begin + i, "it holds a number that is not finite, or beyond 1e30")
                labels.append(_label(path, begin + i, name, numbers))
                kept.append(i)
            except LocalError as error:
                _tell(fault, error)
        sound = inputs if len(kept) == count else inputs[kept]
        yield TableRows(sound, np.array(labels, np.uint8)), (begin + count) / shape[0]


def _header(path: Path, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, column_major, kind = read(file)
    if column_major and len(shape) > 1:
        raise _archive(path, "an array is stored column by column; save np.ascontiguousarray(x)")
    return shape, kind


def _piece(file: IO[bytes], kind: np.dtype[Any], count: int) -> NDArray[Any]:
    data = file.read(count * kind.itemsize)
    if len(data) != count * kind.itemsize:
        raise EOFError("the archive ends too early")
    return np.frombuffer(data, kind)


# ------------------------------------------------------------------ both


def _tell(fault: Fault, error: LocalError) -> None:
    if fault is None:
        raise error
    fault(error)


def _numbers_of(spec: ModelSpec) -> dict[str, int]:
    return {name: number for number, name in enumerate(spec.classes)}


def _label(path: Path, row: int, name: str, numbers: dict[str, int]) -> int:
    if name not in numbers:
        raise _bad(path, row, f"its label {name[:40]!r} is none of the model's classes ({', '.join(numbers)[:80]})")
    return numbers[name]


def _bad(path: Path, row: int, why: str) -> LocalError:
    return LocalError(
        f"{path}: row {row} cannot be used", why=why, next_step="correct or remove that row, then start again"
    )


def _archive(path: Path, why: str) -> LocalError:
    return LocalError(f"{path}: cannot be used", why=why, next_step="save it with numpy.savez(path, x=..., y=...)")
