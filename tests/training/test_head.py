"""Personal categories: a few examples over a frozen body, and what is said of how good that is."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.filterlists.sighting import Sighting
from gossip.training.examples import parse_example
from gossip.training.head import MAX_EXAMPLES, NONE, head_bytes, parse_head, train_head
from gossip.training.spec import FILTERLIST, ModelSpec, UrlGrams
from ledger.errors import LocalError

SPEC = msgspec.structs.replace(ModelSpec.parse(FILTERLIST), features=UrlGrams(buckets=1024))
SPEC = ModelSpec.parse(SPEC.text.replace('"buckets":65536', '"buckets":1024'))
BODY = np.random.default_rng(0).normal(0, 1, SPEC.parameters).astype(np.float32)
PATHS = {"chat": "livechat/window.js", "consent": "cookie/banner.js", NONE: "img/photo.png"}


def seen(category: str, site: int) -> Sighting:
    kind = "image" if category == NONE else "script"
    return Sighting(
        url=f"https://h{site * 7 % 13}.example/{PATHS[category]}", page=f"https://s{site}.example/", type=kind
    )


def examples(each: int = 8, first: int = 0) -> tuple[list[Sighting], list[str]]:
    pairs = [(seen(category, first + site), category) for category in PATHS for site in range(each)]
    return [row for row, _ in pairs], [category for _, category in pairs]


def test_a_dozen_examples_name_what_was_not_shown() -> None:
    rows, categories = examples()
    head = train_head(SPEC, BODY, rows, categories)
    fresh, truth = examples(6, first=50)
    said = [head.name(row) for row in head.score(SPEC, fresh)]
    assert said == truth
    assert head.header.categories == ["chat", "consent"]
    assert head.header.examples == [8, 8]
    assert min(head.header.left_out) >= 6
    assert head.header.none == 8


def test_left_out_is_trained_without_that_site() -> None:
    """A site whose examples of a category are like no others: shown, they are known; left out, they are not."""
    rows, categories = examples()
    odd = [Sighting(url=f"https://zz.example/qqvv{n}", page="https://odd.example/", type="font") for n in range(3)]
    head = train_head(SPEC, BODY, [*rows, *odd], [*categories, *["chat"] * 3])
    known = [head.name(row) for row in head.score(SPEC, odd)]
    assert known == ["chat"] * 3
    assert head.header.examples == [11, 8]
    assert head.header.left_out[0] <= 8
    alone = train_head(SPEC, BODY, [*rows, *odd], [*categories, *["rare"] * 3])
    assert alone.header.left_out[2] == 3, "each of them without itself: without its one site the category is not there"


def test_what_the_body_gives_weight_counts_for_less() -> None:
    rows, categories = examples()
    plain = train_head(SPEC, np.zeros(SPEC.parameters, np.float32), rows, categories)
    used = np.flatnonzero(np.abs(plain.table).sum(1))
    body = np.zeros((SPEC.parameters // 3, 3), np.float32)
    loud = used[np.argmax(np.abs(plain.table[used, 0]))]
    body[loud] = [5, -5, 0]
    after = train_head(SPEC, body.ravel(), rows, categories)
    assert abs(after.table[loud, 0]) < abs(plain.table[loud, 0]) / 3
    assert plain.header.body != after.header.body


def test_own_rows_stand_for_none_and_the_head_is_the_same_again() -> None:
    rows, categories = examples()
    kept = [(row, category) for row, category in zip(rows, categories, strict=True) if category != NONE]
    own = [seen(NONE, site) for site in range(100, 160)]
    head = train_head(SPEC, BODY, [row for row, _ in kept], [category for _, category in kept], own)
    assert head.header.none == 48
    again = train_head(SPEC, BODY, [row for row, _ in kept], [category for _, category in kept], own)
    assert head_bytes(head) == head_bytes(again)


def test_a_head_is_read_as_it_was_written_and_nothing_else_is() -> None:
    head = train_head(SPEC, BODY, *examples())
    data = head_bytes(head)
    back = parse_head(data)
    assert back.header == head.header
    np.testing.assert_array_equal(back.table, head.table)
    line = data.split(b"\n", 1)[0]
    for bad in (
        b"", b"{}", line, data[:-1], data + b"\0", data.replace(b"gossip-head/1", b"gossip-head/2"), b"[" * 99_999,
        data.replace(b'"none":8', b'"none":-8'), line + b"\n" + b"\xff" * (len(data) - len(line) - 1),
    ):  # fmt: skip
        with pytest.raises(LocalError, match="cannot be used"):
            parse_head(bad)


def test_too_few_too_many_and_other_features_are_refused() -> None:
    rows, categories = examples(2)
    with pytest.raises(LocalError, match="too few examples of chat"):
        train_head(SPEC, BODY, rows, categories)
    rows, categories = examples(MAX_EXAMPLES)
    with pytest.raises(LocalError, match="too many"):
        train_head(SPEC, BODY, rows, categories)
    rows = [seen("chat", n) for n in range(5)]
    with pytest.raises(LocalError, match="nothing to tell the examples from"):
        train_head(SPEC, BODY, rows, ["chat"] * 5)
    head = train_head(SPEC, BODY, *examples())
    other = ModelSpec.parse(SPEC.text.replace("1024", "2048"))
    with pytest.raises(LocalError, match="other features"):
        head.score(other, rows)


FIELDS = st.sampled_from(["url", "page", "type", "category", "third_party"])
VALUES = st.none() | st.text() | st.integers() | st.sampled_from(["https://a.example/", "script", "\x1b[2J"])


@given(st.binary(max_size=300) | st.dictionaries(FIELDS, VALUES).map(lambda row: json.dumps(row).encode()))
@settings(max_examples=200, deadline=None)
def test_a_line_is_an_example_or_says_why_not(line: bytes) -> None:
    try:
        row, category = parse_example(line)
    except LocalError:
        return
    assert row.url
    assert category


def test_an_example_may_leave_out_all_but_its_url() -> None:
    row, category = parse_example(b'{"url":"https://w.example/a.js","type":"xhr","label":"ad"}')
    assert (row.type, row.page, category) == ("xmlhttprequest", "", NONE)
