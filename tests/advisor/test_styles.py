"""Texts as lists want them: complete, in order, and with nothing in them that a capture could smuggle in."""

from __future__ import annotations

from gossip.advisor.propose import Suggested, suggest
from gossip.advisor.styles import Origin, file_of, prefix_of, spelt, written
from gossip.filterlists.trial import trial
from tests.advisor.rows import CAPTURES, NEWS, SHOP, read, scored

ORIGIN = Origin("m.gossip", ("EasyList",))


def found(*numbers: int) -> Suggested:
    return suggest([row for number in numbers for row in read(CAPTURES[number - 1])[0]], trial)


def rules_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("!")]


def test_easylist_sorts_rules_under_the_file_that_each_belongs_to() -> None:
    text = written(found(1, 3, 4, 5, 11, 12), "easylist", ORIGIN, str)
    assert text.startswith("""\
! 8 rules proposed from 23 requests of 3 sites
! by the model m.gossip; lists asked: EasyList
! Proposals, not facts: a person must confirm each one on the page named before it goes into a list.

! *** easylist/easylist_adservers.txt ***
! ad: 1 request of 1 site, score 0.980
! sites: news.example
! page: https://news.example/
! request: https://one.solo.example/t (image)
! A: news.example
||one.solo.example^
""")
    files = [line.removeprefix("! *** ").removesuffix(" ***") for line in text.splitlines() if line.startswith("! ***")]
    assert files == sorted(files)
    assert rules_of(text) == [
        "||one.solo.example^", "||serve.banners.example^", "||three.trio.example^", "||two.duo.example^",
        "||news.example/adserve/", "||cdn.media.example/ads/",
        "||cdn.media.example/player/beacon.js", "||pixels.test^",
    ]  # fmt: skip


def test_the_file_says_what_the_rule_is() -> None:
    placed = {each.text: file_of(each) for each in found(1, 3, 4, 5, 10, 11).proposals}
    assert placed["||serve.banners.example^"] == "easylist/easylist_adservers.txt"
    assert placed["||pixels.test^"] == "easyprivacy/easyprivacy_trackingservers.txt"
    assert placed["||cdn.media.example/ads/"] == "easylist/easylist_thirdparty.txt"
    assert placed["||cdn.media.example/player/beacon.js"] == "easyprivacy/easyprivacy_thirdparty.txt"
    assert placed["||news.example/adserve/"] == "easylist/easylist_specific_block.txt"
    assert placed["||cdn.media.example/promo/$domain=news.example"] == "easylist/easylist_specific_block.txt"


def test_a_rule_beside_others_of_its_owner_is_a_modification() -> None:
    assert [prefix_of(each) for each in found(15).proposals] == ["M"]
    assert [prefix_of(each) for each in found(1).proposals] == ["A"]
    assert "! M: news.example, shop.example\n||new.banners.example^" in written(found(15), "easylist", ORIGIN, str)


def test_one_is_one_other() -> None:
    rows = [scored("https://new.near.test/x", 0.99, page=page) for page in (NEWS, SHOP)]
    listed = [scored(f"https://old.near.test/{name}", 0.99, listed=("EasyList",)) for name in "ab"]
    for count, words in ((1, "1 other there"), (2, "2 others there")):
        text = written(suggest([*rows, *listed[:count]], trial), "easylist", ORIGIN, str)
        assert f"! near: EasyList blocks {words}, as https://old.near.test/a\n" in text


def test_uassets_has_an_issue_above_each_filter_and_words_of_its_own() -> None:
    text = written(found(10), "uassets", ORIGIN, str)
    assert text.endswith(
        "! https://github.com/uBlockOrigin/uAssets/issues/NUMBER\n||cdn.media.example/promo/$from=news.example\n"
    )
    (proposal,) = found(8).proposals
    assert spelt(proposal.rule, "uassets") == "||friends.example/plugin/like.js$3p"
    assert spelt(proposal.rule.only(types=("subdocument", "xmlhttprequest")), "uassets").endswith("$frame,xhr")


def test_every_rule_has_its_evidence_above_it() -> None:
    text = written(found(15), "uassets", ORIGIN, str)
    for said in (
        "! ad: 2 requests of 2 sites, score 0.980", "! sites: news.example, shop.example",
        "! page: https://shop.example/", "! request: https://new.banners.example/show (script)",
        "! near: EasyList blocks 1 other there, as https://old.banners.example/show",
    ):  # fmt: skip
        assert said in text


def test_the_days_of_a_capture_are_named() -> None:
    rows = [
        scored("https://serve.banners.example/a", 0.99, page=page, time=time)
        for page, time in ((NEWS, 0.0), (SHOP, 9e4))
    ]
    assert "seen from 1970-01-01 to 1970-01-02" in written(suggest(rows, trial), "easylist", ORIGIN, str)
    rows = [scored("https://serve.banners.example/a", 0.99, page=page, time=1e300) for page in (NEWS, SHOP)]
    assert "seen on an unknown day" in written(suggest(rows, trial), "easylist", ORIGIN, str)


def test_rules_with_collateral_are_comments() -> None:
    rows = read(CAPTURES[18])[0]
    rows += [scored("https://cdn.public.example/load.js?m=ads", 0.97, page=f"https://s{n}.example/") for n in range(4)]
    text = written(suggest(rows, trial, collateral=True), "uassets", ORIGIN, str)
    assert rules_of(text) == []
    assert "! also hits 3 requests scored benign or excepted: https://cdn.public.example/load.js?m=menu" in text
    assert "! ||cdn.public.example/load.js" in text


def test_no_name_of_a_page_becomes_a_rule() -> None:
    rows = [
        scored("https://serve.banners.example/a", 0.99, page=f"{page}\n||victim.example^\r@@||*")
        for page in (NEWS, SHOP)
    ]
    text = written(suggest(rows, trial), "easylist", Origin("m\n||x^", ("a\n||y^",)), str)
    assert rules_of(text) == ["||serve.banners.example^"]
