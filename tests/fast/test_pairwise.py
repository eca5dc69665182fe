"""The rules of the literature as formulas, and why one of them is a documented negative."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.merging import pairwise
from gossip.merging.pairwise import RULES, Rule

OWN, OTHER = np.array([1.0, -2.0, 4.0]), np.array([3.0, 2.0, 4.0])
AGES = st.integers(0, 500).map(float)


@pytest.mark.parametrize(
    ("rule", "own_age", "other_age", "share"),
    [
        ("average", 9, 1, 1 / 2),
        ("weighted", 9, 3, 3 / 12),
        ("weighted", 0, 0, 1 / 2),
        ("mimic", 5, 5, 1),
        ("mimic", 5, 8, 1 / 4),
        ("mimic", 8, 5, 1 / 4),
        ("mimic-as-printed", 5, 8, 1 / 4),
        ("mimic-as-printed", 8, 5, -1 / 4),
        ("mimic-as-printed", 5, 5, -1 / 2),
        ("fedasync-polynomial", 5, 9, 0.6),
        ("fedasync-polynomial", 8, 5, 0.6 / 2),
        ("fedasync-hinge", 9, 5, 0.6),
        ("fedasync-hinge", 9, 3, 0.6 / 21),
        ("limited", 9, 1, 1 / 10),
        ("limited", 1, 10, 1),
        ("limited", 10, 1, 0),
    ],
)
def test_each_rule_goes_so_far_towards_the_other_model(
    rule: str, own_age: float, other_age: float, share: float
) -> None:
    merged = RULES[rule](OWN, float(own_age), OTHER, float(other_age))
    assert merged == pytest.approx(OWN + share * (OTHER - OWN))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@given(own_age=AGES, other_age=AGES)
def test_two_equal_models_are_left_as_they_are(rule: Rule, own_age: float, other_age: float) -> None:
    assert rule(OWN, own_age, OWN, other_age) == pytest.approx(OWN)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"mimic-as-printed"}))
@given(own_age=AGES, other_age=AGES)
def test_no_rule_leaves_the_line_between_two_models(name: str, own_age: float, other_age: float) -> None:
    merged = RULES[name](np.array([0.0]), own_age, np.array([1.0]), other_age)
    assert -1e-9 <= merged[0] <= 1 + 1e-9


def test_mimic_as_its_authors_published_it_does_and_drives_peers_of_one_age_apart_until_nothing_is_left() -> None:
    """The control of the test above, and what is wrong with it: at every meeting the distance doubles."""
    one, other = np.array([0.0]), np.array([1.0])
    for meeting in range(1, 11):
        one, other = (pairwise.mimic_as_printed(a, 7.0, b, 7.0) for a, b in ((one, other), (other, one)))
        assert abs(one - other)[0] == pytest.approx(2.0**meeting)
    repaired = pairwise.mimic(np.array([0.0]), 7.0, np.array([1.0]), 7.0)
    assert repaired[0] == 1.0


def test_a_stack_of_models_in_jax_is_merged_as_each_of_them_in_numpy() -> None:
    luck = np.random.default_rng(1)
    own, other = luck.normal(size=(2, 40, 5)).astype(np.float32)
    ages, others = luck.integers(0, 12, (2, 40)).astype(np.float32)
    stacked = (own, ages[:, None], other, others[:, None])
    together = jax.jit(lambda *values: {name: rule(*values) for name, rule in RULES.items()})(*stacked)
    for name, rule in RULES.items():
        one_by_one = [rule(own[i], float(ages[i]), other[i], float(others[i])) for i in range(40)]
        assert np.asarray(together[name]) == pytest.approx(np.stack(one_by_one), abs=1e-5), name
