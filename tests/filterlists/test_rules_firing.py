"""What every rule did, not only the one that an engine names; and what follows for lists."""

from __future__ import annotations

from random import Random

from gossip.advisor.list_report import Report, report_of
from gossip.filterlists.engine import ListText
from gossip.filterlists.firing import Firing
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.trial import trial

ADS = """! Title: Ads
||ads.example^
||x.ads.example^
||dead.example^
/banner.
||Ads.example^
@@||ads.example/free.js$script
@@||never.example^
||ads.example^$popup
||gone.example^
||gone.example^$badfilter
||csp.example^$csp=script-src 'none'
/[0-9]{9}x/
$ping,domain=news.test
"""
MORE = "0.0.0.0 ads.example\n||ads.example/x\n@@||x.ads.example/banner.gif\n"


def seen(url: str, page: str = "https://news.test/", kind: str = "script", time: float | None = None) -> Sighting:
    return Sighting(url=url, page=page, type=kind, time=time)


CAPTURE = [
    seen("https://ads.example/x.js", time=1767225600.0),
    seen("https://ads.example/x.js", "https://other.test/", time=1767312000.0),
    seen("https://x.ads.example/banner.gif", kind="image"),
    seen("https://ads.example/free.js"),
    seen("https://cdn.example/123456789x"),
    seen("https://cdn.example/app.js"),
    seen("https://cdn.example/beat", kind="ping"),
    seen("https://gone.example/x"),
    seen("https://never.example/x"),
    seen("https://ads.example/y", page=""),
]


def fired() -> Firing:
    firing = Firing([ListText("Ads", ADS), ListText("More", MORE)])
    for each in CAPTURE:
        firing.add(each)
    return firing


def report() -> Report:
    return report_of(fired())


def test_every_rule_that_matches_is_counted_not_only_the_one_an_engine_names() -> None:
    counted = {(each.at.list, each.at.line): (each.hits, each.sites) for part in report().lists for each in part.fired}
    assert counted == {
        ("Ads", 2): (5, 2), ("Ads", 3): (1, 1), ("Ads", 5): (1, 1), ("Ads", 6): (5, 2), ("Ads", 7): (1, 1),
        ("Ads", 13): (1, 1), ("Ads", 14): (1, 1), ("More", 1): (5, 2), ("More", 2): (2, 2), ("More", 3): (1, 1),
    }  # fmt: skip


def test_what_never_fired_is_told_apart_from_what_was_not_tried() -> None:
    ads, more = report().lists
    assert [place.rule for place in ads.never] == ["||dead.example^"]
    assert [place.rule for place in ads.exceptions_never] == ["@@||never.example^"]  # nothing would block it
    assert (ads.rules, ads.exceptions, ads.unread, ads.other) == (13, 2, 1, 3)
    assert (more.rules, more.exceptions, more.never) == (3, 1, ())


def test_needless_rules_are_named_with_the_rule_that_does_their_work_and_on_which_ground() -> None:
    ads, more = report().lists
    assert [(each.at.line, each.by.line) for each in ads.duplicates] == [(6, 2)]
    assert [(each.at.line, each.by.list, each.by.line) for each in more.duplicates] == [(1, "Ads", 2)]
    assert [(each.at.line, each.by.line, each.hits) for each in ads.covered] == [(3, 2, 1)]
    assert [(each.at.line, each.by.list, each.by.line) for each in more.covered] == [(2, "Ads", 2)]
    assert [(each.at.line, each.by.line, each.hits) for each in ads.covered_seen] == [(5, 2, 1)]  # on what was seen


def test_a_rule_that_answers_or_overrules_is_needless_beside_none_that_only_blocks() -> None:
    firing = Firing([ListText("A", "/x.\n||a.example^$redirect=noopjs\n||a.example^$important\n||a.example^$script\n")])
    firing.add(seen("https://a.example/x.js"))
    firing.add(seen("https://b.example/x.js"))
    (found,) = report_of(firing).lists
    assert [each.at.line for each in found.covered] == [4]
    assert found.covered_seen == ()


def test_the_report_says_how_little_was_seen() -> None:
    found = report()
    assert (found.requests, found.sites, found.pageless, found.blocked, found.excepted) == (10, 2, 1, 7, 2)
    assert (found.first, found.last) == (1767225600.0, 1767312000.0)


def test_what_no_engine_can_read_is_counted_and_hurts_nobody() -> None:
    firing = Firing([ListText("Ads", ADS)])
    firing.add(seen("https://ads.example/\ud800"))
    firing.add(seen("nonsense"))
    assert (firing.requests, firing.unreadable, firing.blocked) == (2, 2, 0)


PATTERNS = [
    "||{h}^",
    "||{h}/{w}",
    "|https://{h}/",
    "/{w}.",
    "-{w}-",
    "/{w}/*/x",
    ".{w}^",
    "{w}",
    "/{w}[0-9]+/",
    "||{h}*{w}",
]
OPTIONS = [
    "",
    "",
    "$image",
    "$third-party",
    "$domain=a.test",
    "$domain=~a.test",
    "$domain=a.*",
    "$match-case",
    "$important",
]


def test_no_rule_that_matches_is_left_out_to_save_time() -> None:
    """All rules tried on all requests, against those that come in question."""
    luck = Random(5)
    hosts, words = ["a.example", "b.a.example", "c.example"], ["ad", "banner", "x", "Big", "ads%2fx"]
    marks, ends, pages = ("", "", "@@"), (".js", "/", "-", "7", "?"), ("https://a.test/", "https://b.test/", "")
    patterns = [luck.choice(PATTERNS).format(h=luck.choice(hosts), w=luck.choice(words)) for _ in range(300)]
    rules = sorted({luck.choice(marks) + pattern + luck.choice(OPTIONS) for pattern in patterns})
    paths = [luck.choice(words) + luck.choice(ends) + luck.choice(words) + "/x" for _ in range(60)]
    requests = [
        seen(f"https://{luck.choice(hosts)}/{path}", luck.choice(pages), luck.choice(("script", "image")))
        for path in paths
    ]
    firing = Firing([ListText("All", "\n".join(rules))])
    for each in requests:
        firing.add(each)
    tried = trial(rules)
    expected = [0] * len(rules)
    for each in requests:
        matched = [index for index in range(len(rules)) if tried.blocks(index, each.page, each.url, each.type)]
        if any(not rules[index].startswith("@@") for index in matched):
            for index in matched:
                expected[index] += 1
    assert [each.hits for each in firing.rules] == expected
    assert sum(expected) > 500
