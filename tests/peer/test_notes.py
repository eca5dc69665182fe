"""Every note that a person or a program may see is in docs/events.md, with its fields."""

from __future__ import annotations

import re
from pathlib import Path

from gossip.sim import Crash, Scenario, SimSwarm

DOC = Path(__file__).resolve().parents[2] / "docs" / "events.md"


def test_a_lively_swarm_tells_nothing_that_is_not_documented() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|(.*)\|$", DOC.read_text(), re.MULTILINE))
    swarm = SimSwarm(Scenario(peers=10, seconds=10, seed=3, loss=0.1, crashes=(Crash(2, 4.0, 2.0),)))
    seen: dict[str, set[str]] = {}
    noted = swarm.noted
    swarm.noted = lambda peer, kind, fields: (seen.setdefault(kind, set()).update(fields), noted(peer, kind, fields))[1]  # type: ignore[method-assign]
    swarm.run()
    assert {
        "link_up",
        "link_down",
        "admitted",
        "entry",
        "trained",
        "published",
        "merged",
        "snapshot",
        "drained",
    } <= set(seen)
    for kind, fields in seen.items():
        assert kind in rows, kind
        assert fields <= set(re.findall(r"`(\w+)`", rows[kind])), (kind, fields)
