"""Which directory a command means: --dir, else NAME, else the only swarm there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import settings
from gossip.setup import create_swarm
from gossip.training.spec import BUILTIN
from ledger.errors import LocalError
from ledger.store import PutMeta, Store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path))
    return tmp_path


def peer(place: Path) -> Path:
    """A folder of a swarm whose genesis has not arrived."""
    place.mkdir(parents=True)
    with Store(place / settings.STORE) as store:
        store.commit([PutMeta("founder", b"0" * 64)])
    return place


def test_with_one_swarm_its_name_may_be_left_out(home: Path) -> None:
    peer(home / "lists")
    (home / "not-a-swarm").mkdir()
    settings.new_demo_directory()
    assert settings.existing_directory(None, None) == home / "lists"


def test_a_name_beside_dir_is_never_ignored(home: Path) -> None:
    place = peer(home / "lists")
    with pytest.raises(LocalError, match="'annoyances' and --dir name two peers; keep one"):
        settings.existing_directory("annoyances", place)


def test_with_several_the_error_lists_them(home: Path) -> None:
    peer(home / "lists")
    peer(home / "annoyances")
    with pytest.raises(LocalError, match=r"which swarm.*annoyances, lists.*add its name"):
        settings.existing_directory(None, None)
    assert settings.existing_directory("lists", None) == home / "lists"


def test_an_unknown_name_is_answered_with_the_known_ones(home: Path) -> None:
    peer(home / "lists")
    with pytest.raises(LocalError, match="no swarm called 'list' here: there are lists"):
        settings.existing_directory("list", None)


def test_without_any_swarm_it_says_how_to_begin(home: Path) -> None:
    with pytest.raises(LocalError, match="gossip new NAME"):
        settings.existing_directory(None, None)


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", ".hidden", "a" * 41, "sp ace", "demo-runs", "é"])
def test_a_name_that_is_no_folder_name_is_refused(home: Path, name: str) -> None:
    with pytest.raises(LocalError, match="as a swarm's name"):
        settings.new_directory(name, None)


def test_a_folder_that_holds_a_peer_is_not_made_again(home: Path) -> None:
    peer(home / "lists")
    with pytest.raises(LocalError, match="already holds a peer; start it with: gossip run lists"):
        settings.new_directory("lists", None)


def test_demo_runs_do_not_share_a_folder(home: Path) -> None:
    first, second = settings.new_demo_directory(), settings.new_demo_directory()
    assert (first.name, second.name) == ("run-1", "run-2")
    assert first.parent == home / "demo-runs"


def test_a_joined_swarm_answers_to_the_name_its_founder_gave_it(home: Path) -> None:
    create_swarm(
        home / "swarm-1234abcd", name="lists", task="t", model_text=BUILTIN["filterlist"], peer_name="a", seed=1
    )
    peer(home / "other")
    assert settings.existing_directory("lists", None) == home / "swarm-1234abcd"
