"""What uBlock Origin's logger exports: as a list or as a table, plain or for Markdown.

    +1<TAB>||ads.example^<TAB>--<TAB>news.example<TAB>3<TAB>GET<TAB>script<TAB>https://ads.example/x.js

    +1                          each field that says something on a line of its own, and
    ||ads.example^              an empty line between requests (plain) or a fence (Markdown)
    --
    news.example
    3
    GET
    script
    https://ads.example/x.js

    | +1 | `||ads.example^` | -- | news.example | 3 | GET | script | `https://ads.example/x.js` |     ("|" as "\\|")

Fields: time (seconds since the first row, or a time of day: neither says when), filter, what it did, host of the
document, party, method (since 1.46), type, URL, and the URL that was asked for where a CNAME leads elsewhere
(`aliasURL=`). Kept are the URL that was asked for, the type and, as page, the document's host. Filters are not looked
at: what a user's lists blocked is no label of ours. The logger's other notes (cosmetic filters, inline scripts, DNS,
messages) are no requests: left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from gossip.filterlists.lines import TOO_LONG, lines_of
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.tally import NOT_OF_THE_WEB, Tally, scheme_of
from ledger.errors import LocalError

FORMAT: Final = "uBlock Origin's logger"
NO_REQUEST: Final = "notes of uBlock that are no requests"
MAX_FIELDS: Final = 16  # of one request in a list; more is no log
COLUMNS: Final = (7, 8)  # without the method, and with it
BEGINS: Final = re.compile(
    rb"\s*(<details><summary>|(\+\d{1,9}|\d{1,2}:\d\d:\d\d)[ ]*(\t|\r?\n)|\|\s*\|[\s|]*\n\|\s*:-)"
)
ROW: Final = ("| ", "|:-")  # of a Markdown table; filters begin with "||" and "|https"
_TIME: Final = re.compile(r"\+\d{1,9}|\d{1,2}:\d\d:\d\d")
_PARTY: Final = re.compile(r"(0,)?[13?](,[13?])?")
_METHOD: Final = re.compile(r"[A-Z]{3,10}")
_PIPE: Final = re.compile(r"(?<!\\)\|")
_ALIAS: Final = "aliasURL="
_INNER: Final = frozenset({
    "cosmetic", "dns", "dom", "elemhide", "generichide", "inline-font", "inline-script", "inline_font", "inline_script",
    "specifichide",
})  # fmt: skip


def rows(path: Path, file: BinaryIO, tally: Tally) -> Iterator[Sighting | LocalError]:
    """All of a file."""
    tally.format = FORMAT
    for record in _records(path, file):
        if isinstance(record, LocalError):
            yield record
            return
        number, fields = record
        found = fields if isinstance(fields, str) else _sighted(fields, tally)
        if isinstance(found, str):
            yield tally.fault(path, f"row {number}", found)
        elif found is not None:
            yield found


def _records(path: Path, file: BinaryIO) -> Iterator[tuple[int, list[str] | str] | LocalError]:
    """(line, fields) of each; a text in place of fields says what is wrong."""
    begun, fields = 0, list[str]()
    for line in lines_of(path, file):
        if isinstance(line, LocalError):
            if fields:
                yield begun, fields
            yield line
            return
        number, raw = line
        if raw is None:
            yield number, TOO_LONG
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            yield number, "it is no UTF-8"
            continue
        ends = not text.strip() or text.startswith(("```", "<details>", "</details>", *ROW)) or "\t" in text
        if (ends or len(fields) > MAX_FIELDS) and fields:
            yield begun, fields
            fields = []
        if "\t" in text:
            yield number, text.strip("\r\n").split("\t")
        elif text.startswith(ROW):
            cells = [_plain(cell) for cell in _PIPE.split(text.strip())[1:-1]]
            if not all(not cell.strip(":- ") for cell in cells):
                yield number, cells
        elif not ends:
            if not fields:
                begun = number
            fields.append(text.strip())
    if fields:
        yield begun, fields


def _plain(cell: str) -> str:
    cell = cell.strip().replace("\\|", "|")
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == "`" else cell


def _sighted(fields: Sequence[str], tally: Tally) -> Sighting | str | None:
    if not _TIME.fullmatch(fields[0]):
        return "it does not begin with a time, as rows of uBlock's logger do"
    given = [field for field in fields if not field.startswith(_ALIAS)]
    alias = next((field[len(_ALIAS) :] for field in reversed(fields) if field.startswith(_ALIAS)), "")
    read = _columns(given) if len(given) in COLUMNS and "" in given else None
    host, kind, url = read or _listed(given)
    if kind.lower() in _INNER or not kind:
        tally.left_out[NO_REQUEST] += 1
        return None
    return tally.sighted(alias or url, f"https://{host}/" if host else "", kind)


def _columns(given: Sequence[str]) -> tuple[str, str, str]:
    """Host, type and URL of a row of a table. No party: no request, but for one of a "data:" URL."""
    party, kind, url = given[4], given[-2], given[-1]
    is_request = _PARTY.fullmatch(party) or scheme_of(url) in NOT_OF_THE_WEB
    return (given[3], kind, url) if is_request else ("", "", "")


def _listed(given: Sequence[str]) -> tuple[str, str, str]:
    """The same where fields that say nothing are missing: counted from the end."""
    if len(given) < 3:
        return "", "", ""
    url, kind, rest = given[-1], given[-2], list(given[1:-2])
    if rest and _METHOD.fullmatch(rest[-1]):
        rest.pop()
    if rest and _PARTY.fullmatch(rest[-1]):
        rest.pop()
        is_host = rest and "." in rest[-1] and not set(rest[-1]) & set("/|^$*@#, ")
        return (rest[-1] if is_host else ""), kind, url
    return "", (kind if scheme_of(url) in NOT_OF_THE_WEB else ""), url
