"""Captures given to commands that want labelled data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits, labelling, remembered
from cli.app import app
from gossip.filterlists.shelf import Shelf
from ledger.errors import LocalError
from ledger.export import Header, write_model
from tests.cli.own_peer import MODEL, SPEC

pytest.importorskip("adblock")

PAGES = [f"https://site{number}.example/" for number in range(12)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    rows = [f"{page}\t{url}" for page in PAGES for url in ("https://ads.example/x.js", f"{page}a.css", "data:x")]
    path = tmp_path / "mon.txt"
    path.write_text("\n".join([*rows, rows[0], "nonsense"]))
    return path


@pytest.fixture
def ads(tmp_path: Path) -> Path:
    path = tmp_path / "ads.txt"
    path.write_text("! Title: Ads of ours\n! Version: 7\n||ads.example^\n")
    return path


def gossip(*words: Any) -> Any:
    return CliRunner().invoke(app, list(map(str, words)))


def test_a_capture_is_checked_as_it_would_be_labelled(home: Path, capture: Path, ads: Path) -> None:
    done = gossip("data", "check", capture, ads, "--json")
    assert done.exit_code == exits.OK, done.output
    facts = json.loads(done.stdout)
    assert facts["labels"] == {"ad": 12, "benign": 12}
    assert [(file["name"], file["kind"]) for file in facts["files"]] == [("mon.txt", "requests"), ("ads.txt", "list")]
    (found,) = facts["captures"]
    assert (found["bad"], found["left_out"], found["repeated"]) == ({"its URL is no web address": 1}, {"data": 12}, 1)
    assert [(each["name"], each["kind"], each["version"]) for each in found["lists"]] == [("Ads of ours", "ad", "7")]
    told = gossip("data", "check", capture, ads).stdout
    assert "labelled mon.txt (list of URLs) by Ads of ours: 12 ad, 12 benign" in told
    assert "1 request of the same page again: kept once" in told
    assert "left out: 12 data: addresses" in told
    assert "cannot be used: 1: its URL is no web address" in told


def test_lists_that_are_remembered_label_where_none_is_named(home: Path, capture: Path, ads: Path) -> None:
    Shelf(home / "home" / "lists.json").add(ads, "tracker")
    done = gossip("data", "check", capture, "--json")
    facts = json.loads(done.stdout)
    assert facts["labels"] == {"benign": 12, "tracker": 12}
    assert [file["name"] for file in facts["files"]] == ["mon.txt", "ads.txt"]  # and the entry would name it


def test_without_any_list_one_line_says_what_to_do(home: Path, capture: Path) -> None:
    header = Header(
        format="gossip-model/1", swarm="11" * 32, snapshot=("ab" * 32, 7, "22" * 32), heads=[], model_hash="33" * 32,
        layout=SPEC.layout(), model=MODEL, updates=3,
    )  # fmt: skip
    write_model(home / "model", header, bytes(4 * SPEC.parameters))
    for words in (
        ("data", "check", capture), ("train", capture, "--out", home / "m.gossip"),
        ("data", "privacy", capture, "--model", home / "model"),
    ):  # fmt: skip
        done = gossip(*words)
        assert done.exit_code == exits.USAGE
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert "have no labels" in done.stderr
        assert "gossip lists add FILE" in done.stderr
    assert not (home / "m.gossip").exists()


def test_a_capture_is_never_public(home: Path, capture: Path) -> None:
    gossip("new", "my-swarm")
    for words in ((capture, "public"), (capture, "public", "--dry-run"), (capture, "--dry-run")):
        done = gossip("data", "zone", *words)
        assert "is a capture" in done.stderr


def test_a_run_trains_on_the_table_and_the_next_one_labels_again_what_has_changed(
    home: Path, capture: Path, ads: Path
) -> None:
    gossip("new", "my-swarm")
    place = home / "home" / "my-swarm"

    def told(**wishes: Any) -> tuple[tuple[Path, ...], tuple[Path, ...], remembered.Remembered]:
        wanted = remembered.Wishes(**wishes)
        remembered.check(wanted)
        remembered.read_through(wanted)
        config = labelling.for_run(place, remembered.config(place, wanted, None), quiet=True)
        return config.data, config.lists, remembered.last_run(place)

    (table,), lists, last = told(data=[capture], lists=[ads])
    assert table.parent == place / "labelled"
    assert lists == (ads.resolve(),)
    assert (last.data, last.captured) == ([str(table)], [str(capture)])
    assert told()[0] == (table,)
    ads.write_text(ads.read_text() + "||site1.example^\n")
    (other,), _, last = told()
    assert other != table
    assert (last.data, last.captured) == ([str(other)], [str(capture)])
    capture.unlink()  # what was made of it stays
    data, lists, last = told()
    assert (data, lists, last.captured) == ((other,), (ads.resolve(),), [])


def test_what_cannot_be_labelled_is_said_before_anything_is_made(home: Path, capture: Path, ads: Path) -> None:
    empty = capture.with_name("empty.har")
    empty.write_text('{"log":{"entries":[]}}')
    with pytest.raises(LocalError, match=r"nothing to label: it holds no request"):
        remembered.read_through(remembered.Wishes(data=[empty], lists=[ads]))
    with pytest.raises(LocalError, match="have no labels"):
        remembered.read_through(remembered.Wishes(data=[capture]))
    with pytest.raises(LocalError, match="no honest epsilon exists for 25 records"):  # its requests are counted
        remembered.read_through(remembered.Wishes(data=[capture], lists=[ads], epsilon=8.0))
