"""A crowd in windows: the same rules, all peers at once."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import jax
import numpy as np
import pytest

from gossip.fast import Outcome
from gossip.fast.crowd import CROWD_RULES, Crowd, Pace, _publish, clouds, run_crowd
from gossip.fast.data import Rows
from ledger.entry import GRID_ONE
from ledger.errors import LocalError

pytestmark = pytest.mark.xdist_group("fast-crowd")  # what was compiled and run for one serves the next
SMALL = Crowd(peers=600, windows=25, seed=1)
PUBLISH = jax.jit(partial(_publish, 0.5, 1.0, True))


@cache
def ran(rule: str) -> Outcome:
    return run_crowd(rule, SMALL)[0]


@cache
def few(away: float) -> tuple[Outcome, Pace]:
    """A hundred peers, of whom a part is away at any time."""
    return run_crowd("none", Crowd(peers=100, windows=5, away=away))


def test_a_crowd_learns_together_what_nobody_learns_alone() -> None:
    found = {rule: ran(rule) for rule in ("fold", "fold-bundled", "weighted")}
    alone = ran("none")
    assert alone.received == 0
    assert all(outcome.mean > alone.mean + 0.05 for outcome in found.values())
    assert found["fold-bundled"].received < found["weighted"].received * 4 < found["fold"].received


def test_the_same_seed_gives_the_same_crowd() -> None:
    assert run_crowd("none", SMALL)[0].as_json() == ran("none").as_json()
    assert run_crowd("none", replace(SMALL, seed=2))[0].as_json() != ran("none").as_json()


def test_rounds_are_counted_of_those_who_were_there_and_trained() -> None:
    everybody = few(0.0)[1]
    assert everybody.node_rounds == 100 * 4  # the first window compiles
    some = few(0.5)[1]
    assert 100 < some.node_rounds < 300
    assert some.per_second > 0 < some.per_core_second


def test_each_peers_rounds_are_its_own() -> None:
    """Half of them are away at a time: some train more often than others, and nobody what all did in the mean."""
    outcome, _ = few(0.5)
    assert len(outcome.trained) == len(outcome.accuracies)
    assert 0 <= min(outcome.trained) < max(outcome.trained) <= 5
    assert set(few(0.0)[0].trained) == {5}


def test_what_a_peer_has_not_sent_waits_and_what_it_sends_fits_int8() -> None:
    luck = np.random.default_rng(3)
    inputs, labels = luck.normal(size=(20, 8, 5)).astype(np.float32), luck.integers(0, 2, (20, 8)).astype(np.float32)
    is_there = np.arange(20) < 15
    waiting = luck.normal(size=(20, 5)).astype(np.float32)
    added, left = PUBLISH(np.zeros(5, np.float32), waiting, np.arange(20), is_there, inputs, labels)
    gap = 1 / (1 + np.exp(0.0)) - labels
    change = waiting - 0.5 * (gap[:, :, None] * inputs).sum(axis=1) / 8
    sent = change - np.asarray(left)
    assert (np.asarray(left)[~is_there] == waiting[~is_there]).all()
    for peer in range(15):
        grain = 2.0 ** np.ceil(np.log2(np.abs(change[peer]).max() / 127))
        assert sent[peer] / grain == pytest.approx(np.round(sent[peer] / grain), abs=1e-3)
        assert np.abs(np.asarray(left)[peer]).max() <= grain / 2 + 1e-6
    norms = np.linalg.norm(sent[:15], axis=1)
    weights = np.minimum(1, 1.5 * np.median(norms) / norms) / 15
    assert np.asarray(added) == pytest.approx(weights @ sent[:15], abs=1e-5)


def test_the_weight_of_a_crowd_is_that_of_the_ledger_where_all_are_alike() -> None:
    """eta / n, s(tau) of one window's lag being 1: what ledger.weights gives n peers that publish once each."""
    from gossip.setup import fold_constants
    from ledger.weights import START, Sight, weigh

    peers = 50
    constants = fold_constants(eta=1.0, norm0=1 << 24)
    names = tuple(f"{peer:064x}" for peer in range(1, peers))
    sight = Sight(names, (2,) * (peers - 1), (1 << 24,) * (peers - 1), GRID_ONE)
    weighed = weigh(constants, START, sight, 1 << 24)
    same = np.ones((peers, 8, 5), dtype=np.float32)
    empty = np.zeros((peers, 5), dtype=np.float32)
    added, left = PUBLISH(empty[0], empty, np.arange(peers), np.ones(peers, dtype=bool), same, same[:, :, 0])
    each = 0.25 - float(left[0, 0])
    assert float(added[0]) == pytest.approx(peers * each * weighed.weight / GRID_ONE, rel=2e-3)


def test_more_than_two_classes_unknown_rules_and_one_class_are_refused() -> None:
    rows = clouds()
    with pytest.raises(LocalError, match="two classes"):
        run_crowd("fold", SMALL, Rows.of(rows.inputs, np.arange(len(rows.inputs)) % 3))
    with pytest.raises(LocalError, match="no rule"):
        run_crowd("fedavg", SMALL)
    with pytest.raises(LocalError, match="one class"):
        run_crowd("fold", SMALL, Rows.of(rows.inputs, np.zeros(len(rows.inputs))))
    assert "fold" in CROWD_RULES
