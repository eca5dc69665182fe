"""One meaning, many spellings; and what a wider rule makes needless, held against the engine."""

from __future__ import annotations

from random import Random

import pytest

from gossip.filterlists.meaning import Meaning, covers, meaning_of
from gossip.filterlists.rules import NetworkRule, parse_rule
from gossip.filterlists.trial import trial


def meaning(text: str) -> Meaning:
    rule = parse_rule(text)
    assert isinstance(rule, NetworkRule), text
    return meaning_of(rule)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("||Ads.example^*$3p,xhr,css", "||ads.example^$stylesheet,third-party,xmlhttprequest"),
        ("||ads.example^$~1p,domain=B.test|a.test", "||ads.example^$domain=a.test|b.test,third-party"),
        ("*-banner-*$image", "-banner-$image"),
        ("||ads.example^$from=a.test,_____", "||ads.example^$domain=a.test"),
        ("||ads.example^$to=b.test|a.test", "||ads.example^$to=a.test|b.test"),
        ("*$script,domain=a.test", "$script,domain=a.test"),
    ],
)  # fmt: skip
def test_spelling_does_not_matter(one: str, other: str) -> None:
    assert meaning(one) == meaning(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("||ads.example^", "@@||ads.example^"),
        ("/ad/*", "/ad/"),  # the second is a regular expression
        ("/Ad/$match-case", "/ad/$match-case"),
        ("||ads.example^$image", "||ads.example^"),
        ("||ads.example^$domain=a.test", "||ads.example^$domain=~a.test"),
        ("||ads.example^$nonsense", "||ads.example^"),
    ],
)  # fmt: skip
def test_what_differs_differs(one: str, other: str) -> None:
    assert meaning(one) != meaning(other)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("||ads.example^", "||x.ads.example^"),
        ("||ads.example^", "||ads.example/banner$image"),
        ("||ads.example^", "|https://x.ads.example/"),
        ("||ads.example^", "||ads.example:8080^"),
        ("||ads.example^", "||ads.example^$third-party,domain=a.test"),
        ("||ads.example/x", "||ads.example/xy.js"),
        ("/banner.js", "||ads.example/banner.js?"),
        ("||ads.example^$script,image", "||ads.example^$image"),
        ("||ads.example^$domain=a.test", "||ads.example^$domain=b.a.test"),
        ("||ads.example^$important", "||ads.example^"),
        ("@@||ads.example^", "@@||ads.example/x.js"),
        ("||ads.example^$~image", "||ads.example^$script"),
    ],
)
def test_a_wide_rule_covers_a_narrow_one(wide: str, narrow: str) -> None:
    assert covers(meaning(wide), meaning(narrow))
    assert not covers(meaning(narrow), meaning(wide))


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("||ads.example^", "||badads.example^"),
        ("||ads.example^", "||ads.example"),  # which also is a beginning of ads.example.net
        ("||ads.example^", "||ads.example*.test^"),
        ("||ads.example^", "||ads.example^$popup"),
        ("||ads.example^", "||ads.example^$important"),
        ("||ads.example^", "@@||ads.example^"),
        ("||ads.example^", "||ads.example^$csp=script-src 'none'"),
        ("||ads.example^$third-party", "||ads.example^"),
        ("||ads.example^$domain=~b.a.test", "||ads.example^$domain=a.test"),
        ("||ads.example^$domain=a.test|~b.a.test", "||ads.example^$domain=a.test"),
        ("||ads.example^$nonsense", "||ads.example/x"),
        ("/Banner/x$match-case", "||ads.example/banner/x"),
        ("||ads.example^|", "||ads.example/x"),
        ("/ads[0-9]/", "||ads.example/ads1"),
    ],
)
def test_nothing_is_covered_on_a_guess(wide: str, narrow: str) -> None:
    assert not covers(meaning(wide), meaning(narrow))


HOSTS = ("a.example", "b.a.example", "c.b.a.example", "ba.example")
PATHS = ("", "^", "/", "/x", "/x.js", "/x.js?", "^x", "/xy", "*x", ":8080/x", "^*x.js")
PLACES = (
    "", "", "", "script", "image", "~image", "third-party", "~third-party", "domain=p.test", "domain=q.p.test",
    "domain=~p.test", "domain=p.test|~q.p.test", "important", "match-case", "script,third-party",
)  # fmt: skip
REQUESTS = [
    (page, f"https://{host}{port}{path}", kind)
    for page in ("https://p.test/", "https://q.p.test/", "https://a.example/", "https://r.test/")
    for host in ("a.example", "b.a.example", "c.b.a.example", "ba.example", "a.example.test")
    for port in ("", ":8080")
    for path in ("/", "/x", "/x.js", "/x.js?y", "/xy", "/X.js", "/z/x.js")
    for kind in ("script", "image")
]


def drawn(luck: Random) -> str:
    options = luck.choice(PLACES)
    start = luck.choice(("", "", "", "@@")) + luck.choice(("||", "||", "|https://", "", "."))
    return start + luck.choice(HOSTS) + luck.choice(PATHS) + (f"${options}" if options else "")


def test_the_engine_finds_no_request_of_the_narrow_rule_that_the_wide_one_lets_through() -> None:
    luck = Random(11)
    pairs = [(drawn(luck), drawn(luck)) for _ in range(8_000)]
    covered = [(wide, narrow) for wide, narrow in pairs if wide != narrow and covers(meaning(wide), meaning(narrow))]
    assert len(covered) > 80
    for wide, narrow in covered:
        tried = trial([wide, narrow])
        assert [each for each in REQUESTS if tried.blocks(1, *each) and not tried.blocks(0, *each)] == [], (
            wide,
            narrow,
        )
