"""One example of a personal category: a line of JSON.

    {"url":"https://connect.social.example/widget.js","page":"https://news.example/","type":"script","category":"social"}

`category` "none", or none, stands for none; page and type may be left out; other fields are ignored.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gossip.filterlists.requests import KNOWN_AS, SCHEMES
from gossip.filterlists.sighting import Sighting
from gossip.training.head import NONE
from ledger.errors import LocalError

MAX_ROW_BYTES: Final = 64 * 1024


class _Example(msgspec.Struct, frozen=True):
    url: str
    page: str = ""
    type: str = "other"
    third_party: bool | None = None
    category: Annotated[str, Meta(max_length=40)] = NONE


_ROWS: Final = msgspec.json.Decoder(_Example)


def parse_example(line: bytes) -> tuple[Sighting, str]:
    """The request, and its category. LocalError says what is wrong."""
    if len(line) > MAX_ROW_BYTES:
        raise LocalError("it is no example", why=f"it is longer than {MAX_ROW_BYTES // 1024} KiB")
    try:
        row = _ROWS.decode(line)
    except (ValueError, RecursionError) as error:
        raise LocalError("it is no example", why=str(error)[:200]) from None
    kind = KNOWN_AS.get(row.type.lower().replace("-", "_"))
    if kind is None or not row.url.lower().startswith(SCHEMES):
        what = "type" if kind is None else "url"
        raise LocalError("it is no example", why=f"its {what} is none of a request")
    if not row.category.isprintable():
        raise LocalError("it is no example", why="its category has characters that cannot be printed")
    seen = Sighting(url=row.url, page=row.page, type=kind, third_party=row.third_party)
    return seen, row.category.strip() or NONE
