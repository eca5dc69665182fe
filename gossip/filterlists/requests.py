"""Labelled requests as people keep them: one JSON object a line, plain or gzip.

    {"page":"https://news.example/","url":"https://ads.example/x.js","type":"script","label":"ad","third_party":true}

    page         the page that made the request: what sites are split by
    url          the request itself; http, https, ws or wss
    type         the resource type in the words of filter lists; the words of browsers for the same are translated
    label        ad, tracker or benign
    third_party  optional; worked out from page and url if absent (the slow way: needs the public-suffix list)
    group        optional; held-out requests with the same word here are also scored on their own
Other fields are ignored, so that a crawl can carry more than we read.

Rules kept here: one row in memory at a time, every length bounded, and a bad row stops the reading with
the file, the row, the reason and what to do: a model trained on the readable half would be a silent lie
(`scan_requests` goes on, for who only wants to know how a file is). This file refuses to know features and models.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast

import msgspec

from gossip.filterlists.features import TYPES
from gossip.filterlists.split import host_of, registrable
from ledger.errors import LocalError

CLASSES: Final = ("benign", "ad", "tracker")
MAX_ROW_BYTES: Final = 64 * 1024  # URLs of 32 KiB exist; ten times a long one is not a request but an accident
READ_BYTES: Final = 64 * 1024
SCHEMES: Final = ("http://", "https://", "ws://", "wss://")
OTHER_WORDS: Final = {  # webRequest, developer tools, Resource Timing, uBlock and the engines; in capitals or not
    "other": "csp_report csp cspviolationreport eventsource manifest web_manifest prefetch preflight speculative "
    "texttrack track webrtc webtransport webbundle signedexchange xbl xml_dtd xslt popup popunder no_type unknown",
    "script": "inline_script js worker sharedworker serviceworker",
    "image": "imageset img inline_image",
    "stylesheet": "css style inline_stylesheet",
    "subdocument": "sub_frame subframe frame iframe",
    "xmlhttprequest": "xhr fetch json",
    "font": "inline_font",
    "media": "audio video",
    "object": "object_subrequest embed",
    "ping": "beacon",
    "document": "doc main_frame mainframe navigation",
}
KNOWN_AS: Final = {name: name for name in TYPES} | {
    other: name for name, others in OTHER_WORDS.items() for other in others.split()
}
BOM: Final = b"\xef\xbb\xbf"  # some programs of Windows write it before UTF-8; it says nothing
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_FIX: Final = "correct or remove that row, then start again"


class Request(msgspec.Struct, frozen=True):
    """One row."""

    page: str
    url: str
    type: str
    label: Literal["benign", "ad", "tracker"]
    third_party: bool | None = None
    group: str = ""

    @property
    def party(self) -> bool:
        """Whether the request leaves the site of its page."""
        if self.third_party is not None:
            return self.third_party
        return registrable(host_of(self.url)) != registrable(host_of(self.page))

    @property
    def key(self) -> bytes:
        """What makes two rows the same request."""
        return "\0".join((self.page, self.url, self.type)).encode("utf-8", "surrogatepass")

    @property
    def value(self) -> bytes:
        """What is said of the request that `key` names: `["ad",true]`, its label and party."""
        return _RECORDS.encode([self.label, self.party])


_ROWS: Final = msgspec.json.Decoder(Request)
_RECORDS: Final = msgspec.json.Encoder()
_VALUES: Final = msgspec.json.Decoder(tuple[Literal["benign", "ad", "tracker"], bool])


def read_requests(path: Path, at: Callable[[int], None] | None = None) -> Iterator[Request]:
    """All rows of one file. Raises LocalError naming file and row at the first one that is not a request. `at` as in
    `scan_requests`."""
    for row in scan_requests(path, at):
        if isinstance(row, LocalError):
            raise row
        yield row


def scan_requests(path: Path, at: Callable[[int], None] | None = None) -> Iterator[Request | LocalError]:
    """All rows of one file, and in place of each that is not a request what is wrong with it. One that says the file
    cannot be read any further is the last. Now and then `at` hears how many bytes of the file lie behind."""
    number = 0
    with opened(path, at) as lines:
        try:
            while line := lines.readline(MAX_ROW_BYTES + 1):
                number += 1
                if number == 1 and line.startswith(UTF16):
                    yield is_utf16(path)
                    return
                if number == 1:
                    line = line.removeprefix(BOM)
                if len(line) > MAX_ROW_BYTES:
                    yield _bad(path, number, f"it is longer than {MAX_ROW_BYTES // 1024} KiB")
                    while line and not line.endswith(b"\n"):
                        line = lines.readline(MAX_ROW_BYTES)
                elif not line.isspace():
                    yield _row(path, number, line)
        except (OSError, EOFError, zlib.error) as error:
            yield LocalError(
                f"{path}: cannot be read after row {number}", why=str(error), next_step="fetch or unpack the file again"
            )


def parse_record(key: bytes, value: bytes) -> Request | None:
    """The request that was committed to as (key, value); None if no request has such a key and value."""
    try:
        page, url, kind = key.decode().split("\0")  # (half a character stands in no file, and engines raise on it)
        label, party = _VALUES.decode(value)
    except (ValueError, RecursionError):
        return None
    request = Request(page=page, url=url, type=kind, label=label, third_party=party)
    sound = _fault(request) is None and kind in TYPES and request.value == value  # one spelling
    return request if sound else None


def _row(path: Path, number: int, line: bytes) -> Request | LocalError:
    try:
        row = _ROWS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _bad(path, number, _plain(error))
    if fault := _fault(row):
        return _bad(path, number, fault)
    kind = KNOWN_AS.get(row.type) or KNOWN_AS.get(row.type.lower().replace("-", "_"))
    if kind is None:
        allowed = f"{', '.join(TYPES)}, or a browser's word for one of these, such as xhr or sub_frame"
        return _bad(path, number, f"its type {row.type[:40]!r} is none of {allowed}")
    return row if kind == row.type else msgspec.structs.replace(row, type=kind)


def _fault(row: Request) -> str | None:
    for name, value in (("page", row.page), ("url", row.url)):
        if not value.lower().startswith(SCHEMES) or not host_of(value) or "\0" in value:  # NUL separates the key
            return f"its {name} is no web address"  # and not which one: it may be a secret, or hold one
    return None


def _plain(error: Exception) -> str:
    """msgspec's words, with its path into the object said as people do."""
    text = str(error)
    if "Invalid enum value" in text:
        return f"its label is none of {', '.join(CLASSES)}"
    said = text if text[:2].isupper() else text[:1].lower() + text[1:]
    return f"it is no JSON object of a request ({said})"


def _bad(path: Path, number: int, why: str) -> LocalError:
    return LocalError(f"{path}: row {number} cannot be used", why=why, next_step=_FIX)


def is_utf16(path: Path) -> LocalError:
    """What is wrong with a file that begins with one of `UTF16`."""
    return LocalError(
        f"{path}: cannot be read", why="it begins as UTF-16 does", next_step="save it as UTF-8, then start again"
    )


@contextmanager
def opened(path: Path, at: Callable[[int], None] | None = None) -> Iterator[BinaryIO]:
    """The file, unpacked on the fly if it begins like gzip, whatever it is called. `at` as in `scan_requests`."""
    try:
        file = path.open("rb", buffering=0) if at is None else _Told(path, at)
        buffered = io.BufferedReader(file, READ_BYTES)
    except OSError as error:
        why = error.strerror or str(error)
        raise LocalError(f"{path}: cannot be read", why=why, next_step="check the path") from error
    with buffered:
        try:
            packed = buffered.peek(2)[:2] == b"\x1f\x8b"
        except OSError as error:  # a folder opens, and then does not read
            raise LocalError(f"{path}: cannot be read", why=error.strerror or "", next_step="check the path") from error
        if packed:
            with gzip.GzipFile(fileobj=buffered) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield cast(BinaryIO, buffered)


class _Told(io.FileIO):
    """A file that says how far it was read."""

    def __init__(self, path: Path, at: Callable[[int], None]) -> None:
        super().__init__(path, "rb")
        self._at, self._behind = at, 0

    def readinto(self, buffer: Any, /) -> int | None:
        count = super().readinto(buffer)
        self._behind += count or 0
        self._at(self._behind)
        return count


def file_digest(path: Path) -> str:
    """SHA-256 of the file as it lies on disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
