"""Tasks of one's own in the simulator: the code that a real node trains with, in virtual time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gossip import Examples, Scenario, Task, simulate
from ledger.errors import LocalError

MODEL = json.dumps(
    {
        "model": 1,
        "features": {"kind": "numbers/1", "columns": 2, "label": "side", "scale": 1.0},
        "classes": ["left", "right"],
        "layers": [{"kind": "dense", "units": 2}],
        "loss": "softmax",
        "optimiser": {"kind": "sgd", "rate": 0.5},
        "batch": 16,
        "local_steps": 8,
        "metrics": ["pr_auc", "f1"],
    }
)


class Points(Task):
    """Points of the plane, left or right of a slanted line; this peer saw only one end of it."""

    def __init__(self, end: float) -> None:
        self.end = end

    def train(self) -> Examples:
        return self._draw(60, self.end)

    def validation(self) -> Examples:
        return self._draw(200, 0.0)

    def _draw(self, count: int, around: float) -> Examples:
        points = np.random.default_rng(3).normal([0, around], 1, (count, 2))
        return Examples(points, ["right" if x > 0.5 * y else "left" for x, y in points])


def test_two_peers_learn_one_line_from_its_two_ends() -> None:
    report = simulate(tasks=[Points(-2.0), Points(2.0)], model=MODEL, rounds=8, seed=1)
    assert report.heads_equal
    assert report.models_equal
    assert all(7 <= updates <= 10 for updates in report.updates.values())
    assert report.accuracy is not None
    assert report.accuracy > 0.85
    assert "all hold the same model" in str(report)


def test_what_does_not_fit_together_is_said() -> None:
    with pytest.raises(LocalError, match="need a model"):
        simulate(tasks=[Points(0.0)])
    with pytest.raises(LocalError, match="1 tasks for 3 peers"):
        simulate(Scenario(peers=3), tasks=[Points(0.0)], model=MODEL)
