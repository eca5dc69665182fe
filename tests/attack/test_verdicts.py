"""Real machines under attack: verdicts on own rows take hostile peers out, and a plain mean falls without them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gossip.config import PeerConfig
from gossip.quality.leaning import MAX_MILLI, loss_milli, losses
from gossip.sim import Scenario, SimSwarm, ToyTrainer
from gossip.sim.toy import Weights
from ledger.delta import Delta, encode
from ledger.entry import Scores
from tests.attack.digits import Digits
from tests.attack.hostile import PROGRAMS, HostileSwarm
from tests.attack.machine import outcome
from tests.attack.setting import CONTROL_GAP, JUDGED, KAPPA, OPEN, PLAIN_MEAN, Outcome
from tests.fold.toy import Swarm

PEERS, BAD = 6, 5
SHARED = pytest.mark.xdist_group("attack-judged")  # what looks at one and the same swarm: it lives once


@cache
def small(policy: str, *, attacked: bool = True, is_plain: bool = False) -> Outcome:
    """Six peers, of whom one takes back a hundred times what the others have learned."""
    config = PeerConfig(verdict_s=3.0, judge_s=1.0)
    scenario = Scenario(
        peers=PEERS, seconds=36.0, round_s=3.0, seed=1, witnesses=0, policy=policy, norm0=1 << 23, density=0.1,
        config=config, constants=PLAIN_MEAN if is_plain else {"kappa": KAPPA},
    )  # fmt: skip
    programs = {BAD: PROGRAMS["IPM"]} if attacked else {}
    return outcome(HostileSwarm(scenario, Digits(PEERS, None, 1), programs))


def test_under_a_plain_mean_one_hostile_peer_of_six_ruins_the_model() -> None:
    """The control: were the attack too tame, the tests below would show nothing."""
    assert small(OPEN, is_plain=True).accuracy < small(OPEN).accuracy - CONTROL_GAP


@SHARED
def test_with_verdicts_the_hostile_peer_is_out_and_the_others_learn_on() -> None:
    clean, found = small(JUDGED, attacked=False), small(JUDGED)
    assert found.hostile_out == 1
    assert found.innocent == 0
    assert found.accuracy > clean.accuracy - 0.04


@SHARED
def test_nobody_is_condemned_where_nobody_attacks() -> None:
    found = small(JUDGED, attacked=False)
    assert found.innocent == 0
    assert found.accuracy > 0.85


# ------------------------------------------------------------------ liars


class Boaster(ToyTrainer):
    """One peer says that it has looked at a million times as many rows as it has."""

    boasts = 1

    def train(self, theta: Weights, peer: int, round_number: int) -> tuple[Weights, int, int, Scores]:
        new, steps, examples, scores = super().train(theta, peer, round_number)
        factor = self.boasts if peer == 3 else 1
        return new, steps * factor, examples * factor, scores


class LoudBoaster(Boaster):
    boasts = 1_000_000


def test_who_lies_about_its_steps_and_rows_changes_no_weight_and_no_bit_of_the_model() -> None:
    models = []
    whole_rounds = PeerConfig(adapts=False)  # (else others change theirs with these, within bounds)
    for kind in (Boaster, LoudBoaster):
        swarm = SimSwarm(Scenario(peers=5, seconds=12.0, seed=2, policy=OPEN, config=whole_rounds), kind(5, 2))
        report = swarm.run()
        book = swarm.peers[0].book
        assert book is not None
        claimed = {book.replica.entry(log, seq).steps for log, seq, _, _ in book.replica.updates}
        assert (max(claimed) > 1_000_000) is (kind is LoudBoaster)  # or nobody has lied
        models.append(
            (sorted(weight for _, _, _, weight in book.replica.updates), report.model_hashes[report.honest[0]])
        )
    assert models[0] == models[1]


def test_who_lies_about_the_age_of_what_it_learned_from_moves_its_own_weight_only_and_never_up() -> None:
    """As fresh as it gets is what an honest update is; older than it was costs the liar."""
    weights: dict[str, list[int]] = {}
    for claim in ("true", "stale"):
        swarm = Swarm(["ann", "bob", "cyd", "dan"])
        said = []
        for _ in range(12):
            for name, peer in swarm.peers.items():
                nothing = {log: min(size, 2) for log, size in peer.replica.heads().items()}
                view = nothing if name == "dan" and claim == "stale" else peer.replica.heads()
                said.append((name, peer.publish_blob(_blob(), view=view).weight))
            swarm.exchange()
        weights[claim] = [weight for name, weight in said if name != "dan"]
        weights[f"{claim} dan"] = [weight for name, weight in said if name == "dan"]
    assert weights["true"] == weights["stale"]
    assert all(lied <= fair for lied, fair in zip(weights["stale dan"], weights["true dan"], strict=True))
    assert weights["stale dan"][-1] < weights["true dan"][-1]


def _blob() -> bytes:
    return encode(Delta(16, None, (-12,), tuple(range(-8, 8))))


# ------------------------------------------------------------------ the measure


def test_updates_that_help_with_what_their_author_has_are_no_harm_whatever_else_gets_worse() -> None:
    labels = ["3", "3", "8", "8", "1", "1"]
    further, back = np.array([0.1, 0.1, 2.0, 2.0, 2.0, 2.0]), np.full(6, 1.0)
    assert loss_milli(further, back, labels, {"3": 9}) == -900
    assert loss_milli(further, back, labels, {"8": 5, "1": 5}) == 1000  # the same updates, by who claims to know these


def test_each_label_weighs_what_its_author_has_of_it_however_many_rows_the_judge_has() -> None:
    labels = ["3"] * 2 + ["8"] * 8
    further = np.array([0.5] * 2 + [2.0] * 8)
    back = np.full(10, 1.0)
    assert loss_milli(further, back, labels, {"3": 30, "8": 10}) == round(1000 * (0.75 * -0.5 + 0.25 * 1.0))
    assert loss_milli(back, further, labels, {"3": 30, "8": 10}) == 125
    assert loss_milli(further, back, labels, {"3": 10, "8": 30}) == 625


def test_who_has_one_row_of_it_or_none_says_nothing_and_no_row_shouts() -> None:
    one = np.array([1.0, 1.0])
    assert loss_milli(one, one, ["3", "8"], {"3": 5}) is None
    assert loss_milli(one, one, ["3", "8"], {}) is None
    assert loss_milli(one, one, ["3", "8"], {"0": 5}) is None
    assert loss_milli(np.array([1e30, 1e30]), np.zeros(2), ["3", "3"], {"3": 1}) == MAX_MILLI
    assert loss_milli(np.array([np.nan, 1.0]), np.zeros(2), ["3", "3"], {"3": 1}) is None
    assert losses(np.array([[0.0, 1.0]]), np.array([0]))[0] == pytest.approx(16)
