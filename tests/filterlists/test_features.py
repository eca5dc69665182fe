"""Features are part of the ledger's claims: two machines must see the same buckets for the same URL."""

from __future__ import annotations

import itertools
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.filterlists import features
from tests.filterlists import plain_grams

URLS = st.builds(
    "".join, st.lists(st.sampled_from([*"aZ0./?#|&=é", "http://", "://", "x" * 70, "/Ads/banner"]), max_size=12)
)


def test_golden_vectors_hold() -> None:
    for row in json.loads(plain_grams.VECTORS.read_text("utf-8"))["vectors"]:
        tokens, offsets = features.grams([row["url"]], row["buckets"])
        assert tokens.tolist() == row["grams"]
        assert offsets.tolist() == [0, len(row["grams"])]
        assert features.marks([row["url"]], [row["type"]], [row["third_party"]]).tolist() == [row["marks"]]


def test_golden_vectors_are_what_the_plain_implementation_writes() -> None:
    assert plain_grams.VECTORS.read_text("utf-8") == plain_grams.text()


@settings(max_examples=60)
@given(st.lists(URLS, max_size=5))
def test_columns_at_once_equal_one_url_at_a_time(urls: list[str]) -> None:
    tokens, offsets = features.grams(urls, 1 << 12)
    assert [tokens[a:b].tolist() for a, b in itertools.pairwise(offsets)] == [
        plain_grams.grams(url, 1 << 12) for url in urls
    ]
    kinds = [plain_grams.TYPES[i % 12] for i in range(len(urls))]
    party = [i % 2 == 0 for i in range(len(urls))]
    assert features.marks(urls, kinds, party).tolist() == [
        plain_grams.marks(*row) for row in zip(urls, kinds, party, strict=True)
    ]


def test_marks_and_grams_never_share_a_bucket() -> None:
    urls = [f"https://host{i}.example/path/{i}?q={i}" for i in range(300)]
    tokens, _ = features.grams(urls, 1 << 10)
    assert tokens.min() >= features.MARK_BUCKETS
    assert tokens.max() < 1 << 10
    kinds = list(features.TYPES) * 25
    assert features.marks(urls, kinds, [True] * 300).max() < features.MARK_BUCKETS


def test_however_long_a_url_its_grams_are_bounded() -> None:
    long = "https://" + "h" * 5_000 + "/" + "p" * 5_000 + "?" + "q" * 5_000
    tokens, _ = features.grams([long], 1 << 14)
    assert len(tokens) == 189 + 375 + 183  # of host, path and query


def test_buckets_are_used_evenly() -> None:
    urls = [f"https://{i:x}.site{i * 7919 % 1009}.example/a{i * 31}/b.js?id={i * 97}" for i in range(3_000)]
    tokens, _ = features.grams(urls, 1 << 10)
    distinct = np.unique(tokens)
    assert len(distinct) == (1 << 10) - features.MARK_BUCKETS
