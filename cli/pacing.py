"""How fast a peer goes, in one line for people: steps, tempo, what its line takes (docs/pace.md)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from cli.plain import plain
from cli.render import size


def pacing(own: Mapping[str, Any]) -> list[str]:
    """`pace eager; 16 steps a round (64 declared), 310 steps/s`; nothing before a node has started."""
    pace = own.get("pace")
    if not pace:
        return []
    if (panel := own.get("panel")) and not panel["drawn"]:
        left = max(0.0, panel["until"] - time.time())
        share = f"{panel['places']:,} of {panel['trainers']:,}"
        return [f"not drawn: {share} publish at a time, next draw in {left / 60:.0f} min"]
    said = [f"pace {plain(pace['tempo'], 8)}"]
    if pace["declared"]:
        speed = f", {pace['steps_s']:,.3g} steps/s" if pace["steps_s"] else ""
        said.append(f"{pace['steps']} steps a round ({pace['declared']} declared){speed}")
    if pace["density_permille"] < 1000:
        said.append(f"publishes {pace['density_permille'] / 10:.0f}% of its usual share")
    if pace["is_full"]:
        said.append(f"line full at {size(pace['bytes_s'])}/s")
    return ["; ".join(said)]
