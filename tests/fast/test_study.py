"""What docs/comparison.md says of rules, in small: the order in which they come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gossip.fast import Setting
from gossip.fast.data import Rows, dirichlet
from gossip.fast.learner import WIDTH, Networks
from gossip.fast.study import RECIPES, STUDIES, Study, run_study


def small(**changes: object) -> Study:
    recipe = replace(RECIPES["digits"], rounds=50.0)
    return replace(Study("small", "", Setting(peers=6, seed=1), recipe=recipe), **changes)


def test_folding_beats_averaging_which_beats_learning_alone_and_one_rule_ends_at_chance() -> None:
    _, found = run_study(small(), rules=("fold", "average", "none", "mimic-as-printed", "fedavg", "pooled"))
    order = [found[rule].mean for rule in ("none", "average", "fold", "pooled")]
    assert order == sorted(order)
    assert order[2] > order[1] + 0.03 > order[0] + 0.2
    assert found["fold"].worst > found["average"].worst + 0.05
    assert found["fold"].received < found["average"].received / 4
    assert found["mimic-as-printed"].worst < 0.3
    assert found["fedavg"].worst == found["fedavg"].mean


def test_a_round_depends_on_peer_number_and_weights_alone_not_on_what_else_is_under_way() -> None:
    luck = np.random.default_rng(0)
    rows = Rows.of(luck.normal(size=(200, 6)), luck.integers(0, 3, 200))
    work = Networks(rows, dirichlet(rows.labels, 12, 0, 1), hidden=(4,), steps=3)
    theta = luck.normal(size=sum(int(np.prod(tensor.shape)) for tensor in work.layout)).astype(np.float32)
    together = work.train([(peer, 2, theta) for peer in range(12)])
    assert len(together) == 12 > WIDTH
    for peer in (0, 5, 11):
        (alone,) = work.train([(peer, 2, theta)])
        assert alone == pytest.approx(together[peer], abs=1e-6)
    assert not np.allclose(together[0], together[1])


def test_the_comparison_of_webnn_has_its_three_rules_four_clients_and_even_data() -> None:
    study = STUDIES["webnn-four"]
    assert set(study.rules) >= {"average", "weighted", "mimic-as-printed", "mimic"}
    assert (study.setting.peers, study.alpha, study.setting.away, study.data) == (4, 0.0, 0.0, "mnist")
