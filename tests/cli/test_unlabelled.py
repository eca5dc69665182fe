"""`--unlabelled`: from the command line to what training is told, and again without being said twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import exits, own, remembered, running
from cli.app import app
from gossip.node import NodeConfig
from gossip.node.own_data import Own


def gossip(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == exits.OK, done.output
    return done.stdout


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    gossip("new", "swarm")
    return tmp_path / "home" / "swarm"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    row = {"page": "https://news.test/", "url": "https://ads.test/x.js", "type": "script", "label": "ad"}
    path.write_text(json.dumps(row) + "\n", "utf-8")
    return path


async def told(config: NodeConfig) -> bool:
    """What training is told by this run."""
    files = Own(config, "ab" * 32, bytes(32), lambda text: None)
    try:
        return (await files.data("{}")).unlabelled
    finally:
        files.close()


async def test_it_is_remembered_until_it_is_taken_back(place: Path, data: Path) -> None:
    wishes = [remembered.Wishes(data=[data], unlabelled=wish) for wish in (None, True, None, False, None)]
    found = [await told(remembered.config(place, wish, None)) for wish in wishes]
    assert found == [False, True, True, False, False]


def test_who_judges_by_an_own_list_knows_that_it_is_one(place: Path, data: Path) -> None:
    assert own.own_data(place).against == "labels"
    remembered.config(place, remembered.Wishes(data=[data], unlabelled=True), None)
    assert own.own_data(place).against == "own list"


def test_both_ways_to_start_a_peer_take_it(
    place: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NodeConfig] = []

    def run(config: NodeConfig, *_: object, **__: object) -> int:
        seen.append(config)
        return exits.OK

    monkeypatch.setattr(running, "run_node", run)
    ticket = json.loads(gossip("invite", "--ticket", "--json"))["ticket"]
    gossip("join", ticket, "--data", data, "--dir", tmp_path / "second", "--unlabelled")
    gossip("run", "swarm", "--data", data, "--unlabelled")
    gossip("run", "swarm")
    gossip("run", "swarm", "--labelled")
    assert [config.unlabelled for config in seen] == [True, True, True, False]
