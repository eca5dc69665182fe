"""`gossip lists`: remembered whole or not at all; linted by line; held against captures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app

pytestmark = pytest.mark.usefixtures("offline")

LIST = """[Adblock Plus 2.0]
! Title: My Privacy
! Version: 7
! Licence: MIT
||ads.example^
||x.ads.example^
@@||ads.example/ok
"""
ROWS = [
    {"url": "https://ads.example/1.js", "page": "https://news.test/", "type": "script"},
    {"url": "https://x.ads.example/2.js", "page": "https://other.test/", "type": "script"},
    {"url": "https://cdn.example/3.js", "page": "https://news.test/", "type": "script"},
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["lists", *map(str, words)], env={"COLUMNS": "200"})
    assert done.exit_code == code, done.output
    return str(done.output)


def shelf(home: Path) -> list[dict[str, str]]:
    return list(json.loads((home / "lists.json").read_text())["lists"])


def test_lists_are_remembered_by_their_paths_with_what_they_say_of_themselves(tmp_path: Path, home: Path) -> None:
    mine = put(tmp_path / "mine.txt", LIST)
    assert "No list is remembered yet" in run("show")
    assert run("add", mine) == "remembered My Privacy, a list for trackers, version 7, MIT\n"
    (kept,) = shelf(home)
    assert (kept["path"], kept["kind"], kept["version"]) == (str(mine), "tracker", "7")
    run("add", mine, "--kind", "ad")  # the same file, looked at again
    (shown,) = json.loads(run("show", "--json"))["lists"]
    assert (shown["name"], shown["kind"], shown["licence"], shown["changed"]) == ("My Privacy", "ad", "MIT", False)
    copy = put(tmp_path / "copy.txt", LIST)
    assert run("add", copy).endswith(f", MIT, in place of {mine}, which has the same title\n")
    assert "forgotten My Privacy" in run("remove", "My Privacy")
    assert shelf(home) == []
    assert mine.exists()
    assert "there are: none" in run("remove", "My Privacy", code=2)


def test_a_list_that_changed_is_shown_as_it_is_now_and_one_that_went_is_left_out(tmp_path: Path) -> None:
    one, two = put(tmp_path / "one.txt", LIST), put(tmp_path / "two.txt", "! Title: Two\n||two.example^\n")
    run("add", one, two)
    put(one, LIST.replace("Version: 7", "Version: 8"))
    two.unlink()
    said = run("show")
    assert "8" in said
    assert "changed since" in said
    assert f"left out: {two}: cannot be read" in said.replace("\n", " ")
    facts = json.loads(run("show", "--json"))
    assert [(each["version"], each["changed"]) for each in facts["lists"]] == [("8", True)]
    assert [each["list"] for each in facts["left_out"]] == ["Two"]


BAD = {
    "page.txt": (b"<!DOCTYPE html><html>", "it begins as a web page does"),
    "data.txt": (b'{"log": {}}', "it begins as data do"),
    "rows.txt": (b'[{"url": 1}]', "it begins as data do"),
    "empty.txt": (b"\n\n", "it is empty"),
    "wide.txt": ("||a.example^\n".encode("utf-16"), "it begins as UTF-16 does"),
    "noise.txt": (bytes(range(128, 256)) * 4, "it is no text"),
    "packed.txt": (b"\x1f\x8b\x08\x00abc", "it is packed (gzip)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_list_is_said_in_one_line_and_nothing_is_remembered(tmp_path: Path, home: Path, name: str) -> None:
    data, why = BAD[name]
    good, bad = put(tmp_path / "good.txt", LIST), put(tmp_path / name, data)
    said = run("add", good, bad, code=2)
    assert said.count("\n") == 1
    assert f"{bad}: this is no filter list: {why}" in said
    assert not (home / "lists.json").exists()
    assert why in run("lint", bad, code=2)


def test_a_list_of_200_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    huge = put(tmp_path / "huge.txt", LIST)
    with huge.open("r+b") as file:
        file.truncate(200 << 20)
    assert "it is longer than 64 MiB" in run("add", huge, code=2)


NO_SHELVES = (
    "", "{", "[]", '{"format":"gossip/shelf/2","lists":[]}', '{"format":"gossip/shelf/1"}',
    '{"format":"gossip/shelf/1","lists":[{"name":"x"}]}', '{"format":"gossip/shelf/1","lists":[],"more":1}',
)  # fmt: skip


@pytest.mark.parametrize("text", NO_SHELVES)
def test_a_shelf_that_is_none_is_not_begun_anew(tmp_path: Path, home: Path, text: str) -> None:
    home.mkdir()
    put(home / "lists.json", text)
    assert "these are no remembered lists" in run("show", code=2)
    assert "these are no remembered lists" in run("add", put(tmp_path / "mine.txt", LIST), code=2)
    assert (home / "lists.json").read_text() == text


def test_lint_says_line_level_rule_and_reason_and_counts_at_the_end(tmp_path: Path) -> None:
    bad = put(
        tmp_path / "bad.txt", LIST + "||b.example^$thrid-party\n||c.example^$removeparam=x\nno rule here\na.test##.ad\n"
    )
    said = run("lint", bad, "--style", "easylist", code=1)
    assert f"{bad}:6: warning: ||x.ads.example^: line 5 covers it: ||ads.example^" in said
    assert f"{bad}:8: error: ||b.example^$thrid-party: no engine knows the option 'thrid-party'" in said
    assert f"{bad}:10: error: no rule here: it holds a blank" in said
    assert f"{bad}:7: style: @@||ads.example/ok: it belongs before ||x.ads.example^" in said
    assert said.endswith(
        "5 rules on requests (1 exceptions), 1 on pages (not looked at), 1 line that cannot be read\n"
        "left out by the engine adblock, for an option that it does not know: removeparam 1\n"
        "2 errors, 1 warning, 1 style\n"
    )
    facts = json.loads(run("lint", bad, "--json", code=1))
    assert facts["counts"] == {
        "network": 5, "exceptions": 1, "hosts": 0, "cosmetic": 1, "comments": 5, "unreadable": 1,
        "found": {"covered": 1, "unknown-option": 1, "unreadable": 1}, "dropped_by_adblock": {"removeparam": 1},
    }  # fmt: skip
    assert [each["line"] for each in facts["findings"]] == [6, 8, 10]
    assert "Nothing was found." in run("lint", put(tmp_path / "good.txt", "||a.example^\n"))
    assert "--style x is not known" in run("lint", bad, "--style", "x", code=2)


def test_a_report_says_what_fired_what_is_needless_and_how_little_was_seen(tmp_path: Path) -> None:
    capture = put(tmp_path / "mon.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    run("add", put(tmp_path / "mine.txt", LIST))
    said = run("report", capture)
    assert said.startswith("3 requests of 2 sites; 2 matched by a rule, 0 of these freed by an exception\n")
    assert "My Privacy:6 ||x.ads.example^ 1 My Privacy:5 ||ads.example^" in " ".join(said.split())
    assert "not dead by that" in said
    assert "never fired\n" not in said
    assert "My Privacy:7 @@||ads.example/ok" in " ".join(run("report", capture, "--all").split())
    (of,) = json.loads(run("report", capture, "--json"))["lists"]
    assert (of["fired"], of["never_fired"], of["exceptions_never_fired"], len(of["covered"])) == (2, 0, 1, 1)
    assert [of[key] for key in ("twice", "covered_as_seen", "dropped_by_engine", "not_tried")] == [[], [], 0, 0]
    assert [(each["line"], each["hits"], each["sites"]) for each in of["hits"]] == [(5, 2, 2), (6, 1, 1)]
    run("report", capture, "--csv", tmp_path / "out.csv", "--all")
    with (tmp_path / "out.csv").open() as file:
        rows = [(row["line"], row["what"], row["hits"]) for row in csv.DictReader(file)]
    assert rows == [("5", "fired", "2"), ("6", "fired", "1"), ("6", "covered", "1"), ("7", "exception never", "0")]
    assert "'@@||ads.example/ok" in (tmp_path / "out.csv").read_text()  # to a spreadsheet it would be a formula
    run("report", capture, "--csv", tmp_path / "out.csv")
    assert "exception never" not in (tmp_path / "out.csv").read_text()
    assert "exceptions_never" not in json.loads(run("report", capture, "--json"))["lists"][0]


def test_a_report_in_80_columns_cuts_no_column_off(tmp_path: Path) -> None:
    capture = put(tmp_path / "mon.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    run("add", put(tmp_path / "mine.txt", LIST))
    done = CliRunner().invoke(app, ["lists", "report", str(capture)], env={"COLUMNS": "80"})
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert {"list My Privacy", "covered 1", "as seen 0"} <= set(lines)
    place = lines.index("My Privacy:6 ||x.ads.example^")
    assert lines[place + 1] == "by My Privacy:5 ||ads.example^"


def test_a_report_needs_a_list_and_says_bad_rows(tmp_path: Path) -> None:
    capture = put(tmp_path / "mon.jsonl", json.dumps(ROWS[0]) + "\n{\n")
    assert "no list to report on" in run("report", capture, code=2)
    mine = put(tmp_path / "mine.txt", LIST)
    assert "1 row left out" in run("report", capture, "--list", mine, code=1)
    done = CliRunner().invoke(app, ["lists", "report", str(capture), "--list", str(mine), "--json"])
    told = json.loads(done.stdout)
    assert [told[key] for key in ("requests", "rows_left_out", "matched", "excepted", "without_page")] == [
        1,
        1,
        1,
        0,
        0,
    ]
    run("add", mine)
    put(tmp_path / "other.txt", "! Title: Other\n||x.example^\n")
    run("add", tmp_path / "other.txt")
    mine.unlink()
    assert "mine.txt: cannot be read" in run("report", capture, code=1)  # and the other is reported on


def test_nothing_that_a_list_says_acts_on_a_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\u202e"
    text = f"! Title: A{evil}B\n! Version: {evil}1\n||ads.example^$x{evil}\nads.example/{evil}\n"
    mine = put(tmp_path / "mine.txt", text)
    capture = put(tmp_path / "mon.jsonl", json.dumps(ROWS[0]) + "\n")
    for words in (["add", mine], ["show"], ["show", "--json"], ["lint", mine], ["report", capture, "--all"]):
        said = CliRunner().invoke(app, ["lists", *map(str, words)]).output
        assert "\x1b" not in said
        assert "\u202e" not in said


def test_no_command_writes_over_a_list_that_is_remembered(tmp_path: Path) -> None:
    """It need not be among the files that are named: --out easylist.txt is one slip away from a year's work."""
    mine = put(tmp_path / "mine.txt", LIST)
    capture = put(tmp_path / "mon.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    run("add", mine)
    for words in (
        ["suggest", capture, "--out", mine], ["score", capture, "--csv", mine], ["score", capture, "--html", mine],
        ["lists", "report", capture, "--csv", mine], ["train", capture, "--out", mine],
    ):  # fmt: skip
        done = CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "200"})
        assert done.exit_code == 2
        assert "would overwrite a filter list" in done.output
    assert mine.read_text() == LIST
