"""URLs, one a line, as people paste them; the page that asked for one may stand before it, with a tab between.

    # seen on Monday
    https://news.example/<TAB>https://ads.example/x.js
    https://cdn.example/lib.js

Nothing says of what type a request is but how its URL ends. "#" begins a comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from gossip.filterlists.lines import rows_of
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.tally import Tally
from ledger.errors import LocalError

FORMAT: Final = "list of URLs"


def rows(path: Path, file: BinaryIO, tally: Tally) -> Iterator[Sighting | LocalError]:
    """All of a file."""
    tally.format = FORMAT
    return rows_of(path, file, tally, lambda line: _sighted(line, tally), comment=b"#")


def _sighted(text: bytes, tally: Tally) -> Sighting | str | None:
    try:
        words = [word.strip() for word in text.decode().strip().split("\t")]
    except UnicodeDecodeError:
        return "it is no UTF-8"
    if len(words) > 2:
        return "it has more than a page, a tab and a URL"
    return tally.sighted(words[-1], words[0] if len(words) == 2 else "")
