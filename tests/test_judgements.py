"""Own judgements on disk: what stands, what a crash leaves, what is refused, and which of them holds for a URL."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.filterlists.judging import (
    Judgement,
    Said,
    Skip,
    Standing,
    Undo,
    judgement_of,
    rows_for,
    standing,
    target_of,
)
from gossip.judgements import append, judgements_path, read_said, read_standing, undo, whole_bytes
from ledger.errors import LocalError

ADS = judgement_of("ads.example", "ad", time=1)
URL = judgement_of("https://cdn.test/app.js?v=1", "benign", page="https://news.test/", kind="xhr", time=2)
SKIP = Skip(covers="domain", target="who.example", time=3)


def test_what_is_said_stands_until_it_is_taken_back_and_every_line_stays(tmp_path: Path) -> None:
    for one in (ADS, URL, SKIP):
        append(tmp_path, one)
    path = judgements_path(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert read_said(tmp_path) == (ADS, URL, SKIP)
    assert read_standing(path).is_skipped(target_of("who.example"))
    assert [undo(tmp_path, 4) for _ in range(4)] == [SKIP, URL, ADS, None]
    assert path.read_bytes().startswith(before)
    assert len(read_standing(path)) == 0
    assert read_standing(path, len(before)).judgements == (ADS, URL)  # as it was then, whatever was said since


def test_a_line_torn_by_a_crash_was_never_said_and_goes_when_the_next_is_written(tmp_path: Path) -> None:
    append(tmp_path, ADS)
    path = judgements_path(tmp_path)
    whole = path.read_bytes()
    append(tmp_path, URL)
    both = path.read_bytes()
    for end in range(len(whole), len(both)):
        path.write_bytes(both[:end])
        assert read_said(tmp_path) == (ADS,)
        assert whole_bytes(tmp_path) == len(whole)
    append(tmp_path, SKIP)
    assert read_said(tmp_path) == (ADS, SKIP)


@pytest.mark.parametrize(
    "line",
    [
        b"{}", b"[]", b"", b"\xff", b"[" * 5000, b'{"do":"undo"}', b'{"do":"undo","time":1 }',
        b'{"do":"undo","time":1,"x":1}', b'{"do":"undo","time":9007199254740993}',
        b'{"covers":"domain","do":"label","label":"ad","note":"","page":"","target":"b.example","time":1,"type":"other",'
        b'"url":"https://c.example/"}',
        b'{"covers":"domain","do":"label","label":"ad","note":"","page":"","target":"b.example","time":1,"type":"car",'
        b'"url":"https://b.example/"}',
    ],
)  # fmt: skip
def test_a_line_that_is_none_of_ours_is_named_and_nothing_is_written_after_it(tmp_path: Path, line: bytes) -> None:
    append(tmp_path, ADS)
    path = judgements_path(tmp_path)
    path.write_bytes(path.read_bytes() + line + b"\n")
    kept = path.read_bytes()
    for act in (lambda: read_standing(path), lambda: append(tmp_path, URL), lambda: undo(tmp_path, 1)):
        with pytest.raises(LocalError, match="line 2 is no judgement"):
            act()
    assert path.read_bytes() == kept


def test_a_file_has_bounds_and_what_would_go_beyond_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path, ADS)
    for name, bound in (("MAX_SAID", 1), ("MAX_BYTES", judgements_path(tmp_path).stat().st_size)):
        with monkeypatch.context() as patch:
            patch.setattr(f"gossip.judgements.{name}", bound)
            with pytest.raises(LocalError, match="is full"):
                append(tmp_path, URL)
    assert read_said(tmp_path) == (ADS,)


def test_bytes_that_data_were_committed_with_are_missed(tmp_path: Path) -> None:
    append(tmp_path, ADS)
    with pytest.raises(LocalError, match="shorter than it was"):
        read_standing(judgements_path(tmp_path), 10_000)


def test_a_domain_that_has_become_a_public_suffix_since_still_reads(tmp_path: Path) -> None:
    append(tmp_path, judgement_of("github.io", "ad", time=1, owned=False))
    assert len(read_standing(judgements_path(tmp_path))) == 1
    with pytest.raises(LocalError, match="public suffix"):
        judgement_of("github.io", "ad", time=1)


# ------------------------------------------------------------------ which one holds

SAID = st.lists(
    st.sampled_from([
        judgement_of(text, label, time=1)
        for text in ("a.test", "b.a.test", "https://b.a.test/x", "https://a.test/?q=1", "c.test")
        for label in ("ad", "benign", "tracker")
    ] + [Undo(time=1), SKIP]), max_size=12,
)  # fmt: skip
ASKED = ("https://a.test/", "http://b.a.test/x#y", "wss://c.b.a.test:443/z", "https://a.test:8443/?q=1", "https://ca.test/",
         "https://A.TEST/?q=1", "https://d.test/")  # fmt: skip


def plainly(said: list[Said], url: str) -> str | None:
    """The rule as it is told: newest of the URL, else newest of a domain above."""
    stands: list[Judgement | Skip] = []
    for one in said:
        if isinstance(one, Undo):
            stands = stands[:-1]
        else:
            stands.append(one)
    judged = [one for one in stands if isinstance(one, Judgement)]
    asked = target_of(url)
    host = asked.text.partition("/")[0].partition(":")[0]
    of_url = [one.label for one in judged if one.covers == "url" and one.target == asked.text]
    above = [
        one.label
        for one in judged
        if one.covers == "domain" and (host == one.target or host.endswith(f".{one.target}"))
    ]
    return (of_url or above or [None])[-1]


@given(SAID)
def test_the_newest_wins_a_url_beats_a_domain_and_undo_is_exact(said: list[Said]) -> None:
    for url in ASKED:
        assert Standing(standing(said)).label(url) == plainly(said, url)
    assert standing([*said, ADS, Undo(time=9)]) == standing(said)


def test_urls_are_one_under_every_spelling_that_browsers_take_for_the_same() -> None:
    same = ("https://cdn.test/app.js?v=1", "HTTP://CDN.test:80/app.js?v=1#top", "wss://cdn.test.:443/app.js?v=1")
    assert {target_of(url).text for url in same} == {"cdn.test/app.js?v=1"}
    other = ("https://cdn.test/app.js?v=2", "https://cdn.test/App.js?v=1", "https://cdn.test:8443/app.js?v=1")
    assert "cdn.test/app.js?v=1" not in {target_of(url).text for url in other}
    assert target_of("https://bücher.test/ä").text == "xn--bcher-kva.test/ä"
    assert Standing([judgement_of("bücher.test", "ad", time=1)]).label("https://www.xn--bcher-kva.test/") == "ad"
    for odd in ("https://[bad/", "data:text/plain,x", "", "https:///x", "https://a.test:99999/"):
        assert Standing([ADS, URL]).label(odd) is None


def test_rows_that_stand_for_what_no_data_hold_are_requests() -> None:
    (row,) = rows_for(URL)
    assert (row.url, row.page, row.type, row.label, row.party) == (
        "https://cdn.test/app.js?v=1", "https://news.test/", "xmlhttprequest", "benign", True,
    )  # fmt: skip
    rows = rows_for(ADS)
    assert {(row.url, row.page, row.label) for row in rows} == {("https://ads.example/", "https://ads.example/", "ad")}
    assert {row.party for row in rows} == {True, False}
    assert len({row.key + row.value for row in rows}) == len(rows)
