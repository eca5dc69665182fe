"""Real rules on real requests: whose list blocks it decides the label."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gossip.filterlists.engine import MAX_LIST_BYTES, engine_of, is_installed, preprocessed
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
