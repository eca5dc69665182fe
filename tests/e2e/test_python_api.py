"""From Python: real nodes on data of one's own, as docs/python.md shows it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gossip import Examples, Node, NodeConfig, Task
from gossip.events import Note
from gossip.setup import create_swarm, enrol, make_ticket

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]
MODEL = (Path(__file__).resolve().parents[2] / "examples" / "own_model.json").read_text()
WITHIN_S = 240.0


class Digits(Task):
    def __init__(self, *own: int) -> None:
        self.own = own

    def train(self) -> Examples:
        images, digits = load_digits(return_X_y=True)
        mine = np.isin(digits, self.own)
        return Examples(images[mine], digits[mine])


async def test_two_nodes_in_one_program_train_on_their_own_tasks(tmp_path: Path) -> None:
    ann, bea = tmp_path / "ann", tmp_path / "bea"
    swarm = create_swarm(ann, name="digits", task="digits", model_text=MODEL, peer_name="ann", seed=1)
    ticket = make_ticket(ann)
    enrol(bea, ticket, "bea")

    merged: dict[str, asyncio.Event] = {name: asyncio.Event() for name in ("ann", "bea")}

    def listen(name: str):
        def on_note(note: Note) -> None:
            if note.kind == "merged":
                merged[name].set()

        return on_note

    nodes = [
        Node(NodeConfig(directory=ann, task=Digits(0, 1, 2, 3, 4), interface="lo"), listen("ann")),
        Node(NodeConfig(directory=bea, task=Digits(5, 6, 7, 8, 9), interface="lo", ticket=ticket), listen("bea")),
    ]
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        for node in nodes:
            group.create_task(node.run())
        await asyncio.gather(*(event.wait() for event in merged.values()))
        statuses = [node.status() for node in nodes]
        for node in nodes:
            node.request_stop()
    assert {status["swarm"] for status in statuses} == {swarm.swarm}
    assert all(status["members"] == 2 and status["updates"] >= 1 for status in statuses)
    assert not list(tmp_path.glob("*/gossip-task-*")), "the task's rows are removed when the node stops"


async def test_whoever_is_not_let_in_is_told_what_stands_in_the_way(tmp_path: Path) -> None:
    ann, bea = tmp_path / "ann", tmp_path / "bea"
    create_swarm(ann, name="digits", task="digits", model_text=MODEL, peer_name="ann", seed=1)
    used_up = replace(make_ticket(ann), secret=bytes(16))  # as the inviter sees it: no ticket of its own any more
    enrol(bea, used_up, "bea")
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_note(note: Note) -> None:
        if note.kind == "trouble" and not told.done():
            told.set_result(note.fields["text"])

    inviter = Node(NodeConfig(directory=ann))
    guest = Node(NodeConfig(directory=bea, ticket=used_up), on_note)
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        group.create_task(inviter.run())
        group.create_task(guest.run())
        assert "invite was used up" in await told
        inviter.request_stop()
        guest.request_stop()
