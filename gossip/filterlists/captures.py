"""Captures: what a browser asked for, in the formats that people have. Each row becomes a Sighting.

    for row in read_capture(Path("monday.har"), tally=tally):
        match row:
            case Sighting(): ...
            case LocalError(): ...     one bad row, or the end of what can be read

    begins with                          is                        read by
    {"log":                              HAR                       har.py
    {                                    a JSON object a line      request_lines.py
    +12 or 12:34:56, or <details>...     uBlock Origin's logger    ublock_log.py
    anything else                        URLs, one a line          url_list.py

Plain or gzip, whatever it is called; with a BOM or not; lines may end as on Windows. A filter list, a web page or a
table given as a capture is told what it is. Kept of a request: URL, page, type, time, and a label if there is one.
Docs, and how to export one: docs/captures.md.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, cast

from gossip.filterlists import har, request_lines, ublock_log, url_list
from gossip.filterlists.requests import BOM, UTF16, is_utf16, opened
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.tally import Tally
from ledger.errors import LocalError

NO_CAPTURES: Final = (".csv", ".npz")  # tables of numbers
MAX_LOOKED_AT: Final = 100  # rows, for a label
SNIFFED_BYTES: Final = 64 * 1024  # to tell formats apart by
Rows = Iterator[Sighting | LocalError]
At = Callable[[int], None]
_HAR: Final = re.compile(rb'\s*\{\s*"log"')
_RULE: Final = re.compile(rb"\[(adblock|ublock|adguard)|!|@@|\|\||#?@?##|(127\.0\.0\.1|0\.0\.0\.0|::1?)\s", re.I)


def read_capture(path: Path, at: At | None = None, tally: Tally | None = None) -> Rows:
    """All requests of a capture, and in place of each that cannot be used what is wrong with it. One that says the
    file cannot be read any further is the last. Now and then `at` hears how many bytes of the file lie behind; `tally`
    counts what is no row. Raises LocalError only if the file cannot be opened."""
    tally = Tally() if tally is None else tally
    with opened(path) as file:
        begin, broken = _begin(path, file)
    if broken is None:
        broken = _is_none(path, begin)
    if broken is not None:
        yield broken
        return
    if _HAR.match(begin):
        yield from har.rows(path, at, tally)
    else:
        reader = request_lines if begin.lstrip().startswith(b"{") else url_list
        if ublock_log.BEGINS.match(begin):
            reader = ublock_log
        with opened(path, at) as file:
            yield from reader.rows(path, file, tally)
    if tally.pageless:
        all_of_them = tally.pageless == tally.rows
        tally.notes.append("no request names its page" if all_of_them else f"{tally.pageless:,} name no page")


def needs_labels(path: Path) -> bool:
    """Whether a file is a capture that says of no request what it is. Only its first MAX_LOOKED_AT rows are asked. What
    is no capture, or cannot be opened, needs none: whoever reads it as something else says what is wrong."""
    if path.suffix.lower() in NO_CAPTURES:
        return False
    try:
        with opened(path) as file:
            begin, broken = _begin(path, file)
        if broken is not None or _is_none(path, begin) is not None:
            return False
        if _HAR.match(begin) or ublock_log.BEGINS.match(begin):
            return True
        rows = islice(read_capture(path), MAX_LOOKED_AT)
        seen = [row for row in rows if isinstance(row, Sighting)]
    except LocalError:
        return False
    return bool(seen) and all(row.label is None for row in seen)


def is_none(path: Path) -> LocalError | None:
    """What a file is that can be neither a capture nor a table of requests, in the words of `read_capture`; None if it
    may be one. LocalError is raised if it cannot be opened."""
    with opened(path) as file:
        begin, broken = _begin(path, file)
    return broken or _is_none(path, begin)


def _begin(path: Path, file: BinaryIO) -> tuple[bytes, LocalError | None]:
    try:
        return cast(BufferedIOBase, file).read1(SNIFFED_BYTES).removeprefix(BOM), None
    except (OSError, EOFError, zlib.error) as error:
        return b"", LocalError(f"{path}: cannot be read", why=str(error), next_step="fetch or unpack the file again")


def _is_none(path: Path, begin: bytes) -> LocalError | None:
    """What a file is that is no capture; None if it may be one."""
    if begin.startswith(UTF16):
        return is_utf16(path)
    text = begin.lstrip()
    if not text:
        return _no_capture(path, "it is empty")
    if b"\0" in text[:1024]:
        return _no_capture(path, "it is no text")
    if ublock_log.BEGINS.match(begin):
        return None
    if text.startswith(b"<"):
        return _no_capture(path, "it begins as a web page does")
    if text.startswith(b"[") and not _RULE.match(text):
        return _no_capture(path, "it is one JSON array", "write one object a line: jq -c '.[]' FILE > FILE.jsonl")
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not re.match(rb"#(\s|$)|#[^#@?$%]*$", line)), b"")
    if _RULE.match(first):
        return _no_capture(path, "it begins as a filter list does", "name lists after --list, captures as data")
    return None


def _no_capture(path: Path, why: str, next_step: str = "give a HAR, uBlock's log, JSON lines or URLs") -> LocalError:
    return LocalError(f"{path}: this is no capture", why=why, next_step=next_step)
