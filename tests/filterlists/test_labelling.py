"""Captures become labelled tables: whole, once, for their owner alone, and nothing in them but requests."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from gossip.filterlists.captures import needs_labels
from gossip.filterlists.requests import file_digest, read_requests
from gossip.filterlists.shelf import look_at
from gossip.labelling import MAX_REMEMBERED, Card, card_of, own_page, prepared, source_of_table
from ledger.errors import LocalError

pytest.importorskip("adblock")

PAGE = "https://news.example/"
ADS = "! Title: Ads of ours\n! Version: 7\n! Licence: GPLv3\n||ads.example^\n"
PRIVACY = "! Title: Our privacy\n||t.example^$third-party\n"


def har(*urls: str, page: str = PAGE) -> str:
    entries = [
        {"pageref": "p", "_resourceType": "script", "request": {"url": url, "headers": [{"value": "SECRET"}]}}
        for url in urls
    ]
    return json.dumps({"log": {"pages": [{"id": "p", "title": page}], "entries": entries}})


@pytest.fixture
def lists(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "ads.txt", tmp_path / "privacy.txt"]
    for path, text in zip(paths, (ADS, PRIVACY), strict=True):
        path.write_text(text)
    return paths


def captured(folder: Path, text: str, name: str = "mon.har") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_capture_is_labelled_by_the_lists(tmp_path: Path, lists: list[Path]) -> None:
    urls = ("https://ads.example/a.js", "https://t.example/b.js", "https://ok.example/c.js", "data:text/plain,x")
    path = captured(tmp_path, har(*urls, "nonsense", urls[0]))
    ready = prepared([path], lists, tmp_path / "labelled")
    (made,) = ready.labelled
    rows = list(read_requests(made.table))
    assert [(row.url, row.label, row.page, row.third_party) for row in rows] == [
        (urls[0], "ad", PAGE, True), (urls[1], "tracker", PAGE, True), (urls[2], "benign", PAGE, True),
    ]  # fmt: skip
    assert ready.files == [made.table]
    assert made.card.labels == {"ad": 1, "benign": 1, "tracker": 1}
    assert (made.card.repeated, made.card.bad, made.card.left_out) == (1, {"its URL is no web address": 1}, {"data": 1})
    assert [(kept.name, kept.kind, kept.version) for kept in ready.lists] == [
        ("Ads of ours", "ad", "7"), ("Our privacy", "tracker", ""),
    ]  # fmt: skip
    assert "SECRET" not in made.table.read_text() + made.table.with_suffix(".json").read_text()


def test_a_table_is_named_in_the_ledger_as_its_capture(tmp_path: Path, lists: list[Path]) -> None:
    path = captured(tmp_path, har("https://ads.example/a.js"))
    (table,) = prepared([path], lists, tmp_path / "labelled").files
    source = source_of_table(table, "CC0-1.0")
    assert (source.name, source.sha256, source.licence) == ("mon.har", file_digest(path), "CC0-1.0")
    other = captured(tmp_path, '{"url":"https://a.example/"}', "other.jsonl")
    assert source_of_table(other, "").name == "other.jsonl"


def test_it_is_made_once_and_anew_when_capture_lists_or_kinds_have_changed(tmp_path: Path, lists: list[Path]) -> None:
    path, folder = captured(tmp_path, har("https://ads.example/a.js")), tmp_path / "labelled"
    first = prepared([path], lists, folder).labelled[0]
    again = prepared([path], list(reversed(lists)), folder).labelled[0]
    assert (first.made, again.made) == (True, False)
    assert (again.table, again.card) == (first.table, first.card)
    said = [look_at(lists[0], "tracker", "Mine"), look_at(lists[1])]
    other = prepared([path], [], folder, shelf=said).labelled[0]
    assert other.made
    assert other.card.labels == {"tracker": 1}
    lists[0].write_text(ADS + "||ok.example^\n")
    by_newer = prepared([path], lists, folder).labelled[0]
    path.write_text(har("https://ads.example/a.js", "https://ok.example/"))
    newest = prepared([path], lists, folder).labelled[0]
    assert newest.card.labels == {"ad": 2}
    assert len({first.table, other.table, by_newer.table, newest.table}) == 4


def test_it_is_its_owners_alone_and_whole_or_not_there(
    tmp_path: Path, lists: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = captured(tmp_path, har("https://ads.example/a.js")), tmp_path / "labelled"

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gossip.labelling.os.fsync", full)
        with pytest.raises(LocalError, match="No space left"):
            prepared([path], lists, folder)
    assert list(folder.iterdir()) == []
    (table,) = prepared([path], lists, folder).files
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(file.suffix for file in folder.iterdir()) == [".json", ".jsonl"]
    assert card_of(table) is not None


def test_a_capture_that_changes_while_it_is_read_is_not_labelled(tmp_path: Path, lists: list[Path]) -> None:
    path = captured(tmp_path, har("https://ads.example/a.js"))

    def meddle(done: int, total: int, what: str) -> None:
        path.write_text(har("https://ads.example/a.js", "https://b.example/"))

    with pytest.raises(LocalError, match="was changed while it was read"):
        prepared([path], lists, tmp_path / "labelled", told=meddle)
    assert list((tmp_path / "labelled").iterdir()) == []


def test_labels_of_the_capture_are_kept_and_pages_made_up(tmp_path: Path, lists: list[Path]) -> None:
    rows: list[dict[str, Any]] = [{"url": f"https://ok.example/{i}"} for i in range(100)]
    rows += [{"url": "https://ok.example/x", "label": "ad"}, {"url": "wss://[2001:db8::1]:8080/s"}]
    path = captured(tmp_path, "\n".join(map(json.dumps, rows)), "mon.jsonl")
    (made,) = prepared([path], lists, tmp_path / "labelled").labelled
    found = list(read_requests(made.table))
    assert made.card.labels == {"ad": 1, "benign": 101}
    assert found[0].page == "https://ok.example/"
    assert found[-1].page == own_page(found[-1].url) == "https://[2001:db8::1]/"
    assert not any(row.party for row in found)
    assert made.card.notes == (
        "no request names its page", "it is labelled as one that a page of its own host made: rules with $third-party "
        "or domain= do not see it as they would",
    )  # fmt: skip


def test_what_the_capture_says_of_party_is_kept_and_a_row_too_long_for_a_table_is_counted(
    tmp_path: Path, lists: list[Path]
) -> None:
    long = "https://ads.example/" + '"' * 30_000  # 30,020 bytes as they come, twice as many once they are written
    rows: list[dict[str, Any]] = [
        {"url": "https://cdn.example/x", "page": PAGE, "third_party": False}, {"url": long, "page": long},
    ]  # fmt: skip
    path = captured(tmp_path, "\n".join(map(json.dumps, rows)), "mon.jsonl")
    (made,) = prepared([path], lists, tmp_path / "labelled").labelled
    assert [row.party for row in read_requests(made.table)] == [False]
    assert made.card.bad == {"with its page it is longer than 64 KiB": 1}


def test_a_capture_that_was_cut_off_is_labelled_as_far_as_it_goes(tmp_path: Path, lists: list[Path]) -> None:
    text = har(*(f"https://ads.example/{i}" for i in range(20)))
    path = captured(tmp_path, text[: len(text) // 2])
    (made,) = prepared([path], lists, tmp_path / "labelled").labelled
    assert 0 < made.card.rows < 20
    (note,) = made.card.notes
    assert note.startswith(f"cannot be read after entry {made.card.rows} (byte ")
    assert note.endswith("it ends in the middle")


def test_what_has_labels_is_left_alone(tmp_path: Path) -> None:
    row = {"page": PAGE, "url": "https://ok.example/", "type": "script", "label": "benign"}
    for name, text, wanted in (
        ("labelled.jsonl", json.dumps(row), False),
        ("half.jsonl", json.dumps({"url": PAGE}) + "\n" + json.dumps(row), False),
        ("unlabelled.jsonl", json.dumps({"url": PAGE}), True),
        ("urls.txt", f"# Monday\n{PAGE}\n", True),
        ("list.txt", ADS, False),
        ("rows.csv", "u,v\n1,2\n", False),
        ("page.html", "<html>", False),
        ("nothing", "", False),
        ("broken.jsonl", '{"url":\n', False),
        ("mon.har", har(PAGE), True),
        ("log.txt", f"+1\n{PAGE}\n", True),
    ):
        assert needs_labels(captured(tmp_path, text, name)) is wanted, name
    assert not needs_labels(tmp_path / "none")
    path = tmp_path / "labelled.jsonl"
    assert prepared([path], [], tmp_path / "labelled").files == [path]
    assert not (tmp_path / "labelled").exists()


def test_what_cannot_be_labelled_says_what_to_do(tmp_path: Path, lists: list[Path]) -> None:
    path, folder = captured(tmp_path, har("https://ads.example/a.js")), tmp_path / "labelled"
    with pytest.raises(LocalError, match=r"have no labels.*--list FILE.*gossip lists add"):
        prepared([path], [], folder)
    page = captured(tmp_path, "<html>", "page.html")
    with pytest.raises(LocalError, match="this is no filter list: it begins as a web page does"):
        prepared([path], [page], folder)
    for text, why in (
        (har(), "it holds no request"),
        ('{"log":{}}', "it has no log.entries"),
        (har("x"), "no web address"),
    ):
        empty = captured(tmp_path, text, "empty.har")
        with pytest.raises(LocalError, match=rf"nothing to label.*{why}"):
            prepared([empty], lists, folder)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_damaged_card_says_so(tmp_path: Path, lists: list[Path]) -> None:
    path = captured(tmp_path, har("https://ads.example/a.js"))
    (table,) = prepared([path], lists, tmp_path / "labelled").files
    card = table.with_suffix(".json")
    for text in ("", "{", card.read_text().replace("gossip-labelled/1", "other")):
        card.write_text(text)
        with pytest.raises(LocalError, match="is damaged"):
            card_of(table)


def test_more_requests_than_are_remembered_only_repeat(
    tmp_path: Path, lists: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_REMEMBERED == 1 << 20
    monkeypatch.setattr("gossip.labelling.MAX_REMEMBERED", 2)
    path = captured(tmp_path, har(*(f"https://a.example/{i}" for i in (1, 2, 1, 3, 1, 1))))
    card: Card = prepared([path], lists, tmp_path / "labelled").labelled[0].card
    assert (card.rows, card.repeated) == (4, 2)
