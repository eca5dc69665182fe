"""A model that scores by itself: "gossip-scorer/1", the m.gossip that `gossip train` writes.

    {"calibration":{"block":{..},..},"format":"gossip-scorer/1","layout":[{"bound":0,"name":"0.table","shape":[16384,3]}],
     "model":"{...}","trained":{"generator":"gossip/0.1.0","held_out":812,"labels":{"ad":301,"benign":2216,"tracker":640},
     "lists":[..],"rounds":60,"seed":0,"sources":[{"licence":"","name":"mon.har","sha256":"5d..",..}],"suffixes":"2025-.."}}
    ^ one line of JSON, keys sorted, no spaces; a newline; then the parameters: float32, little-endian, in storage order

All that scoring needs is in it: `model` is the declaration, `layout` its tensors, so that a reader of another language
need not work them out, `calibration` what was measured on rows that were held out. `trained` says of what it was made,
in names, digests, counts and licences: no row and no path is in it. `suffixes` is the version of the public-suffix list
that domains went by: another one makes other features.

Rules kept here: the header is bounded before it is read, and decoded before anything is read after it; one spelling;
weights are finite. It is written whole or not at all, and over nothing but its like. It refuses to know how a model is
trained and what scores mean. A model that left a swarm has a format of its own (ledger/export.py).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from gossip.training.calibration import Calibration
from gossip.training.spec import ModelSpec
from ledger.entry import Source, Tensor
from ledger.errors import LocalError

FORMAT: Final = "gossip-scorer/1"
MAX_HEADER_BYTES: Final = 1 << 20  # a thousand sources at 300 bytes, a declaration of 16 KiB, and room
_MARK: Final = b'"format":"gossip-scorer/'
_FLOAT_BYTES: Final = 4
_Count = Annotated[int, Meta(ge=0, lt=1 << 53)]


class Trained(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of what a model was made."""

    sources: list[Source]  # the data
    lists: list[Source]  # that labelled them
    labels: dict[str, _Count]  # of the rows trained on
    held_out: _Count  # rows that it was judged and calibrated by
    rounds: _Count
    seed: _Count
    generator: str
    suffixes: str  # "" where rows have no hosts


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: str
    model: str
    layout: list[Tensor]
    calibration: Calibration
    trained: Trained


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What is in one. Made by `read_model_file`, or by whoever trained."""

    spec: ModelSpec
    theta: NDArray[np.float32]
    calibration: Calibration
    trained: Trained


_HEADERS: Final = msgspec.json.Decoder(Header)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def header_bytes(model: ModelFile) -> bytes:
    """The first line, with its newline."""
    header = Header(
        format=FORMAT, model=model.spec.text, layout=model.spec.layout(), calibration=model.calibration,
        trained=model.trained,
    )  # fmt: skip
    return _ENCODER.encode(header) + b"\n"


def write_model_file(path: Path, model: ModelFile) -> None:
    """Write one. LocalError if it cannot be written, or if what is there is none."""
    check_target(path)
    if model.theta.shape != (model.spec.parameters,) or not np.isfinite(model.theta).all():
        raise LocalError("these weights are no model", why=f"of {model.theta.size:,}, or not all are finite")
    line = header_bytes(model)
    if len(line) > MAX_HEADER_BYTES:
        raise LocalError("this model names too many files", why=f"its header would have {len(line):,} bytes")
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as file:
            file.write(line)
            file.write(np.ascontiguousarray(model.theta, "<f4").tobytes())
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise _unwritable(path, error.strerror or str(error)) from None


def check_target(path: Path) -> None:
    """LocalError if a model cannot be written there: what is there already is no such model, or there is no folder."""
    try:
        if not path.parent.is_dir():
            raise _unwritable(path, f"there is no folder {path.parent}")
        if path.is_dir():
            raise _unwritable(path, "it is a folder")
        if path.exists() and not is_model_file(path):
            raise _unwritable(path, "there is something else, which would be lost")
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from None


def is_model_file(path: Path) -> bool:
    """Whether a file begins as one of this format, of whatever version. LocalError if it cannot be read."""
    return _MARK in first_line(path)


def first_line(path: Path) -> bytes:
    """At most MAX_HEADER_BYTES of it. LocalError if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return file.readline(MAX_HEADER_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None


def read_model_file(path: Path) -> ModelFile:
    """What `write_model_file` wrote. LocalError, which says what is wrong, on anything else."""
    try:
        with path.open("rb") as file:
            header = _header(path, file.readline(MAX_HEADER_BYTES + 1))
            spec = ModelSpec.parse(header.model)
            if spec.layout() != header.layout or spec.text != header.model:
                raise _malformed(path, "its layout is not that of its declaration")
            if unknown := sorted(set(header.trained.labels) - set(spec.classes)):
                raise _malformed(path, f"it was trained on a class that it does not have ({ascii(unknown[0])[:40]})")
            expected = _FLOAT_BYTES * spec.parameters  # bounded by the declaration's own limit
            values = file.read(expected + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(values) != expected:
        raise _malformed(path, f"{expected:,} bytes of parameters should follow its first line")
    theta = np.frombuffer(values, "<f4").astype(np.float32)
    if not np.isfinite(theta).all():
        raise _malformed(path, "a parameter is no number")
    return ModelFile(spec, theta, header.calibration, header.trained)


def _header(path: Path, line: bytes) -> Header:
    if not line.endswith(b"\n"):
        raise _malformed(path, f"its first line does not end within {MAX_HEADER_BYTES >> 20} MiB")
    try:
        said = msgspec.json.decode(line, type=_Format).format
        if said != FORMAT:
            raise _malformed(path, f"its format is {ascii(said)[1:41]}, this program reads {FORMAT}")
        header = _HEADERS.decode(line)
        spelled = _ENCODER.encode(header)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, ascii(str(error).partition("\n")[0])[1:121]) from None
    if spelled != line[:-1]:
        raise _malformed(path, "its first line is not spelled as this program spells it")
    return header


class _Format(msgspec.Struct):
    format: str


def _malformed(path: Path, why: str) -> LocalError:
    return LocalError(
        f"{path}: this is no model to score with", why=why,
        next_step="name one made by gossip train, or by gossip model export",
    )  # fmt: skip


def _unreadable(path: Path, error: OSError) -> LocalError:
    return LocalError(f"cannot read the model {path}", why=error.strerror or str(error), next_step="check the path")


def _unwritable(path: Path, why: str) -> LocalError:
    return LocalError(f"cannot write {path}", why=why, next_step="name another file with --out")
