"""Rounds of any length: the same training, in a few compiled programs, and counted as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gossip.merging.codec import ErrorFeedback
from gossip.training.budget import Budget, epsilon_of
from gossip.training.learner import Learner
from gossip.training.protocol import OwnData
from gossip.training.session import Session
from gossip.training.spec import ModelSpec
from gossip.training.task import Examples, Task
from ledger.delta import decode
from tests.training.test_learner import SALT, begin
from tests.training.test_spec import OWN, changed

pytestmark = [
    pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated:DeprecationWarning"),  # jax_privacy
    pytest.mark.xdist_group("training-steps"),  # sessions compile for seconds: one of each kind serves all
]
STEPS = json.loads(OWN)["local_steps"]


class Digits(Task):
    def train(self) -> Examples:
        return Examples(*load_digits(return_X_y=True))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Digits().save(tmp_path_factory.mktemp("digits"))[0]


@pytest.fixture(scope="module")
def session(rows: Path) -> Iterator[Session]:
    made, _, _ = Session.load(OwnData.private(OWN, [rows], None, SALT), begin(OWN))
    yield made
    made.close()


@pytest.fixture(scope="module")
def private(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, Path]]:
    """A session that counts its privacy, and its account. What was spent before a test is that test's beginning."""
    pytest.importorskip("jax_privacy")
    account = tmp_path_factory.mktemp("account") / "privacy.json"
    made, _, _ = Session.load(OwnData.private(OWN, [rows], None, SALT), begin(OWN), epsilon=8.0, account=account)
    yield made, account
    made.close()


def counted(account: Path) -> int:
    """Steps, of the one kind there is."""
    if not account.exists() or not (spent := json.loads(account.read_text())["spent"]):
        return 0
    ((_, _, steps),) = spent
    return int(steps)


@pytest.mark.parametrize("declared", [1, 4, 7], ids=["stretch by stretch", "one and a half", "part of one"])
def test_a_round_in_stretches_is_one_round(declared: int) -> None:
    """The optimiser's memory goes on from stretch to stretch: moments that began anew would end elsewhere."""
    text = changed(OWN, optimiser={"kind": "adam", "rate": 0.01}, local_steps=6)
    whole, other = Learner(ModelSpec.parse(text)), Learner(ModelSpec.parse(changed(text, local_steps=declared)))
    luck = np.random.default_rng(1)
    spec = ModelSpec.parse(text)
    inputs = luck.random((6, spec.batch, 64), dtype=np.float32)
    batches = (inputs, luck.integers(0, 10, (6, spec.batch)).astype(np.uint8))
    start = begin(text)
    np.testing.assert_allclose(whole.round(start, batches), other.round(start, batches), rtol=1e-4, atol=1e-6)


def test_a_session_trains_as_many_steps_as_it_is_asked_for_and_says_so(session: Session) -> None:
    start = begin(OWN)
    batch = session.spec.batch
    lengths = [session.train(1, start, steps=steps)[0] for steps in (0, 1, 3, 2 * STEPS)]
    assert [trained.steps for trained in lengths] == [STEPS, 1, 3, 2 * STEPS]
    assert [trained.examples for trained in lengths] == [batch * trained.steps for trained in lengths]


def test_a_delta_of_half_the_density_has_half_the_elements_and_what_is_left_waits(session: Session) -> None:
    whole = decode(session.train(1, begin(OWN))[1], session.spec.parameters)
    half = decode(session.train(2, begin(OWN), density=500)[1], session.spec.parameters)
    assert len(half.values) == pytest.approx(len(whole.values) / 2, abs=1)


def test_density_is_a_share_of_what_is_usual() -> None:
    change = np.random.default_rng(2).normal(size=4_000).astype(np.float32)
    for share in (None, 0.2):
        feedback, usual = ErrorFeedback(4_000, share), ErrorFeedback(4_000, share)
        few, all_of_it = feedback.compress(change, 100), usual.compress(change)
        assert len(few) < 0.2 * len(all_of_it)
        assert np.linalg.norm(feedback.residual) > np.linalg.norm(usual.residual)


def test_private_rounds_are_charged_for_the_steps_they_take(private: tuple[Session, Path]) -> None:
    made, account = private
    assert made._promise is not None
    plan, before = made._promise.plan, counted(account)
    spent = 0
    for steps in (3, 1, 2 * STEPS):
        trained, _ = made.train(1, begin(OWN), steps=steps, spent=spent)
        assert trained.steps == steps
        assert trained.epsilon > spent
        spent = trained.epsilon
    ((rate, noise, total),) = json.loads(account.read_text())["spent"]
    assert total == before + 4 + 2 * STEPS
    exact = 1000 * epsilon_of([(rate / 1e6, noise / 1e6, total)], plan.claim.delta)
    assert exact <= spent < exact + 1
    assert Budget(account, plan.claim).spent == spent


def test_a_long_private_round_that_there_is_no_budget_for_becomes_one_as_declared(
    private: tuple[Session, Path],
) -> None:
    made, account = private
    assert made._promise is not None
    plan, before = made._promise.plan, counted(account)
    steps = 98 * STEPS  # the plan is for a hundred rounds, and a little more
    while 1000 * epsilon_of([(plan.rate, plan.noise, steps + 2 * STEPS)], plan.claim.delta) <= plan.claim.epsilon:
        steps += STEPS
    made._promise.budget.charge(plan, steps - before)  # one more fits, two do not
    trained, _ = made.train(1, begin(OWN), steps=4 * STEPS)
    assert trained.steps == STEPS
