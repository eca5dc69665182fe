"""A session that has promised an epsilon: charged before it trains, and nothing comes of it once that is spent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax_privacy")

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.training.budget import Budget, NothingLeft, make_plan, spent_in
from gossip.training.private import PrivateLearner
from gossip.training.protocol import Loaded, OwnData
from gossip.training.session import Session
from gossip.training.spec import ModelSpec
from gossip.training.worker_client import TrainerProcess
from ledger.errors import LocalError
from tests.training.small import MODEL, table

pytestmark = pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated:DeprecationWarning")  # jax_privacy
SPEC = ModelSpec.parse(MODEL)
START = NumpyArithmetic().to_float32(NumpyArithmetic().start(SPEC.layout(), "22" * 32))
Begin = Callable[..., tuple[Session, Loaded]]
planned = functools.cache(make_plan)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table(tmp_path_factory.mktemp("rows") / "rows.csv", 2_000)


@pytest.fixture
def own(rows: Path) -> OwnData:
    return OwnData.private(MODEL, [rows], None, bytes(32))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs that the first test has compiled."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def begin(own: OwnData, tmp_path: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Load as a process does that starts again on the same folder."""
    monkeypatch.setattr("gossip.training.session.make_plan", planned)  # half a second each
    made: list[Session] = []

    def load(epsilon: float = 8.0, **more: Any) -> tuple[Session, Loaded]:
        session, loaded, _ = Session.load(
            more.pop("own", own), START, epsilon=epsilon, account=tmp_path / "privacy.json", keep=tmp_path / "keep.npz",
            cache=compiled, **more,
        )  # fmt: skip
        made.append(session)
        return session, loaded

    yield load
    for session in made:
        session.data.rows.close()


def test_the_claim_is_known_before_the_first_round_and_each_round_says_what_is_spent(begin: Begin) -> None:
    session, loaded = begin()
    assert (loaded.privacy.epsilon, loaded.privacy.delta, loaded.spent) == (8_000, 10 * loaded.records, 0)
    one, two = (session.train(number, START)[0].epsilon for number in (1, 2))
    assert 0 < one < two < 8_000


def test_a_session_without_a_promise_spends_nothing_and_keeps_no_account(begin: Begin, tmp_path: Path) -> None:
    session, loaded = begin(epsilon=0.0)
    assert loaded.privacy.epsilon == session.train(1, START)[0].epsilon == 0
    assert not (tmp_path / "privacy.json").exists()


def test_another_process_goes_on_with_the_account(begin: Begin) -> None:
    spent = begin()[0].train(1, START)[0].epsilon
    session, loaded = begin()
    assert loaded.spent == spent
    assert session.train(2, START, spent=spent)[0].epsilon > spent


def test_who_dies_between_the_charge_and_the_delta_has_spent_it(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = begin()

    def die(*_: object) -> None:
        raise KeyboardInterrupt  # as far as a process is concerned, from here on nothing happens

    monkeypatch.setattr(session._learner, "round", die)
    with pytest.raises(KeyboardInterrupt):
        session.train(1, START)
    kept = spent_in(tmp_path / "privacy.json")
    assert kept is not None
    assert kept[1] > 0
    assert begin()[1].spent == kept[1]


def test_when_the_budget_is_spent_nothing_is_trained(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    session, loaded = begin(epsilon=2.0)
    assert session._promise is not None
    plan, budget = session._promise.plan, session._promise.budget
    steps = 1
    while budget.spent < 0.98 * loaded.privacy.epsilon:  # all but the last few rounds
        try:
            budget.charge(plan, 64 * steps)
            steps *= 2
        except NothingLeft:
            if steps == 1:
                break
            steps = 1
    monkeypatch.setattr(PrivateLearner, "round", lambda *_: pytest.fail("trained without leave"))
    budget._spent, budget._cost_now = [(*budget._spent[0][:2], budget._spent[0][2] + 640)], None  # and those
    with pytest.raises(NothingLeft, match=r"the privacy budget is spent: .* of 2"):
        session.train(9, START)


def test_an_account_that_is_an_old_copy_publishes_nothing(begin: Begin, tmp_path: Path) -> None:
    session, _ = begin()
    session.train(1, START)
    old = (tmp_path / "privacy.json").read_bytes()
    spent = session.train(2, START)[0].epsilon
    (tmp_path / "privacy.json").write_bytes(old)
    restored, _ = begin()
    with pytest.raises(NothingLeft, match="is an old copy"):
        restored.train(3, START, spent=spent)
    assert (tmp_path / "privacy.json").read_bytes() == old
    (tmp_path / "privacy.json").unlink()
    with pytest.raises(NothingLeft, match="is an old copy"):
        begin()[0].train(3, START, spent=spent)


def test_the_comparison_with_oneself_costs_nothing_and_has_no_noise(begin: Begin, tmp_path: Path) -> None:
    """Four steps of SGD from the start, on 2,000 rows that one of four columns separates: noise would show."""
    session, _ = begin()
    for number in range(10):
        session.train(number, START)
    session.remember()
    with np.load(tmp_path / "keep.npz") as kept:
        alone = kept["alone"]
    free = begin(epsilon=0.0)[0]._learner.score(alone, session.data.held_out)  # type: ignore[arg-type]
    assert free.tp / free.examples > 0.9
    assert session._promise is not None
    expected = Budget(tmp_path / "elsewhere.json", session._promise.budget.claim)
    assert session._promise.budget.spent == expected.charge(session._promise.plan, 10 * SPEC.local_steps)


def test_what_was_trained_without_noise_is_not_sent_under_a_promise(begin: Begin) -> None:
    free, _ = begin(epsilon=0.0)
    free.train(1, START)
    free._feedback.residual = np.ones_like(START)
    free.remember()
    assert begin(epsilon=0.0)[0]._feedback.residual.any()
    promised, _ = begin()
    assert not promised._feedback.residual.any()
    promised.train(1, START)
    promised._feedback.residual = np.ones_like(START)
    promised.remember()
    assert begin()[0]._feedback.residual.all(), "what was made with noise may go on"


def test_for_few_records_the_session_is_refused(tmp_path: Path, begin: Begin) -> None:
    few = OwnData.private(MODEL, [table(tmp_path / "few.csv", 900)], None, bytes(32))
    with pytest.raises(LocalError, match="no honest epsilon exists for 8"):
        begin(own=few)
    assert not (tmp_path / "privacy.json").exists()


def test_a_missing_extra_is_one_line_before_anything_is_read(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossip.training.budget.find_spec", lambda name: None)
    with pytest.raises(LocalError, match="private training needs jax-privacy"):
        begin(own=OwnData.private(MODEL, [Path("/nowhere.csv")], None, bytes(32)))


async def test_over_the_pipe_a_spent_budget_is_told_from_a_mistake(own: OwnData, tmp_path: Path) -> None:
    account = tmp_path / "privacy.json"
    async with TrainerProcess() as trainer:
        loaded, _ = await trainer.load(own, START, epsilon=8.0, account=account)
        assert loaded.privacy.epsilon == 8_000
        trained = await trainer.train(1, START)
        assert trained.epsilon > 0
        with pytest.raises(NothingLeft, match="old copy"):
            await trainer.train(2, START, spent=trained.epsilon + 1)
        assert (await trainer.train(2, START, spent=trained.epsilon)).epsilon > trained.epsilon
