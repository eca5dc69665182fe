"""Why a score is what it is: parts that add up, by characters and by authors."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.filterlists.sighting import Sighting
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import encode_update
from gossip.training.attribution import check_sum, parts, runs, seen, sources
from gossip.training.rows import bags_of
from gossip.training.scoring import logits_of
from gossip.training.spec import FILTERLIST, Dense, EmbeddingBag, ModelSpec, Tanh
from ledger.errors import LocalError

SPEC = ModelSpec.parse(FILTERLIST.replace("65536", "1024"))
ROW = Sighting(
    url="https://Ads.Example/Banner/300x250.js?cb=17&zone=top#x", page="https://news.example/", type="script"
)
URLS = st.text(st.sampled_from("abz09./?=&%:@-_é|"), max_size=200).map(lambda text: f"https://{text}")


def weights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, SPEC.parameters).astype(np.float32)


def logits(theta: np.ndarray, row: Sighting) -> np.ndarray:
    return logits_of(SPEC, theta, bags_of(SPEC, [row]))[0]


@given(URLS, st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_the_parts_are_the_logit_however_one_adds_them(url: str, seed: int) -> None:
    row, theta = Sighting(url=url, page="https://news.example/"), weights(seed)
    found = seen(SPEC, row)
    values = parts(SPEC, theta, found)
    check_sum(logits(theta, row), values)
    told = runs(row, found, values)
    np.testing.assert_allclose(sum(run.values for run in told), values.sum(0), atol=1e-9)


def test_runs_are_the_url_as_the_model_sees_it() -> None:
    found = seen(SPEC, ROW)
    told = runs(ROW, found, parts(SPEC, weights(0), found))
    assert [(run.where, run.text) for run in told if run.text] == [
        ("host", "ads"), ("host", ".example"), ("path", "/banner"), ("path", "/300x250"), ("path", ".js"),
        ("query", "?cb"), ("query", "=17"), ("query", "&zone"), ("query", "=top"),
    ]  # fmt: skip
    assert [run.where for run in told if not run.text] == [
        "type and party", "type", "length of the host", "length of the path", "length of the query",
        "likeness to the site", "likeness to the site", "ending like the site's", "whole domain",
    ]  # fmt: skip


def test_what_pushes_is_found_where_it_stands() -> None:
    """A model that knows one n-gram."""
    found = seen(SPEC, ROW)
    gram = next(one for one in found if (one.where, one.begin, one.end) == ("path", 1, 6))  # "banne"
    theta = np.zeros(SPEC.parameters, np.float32)
    theta[gram.bucket * 3 + 1] = 5
    told = runs(ROW, found, parts(SPEC, theta, found))
    assert max(told, key=lambda run: run.values[1]).text == "/banner"
    assert logits(theta, ROW)[1] == pytest.approx(sum(run.values[1] for run in told), abs=1e-5)


def test_a_sum_that_does_not_come_out_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="add up"):
        check_sum(np.array([1.0, 0, 0]), np.array([[0.5, 0, 0], [0.4, 0, 0]]))


@pytest.mark.parametrize("density", [1.0, 0.05])
def test_what_start_and_authors_add_is_the_logit_of_their_sum(density: float) -> None:
    arithmetic, luck = NumpyArithmetic(), np.random.default_rng(1)
    blobs = {f"{n}": encode_update(luck.normal(0, 0.1, SPEC.parameters), density)[0] for n in range(6)}
    terms = [(("log" + "ab"[n % 2], n % 3), f"{n}", 65536 // (n + 1)) for n in range(6)]
    start = arithmetic.start(SPEC.layout(), "00" * 32)
    start += luck.integers(-(2**40), 2**40, len(start))
    theta = start.copy()
    for _, name, weight in terms:
        arithmetic.add(theta, arithmetic.decode(blobs[name], SPEC.parameters), weight)
    found = seen(SPEC, ROW)
    told = sources(SPEC, found, start, terms, lambda name: arithmetic.decode(blobs[name], SPEC.parameters))
    assert [(one.log, one.data, one.updates) for one in told] == [
        ("", 0, 0), ("loga", 0, 1), ("loga", 1, 1), ("loga", 2, 1), ("logb", 0, 1), ("logb", 1, 1), ("logb", 2, 1)
    ]  # fmt: skip
    check_sum(logits(arithmetic.to_float32(theta), ROW), np.array([one.values for one in told]))
    less = theta.copy()  # without one of them: what ledger/without.py would leave
    for (log, _), name, weight in terms:
        if log == "loga":
            arithmetic.subtract(less, arithmetic.decode(blobs[name], SPEC.parameters), weight)
    rest = np.array([one.values for one in told if one.log != "loga"])
    check_sum(logits(arithmetic.to_float32(less), ROW), rest)


def test_a_model_with_hidden_layers_is_refused() -> None:
    deep = msgspec.structs.replace(SPEC, layers=[EmbeddingBag(units=4, buckets=1024), Tanh(), Dense(units=3)])
    with pytest.raises(LocalError, match="no parts that add up"):
        seen(deep, ROW)
