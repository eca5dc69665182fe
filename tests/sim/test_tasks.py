"""Tasks of one's own in the simulator: the code that a real node trains with, in virtual time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gossip import Examples, Scenario, Task, simulate
from gossip.config import PeerConfig
from gossip.filterlists.engine import Label
from gossip.sim import SimSwarm
from gossip.sim.tasks import TaskTrainer
from gossip.training.spec import FILTERLIST, ModelSpec
from gossip.training.task import FileTask
from ledger.entry import Data, Verdict
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


# ------------------------------------------------------------------ files of requests

SMALL = json.loads(FILTERLIST) | {
    "features": {"kind": "url-grams/1", "buckets": 1024, "grams_per_row": 64}, "batch": 16, "local_steps": 4,
    "layers": [{"kind": "embedding_bag", "buckets": 1024, "units": 3}],
}  # fmt: skip
POLICY = f"""\
policy = 1
[labels.ad]
toy = "{"ab" * 32}"
[opened.wrong_labels_permille]
max = 50
"""
BAD = 2


class AdHosts:
    """An engine whose list has one rule."""

    def label(self, page: str, url: str, kind: str) -> Label:
        return "ad" if "//ads." in url else "benign"


def requests(path: Path, peer: int, *, turned: bool) -> Path:
    rows = []
    for number in range(240):
        page, is_ad = f"https://site{peer}-{number // 4}.example/", number % 3 == 0
        url = f"https://{'ads' if is_ad else 'static'}.host{number % 40}.example/{number}.js"
        label = "ad" if is_ad and not (turned and number % 40 < 10) else "benign"
        rows.append({"page": page, "url": url, "type": "script", "label": label, "third_party": True})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("turned", [True, False])
def test_labels_of_chosen_domains_turned_in_a_public_file_are_seen_by_the_lists(tmp_path: Path, turned: bool) -> None:
    """A quarter of one peer's ad hosts are called benign. All of what it learned from that leaves everybody's model;
    with true labels nobody loses anything."""
    spec = ModelSpec.parse(json.dumps(SMALL))
    tasks = [FileTask((requests(tmp_path / f"{i}.jsonl", i, turned=turned and i == BAD),)) for i in range(4)]
    trainer = TaskTrainer(spec, tasks, 1, AdHosts())
    scenario = Scenario(
        peers=4, seconds=9.0, round_s=1.0, seed=1, policy=POLICY, config=PeerConfig(verdict_s=2.0), witnesses=0,
        public=(0, 1, 2, 3), density=spec.density, norm0=spec.norm0, eta=spec.eta,
    )  # fmt: skip
    try:
        swarm = SimSwarm(scenario, trainer)
        report = swarm.run()
    finally:
        trainer.close()
    assert report.heads_equal
    assert report.models_equal
    book, bad = swarm.peers[0].book, swarm.peers[BAD].self_id
    assert book is not None
    replica = book.replica
    counting = {peer: sum(log == peer for log, *_ in replica.updates) for peer in report.peers}
    assert counting == {peer: 0 if turned and peer == bad else report.updates[peer] for peer in report.peers}
    entries = [(log, replica.entry(log, seq)) for log, size in replica.heads().items() for seq in range(size)]
    judges = {log for log, entry in entries if isinstance(entry, Verdict)}
    assert (len(judges) >= 3) is turned
    for log, entry in entries:
        if isinstance(entry, Data):
            assert (entry.features, entry.zone) == ("url-grams/1", "public")
            assert 150 < entry.records == sum(entry.labels.values()) < 240  # the rest is held out, by site
            assert (entry.labels["ad"] < 0.3 * entry.records) is (turned and log == bad)
