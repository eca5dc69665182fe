"""Captures as the tests write them: a page, a request, how sure the model is, and what lists say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from gossip.advisor.scored import Scored
from gossip.filterlists.sighting import Sighting

CAPTURES: Final = sorted((Path(__file__).parent / "captures").glob("*.json"))
THRESHOLD: Final = 0.9
NEWS: Final = "https://news.example/"
SHOP: Final = "https://shop.example/"


def scored(
    url: str, p: float, *, page: str = NEWS, kind: str = "script", what: str = "ad", block: bool | None = None,
    listed: tuple[str, ...] = (), excepted: tuple[str, ...] = (), time: float | None = None,
) -> Scored:  # fmt: skip
    ad = p if what == "ad" else 0.0
    seen = Sighting(url=url, page=page, type=kind, time=time)
    return Scored(seen, ad, p - ad, p, p >= THRESHOLD if block is None else block, listed, excepted)


def read(path: Path) -> tuple[list[Scored], dict[str, Any]]:
    """The rows of a capture, and all that stands beside them."""
    found = json.loads(path.read_text("utf-8"))
    rows = [
        scored(
            row["url"], row["p"], page=row["page"], kind=row["type"], what=row.get("as", "ad"), block=row.get("block"),
            listed=tuple(row.get("listed", ())), excepted=tuple(row.get("excepted", ())),
        )
        for row in found["rows"]
    ]  # fmt: skip
    return rows, found
