"""`gossip score`: a person with a capture, a model and some lists, from the first command to a rule worth writing."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits, render
from cli.app import app
from cli.score import COLUMNS
from gossip.filterlists import engine
from gossip.training.calibration import UNCALIBRATED
from tests.advisor.models import DECLARED, MEASURED, model_file, spec, weights
from tests.cli.test_hostile_names import Tags, acts
from tests.cli.test_ledger import gossip, stored
from tests.cli.test_page import CHROMIUM, LOUD, Looked
from tests.fold import toy

pytestmark = pytest.mark.usefixtures("offline")

NEWS, SHOP = "https://news.example/", "https://shop.example/"
SECRET = "s3cr3t-session-7f9a"
ROWS: Sequence[dict[str, str]] = (
    {"url": f"https://fresh.example/tag/7.js?sid={SECRET}", "page": NEWS, "type": "script"},
    {"url": f"https://fresh.example/tag/8.js?sid={SECRET}", "page": SHOP, "type": "script"},
    {"url": "https://listed.example/x.js", "page": NEWS, "type": "script"},
    {"url": "https://pardoned.example/x.js", "page": NEWS, "type": "script"},
    {"url": "https://pixel.example/p.gif", "page": NEWS, "type": "image"},
    {"url": "https://news.example/own.js", "page": NEWS, "type": "script"},
)
LIST = """[Adblock Plus 2.0]
! Title: Ann's list
! Version: 7
||listed.example^
||pardoned.example^
@@||pardoned.example^
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def capture(tmp_path: Path) -> str:
    return write(tmp_path / "mon.jsonl", ROWS)


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(model_file(tmp_path / "m.gossip"))


@pytest.fixture
def ann(tmp_path: Path) -> str:
    path = tmp_path / "ann.txt"
    path.write_text(LIST)
    return str(path)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def rows_of(*words: str, code: int = exits.OK) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One object per request, and what stands on stderr."""
    done = CliRunner().invoke(app, ["score", *words, "--json"])
    assert done.exit_code == code, done.output
    return [json.loads(line) for line in done.stdout.splitlines()], json.loads(done.stderr.splitlines()[-1])


def test_without_a_model_one_line_says_what_to_do_and_one_how_a_file_is_named(capture: str) -> None:
    done = CliRunner().invoke(app, ["score", capture])
    assert done.exit_code == exits.USAGE
    said = "No model yet. Start a swarm: gossip new NAME. Or alone: gossip train FILE --out m.gossip\n"
    assert (done.stdout, done.stderr) == ("", said + "made one already? name it: --model FILE\n")


def test_each_request_is_one_object_with_these_fields(capture: str, model: str, ann: str) -> None:
    pytest.importorskip("adblock")
    rows, told = rows_of(capture, "--model", model, "--list", ann)
    assert [tuple(row) for row in rows] == [
        ("url", "page", "type", "p_ad", "p_tracker", "p_block", "block", "listed_by")
    ] * 6
    assert tuple(rows[0]) == COLUMNS
    assert [row["block"] for row in rows] == [True, True, True, True, True, False]
    assert [row["listed_by"] for row in rows] == [[], [], ["Ann's list"], [], [], []]
    assert rows[0]["p_ad"] > 0.9 > 0.1 > rows[0]["p_tracker"]
    assert rows[4]["p_tracker"] > 0.9 > 0.1 > rows[4]["p_ad"]
    assert all(row["block"] is (row["p_block"] >= told["threshold"]) for row in rows)
    assert [told[key] for key in ("requests", "to_block", "open", "listed", "excepted", "passed")] == [6, 5, 3, 1, 1, 0]
    assert (told["threshold"], told["precision"], told["recall"]) == (0.9, 0.992, 0.81)
    assert told["lists"] == [{"name": "Ann's list", "version": "7", "date": ""}]
    assert (told["by_list"], told["notes"], told["bad"]) == ({"Ann's list": 1}, [], 0)
    assert told["groups"][0]["sample"] == {key: rows[0][key] for key in ("url", "page")}
    assert [(group["domain"], group["band"]) for group in told["groups"]] == [
        ("fresh.example", "open on several sites"), ("pixel.example", "open"), ("listed.example", "known"),
        ("pardoned.example", "known"), ("news.example", "quiet"),
    ]  # fmt: skip
    assert [part["path"] for part in told["groups"][0]["patterns"]] == ["/tag/*.js"]
    Path(ann).write_text("||news.example/own.js\n")
    assert rows_of(capture, "--model", model, "--list", ann)[1]["passed"] == 1  # a list blocks it, the model would not


def test_a_page_is_never_to_block_whatever_its_score(capture: str, model: str, tmp_path: Path) -> None:
    pages: list[dict[str, Any]] = [
        {"url": url, "page": url, "type": "script", "third_party": True}
        for url in ("https://fresh.example/tag/7.js", "https://fresh.example/tag/8.js")
    ]
    rows, told = rows_of(write(tmp_path / "pages.jsonl", pages), "--model", model)
    assert [row["block"] for row in rows] == [True, True]  # by the threshold
    assert [told[key] for key in ("to_block", "open", "pages")] == [0, 0, 2]
    assert [group["band"] for group in told["groups"]] == ["quiet"]
    said = gossip("score", str(tmp_path / "pages.jsonl"), "--model", model)
    assert "2 pages themselves reach the threshold: a page is never to block" in said
    assert "never to block" not in gossip("score", capture, "--model", model)


def test_people_are_shown_first_what_nobody_blocks(capture: str, model: str, ann: str) -> None:
    pytest.importorskip("adblock")
    said = gossip("score", capture, "--model", model, "--list", ann)
    places = [
        said.index(name) for name in ("fresh.example/tag/*.js", "pixel.example", "listed.example", "news.example")
    ]
    assert places == sorted(places)
    assert "On several sites, to block, and no list has a word on it" in said
    assert "to block from .900 on: precision 99.2% (at least 97.6%), recall 81.0%, on 402 held-out rows" in said
    assert "Ann's list 7" in said
    assert "6 requests to 5 domains: 5 to block at this threshold" in said
    assert "open: 3 of them, which no list blocks or excepts, to 2 domains, 1 of these on several sites" in said
    assert "4 more domains: --top 5 shows them all" in gossip("score", capture, "--model", model, "--top", "1")


def test_where_no_list_has_a_word_only_what_is_open_is_counted(tmp_path: Path, model: str) -> None:
    """A domain that a list blocks at one path and not at another: under that title stands the other alone."""
    pytest.importorskip("adblock")
    pages = [f"https://{name}.example/" for name in ("news", "shop", "blog")]
    rows = [{"page": page, "url": f"https://fresh.example/{path}/1.js", "type": "script"}
            for page in pages for path in ("tag", "old")]  # fmt: skip
    rows = [*rows[:2], *rows[2:4], rows[5]]  # the new path on two sites, the old one on three
    capture, list_ = write(tmp_path / "c.jsonl", rows), tmp_path / "own.txt"
    list_.write_text("! Title: Own\n||fresh.example/old/\n")
    page = tmp_path / "c.html"
    said = gossip("score", capture, "--model", model, "--list", str(list_), "--html", str(page))
    lines = [line.split() for line in said.splitlines()]
    assert ["P(block)", "ad", "tracker", "open", "sites", "rest", "by", "domain", "and", "path"] in lines
    assert [line[3:] for line in lines if "fresh" in "".join(line[-1:])] == [
        ["2", "2", "Own", "fresh.example/tag/*.js"]
    ]
    assert "/old/" not in said
    assert "/old/" not in page.read_text()


def test_a_narrow_terminal_keeps_what_matters(capture: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = gossip("score", capture, "--model", model)
    assert "tracker" in wide
    monkeypatch.setenv("COLUMNS", "50")
    narrow = gossip("score", capture, "--model", model)
    assert "tracker" not in narrow
    assert "fresh.example/tag/*.js" in narrow


def test_without_lists_everything_is_scored_and_coverage_is_not_claimed(
    capture: str, model: str, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = gossip("score", capture, "--model", model)
    assert "lists      not asked, so what they block already is not known: no list is remembered or named" in said
    assert "no list has a word" not in said
    assert "open:" not in said
    assert "fresh.example/tag/*.js" in said
    monkeypatch.setattr(engine, "is_installed", lambda: False)
    rows, told = rows_of(capture, "--model", model, "--list", ann)
    assert [row["block"] for row in rows] == [True, True, True, True, True, False]
    assert told["lists"] is None
    assert "pip install adblock" in told["lists_unknown"]
    assert told["groups"][0]["open"] is None


def test_values_of_queries_are_shown_only_when_asked_for(capture: str, model: str, tmp_path: Path) -> None:
    page, table = tmp_path / "out.html", tmp_path / "out.csv"
    ways = [["--html", str(page), "--csv", str(table)], ["--json"]]
    for raw in ([], ["--raw"]):
        said = ""
        for way in ways:
            done = CliRunner().invoke(app, ["score", capture, "--model", model, *way, *raw])
            assert done.exit_code == exits.OK
            said += done.stdout + done.stderr
        written = page.read_text() + table.read_text()
        assert (SECRET in said) is (SECRET in written) is bool(raw)
        assert "https://fresh.example/tag/7.js?sid=" in said
        assert "https://fresh.example/tag/7.js?sid=" in written


def test_no_name_in_a_path_or_of_a_page_is_shown(model: str, tmp_path: Path) -> None:
    mail = "anna@mail.example"
    rows = [{"url": f"https://fresh.example/{mail}/x.js", "page": f"{NEWS}?for={mail}", "type": "script"}]
    capture, page = write(tmp_path / "mail.jsonl", rows), tmp_path / "out.html"
    said = gossip("score", capture, "--model", model, "--html", str(page)) + page.read_text()
    done = CliRunner().invoke(app, ["score", capture, "--model", model, "--json"])
    assert mail not in said + done.stdout + done.stderr
    assert mail in gossip("score", capture, "--model", model, "--raw")


def test_a_table_for_spreadsheets_has_a_row_for_each_request(capture: str, model: str, tmp_path: Path) -> None:
    rows, _ = rows_of(capture, "--model", model, "--csv", str(tmp_path / "out.csv"))
    read = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [tuple(row) for row in read] == [COLUMNS] * 6
    assert [(row["url"], float(row["p_block"]), row["block"]) for row in read] == [
        (row["url"], row["p_block"], str(row["block"]).lower()) for row in rows
    ]
    out = gossip("score", capture, "--model", model, "--csv", "-")
    assert list(csv.DictReader(io.StringIO(out))) == read
    gossip("score", capture, "--model", model, "--csv", "-", "--json", code=exits.USAGE)
    before = Path(capture).read_bytes()
    for flag in ("--csv", "--html"):
        assert "would overwrite" in gossip("score", capture, "--model", model, flag, capture, code=exits.USAGE)
    assert Path(capture).read_bytes() == before


def test_rows_that_cannot_be_used_are_told_and_the_rest_goes_on(capture: str, model: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    good = json.dumps(ROWS[0])
    broken.write_text(f'{good}\n{{"url": "nonsense"}}\nnot json\n{good}\n')
    done = CliRunner().invoke(app, ["score", str(broken), capture, "--model", model])
    assert done.exit_code == exits.FINDINGS
    assert "row 2 cannot be used" in done.stderr
    assert "row 3 cannot be used" in done.stderr
    assert "8 requests to 5 domains" in done.stdout
    assert "broken.jsonl: cannot be used: 1: it is no JSON object" in done.stdout
    rows, told = rows_of(str(broken), "--model", model, code=exits.FINDINGS)
    assert (len(rows), told["bad"]) == (2, 2)
    broken.write_text("nonsense\n" * 5 + "https://a.example/\n")
    done = CliRunner().invoke(app, ["score", str(broken), "--model", model])
    assert done.stderr.count("cannot be used") == 3  # the first few; all are counted at the end
    assert "cannot be used: 5" in done.stdout
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(f"{good}\n".encode() * 2000)[:-9])
    rows, told = rows_of(str(cut), "--model", model, code=exits.FINDINGS)  # what came before is scored
    assert (len(rows) > 0, told["bad"]) == (True, 1)
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    gossip("score", str(empty), "--model", model, code=exits.USAGE)
    gossip("score", str(tmp_path / "gone" / "x.har"), "--model", model, code=exits.USAGE)


def test_a_capture_without_pages_is_scored(model: str, tmp_path: Path) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text("https://fresh.example/a.js\nhttps://other.example/\n")
    rows, told = rows_of(str(urls), "--model", model)
    assert [row["page"] for row in rows] == ["", ""]
    assert told["captures"][0]["pageless"] == 2
    assert {group["sites"] for group in told["groups"]} == {0}


def test_a_model_without_calibration_says_so_and_labelled_rows_mend_it(capture: str, tmp_path: Path) -> None:
    plain = str(model_file(tmp_path / "plain.gossip", UNCALIBRATED))
    assert "uncalibrated: what that is worth is not known" in gossip("score", capture, "--model", plain)
    labels = {"script": "ad", "image": "tracker", "font": "benign"}
    rows = [
        {"url": f"https://h{number}.example/{kind}", "page": NEWS, "type": kind, "label": label}
        for number in range(40)
        for kind, label in labels.items()
    ]
    _, told = rows_of(capture, "--model", plain, "--calibrate", write(tmp_path / "labelled.jsonl", rows))
    assert (told["calibrated"], told["calibrated_on"], told["precision"]) == (True, 120, 1.0)
    gossip("score", capture, "--model", plain, "--calibrate", capture, code=exits.USAGE)  # no labels in it


def test_a_peer_scores_with_what_it_holds(capture: str, model: str, tmp_path: Path) -> None:
    swarm = toy.Swarm([], layout=spec().layout(), model=DECLARED)
    empty = stored(tmp_path / "empty", swarm)
    done = CliRunner().invoke(app, ["score", capture, "--dir", str(empty)])
    assert (done.exit_code, done.stderr.split(".")[0]) == (exits.USAGE, "No model yet")
    for _ in range(3):
        swarm.founder.publish(weights() / 3)
    (tmp_path / "home").mkdir()
    place = stored(tmp_path / "home" / "filters", swarm)
    for words in (["--dir", str(place)], ["filters"], []):  # by its folder, by its name, and as the only one
        rows, told = rows_of(capture, *words)
        assert told["model"] == "filters"
        assert rows[0]["p_ad"] > rows[5]["p_ad"]
    gossip("score", capture, "--dir", str(place), "--model", model, code=exits.USAGE)


HOSTILE = "\x1b]8;;http://evil.example\x07<script>a()</script>\u202e[bold]"


def test_nothing_that_a_capture_or_a_list_says_acts_on_a_terminal_or_a_page(model: str, tmp_path: Path) -> None:
    pytest.importorskip("adblock")
    bad = tmp_path / "bad\u202elist.txt"
    bad.write_text(f"! Title: =cmd{HOSTILE}\n||fresh.example^\n")
    rows = [
        {**ROWS[0], "url": "https://fresh.example/<script>a()<b>[bold]'\"/x.js"},
        {**ROWS[1], "url": f"https://fresh.example/{HOSTILE}"},
        {**ROWS[1], "url": "https://fresh.example/\u202e\u200b"},
    ]
    capture = write(tmp_path / "mon\u202e.jsonl", rows)
    for number, way in enumerate((["--html", str(tmp_path / "p.html")], ["--json"], ["--csv", "-"])):
        for raw in ([], ["--raw"]):
            done = CliRunner().invoke(app, ["score", capture, "--model", model, "--list", str(bad), *way, *raw])
            assert done.exit_code in (exits.OK, exits.FINDINGS), done.output
            assert acts((done.stdout + done.stderr).replace("\r\n", "\n")) == [], (number, raw)
    page = (tmp_path / "p.html").read_text()
    assert acts(page) == []
    assert Tags(page).wrong == []
    assert "\n=cmd" not in done.stdout
    assert ",=cmd" not in done.stdout


def test_the_page_says_what_the_table_says(capture: str, model: str, ann: str, tmp_path: Path) -> None:
    pytest.importorskip("adblock")
    out = tmp_path / "out.html"
    said = gossip("score", capture, "--model", model, "--list", ann, "--html", str(out))
    assert f"wrote      {out}" in said
    page = out.read_text()
    for text in (
        "fresh.example",
        "/tag/*.js",
        "1 domain to look at",
        "Ann&#x27;s list",
        render.score(MEASURED.threshold),
    ):
        assert text in page
    assert "http" not in page.replace("https://", "").partition("<body>")[0].replace("http-equiv", "")
    assert "<a " not in page
    bare = tmp_path / "bare.html"
    gossip("score", capture, "--model", model, "--html", str(bare))
    assert "Lists were not asked" in bare.read_text()


@pytest.mark.skipif(CHROMIUM is None, reason=LOUD)
def test_a_browser_shows_the_page_without_an_error_or_a_request(capture: str, model: str, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    gossip("score", capture, "--model", model, "--html", str(out))
    looked = Looked(out.read_text(), tmp_path / "look")
    assert (looked.errors, looked.asked) == ([], set())
    assert "fresh.example" in looked.dom
