"""The user's own copies of filter lists, remembered: a shelf.

    lists.json  {"format":"gossip/shelf/1","lists":[{"name":"EasyList","path":"/home/ann/easylist.txt","kind":"ad",
                 "version":"202608130520","licence":"GPL-3.0-or-later OR CC-BY-SA-3.0+","date":"2026-08-13",
                 "sha256":"..."}]}

Why paths and no copies: lists have licences of their own and change daily, and their owner fetches them anyway. A file
that has changed since is used as it is now, with what it says of itself now; one that has gone is named, and left out.

Rules kept here: the file is written whole or not at all, and read strictly: what is no shelf is an error, and never
begun anew over somebody's list of lists. This file refuses to know rules and engines.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from gossip.filterlists.engine import MAX_LIST_BYTES, ListText, text_of
from gossip.filterlists.headers import read_header
from gossip.filterlists.requests import UTF16, file_digest
from ledger.errors import LocalError

FORMAT: Final = "gossip/shelf/1"
MAX_SHELF_BYTES: Final = 1 << 20
MAX_LISTS: Final = 200  # all lists that uBlock offers are 70
MAX_NAME_CHARS: Final = 60  # shown in tables

Kind = Literal["ad", "tracker"]
_TRACKER_WORDS: Final = ("privacy", "track", "telemetry", "analytics", "annoyances-others", "spy")


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One list. All but `name`, `path` and `kind` is what its header says, and may be ""."""

    name: str
    path: Path
    kind: Kind
    version: str
    licence: str
    date: str  # ISO
    sha256: str


class _Shelf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["gossip/shelf/1"]
    lists: tuple[Kept, ...]


class Shelf:
    """The lists that one file remembers. `path` need not exist: then there are none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> tuple[Kept, ...]:
        """As they were when they were added. LocalError if the file is no shelf."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_SHELF_BYTES + 1)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise LocalError(
                f"{self._path}: cannot be read", why=error.strerror or "", next_step="check the path"
            ) from error
        return read_shelf(data, self._path)

    def add(self, path: Path, kind: Kind | None = None, name: str = "") -> Kept:
        """Remember a list. One of the same file, or of the same name, is replaced. LocalError if it is no list."""
        kept = look_at(path, kind, name)
        others = [each for each in self.entries() if each.path != kept.path and each.name != kept.name]
        if len(others) >= MAX_LISTS:
            raise LocalError(f"{path}: not added", why=f"{MAX_LISTS} lists are remembered already",
                             next_step="take one out with: gossip lists remove NAME")  # fmt: skip
        self._write((*others, kept))
        return kept

    def remove(self, name: str) -> Kept:
        """Forget a list; its file stays. LocalError if none has this name."""
        entries = self.entries()
        found = [each for each in entries if each.name == name or str(each.path) == name]
        if not found:
            there = ", ".join(each.name for each in entries) or "none"
            raise LocalError(f"no list called {name[:MAX_NAME_CHARS]!r} is remembered", why=f"there are: {there}",
                             next_step="see them with: gossip lists show")  # fmt: skip
        self._write([each for each in entries if each != found[0]])
        return found[0]

    def _write(self, lists: Sequence[Kept]) -> None:
        """Whole or not at all: a new file takes the old one's place."""
        try:
            data = msgspec.json.format(msgspec.json.encode(_Shelf(FORMAT, tuple(lists)), enc_hook=str), indent=1)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".lists-", delete=False) as file:
                try:
                    file.write(data + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                    Path(file.name).replace(self._path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except UnicodeEncodeError:  # half a character in a file's name
            raise LocalError(
                "not remembered", why="the path of a list is no UTF-8", next_step="give the file another name"
            ) from None
        except OSError as error:
            raise LocalError(
                f"{self._path}: cannot be written", why=error.strerror or str(error), next_step="check folder and disk"
            ) from error


def read_shelf(data: bytes, path: Path = Path("lists.json")) -> tuple[Kept, ...]:
    """What a shelf's file says. LocalError if it is none."""
    try:
        if len(data) > MAX_SHELF_BYTES:
            raise ValueError("it is too long")
        lists = msgspec.json.decode(data, type=_Shelf, dec_hook=_path).lists
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise LocalError(
            f"{path}: these are no remembered lists", why=str(error),
            next_step="move it away, and add the lists anew: gossip lists add FILE...",
        ) from error  # fmt: skip
    return lists


def _path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str) and "\0" not in value:
        return Path(value)
    raise ValueError("it has a path that is none")


def look_at(path: Path, kind: Kind | None = None, name: str = "") -> Kept:
    """A list as it is now. Its kind, if nobody says it, follows from its title. LocalError if it is no list."""
    require_rules(path)
    header = read_header(path)
    title = name or header.title or path.name
    try:
        digest = file_digest(path)
    except OSError as error:
        raise LocalError(f"{path}: cannot be read", why=error.strerror or "", next_step="check the path") from error
    return Kept(
        name=title[:MAX_NAME_CHARS], path=path.resolve(), kind=kind or kind_of(f"{title} {path.name}"),
        version=header.version or header.modified, licence=header.licence, date=header.modified, sha256=digest,
    )  # fmt: skip


def kind_of(title: str) -> Kind:
    """What a list with this title is for."""
    return "tracker" if any(word in title.lower() for word in _TRACKER_WORDS) else "ad"


def renewed(kept: Kept) -> Kept | LocalError:
    """The same list as its file is now: same name and kind; or why it cannot be used."""
    try:
        return look_at(kept.path, kept.kind, kept.name)
    except LocalError as error:
        return error


def texts(entries: Sequence[Kept]) -> tuple[tuple[ListText, ...], tuple[LocalError, ...]]:
    """The lists to give to an engine, and of those that cannot be used what is wrong with them."""
    read: list[ListText] = []
    missing: list[LocalError] = []
    for kept in entries:
        try:
            require_rules(kept.path)
            read.append(ListText(kept.name, text_of(kept.path), kept.kind))
        except LocalError as error:
            missing.append(error)
    return tuple(read), tuple(missing)


def require_rules(path: Path) -> None:
    """LocalError if a file is certainly no filter list: a web page, data, empty, UTF-16, packed, too long. A list may
    begin with any rule, so what is left may still be none."""
    why, fix = "", "give the list itself, as downloaded from its home"
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            why = f"it is longer than {MAX_LIST_BYTES >> 20} MiB"
        else:
            with path.open("rb") as file:
                why = _fault(file.read(4096))
    except OSError as error:
        raise LocalError(f"{path}: cannot be read", why=error.strerror or "", next_step="check the path") from error
    if why.startswith("it begins as UTF-16"):
        fix = "save it as UTF-8, then start again"
    if why:
        raise LocalError(f"{path}: this is no filter list", why=why, next_step=fix)


def _fault(begin: bytes) -> str:
    if begin.startswith(UTF16):
        return "it begins as UTF-16 does"
    text = begin.decode("utf-8-sig", "replace").lstrip()
    if not text:
        return "it is empty"
    if begin.startswith(b"\x1f\x8b"):
        return "it is packed (gzip): unpack it first"
    if "\0" in text or text[:200].count("\ufffd") > 8:
        return "it is no text"
    if text.startswith("<"):
        return "it begins as a web page does"
    if text.startswith(("{", "[{", '["')) or text[:20].split() == ["["]:
        return "it begins as data do"
    return ""
