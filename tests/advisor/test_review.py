"""What a review asks first: near the threshold, seen by many, unknown here, lists and model at odds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gossip.advisor.review import Question, doubt, questions
from gossip.advisor.scored import Scored
from gossip.filterlists.judging import Standing, judgement_of
from gossip.filterlists.sighting import Sighting

THRESHOLD = 0.6


def seen(
    host: str, p: float, *, path: str = "x.js", site: str = "news", listed: tuple[str, ...] = (), party: bool = True
) -> Scored:
    row = Sighting(url=f"https://{host}/{path}", page=f"https://{site}.test/", type="script", third_party=party)
    return Scored(row, p / 2, p / 2, p, p >= THRESHOLD, listed)


def ask(rows: list[Scored], **more: object) -> tuple[Question, ...]:
    return questions(rows, THRESHOLD, **{"decided": lambda url: False, **more})  # type: ignore[arg-type]


def names(found: tuple[Question, ...]) -> list[str]:
    return [one.target.text for one in found]


def test_what_the_model_is_unsure_of_comes_before_what_it_is_sure_of() -> None:
    assert names(ask([seen("sure.test", 0.01), seen("near.test", 0.58), seen("far.test", 0.3)], has_lists=False)) == [
        "near.test", "far.test", "sure.test",
    ]  # fmt: skip
    assert doubt(THRESHOLD, THRESHOLD) == 1
    assert doubt(0.0, THRESHOLD) == doubt(1.0, THRESHOLD) == 0


def test_one_answer_that_settles_many_requests_on_many_sites_is_worth_more() -> None:
    many = [seen("many.test", 0.5, path=f"{n}.js", site=f"s{n}") for n in range(5)]
    found = ask([seen("once.test", 0.5), *many])
    assert names(found) == ["many.test", "once.test"]
    assert (found[0].requests, found[0].sites, len(found[0].pages)) == (5, 5, 3)


def test_lists_and_model_at_odds_are_asked_about_and_without_lists_nothing_is() -> None:
    rows = [seen("agreed.test", 0.9, listed=("L",)), seen("missed.test", 0.9), seen("listed.test", 0.1, listed=("L",))]
    assert names(ask(rows))[-1] == "agreed.test"
    assert [one.disagrees for one in ask(rows)] == [True, True, False]
    assert not any(one.disagrees for one in ask(rows, has_lists=False))


def test_a_domain_that_own_data_do_not_hold_is_worth_more() -> None:
    rows = [seen("known.test", 0.5), seen("new.test", 0.5)]
    found = ask(rows, known=frozenset({"known.test"}))
    assert [(one.target.text, one.is_unseen) for one in found] == [("new.test", True), ("known.test", False)]
    assert not any(one.is_unseen for one in ask(rows))


def test_a_domain_that_mixes_is_asked_about_url_by_url() -> None:
    mixed = [seen("mix.test", 0.9, path="ad.js"), seen("mix.test", 0.1, path="app.js")]
    own = [seen("shop.test", 0.7, site="shop", party=False)]
    whole = [seen("ads.test", 0.9, path="1.js"), seen("ads.test", 0.8, path="2.js")]
    found = {one.target.text: one for one in ask([*mixed, *own, *whole])}
    assert set(found) == {"mix.test/ad.js", "mix.test/app.js", "shop.test/x.js", "ads.test"}
    assert found["ads.test"].target.covers == "domain"


def test_what_is_nobodys_own_is_asked_about_by_url() -> None:
    rows = [seen("192.0.2.9", 0.9), seen("github.io", 0.9), seen("localhost", 0.9)]
    assert {one.target.covers for one in ask(rows)} == {"url"}


def test_what_is_judged_is_not_asked_again() -> None:
    rows = [seen("a.test", 0.5), seen("b.test", 0.5)]
    said = Standing([judgement_of("a.test", "ad", time=1)])
    assert names(ask(rows, decided=lambda url: said.find(url) is not None)) == ["b.test"]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0, 1), st.sampled_from("xyz")), max_size=20))
def test_every_request_is_settled_by_one_question_whatever_the_order(drawn: list[tuple[str, float, str]]) -> None:
    rows = [seen(f"{host}.test", p, site=site) for host, p, site in drawn]
    found = ask(rows)
    assert sum(one.requests for one in found) == len(rows)
    assert len(set(names(found))) == len(found)
    assert names(ask(rows[::-1])) == names(found)
    assert [one.value for one in found] == sorted((one.value for one in found), reverse=True)
