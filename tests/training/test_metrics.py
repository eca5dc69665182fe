"""Scores are compared between models: ties, empty sets and thresholds must not flatter any of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from gossip.training.metrics import average_precision, judge


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60))
def test_average_precision_is_the_textbooks_with_ties(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([score / 6 for score, _ in rows])
    positive = np.array([found for _, found in rows])
    if not positive.any():
        assert average_precision(scores, positive) == 0
    else:
        assert np.isclose(average_precision(scores, positive), average_precision_score(positive, scores))


def test_with_a_negative_class_all_others_are_what_is_looked_for() -> None:
    probabilities = np.array([[0.9, 0.1, 0], [0.4, 0.3, 0.3], [0.2, 0.7, 0.1], [0.6, 0.2, 0.2]])
    scored = judge(probabilities, np.array([0, 2, 0, 1]), negative=0)
    assert (scored.examples, scored.tp, scored.fp, scored.fn) == (4, 1, 1, 1)
    assert np.isclose(scored.f1, f1_score([0, 1, 0, 1], [0, 1, 1, 0]))


def test_accuracy_asks_for_the_very_class_also_where_all_but_one_are_looked_for_together() -> None:
    probabilities = np.array([[0.9, 0.1, 0], [0.1, 0.3, 0.6], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]])
    labels = np.array([0, 2, 2, 1])
    scored = judge(probabilities, labels, negative=0)
    assert scored.f1 == 1
    assert scored.accuracy == 0.5 == judge(probabilities, labels, negative=None).accuracy


def test_without_one_f1_is_the_share_of_right_answers() -> None:
    scored = judge(np.eye(4)[[0, 1, 2, 0]], np.array([0, 1, 2, 3]), negative=None)
    assert scored.f1 == 0.75


def test_a_model_that_knows_nothing_scores_the_share_of_positives() -> None:
    labels = np.array([1] * 30 + [0] * 70)
    assert judge(np.full((100, 2), 0.5), labels, negative=0).pr_auc == 0.3
