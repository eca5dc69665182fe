"""What a filter list says of itself at its top: title, version, date, licence, home.

    [Adblock Plus 2.0]
    ! Version: 202608130520
    ! Title: EasyList
    ! Last modified: 13 Aug 2026 05:20 UTC
    ! Licence: https://easylist.to/pages/licence.html

Comments begin with "!", in hosts files with "#". The header ends at the first rule: a licence named further down may
be anybody's. Of a word that stands twice the first counts. Lists are written by people, so nothing odd in one is an
error: what cannot be told is "". Only a file that cannot be read is.

What it says of its licence becomes SPDX in licences.py. All of this is what a list says of itself, and no more.

Kept here: at most the first 64 KiB of a header, one line at a time; nothing of it longer than MAX_WORD_CHARS, and no
control characters. This file refuses to know rules.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO, Final

from gossip.filterlists.licences import spdx
from gossip.filterlists.requests import file_digest, opened
from ledger.entry import Hash, Source
from ledger.errors import LocalError

MAX_HEADER_BYTES: Final = 64 * 1024  # the longest header known has 3 KB
MAX_LINE_BYTES: Final = 8 * 1024  # what follows on a line is skipped
MAX_SKIPPED_BYTES: Final = 1 << 20  # on one line; what goes on longer (little of it, packed) is no list
MAX_WORD_CHARS: Final = 200  # it goes into the ledger, where a data entry has 63 KB for everything

_FIELDS: Final = {
    "title": "title", "version": "version", "last modified": "modified", "timeupdated": "modified",
    "last updated": "modified", "updated": "modified", "date": "modified", "licence": "licence", "license": "licence",
    "homepage": "homepage", "expires": "expires", "this url": "url", "download url": "url",
}  # fmt: skip
_COMMENT: Final = re.compile(r"(?:!|#(?!#|@#|\?#|\$#|%#))[!#\s]*(.*)")  # "##.ad" hides an element: a rule, no comment
_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z ]{1,20}?)\s*:\s+(\S.*)|([A-Za-z][A-Za-z ]{1,20}?):(\S.*)")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO: Final = re.compile(r"(?<!\d)(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)")
_WORDS: Final = re.compile(r"(?<!\d)(\d{1,2}) ([A-Za-z]{3})[a-z]*\.?,? (\d{4})(?!\d)")


@dataclass(frozen=True, slots=True)
class ListHeader:
    """What was found; "" for what was not."""

    title: str = ""
    version: str = ""
    modified: str = ""  # ISO date
    licence: str = ""  # SPDX
    licence_said: str = ""  # as it stands there
    homepage: str = ""
    url: str = ""  # of the list itself
    expires: str = ""  # as it stands there: "4 days (update frequency)"
    dialect: str = ""  # "Adblock Plus 2.0", if the first line says so


def read_header(path: Path) -> ListHeader:
    """The header of a list, plain or gzip. LocalError if the file cannot be read."""
    found: dict[str, str] = {}
    with opened(path) as file:
        for line in _header_lines(file):
            if line.startswith("[") and line.endswith("]"):
                found.setdefault("dialect", line[1:-1][:MAX_WORD_CHARS])
            elif field := _FIELD.fullmatch(_comment(line) or ""):
                name, value = field[1] or field[3], field[2] or field[4]
                if (known := _FIELDS.get(" ".join(name.lower().split()))) and _says_something(value):
                    found.setdefault(known, value[:MAX_WORD_CHARS])
    said = found.pop("licence", "")
    found["modified"] = iso_date(found.get("modified", ""))
    return ListHeader(**found, licence=spdx(said), licence_said=said)


def is_list(path: Path) -> bool:
    """Whether a file begins as filter lists do: with a comment, a "[dialect]" or a rule, and not as data. LocalError
    if it cannot be read."""
    with opened(path) as file:
        for line in _lines(file):
            if line:
                return line.startswith(("!", "[A", "[u", "#", "||", "@@", "127.0.0.1 ", "0.0.0.0 "))
    return False


def require_list(path: Path) -> None:
    """LocalError if a file is no filter list: it is empty, or its first line is neither a comment nor like a rule. A
    rule alone may look like anything that has no spaces, so this refuses mistakes, and proves nothing."""
    with opened(path) as file:
        first = next((line for line in _lines(file) if line), "")
    if is_list(path):
        return
    why = ""
    if not first:
        why = "it is empty"
    elif "\ufffd" in first:
        why = "it is no text"
    elif first.startswith(("{", "<")):
        why = f"it begins as {'data do' if first.startswith('{') else 'a web page does'}"
    elif " " in first or ("," in first and "$" not in first and "#" not in first):
        why = f"its first line is neither a comment nor a rule ({first[:40]})"
    if why:
        raise LocalError(
            f"{path}: this is no filter list", why=why, next_step="name a list after --list, data after --data"
        )


def source_of(path: Path) -> Source:
    """A list as a data entry names it: `retrieved` is the day the file was written here, the version its date if it
    has none of its own, the name its file's if it has no title."""
    header = read_header(path)
    digest, day = _digest_and_day(path)
    return Source(
        name=header.title or _tidy(path.name), sha256=digest, licence=header.licence, url=header.url or header.homepage,
        retrieved=day, version=header.version or header.modified,
    )  # fmt: skip


def source_of_data(path: Path, licence: str, digest: Hash = "") -> Source:
    """A data file as a data entry names it: nothing in it says of what version it is, so that is the day on which it
    was last changed. `digest` is its SHA-256, if the caller knows it."""
    found, day = ("", _day(path)) if digest else _digest_and_day(path)
    return Source(name=path.name, sha256=digest or found, licence=licence, url="", retrieved=day, version=day)


def _digest_and_day(path: Path) -> tuple[Hash, str]:
    try:
        return file_digest(path), _day(path)
    except OSError as error:
        raise LocalError(f"{path}: cannot be read", why=str(error), next_step="check the path") from error


def _day(path: Path) -> str:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
    except (OSError, OverflowError, ValueError) as error:
        raise LocalError(f"{path}: cannot be read", why=str(error), next_step="check the path") from error


# ------------------------------------------------------------------ lines and dates


def iso_date(text: str) -> str:
    """The first day named in a text, "13 Aug 2026 05:20 UTC" or "2026-08-13T05:20Z", as an ISO date; "" if none is."""
    iso, words = _ISO.search(text), _WORDS.search(text)
    try:
        if iso:
            return date(int(iso[1]), int(iso[2]), int(iso[3])).isoformat()
        if words:
            return date(int(words[3]), _MONTHS.index(words[2].lower()) + 1, int(words[1])).isoformat()
    except ValueError:  # no such day, no such month
        pass
    return ""


def _header_lines(file: BinaryIO) -> list[str]:
    """Comments and the dialect, up to the first rule."""
    kept: list[str] = []
    left = MAX_HEADER_BYTES
    for line in _lines(file):
        left -= len(line) + 1
        if left < 0 or (line and _comment(line) is None and not (line.startswith("[") and not kept)):
            break
        if line:
            kept.append(line)
    return kept


def _comment(line: str) -> str | None:
    match = _COMMENT.fullmatch(line)
    return match[1] if match else None


def _lines(file: BinaryIO) -> Iterator[str]:
    """Each line as text without control characters, cut at MAX_LINE_BYTES."""
    fresh, skipped = True, 0
    while skipped <= MAX_SKIPPED_BYTES and (piece := _piece(file)):
        if fresh:
            yield _tidy(piece.decode("utf-8-sig", "replace"), MAX_LINE_BYTES)
        fresh = piece.endswith(b"\n")
        skipped = 0 if fresh else skipped + len(piece)


def _piece(file: BinaryIO) -> bytes:
    try:
        return file.readline(MAX_LINE_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise LocalError("this list cannot be read", why=str(error), next_step="fetch or unpack it again") from error


def _says_something(value: str) -> bool:
    """Not a place that a build step was to fill in: "%timestamp%"."""
    return not re.fullmatch(r"%\w*%|\|", value)


def _tidy(text: str, limit: int = MAX_WORD_CHARS) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:limit]
