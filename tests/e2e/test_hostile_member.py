"""A member that means harm, as a process of its own: let in by its invite, clipped, judged."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from gossip import Examples, Node, NodeConfig, Task
from gossip.events import Note
from gossip.setup import create_swarm, make_ticket
from ledger.chain import peer_of
from ledger.entry import GRID_ONE, Update
from ledger.replica import Replica
from tests.e2e.machines import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]
MODEL = (ROOT / "examples" / "own_model.json").read_text()
POLICY = "policy = 1\n[holdout.loss_milli]\nmax = 50\n"
FIRST = 4  # updates that are judged together
WITHIN_S = 240.0


class Digits(Task):
    def train(self) -> Examples:
        return Examples(*load_digits(return_X_y=True))


async def test_it_is_let_in_by_its_invite_clipped_and_condemned_by_who_has_rows(tmp_path: Path) -> None:
    place = tmp_path / "ann"
    ann = create_swarm(
        place, name="digits", task="digits", model_text=MODEL, peer_name="ann", seed=1, policy_text=POLICY
    ).peer
    condemned: asyncio.Future[Note] = asyncio.get_running_loop().create_future()

    def on_note(note: Note) -> None:
        if note.kind == "verdict" and note.fields["decision"] == "condemned" and not condemned.done():
            condemned.set_result(note)

    ticket = make_ticket(place).text
    node = Node(NodeConfig(directory=place, task=Digits(), interface="lo", min_round_s=0.3), on_note)
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        group.create_task(node.run())
        hostile = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.attack.join", ticket, "--attack", "ipm", "--every", "0.1", "--name", "mallory",
            cwd=ROOT, env={**os.environ, "HOME": str(tmp_path)}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            verdict = (await condemned).fields
        finally:
            hostile.terminate()
            said, _ = await hostile.communicate()
        node.request_stop()

    assert (verdict["peer"], verdict["about_name"]) == (ann, "mallory")
    assert [row["rule"] for row in verdict["readings"]] == ["holdout.loss_milli.max"]
    assert len(verdict["seqs"]) == FIRST
    assert b"knocked" in said
    assert b"published entry" in said
    assert hostile.returncode == 0
    check_clipped(node._book.replica, ann, verdict["about"])


def check_clipped(replica: Replica, ann: str, mallory: str) -> None:
    """What mallory published is in the model (one of two cannot condemn it), and none of it moves the model further
    than the clip lets anybody."""
    constants = replica.constants
    norms: dict[str, list[int]] = {ann: [constants.norm0], mallory: []}
    moved = []
    for log, seq, _, weight in replica.updates:
        update = replica.entry(log, seq)
        assert isinstance(update, Update)
        norms[peer_of(log)].append(update.norm)
        if peer_of(log) == mallory:
            moved.append(weight * update.norm)
    assert len(moved) >= FIRST
    clip = constants.kappa / GRID_ONE * max(norms[ann])
    assert max(norms[mallory]) > clip  # or nothing had to be clipped
    assert max(moved) <= constants.eta / 2 * clip  # of two active groups
    assert max(moved) > 0
