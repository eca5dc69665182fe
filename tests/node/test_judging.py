"""A running node whose owner judges: it reads its data again, and what it goes on with is on record."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import control, label
from cli.app import app
from gossip.directory import store_path
from gossip.events import Note
from gossip.judgements import judgements_path
from gossip.node import Node, NodeConfig
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST
from ledger.canonical import decode_entry
from ledger.entry import Data, Update
from ledger.errors import LocalError
from ledger.store import Store
from tests.training.test_checks import row, write

WITHIN_S = 120.0
SMALL = FILTERLIST.replace('"batch": 128', '"batch": 8').replace('"local_steps": 64', '"local_steps": 2')


def written(place: Path) -> list[Data | Update]:
    with Store.open_readonly(store_path(place)) as store:
        own = [decode_entry(data) for data in store.entries(store.meta("self").decode())]
    return [entry for entry in own if isinstance(entry, Data | Update)]


async def test_a_running_node_notices_a_judgement_and_trains_on_it_from_the_next_round_on(tmp_path: Path) -> None:
    place = tmp_path / "peer"
    create_swarm(place, name="s", task="filterlist", model_text=SMALL, peer_name="anna", seed=1)
    files = [write(tmp_path / f"{name}.jsonl", [row(n, site=name) for n in range(60)]) for name in ("mine", "held")]
    told: asyncio.Queue[Note] = asyncio.Queue()
    node = Node(NodeConfig(directory=place, data=(files[0],), validation=files[1], min_round_s=0.0), told.put_nowait)

    async def until_next(kind: str) -> None:
        while (note := await told.get()).kind != "entry" or note.fields["kind"] != kind:
            pass

    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(node.run())
        await until_next("update")
        words = ["label", "metrics.example", "tracker", "--dir", str(place), "--no-scores", "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert json.loads(done.stdout)["node"] == "told", done.output
        await until_next("data")
        await until_next("update")

        with judgements_path(place).open("ab") as lines:
            lines.write(b"{}\n")
        with pytest.raises(LocalError, match="line 2 is no judgement"):
            await asyncio.to_thread(control.ask, place, "relabelled")
        await until_next("update")  # a slip ends no node that trains
        node.request_stop()
    before, after = [entry for entry in written(place) if isinstance(entry, Data)]
    assert before.judgements == {}
    assert after.judgements == {"tracker": 6}
    assert after.records == before.records + 6
    cited = [entry.data for entry in written(place) if isinstance(entry, Update)]
    assert sorted(set(cited)) == [before.seq, after.seq]
    assert all(data == (before.seq if entry.seq < after.seq else after.seq)
               for entry, data in ((e, e.data) for e in written(place) if isinstance(e, Update)))  # fmt: skip
    assert label.notify(place) == "not running"
