"""`gossip simulate`: scenarios by name and from files, as words, JSON and a page; what breaks can be seen again."""

from __future__ import annotations

import json
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.fast import names
from cli.group import spread
from cli.page import chart
from gossip.sim.scenario_file import scenario_names
from tests.cli.test_hostile_names import WALKED, Tags, assert_harmless
from tests.cli.test_page import CHROMIUM, LOUD, Looked, Parsed

SMALL = """about = "Three peers, and a fourth that comes late."
peers = 4
seconds = 8.0
loss = 0.05
[[late]]
peers = [3]
at = 3.0
"""
APART = """about = "Two halves that never hear of each other again."
peers = 4
seconds = 5.0
settle_s = 1.0
[[cut]]
peers = [2, 3]
at = 2.0
until = 60.0
"""
NAMED_BY_THE_ISSUE = {
    "trace", "heads_equal", "invariants_broken", "accuracy_mean", "accuracy_worst", "accuracy_spread", "bytes_per_peer",
    "virtual_s", "wall_s", "seed",
}  # fmt: skip


def run(*words: object, code: int = exits.OK) -> tuple[str, str]:
    done = CliRunner().invoke(app, ["simulate", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def facts(*words: object, code: int = exits.OK) -> dict[str, Any]:
    value = json.loads(run(*words, "--json", code=code)[0])
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def ran(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """One run, as JSON and as a page."""
    page = tmp_path_factory.mktemp("page") / "page.html"
    return facts(small, "--seed", 7, "--html", page), page.read_text("utf-8")


def test_the_scenarios_there_are_are_named_with_what_they_show() -> None:
    listed = run("--list")[0]
    rows = facts("--list")["scenarios"]
    assert [row["name"] for row in rows if not row["fast"]] == list(scenario_names())
    assert {row["name"] for row in rows if row["fast"]} == set(names())
    for row in rows:
        assert row["about"]
        assert row["name"] in listed
        assert row["about"] in listed


def test_a_run_as_json_has_the_names_that_programs_look_for(ran: tuple[dict[str, Any], str]) -> None:
    report, _ = ran
    assert report.keys() >= NAMED_BY_THE_ISSUE
    assert (report["seed"], report["peers"], report["heads_equal"], report["invariants_broken"]) == (7, 4, True, [])
    assert report["bytes_per_peer"] > 0
    assert 0 < report["accuracy_worst"] <= report["accuracy_mean"] <= 1


def test_the_command_that_is_named_gives_the_same_trace_and_another_seed_another(
    ran: tuple[dict[str, Any], str], small: Path
) -> None:
    report, _ = ran
    gossip, simulate, *words = shlex.split(report["again"])
    assert (gossip, simulate) == ("gossip", "simulate")
    told, complaints = run(*words)
    assert f"trace     {report['trace']}" in told
    assert f"again     {report['again']}" in told
    assert "not there yet from 0 to 3 s: peer 3" in told
    assert f"rules     all held, {report['events']:,} events" in told
    assert complaints == ""
    assert facts(small, "--seed", 8, "--peers", 4)["trace"] != report["trace"]


def test_what_became_of_those_who_cheat_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told, _ = run("byzantine", "--peers", 8, "--html", page)
    lines = [line for line in told.splitlines() if line.startswith("cheats")]
    assert [line.partition(":")[0] for line in lines] == [
        "cheats    peer 2 (copies)", "cheats    peer 3 (harms)", "cheats    peer 4 (two histories)",
    ]  # fmt: skip
    assert "updates condemned" in lines[0]
    assert "nothing found against it" in lines[1]
    assert "fork proven" in lines[2]
    assert all("% of all weight" in line and line[10:] in page.read_text() for line in lines)


def test_a_scenario_that_says_nothing_of_itself_has_no_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("mute.toml")
    path.write_text("peers = 2\nseconds = 2.0\n")
    assert run(path)[0].splitlines()[0] == "scenario  mute.toml"


def test_what_breaks_ends_with_1_the_seed_and_the_command_that_shows_it_again(tmp_path: Path) -> None:
    path, page = tmp_path / "apart.toml", tmp_path / "page.html"
    path.write_text(APART)
    done = CliRunner().invoke(app, ["simulate", str(path), "--seed", "5", "--html", str(page), "--json"])
    assert done.exit_code == exits.FINDINGS
    report = json.loads(done.stdout)
    assert report["heads_equal"] is False
    assert len(done.stderr.splitlines()) == 1
    assert "seed 5" in done.stderr
    assert done.stderr.rstrip().endswith(f"see it again with: gossip simulate {path} --peers 4 --seed 5")
    assert '<section class="verdict findings">' in page.read_text("utf-8")
    _, _, *words = shlex.split(report["again"])
    again = facts(*words, code=exits.FINDINGS)
    assert (again["trace"], again["invariants_broken"]) == (report["trace"], report["invariants_broken"])


# ------------------------------------------------------------------ the page


def test_the_page_has_the_facts_charts_with_names_and_no_script(ran: tuple[dict[str, Any], str]) -> None:
    report, page = ran
    parsed = Parsed(page)
    assert not [tag for tag, _ in parsed.tags if tag in ("script", "img", "link") and tag != "link"]
    assert not [name for _, attrs in parsed.tags for name in attrs if name.startswith("on") or name == "style"]
    drawn = [attrs.get("aria-label") for tag, attrs in parsed.tags if tag == "svg" and attrs.get("role") == "img"]
    assert drawn == [
        "Accuracy over time", "Received over time", "Updates over time", "Accuracy of each peer",
        "Received by each peer",
    ]  # fmt: skip
    assert report["trace"] in page
    assert report["again"] in page
    assert "not there yet: peer 3" in page
    last = report["curve"][-1]
    assert f"mean {last['mean']:.2f}" in page
    assert f"worst {last['worst']:.2f}" in page


@pytest.mark.skipif(CHROMIUM is None, reason=LOUD)
def test_a_browser_shows_the_page_without_an_error_or_a_request(
    ran: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    looked = Looked(ran[1], tmp_path / "looked")
    assert looked.errors == []
    assert looked.asked == set()
    assert "Accuracy over time" in looked.dom


def test_what_a_file_says_of_itself_acts_nowhere(tmp_path: Path) -> None:
    evil = "".join(WALKED.values()).replace("\\", "")
    path, page = tmp_path / "evil.toml", tmp_path / "page.html"
    path.write_text(f"about = {json.dumps(evil)}\npeers = 2\nseconds = 2.0\n")
    told, _ = run(path, "--html", page)
    written = page.read_text("utf-8")
    assert_harmless(told, "the table")
    assert_harmless(written, "the page")
    assert Tags(written).wrong == []
    assert "<script>a()" in told  # it does come out, made harmless
    assert "&lt;script&gt;a()" in written


def test_lines_keep_their_names_apart_and_thin_out() -> None:
    many = [chart.Line(f"rule {number}", number % 9, [(0.0, 0.5), (1.0, 0.5)]) for number in range(9)]
    page = Parsed(chart.lines("rules", many, along="rounds"))
    heights = sorted(
        float(attrs["y"] or 0) for tag, attrs in page.tags if (attrs.get("class") or "").startswith("name ")
    )
    assert min(b - a for a, b in pairwise(heights)) >= chart.NAME_PX - 0.1
    long = chart.Line("long", 0, [(float(x), float(x % 7)) for x in range(10_000)])
    (line,) = [
        attrs["d"] for _, attrs in Parsed(chart.lines("l", [long], along="x")).tags if attrs.get("class") == "score s0"
    ]
    assert line is not None
    assert line.count("L") <= chart.MAX_POINTS
    assert chart.lines("nothing", [], along="x") == chart.bars("nothing", [], high=1.0, told=str) == ""


def test_every_tick_stands_where_its_label_says() -> None:
    """A field that begins at 2 has no mark "0" at 2."""
    page = Parsed(chart.lines("late", [chart.Line("one", 3, [(2.0, 0.5), (62.0, 0.5)])], along="seconds"))
    places = [float(attrs["x"] or 0) for tag, attrs in page.tags if attrs.get("text-anchor") == "middle"][:-1]
    across = chart.WIDTH - chart.RIGHT - chart.LEFT
    assert places == [pytest.approx(chart.LEFT + (at - 2) / 60 * across, abs=0.1) for at in range(10, 61, 10)]


def test_names_have_the_colours_of_their_lines_and_those_of_spans_stay_off_them() -> None:
    late = chart.Band(95.0, 100.0, "two machines with one key: peers 3, 4, 5")
    page = Parsed(chart.lines("l", [chart.Line("one", 3, [(0.0, 1.0), (100.0, 1.0)])], along="s", bands=[late]))
    classes = [attrs.get("class") for _, attrs in page.tags]
    assert "score s3" in classes
    assert "name s3" in classes
    (x,) = [float(a["x"] or 0) for _, a in page.tags if a.get("class") == "tick-text" and "text-anchor" not in a]
    assert x + chart.CHAR_PX * len(late.name) <= chart.WIDTH - chart.RIGHT


# ------------------------------------------------------------------ what is refused


def test_rules_are_named_in_a_row() -> None:
    assert spread(["simulate", "x", "--rule", "a", "b", "--json"]) == [
        "simulate", "x", "--rule", "a", "--rule", "b", "--json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nosuch"], "byzantine"),  # the known ones are named
        ([], "byzantine"),
        (["crowd"], "add --fast"),
        (["clean", "--list"], "exclude one another"),
        (["--list", "--replay", "x.rec"], "exclude one another"),
        (["nosuch", "--replay", "x.rec"], "no swarm"),
        (["clean", "--html", "nosuch/page.html"], "there is no folder nosuch"),
        (["churm"], "did you mean churn?"),
        (["thirty-too", "--fast"], "did you mean thirty-two?"),
        (["crowd", "--fast", "--peers", "1000000000"], "--peers"),
        (["clean", "--peers", "100000"], "cannot simulate 100000 peers"),
        (["clean", "--rule", "mean"], "add --fast"),
        (["clean", "--dir", "x"], "add --replay"),
        (["--replay", "x.rec"], "name its swarm, or its directory with --dir"),
        (["--replay", "x.rec", "--dir", "x", "--seed", "3"], "replayed as it was"),
        (["--replay", "x.rec", "--dir", "nosuch"], "holds no peer"),
        (["missing.toml"], "cannot read missing.toml"),
    ],
)  # fmt: skip
def test_a_slip_is_one_line_that_says_what_to_do(words: list[str], says: str) -> None:
    told, complaint = run(*words, code=exits.USAGE)
    assert told == ""
    assert says in complaint
    assert len(complaint.splitlines()) == 1


def test_a_page_does_not_overwrite_the_scenario(small: Path) -> None:
    assert "would overwrite what is read" in run(small, "--html", small, code=exits.USAGE)[1]
    assert small.read_text() == SMALL


def test_a_recording_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    there = tmp_path / "there.rec"
    there.write_bytes(b"")
    made = CliRunner().invoke(app, ["new", "s", "--dir", str(tmp_path / "peer")])
    assert made.exit_code == exits.OK
    for file, says in ((there, "is there already"), (tmp_path / "none" / "x.rec", "no folder")):
        done = CliRunner().invoke(app, ["run", "--dir", str(tmp_path / "peer"), "--record", str(file)])
        assert (done.exit_code, says in done.stderr) == (exits.USAGE, True)
    there.unlink()
    there.write_bytes(b"not one")
    done = CliRunner().invoke(app, ["simulate", "--replay", str(there), "--dir", str(tmp_path / "peer")])
    assert done.exit_code == exits.USAGE
    assert "this is no recording" in done.stderr
