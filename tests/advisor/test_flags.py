"""Rules that hit what the model holds for benign, and a user's report of one page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from gossip.advisor.flags import Flag, flag
from gossip.advisor.nearest import nearest
from gossip.advisor.scored import Scored
from gossip.advisor.suspects import triage
from gossip.filterlists.engine import Hit, Lists, ListText
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.trial import trial
from tests.advisor.rows import NEWS, SHOP, scored

LIST = ListText(
    "EasyList",
    """! Title: EasyList
/adserve/*
||serve.banners.example^
||cdn.media.example/player/ads
@@||cdn.media.example/player/free.js
-promo-$image
/beacon-unit.js$domain=elsewhere.test
""",
)


def asked(rows: list[Scored]) -> list[Scored]:
    """The same with what the list says."""
    lists = Lists([LIST])
    return [
        Scored(row.seen, row.p_ad, row.p_tracker, row.p_block, row.block,
               tuple(hit.list for hit in lists.hits(row.seen.page, row.seen.url, row.seen.type) if hit.blocks))
        for row in rows
    ]  # fmt: skip


def hits(seen: Sighting) -> tuple[Hit, ...]:
    return Lists([LIST]).hits(seen.page, seen.url, seen.type)


def flags(rows: list[Scored], **more: int) -> tuple[Flag, ...]:
    return flag(asked(rows), hits, trial, **more).flags


ROWS = [
    scored("https://news.example/adserve/team.json", 0.04, kind="xmlhttprequest"),
    scored("https://news.example/adserve/banner.js", 0.97),
    scored("https://shop.example/adserve/staff.json", 0.06, page=SHOP, kind="xmlhttprequest"),
    scored("https://serve.banners.example/show", 0.98),
    scored("https://img.shop.example/x-promo-1.png", 0.2, page=SHOP, kind="image"),
    scored("https://news.example/app.js", 0.01),
]


def test_a_rule_that_blocks_what_scores_benign_is_flagged_with_the_narrowest_exceptions() -> None:
    first, second = flags(ROWS)
    assert (first.list, first.rule, first.hits, len(first.benign)) == ("EasyList", "/adserve/*", 3, 2)
    assert first.sites == ("news.example", "shop.example")
    assert [(each.text, each.frees) for each in first.exceptions] == [
        ("@@||shop.example/adserve/staff.json$xmlhttprequest,domain=shop.example", 1),
        ("@@||news.example/adserve/team.json$xmlhttprequest,domain=news.example", 1),
    ]
    assert first.left == 0
    assert 0.94 < first.sure < 0.96
    assert second.rule == "-promo-$image"
    assert flags(ROWS[::-1]) == (first, second)


def test_an_exception_never_frees_what_scores_as_to_be_blocked() -> None:
    """They differ in their query alone: no exception tells them apart, and that is said."""
    rows = [
        scored("https://serve.banners.example/show?a=1", 0.04),
        scored("https://serve.banners.example/show?a=2", 0.98),
    ]
    (found,) = flags(rows)
    assert found.exceptions == ()
    assert found.left == 1


def test_the_narrow_exceptions_are_taken_where_one_for_all_would_free_what_is_to_be_blocked() -> None:
    rows = [
        scored("https://cdn.media.example/player/ads/one/a.js", 0.04),
        scored("https://cdn.media.example/player/ads/two/b.js", 0.05),
        scored("https://cdn.media.example/player/ads/c.js", 0.99),
    ]
    (found,) = flags(rows)
    assert sorted(each.text.partition("$")[0] for each in found.exceptions) == [
        "@@||cdn.media.example/player/ads/one/a.js", "@@||cdn.media.example/player/ads/two/b.js",
    ]  # fmt: skip
    assert found.left == 0


def test_an_exception_that_the_engine_takes_for_more_than_was_meant_is_not_suggested() -> None:
    class Greedy:
        read = (True,) * 9

        def blocks(self, index: int, page: str, url: str, kind: str) -> bool:
            return True

    (found,) = flag(asked(ROWS[:2]), hits, lambda rules: Greedy()).flags
    assert (found.exceptions, found.left) == ((), 1)


def test_one_exception_for_what_shares_a_folder() -> None:
    rows = [
        scored("https://cdn.media.example/player/ads/one.js", 0.04),
        scored("https://cdn.media.example/player/ads/two.js", 0.05),
        scored("https://cdn.media.example/player/ads-real.js", 0.99),
    ]
    (found,) = flags(rows)
    assert [each.text for each in found.exceptions] == ["@@||cdn.media.example/player/ads/$script,domain=news.example"]
    assert found.exceptions[0].frees == 2
    assert found.hits == 3


def test_a_page_that_is_blocked_is_no_false_positive_and_neither_is_an_unsure_hit() -> None:
    page = "https://serve.banners.example/"
    rows = [scored(page, 0.01, page=page, kind="document"), scored("https://serve.banners.example/x", 0.7)]
    assert flags(rows) == ()


def test_sites_and_numbers_are_asked_for() -> None:
    assert [each.rule for each in flags(ROWS, min_sites=2)] == ["/adserve/*"]
    assert [each.rule for each in flags(ROWS, at_most=1)] == ["/adserve/*"]


def test_what_a_site_asks_of_itself_is_freed_file_by_file_or_not_at_all() -> None:
    """@@||news.example^$image would free every banner of the site."""
    rows = [
        scored(f"https://news.example/adserve/{name}_300x250.png", 0.04, kind="image")
        for name in ("one", "two", "three")
    ]
    rows += [
        scored("https://news.example/adserve/", 0.05),
        scored("https://news.example/adserve/8f31c2aa90de4b17.js", 0.05),
    ]
    (found,) = flags(rows)
    assert sorted(each.text for each in found.exceptions) == [
        f"@@||news.example/adserve/{name}_300x250.png$image,domain=news.example" for name in ("one", "three", "two")
    ]
    assert (found.left, found.left_own) == (2, 2)


def test_a_site_that_says_it_is_another_party_gets_no_exception_for_all_of_itself_either() -> None:
    row = scored("https://static.news.example/adserve/", 0.04)
    row = replace(row, seen=structs.replace(row.seen, third_party=True), listed_by=("EasyList",))
    (found,) = flag([row], hits, trial).flags
    assert (found.exceptions, found.left_own) == ((), 1)


def test_one_site_does_not_fill_the_list_and_fonts_come_first() -> None:
    words = ("adserve", "promo-", "teaser", "sponsor", "spot")
    text = "".join(f"/{word}*\n" for word in words)
    rows = [scored(f"https://news.example/{word}/a.png", 0.02, kind="image", listed=("Own",)) for word in words]
    rows += [
        scored("https://fonts.example/a.woff2", 0.4, kind="font", listed=("Own",)),
        scored("https://fonts.example/b.js", 0.01, listed=("Own",)),
    ]
    lists = Lists([ListText("Own", text + "||fonts.example^$font\n||fonts.example^$script\n")])

    def asking(seen: Sighting) -> tuple[Hit, ...]:
        return lists.hits(seen.page, seen.url, seen.type)

    found = flag(rows, asking, trial)
    assert found.flags[0].benign[0].seen.type == "font"
    own = [each for each in found.flags if each.alike == ("news.example", "image")]
    assert (len(own), found.alike, found.more) == (3, 2, 0)
    assert flag(rows, asking, trial, per_site=9).alike == 0
    assert flag(rows, asking, trial, at_most=2).more == len(found.flags) - 2


# ------------------------------------------------------------------ a report

REPORT = [
    *ROWS,
    scored("https://new.banners.example/show?user=ann", 0.97),
    scored("https://cdn.media.example/player/beacon-unit.js", 0.8, block=False),
    scored("https://new.banners.example/show?user=bob", 0.96, page=SHOP),
]


def test_a_report_comes_to_ranked_suspects_of_that_page_with_rules_and_exceptions() -> None:
    found = triage(NEWS, asked(REPORT), hits, trial, [LIST])
    assert (found.found, found.requests) == ("page", 6)
    assert [(each.kind, each.row.seen.url.partition("?")[0]) for each in found.suspects] == [
        ("missed", "https://new.banners.example/show"),
        ("broken", "https://news.example/adserve/team.json"),
        ("missed", "https://cdn.media.example/player/beacon-unit.js"),
    ]
    missed, broken, unsure = found.suspects
    assert missed.proposal is not None
    assert (missed.proposal.text, missed.proposal.sites) == (
        "||new.banners.example^", ("news.example", "shop.example"),
    )  # fmt: skip
    assert missed.nearest is not None
    assert (missed.nearest.rule, missed.nearest.likeness) == ("||serve.banners.example^", "same owner")
    assert broken.exception is not None
    assert broken.exception.text == "@@||news.example/adserve/team.json$xmlhttprequest,domain=news.example"
    assert [hit.rule for hit in broken.blocked_by] == ["/adserve/*"]
    assert unsure.proposal is None
    assert unsure.nearest is not None
    assert unsure.nearest.rule == "||cdn.media.example/player/ads"
    assert unsure.nearest.likeness == "same host"


def test_a_single_request_of_a_reported_page_is_enough_for_a_rule() -> None:
    (found,) = triage(NEWS, asked([scored("https://lone.example/x/one.js", 0.92)]), hits, trial).suspects
    assert found.proposal is not None
    assert found.proposal.text == "||lone.example^"


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("https://news.example/#comments", "page"),
        ("https://news.example/?from=mail", "address"),
        ("https://news.example/sport/results", "site"),
        ("news.example", "site"),
        ("https://nobody.example/", "none"),
        ("http://[bad", "none"),
    ],
)
def test_a_page_is_found_by_address_else_by_its_site(page: str, found: str) -> None:
    assert triage(page, asked(REPORT), hits, trial).found == found


def test_a_rule_without_a_host_is_near_to_what_names_its_words() -> None:
    rows = asked([scored("https://static.new.example/p/beacon-unit.js", 0.97)])
    (suspect,) = triage(NEWS, rows, hits, trial, [LIST]).suspects
    assert suspect.nearest is not None
    assert (suspect.nearest.rule, suspect.nearest.likeness) == ("/beacon-unit.js$domain=elsewhere.test", "same words")
    rows = asked([scored("https://static.new.example/js/main.js", 0.97)])
    assert triage(NEWS, rows, hits, trial, [LIST]).suspects[0].nearest is None


@pytest.mark.parametrize(
    ("rule", "likeness"),
    [
        ("||cdn.new.example/v1/$script", "same host"),
        ("||new.example^", "same host"),
        ("||new.example/banner/", "same owner"),
        ("||img.new.example^", "same owner"),
        ("||cdn.new.example^$popup", None),
        ("||cdn.new.example^$popup,third-party", None),
        ("||cdn.new.example^$script,popup", "same host"),
        ("||cdn.new.example^$~popup", "same host"),
    ],
)
def test_the_same_host_is_one_that_the_rule_is_for(rule: str, likeness: str | None) -> None:
    (near,) = nearest(
        [Sighting(url="https://cdn.new.example/v2/x.js", page=NEWS, type="script")], [ListText("L", rule)]
    )
    assert (near and near.likeness) == likeness


def test_where_few_score_above_the_half_the_next_third_parties_are_shown() -> None:
    rows = [
        scored("https://ads.example/a.js", 0.97),
        *(scored(f"https://{name}.example/x.js", p) for name, p in (("p", 0.1), ("q", 0.4), ("r", 0.3), ("s", 0.2))),
        scored("https://q.example/second.js", 0.35),
        scored("https://news.example/own.js", 0.45),
        scored("https://free.example/own.js", 0.45, excepted=("Unbreak",)),
    ]
    found = triage(NEWS, rows, hits, trial).suspects
    assert [(each.kind, each.row.seen.domain) for each in found] == [
        ("missed", "ads.example"), ("below .5", "q.example"), ("below .5", "r.example"), ("below .5", "s.example"),
    ]  # fmt: skip
    assert all(each.proposal is None and each.exception is None for each in found[1:])
    more = [scored(f"https://ads{number}.example/a.js", 0.9) for number in range(2)]
    assert {each.kind for each in triage(NEWS, [*rows, *more], hits, trial).suspects} == {"missed"}
