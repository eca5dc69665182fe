"""Groups of scored requests: what nobody blocks and several sites show comes first, whatever the order they came in."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.advisor import groups as module
from gossip.advisor.groups import BANDS, MAX_PATTERN_CHARS, REST, Groups, grouped, pattern_of
from gossip.advisor.scored import Scored
from gossip.advisor.summary import Summary
from tests.advisor.rows import NEWS, SHOP, scored

ROWS = [
    scored("https://quiet.example/x.js", 0.2),
    scored("https://known.example/x.js", 0.99, listed=("EasyList",)),
    scored("https://known.example/x.js", 0.99, listed=("EasyList", "Other"), page=SHOP),
    scored("https://one.example/x.js", 0.999),
    scored("https://t.example.net/p/17.gif", 0.91),
    scored("https://t.example.net/p/18.gif", 0.95, page=SHOP),
    scored("https://t.example.net/robots.txt", 0.01),
    scored("https://excepted.example/x.js", 0.99, excepted=("Unbreak",)),
]


def test_what_nobody_blocks_and_several_sites_show_comes_first() -> None:
    found = grouped(ROWS)
    assert [(group.domain, group.figures.band) for group in found] == [
        ("example.net", "open on several sites"),
        ("one.example", "open"),
        ("known.example", "known"),
        ("excepted.example", "known"),
        ("quiet.example", "quiet"),
    ]
    two = found[0].figures
    assert (two.requests, two.to_block, two.open, two.listed, two.sites) == (3, 2, 2, 0, 2)
    assert two.best.seen.url == "https://t.example.net/p/18.gif"
    assert [(part.path, part.figures.requests) for part in found[0].patterns] == [("/p/*.gif", 2), ("/robots.txt", 1)]
    assert found[2].figures.lists == ("EasyList", "Other")


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_capture_changes_nothing(luck: random.Random) -> None:
    rows = [*ROWS]
    luck.shuffle(rows)
    assert grouped(rows) == grouped(ROWS)


hosts = st.sampled_from(["a.example.net", "b.example.net", "y.example", "z.example"])
pages = st.sampled_from(["", NEWS, SHOP, "https://third.example/"])


@st.composite
def any_rows(draw: st.DrawFn) -> list[Scored]:
    return draw(
        st.lists(
            st.builds(
                lambda host, path, p, page, listed: scored(f"https://{host}/{path}", p, page=page, listed=listed),
                hosts, st.sampled_from(["a.js", "1/b.js", "2/b.js"]), st.sampled_from([0.1, 0.9, 0.95]), pages,
                st.sampled_from([(), ("L",)]),
            ),
            max_size=30,
        )
    )  # fmt: skip


@given(any_rows())
def test_every_request_is_counted_once_in_a_group_and_once_in_a_pattern(rows: list[Scored]) -> None:
    found, summary = grouped(rows), Summary()
    summary.add(rows)
    assert sum(group.figures.requests for group in found) == len(rows) == summary.requests
    assert sum(group.figures.open for group in found) == summary.open
    assert sum(group.figures.listed for group in found) == summary.listed
    for group in found:
        assert sum(part.figures.requests for part in group.patterns) == group.figures.requests
        assert group.figures.best.is_open is (group.figures.open > 0)
    places = [BANDS.index(group.figures.band) for group in found]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("https://a.example/b/1234/x9f3c1d2e4a5b6.js?u=7#top", "/b/*/x*.js"),
        ("https://a.example", "/"),
        ("https://a.example/300x250/ad.js", "/*x*/ad.js"),
        ("https://a.example/feedback/facade.css", "/feedback/facade.css"),
        ("https://a.example/" + "Zm9vYmFy" * 6 + "/p", "/*/p"),
    ],
)
def test_what_differs_from_request_to_request_is_left_out_of_a_pattern(url: str, pattern: str) -> None:
    assert pattern_of(url) == pattern


def test_patterns_are_made_of_what_may_be_seen() -> None:
    groups = Groups()
    groups.add(scored("https://a.example/users/anna/x.js", 0.95))
    assert groups.ordered()[0].patterns[0].path == "/users/anna/x.js"
    assert groups.ordered(lambda url: url.replace("anna", "-"))[0].patterns[0].path == "/users/-/x.js"
    assert groups.ordered(top=0)[0].patterns == ()


def test_a_capture_that_never_ends_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the limits is counted with others, and nothing is lost."""
    for name, limit in (("MAX_DOMAINS", 5), ("MAX_PATTERNS", 3), ("MAX_ALL_PATTERNS", 8), ("MAX_SITES", 4)):
        monkeypatch.setattr(module, name, limit)
    groups = Groups()
    for number in range(400):
        host, path = f"h{number % 40}.example", "abcdefgh"[number % 8]
        groups.add(scored(f"https://{host}/{path}", 0.95, page=f"https://s{number}.example/"))
    found = groups.ordered()
    assert len(found) == 5 + 1
    assert sum(group.figures.requests for group in found) == 400
    assert max(len(group.patterns) for group in found) <= 3 + 1
    assert sum(len(group.patterns) for group in found) <= 8 + len(found)
    assert max(group.figures.sites for group in found) == 4
    assert {REST} < {group.domain for group in found}
    assert len(pattern_of("https://a.example/" + "ab/" * 9000)) == MAX_PATTERN_CHARS


def test_of_the_longest_urls_as_much_is_kept_as_is_shown_and_no_half_of_a_token() -> None:
    """Two gigabytes of URLs came packed in two megabytes, and were held."""
    url = "https://ads.example/unit/" + "ab/" * 300 + "s3cr3tT0ken99ZZ" * 9 + "/" + "x" * 30_000
    (group,) = grouped([scored(url, 0.9, page=f"{NEWS}?a=1&b=2&c={'d' * 30_000}")])
    kept = group.figures.best.seen
    assert kept.url == "https://ads.example/unit/" + "ab/" * 300 + REST
    assert kept.page == f"{NEWS}?a=1&b=2&{REST}"
    assert (group.domain, group.figures.sites) == ("ads.example", 1)
