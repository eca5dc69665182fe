"""Probabilities that mean what they say, and a threshold that claims no more than its rows can show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gossip.training.calibration import (
    UNCALIBRATED,
    Calibration,
    Line,
    at_least,
    calibrate,
    recall_at,
)
from ledger.errors import LocalError

LOGITS = st.integers(2, 200).flatmap(
    lambda rows: st.tuples(
        arrays(np.float32, (rows, 3), elements=st.floats(-40, 40, width=32)),
        arrays(np.uint8, rows, elements=st.integers(0, 2)),
    )
)


def a_model(rows: int, seed: int = 0, boldness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels of a model that is right as often as it says, or thinks itself `boldness` times as sure."""
    luck = np.random.default_rng(seed)
    logits = luck.normal(0, 3, (rows, 3))
    powers = np.exp(logits)
    edges = np.cumsum(powers / powers.sum(1, keepdims=True), axis=1)
    labels = (luck.random(rows)[:, None] > edges).sum(1).clip(0, 2)
    return logits * boldness, labels.astype(np.uint8)


def surprise(p: np.ndarray, positive: np.ndarray) -> float:
    p = p.astype(np.float64).clip(1e-7, 1 - 1e-7)
    return float(-np.where(positive, np.log(p), np.log(1 - p)).mean())


@given(LOGITS)
@settings(max_examples=150, deadline=None)
def test_the_three_never_contradict_one_another_and_no_request_overtakes_another(case) -> None:
    logits, labels = case
    found = calibrate(logits, labels)
    given_out = found.apply(logits)
    assert np.all((given_out >= 0) & (given_out <= 1))
    np.testing.assert_allclose(given_out[:, 0] + given_out[:, 1], given_out[:, 2], atol=1e-6)
    plain = UNCALIBRATED.apply(logits)[:, 2]
    ranked = np.argsort(plain, kind="stable")
    clear = np.diff(plain[ranked]) > 1e-6  # rounding may make two neighbours equal, or order equals as it likes
    assert np.all(np.diff(given_out[ranked, 2])[clear] >= -1e-6)
    assert Calibration.parse(found.json) == found


@given(LOGITS, st.sampled_from([0.5, 0.9, 0.99]))
@settings(max_examples=150, deadline=None)
def test_what_it_says_of_its_threshold_is_what_one_counts_there(case, precision: float) -> None:
    logits, labels = case
    found = calibrate(logits, labels, precision=precision)
    if not found.measured:
        assert (found.threshold, found.precision, found.recall) == (0.5, 0, 0)
        return
    blocked = found.apply(logits)[:, 2] >= np.float32(found.threshold)
    right = int((blocked & (labels != 0)).sum())
    assert found.precision == pytest.approx(right / blocked.sum())
    assert found.recall == pytest.approx(right / (labels != 0).sum())
    assert found.precision_at_least <= found.precision


def test_unchanged_logits_are_the_softmax() -> None:
    logits, _ = a_model(50)
    powers = np.exp(logits)
    np.testing.assert_allclose(
        UNCALIBRATED.apply(logits)[:, :2], (powers / powers.sum(1, keepdims=True))[:, 1:], atol=1e-6
    )


@pytest.mark.parametrize("boldness", [0.3, 3.0])
def test_a_model_too_sure_of_itself_or_too_shy_is_put_right_on_rows_it_was_not_fitted_on(boldness: float) -> None:
    logits, labels = a_model(40_000, 1, boldness)
    fresh, fresh_labels = a_model(4000, 2, boldness)
    found = calibrate(logits, labels)
    assert found.block.scale == pytest.approx(1 / boldness, rel=0.2)
    after = surprise(found.apply(fresh)[:, 2], fresh_labels != 0)
    assert after < surprise(UNCALIBRATED.apply(fresh)[:, 2], fresh_labels != 0)
    honest, honest_labels = a_model(4000, 2)
    assert after == pytest.approx(surprise(UNCALIBRATED.apply(honest)[:, 2], honest_labels != 0), abs=0.01)


def test_twelve_rows_claim_nothing() -> None:
    logits = np.array([[0, 9, 0], [9, 0, 0]] * 6)
    found = calibrate(logits, np.array([1, 0] * 6))
    assert not found.measured
    assert (found.rows, found.positives, found.threshold, found.block) == (12, 6, 0.5, Line())


def test_a_faultless_hundred_is_at_least_97() -> None:
    logits = np.array([[0, 9, 0], [9, 0, 0]] * 100)
    found = calibrate(logits, np.array([1, 0] * 100))
    assert (found.precision, found.recall) == (1.0, 1.0)
    assert found.precision_at_least == pytest.approx(0.9705, abs=1e-3)
    assert at_least(12, 12) == pytest.approx(0.779, abs=1e-3)


def test_the_bound_is_the_published_one() -> None:
    """Of 95 right in 100: .8984 by scipy's beta quantile, beta.ppf(.05, 95, 6)."""
    assert at_least(95, 100) == pytest.approx(0.8984, abs=1e-3)
    assert at_least(0, 5) == 0


def test_where_99_percent_cannot_be_had_it_says_what_can() -> None:
    luck = np.random.default_rng(3)
    labels = (luck.random(400) < 0.5).astype(np.uint8)
    logits = np.zeros((400, 3))
    logits[:, 1] = 3.0  # every request looks alike: a tie of all rows
    found = calibrate(logits, labels)
    assert found.measured
    assert found.precision == pytest.approx(labels.mean())
    assert found.recall == 1.0
    assert recall_at(found.apply(logits)[:, 2], labels != 0) == 0


@pytest.mark.parametrize("only", [0, 1, 2])
def test_rows_of_one_kind_teach_nothing(only: int) -> None:
    found = calibrate(a_model(200)[0], np.full(200, only, np.uint8))
    assert not found.measured
    assert found.block == found.kind == Line()


def test_a_list_without_trackers_leaves_the_kinds_as_they_are() -> None:
    logits, labels = a_model(400)
    assert calibrate(logits, np.minimum(labels, 1)).kind == Line()


def test_the_order_is_kept_even_where_the_rows_say_that_it_is_wrong() -> None:
    logits, labels = a_model(400)
    assert calibrate(-logits, np.where(labels == 0, 1, 0)).block.scale > 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_logit_that_is_no_number_is_refused(bad: float) -> None:
    logits, labels = a_model(100)
    logits[3, 1] = bad
    with pytest.raises(LocalError, match="not a number"):
        calibrate(logits, labels)
    with pytest.raises(LocalError, match="not a number"):
        UNCALIBRATED.apply(logits)


def test_labels_that_do_not_fit_are_refused() -> None:
    logits, labels = a_model(100)
    for wrong in (labels[1:], labels + 1):
        with pytest.raises(LocalError, match="do not fit"):
            calibrate(logits, wrong)


@pytest.mark.parametrize(
    "text",
    [b'{"threshold": 2}', b'{"block": {"scale": 0}}', b'{"treshold": 0.4}', b"[]", b'{"threshold": NaN}', b"[" * 9999],
)
def test_what_is_no_calibration_is_refused(text: bytes) -> None:
    with pytest.raises(LocalError, match="cannot be used"):
        Calibration.parse(text)


def test_a_hundred_rows_of_one_site_show_less_than_one_row_of_a_hundred() -> None:
    logits, labels = np.array([[0, 9, 0], [9, 0, 0]] * 100), np.array([1, 0] * 100)
    many = calibrate(logits, labels, groups=np.arange(200))
    one = calibrate(logits, labels, groups=np.zeros(200, np.int64))
    assert many == calibrate(logits, labels)
    assert one.precision == many.precision == 1
    assert one.precision_at_least < 0.8 < many.precision_at_least
    assert abs(one.block.scale - 1) < abs(many.block.scale - 1)  # and it is left more as it is


def test_an_own_lists_shyness_is_believed_sooner() -> None:
    """A model trained on a list with holes says .1 where one in two is on it."""
    logits, labels = a_model(300, 5)
    shy = logits - np.array([-2.5, 0, 0])
    rows = {against: calibrate(shy, labels, against=against) for against in ("labels", "own list")}  # type: ignore[arg-type]
    assert rows["own list"].against == "own list"
    assert rows["own list"].block.offset > rows["labels"].block.offset > 1
