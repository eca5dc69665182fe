"""What a line of a list says, in values; and back, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.filterlists.options import TABLE
from gossip.filterlists.rules import (
    MAX_RULE_CHARS,
    Comment,
    Cosmetic,
    HostRule,
    NetworkRule,
    Option,
    Unknown,
    network_rules,
    parse_lines,
    parse_rule,
)
from gossip.filterlists.trial import is_read


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("||ads.example^", NetworkRule("ads.example^", start="||")),
        ("@@|https://ads.example/x|", NetworkRule("https://ads.example/x", True, "|", "|")),
        (
            "||ads.example^$third-party,~image,domain=a.test|~b.a.test",
            NetworkRule(
                "ads.example^", start="||",
                options=(Option("third-party"), Option("image", negated=True), Option("domain", "a.test|~b.a.test")),
            ),
        ),
        ("/ad[0-9]{2,3}$/", NetworkRule("/ad[0-9]{2,3}$/")),
        ("/ad[0-9]$/$script,3p", NetworkRule("/ad[0-9]$/", options=(Option("script"), Option("3p")))),
        ("/ad$file.js", NetworkRule("/ad$file.js")),
        ("$script,domain=a.test", NetworkRule("", options=(Option("script"), Option("domain", "a.test")))),
        (
            "||a.example^$removeparam=/^utm_(a|b){1,2}$/",
            NetworkRule("a.example^", start="||", options=(Option("removeparam", "/^utm_(a|b){1,2}$/"),)),
        ),
        (
            "||a.example^$csp=script-src 'self', 'none',domain=b.test",
            NetworkRule(
                "a.example^", start="||",
                options=(Option("csp", "script-src 'self', 'none'"), Option("domain", "b.test")),
            ),
        ),
        ("/x/$replace=/a$/b/", NetworkRule("/x/", options=(Option("replace", "/a$/b/"),))),
        (" -ad- # seen in March", NetworkRule("-ad-", before=" ", after=" # seen in March")),
        ("||a.example^$", NetworkRule("a.example^", start="||", options=(Option(""),))),
        ("0.0.0.0 ads.example # March", HostRule("0.0.0.0 ads.example # March", "ads.example")),
        ("127.0.0.1\tlocalhost", Comment("127.0.0.1\tlocalhost")),
        ("news.test,~live.news.test##.ad", Cosmetic("news.test,~live.news.test", "##", ".ad")),
        ("news.test#@?#.ad:has(b)", Cosmetic("news.test", "#@?#", ".ad:has(b)")),
        ("##.ad", Cosmetic("", "##", ".ad")),
        ("news.test##+js(a, b)", Cosmetic("news.test", "##", "+js(a, b)")),
        ("/^news[0-9]/##.ad", Cosmetic("/^news[0-9]/", "##", ".ad")),
        ("news.test$$script[a]", Cosmetic("news.test", "$$", "script[a]")),
        ("! a comment", Comment("! a comment")),
        ("# a comment", Comment("# a comment")),
        ("!#if ext_ublock", Comment("!#if ext_ublock")),
        ("[Adblock Plus 2.0]", Comment("[Adblock Plus 2.0]")),
        ("", Comment("")),
        ("@@", Unknown("@@", "nothing follows @@")),
        ("ads.example banner", Unknown("ads.example banner", "it holds a blank, and is no line of a hosts file")),
    ],
)  # fmt: skip
def test_lines_are_told_apart_and_printed_back(line: str, rule: object) -> None:
    assert parse_rule(line) == rule
    assert str(parse_rule(line)) == line


@given(st.one_of(
    st.text(st.characters(exclude_characters="\n"), max_size=60),
    st.text("|@$^*~,=#!/ \\.ab%?[]{}1:-", max_size=40),
))  # fmt: skip
def test_whatever_was_read_is_printed_back(line: str) -> None:
    assert str(parse_rule(line)) == line


WORDS = st.sampled_from([name for known in TABLE for name in (known.name, *known.aliases)] + ["nonsense", "__"])
VALUES = st.lists(
    st.sampled_from(["a", "b.test", "|", "~", "/^x{2,}$/", "{1,3}", "$", ", 'self'", "=", "*"]), max_size=5
)
OPTIONS = st.builds(Option, WORDS, st.one_of(st.none(), VALUES.map("".join)), st.booleans())


@given(st.text("ab./^*-_?=&", min_size=1, max_size=20), st.lists(OPTIONS, min_size=1, max_size=4), st.booleans())
def test_the_parts_of_a_rule_are_found_again(pattern: str, options: list[Option], exception: bool) -> None:
    text = ("@@" if exception else "") + "||" + pattern + "$" + ",".join(map(str, options))
    again = parse_rule(text)
    assert isinstance(again, NetworkRule)
    assert (again.exception, again.start, again.pattern) == (exception, "||", pattern)
    assert ",".join(map(str, again.given)) == ",".join(map(str, options))


def test_a_whole_list_is_read_whatever_stands_in_it() -> None:
    text = "! Title: Mine\r\n||ads.example^\r\n0.0.0.0 px.example\nnews.test##.ad\nnot a rule\n" + "x" * (
        MAX_RULE_CHARS + 1
    )
    read = list(parse_lines(text))
    assert [number for number, _ in read] == [1, 2, 3, 4, 5, 6]
    assert [type(line).__name__ for _, line in read] == [
        "Comment", "NetworkRule", "HostRule", "Cosmetic", "Unknown", "Unknown",
    ]  # fmt: skip
    assert [rule.text for rule in network_rules(text)] == ["||ads.example^", "||px.example^"]


SAMPLES = {"redirect": "noopjs", "redirect-rule": "noopjs", "rewrite": "abp-resource:blank-js", "replace": "/a/b/",
          "uritransform": "/a/b/", "urltransform": "/a/b/", "csp": "script-src 'none'"}  # fmt: skip


def option_rules() -> list[tuple[str, bool]]:
    """Of each option, under each of its names, a rule, and whether adblock reads it as the table says."""
    return [
        (f"{'@@' if known.only == 'exception' else ''}||ads.example^${mark}{name}{value}", known.adblock)
        for known in TABLE
        for name in (known.name, *known.aliases)
        for value in ["" if known.value == "none" else "=" + SAMPLES.get(name, "x.test")]
        for mark in (("", "~") if known.negated and known.name != "document" else ("",))
        if known.name != "badfilter"
    ]


def test_the_table_says_what_the_engine_drops() -> None:
    """All but badfilter, which takes another rule out and is none itself."""
    rules = option_rules()
    assert len(rules) > 80
    assert [(rule, is_read(rule)) for rule, _ in rules] == rules
