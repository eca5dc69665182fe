"""Captures become labelled tables, by filter lists: what a peer with its own browsing and its own lists trains on.

    mon.har, easylist.txt --engine--> DIR/labelled/5d1c...jsonl        what trains, is committed to and opened
                                      DIR/labelled/5d1c...json         what it was made of, and what was left out

A table is named by the SHA-256 of its capture and its lists, so it is made once, and made anew when one of them has
changed. It is streamed, readable by its owner alone, and stands in its place whole or not at all. A row that says what
it is keeps that; all others are what the engine says of them with these lists. Of equal requests of one page the first
is kept: exactly, among the MAX_REMEMBERED different ones before it. A request that names no page counts as made by a
page of its own host.

"benign" here means that none of these lists blocks it, and no more (docs/captures.md).

Only URL, page, type, label and party are in a table. Nothing here is ever removed: tables that are no longer used may
be deleted while no node runs. This file refuses to know engines, formats of captures and training.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from gossip.filterlists.captures import needs_labels, read_capture
from gossip.filterlists.engine import Engine, Lists, is_installed
from gossip.filterlists.headers import source_of_data
from gossip.filterlists.requests import MAX_ROW_BYTES, Request, file_digest
from gossip.filterlists.shelf import Kept, look_at, texts
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.split import host_of
from gossip.filterlists.tally import Tally
from ledger.entry import Hash, Source
from ledger.errors import LocalError
from ledger.private_files import fsync_directory

FOLDER: Final = "labelled"
FORMAT: Final = "gossip-labelled/1"
MAX_CARD_BYTES: Final = 1 << 20
MAX_REMEMBERED: Final = 1 << 20  # requests that are told apart, 64 bytes in memory each; then it begins anew
NAME_DIGITS: Final = 32  # of a SHA-256: 128 bits
PAGELESS: Final = (
    "it is labelled as one that a page of its own host made: rules with $third-party or domain= do not see it as they "
    "would"
)
FIX: Final = "name lists with --list FILE..., or have them remembered: gossip lists add FILE..."


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What lies beside a table: what it was made of, and what came of it."""

    format: str
    capture: str  # name of the file
    sha256: Hash  # of the capture
    day: str  # on which it was last changed
    lists: tuple[Kept, ...]
    kind: str  # of capture: Tally.format
    labels: dict[str, int]
    bad: dict[str, int]  # rows that could not be used, by reason
    left_out: dict[str, int]
    repeated: int
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(self.labels.values())


@dataclass(frozen=True, slots=True)
class Labelled:
    """A table, where it lies."""

    table: Path
    card: Card
    made: bool  # now; else it was there already


@dataclass(slots=True)
class Ready:
    """Files to train on: those that were given, with a table in place of each capture."""

    files: list[Path] = field(default_factory=list)
    lists: tuple[Kept, ...] = ()  # that labelled; none if nothing had to be
    labelled: list[Labelled] = field(default_factory=list)


def prepared(
    files: Sequence[Path],
    lists: Sequence[Path],
    folder: Path,
    *,
    shelf: Iterable[Kept] = (),
    told: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Ready:
    """Label what needs it, by `lists` or, if none are named, by those of the `shelf`. LocalError if there are none, if
    one cannot be used, or if a capture holds no request; nothing is left behind then but tables that are whole."""
    captures = [path for path in files if needs_labels(path)]
    if not captures:
        return Ready(files=list(files))
    kept = chosen(captures[0], lists, shelf)
    read, missing = texts(kept)
    if missing:
        raise missing[0]
    engine = Lists(read)
    made = {}
    for path in captures:
        size = path.stat().st_size
        made[path] = _labelled(path, kept, engine, folder, _at(told, size, f"bytes of {path.name} labelled"))
    return Ready([made[path].table if path in made else path for path in files], kept, list(made.values()))


def chosen(capture: Path, lists: Sequence[Path], shelf: Iterable[Kept]) -> tuple[Kept, ...]:
    """The lists that label: those named, each of the kind that the shelf has for it or its title says; else the shelf.
    LocalError if there are none, or nothing to ask them with."""
    remembered = {kept.path: kept for kept in shelf}
    if not lists and not remembered:
        raise LocalError(
            f"{capture}: its requests have no labels", why="and no list is named to label them", next_step=FIX
        )
    if not is_installed():
        raise LocalError(
            f"{capture}: its requests cannot be labelled here", why="the package adblock is not installed",
            next_step="install the extra named lists: pip install adblock",
        )  # fmt: skip
    paths = list(dict.fromkeys(path.resolve() for path in lists)) or list(remembered)
    known = {path: remembered[path] for path in paths if path in remembered}
    return tuple(
        look_at(path, known[path].kind, known[path].name) if path in known else look_at(path) for path in paths
    )


def source_of_table(path: Path, licence: str, digest: Hash = "") -> Source:
    """A data file as a data entry names it: a table that was labelled here is named as its capture."""
    card = card_of(path)
    if card is None:
        return source_of_data(path, licence, digest)
    return Source(
        name=card.capture, sha256=card.sha256, licence=licence, url="", retrieved=card.day, version=card.day
    )  # fmt: skip


def name_of(path: Path) -> str:
    """What its owner calls a data file: a table that was labelled here goes by the name of its capture."""
    card = card_of(path)
    return path.name if card is None else card.capture


def card_of(table: Path) -> Card | None:
    """What lies beside a table that was labelled here; None for all other files. LocalError if it is damaged."""
    path = table.with_suffix(".json")
    if table.parent.name != FOLDER or table.suffix != ".jsonl" or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return read_card(file.read(MAX_CARD_BYTES + 1))
    except (OSError, ValueError, RecursionError) as error:
        raise LocalError(
            f"{path} is damaged", why=str(error), next_step="remove it and the table beside it; both are made anew"
        ) from error


def read_card(data: bytes) -> Card:
    """ValueError if it is none."""
    if len(data) > MAX_CARD_BYTES:
        raise ValueError("it is too long")
    card = msgspec.json.decode(data, type=Card, dec_hook=_path)
    if card.format != FORMAT:
        raise ValueError("its format is not ours")
    return card


def _path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str) and "\0" not in value:
        return Path(value)
    raise ValueError("it has a path that is none")


def _at(told: Callable[[int, int, str], None], size: int, what: str) -> Callable[[int], None]:
    return lambda done: told(done, size, what)


# ------------------------------------------------------------------ one capture


def _labelled(path: Path, lists: tuple[Kept, ...], engine: Engine, folder: Path, at: Callable[[int], None]) -> Labelled:
    try:
        before, digest = _stamp(path), file_digest(path)
    except OSError as error:
        raise LocalError(f"{path}: cannot be read", why=error.strerror or "", next_step="check the path") from error
    table = folder / f"{_name(digest, lists)}.jsonl"
    if table.is_file() and (card := card_of(table)) is not None:
        return Labelled(table, card, made=False)
    card = _Making(path, engine, at).write(folder, table, Card(
        format=FORMAT, capture=path.name, sha256=digest, day=_day(path), lists=lists, kind="", labels={}, bad={},
        left_out={}, repeated=0, notes=(),
    ), before)  # fmt: skip
    return Labelled(table, card, made=True)


class _Making:
    """One table, being made."""

    def __init__(self, path: Path, engine: Engine, at: Callable[[int], None]) -> None:
        self._path, self._engine, self._at = path, engine, at
        self._tally, self._counts, self._repeats = Tally(), Counter[str](), _Repeats()
        self._heard = 0  # of the tally's bad rows

    def write(self, folder: Path, table: Path, begun: Card, stamp: tuple[int, int]) -> Card:
        """The card and the table, whole or not at all: where the table is, all is."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as name:  # 0700, and what is in it 0600
                rows, beside = Path(name, "table"), Path(name, "card")
                _write(rows, self._lines())
                if not self._counts:
                    raise LocalError(
                        f"{self._path}: there is nothing to label",
                        why=next(iter((*self._tally.notes, *self._tally.bad)), "it holds no request"),
                        next_step="docs/captures.md says how to export a capture",
                    )
                if _stamp(self._path) != stamp:
                    raise LocalError(
                        f"{self._path} was changed while it was read", next_step="start again when it is whole"
                    )
                card = self._card(begun)
                _write(beside, [msgspec.json.encode(card, enc_hook=str) + b"\n"])
                beside.replace(table.with_suffix(".json"))
                rows.replace(table)
                fsync_directory(folder)
        except OSError as error:
            raise LocalError(
                f"{folder}: the labelled requests cannot be written", why=error.strerror or str(error),
                next_step="check folder and disk",
            ) from error  # fmt: skip
        return card

    def _card(self, begun: Card) -> Card:
        tally = self._tally
        return msgspec.structs.replace(
            begun, kind=tally.format, labels=dict(sorted(self._counts.items())), bad=dict(tally.bad),
            left_out=dict(tally.left_out), repeated=self._repeats.count,
            notes=(*tally.notes, *([PAGELESS] if tally.pageless else [])),
        )  # fmt: skip

    def _lines(self) -> Iterator[bytes]:
        for row in read_capture(self._path, self._at, self._tally):
            if isinstance(row, LocalError):
                self._hear(row)
                continue
            made = self._row(row)
            if not self._repeats.is_new(made):
                continue
            line = _LINES.encode(made) + b"\n"
            if len(line) > MAX_ROW_BYTES:
                self._tally.fault(self._path, "a row", f"with its page it is longer than {MAX_ROW_BYTES // 1024} KiB")
            else:
                self._counts[made.label] += 1
                yield line

    def _row(self, seen: Sighting) -> _Row:
        page = seen.page or own_page(seen.url)
        label = seen.label or self._engine.label(page, seen.url, seen.type)
        whole = Request(page=page, url=seen.url, type=seen.type, label=label, third_party=seen.third_party)
        return _Row(page, seen.url, seen.type, label, whole.party)

    def _hear(self, error: LocalError) -> None:
        """A row is counted by whoever read it. That the file ends too early is known here alone."""
        counted = sum(self._tally.bad.values())
        if counted == self._heard:
            self._tally.notes.append(f"{error.what.removeprefix(f'{self._path}: ')}: {error.why}")
        self._heard = counted


_LINES: Final = msgspec.json.Encoder()


class _Row(msgspec.Struct, frozen=True):
    """One line of a table: a Request without what nobody said."""

    page: str
    url: str
    type: str
    label: str
    third_party: bool


def own_page(url: str) -> str:
    """The page that a request without one counts as made by: the root of its own host."""
    host = host_of(url)
    return f"https://{f'[{host}]' if ':' in host else host}/"


class _Repeats:
    """Which requests have come before: 64 bits of each, up to MAX_REMEMBERED."""

    def __init__(self) -> None:
        self.count = 0
        self._seen: set[int] = set()

    def is_new(self, row: _Row) -> bool:
        key = "\0".join((row.page, row.url, row.type)).encode()
        code = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
        if code in self._seen:
            self.count += 1
            return False
        if len(self._seen) >= MAX_REMEMBERED:
            self._seen.clear()
        self._seen.add(code)
        return True


def _name(digest: Hash, lists: Iterable[Kept]) -> str:
    words = [FORMAT, digest, *sorted(f"{kept.kind} {kept.sha256}" for kept in lists)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:NAME_DIGITS]


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=1 << 16) as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _day(path: Path) -> str:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
    except (OverflowError, ValueError):
        return ""
