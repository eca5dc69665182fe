"""Who trains on whose rows: the words of `--lend-to` and `--borrow-from`, and two lines for the live view.

    lends to ben 9, 77aa01bc 7 of 16 shards; cat away
    borrows from ada 7 shards, 2,430 rows

A peer is named as in `gossip data zone`: by its id, the first digits of it, or a name that only one has. It decides
nothing; docs/lending.md says what the words mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cli.plain import name as plain_name
from cli.render import many
from cli.zones import member
from ledger.errors import LocalError

MAX_SHOWN: Final = 4


def peers(place: Path, option: str, words: Sequence[str] | None) -> list[str] | None:
    """Ids of those who are named, sorted; [] takes back what was said before, None says nothing."""
    if words is None:
        return None
    from gossip.wire.frames import MAX_BORROWERS

    found = sorted({member(place, word.strip()) for text in words for word in text.split(",") if word.strip()})
    if len(found) > MAX_BORROWERS:
        raise LocalError(f"{option} names {len(found)} peers", next_step=f"name at most {MAX_BORROWERS}")
    return found


def lending(own: Mapping[str, Any]) -> list[str]:
    """Lines about leases; none where there are none."""
    lines = []
    if lent := own.get("lent") or []:
        here = [f"{_who(one)} {int(one['shards'])}" for one in lent if one["shards"]]
        away = [_who(one) for one in lent if not one["shards"]]
        said = f"{_few(here)} of 16 shards" if here else "nobody"
        lines.append(f"lends to {said}" + (f"; {_few(away)} away" if away and here else ""))
    if held := own.get("borrowed") or []:
        said = _few([f"{_who(one)} {many(int(one['shards']), 'shard')}" for one in held])
        lines.append(f"borrows from {said}, {many(sum(int(one['records']) for one in held), 'row')}")
    return lines


def _who(one: Mapping[str, Any]) -> str:
    return plain_name(one.get("name") or str(one.get("peer", ""))[:8], 12)


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - MAX_SHOWN} more" if len(words) > MAX_SHOWN else ""
    return ", ".join(words[:MAX_SHOWN]) + more
