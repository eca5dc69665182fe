"""Scenarios in files: those that come with the program, what a file may say, and how one that is wrong is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gossip.sim import BadDisk, Crash, Cut, Scenario, Twin, about_scenario, load_scenario, scenario_names, simulate
from gossip.sim.scenario_file import _SAME, _File
from ledger.errors import LocalError

EVERYTHING = """
about = "All there is."
peers = 8
seconds = 12.5
loss = 0.1
signatures = "checked"
[[late]]
share = 0.25
at = 3
[[slow]]
peers = [1, 2]
factor = 5.0
[[skew]]
peers = [3]
seconds = -3600.0
[[observer]]
peers = [5]
[[pruner]]
peers = [6]
keep = 20
[[public]]
peers = [4]
[[flipped]]
peers = [4]
labels = 0.5
[[cheat]]
peers = [4]
fault = "copies"
[[crash]]
share = 0.25
at = 4.0
down_s = 2.0
[[cut]]
share = 0.5
at = 5.0
until = 6.0
[[twin]]
peers = [3]
at = 7.0
[[disk_full]]
peers = [1]
at = 1.0
until = 2.0
[[disk_error]]
peers = [2]
at = 1.0
until = 2.0
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "one.toml"
    path.write_text(text)
    return path


def test_a_file_says_all_of_a_scenario(tmp_path: Path) -> None:
    path = written(tmp_path, EVERYTHING)
    assert load_scenario(path, seed=9) == Scenario(
        peers=8, seconds=12.5, seed=9, loss=0.1, signatures="checked", late={6: 3, 7: 3}, slow={1: 5.0, 2: 5.0},
        skew_s={3: -3600.0}, observers=(5,), prunes={6: 20}, public=(4,), flipped={4: 0.5}, faults={4: "copies"},
        crashes=(Crash(6, 4.0, 2.0), Crash(7, 4.0, 2.0)), cuts=(Cut(5.0, 6.0, (4, 5, 6, 7)),), twins=(Twin(3, 7.0),),
        disk_full=(BadDisk(1, 1.0, 2.0),), disk_error=(BadDisk(2, 1.0, 2.0),),
    )  # fmt: skip
    assert about_scenario(path) == "All there is."


def test_shares_grow_with_the_swarm(tmp_path: Path) -> None:
    path = written(tmp_path, "[[cut]]\nshare = 0.5\nat = 1\nuntil = 2\n")
    assert load_scenario(path, peers=4).cuts == (Cut(1, 2, (2, 3)),)
    assert load_scenario(path, peers=10).cuts == (Cut(1, 2, (5, 6, 7, 8, 9)),)


def test_the_page_names_every_key() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "simulator.md").read_text()
    for key, kind in _File.__annotations__.items():
        assert f"[[{key}]]" in page if kind.startswith("list") else f"`{key}`" in page, key
    example = page.split("```toml\n")[1].split("```")[0]
    assert msgspec.toml.decode(example, type=_File).cut


def test_what_a_file_leaves_out_is_as_in_the_program() -> None:
    """But for the length of the training, which a file has longer."""
    empty, usual = _File(), Scenario(seconds=60.0)
    assert {key: getattr(empty, key) for key in _SAME} == {key: getattr(usual, key) for key in _SAME}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("peers = 'many'", "Expected `int`, got `str` - at `$.peers`"),
        ("peers = 0", "at `$.peers`"),
        ("peers = 100000", "at `$.peers`"),
        ("loss = 1.5", "at `$.loss`"),
        ("loss = nan", "loss is no finite number"),
        ("seconds = inf", "seconds is no finite number"),
        ("seconds = 0.0", "impossible length"),
        ("weather = 'bad'", "unknown field `weather`"),
        ("[[crash]]\nat = 1", "give either peers or share"),
        ("[[crash]]\npeers = [1]\nshare = 0.5\nat = 1", "give either peers or share"),
        ("[[crash]]\npeers = [1]", "missing required field `at` - at `$.crash[0]`"),
        ("[[crash]]\npeers = [99]\nat = 1", "names peer 99, who does not exist"),
        ("[[disk_full]]\npeers = [1]\nat = 2\nuntil = 1", "a [[disk_full]] ends at 1 s and begins at 2 s"),
        ("[[cut]]\npeers = [1]\nat = 2\nuntil = 2", "a [[cut]] ends at 2 s and begins at 2 s"),
        ("[[twin]]\npeers = [1]\nat = 3\nuntil = 2", "a [[twin]] ends at 2 s and begins at 3 s"),
        ("[[crash]]\npeers = [1]\nat = 500", "a [[crash]] begins at 500 s, when all is over"),
        ("[[late]]\npeers = [1]\nat = 500", "a [[late]] begins at 500 s, when all is over"),
        ("[[cut]]\npeers = [1]\nat = 500\nuntil = 600", "a [[cut]] begins at 500 s, when all is over"),
        ("seconds = 1e8", "at `$.seconds`"),
        ("settle_s = 1e8", "at `$.settle_s`"),
        ("peers = 4\nadmins = 5", "5 admins of 4 peers"),
        ("threshold = 2", "2 admins change the policy together, and there are 1"),
        ("peers = 4\nwitnesses = 5", "5 witnesses of 4 peers"),
        ("[cut]\nat = 1\nuntil = 2", "write [[cut]], with two brackets"),
        ("[[cut]]\npeers = [1]\nbegin = 1\nuntil = 2", "choose of: at, until, peers, share"),
        ("[[cut]]\npeers = [1]\nat = 1\nuntill = 2", "did you mean until?"),
        ("[[cheat]]\npeers = [1]\nfault = 'yawns'", "choose of: copies, harms, mute, lies, hides"),
        ("signatures = 'none'", "choose of: real, checked"),
        ("[[skew]]\npeers = [1]\nseconds = 1e9", "impossibly wrong"),
        ("[[cheat]]\npeers = [1]\nfault = 'yawns'", "yawns"),
        ("peers = ", "at end"),
        ("[[late]]\npeers = [1]\nat = -1", "at `$.late[0].at`"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(LocalError) as caught:
        load_scenario(path)
    assert said.lower() in str(caught.value).lower() or "at end" in said
    assert str(path) in caught.value.what
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "two.toml", tmp_path / "three.toml", tmp_path):
        with pytest.raises(LocalError):
            load_scenario(path)
    with pytest.raises(LocalError, match="there is no scenario 'weather'") as caught:
        load_scenario("weather")
    assert "churn" in str(caught.value.next_step)
    with pytest.raises(LocalError, match="did you mean churn") as caught:
        load_scenario("chrun")
    with pytest.raises(LocalError, match="cannot simulate 0 peers"):
        load_scenario("churn", peers=0)


def test_those_that_come_with_the_program_are_there_and_say_what_for() -> None:
    assert {"churn", "clean", "everything", "late-join", "partition"} <= set(scenario_names())
    for name in scenario_names():
        assert about_scenario(name).endswith(".")
        assert load_scenario(name).seed == 0
        assert load_scenario(name, peers=6, seed=3).peers == 6


def test_a_few_peers_live_through_the_worst_of_them() -> None:
    """All of them, of more peers, are run by `make scenarios`, which CI does after the tests."""
    report = simulate(replace(load_scenario("everything", peers=5, seed=1), signatures="checked"))
    assert report.wrong == (), f"seed {report.seed}: {report}"
