"""The set that CI runs: every scenario has figures in the tree, what changed is told, and what breaks fails."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from gossip.sim import Scenario, simulate
from gossip.sim.scenario_file import load_scenario, scenario_names
from tests import scenarios
from tests.cli.test_simulate import APART, SMALL

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return str(path)


def test_figures_of_every_scenario_are_kept() -> None:
    kept = scenarios.kept_figures()
    assert sorted(kept["scenarios"]) == sorted(scenario_names()), "keep theirs, too: make scenarios ARGS='NAME --write'"
    for figures in kept["scenarios"].values():
        assert figures.keys() == {"trace", *scenarios.FIGURES}


def test_ci_runs_them_after_the_tests() -> None:
    commands = re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert commands[-2:] == ["test", "scenarios"]


def test_a_changed_figure_is_told_and_fails_nothing(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scenarios, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(scenarios, "ROOT", tmp_path)
    words = [small, "--peers", "4", "--jobs", "1"]
    assert scenarios.main([*words, "--write"]) == 0
    assert "no figures of it were kept" in capsys.readouterr().out

    (kept,) = json.loads((tmp_path / "kept.json").read_text())["scenarios"].values()
    assert scenarios.changes(kept, kept) == []
    assert scenarios.changes(kept, {**kept, "trace": "another"}) == ["another trace, the same figures"]
    (changed,) = scenarios.changes({**kept, "bytes_per_peer": 2 * kept["bytes_per_peer"]}, kept)
    assert re.fullmatch(r"bytes_per_peer [\d,]+ -> [\d,]+ \(-50.0%\)", changed)


def test_what_breaks_fails_with_the_command_that_shows_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "apart.toml"
    path.write_text(APART)
    assert scenarios.main([str(path), "--peers", "4", "--seed", "5", "--jobs", "1"]) == 1
    told = capsys.readouterr().out
    assert "BROKEN" in told
    assert f"see it again with: gossip simulate {path} --peers 4 --seed 5" in told
    assert "1 broken" in told


def test_a_stall_breaks_no_rule_and_is_wrong_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A round takes longer than there is: nobody publishes anything, all hold the same, and nobody is done."""
    path = tmp_path / "stall.toml"
    path.write_text('about = "A stall."\npeers = 3\nround_s = 500.0\nseconds = 10.0\nsettle_s = 2.0\n')
    report = simulate(load_scenario(str(path)))
    assert report.ok
    assert report.heads_equal
    assert len(report.wrong) == 1
    assert "never came to rest" in report.wrong[0]
    assert scenarios.main([str(path), "--peers", "3", "--jobs", "1"]) == 1
    assert "never came to rest" in capsys.readouterr().out
    assert CliRunner().invoke(app, ["simulate", str(path)]).exit_code == exits.FINDINGS


def test_peers_that_hold_different_things_are_wrong_whatever_rule_held() -> None:
    report = simulate(Scenario(peers=2, seconds=2.0, signatures="checked"))
    assert report.wrong == ()
    other = replace(report, tips={peer: str(number) for number, peer in enumerate(report.peers)})
    assert other.wrong == ("the peers do not hold the same in the end",)
    told = {**other.as_json(), "wrong": other.wrong, "again": "gossip simulate clean"}
    assert scenarios.broken(told)[-1] == "see it again with: gossip simulate clean"
