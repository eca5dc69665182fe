"""`gossip policy set` while a node runs: the wish is read first, written by the machine, answered when it is signed."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cli import control
from gossip import Node, NodeConfig
from gossip import directory as places
from gossip.events import Note
from gossip.node import checking
from gossip.node.alone import set_policy
from gossip.pinned import keep, pinned_path
from gossip.setup import create_swarm, enrol, make_ticket
from gossip.training.spec import FILTERLIST
from ledger.canonical import decode_entry
from ledger.entry import PolicyChange
from ledger.errors import LocalError
from ledger.policy import Policy
from ledger.store import Store

WITHIN_S = 120.0
LIST = b"||ads.example^\n"
POLICY = "policy = 1\n[data.records]\nmin = 500\n"


async def ask(place: Path, command: str, **words: object) -> dict[str, Any]:
    answer = await asyncio.to_thread(control.ask, place, command, **words)
    assert answer is not None
    return answer


def entries(place: Path) -> list[PolicyChange]:
    with Store.open_readonly(places.store_path(place)) as store:
        own = [decode_entry(data) for data in store.entries(store.meta("self").decode())]
    return [entry for entry in own if isinstance(entry, PolicyChange)]


async def test_a_running_node_writes_the_policy_and_says_what_it_lacks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "is_installed", lambda: True)
    place = tmp_path / "anna"
    create_swarm(place, name="s", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1)
    ready = asyncio.Event()

    def heard(note: Note) -> None:
        if note.kind == "ready":
            ready.set()

    node = Node(NodeConfig(directory=place), heard)
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(node.run())
        await ready.wait()
        pinned = POLICY + f'[labels.ad]\neasylist = "{sha256(LIST).hexdigest()}"\n'
        answer = await ask(place, "policy", text=pinned)
        (written,) = entries(place)  # on disk before the owner is told
        digest = Policy.parse(pinned).hash
        assert (written.seq, written.number, written.policy) == (answer["seq"], 1, digest)
        assert (answer["number"], answer["hash"], answer["missing"]) == (1, digest, 0)
        now = (await ask(place, "status"))["status"]
        assert now["policy"] == {"number": 1, "hash": digest, "pins_missing": ["easylist"], "lacks_engine": False}
        monkeypatch.setattr(checking, "is_installed", lambda: False)
        assert (await ask(place, "status"))["status"]["policy"]["lacks_engine"]
        (tmp_path / "list.txt").write_bytes(LIST)
        keep(pinned_path(place), tmp_path / "list.txt", Policy.parse(pinned))  # what gossip policy pin does
        assert (await ask(place, "status"))["status"]["policy"]["pins_missing"] == []

        for text, why in (
            ("policy = 1\n[data.recods]\nmin = 1\n", "recods"),
            (pinned, "in force already"),
            (7, "this is no policy"),
        ):
            with pytest.raises(LocalError, match=why):
                await ask(place, "policy", text=text)
        assert len(entries(place)) == 1
        node.request_stop()


def test_without_a_node_the_same_is_written_by_admins_alone(tmp_path: Path) -> None:
    anna, berta = tmp_path / "anna", tmp_path / "berta"
    create_swarm(anna, name="s", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1)
    enrol(berta, make_ticket(anna), "berta")
    seq = set_policy(anna, None, POLICY.encode())
    assert [(entry.seq, entry.number) for entry in entries(anna)] == [(seq, 1)]
    with pytest.raises(LocalError, match="in force already"):
        set_policy(anna, None, POLICY.encode())
    with pytest.raises(LocalError):
        set_policy(berta, None, POLICY.encode())
    assert entries(berta) == []
