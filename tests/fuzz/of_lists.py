"""Filter lists: files that anybody wrote, fetched from anywhere; and the file that remembers where they are."""

from __future__ import annotations

from typing import Final

from gossip.filterlists.lint import lint
from gossip.filterlists.lint_style import STYLES, lint_style, tidied
from gossip.filterlists.meaning import covers, meaning_of
from gossip.filterlists.rules import NetworkRule, parse_lines, parse_rule
from gossip.filterlists.shelf import look_at, read_shelf
from tests.fuzz.target import Target, file

LIST: Final = b"""! Title: Mine
||ads.example^$third-party,domain=a.test|~b.a.test
||x.ads.example^$3p
@@|https://ads.example/x|$script # seen
/ad[0-9]{2,3}$/$xhr,removeparam=/^a,b$/
0.0.0.0 px.example
a.test,b.test##.ad
!#if ext_ublock
*$script,denyallow=c.test,from=d.test
!#endif
"""
SHELF: Final = (
    b'{"format":"gossip/shelf/1","lists":[{"name":"Mine","path":"/home/ann/mine.txt","kind":"ad","version":"7",'
    b'"licence":"MIT","date":"2026-01-01","sha256":"' + b"5d" * 32 + b'"}]}'
)


def _lines(data: bytes) -> None:
    """Every line is read, printed back, and never an error."""
    text = data.decode("utf-8", "replace")
    raw = [line.removesuffix("\r") for line in text.split("\n")]
    read = [line for _, line in parse_lines(text)]
    assert [str(line) for line in read] == raw
    rules = [line for line in read if isinstance(line, NetworkRule)]
    for rule in rules:
        meaning = meaning_of(rule)
        assert parse_rule(str(rule)) == rule
        covers(meaning, meaning_of(rules[0]))
        for style in STYLES:
            tidied(rule, style)
    lint(text)
    for style in STYLES:
        lint_style(text, style)


def _shelf(data: bytes) -> None:
    for kept in read_shelf(data):
        assert kept.kind in ("ad", "tracker")


def _looked_at(data: bytes) -> None:
    assert look_at(file(data, "mine.txt")).name


TARGETS: Final = (
    Target(
        "rules-lines", _lines, lambda: [LIST],
        ("gossip.filterlists.rules.parse_lines", "gossip.filterlists.rules.parse_rule"),
        words=(b"$domain=", b"##", b"@@", b"||", b"/$/", b"!#if ", b"\xd0\xb0", b"xn--", b"[::1]", b"~"),
        own=True, slow=True,
    ),
    Target(
        "shelf", _shelf, lambda: [SHELF], ("gossip.filterlists.shelf.read_shelf",),
        words=(b'"path":"', b"\\u0000", b"null", b"[[[["), own=True,
    ),
    Target("list-looked-at", _looked_at, lambda: [LIST], ("gossip.filterlists.shelf.look_at",), own=True, slow=True),
)  # fmt: skip
