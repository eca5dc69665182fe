"""What a peer has to do with leaders, in a line for the live view.

    leads: 12 bundled sums made for others
    listens to ada, ben: 3 sums used, 1 false; 48 updates lent

It decides nothing; docs/bundles.md says what the words mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.plain import name as plain_name
from cli.render import many


def sums(own: Mapping[str, Any]) -> list[str]:
    """Lines about bundled sums; none where there are no leaders."""
    said = own.get("bundles") or {}
    lines = []
    if said.get("leads"):
        lines.append(f"leads: {many(int(said.get('made', 0)), 'bundled sum')} made for others")
    if said.get("leaders") or said.get("used") or said.get("false"):
        names = ", ".join(plain_name(name, 12) for name in said.get("leaders", ())) or "nobody"
        lent = f"; {many(int(said['lent']), 'update')} lent" if said.get("lent") else ""
        used = many(int(said.get("used", 0)), "sum")
        lines.append(f"listens to {names}: {used} used, {int(said.get('false', 0))} false{lent}")
    return lines
