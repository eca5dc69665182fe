"""A peer's own judgements on disk: DIR/judgements.jsonl, for its owner alone.

    {"covers":"domain","do":"label","label":"tracker","note":"","page":"","target":"metrics.example","time":1767225600,
     "type":"other","url":"https://metrics.example/"}
    {"do":"undo","time":1767225660}

One line of canonical JSON each, appended and fsynced before anybody is told; nothing is ever changed or taken out: an
undo is a line, too. So the first n bytes are the same for ever, and whoever reads names n: what was committed to can be
made again, whatever was said since (gossip/node/own_data.py).

Rules kept here: every whole line is read strictly, and one that is none of ours stops the reading, with its number; a
last line without its end was torn by a crash, was never told, and goes when the next is written. Two programs append
one after the other. It refuses to know what a judgement does (filterlists/judging.py, training/dataset.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from gossip.filterlists.judging import MAX_URL_CHARS, Judgement, Said, Skip, Standing, Undo, judgement_of, standing
from ledger.canonical import encode
from ledger.errors import LocalError
from ledger.private_files import fsync_directory

MAX_LINE_BYTES: Final = 256 * 1024  # two URLs and a note, escaped
MAX_SAID: Final = 65_536  # lines: a person types fewer in a life
MAX_BYTES: Final = 64 << 20
_LINES: Final[msgspec.json.Decoder[Said]] = msgspec.json.Decoder(Said)


def judgements_path(directory: Path) -> Path:
    return directory / "judgements.jsonl"


def whole_bytes(directory: Path) -> int:
    """How many bytes of the file are whole lines: 0 where nothing was judged."""
    return len(_whole(judgements_path(directory)))


def read_standing(path: Path, size_bytes: int | None = None) -> Standing:
    """What stood when the file had so many bytes (None: now). LocalError if a line is none, or bytes are missing."""
    data = _whole(path)
    if size_bytes is not None:
        if len(data) < size_bytes:
            raise LocalError(
                f"{path} is shorter than it was", why=f"{len(data)} bytes, and data committed to name {size_bytes}",
                next_step="restore it from a backup",
            )  # fmt: skip
        data = data[:size_bytes]
    return Standing(standing(_said(path, data)))


def read_said(directory: Path) -> tuple[Said, ...]:
    """Everything that was ever said, undone or not, in order."""
    path = judgements_path(directory)
    return tuple(_said(path, _whole(path)))


def append(directory: Path, said: Said) -> None:
    """Durably, or LocalError. What a crash had torn off is removed before."""
    path, line = judgements_path(directory), encode(said) + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise LocalError("this judgement is too long to keep", why=f"{len(line)} bytes, the limit is {MAX_LINE_BYTES}")
    try:
        with _locked(path) as file:
            before = _whole(path)
            count = sum(1 for _ in _said(path, before))  # (an odd line is told before another hides behind it)
            if count >= MAX_SAID or len(before) + len(line) > MAX_BYTES:
                raise LocalError(
                    f"{path} is full", why=f"it has {count:,} lines", next_step="move it away to begin anew"
                )
            file.truncate(len(before))
            file.seek(len(before))
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        fsync_directory(path.parent)
    except OSError as error:
        raise LocalError(
            f"cannot write {path}", why=error.strerror or str(error), next_step="look at the disk"
        ) from None


def undo(directory: Path, time: int) -> Judgement | Skip | None:
    """Take back the newest that stands; None if none does, and nothing is written."""
    kept = standing(read_said(directory))
    if not kept:
        return None
    append(directory, Undo(time=time))
    return kept[-1]


def _whole(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + MAX_LINE_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise LocalError(f"cannot read {path}", why=error.strerror or "", next_step="check that it is yours") from None
    if len(data) > MAX_BYTES + MAX_LINE_BYTES:
        raise LocalError(f"{path} holds no judgements of ours", why=f"it has more than {MAX_BYTES >> 20} MiB")
    return data[: data.rfind(b"\n") + 1]


def _said(path: Path, data: bytes) -> Iterator[Said]:
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        if number > MAX_SAID:
            raise _odd(path, number, f"there are more than {MAX_SAID:,}")
        yield read_line(path, number, line)


def read_line(path: Path, number: int, line: bytes) -> Said:
    """One line. LocalError unless this program could have written it."""
    if len(line) > MAX_LINE_BYTES:
        raise _odd(path, number, f"it is longer than {MAX_LINE_BYTES >> 10} KiB")
    try:
        said = _LINES.decode(line)
        same = encode(said) == line
    except (ValueError, RecursionError, LocalError) as error:
        raise _odd(path, number, ascii(str(error).splitlines()[0] if str(error) else "")[1:-1][:120]) from None
    if not same:
        raise _odd(path, number, "it is spelt in another way than it was written")
    if not isinstance(said, Undo):
        _check(path, number, said)
    return said


def _check(path: Path, number: int, said: Judgement | Skip) -> None:
    texts = (said.url, said.page, said.target, said.note) if isinstance(said, Judgement) else (said.target,)
    if max(map(len, texts)) > MAX_URL_CHARS:
        raise _odd(path, number, "a part of it is too long")
    if not isinstance(said, Judgement):
        return
    try:
        found = judgement_of(
            said.url if said.covers == "url" else said.target, said.label, page=said.page, kind=said.type,
            note=said.note, time=said.time, owned=False,
        )  # fmt: skip
    except LocalError as error:
        raise _odd(path, number, error.why or error.what) from None
    if found != said:
        raise _odd(path, number, "its target is not what it names")


def _odd(path: Path, number: int, why: str) -> LocalError:
    return LocalError(
        f"{path}: line {number} is no judgement",
        why=why,
        next_step="correct or remove that line, or move the file away",
    )


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """The file, made if it is not there (0600), held against a second writer."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        try:
            import fcntl
        except ImportError:  # Windows: one writer at a time is its owner's care
            yield file
            return
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield file
