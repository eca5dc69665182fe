"""url-grams/2: the same buckets on every machine, and three answers to whose a request is."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.filterlists import features, marks
from gossip.filterlists.requests import Request
from gossip.filterlists.sighting import Sighting
from gossip.training.rows import bags_of
from gossip.training.spec import FILTERLIST, ModelSpec, UrlGramsInContext
from ledger.errors import LocalError
from tests.filterlists import plain_marks

NAMES = st.lists(st.sampled_from(["shop", "ads", "é", "example", "n" * 20, "-", "co", "uk", "com", "org"]), max_size=4)
URLS = st.builds(
    lambda names, end: f"https://{'.'.join(names)}{end}", NAMES, st.sampled_from(["", "/", "/a?b=c", ":81/x#y"])
)
CASES = json.loads(plain_marks.VECTORS.read_text("utf-8"))["vectors"]


def spec(buckets: int = 1 << 14, kind: str = "url-grams/2") -> ModelSpec:
    told = json.loads(FILTERLIST)
    told["features"] |= {"kind": kind, "buckets": buckets}
    told["layers"][0]["buckets"] = buckets
    return ModelSpec.parse(json.dumps(told))


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_golden_vectors_hold(case: dict[str, object]) -> None:
    row = Sighting(**{name: case[name] for name in ("url", "page", "type", "third_party")})  # type: ignore[arg-type]
    bags = bags_of(spec(int(str(case["buckets"]))), [row])
    assert bags.tokens.tolist() == case["grams"]
    assert bags.marks.tolist() == [case["marks"]]


def test_golden_vectors_are_what_the_plain_implementation_writes() -> None:
    assert plain_marks.VECTORS.read_text("utf-8") == plain_marks.text()


@settings(max_examples=80)
@given(URLS, URLS)
def test_likeness_is_the_same_from_both_sides_and_whole_with_oneself(url: str, page: str) -> None:
    one, other = (features.parts_of(each)[0].decode() for each in (url, page))
    assert marks.likeness(one, other) == marks.likeness(other, one)
    letters, quarters, alike = marks.likeness(one, one)
    assert alike == 1
    assert (quarters == 4) == (letters > 0) == (one.partition(".")[0] != "")


@settings(max_examples=80)
@given(st.lists(st.tuples(URLS, URLS, st.sampled_from([None, True, False])), max_size=6))
def test_marks_stay_within_their_buckets(rows: list[tuple[str, str, bool | None]]) -> None:
    urls, pages, parties = ([row[i] for row in rows] for i in range(3))
    found = marks.marks(urls, pages, ["image"] * len(rows), parties, 1 << 10)  # type: ignore[arg-type]
    assert found.shape == (len(rows), marks.MARKS)
    assert (found[:, :-1] < marks.RESERVED).all()
    assert ((found[:, -1] >= marks.RESERVED) & (found[:, -1] < 1 << 10)).all()


def test_a_capture_without_pages_is_told_from_one_of_first_parties() -> None:
    url = "https://ads.example/x.js"
    rows = [Sighting(url), Sighting(url, "https://ads.example/"), Sighting(url, "https://news.example/")]
    assert bags_of(spec(), rows).marks[:, 0].tolist() == [0, 1, 2]
    assert bags_of(spec(kind="url-grams/1"), rows).marks[:, 0].tolist() == [0, 0, 1]


def test_requests_and_sightings_of_the_same_are_seen_alike() -> None:
    request = Request(page="https://news.example/", url="https://ads.example/x.js", type="script", label="tracker")
    sighting = Sighting(request.url, request.page, request.type)
    one, other = bags_of(spec(), [request]), bags_of(spec(), [sighting])
    assert np.array_equal(one.tokens, other.tokens)
    assert np.array_equal(one.marks, other.marks)
    assert (one.labels.tolist(), other.labels.tolist()) == ([2], [0])


def test_grams_keep_out_of_what_is_reserved_for_marks() -> None:
    urls = [f"https://host{i}.example/path/{i}?q={i}" for i in range(300)]
    rows = [Sighting(url) for url in urls]
    assert bags_of(spec(1 << 10), rows).tokens.min() >= marks.RESERVED
    assert bags_of(spec(1 << 10, "url-grams/1"), rows).tokens.min() < marks.RESERVED


def test_a_model_of_the_first_spec_is_read_as_before_and_the_second_is_another() -> None:
    first, second = spec(kind="url-grams/1"), spec()
    assert (first.feature_spec, second.feature_spec) == ("url-grams/1", "url-grams/2")
    assert isinstance(second.features, UrlGramsInContext)
    assert not isinstance(first.features, UrlGramsInContext)
    for each in (first, second):
        assert ModelSpec.parse(each.text) == each
    assert msgspec.json.decode(second.text)["features"]["kind"] == "url-grams/2"


def test_a_label_that_the_model_does_not_know_is_named() -> None:
    told = json.loads(spec().text) | {"classes": ["benign", "ad", "other"]}
    with pytest.raises(LocalError, match=r"tracker.*benign, ad, other"):
        bags_of(ModelSpec.parse(json.dumps(told)), [Sighting("https://a.example/", label="tracker")])


def test_numbers_are_no_requests() -> None:
    told = json.loads(spec().text)
    told |= {"features": {"kind": "numbers/1", "columns": 4}, "layers": [{"kind": "dense", "units": 3}]}
    with pytest.raises(LocalError, match="does not take requests"):
        bags_of(ModelSpec.parse(json.dumps(told)), [Sighting("https://a.example/")])
