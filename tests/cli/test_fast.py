"""`gossip simulate SCENARIO --fast`: rules side by side in words, JSON and a page."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.fast import names

RULES = ("--rule", "fold", "--rule", "mimic-as-printed", "--rule", "none")


def run(*words: object, code: int = exits.OK) -> Any:
    done = CliRunner().invoke(app, ["simulate", *map(str, words), "--fast"])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """A scenario of whole machines in small, as JSON and a page."""
    folder = tmp_path_factory.mktemp("fast")
    (folder / "mine.toml").write_text('about = "x"\npeers = 4\nseconds = 24.0\nchurn = 0.5\n')
    out = run(folder / "mine.toml", *RULES, "--seed", 5, "--json", "--html", folder / "page.html").stdout
    return json.loads(out), (folder / "page.html").read_text()


def test_the_json_has_each_rule_with_accuracy_spread_and_bytes(ran: tuple[dict[str, Any], str]) -> None:
    facts, _ = ran
    assert [row["rule"] for row in facts["rules"]] == ["fold", "mimic-as-printed", "none"]
    assert (facts["peers"], facts["seed"], facts["data"], facts["rounds"]) == (4, 5, "digits", 12.0)
    for row in facts["rules"]:
        assert 0 <= row["accuracy_worst"] <= row["accuracy_mean"] <= 1
        assert row["accuracy_spread"] >= 0
        assert [point["time"] for point in row["curve"]][-1] == 12.0
    fold, _, none = facts["rules"]
    assert fold["bytes_per_peer"] > none["bytes_per_peer"] == 0
    assert facts["again"].endswith("--peers 4 --seed 5")
    assert facts["about"] == "x"


def test_the_page_draws_a_line_for_each_rule_and_loads_nothing(ran: tuple[dict[str, Any], str]) -> None:
    _, page = ran
    assert page.count("<svg") == 4
    for rule in ("fold", "mimic-as-printed", "none"):
        assert f">{rule} " in page
    assert "<script" not in page
    assert "default-src 'none'" in unescape(page)


def test_a_table_says_the_same_to_people(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('about = "x"\npeers = 3\nseconds = 8.0\n')
    said = run(tmp_path / "mine.toml", "--rule", "fold", "--rounds", 5).stdout
    assert "5 rounds" in said
    assert "accuracy" in said
    assert "worst peer" in said
    assert "fold" in said
    assert "Again   gossip simulate" in said


def test_the_crowd_says_how_fast_it_was() -> None:
    row = json.loads(run("crowd", "--peers", 300, "--rule", "fold-bundled", "--rounds", 6, "--json").stdout)["rules"][0]
    assert row["node_rounds_per_s"] > 0
    assert row["node_rounds_per_core_s"] > 0
    assert row["curve"][-1]["time"] == 6


def test_what_is_not_there_is_said_before_anything_is_computed() -> None:
    assert "did you mean fold?" in run("thirty-two", "--rule", "folt", code=exits.USAGE).output
    assert "fold-bundled" in run("crowd", "--rule", "fedavg", code=exits.USAGE).output
    assert run("nowhere", code=exits.USAGE).exit_code == exits.USAGE
    assert "byzantine has twins" in run("byzantine", code=exits.USAGE).output
    assert set(names()) == {"thirty-two", "webnn-four", "crowd"}
