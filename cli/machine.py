"""The machine under a peer, in a line: what of it the peer may use, how busy it is, and what it runs on.

machine: 2 of 4 cores, load 1.3, 2,600 MHz, battery 43%, not plugged in
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.render import many


def machine(status: Mapping[str, Any]) -> list[str]:
    """One line, or none: a status of an older node says nothing of it."""
    facts = status.get("machine") or {}
    if not facts:
        return []
    said = [f"{int(facts.get('cores', 0))} of {many(int(facts.get('of_cores', 0)), 'core')}"]
    said.append(f"load {float(facts.get('load', 0.0)):.1f}")
    if facts.get("cpu_mhz") is not None:
        said.append(f"{int(facts['cpu_mhz']):,} MHz")
    if facts.get("battery_percent") is not None:
        said.append(f"battery {int(facts['battery_percent'])}%, {'' if facts.get('plugged') else 'not '}plugged in")
    return [f"machine: {', '.join(said)}"]
