"""Twenty captures, and the rules that a person would write for them; then what holds for any capture."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.advisor.candidates import Candidate, parts_of_host
from gossip.advisor.evidence import standing_of
from gossip.advisor.flags import tried_exceptions
from gossip.advisor.hosts import is_shared, is_suffix, owner_of, zone_of
from gossip.advisor.propose import Suggested, Tried, suggest
from gossip.advisor.scored import Scored
from gossip.filterlists.trial import trial
from tests.advisor.rows import CAPTURES, NEWS, SHOP, read, scored


def mine_of(said: dict[str, Any]) -> frozenset[str] | None:
    return frozenset(said["mine"]) if "mine" in said else None


def texts(found: Suggested) -> list[str]:
    return [each.text for each in found.proposals]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_each_capture_comes_to_the_rules_that_a_person_would_write(path: Path) -> None:
    rows, said = read(path)
    found = suggest(rows, trial, mine=mine_of(said))
    assert texts(found) == said["rules"], said["why"]
    backwards = suggest(rows[::-1], trial, mine=mine_of(said))
    assert backwards.proposals == found.proposals
    for proposal in found.proposals:
        assert proposal.collateral == ()


def test_there_are_twenty_and_five_of_them_come_to_nothing() -> None:
    rules = [read(path)[1]["rules"] for path in CAPTURES]
    assert len(rules) == 20
    assert sum(not each for each in rules) == 5


def test_the_evidence_stands_beside_the_rule() -> None:
    (proposal,) = suggest(read(CAPTURES[14])[0], trial).proposals
    assert (len(proposal.evidence), proposal.sites, proposal.label) == (2, ("news.example", "shop.example"), "ad")
    assert [(near.list, near.requests) for near in proposal.near] == [("EasyList", 1)]
    assert proposal.sample.seen.url == "https://new.banners.example/show"
    assert 0.979 < proposal.sure < 0.981
    (other,) = suggest(read(CAPTURES[13])[0], trial, mine=frozenset({"EasyList"})).proposals
    assert other.coverage == (("Hosts", 2),)


def test_a_rule_with_collateral_comes_only_when_asked_for_and_says_what_it_hits() -> None:
    """Five sites load it for ads, one for its menu."""
    sites = [f"https://site{number}.example/" for number in range(5)]
    rows = [scored("https://cdn.public.example/load.js?m=ads", 0.97, page=page) for page in sites]
    rows += [scored("https://cdn.public.example/load.js?m=menu", 0.05)]
    rows += [scored("https://a.clean.example/x", 0.97)]
    found = suggest(rows, trial)
    assert texts(found) == ["||a.clean.example^"]
    assert found.left == 5
    asked = suggest(rows, trial, collateral=True)
    assert texts(asked) == ["||a.clean.example^", "||cdn.public.example/load.js"]
    assert [row.seen.url for row in asked.proposals[1].collateral] == ["https://cdn.public.example/load.js?m=menu"]
    assert asked.left == 0


def test_what_a_list_excepts_counts_as_collateral_whatever_its_score() -> None:
    rows = [
        scored("https://serve.banners.example/show", 0.98),
        scored("https://serve.banners.example/x", 0.99, page=SHOP),
    ]
    assert texts(suggest(rows, trial)) == ["||serve.banners.example^"]
    rows.append(scored("https://serve.banners.example/free.js", 0.99, excepted=("EasyList",)))
    assert all("^" not in text for text in texts(suggest(rows, trial)))


def test_an_engine_that_does_not_block_the_evidence_leaves_nothing_to_propose() -> None:
    """What is proposed is what the engine says, not what was meant: the trial decides."""

    class Deaf:
        def __init__(self, rules: object) -> None:
            self.read = (True,)

        def blocks(self, index: int, page: str, url: str, kind: str) -> bool:
            return False

    rows, _ = read(CAPTURES[0])
    found = suggest(rows, lambda rules: Deaf(rules))
    assert found.proposals == ()
    assert found.left == 3

    class Illiterate(Deaf):
        def __init__(self, rules: object) -> None:
            self.read = (False,)

        def blocks(self, index: int, page: str, url: str, kind: str) -> bool:
            return True

    assert suggest(rows, lambda rules: Illiterate(rules)).proposals == ()

    class HalfDeaf(Deaf):
        def blocks(self, index: int, page: str, url: str, kind: str) -> bool:
            return url == rows[0].seen.url

    assert suggest(rows, lambda rules: HalfDeaf(rules)).proposals == ()  # not all that it was made for


def test_an_engine_that_hits_more_than_was_meant_is_believed() -> None:
    class Greedy:
        read = (True,)

        def blocks(self, index: int, page: str, url: str, kind: str) -> bool:
            return True

    def greedy(rules: object) -> Tried:
        return Greedy()

    rows = [*read(CAPTURES[3])[0]]
    assert suggest(rows, greedy).proposals == ()
    assert len(suggest(rows, greedy, collateral=True).proposals[0].collateral) == 2


def test_what_is_mostly_unsure_is_not_proposed() -> None:
    """Neither a host nor a file of it: two sure requests among five that may be anything."""
    rows = [scored("https://maybe.example/count.js?a", 0.97, page=page) for page in (NEWS, SHOP)]
    assert texts(suggest(rows, trial)) == ["||maybe.example^"]
    rows += [scored("https://maybe.example/count.js?b", 0.6, page=f"https://s{n}.example/") for n in range(3)]
    assert texts(suggest(rows, trial)) == []
    assert suggest(rows, trial).left == 2


def test_sites_are_asked_for() -> None:
    rows, _ = read(CAPTURES[11])
    assert texts(suggest(rows, trial, min_sites=2)) == ["||three.trio.example^", "||two.duo.example^"]
    assert suggest(rows, trial, min_sites=2).weak == 1
    assert texts(suggest(rows, trial, at_most=1)) == ["||three.trio.example^"]
    assert suggest(rows, trial, at_most=1).more == 2


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "192.168.1.7", "[::1]", "printer", "co.uk", "github.io", "cloudfront.net"]
)
def test_some_hosts_are_never_a_rule(host: str) -> None:
    rows = [scored(f"http://{host}/banner?x=1", 0.99, page=page) for page in (NEWS, SHOP)]
    assert all(not text.endswith(f"||{host}^") for text in texts(suggest(rows, trial, collateral=True)))
    rows = [scored(f"http://{host}/?x=1", 0.99, page=page) for page in (NEWS, SHOP)]
    assert suggest(rows, trial, collateral=True).proposals == ()


def test_a_customer_of_a_platform_is_an_owner_and_the_platform_is_none() -> None:
    rows = [
        scored(f"https://{name}.cloudfront.net/x", 0.99, page=page) for name in ("d1", "d2") for page in (NEWS, SHOP)
    ]
    assert texts(suggest(rows, trial)) == ["||d1.cloudfront.net^", "||d2.cloudfront.net^"]
    assert (owner_of("d1.cloudfront.net"), zone_of("d1.cloudfront.net")) == ("d1.cloudfront.net", "cloudfront.net")


def test_a_shared_host_is_never_proposed_whole_even_with_nothing_else_seen_of_it() -> None:
    rows = [scored("https://cdn.jsdelivr.net/gh/spam/adwall.js", 0.99, page=page) for page in (NEWS, SHOP)]
    assert texts(suggest(rows, trial)) == ["||cdn.jsdelivr.net/gh/spam/adwall.js"]


def test_the_page_itself_is_never_evidence() -> None:
    rows = [
        scored("https://landing.example/", 0.99, page="https://landing.example/", kind="document"),
        scored("https://landing.example/go#top", 0.99, page="https://landing.example/go", kind="other"),
    ]
    pages = ("https://landing.example/offer/a.html", "https://landing.example/offer/b.html")
    rows += [scored(page, 0.99, page=page, kind="other") for page in pages]
    assert suggest(rows, trial, collateral=True).proposals == ()


def test_requests_without_pages_make_rules_that_name_no_site() -> None:
    rows = [
        scored("https://serve.banners.example/show", 0.99, page=""),
        scored("https://serve.banners.example/b", 0.98, page=""),
    ]
    (proposal,) = suggest(rows, trial).proposals
    assert (proposal.text, proposal.sites) == ("||serve.banners.example^", ())


# ------------------------------------------------------------------ what holds for any capture

HOSTS = [
    "a.ads.example",
    "b.ads.example",
    "ads.example",
    "cdn.media.test",
    "cdn.jsdelivr.net",
    "news.example",
    "d1.cloudfront.net",
]
SEGMENTS = [
    "ads",
    "js",
    "v2",
    "Unit.js",
    "app.js",
    "8f31c2aa90de4b17",
    "a$b",
    "x*y",
    "tag^",
    "pixel.gif",
    "",
    "straße",
    "%7Bid%7D",
]


@st.composite
def rows(draw: st.DrawFn) -> list[Scored]:
    def row() -> Scored:
        path = "/".join(draw(st.lists(st.sampled_from(SEGMENTS), max_size=3)))
        query = draw(st.sampled_from(["", "?token=s3cr3t-s3cr3t", "?a"]))
        return scored(
            f"https://{draw(st.sampled_from(HOSTS))}/{path}{query}",
            draw(st.sampled_from([0.02, 0.3, 0.6, 0.92, 0.99])),
            page=draw(st.sampled_from([NEWS, SHOP, "https://blog.test/p?q=1", ""])),
            kind=draw(st.sampled_from(["script", "image", "other"])),
            listed=draw(st.sampled_from([(), (), ("EasyList",)])),
            excepted=draw(st.sampled_from([(), (), (), ("EasyList",)])),
        )

    return [row() for _ in range(draw(st.integers(1, 12)))]


@settings(max_examples=60, deadline=None)
@given(rows(), st.integers(0, 99))
def test_every_proposal_parses_and_blocks_its_evidence_and_nothing_that_is_to_be_spared(
    capture: list[Scored], seed: int
) -> None:
    found = suggest(capture, trial, alone=0.0)
    for proposal in found.proposals:
        tried = trial([proposal.text])
        assert tried.read == (True,)
        for row in capture:
            hit = tried.blocks(0, row.seen.page, row.seen.url, row.seen.type)
            if standing_of(row) == "spared":
                assert not hit, proposal.text
            if standing_of(row) == "sure":
                assert hit == (row in proposal.evidence)
        assert proposal.evidence
        assert "?" not in proposal.text
        assert "s3cr3t" not in proposal.text
        assert "8f31c2aa90de4b17" not in proposal.text
        host = proposal.rule.pattern.removeprefix("||").partition("/")[0].removesuffix("^")
        if proposal.rule.kind in {"host", "domain"}:
            assert not is_suffix(host)
            assert not is_shared(host)
            assert host != "news.example" or all(row.seen.page != NEWS for row in capture)
    covered = {id(row) for proposal in found.proposals for row in proposal.evidence}
    assert found.left == sum(standing_of(row) == "sure" and id(row) not in covered for row in capture)
    shuffled = list(capture)
    Random(seed).shuffle(shuffled)
    assert texts(suggest(shuffled, trial, alone=0.0)) == texts(found)


@settings(max_examples=40, deadline=None)
@given(rows())
def test_no_narrower_part_of_a_host_covers_the_same_evidence(capture: list[Scored]) -> None:
    for proposal in suggest(capture, trial, alone=0.0).proposals:
        if proposal.rule.kind in {"host", "domain"}:
            continue
        for other in {part for row in proposal.evidence for part in parts_of_host(row.seen)}:
            if other.width[0] < proposal.rule.only().width[0]:
                assert not all(other.covers(row.seen) for row in proposal.evidence), (other, proposal.text)


@settings(max_examples=40, deadline=None)
@given(rows())
def test_what_is_meant_by_a_candidate_is_what_an_engine_makes_of_it(capture: list[Scored]) -> None:
    for part in {part for row in capture for part in parts_of_host(row.seen)}:
        tried = trial([part.text])
        for row in capture:
            assert tried.blocks(0, row.seen.page, row.seen.url, row.seen.type) == part.covers(row.seen), part.text


def test_a_host_that_names_a_visit_is_not_named() -> None:
    rows = [
        scored(f"https://{name}.count.pixels.test/p", 0.98, page=page)
        for name, page in (("8f31c2aa90de4b17", NEWS), ("0099aabbccdd1122", SHOP))
    ]
    assert texts(suggest(rows, trial)) == ["||count.pixels.test^"]


@pytest.mark.parametrize("host", [".net", "a..net", ".co.uk", "com", "8", "co.uk", "github.io"])
def test_an_advertiser_gets_no_rule_for_a_suffix_by_asking_for_a_host_without_a_name(host: str) -> None:
    """Browsers ask for https://.net/x, and ||.net^ would block all of .net; the exception would free it."""
    rows = [scored(f"https://{host}/{word}", 0.99, page=page) for word in ("1", "2") for page in (NEWS, SHOP)]
    assert texts(suggest(rows, trial, collateral=True)) == []
    benign = [scored(row.seen.url, 0.01, page=row.seen.page, listed=("EasyList",)) for row in rows]
    assert tried_exceptions(benign, [], trial)[0] == ()


def test_a_rule_for_one_customer_of_a_platform_is_not_for_all_of_them() -> None:
    """A page at anna.github.io shows it, and others there may want the file."""
    page = "https://anna.github.io/"
    rows = [scored("https://cdn.example/box/unit.js", 0.99, page=page), scored("https://cdn.example/menu.js", 0.01)]
    assert texts(suggest(rows, trial)) == ["||cdn.example/box/unit.js$domain=anna.github.io"]
    freed = [scored("https://cdn.example/box/menu.js", 0.01, page=page, listed=("EasyList",))]
    assert [each.text for each in tried_exceptions(freed, [], trial)[0]] == [
        "@@||cdn.example/box/menu.js$script,domain=anna.github.io"
    ]


def test_a_path_that_repeats_itself_is_held_against_a_rule_in_its_own_length() -> None:
    """With three "*" a backtracking search took the cube of it: days for one URL."""
    rule = Candidate("||x.example/*/box/*/box/*/box/unit.js")
    long = "https://x.example/" + "box/" * 8000
    assert not rule.covers(scored(long, 0.1).seen)
    assert rule.covers(scored(f"{long}1/BOX/2/box/3/box/unit.js?x", 0.9).seen)
    for url in ("https://x.example/1/box/unit.js", "https://y.example/1/box/2/box/3/box/unit.js"):
        assert not rule.covers(scored(url, 0.9).seen)
