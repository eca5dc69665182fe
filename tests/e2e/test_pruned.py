"""Real nodes: one keeps everything, one lets go of its past, restarts and goes on; both have one model, and the first
one's bundle replays to it.

The founder's months are lived by its machine on its real directory (test_late.py); what follows are nodes.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from gossip import Node, NodeConfig
from gossip import directory as places
from gossip.config import PeerConfig
from gossip.events import DataReady, Note, Started
from gossip.setup import create_swarm, enrol, make_ticket
from gossip.sim.station import commitment
from ledger.store import Store
from tests.e2e.test_late import MODEL, ROUND_S, UPDATES, Life, Months

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e-two"),
]
MORE = 20  # updates after the restart
WITHIN_S = 240.0


class Days(Months):
    """The founder alone, for some updates more."""

    def __init__(self, founder: Path, now: float) -> None:
        self.now = now
        self._due, self._count = [], 0
        self._founder = Life(self, founder, PeerConfig())
        self.lives = [self._founder]

    async def go_by(self, updates: int) -> str:
        """What the model is called then."""
        replica = self._founder.book.replica
        before = sum(1 for _ in replica.updates)
        self.later(self._founder, 0.0, Started())
        self.later(self._founder, 0.0, DataReady(commitment(0), ROUND_S))
        self._run(lambda: sum(1 for _ in replica.updates) >= before + updates)
        await self._founder.close()
        return self._founder.book.model_hash()


async def meet(*configs: NodeConfig, model: str) -> tuple[list[Node], list[Note]]:
    """Run nodes until the last one of them has that model and nothing more to do; what it told."""
    notes: list[Note] = []
    nodes = [Node(config, lambda note: None) for config in configs[:-1]]
    nodes.append(Node(configs[-1], notes.append))
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        tasks = [group.create_task(node.run()) for node in nodes]
        while nodes[-1].status()["model_hash"] != model or nodes[-1].status()["missing"]:
            await asyncio.sleep(0.05)  # its status is all that tells
        for _ in range(100):
            if any(note.kind == "pruned" for note in notes) or nodes[-1].status()["blobs"]["base"]:
                break
            await asyncio.sleep(0.05)
        status = nodes[-1].status()
        for node in nodes:
            node.request_stop()
    assert all(task.done() for task in tasks)
    assert status["model_hash"] == model
    return nodes, notes


def gossip(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*words])
    assert result.exit_code == code, result.output
    return result.output


def status_of(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gossip("status", "--dir", str(place), "--json"))["blobs"]
    return found


async def test_one_prunes_restarts_and_goes_on_and_the_others_bundle_replays_to_the_same_model(tmp_path: Path) -> None:
    ann, bea, cara = tmp_path / "ann", tmp_path / "bea", tmp_path / "cara"
    create_swarm(ann, name="digits", task="digits", model_text=MODEL, peer_name="ann", seed=1)
    enrol(cara, make_ticket(ann), "cara")
    months = Months(ann, cara)
    assert await months.pass_by(UPDATES) > 1
    first = months._founder.book.model_hash()
    ticket = make_ticket(ann)
    enrol(bea, ticket, "bea")

    keeping = NodeConfig(directory=ann, interface="lo")
    pruning = NodeConfig(directory=bea, interface="lo", ticket=ticket, keep_updates=0)
    _, notes = await meet(keeping, pruning, model=first)
    told = next(note.fields for note in notes if note.kind == "pruned")
    assert told["updates"] > UPDATES // 2
    assert status_of(ann)["archive"] is True
    assert status_of(bea)["archive"] is False
    assert status_of(bea)["base"]["updates"] == told["updates"]
    assert status_of(bea)["count"] <= status_of(ann)["count"] - told["deltas"] + 1

    second = await Days(ann, months.now).go_by(MORE)
    assert second != first
    nodes, _ = await meet(keeping, pruning, model=second)  # both start anew, from what their disks hold
    assert nodes[-1].status()["blobs"]["archive"] is False
    with Store.open_readonly(places.store_path(ann)) as one, Store.open_readonly(places.store_path(bea)) as other:
        assert sorted(one.history()) == sorted(other.history())

    bundle = str(tmp_path / "bundle")
    refused = " ".join(gossip("ledger", "bundle", "--dir", str(bea), "--out", bundle, code=2).split())
    assert "let go of old deltas" in refused
    made = json.loads(gossip("ledger", "bundle", "--dir", str(ann), "--out", bundle, "--json"))
    assert made["model_hash"] == second
    report = json.loads(gossip("ledger", "verify", bundle, "--swarm", made["swarm"], "--json"))
    assert report["findings"] == []
    assert report["model_hash"] == second
