"""The line of the live view that says how fast a peer goes."""

from __future__ import annotations

import time

from cli.pacing import pacing
from tests.cli.test_live import board, drawn, status

PACE = {
    "steps": 16, "declared": 64, "density_permille": 1000, "links": 6, "tempo": "eager", "reason": "", "behind": 0.2,
    "steps_s": 310.4, "aim_s": 0.5, "lag_s": 0.1, "round_trip_s": 0.01, "bytes_s": 90_000, "is_full": False,
}  # fmt: skip


def test_the_view_of_one_peer_shows_its_pace() -> None:
    shown = drawn(board((status(1, "alder", pace=PACE),)))
    assert "pace eager; 16 steps a round (64 declared), 310 steps/s" in shown
    assert "pace" not in drawn(board((status(1, "alder"),)))


def test_what_holds_a_peer_back_is_said() -> None:
    held = {**PACE, "tempo": "paced", "density_permille": 250, "is_full": True}
    (line,) = pacing({"pace": held})
    assert line.startswith("pace paced")
    assert "publishes 25% of its usual share" in line
    assert "line full at 90" in line
    assert "line full" not in pacing({"pace": PACE})[0]
    assert "publishes" not in pacing({"pace": PACE})[0]


def test_who_is_not_drawn_to_publish_is_said_to_rest_and_until_when() -> None:
    panel = {"drawn": False, "places": 100, "trainers": 1204, "until": time.time() + 345, "undrawn": []}
    assert pacing({"pace": PACE, "panel": panel}) == ["not drawn: 100 of 1,204 publish at a time, next draw in 6 min"]
    assert pacing({"pace": PACE, "panel": {**panel, "drawn": True}}) == pacing({"pace": PACE})
