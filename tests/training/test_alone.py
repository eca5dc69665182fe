"""Training alone: the same seed gives the same file, what is held out is judged, and the file scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.settings import STORE
from cli.train import too_few
from gossip.filterlists.sighting import Sighting
from gossip.model_file import read_model_file
from gossip.scorers import load_scorer
from gossip.training.alone import Alone, calibrated
from gossip.training.metrics import area_under_roc
from gossip.training.own_rows import read_own_rows
from tests.advisor.models import model_file
from tests.cli.test_ledger import facts, gossip

ROUNDS = "6"

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))


def table(path: Path, sites: int = 40) -> Path:
    """Forty sites, each with a banner, a beacon and files of its own."""
    rows = []
    for number in range(sites):
        page = f"https://site{number}.example/"
        for what, url, kind in (
            ("ad", f"https://banner{number % 5}.example/adserve/{number}.js", "script"),
            ("tracker", f"https://count{number % 3}.example/pixel?id={number}", "image"),
            ("benign", f"{page}style/main{number}.css", "stylesheet"),
            ("benign", f"{page}photo/{number}.jpg", "image"),
        ):
            rows.append({"page": page, "url": url, "type": kind, "label": what})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def train(*words: str | Path, code: int = exits.OK) -> dict[str, Any]:
    return facts("train", *map(str, words), "--rounds", ROUNDS, code=code)


def test_a_minute_alone_gives_a_model_that_scores(tmp_path: Path) -> None:
    data, out = table(tmp_path / "rows.jsonl", 150), tmp_path / "m.gossip"
    found = train(data, "--out", out, "--licence", "MPL-2.0", "--seed", "3")
    assert found["records"] + found["held_out"] == 600
    assert set(found["labels"]) == {"ad", "benign", "tracker"}
    assert (found["rounds"], found["seed"], found["calibrated"]) == (6, 3, True)
    assert (found["sources"][0]["name"], found["sources"][0]["licence"]) == ("rows.jsonl", "MPL-2.0")
    assert found["figures"]["pr_auc"] > 0.95
    assert found["figures"]["rows"] == found["held_out"]
    scorer = load_scorer(out, None)
    page = "https://new.example/"
    rows = [
        Sighting("https://banner7.example/adserve/999.js", page, "script"),
        Sighting("https://count9.example/pixel?id=999", page, "image"),
        Sighting("https://new.example/style/main.css", page, "stylesheet"),
    ]
    (ad, *_), (_, tracker, _), (*_, fine) = scorer.score(rows)
    assert ad > 0.5
    assert tracker > 0.5
    assert fine < 0.5
    again = tmp_path / "again.gossip"
    train(data, "--out", again, "--licence", "MPL-2.0", "--seed", "3")
    assert again.read_bytes() == out.read_bytes()


def test_a_capture_is_labelled_by_lists_and_people_are_told_what_that_means(tmp_path: Path) -> None:
    pytest.importorskip("adblock")
    rows = [json.loads(line) for line in table(tmp_path / "rows.jsonl", 20).read_text().splitlines()]
    capture, out, lists = tmp_path / "mon.jsonl", tmp_path / "m.gossip", tmp_path / "list.txt"
    capture.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "label"}) + "\n" for row in rows))
    lists.write_text("! Title: Ann's list\n/adserve/*\n")
    few = table(tmp_path / "few.jsonl", 5)
    told = gossip(
        "train", str(capture), "--list", str(lists), "--out", str(out), "--validation", str(few), "--rounds", "1"
    )
    assert "trained    80 rows: 60 benign, 20 ad" in told
    assert "1 round in" in told
    assert "held out   20 rows of few.jsonl of 5 sites, 10 of them ads or trackers" in told
    assert "benign here is what these lists do not block: precision is understated" in told
    assert "not calibrated: too few held-out rows" in told
    assert f"wrote      {out}" in told
    assert f"gossip score CAPTURE --model {out}" in told
    found = read_model_file(out)
    assert not found.calibration.measured
    assert [source.name for source in found.trained.sources] == ["mon.jsonl"]
    assert [source.name for source in found.trained.lists] == ["Ann's list"]


def test_nothing_is_trained_for_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    data = table(tmp_path / "rows.jsonl", 8)
    kept = model_file(tmp_path / STORE)
    for words in ((data, "--out", data), (data, "--out", tmp_path), (tmp_path / "gone", "--out", kept)):
        gossip("train", *map(str, words), code=exits.USAGE)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    assert "row 1" in gossip("train", str(bad), "--out", str(tmp_path / "m.gossip"), code=exits.USAGE)
    assert "cannot write" in gossip("train", str(bad), "--out", str(tmp_path), code=exits.USAGE)  # nothing was read yet
    assert not (tmp_path / "m.gossip").exists()


def test_a_list_named_as_data_is_called_what_score_calls_it(tmp_path: Path) -> None:
    easy, out = tmp_path / "easylist.txt", tmp_path / "m.gossip"
    easy.write_text("! Title: EasyList\n||ads.example^\n")
    said = gossip("train", str(easy), "--out", str(out), code=exits.USAGE)
    assert said.count("\n") == 1
    scored = CliRunner().invoke(app, ["score", str(easy), "--model", str(model_file(tmp_path / "other.gossip"))])
    assert said.strip() in scored.stderr.splitlines()
    assert "it begins as a filter list does; name lists after --list, captures as data" in said


def test_a_model_of_a_handful_of_rows_is_said_to_be_of_no_use(tmp_path: Path) -> None:
    rows, held = str(table(tmp_path / "rows.jsonl", 8)), str(table(tmp_path / "held.jsonl", 2))
    out = tmp_path / "m.gossip"
    done = CliRunner().invoke(app, ["train", rows, "--validation", held, "--out", str(out), "--rounds", "1"])
    assert "gossip: too few rows to be of use: 32 to train on, 8 held out to judge by" in done.stderr
    whole = read_model_file(out)
    judged = calibrated(whole.spec, whole.theta, read_own_rows(whole.spec, [Path(rows)], Path(held)))[1]
    for count, by, few in ((99, judged, True), (100, judged, False), (100, None, True)):
        trained = msgspec.structs.replace(whole.trained, labels={"ad": count - 40, "benign": 40})
        assert (too_few(Alone(replace(whole, trained=trained), by, 0, 0)) is not None) is few


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), max_size=40))
def test_the_area_is_how_often_a_row_to_be_found_ranks_above_one_that_is_not(rows: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([score for score, _ in rows]), np.array([found for _, found in rows], np.bool_)
    pairs = [(a, b) for a, yes in rows for b, no in rows if yes and not no]
    expected = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs) if pairs else 0.0
    assert area_under_roc(scores, positive) == pytest.approx(expected)
