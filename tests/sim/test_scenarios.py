"""The set that CI runs: every scenario has figures in the tree, what changed is told, and what breaks fails."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gossip.sim.scenario_file import scenario_names
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

    assert scenarios.main(words) == 0
    assert "changed: " not in capsys.readouterr().out

    kept = json.loads((tmp_path / "kept.json").read_text())
    kept["scenarios"][small]["bytes_per_peer"] *= 2
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    assert scenarios.main(words) == 0
    assert re.search(r"changed: bytes_per_peer [\d,]+ -> [\d,]+ \(-50.0%\)", capsys.readouterr().out)


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


def test_a_peer_that_holds_something_else_in_the_end_is_broken_whatever_else_held() -> None:
    report = {"invariants_broken": [], "heads_equal": True, "again": "gossip simulate clean"}
    assert scenarios.broken(report) == []
    assert scenarios.broken({**report, "heads_equal": False})[-1] == "see it again with: gossip simulate clean"
