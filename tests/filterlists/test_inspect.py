"""What a receiver sees in records that somebody opened."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.filterlists.engine import Label
from gossip.filterlists.features import TYPES
from gossip.filterlists.inspect import inspect, inspect_numbers
from gossip.filterlists.requests import Request, parse_record


class Hosts:
    """An engine of one rule: what comes from a host of ads is an ad."""

    def label(self, page: str, url: str, kind: str) -> Label:
        return "ad" if "//ads." in url else "benign"


def record(number: int, label: Label, host: str = "ads") -> tuple[bytes, bytes]:
    row = Request(
        page="https://news.test/", url=f"https://{host}.example/{number}", type="image", label=label, third_party=True
    )
    return row.key, row.value


def test_honest_records_have_nothing_wrong_with_them() -> None:
    rows = [record(number, "ad") for number in range(40)] + [record(number, "benign", "cdn") for number in range(19)]
    assert inspect(rows, Hosts()) == {
        "opened.records": 59, "opened.malformed": 0, "opened.duplicates_permille": 0, "opened.wrong_labels_permille": 0,
    }  # fmt: skip


def test_wrong_labels_copies_and_nonsense_are_counted_apart() -> None:
    rows = [record(number, "ad") for number in range(16)]
    rows += [record(number, "benign") for number in range(100, 102)]  # flipped
    rows += [record(0, "ad"), (b"no request", b"x")]
    found = inspect(rows, Hosts())
    assert found["opened.records"] == 20
    assert found["opened.malformed"] == 1
    assert found["opened.duplicates_permille"] == 50
    assert found["opened.wrong_labels_permille"] == 1000 * 2 // 19


def test_without_an_engine_labels_are_not_judged_and_without_records_nothing_is() -> None:
    assert "opened.wrong_labels_permille" not in inspect([record(1, "benign")], None)
    assert inspect([], Hosts()) == {}
    assert "opened.wrong_labels_permille" not in inspect([(b"x", b"y")], Hosts())  # of no request there is no label


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"https://a.test/\0https://b.test/", b'["ad",true]'),  # a part is missing
        (b"https://a.test/\0https://b.test/\0image\0more", b'["ad",true]'),
        (b"a.test\0https://b.test/\0image", b'["ad",true]'),
        (b"https://a.test/\0https://b.test/\0img", b'["ad",true]'),  # a word for it, but not the one
        (b"https://a.test/\0https://b.test/\0image", b'["advert",true]'),
        (b"https://a.test/\0https://b.test/\0image", b'["ad", true]'),  # another spelling
        (b"https://a.test/\0https://b.test/\0image", b'["ad",1]'),
        (b"\xff\xfe\0https://b.test/\0image", b'["ad",true]'),
        (b"https://a.test/\0https://b.test/\0image", b""),
        (b"https://a.test/\0https://b.test/\0image", b"[" * 5_000),
    ],
)
def test_a_record_that_no_reader_makes_is_malformed(key: bytes, value: bytes) -> None:
    assert parse_record(key, value) is None
    assert inspect([(key, value)], None)["opened.malformed"] == 1


@given(
    st.text(max_size=40).filter(lambda text: "\0" not in text),
    st.sampled_from(TYPES),
    st.sampled_from(["benign", "ad", "tracker"]),
    st.booleans(),
)
def test_what_is_committed_to_reads_back(tail: str, kind: str, label: Label, party: bool) -> None:
    row = Request(page="https://a.test/", url=f"https://b.test/{tail}", type=kind, label=label, third_party=party)
    assert parse_record(row.key, row.value) == row


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_no_record_is_an_error(key: bytes, value: bytes) -> None:
    assert inspect([(key, value)], Hosts())["opened.records"] == 1
    assert inspect_numbers([(key, value)], 2, ("a", "b"))["opened.records"] == 1


def test_rows_of_numbers_are_finite_and_of_a_known_class() -> None:
    good = (struct.pack("<2f", 1.0, -2.5), b"setosa")
    bad = [
        (good[0], b"rose"),
        (good[0][:4], b"setosa"),
        (struct.pack("<2f", 1.0, float("nan")), b"setosa"),
        (struct.pack("<2f", 1.0, -3e38), b"setosa"),
        (b"", b"\xff"),
    ]
    assert inspect_numbers([good, good, *bad], 2, ("setosa", "iris")) == {
        "opened.records": 7, "opened.malformed": 5, "opened.duplicates_permille": 1000 // 7,
    }  # fmt: skip
