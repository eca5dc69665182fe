"""Each way in which a rule can be wrong, said by line and reason; and nothing said of rules that are right."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.filterlists.lint import lint
from gossip.filterlists.lint_style import lint_style, tidied
from gossip.filterlists.meaning import meaning_of
from gossip.filterlists.rules import NetworkRule, parse_rule


@pytest.mark.parametrize(
    ("rule", "level", "what", "why"),
    [
        ("||ads.example^$thrid-party", "error", "unknown-option", "no engine knows the option 'thrid-party'"),
        ("||ads.example^$", "error", "unknown-option", "an option is empty"),
        ("||ads.example^$script,,image", "error", "unknown-option", "an option is empty"),
        ("||ads.example^$domain", "error", "bad-option", "domain needs a value: domain=..."),
        ("||ads.example^$script=x", "error", "bad-option", "script takes no value"),
        ("||ads.example^$~domain=a.test", "error", "bad-option", "domain cannot be negated"),
        ("||ads.example^$generichide", "error", "bad-option", "generichide belongs to exceptions (@@)"),
        ("@@||ads.example^$important", "error", "bad-option", "important has no place in an exception"),
        ("*$script,denyallow=a.test", "error", "bad-option", "denyallow needs domain=: uBlock Origin drops it without"),
        ("||ads.example^$domain=https://a.test", "error", "bad-domain", "is an address: give the host alone"),
        ("||ads.example^$domain=a.test/x", "error", "bad-domain", "has a path: give the host alone"),
        ("||ads.example^$domain=a.test,b.test", "error", "bad-domain", "names stand with | between them"),
        ("||ads.example^$domain=a.test|", "error", "bad-domain", "a name is empty"),
        ("||ads.example^$domain=*.a.test", "error", "bad-domain", "only .* at the end is one"),
        ("0.0.0.0 ads_/example", "error", "bad-domain", "has a path"),
        ("||ads.example^$domain=a.test|~a.test", "error", "contradiction", "has a.test with and without ~"),
        ("||ads.example^$image,~image", "error", "contradiction", "it has image and ~image"),
        ("||ads.example^$3p,~third-party", "error", "contradiction", "first and third parties at once"),
        ("/ad[0-9/", "error", "never", "its regular expression cannot be read"),
        ("||https://ads.example^", "error", "never", "write |https:// for an address"),
        ("||/ads/", "error", "never", "none begins with /"),
        ("||ads..example^", "error", "never", "no host is called 'ads..example'"),
        ("||bücher.example^", "error", "never", "requests carry such a host as xn--bcher-kva.example"),
        ("|ads.example^", "error", "never", "write || for a host"),
        ("||ads.example^$3p,domain=www.ads.example", "error", "never", "it is no third party"),
        ("||ads.example^$1p,domain=a.test|b.test", "error", "never", "for no page of ads.example"),
        ("ads.example banner", "error", "unreadable", "it holds a blank"),
        ("||com^", "warning", "too-broad", "com is no site, but a suffix"),
        ("@@||co.uk^$script", "warning", "too-broad", "co.uk is no site, but a suffix"),
        ("*", "warning", "too-broad", "shorter than 4 characters"),
        ("ad^$script", "warning", "too-broad", "shorter than 4 characters"),
        ("*$script,domain=~a.test", "warning", "too-broad", "shorter than 4 characters"),
    ],
)
def test_what_is_wrong_is_said_once_with_its_reason(rule: str, level: str, what: str, why: str) -> None:
    findings, _ = lint(f"! a list\n{rule}\n||right.example^\n")
    assert [(found.line, found.level, found.what) for found in findings][:1] == [(2, level, what)]
    assert len({found.what for found in findings}) == 1
    assert why in findings[0].why
    assert findings[0].rule == rule


RIGHT = """! Title: Right
||ads.example^$third-party,domain=a.test|~b.a.test
||127.0.0.1^$third-party,domain=~localhost|~[::1]
||141.98.82.232^
-banner-$image,~script
/^https?:\\/\\/[a-z]{8}\\.test\\/(?<!x)\\d+$/$script,domain=a.test
/[^]x(?<n>y)\\k<n>\\p{L}/
*$script,3p,denyallow=a.test|b.test,domain=c.test
@@||a.test^$generichide
*$removeparam=utm_source
||news.*/x$from=news.*|/^n[0-9]|m\\.test$/
||x.example^$script,_____,important
|https://ads.test/
|javascript:*open$popup
||ads.test^$badfilter
||xn--bcher-kva.example^
0.0.0.0 px.example
a.test##.ad
"""


def test_nothing_is_said_of_what_is_right() -> None:
    findings, counted = lint(RIGHT)
    assert findings == []
    assert (counted.network, counted.exceptions, counted.hosts, counted.cosmetic, counted.comments) == (15, 1, 1, 1, 2)
    assert counted.dropped == {"_": 1, "denyallow": 1, "from": 1, "popup": 1, "removeparam": 1}


def test_what_is_there_already_is_found_by_meaning_and_named_by_line() -> None:
    findings, _ = lint(
        "||ads.example^\n||x.ads.example^\n||ads.example^\n||ADS.example^*\n/banner.js\n||c.example/banner.js$image\n"
        "||ads.example^$popup\n0.0.0.0 px.ads.example\n!#if ext_ublock\n||ads.example^\n!#endif\n"
    )
    assert [(found.line, found.what, found.why) for found in findings] == [
        (2, "covered", "line 1 covers it: ||ads.example^"),
        (3, "duplicate", "line 1 is the same"),
        (4, "duplicate", "line 1 asks the same: ||ads.example^"),
        (6, "covered", "line 5 covers it: /banner.js"),
        (8, "covered", "line 1 covers it: ||ads.example^"),
    ]


@given(st.lists(st.text("|@$^*~,=#!/ \\.ab0[](){}?+", max_size=24), max_size=6))
def test_no_list_is_an_error(lines: list[str]) -> None:
    text = "\n".join(lines)
    findings, _ = lint(text)
    numbers = range(1, len(text.split("\n")) + 1)
    assert all(found.line in numbers for found in findings)
    for style in ("easylist", "uassets"):
        lint_style(text, style)  # type: ignore[arg-type]


# ------------------------------------------------------------------ styles


@pytest.mark.parametrize(
    ("rule", "easylist", "uassets"),
    [
        ("||a.example^$3p,xhr", "||a.example^$third-party,xmlhttprequest", "||a.example^$3p,xhr"),
        ("||a.example^$1p,domain=c.test|~b.test", "||a.example^$~third-party,domain=~b.test|c.test",
         "||a.example^$1p,domain=c.test|~b.test"),
        ("||a.example^$~third-party", "||a.example^$~third-party", "||a.example^$1p"),
        ("||a.example^$~image,image,from=B.test", "||a.example^$image,~image,domain=b.test",
         "||a.example^$~image,image,from=B.test"),
        ("*-ad-*$Script", "-ad-$script", "*-ad-*$Script"),
        ("/ad/*", "/ad/*", "/ad/*"),
        ("*$script,domain=a.test", "$script,domain=a.test", "*$script,domain=a.test"),
        ("*$domain=/^a|b$/,script", "$domain=/^a|b$/,script", "*$domain=/^a|b$/,script"),
        ("||a.example^$removeparam=Utm", "||a.example^$removeparam=Utm", "||a.example^$removeparam=Utm"),
    ],
)  # fmt: skip
def test_each_project_spells_it_in_its_way(rule: str, easylist: str, uassets: str) -> None:
    read = parse_rule(rule)
    assert isinstance(read, NetworkRule)
    assert tidied(read, "easylist").text == easylist
    assert tidied(read, "uassets").text == uassets
    for text in (easylist, uassets):
        again = parse_rule(text)
        assert isinstance(again, NetworkRule)
        assert meaning_of(again) == meaning_of(read)


def test_easylist_wants_sections_sorted_joined_and_without_notes() -> None:
    found = lint_style(
        "! one\n||b.example^\n||A.example^\n! two\n||0.example^\n-x-\n/x/y$domain=a.test\n/x/y$domain=b.test\n"
        "||a.example^ # seen\n0.0.0.0 c.example\n-ad\n", "easylist",
    )  # fmt: skip
    why = {each.line: each.why for each in found}
    assert (why[3], why[8]) == (
        "it belongs before ||b.example^",
        "with the line before it makes /x/y$domain=a.test|b.test",
    )
    assert sorted((each.line, each.what) for each in found) == [
        (3, "order"), (6, "order"), (6, "short"), (8, "join"), (9, "note"), (10, "hosts"), (11, "order"), (11, "short"),
    ]  # fmt: skip


def test_uassets_wants_an_issue_above_each_block() -> None:
    found = lint_style(
        "! Title: Mine\n||a.example^\n||b.example^\n! https://github.com/uBlockOrigin/uAssets/issues/2\n||c.example^\n"
        "||d.example^\n\n! nothing in particular\n!#if ext_ublock\n||e.example^\n!#endif\n", "uassets",
    )  # fmt: skip
    assert [(each.line, each.what) for each in found] == [(2, "issue"), (10, "issue")]


@pytest.mark.shared
def test_the_style_is_that_of_the_projects_themselves(shared_data: Path) -> None:
    """Whole lists of August 2026. One rule of EasyPrivacy has a value in capitals."""
    with tarfile.open(shared_data / "lists-2025-05-30_2026-08-14.tgz") as archive:
        found = {}
        for name, style in (("easylist__easylist", "easylist"), ("easylist__easyprivacy", "easylist"),
                            ("ublock-origin__filters", "uassets")):  # fmt: skip
            member = archive.extractfile(f"lists/ghostery-2026-08-14/{name}.txt")
            assert member is not None
            text = member.read().decode()
            found[name] = [each.what for each in lint_style(text, style)]  # type: ignore[arg-type]
    assert found["easylist__easylist"] == []
    assert found["easylist__easyprivacy"] == ["spelling"]
    assert found["ublock-origin__filters"] == ["issue"] * 68
