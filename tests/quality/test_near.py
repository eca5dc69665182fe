"""Two requests are nearly the same if only what changes from visit to visit differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.quality.near import near_key

URL = "https://px7.ads.example/v3/9f8a7c6b5d4e3f2a1b/hit.gif?cb=17&zone=top#x"


@pytest.mark.parametrize(
    "twin",
    [
        "http://px7.ads.example/v3/9f8a7c6b5d4e3f2a1b/hit.gif?cb=17&zone=top",
        "https://px12.ads.example/v44/9f8a7c6b5d4e3f2a1b/hit.gif?cb=18&zone=left",
        "https://px7.ads.example/v3/0000111122223333444455556666aa/hit.gif?cb=&zone=",
        "HTTPS://PX7.Ads.Example/v3/9F8A7C6B5D4E3F2A1B/hit.gif?cb=1=2&zone=%20",
    ],
)
def test_digits_tokens_and_values_make_no_difference(twin: str) -> None:
    assert (
        near_key("news.test", twin) == near_key("news.test", URL) == "news.test px0.ads.example/v0/*/hit.gif?cb=&zone="
    )


@pytest.mark.parametrize(
    "other",
    [
        "https://px7.ads.example/v3/9f8a7c6b5d4e3f2a1b/hit.png?cb=17&zone=top",
        "https://px7.ads.example/v3/9f8a7c6b5d4e3f2a1b/hit.gif?cb=17",
        "https://px7.ads.example/v3/9f8a7c6b5d4e3f2a1b/hit.gif",
        "https://px7.other.example/v3/9f8a7c6b5d4e3f2a1b/hit.gif?cb=17&zone=top",
        "https://px7.ads.example/v3/internationalisation/hit.gif?cb=17&zone=top",  # a long word is no token
    ],
)
def test_everything_else_does(other: str) -> None:
    assert near_key("news.test", other) != near_key("news.test", URL)


def test_the_site_counts() -> None:
    assert near_key("news.test", URL) != near_key("blog.test", URL)


@given(st.text(max_size=200))
def test_every_text_has_a_key_and_equal_ones_the_same(text: str) -> None:
    assert near_key("a", text) == near_key("a", text)


def test_a_long_url_takes_no_longer_for_its_letters() -> None:
    """Time that grows with the square of a word's length would be a minute here."""
    for text in ("a" * 60_000, "a_" * 30_000, "1" * 60_000, "=" * 60_000, "a-" * 30_000):
        assert near_key("a", f"https://x.test/{text}?{text}")
