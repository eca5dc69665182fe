"""What an account of privacy keeps, and what is said of an audit of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gossip.training.blocks import Numbers
from gossip.training.budget import MAX_FILE_BYTES, MILLION, Budget, Plan, epsilon_of, spent_in
from gossip.training.privacy import Audit
from gossip.training.spec import ModelSpec
from ledger.entry import Claim
from ledger.errors import LocalError

CLAIM = Claim(epsilon=8_000, delta=50_000)
PLAN = Plan(CLAIM, 0.0256, 1.5, 128)


@pytest.mark.parametrize(("bound", "holds"), [(0.0, True), (1.5, True), (1.501, False), (9.0, False)])
def test_an_audit_holds_unless_it_shows_more_than_the_account_says(bound: float, holds: bool) -> None:
    assert Audit(canaries=100, rounds=3, claimed=1.5, bound=bound).holds is holds


def test_nothing_is_spent_before_the_first_round(tmp_path: Path) -> None:
    pytest.importorskip("dp_accounting")
    assert Budget(tmp_path / "privacy.json", CLAIM).spent == 0
    assert spent_in(tmp_path / "privacy.json") is None


def test_steps_of_one_plan_are_one_line_of_the_account_and_those_of_another_their_own(tmp_path: Path) -> None:
    """So the account of a year is short, and no step is counted at another's noise."""
    pytest.importorskip("dp_accounting")
    place = tmp_path / "privacy.json"
    budget, louder = Budget(place, CLAIM), replace(PLAN, noise=2.5)
    for plan in (PLAN, PLAN, louder, PLAN):
        cost = budget.charge(plan, 64)
    rate = round(PLAN.rate * MILLION)
    parts = [[rate, 1_500_000, 128], [rate, 2_500_000, 64], [rate, 1_500_000, 64]]
    assert json.loads(place.read_text())["spent"] == parts
    exact = 1000 * epsilon_of([(part[0] / MILLION, part[1] / MILLION, part[2]) for part in parts], CLAIM.delta)
    assert exact <= cost < exact + 1
    assert Budget(place, CLAIM).spent == cost


def test_an_account_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    """Blanks are no damage to JSON, so only the length can refuse it."""
    pytest.importorskip("dp_accounting")
    place = tmp_path / "privacy.json"
    Budget(place, CLAIM).charge(PLAN, 64)
    sound = place.read_bytes()
    place.write_bytes(sound + b" " * (MAX_FILE_BYTES - len(sound)))
    assert spent_in(place) is not None
    place.write_bytes(sound + b" " * (MAX_FILE_BYTES - len(sound) + 1))
    with pytest.raises(LocalError, match="account cannot be read") as caught:
        spent_in(place)
    assert caught.value.why == "too long"


def test_a_row_is_in_a_batch_as_often_as_it_is_accounted_for() -> None:
    """To within 3 of a hundred: a batch of 105% would cost a tenth more than the account says."""
    pytest.importorskip("jax_privacy")
    from gossip.training.private import PrivateLearner

    spec = ModelSpec.parse(
        '{"model":1,"features":{"kind":"numbers/1","columns":1},"classes":["a","b"],"layers":[{"kind":"dense",'
        '"units":2}],"optimiser":{"kind":"sgd","rate":1.0},"batch":400,"local_steps":500}'
    )
    rows = Numbers(np.zeros((2_000, 1), np.float32), np.zeros(2_000, np.uint8))
    _, masks, *_ = PrivateLearner(spec, rows, replace(PLAN, rate=0.2, batch=400)).draw()
    assert masks.shape[0] == 500
    expected, deviation = 2_000 * 0.2, np.sqrt(2_000 * 0.2 * 0.8 / 500)
    assert deviation < 0.01 * expected / 4  # 1% would be seen
    assert abs(masks.sum(axis=1).mean() - expected) < 6 * deviation < 0.03 * expected
