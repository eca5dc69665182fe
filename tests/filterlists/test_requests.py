"""Data files are written by people and by other programs: a bad row is named, never skipped in silence."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from gossip.filterlists.features import TYPES
from gossip.filterlists.requests import KNOWN_AS, MAX_ROW_BYTES, OTHER_WORDS, read_requests
from ledger.errors import LocalError

GOOD = {
    "page": "https://news.example/", "url": "https://ads.tracker.example/x.js", "type": "script", "label": "ad",
    "third_party": True,
}  # fmt: skip


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def test_plain_and_packed_files_read_the_same_whatever_they_are_called(tmp_path: Path) -> None:
    plain = write(tmp_path / "rows.txt", GOOD, {**GOOD, "label": "benign"})
    packed = tmp_path / "rows.jsonl"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read_requests(plain)) == list(read_requests(packed))
    assert [row.label for row in read_requests(plain)] == ["ad", "benign"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_byte_order_mark_is_read_away_and_utf_16_is_named(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    rows = write(tmp_path / "rows.jsonl", GOOD, {**GOOD, "label": "benign"})
    marked = tmp_path / "marked.jsonl"
    marked.write_bytes(pack(b"\xef\xbb\xbf" + rows.read_bytes()))
    assert list(read_requests(marked)) == list(read_requests(rows))
    wide = tmp_path / "wide.jsonl"
    wide.write_bytes(pack(rows.read_text().encode("utf-16")))
    with pytest.raises(LocalError, match=r"wide\.jsonl: cannot be read: it begins as UTF-16 does; save it as UTF-8"):
        list(read_requests(wide))


def test_a_crawl_may_carry_more_fields_and_blank_lines(tmp_path: Path) -> None:
    (row,) = read_requests(write(tmp_path / "rows.jsonl", "", {**GOOD, "region": "eu", "rules": {}}, " "))
    assert row.party


def test_party_is_worked_out_where_it_is_missing(tmp_path: Path) -> None:
    without = {name: value for name, value in GOOD.items() if name != "third_party"}
    same = {**without, "url": "https://cdn.news.example/a.css"}
    other, own = read_requests(write(tmp_path / "rows.jsonl", without, same))
    assert (other.party, own.party) == (True, True)  # `example` is on no public-suffix list: each name is its own
    a, b = read_requests(
        write(
            tmp_path / "b.jsonl",
            {**without, "page": "https://www.bbc.co.uk/", "url": "https://static.bbc.co.uk/x"},
            {**without, "page": "https://www.bbc.co.uk/", "url": "https://www.itv.co.uk/x"},
        )
    )
    assert (a.party, b.party) == (False, True)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{not json", "no JSON object"),
        ('["a list"]', "no JSON object"),
        ('{"more":' + "[" * 60_000, "no JSON object"),
        ({**GOOD, "label": "advert"}, "its label is none of benign, ad, tracker"),
        ({name: value for name, value in GOOD.items() if name != "url"}, "missing required field `url`"),
        ({**GOOD, "url": "ads.example/x.js"}, "its url is no web address"),
        ({**GOOD, "page": "https://"}, "its page is no web address"),
        ({**GOOD, "url": "https://[broken/"}, "its url is no web address"),
        ({**GOOD, "third_party": "yes"}, "third_party"),
        ({**GOOD, "type": "scrpt"}, "its type 'scrpt' is none of other, script, image, stylesheet, subdocument,"),
        ({**GOOD, "type": ""}, "its type '' is none of"),
        ({**GOOD, "url": "https://a.example/" + "x" * MAX_ROW_BYTES}, "longer than 64 KiB"),
    ],
)
def test_a_bad_row_is_named_with_the_reason_and_what_to_do(tmp_path: Path, row: object, reason: str) -> None:
    path = write(tmp_path / "crawl.jsonl", GOOD, GOOD, row, GOOD)
    with pytest.raises(LocalError) as caught:
        list(read_requests(path))
    said = str(caught.value)
    assert str(path) in said
    assert "row 3" in said
    assert reason in said
    assert "ads.example/x.js" not in said  # a URL may hold a secret
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("word", "known_as"),
    [
        ("xhr", "xmlhttprequest"), ("XHR", "xmlhttprequest"), ("fetch", "xmlhttprequest"), ("imageset", "image"),
        ("inline-script", "script"), ("css", "stylesheet"), ("sub_frame", "subdocument"), ("frame", "subdocument"),
        ("doc", "document"), ("main_frame", "document"), ("beacon", "ping"), ("Stylesheet", "stylesheet"),
        ("csp_report", "other"), ("object-subrequest", "object"), *((name, name) for name in TYPES),
    ],
)  # fmt: skip
def test_a_type_may_be_called_as_browsers_do(tmp_path: Path, word: str, known_as: str) -> None:
    row, same = read_requests(write(tmp_path / "rows.jsonl", {**GOOD, "type": word}, {**GOOD, "type": known_as}))
    assert row.type == known_as
    assert (row.key, row.value) == (same.key, same.value)


def test_other_words_stand_for_words_of_the_features() -> None:
    assert set(KNOWN_AS.values()) == set(TYPES)
    assert len(KNOWN_AS) == len(TYPES) + sum(len(words.split()) for words in OTHER_WORDS.values())  # none twice


def test_what_comes_with_the_program_reads_to_its_end() -> None:
    packed = resources.files("gossip") / "data" / "sitelist-2015.jsonl.gz"
    with resources.as_file(packed) as path:
        assert {row.type for row in read_requests(path)} <= set(TYPES)


def test_a_cut_off_archive_says_how_far_it_got(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    whole = gzip.compress("".join(json.dumps({**GOOD, "n": i * 7919}) + "\n" for i in range(4_000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LocalError, match=r"cannot be read after row [0-9]+"):
        list(read_requests(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"none\.jsonl: cannot be read"):
        list(read_requests(tmp_path / "none.jsonl"))


def test_the_record_committed_to_holds_what_is_learned_from_and_nothing_else(tmp_path: Path) -> None:
    a, b, c = read_requests(
        write(tmp_path / "rows.jsonl", GOOD, {**GOOD, "group": "x", "extra": 1}, {**GOOD, "label": "tracker"})
    )
    assert (a.key, a.value) == (b.key, b.value)
    assert a.key == c.key
    assert a.value != c.value
