"""`gossip suggest`, `flag` and `triage`: what a maintainer is told, in words, as JSON and as a text for a list.

The model is one that holds third-party scripts for ads, their images for trackers, and all else for benign.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli import exits, flag, suggest, triage, whole
from cli.app import app
from cli.group import Gossip
from tests.advisor.models import model_file
from tests.cli.test_hostile_names import TEXTS, assert_harmless

pytestmark = pytest.mark.usefixtures("offline")

ALONE = typer.Typer(cls=Gossip)  # the three commands without the others, which take longer to build than to run
for command in (suggest.suggest, flag.flag, triage.triage):
    ALONE.command()(command)
EASY = """! Title: EasyList
! Version: 202601010000
||known.example^
/widget/*
"""
SECRET = "hunter2hunter2"
REQUESTS = [
    ("https://news.example/", f"https://serve.banners.example/show.js?uid={SECRET}", "script"),
    ("https://shop.test/", "https://serve.banners.example/show.js?uid=bob", "script"),
    ("https://shop.test/", "https://img.pixels.example/p.gif", "image"),
    ("https://news.example/", "https://known.example/ad.js", "script"),
    ("https://news.example/", "https://other.known.test/menu.css", "stylesheet"),
    ("https://news.example/", "https://news.example/widget/team.json", "xmlhttprequest"),
    ("https://news.example/", "https://news.example/", "document"),
]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(ALONE, list(words))
    return done.exit_code, done.stdout or done.stderr


def gossip(*words: str, code: int = exits.OK) -> str:
    found, said = run(*words)
    assert found == code, said
    return said


def facts(*words: str, code: int = exits.OK) -> Any:
    return json.loads(gossip(*words, "--json", code=code))


class Bench:
    """A folder with a capture, a model and a list."""

    def __init__(self, folder: Path, rows: list[tuple[str, str, str]]) -> None:
        self.folder, self.model = folder, str(model_file(folder / "m.gossip"))
        self.easy = str(folder / "easylist.txt")
        Path(self.easy).write_text(EASY)
        self.capture = self.write("mon.jsonl", rows)

    def write(self, name: str, rows: list[tuple[str, str, str]]) -> str:
        path = self.folder / name
        lines = [json.dumps({"page": page, "url": url, "type": kind, "label": "benign"}) for page, url, kind in rows]
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def words(self, *more: str) -> list[str]:
        return [self.capture, "--model", self.model, "--list", self.easy, *more]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, REQUESTS)


def test_rules_are_told_with_their_evidence_in_words_and_as_json(bench: Bench) -> None:
    said = gossip("suggest", *bench.words())
    report = facts("suggest", *bench.words())
    first, second = report["proposals"]
    assert (first["rule"], first["requests"], first["sites"]) == (
        "||serve.banners.example^", 2, ["news.example", "shop.test"],
    )  # fmt: skip
    assert (second["rule"], second["label"]) == ("||img.pixels.example^", "tracker")
    assert set(first) == {
        "rule", "kind", "label", "requests", "unsure", "sites", "score", "strength", "sample", "coverage", "near",
        "collateral", "commented_out", "exceptions", "file", "commit",
    }  # fmt: skip
    assert (first["sample"]["url"], first["commit"]) == ("https://serve.banners.example/show.js?uid=…", "A")
    assert first["strength"] > second["strength"] > 0
    assert (first["near"], first["collateral"]) == ([], {"requests": 0, "sample": None})
    assert (report["requests"], report["distinct"], report["lists"]) == (7, 7, ["EasyList"])
    assert (report["more"], report["weak"], report["left"], report["first"], report["last"]) == (0, 0, 0, None, None)
    assert report["standing"] == {"sure": 3, "unsure": 0, "spared": 2, "listed": 2}
    for told in (first["rule"], second["rule"], "ad: 2 requests of 2 sites", "sites: news.example, shop.test"):
        assert told in said
    assert "2 rules for 3 requests to block that no list blocks; a person must confirm each one" in said
    assert SECRET not in said + json.dumps(report)
    assert SECRET in gossip("suggest", *bench.words("--raw"))


def test_a_text_for_a_list_goes_to_stdout_or_to_a_file_and_into_no_list(bench: Bench, tmp_path: Path) -> None:
    said = gossip("suggest", *bench.words("--style", "uassets"))
    assert "! https://github.com/uBlockOrigin/uAssets/issues/NUMBER\n||serve.banners.example^\n" in said
    out = tmp_path / "proposed.txt"
    gossip("suggest", *bench.words("--style", "easylist", "--out", str(out)))
    text = out.read_text()
    assert text.splitlines()[0] == "! 2 rules proposed from 7 requests of 2 sites"
    assert "! *** easylist/easylist_adservers.txt ***" in text
    assert [line for line in text.splitlines() if line.startswith("||")] == [
        "||serve.banners.example^", "||img.pixels.example^",
    ]  # fmt: skip
    assert SECRET not in said + text
    assert Path(bench.easy).read_text() == EASY
    gossip("suggest", *bench.words("--out", bench.easy), code=exits.USAGE)
    assert Path(bench.easy).read_text() == EASY


def test_what_is_asked_for_is_bounded(bench: Bench) -> None:
    assert len(facts("suggest", *bench.words("--min-sites", "2"))["proposals"]) == 1
    report = facts("suggest", *bench.words("--max", "1"))
    assert (len(report["proposals"]), report["more"]) == (1, 1)
    assert "1 rule more, less sure: --max 2" in gossip("suggest", *bench.words("--max", "1"))


def test_what_repeats_is_held_once_and_labelled_rows_calibrate(bench: Bench) -> None:
    labels = {"script": "ad", "image": "tracker", "font": "benign"}
    rows = [
        {"url": f"https://h{n}.example/{kind}", "page": "https://news.example/", "type": kind, "label": label}
        for n in range(40) for kind, label in labels.items()
    ]  # fmt: skip
    labelled = bench.folder / "labelled.jsonl"
    labelled.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    bench.capture = bench.write("twice.jsonl", [*REQUESTS, REQUESTS[0]])
    report = facts("suggest", *bench.words("--calibrate", str(labelled)))
    assert (report["requests"], report["distinct"], report["dropped"]) == (8, 7, 0)
    assert report["threshold"] != facts("suggest", *bench.words())["threshold"]


def test_a_rule_that_hits_what_a_list_excepts_comes_only_when_asked_for_and_as_a_comment(bench: Bench) -> None:
    Path(bench.easy).write_text(f"{EASY}?keep=$script\n@@||mix.example/a/x.js?keep$script\n||mix.example/old/\n")
    rows = [
        (f"https://{site}.test/", f"https://mix.example/a/x.js?{'keep' if site == 'd' else site}=1", "script")
        for site in "abcd"
    ]
    bench.capture = bench.write("mix.jsonl", [*rows, ("https://a.test/", "https://mix.example/old/1.js", "script")])
    report = facts("suggest", *bench.words())
    assert (report["proposals"], report["left"]) == ([], 3)
    (one,) = facts("suggest", *bench.words("--allow-collateral"))["proposals"]
    assert (one["requests"], one["collateral"]["requests"]) == (3, 1)
    assert one["collateral"]["sample"]["url"] == "https://mix.example/a/x.js?keep=…"
    assert [(near["list"], near["requests"]) for near in one["near"]] == [("EasyList", 1)]
    assert one["commit"] == "M"
    assert f"\n! {one['rule']}\n" in gossip("suggest", *bench.words("--allow-collateral", "--style", "easylist"))


def test_what_lists_have_commented_out_or_excepted_is_said_and_comes_last(bench: Bench) -> None:
    excepting = "@@||serve.banners.example/api/$xhr\n@@||serve.banners.example/lib/$script\n"
    Path(bench.easy).write_text(f"{EASY}! ||banners.example^$third-party\n{excepting}")
    second, first = facts("suggest", *bench.words())["proposals"]
    assert (second["commented_out"], second["exceptions"]) == ([], [])
    assert first["rule"] == "||serve.banners.example^"
    assert first["commented_out"] == [{"list": "EasyList", "line": 5, "rule": "||banners.example^$third-party"}]
    assert first["exceptions"] == [{"list": "EasyList", "rules": 2, "sample": "@@||serve.banners.example/api/$xhr"}]
    said = gossip("suggest", *bench.words())
    assert "EasyList has this commented out, line 5: ||banners.example^$third-party" in said
    assert "risk: EasyList has 2 exceptions for this host, as @@||serve.banners.example/api/$xhr" in said


def test_what_one_list_misses_though_another_blocks_it(bench: Bench, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.txt"
    hosts.write_text("! Title: Hosts\n||serve.banners.example^\n")
    more = ["--list", str(hosts)]
    assert [each["rule"] for each in facts("suggest", *bench.words(*more))["proposals"]] == ["||img.pixels.example^"]
    first, _ = facts("suggest", *bench.words(*more, "--for", "EasyList"))["proposals"]
    assert (first["rule"], first["coverage"]) == ("||serve.banners.example^", {"Hosts": 2})
    gossip("suggest", *bench.words("--for", "Nobody's"), code=exits.USAGE)


def test_without_lists_it_is_said_that_what_they_block_is_not_known(bench: Bench) -> None:
    said = gossip("suggest", bench.capture, "--model", bench.model)
    assert "no lists were asked, so what they block already is proposed again" in said
    assert facts("suggest", bench.capture, "--model", bench.model)["lists"] is None
    assert "||known.example^" in said


def test_rules_that_block_what_scores_benign_are_flagged(bench: Bench) -> None:
    report = facts("flag", *bench.words())
    (flag,) = report["flags"]
    assert (flag["list"], flag["rule"], flag["hits"], flag["benign"]) == ("EasyList", "/widget/*", 1, 1)
    assert flag["exceptions"] == [
        {"rule": "@@||news.example/widget/team.json$xmlhttprequest,domain=news.example", "frees": 1}
    ]
    assert set(flag) == {
        "list", "rule", "hits", "benign", "sites", "score", "strength", "sample", "exceptions", "left", "left_own",
    }  # fmt: skip
    assert (flag["sample"]["url"], flag["left"]) == ("https://news.example/widget/team.json", 0)
    assert flag["strength"] > 0
    said = gossip("flag", *bench.words())
    for told in ("/widget/*", flag["exceptions"][0]["rule"], "a list is right until a person has looked"):
        assert told in said
    assert facts("flag", *bench.words("--min-sites", "2"))["flags"] == []
    other = bench.folder / "other.txt"
    other.write_text("! Title: Other\n||news.example/widget/\n")
    more = bench.words("--list", str(other))
    assert [len(facts("flag", *more, *bound)["flags"]) for bound in ([], ["--max", "1"])] == [2, 1]
    assert [facts("flag", *more, "--per-site", "1")[name] for name in ("alike", "more")] == [1, 0]
    assert "not shown: 1 rule for a site's own requests" in gossip("flag", *more, "--per-site", "1")
    assert "1 rule more, further down: --max 2" in gossip("flag", *more, "--max", "1")
    gossip("flag", bench.capture, "--model", bench.model, code=exits.USAGE)


def test_fifteen_rules_are_flagged_unless_more_are_asked_for(bench: Bench) -> None:
    words = [f"word{number}" for number in range(20)]
    Path(bench.easy).write_text("! Title: EasyList\n" + "".join(f"/{word}/*\n" for word in words))
    bench.capture = bench.write(
        "many.jsonl", [(f"https://{word}.test/", f"https://{word}.test/{word}/", "xmlhttprequest") for word in words]
    )
    report = facts("flag", *bench.words())
    assert (len(report["flags"]), report["more"]) == (15, 5)
    assert report["flags"][0]["left_own"] == 1
    assert "no exception for 1 request: it is the site's own" in gossip("flag", *bench.words())


def test_a_report_of_a_page_comes_to_suspects(bench: Bench) -> None:
    report = facts("triage", "https://news.example/", *bench.words())
    assert (report["found"], report["of_page"]) == ("page", 4)
    missed, broken, below = report["suspects"]
    assert (below["kind"], below["url"], below["proposal"]) == ("below .5", "https://other.known.test/menu.css", None)
    assert (missed["kind"], missed["proposal"]["rule"]) == ("missed", "||serve.banners.example^")
    assert (broken["kind"], broken["blocked_by"]) == ("broken", [{"list": "EasyList", "rule": "/widget/*"}])
    assert broken["exception"]["rule"] == "@@||news.example/widget/team.json$xmlhttprequest,domain=news.example"
    assert broken["nearest"] == {"list": "EasyList", "rule": "/widget/*", "likeness": "same words"}
    assert set(missed["proposal"]) == {"rule", "requests", "sites", "score", "collateral"}
    assert [each["kind"] for each in facts("triage", "news.example", *bench.words("--max", "1"))["suspects"]] == [
        "missed", "below .5",
    ]  # fmt: skip
    said = gossip("triage", "https://news.example/", *bench.words())
    for told in (
        "missed",
        "broken",
        "||serve.banners.example^",
        "nearest rule (same words), EasyList: /widget/*",
        "below .5",
    ):
        assert told in said
    assert SECRET not in said + json.dumps(report)
    said = gossip("triage", "https://elsewhere.test/", *bench.words(), code=exits.INCONCLUSIVE)
    assert "the capture has no request of this page or its site" in said
    assert f"gossip score {Path(bench.capture).name} shows what it has" in said


@pytest.mark.parametrize("words", [["suggest"], ["flag"], ["triage", "https://news.example/"]])
def test_bad_rows_are_counted_and_the_rest_goes_on(bench: Bench, words: list[str]) -> None:
    with Path(bench.capture).open("a") as file:
        file.write("{not json\n")
    said = gossip(*words, *bench.words(), code=exits.FINDINGS)
    assert "bad rows   1" in said
    done = CliRunner().invoke(ALONE, [*words, *bench.words("--json")])
    assert json.loads(done.stdout)["bad"] == 1


def test_they_are_commands_of_the_program(bench: Bench) -> None:
    for words in (["suggest"], ["flag"], ["triage", "https://news.example/"]):
        done = CliRunner().invoke(app, [*words, *bench.words()])
        assert done.exit_code == exits.OK, done.output


@pytest.mark.parametrize("words", [["suggest"], ["flag"], ["triage", "https://news.example/"]])
def test_without_a_model_it_is_said_what_to_do(bench: Bench, words: list[str]) -> None:
    said = gossip(*words, bench.capture, code=exits.USAGE)
    assert said.splitlines() == [
        "No model yet. Start a swarm: gossip new NAME. Or alone: gossip train FILE --out m.gossip",
        "made one already? name it: --model FILE",
    ]


def test_a_text_is_written_over_its_like_and_over_nothing_else(bench: Bench) -> None:
    out, notes = bench.folder / "proposed.txt", bench.folder / "notes.txt"
    for style in ("uassets", "easylist"):
        gossip("suggest", *bench.words("--style", style, "--out", str(out)))
    assert "issues/NUMBER" not in out.read_text()
    for text in ("a year's work\n", "! Title: mine\n||a.example^\n", "", "\0\xff"):
        notes.write_text(text)
        said = gossip("suggest", *bench.words("--out", str(notes)), code=exits.USAGE)
        assert "there is something else, which would be lost; name another file with --out, or remove this one" in said
        assert notes.read_text() == text
    gossip("suggest", *bench.words("--out", str(bench.folder)), code=exits.USAGE)


def test_a_page_named_after_its_capture_is_told_that_it_comes_first(bench: Bench) -> None:
    said = gossip("triage", bench.capture, "https://news.example/", "--model", bench.model, code=exits.USAGE)
    assert "is a file here, and no page; the page comes first" in said


def test_a_style_that_nobody_knows_is_refused(bench: Bench) -> None:
    assert "name one of easylist, uassets" in gossip("suggest", *bench.words("--style", "adguard"), code=exits.USAGE)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_page_request_or_list_acts_on_a_terminal_or_becomes_a_rule(bench: Bench, tmp_path: Path, text: str) -> None:
    word = "".join(text.split()).replace("\0", "")
    Path(bench.easy).write_text(f"! Title: EasyList\n||known.example^\n/widget/*\n/widget/{word}$script\n! {word}\n")
    pages = [
        (f"https://{page}.example/{text}", f"https://serve.banners.example/{text}", "script") for page in ("a", "b")
    ]
    widget = [("https://news.example/", f"https://news.example/widget/{word}", "script")]
    bench.capture = bench.write("hostile.jsonl", [*pages, *widget, *REQUESTS])
    out = tmp_path / "out.txt"
    for words in (
        ["suggest", "--raw", "--out", str(out)], ["suggest", "--raw", "--json"], ["flag", "--raw"],
        ["flag", "--raw", "--json"], ["triage", f"https://a.example/{text}", "--raw"],
    ):  # fmt: skip
        done = CliRunner().invoke(ALONE, [*words, *bench.words()])
        assert done.exit_code in (exits.OK, exits.FINDINGS, exits.INCONCLUSIVE), done.output
        assert_harmless(done.output, " ".join(words))
    assert [line for line in out.read_text("utf-8").splitlines() if line.startswith("||")] == [
        "||serve.banners.example^", "||img.pixels.example^",
    ]  # fmt: skip
    assert all(not line or line.startswith(("!", "||")) for line in out.read_text("utf-8").splitlines())


def test_of_many_parameters_text_names_three_and_json_all(bench: Bench) -> None:
    query = "&".join(f"name{number}=v{number}" for number in range(40))
    url = f"https://serve.banners.example/show.js?{query}"
    bench.capture = bench.write(
        "long.jsonl", [(page, url, "script") for page in ("https://a.test/", "https://b.test/")]
    )
    brief = "https://serve.banners.example/show.js?name0=…&name1=…&name2=… and 37 more"
    for words in (["suggest"], ["suggest", "--style", "easylist"], ["triage", "https://a.test/"]):
        said = gossip(*words, *bench.words())
        assert brief in said
        assert "name3" not in said
    assert facts("suggest", *bench.words())["proposals"][0]["sample"]["url"].count("name") == 40
    assert "name39=v39" in gossip("suggest", *bench.words("--raw"))
    assert whole.shortened("https://x.test/?a=…&b=…&c=…") == "https://x.test/?a=…&b=…&c=…"
    Path(bench.easy).write_text("! Title: EasyList\n/widget/*\n")
    bench.capture = bench.write(
        "flag.jsonl", [("https://a.test/", f"https://a.test/widget/t.json?{query}", "xmlhttprequest")]
    )
    said = gossip("flag", *bench.words())
    assert "t.json?name0=…&name1=…&name2=… and 37 more (" in said
    bench.capture = bench.write("root.jsonl", [("https://a.test/", "https://a.test/widget/", "xmlhttprequest")])
    assert "no exception: it is the site's own" in gossip("triage", "https://a.test/", *bench.words())


def test_what_is_beyond_the_memory_for_urls_is_counted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "MAX_CHARS", 5_000)
    rows = [
        ("https://news.example/", f"https://ads{number}.example/{'x/' * 1000}a.js", "script") for number in range(9)
    ]
    bench = Bench(tmp_path, rows)
    assert (facts("suggest", *bench.words())["distinct"], facts("suggest", *bench.words())["dropped"]) == (3, 6)
    assert "left out   6 requests" in gossip("suggest", *bench.words())
