"""`gossip head`: from examples or judgements to a category for each request of a capture."""

from __future__ import annotations

import csv
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from gossip.filterlists.judging import judgement_of
from gossip.judgements import append
from tests.cli.own_peer import OwnPeer, own_peer


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> OwnPeer:
    with pytest.MonkeyPatch.context() as patch:
        return own_peer(tmp_path_factory.mktemp("own"), patch)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def gossip(*words: object, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stderr if code == exits.USAGE else done.stdout


def widget(site: int, kind: str = "chat") -> dict[str, Any]:
    name = {"chat": "livechat/window.js", "consent": "cookie/banner.js"}[kind]
    return {
        "url": f"https://w{site % 3}.example/{name}?k={site}",
        "page": f"https://shop{site}.example/",
        "type": "script",
    }


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    rows = [{**widget(site, kind), "category": kind} for site in range(8) for kind in ("chat", "consent")]
    path = tmp_path / "examples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "mon.jsonl"
    rows = [
        widget(40),
        widget(41, "consent"),
        {**widget(42), "url": "https://shop42.example/img/1.png", "type": "image"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_from_examples_to_categories_of_a_capture(peer: OwnPeer, home: Path, examples: Path, capture: Path) -> None:
    said = json.loads(gossip("head", "train", "widgets", examples, "--dir", peer.place, "--json"))
    assert [(one["category"], one["examples"]) for one in said["categories"]] == [("chat", 8), ("consent", 8)]
    assert said["none"] == 48, "own rows stand for none"
    (kept,) = home.rglob("*.head")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    lines = gossip("score", capture, "--dir", peer.place, "--head", "widgets", "--json").splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    assert [row["category"] for row in rows] == ["chat", "consent", "none"]
    assert all(0 <= row["p_category"] <= 1 for row in rows)
    cells = list(
        csv.DictReader(io.StringIO(gossip("score", capture, "--dir", peer.place, "--head", "widgets", "--csv", "-")))
    )
    assert [cell["category"] for cell in cells] == ["chat", "consent", "none"]
    assert "by head" in gossip("score", capture, "--dir", peer.place, "--head", "widgets")
    shown = gossip("head", "show")
    for words in ("widgets", "chat", "known when left out"):
        assert words in shown
    plain = json.loads(gossip("score", capture, "--dir", peer.place, "--json").splitlines()[0])
    assert "category" not in plain


def test_a_category_that_nothing_tells_is_said_not_to_be_learned(peer: OwnPeer, examples: Path) -> None:
    with examples.open("a") as file:
        for site in range(3):  # as any other row of this peer
            row = {"url": f"https://cdn{site}.example/lib/{site}/menu.js", "page": f"https://shop{site}.example/"}
            file.write(json.dumps({**row, "type": "script", "category": "odd"}) + "\n")
    for told in (gossip("head", "train", "w", examples, "--dir", peer.place), gossip("head", "show", "w")):
        (line,) = [line for line in told.splitlines() if "cannot be learned from these" in line]
        assert line.startswith("odd ")


def test_own_judgements_with_a_category_for_a_note_are_examples(peer: OwnPeer) -> None:
    (peer.place / "judgements.jsonl").unlink(missing_ok=True)
    for site in range(5):
        row = widget(site)
        append(peer.place, judgement_of(row["url"], "benign", page=row["page"], kind="script", note="#chat", time=site))
    append(peer.place, judgement_of("https://plain.example/a.js", "ad", note="seen on tv", time=9))
    said = json.loads(gossip("head", "train", "mine", "--from-labels", "--dir", peer.place, "--json"))
    assert [(one["category"], one["examples"]) for one in said["categories"]] == [("chat", 5)]
    (peer.place / "judgements.jsonl").unlink()


def test_bad_rows_are_left_out_by_number_and_counted(peer: OwnPeer, examples: Path) -> None:
    with examples.open("ab") as file:
        file.write(b'{"url":"javascript:x","category":"chat"}\n\xff\xfe\n' + b'{"url":"' + b"a" * 99_999 + b'"}\n[]\n')
    done = CliRunner().invoke(app, ["head", "train", "w", str(examples), "--dir", str(peer.place), "--json"])
    assert done.exit_code == exits.FINDINGS
    assert json.loads(done.stdout)["bad_rows"] == 4
    for words in ("row 17 is left out", "row 19", "longer than 64 KiB", "4 rows are left out in all"):
        assert words in done.stderr


def test_what_cannot_be_is_one_line(peer: OwnPeer, examples: Path, home: Path, capture: Path) -> None:
    for words in (
        ("head", "train", "../x", examples, "--dir", peer.place), ("head", "train", "x", "--dir", peer.place),
        ("head", "train", "x", examples, "--from-labels", "--dir", peer.place), ("head", "show", "nobody"),
        ("score", capture, "--dir", peer.place, "--head", "nobody"),
    ):  # fmt: skip
        assert len(gossip(*words, code=exits.USAGE).strip().splitlines()) == 1
    assert "No head yet" in gossip("head", "show")
    (home / ".heads").mkdir(parents=True)
    (home / ".heads" / "odd.head").write_bytes(b"{}\n")
    assert "cannot be used" in gossip("head", "show", "odd", code=exits.USAGE)
