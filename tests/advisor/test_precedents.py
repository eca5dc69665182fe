"""What lists have decided on a host before: commented out on purpose, or excepted."""

from __future__ import annotations

import pytest

from gossip.advisor.precedents import Commented, Excepted, Precedents, precedents
from gossip.advisor.propose import suggest
from gossip.advisor.styles import Origin, written
from gossip.filterlists.engine import ListText
from gossip.filterlists.trial import trial
from tests.advisor.rows import NEWS, SHOP, scored

PRIVATE = ListText(
    "Private",
    """[Adblock Plus 2.0]
! Title: Private
! see https://count.example/why for what it does
! ||count.example^$third-party
||live.example^
! ||chart.example/ping.js
!||shop-only.example^$domain=shop.example
! /fingerprinter.js$script
# 0.0.0.0 hosts.example
! @@||twice.example^
###count.example
! ||broken.example banner
""",
    "tracker",
)
UNBREAK = ListText(
    "Unbreak",
    """! Title: Unbreak
@@||api.count.example/v1/$xhr,domain=a.test
@@||count.example/lib.js$script
@@||count.example^$ghide
@@||count.example^$document
@@||count.example/x$removeparam=y
@@||example^$script
@@||other.example/lib.js
""",
)


def said(pattern: str, *sites: str) -> Precedents:
    (found,) = precedents([(pattern, sites)], [PRIVATE, UNBREAK])
    return found


def test_a_commented_rule_is_found_with_its_list_and_line() -> None:
    assert said("||count.example^").commented == (Commented("Private", 4, "||count.example^$third-party"),)
    assert [each.line for each in said("||www.count.example/a.js").commented] == [4]
    assert said("||hosts.example^").commented == (Commented("Private", 9, "hosts.example"),)


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("||chart.example^", [6]),
        ("||chart.example/ping.js", [6]),
        ("||chart.example/other.js", []),
        ("||cdn.chart.example^", []),
        ("||cdn.example/js/fingerprinter.js", [8]),
        ("||live.example^", []),
        ("||twice.example^", []),
        ("||broken.example^", []),
        ("||mycount.example^", []),
    ],
)
def test_what_names_another_path_or_host_or_is_no_comment_says_nothing(pattern: str, lines: list[int]) -> None:
    assert [each.line for each in said(pattern).commented] == lines


def test_one_for_a_site_speaks_only_of_what_that_site_shows() -> None:
    assert [each.line for each in said("||shop-only.example^", "shop.example").commented] == [7]
    assert said("||shop-only.example^", "news.example").commented == ()


def test_exceptions_for_a_host_and_below_are_counted_those_for_looks_and_whole_pages_are_not() -> None:
    assert said("||count.example^").excepted == (Excepted("Unbreak", 2, "@@||count.example/lib.js$script"),)
    assert said("||count.example/lib.js").excepted[0].rules == 1
    assert said("||elsewhere.test^").excepted == ()


def test_what_a_list_has_commented_out_comes_last_and_what_is_excepted_lower() -> None:
    """Of four hosts that a capture shows alike."""
    hosts = ("calm.test", "count.example", "excepted.test", "zeal.test")
    rows = [scored(f"https://{host}/x", 0.99, page=page) for host in hosts for page in (NEWS, SHOP)]
    lists = [PRIVATE, ListText("Free", "@@||excepted.test/x$script,domain=far.test\n")]
    found = suggest(rows, trial, lists=lists)
    assert [each.text for each in found.proposals] == [
        "||calm.test^", "||zeal.test^", "||excepted.test^", "||count.example^",
    ]  # fmt: skip
    assert found.proposals[2].strength == found.proposals[0].strength / 2
    text = written(found, "easylist", Origin("m", ("Private", "Free")), str)
    assert "! Private has this commented out, line 4: ||count.example^$third-party\n! ||count.example^\n" in text
    assert "! risk: Free has 1 exception for this host, as @@||excepted.test/x$script,domain=far.test\n" in text
    assert "\n||excepted.test^\n" in text
    assert [each.text for each in suggest(rows, trial).proposals][1] == "||count.example^"
