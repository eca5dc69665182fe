"""Real rules on real requests: whose list blocks it decides the label."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gossip.filterlists.engine import MAX_LIST_BYTES, Hit, Lists, ListText, engine_of, is_installed, preprocessed
from ledger.errors import LocalError

AD = "! Title: Ads\n||ads.example^$third-party\n/banner/*$image\n@@||ads.example/free.js\n"
TRACKER = "||px.example^\n||ads.example/free.js\n||ads.example/beacon$ping\n"
PAGE = "https://news.test/"


def put(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def lists(tmp_path: Path) -> list[tuple[str, Path]]:
    return [("ad", put(tmp_path / "ad.txt", AD)), ("tracker", put(tmp_path / "tracker.txt", TRACKER))]


def test_an_ad_is_what_a_list_for_ads_blocks_and_a_tracker_what_only_the_other_does(
    lists: list[tuple[str, Path]],
) -> None:
    engine = engine_of(lists)
    assert engine.label(PAGE, "https://ads.example/x.js", "script") == "ad"
    assert engine.label(PAGE, "https://ads.example/beacon", "ping") == "ad"  # both block it
    assert engine.label(PAGE, "https://ads.example/free.js", "script") == "tracker"  # excepted by the one only
    assert engine.label(PAGE, "https://px.example/1.gif", "image") == "tracker"
    assert engine.label(PAGE, "https://cdn.example/app.js", "script") == "benign"


def test_page_and_type_count(lists: list[tuple[str, Path]]) -> None:
    engine = engine_of(lists)
    assert engine.label("https://ads.example/", "https://ads.example/x.js", "script") == "benign"
    assert engine.label(PAGE, "https://cdn.example/banner/1.gif", "image") == "ad"
    assert engine.label(PAGE, "https://cdn.example/banner/1.js", "script") == "benign"


def test_an_exception_in_one_list_holds_against_a_rule_in_another_of_its_label(tmp_path: Path) -> None:
    more = put(tmp_path / "unbreak.txt", "@@||ads.example/x.js\n")
    engine = engine_of([("ad", put(tmp_path / "ad.txt", AD)), ("ad", more)])
    assert engine.label(PAGE, "https://ads.example/x.js", "script") == "benign"
    assert engine.label(PAGE, "https://ads.example/y.js", "script") == "ad"


def test_conditions_in_a_list_are_resolved_alike_for_everybody() -> None:
    text = "a\n!#if ext_ublock\nb\n!#else\nc\n!#endif\n!#if !ext_ublock\nd\n!#if env_firefox\ne\n!#endif\n!#endif\nf"
    assert preprocessed(text) == "a\nb\nf"
    assert preprocessed("!#endif\n!#else\na\n!#endif") == ""  # odd nesting is read as it stands


def test_without_the_extra_it_says_what_to_install(
    lists: list[tuple[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "adblock", None)
    with pytest.raises(LocalError, match=r"extra named lists: pip install adblock"):
        engine_of(lists)
    monkeypatch.undo()
    assert is_installed()


def test_a_list_that_is_not_there_or_no_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"none\.txt: cannot be read"):
        engine_of([("ad", tmp_path / "none.txt")])
    long = tmp_path / "long.txt"
    with long.open("wb") as file:
        file.truncate(MAX_LIST_BYTES + 1)
    with pytest.raises(LocalError, match="this is no filter list"):
        engine_of([("ad", long)])


# ------------------------------------------------------------------ which list, by which rule

UNBREAK = "@@||ads.example/x.js$script\n@@||cdn.example^\n"
HOSTS = "# Title: Hosts\n127.0.0.1 localhost\n0.0.0.0 px.example # seen in March\n0.0.0.0 ads.example\n"


@pytest.fixture
def each() -> Lists:
    texts = [
        ("Ads", AD, "ad"),
        ("Trackers", TRACKER, "tracker"),
        ("Unbreak", UNBREAK, "ad"),
        ("Hosts", HOSTS, "tracker"),
    ]
    return Lists(ListText(name, text, kind) for name, text, kind in texts)  # type: ignore[arg-type]


def test_every_list_says_for_itself_by_which_rule_it_blocks_or_excepts(each: Lists) -> None:
    assert each.names == ("Ads", "Trackers", "Unbreak", "Hosts")
    assert each.hits(PAGE, "https://ads.example/free.js", "script") == (
        Hit("Ads", "||ads.example^$third-party", "@@||ads.example/free.js"),
        Hit("Trackers", "||ads.example/free.js", ""),
        Hit("Hosts", "||ads.example^", ""),
    )
    assert [hit.blocks for hit in each.hits(PAGE, "https://ads.example/free.js", "script")] == [False, True, True]
    assert each.hits(PAGE, "https://px.example/1.gif", "image") == (
        Hit("Trackers", "||px.example^", ""),
        Hit("Hosts", "||px.example^", ""),
    )
    assert each.hits(PAGE, "https://localhost/", "script") == ()


def test_a_list_that_only_excepts_what_another_blocks_is_named_and_one_that_excepts_what_nobody_blocks_is_not(
    each: Lists,
) -> None:
    hits = each.hits(PAGE, "https://ads.example/x.js", "script")
    assert Hit("Unbreak", "", "@@||ads.example/x.js$script") in hits
    assert not hits[-2].blocks
    assert each.hits(PAGE, "https://cdn.example/app.js", "script") == ()


def test_a_request_without_a_page_is_one_from_a_site_that_no_list_knows(each: Lists) -> None:
    assert [hit.list for hit in each.hits("", "https://ads.example/y.js", "script")] == ["Ads", "Hosts"]
    assert each.label("", "https://ads.example/y.js", "script") == "ad"
    own = Lists([ListText("Own", "||ads.example^$~third-party\n")])  # what a site asks of itself
    assert (own.hits("", "https://ads.example/", "script"), own.label("", "https://ads.example/", "image")) == (
        (),
        "benign",
    )
    assert own.hits("https://ads.example/", "https://ads.example/", "script")


def test_what_is_no_address_is_blocked_by_nobody(each: Lists) -> None:
    for url in ("", "ads.example", "data:text/plain,ads.example", "https://ads.example/\ud800"):
        assert each.hits(PAGE, url, "script") == ()


def test_conditions_within_conditions_cost_a_list_no_more_than_its_lines() -> None:
    """Ten thousand of them took the square of it; a list of a megabyte never ended."""
    deep = 40_000
    text = (
        "!#if ext_ublock\n" * deep
        + "||a.example^\n" * deep
        + "!#if false\n||b.example^\n!#else\n||c.example^\n!#endif\n"
    )
    text += "!#endif\n" * (deep + 3) + "!#if env_mobile\n||d.example^\n!#endif\n||e.example^\n"
    lines = preprocessed(text).splitlines()
    assert lines == ["||a.example^"] * deep + ["||c.example^", "||e.example^"]
