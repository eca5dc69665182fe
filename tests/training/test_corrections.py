"""Judgements put into a model at once: what they change, what they leave, and that undoing them leaves no trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gossip.filterlists.judging import Standing, judgement_of, rows_for
from gossip.filterlists.requests import Request
from gossip.training import corrections
from gossip.training.blocks import Bags
from gossip.training.corrections import SURE, corrected
from gossip.training.effect import Effect
from gossip.training.own_rows import OwnRows
from gossip.training.rows import bags_of
from gossip.training.scoring import Theta, logits_of, probabilities, split
from gossip.training.spec import FILTERLIST, ModelSpec

DEEP = FILTERLIST.replace(
    '{"kind": "embedding_bag", "buckets": 65536, "units": 3}',
    '{"kind": "embedding_bag", "buckets": 65536, "units": 5}, {"kind": "tanh"}, {"kind": "dense", "units": 4}, '
    '{"kind": "relu"}, {"kind": "dense", "units": 3}',
)
SPECS = {"flat": ModelSpec.parse(FILTERLIST), "deep": ModelSpec.parse(DEEP)}
URLS = [f"https://cdn{number}.shop{number % 3}.example/assets/v{number}/app.js?id={number}" for number in range(20)]


def weights(spec: ModelSpec, seed: int = 4) -> Theta:
    theta = (np.random.default_rng(seed).normal(size=spec.parameters) * 0.2).astype(np.float32)
    theta[split(theta, spec)[0].size :] *= 10  # layers that squash leave no room to be sure otherwise
    return theta


def bags(spec: ModelSpec, urls: list[str]) -> Bags:
    rows = [Request(page="https://news.example/", url=url, type="script", label="benign") for url in urls]
    return bags_of(spec, rows)


def standing(urls: list[str], label: str) -> Standing:
    return Standing([judgement_of(url, label, page="https://news.example/", kind="script", time=1) for url in urls])


@pytest.mark.parametrize("kind", SPECS)
def test_every_judged_request_is_believed_and_others_move_less(kind: str) -> None:
    spec = SPECS[kind]
    theta, said = weights(spec), standing(URLS, "tracker")
    after = corrected(spec, theta, said)
    believed = probabilities(spec, after, bags(spec, URLS))[:, spec.classes.index("tracker")]
    assert believed.min() >= SURE - 1e-3
    others = bags(spec, [f"https://img{number}.photos.test/p/{number * 7}.jpg" for number in range(40)])
    moved = np.abs(probabilities(spec, after, others) - probabilities(spec, theta, others)).max(1)
    judged = np.abs(probabilities(spec, after, bags(spec, URLS)) - probabilities(spec, theta, bags(spec, URLS))).max(1)
    assert moved.mean() < judged.mean() / 3


@pytest.mark.parametrize("kind", SPECS)
def test_the_slope_is_that_of_the_loss(kind: str) -> None:
    """Against differences of the logits: whatever is added to a bag must be added to both ways."""
    spec = SPECS[kind]
    theta, rows = weights(spec).astype(np.float32), bags(spec, URLS[:3])
    wrong = np.random.default_rng(5).normal(size=(3, 3)).astype(np.float32)
    buckets, units = split(theta, spec)[0].shape
    slope = corrections._spread(rows, corrections._back(spec, theta, rows, wrong), buckets)
    for bucket in [*rows.tokens[:4].tolist(), *rows.marks[0].tolist()]:
        for unit in range(units):
            bent, step = theta.copy(), np.float32(1e-2)
            bent[bucket * units + unit] += step
            difference = ((logits_of(spec, bent, rows) - logits_of(spec, theta, rows)) * wrong).sum() / step
            assert slope[bucket, unit] == pytest.approx(difference, rel=0.05, abs=5e-3)


def test_nothing_judged_changes_nothing_and_the_same_judgements_give_the_same_bits() -> None:
    spec = SPECS["flat"]
    theta = weights(spec)
    before = theta.copy()
    assert corrected(spec, theta, Standing(())) is theta
    first, again = (corrected(spec, theta, standing(URLS, "ad")) for _ in range(2))
    assert first.tobytes() == again.tobytes() != before.tobytes()
    assert theta.tobytes() == before.tobytes()


def test_a_label_that_the_model_has_no_class_for_is_passed_over() -> None:
    two = ModelSpec.parse(
        FILTERLIST.replace('"benign", "ad", "tracker"', '"benign", "ad"').replace('"units": 3', '"units": 2')
    )
    theta = weights(two)
    assert corrected(two, theta, standing(URLS, "tracker")) is theta
    assert corrected(two, theta, standing(URLS, "ad")) is not theta


def test_a_judged_domain_is_believed_on_paths_that_nobody_has_seen() -> None:
    spec = SPECS["flat"]
    theta = weights(spec)
    said = Standing([judgement_of("metrics-hub.example", "tracker", time=1)])
    assert {row.third_party for row in rows_for(said.judgements[0])} == {True, False}
    unseen = bags(spec, ["https://metrics-hub.example/", "https://eu.metrics-hub.example/collect"])
    unseen = replace(unseen, labels=np.array([2, 2], np.uint8))
    before, after = (probabilities(spec, each, unseen)[:, 2] for each in (theta, corrected(spec, theta, said)))
    assert (after > before).all()
    assert after[0] > 0.5


def test_a_judged_row_is_judged_by_as_its_owner_says() -> None:
    spec, rows = (
        SPECS["flat"],
        [Request(page="https://news.example/", url=url, type="script", label="benign") for url in URLS],
    )
    none = np.zeros(len(rows), np.int64)
    effect = Effect(spec, weights(spec), OwnRows(bags(spec, URLS), none, none.astype(bool), 0, tuple(rows)))
    said = standing(URLS[:5], "tracker")
    before, after = effect.scores(Standing(())), effect.scores(said)
    assert (before.tp + before.fn, effect.about(Standing(()))) == (0, 0)
    assert (after.tp + after.fn, after.tp, effect.about(said)) == (5, 5, 5)
