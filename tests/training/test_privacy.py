"""What a model gives away is measured, and a claim of privacy that is false is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gossip.training.blocks import Numbers, NumberSpool
from gossip.training.privacy import attack, attack_all, audit, compare
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError

MODEL = """{"model":1,"features":{"kind":"numbers/1","columns":32},"classes":["a","b"],
"layers":[{"kind":"dense","units":2}],"optimiser":{"kind":"sgd","rate":2.0},"batch":32,"local_steps":60}"""
SPEC = ModelSpec.parse(MODEL)
WIDE = ModelSpec.parse(MODEL.replace("32}", "600}"))  # learns 300 rows by heart


def rows(count: int, seed: int, columns: int = 32) -> Numbers:
    luck = np.random.default_rng(seed)
    return Numbers(luck.normal(size=(count, columns)).astype(np.float32), luck.integers(0, 2, count).astype(np.uint8))


def test_a_model_that_knows_nothing_gives_nothing_away():
    found = attack(SPEC, np.zeros(SPEC.parameters, np.float32), rows(300, 1), rows(300, 2))
    assert found.auc == 0.5
    assert (found.members, found.others, found.caught) == (300, 300, 0.0)


def test_rows_on_disk_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossip.training.privacy._ROWS_AT_ONCE", 7)
    theta = np.random.default_rng(3).normal(size=SPEC.parameters).astype(np.float32)
    spool = NumberSpool(None, 32)
    spool.append(rows(300, 1))
    assert attack_all(SPEC, theta, spool, rows(200, 2)) == attack(SPEC, theta, rows(300, 1), rows(200, 2))
    spool.close()


def test_scores_that_tell_all_are_an_auc_of_one_and_ties_are_half():
    assert compare(np.array([2.0, 3.0]), np.array([0.0, 1.0])).auc == 1.0
    assert compare(np.array([1.0, 1.0]), np.array([1.0])).auc == 0.5
    assert compare(np.array([0.0]), np.array([1.0, 2.0])).auc == 0.0


def test_a_model_that_learnt_rows_by_heart_is_noticed():
    members, others = rows(24, 1), rows(400, 2)
    signs = np.where(members.labels == 1, 1.0, -1.0)
    weights = np.zeros((32, 2), np.float32)
    weights[:, 1] = np.linalg.lstsq(members.inputs, signs, rcond=None)[0] * 4
    theta = np.concatenate([weights.ravel(), np.zeros(2, np.float32)]).astype(np.float32)
    found = attack(SPEC, theta, members, others)
    assert found.auc > 0.6


def test_nobody_to_tell_apart_is_one_line():
    with pytest.raises(LocalError, match="nothing to tell apart"):
        attack(SPEC, np.zeros(SPEC.parameters, np.float32), rows(3, 1), rows(0, 2))


@pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated:DeprecationWarning")  # jax_privacy's own
def test_canaries_do_not_refute_a_true_claim_and_refute_a_false_one():
    pytest.importorskip("jax_privacy")
    from gossip.training.budget import make_plan

    data = rows(1_200, 5)
    plan = make_plan(1.0, records=len(data), batch=SPEC.batch, steps=SPEC.local_steps)
    start = np.zeros(SPEC.parameters, np.float32)
    honest = audit(SPEC, data, plan, start, rounds=2, luck=np.random.default_rng(1))
    assert honest.holds
    assert 0 < honest.claimed < 1.0
    silent = replace(plan, noise=1e-6, rate=0.5)  # by heart, and no noise to hide it
    start = np.zeros(WIDE.parameters, np.float32)
    lying = audit(WIDE, rows(300, 6, 600), silent, start, rounds=4, luck=np.random.default_rng(2))
    assert lying.bound > 1.0 == plan.claim.epsilon / 1000, "the claim that was published"
