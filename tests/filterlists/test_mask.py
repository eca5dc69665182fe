"""What may be printed of a URL."""

from __future__ import annotations

import base64
import uuid
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.filterlists.mask import masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ads.example/banner/300x250.js", "https://ads.example/banner/300x250.js"),
        ("https://ads.example:8443/v2/jquery-3.7.1.min.js", "https://ads.example:8443/v2/jquery-3.7.1.min.js"),
        ("https://a.example/?sid=8a7b&lang=de&empty=&flag", "https://a.example/?sid=…&lang=…&empty=&flag"),
        ("https://anna:geheim@a.example/", "https://…@a.example/"),
        ("https://anna@a.example/x#access_token=1", "https://…@a.example/x#…"),
        ("https://a.example/u/anna@mail.example/p", "https://a.example/u/…/p"),
        ("https://a.example/u/anna%40mail.example/p", "https://a.example/u/…/p"),
        ("https://a.example/7f3c9a0b5d2e4f61/main.0a1b2c3d.js", "https://a.example/…/main.….js"),
        ("https://a.example/order/12345678/2026", "https://a.example/order/…/2026"),
        ("https://a.example/3F2504E0-4F89-41D3-9A0C-0305E82C3301/x", "https://a.example/…/x"),
        ("https://a.example/dQw4w9WgXcQ-aaBB_cc11-ddEE22/x", "https://a.example/…/x"),
        ("https://a.example/x;jsessionid=AB12/y", "https://a.example/x;jsessionid=…/y"),
        ("https://a.example/?8a7b6c5d4e3f2a1b=1", "https://a.example/?…=…"),
        ("https://a.example/?8a7b6c5d4e3f2a1b", "https://a.example/?…"),
        ("https://7f3c9a0b5d2e4f61.cdn.ads.co.uk/x", "https://….cdn.ads.co.uk/x"),
        ("data:text/html,secret", "data:…"),
        ("ads.example", "ads.example"),
        ("ads.example:8080/x?y=1#z", "ads.example:8080/x?y=…"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("token", "word"),
    [
        ("1234567", "123456"), ("0badcafe", "0badcaf"), ("ab1c2d3xyz", "ab1c2d3xy"),
        ("AbcdefghijklmnopqrsT", "AbcdefghijklmnopqrS"), ("abcdefghijklmnopqrs1", "abcdefghijklmnopqr1"),
        ("z" * 32, "z" * 31), ("1234%35678", "12%334"),
    ],
)  # fmt: skip
def test_from_this_length_on_a_word_is_a_token(token: str, word: str) -> None:
    assert masked(f"https://a.example/{token}/x") == "https://a.example/…/x"
    assert masked(f"https://a.example/{word}/x") == f"https://a.example/{word}/x"


_web = st.from_regex(
    r"https?://([a-z]{1,9}[.@:]){1,4}[a-z]{2,9}(/[\w%@=;.+-]{0,40}){0,4}(\?[\w&=%;]{0,40})?", fullmatch=True
)


@given(st.text(max_size=80) | _web)
def test_what_is_masked_stays_as_it_is(url: str) -> None:
    assert masked(masked(url)) == masked(url)


@given(
    st.one_of(
        st.binary(min_size=16, max_size=48).map(bytes.hex),
        st.uuids().map(str),
        st.integers(10**7, 10**20).map(str),
        st.binary(min_size=24, max_size=48).map(lambda data: base64.urlsafe_b64encode(data).decode()),
        st.from_regex(r"[a-z]{3,9}\.[a-z]{3,9}@[a-z]{3,9}\.example", fullmatch=True),
    )
)
def test_a_token_is_shown_nowhere(token: str) -> None:
    for text in (token, quote(token, safe="")):
        for url in (
            f"https://{text}:{text}@a.example/",
            f"https://a.example/{text}/x.js",
            f"https://a.example/x?{text}",
            f"https://a.example/x?name={text}&b={text}",
            f"https://a.example/x#{text}",
            f"https://a.example/x={text}",
        ):
            shown = masked(url)
            assert token not in shown
            assert text not in shown
            assert urlsplit(shown).hostname == "a.example"


def test_what_is_masked_keeps_the_parts_that_rules_are_made_of() -> None:
    url = f"https://cdn.ads.example/serve/{uuid.uuid4()}/prebid.js?placement=7&user={uuid.uuid4()}"
    assert masked(url) == "https://cdn.ads.example/serve/…/prebid.js?placement=…&user=…"


def test_a_capture_of_the_longest_urls_is_masked_before_its_reader_has_gone() -> None:
    """Each took five seconds: an advertiser writes the URLs that a maintainer's machine masks."""
    for word in ("a", "a.", "aA1-", "0123456789ab-", "b@a", "%61", "a="):
        for url in (f"https://x.example/{word * 4000}", f"https://x.example/?{word * 4000}") * 20:
            assert masked(url).startswith("https://x.example/")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://s3cr3tT0ken99ZZ.files.intranet/x", "https://….files.intranet/x"),
        ("https://s3cr3tT0ken99ZZ.a.intranet:8443/", "https://….a.intranet:8443/"),
        ("https://a1b2c3d4e5.co.uk/x", "https://a1b2c3d4e5.co.uk/x"),
        ("https://192.168.100.1000:80/x", "https://192.168.100.1000:80/x"),
        ("https://files.intranet:99999s3cr3tT0ken99ZZ/", "https://files.intranet:…/"),
    ],
)
def test_a_host_that_no_suffix_covers_and_a_port_that_is_none_hide_tokens(url: str, shown: str) -> None:
    assert masked(url) == shown
