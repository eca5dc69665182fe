"""`gossip data zone`: what is public, what a change means, and what would leave, before anything does."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from gossip.zones import zones_path

ROWS = Path(__file__).resolve().parents[2] / "gossip" / "data" / "sitelist-2015.jsonl.gz"
PAGE = "www.example-secret.test"


def gossip(*words: str, code: int = exits.OK, told: str | None = None) -> str:
    done = CliRunner().invoke(app, list(words), input=told)
    assert done.exit_code == code, done.output
    return done.stdout if code == exits.OK else done.stderr


def facts(*words: str) -> dict[str, Any]:
    value = json.loads(gossip(*words, "--json"))
    assert isinstance(value, dict)
    return value


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    gossip("new", "lists", "--seed", "7")
    return tmp_path / "home" / "lists"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    with gzip.open(ROWS, "rb") as rows:
        path.write_bytes(b"".join(next(rows) for _ in range(60)))
    return path


def test_a_file_is_made_public_and_private_again(place: Path, file: Path) -> None:
    assert gossip("data", "zone").startswith("Every other file is private")
    told = gossip("data", "zone", str(file), "public", "--to", "auditor", "relay", "--yes")
    assert "every auditor, every relay" in told
    assert facts("data", "zone")["public"] == [
        {
            "path": str(file),
            "sha256": told.split("sha256")[1].split()[0],
            "opens": ["auditor", "relay"],
            "state": "public",
        }
    ]
    file.write_bytes(file.read_bytes() + b"\n")
    assert "changed since: private again" in gossip("data", "zone", "lists")
    assert "with others, and stay there" in gossip("data", "zone", str(file), "private")
    assert "as it was" in gossip("data", "zone", str(file), "private", "lists")
    assert facts("data", "zone", "--dir", str(place))["public"] == []


def test_nothing_is_made_public_without_a_yes_and_the_question_says_what_it_means(place: Path, file: Path) -> None:
    complaint = gossip("data", "zone", str(file), "public", code=exits.USAGE)
    for word in ("every member can ask for records", "cannot be taken back", "by the sketch", "--yes"):
        assert word in complaint
    assert not zones_path(place).exists()


def test_a_dry_run_shows_the_data_entry_and_who_gets_what_and_changes_nothing(place: Path, file: Path) -> None:
    private = facts("data", "zone", str(file), "--dry-run")
    restricted = facts("data", "zone", str(file), "public", "--to", "auditor", "--dry-run")
    public = facts("data", "zone", str(file), "public", "--dry-run")
    assert not zones_path(place).exists()
    audience = [{kind["kind"]: kind["to"] for kind in shown["kinds"]} for shown in (private, restricted, public)]
    assert [to["records"] for to in audience] == [[], ["role auditor"], ["members"]]
    assert [to["sketch"] for to in audience] == [[], [], ["everybody"]]
    for to in audience:
        assert to["facts"] == to["delta"] == ["everybody"]
        assert to["rows"] == to["leaves"] == to["salt"] == to["remainder"] == []
    assert [shown["data"]["zone"] for shown in (private, restricted, public)] == ["private", "public", "public"]
    assert [bool(shown["data"]["sketch"]) for shown in (private, restricted, public)] == [False, False, True]
    assert private["data"]["root"] != public["data"]["root"] == restricted["data"]["root"]
    assert sum(public["data"]["labels"].values()) == public["data"]["records"] > 0
    assert public["data"]["sources"][0]["name"] == file.name
    told = gossip("data", "zone", str(file), "--dry-run")
    assert "gossip data privacy FILE says how much can be told from them" in told
    assert "nobody: its zone is private" in told
    assert private["data"]["root"] in told
    assert "nothing is sent" in told


def test_the_dry_run_shows_facts_and_no_row(file: Path) -> None:
    row = json.loads(file.read_text().splitlines()[0])
    row |= {"page": f"https://{PAGE}/diary", "url": f"https://{PAGE}/diary/pixel.gif"}
    file.write_text(file.read_text() + json.dumps(row) + "\n")
    assert PAGE not in gossip("data", "zone", str(file), "--dry-run")
    assert PAGE not in gossip("data", "zone", str(file), "public", "--dry-run")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["{file}", "private", "--to", "auditor"], "--to goes with public"),
        (["{file}", "secret"], "neither a file and its zone nor a swarm"),
        (["{file}", "public", "--to", "nobody-here", "--yes"], "is no role, and no peer here is called so"),
        (["/nowhere/rows.jsonl", "public", "--yes"], "no file /nowhere/rows.jsonl"),
        (["{file}", "public", "elsewhere", "--yes"], "no swarm called 'elsewhere'"),
        (["--to", "auditor"], "--to goes with public"),
    ],
)
def test_mistakes_are_told_in_one_line_and_change_nothing(
    words: list[str], complaint: str, place: Path, file: Path
) -> None:
    said = gossip("data", "zone", *(word.format(file=file) for word in words), code=exits.USAGE)
    assert complaint in said
    assert said.count("\n") == 1
    assert not zones_path(place).exists()


def test_a_peer_is_named_by_id_by_its_first_digits_or_by_its_name(place: Path, file: Path) -> None:
    peer = facts("key", "show")["peer"]
    for word in (peer, peer[:8]):
        told = facts("data", "zone", str(file), "public", "--to", word, "--yes")
        assert told["opens"] == [peer]
    assert peer[:12] in gossip("data", "zone")


def test_a_damaged_list_is_one_line(place: Path, file: Path) -> None:
    gossip("data", "zone", str(file), "public", "--yes")
    zones_path(place).write_bytes(b"{}")
    said = gossip("data", "zone", code=exits.USAGE)
    assert "damaged: all data are private" in said
    assert said.count("\n") == 1
