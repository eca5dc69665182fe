"""One rule at a time: what the engine makes of it, whatever stands beside it."""

from __future__ import annotations

from gossip.filterlists.trial import is_read, trial

PAGE = "https://news.test/"


def test_the_engine_says_of_each_rule_whether_it_reads_it() -> None:
    rules = ["||ads.example^", "||ads.example^$thrd-party", "||a.example^$third-party", "*", "@@||ads.example/x$image"]
    assert trial(rules).read == (True, False, True, False, True)
    assert is_read("news.test##.ad")
    assert not is_read("! a comment")
    assert not is_read("")


def test_rules_are_tried_each_on_its_own_though_an_engine_would_name_only_one() -> None:
    tried = trial(
        ["||ads.example^", "/banner.", "||ads.example^$image", "@@||ads.example/banner.js", "0.0.0.0 ads.example"]
    )
    request = (PAGE, "https://ads.example/banner.js", "script")
    assert tried.matching(*request) == (0, 1, 3, 4)
    assert [tried.blocks(index, *request) for index in range(5)] == [True, True, False, True, True]
    assert tried.matching(PAGE, "https://cdn.example/app.js", "script") == ()


def test_an_exception_is_tried_though_no_rule_blocks() -> None:
    tried = trial(["@@||ads.example^$script"])
    assert tried.blocks(0, PAGE, "https://ads.example/x.js", "script")
    assert not tried.blocks(0, PAGE, "https://ads.example/x.gif", "image")
    assert trial(["@@||ads.example^"]).matching(PAGE, "wss://ads.example/x", "websocket") == (0,)


def test_an_important_rule_does_not_hide_an_exception_that_matches() -> None:
    assert trial(["||ads.example^$important", "@@||ads.example^"]).matching(PAGE, "https://ads.example/", "image") == (
        0,
        1,
    )


def test_a_request_without_a_page_is_third_party_and_of_no_domain() -> None:
    tried = trial(["||ads.example^$third-party", "||ads.example^$~third-party", "||ads.example^$domain=news.test"])
    assert tried.matching("", "https://ads.example/x.js", "script") == (0,)
    assert tried.matching(PAGE, "https://ads.example/x.js", "script") == (0, 2)
    assert tried.matching("https://www.ads.example/", "https://ads.example/x.js", "script") == (1,)


def test_what_is_no_address_is_matched_by_nothing() -> None:
    tried = trial(["||ads.example^", "ads"])
    for url in ("", "ads", "data:text/plain,ads.example", "https://ads.example/\ud800"):
        assert tried.matching(PAGE, url, "script") == ()
        assert not tried.blocks(0, PAGE, url, "script")
