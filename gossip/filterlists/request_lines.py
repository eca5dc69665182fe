"""Requests as JSON, an object a line: what scripts write, and our own labelled tables.

    {"url":"https://ads.example/x.js","page":"https://news.example/","type":"script"}
    {"url":"https://ads.example/x.js","documentUrl":"https://news.example/","type":"script","timeStamp":1767225600000}
    {"url":"https://ads.example/x.js","frameUrl":"https://news.example/","cpt":"script"}

Only the URL is needed. The page may be called as webRequest (`documentUrl`, `initiator`, `originUrl`) and as the
benchmarks of blockers call it (`frameUrl`); a `label` is kept. Other fields are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec

from gossip.filterlists.lines import rows_of
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.tally import Tally
from ledger.errors import LocalError

FORMAT: Final = "JSON lines"
MAX_SECONDS: Final = 1e11  # beyond it a time is in milliseconds


class _Row(msgspec.Struct, frozen=True):
    url: str
    page: str | None = None
    document: str | None = msgspec.field(name="documentUrl", default=None)
    frame: str | None = msgspec.field(name="frameUrl", default=None)
    initiator: str | None = None
    origin: str | None = msgspec.field(name="originUrl", default=None)
    type: str | None = None
    cpt: str | None = None
    time: float | None = None
    stamp: float | None = msgspec.field(name="timeStamp", default=None)
    label: Literal["benign", "ad", "tracker"] | None = None
    third_party: bool | None = None


_ROWS: Final = msgspec.json.Decoder(_Row)


def rows(path: Path, file: BinaryIO, tally: Tally) -> Iterator[Sighting | LocalError]:
    """All of a file."""
    tally.format = FORMAT
    return rows_of(path, file, tally, lambda line: _sighted(line, tally))


def _sighted(text: bytes, tally: Tally) -> Sighting | str | None:
    try:
        row = _ROWS.decode(text)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("`$.")[2].rstrip("`") if "`$." in str(error) else ""
        missing = "missing required field" in str(error)
        return "it names no url" if missing else f"its field {field} is of another kind" if field else "it is no object"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "it is no JSON object"
    page = row.page or row.document or row.frame or row.initiator or row.origin or ""
    return tally.sighted(
        row.url, page if page != "null" else "", row.type or row.cpt or "", time=_seconds(row.time, row.stamp),
        label=row.label, third_party=row.third_party,
    )  # fmt: skip


def _seconds(*times: float | None) -> float | None:
    found = next((time for time in times if time is not None), None)
    return found / 1000 if found is not None and abs(found) > MAX_SECONDS else found
