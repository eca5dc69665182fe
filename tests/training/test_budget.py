"""An epsilon is a promise over everything published: counted before it is spent, and never exceeded."""

from __future__ import annotations

import pytest

from gossip.training.budget import PLANNED_ROUNDS, Budget, make_plan, spent_in
from ledger.entry import Claim
from ledger.errors import LocalError

pytest.importorskip("dp_accounting")

STEPS = 64


@pytest.fixture(scope="module")
def plan():
    return make_plan(8.0, records=5_000, batch=128, steps=STEPS)


def test_a_plan_lasts_for_the_rounds_it_is_made_for_and_not_much_longer(plan, tmp_path):
    budget = Budget(tmp_path / "privacy.json", plan.claim)
    spent = budget.charge(plan, PLANNED_ROUNDS * STEPS)
    assert 0.95 * plan.claim.epsilon < spent <= plan.claim.epsilon
    with pytest.raises(LocalError, match="budget is spent"):
        budget.charge(plan, 10 * STEPS)
    assert budget.spent == spent, "what was refused is not counted"


def test_what_is_spent_outlives_the_process(plan, tmp_path):
    place = tmp_path / "privacy.json"
    before = Budget(place, plan.claim).charge(plan, STEPS)
    again = Budget(place, plan.claim)
    assert again.spent == before
    assert again.charge(plan, STEPS) > before
    assert spent_in(place) == (plan.claim, again.spent)


def test_two_that_opened_one_account_spend_of_one_budget(plan, tmp_path):
    """Each would else count from what it had read at first, and both together break the promise."""
    place = tmp_path / "privacy.json"
    one, other = Budget(place, plan.claim), Budget(place, plan.claim)
    one.charge(plan, PLANNED_ROUNDS * STEPS // 2)
    other.charge(plan, PLANNED_ROUNDS * STEPS // 2)
    assert spent_in(place) == (plan.claim, other.spent)
    assert other.spent > one.spent
    with pytest.raises(LocalError, match="budget is spent"):
        one.charge(plan, 10 * STEPS)


def test_an_account_with_a_delta_that_no_claim_has_cannot_be_read(plan, tmp_path):
    """With a delta of 1 nothing would ever seem spent."""
    place = tmp_path / "privacy.json"
    Budget(place, plan.claim).charge(plan, STEPS)
    for delta in (1, 999):
        place.write_text(place.read_text().replace(f'"delta":{plan.claim.delta},', f'"delta":{delta},'))
        with pytest.raises(LocalError, match="cannot be read"):
            spent_in(place)
        place.write_text(place.read_text().replace(f'"delta":{delta},', f'"delta":{plan.claim.delta},'))


def test_the_charge_is_on_disk_before_the_caller_goes_on(plan, tmp_path, monkeypatch):
    budget = Budget(tmp_path / "privacy.json", plan.claim)
    monkeypatch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        budget.charge(plan, STEPS)
    assert spent_in(tmp_path / "privacy.json") is None


def test_a_promise_is_not_made_larger_by_naming_another(plan, tmp_path):
    place = tmp_path / "privacy.json"
    Budget(place, plan.claim).charge(plan, STEPS)
    with pytest.raises(LocalError, match="has promised an epsilon of 8"):
        Budget(place, Claim(epsilon=20_000, delta=plan.claim.delta))


def test_fewer_rows_later_do_not_weaken_delta(plan, tmp_path):
    place = tmp_path / "privacy.json"
    Budget(place, plan.claim).charge(plan, STEPS)
    assert Budget(place, Claim(epsilon=8_000, delta=11_000)).claim.delta == plan.claim.delta


def test_for_few_records_there_is_no_honest_epsilon():
    with pytest.raises(LocalError, match="no honest epsilon exists for 999 records"):
        make_plan(8.0, records=999, batch=128, steps=STEPS)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 20.1, float("nan"), float("inf")])
def test_an_epsilon_that_promises_nothing_is_refused(epsilon):
    with pytest.raises(LocalError, match="promises nothing"):
        make_plan(epsilon, records=5_000, batch=128, steps=STEPS)


def test_a_damaged_account_is_one_line_and_is_not_begun_anew(plan, tmp_path):
    place = tmp_path / "privacy.json"
    place.write_text('{"format":"gossip-privacy/1"}')
    with pytest.raises(LocalError, match="account cannot be read"):
        Budget(place, plan.claim)
    assert place.read_text() == '{"format":"gossip-privacy/1"}'


def test_less_epsilon_takes_more_noise():
    strict, loose = (make_plan(epsilon, records=5_000, batch=128, steps=STEPS).noise for epsilon in (2.0, 8.0))
    assert strict > loose
