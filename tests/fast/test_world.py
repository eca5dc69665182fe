"""A crowd in time: who is away learns nothing, who comes back catches up, every rule meets the same troubles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gossip import Scenario, simulate
from gossip.fast import Outcome, Setting, compare, run_rule
from gossip.fast.averaging import Averaging
from gossip.fast.folding import Folding
from gossip.fast.study import run_study, study_of
from gossip.fast.trained import Trained
from gossip.sim import Crash, Cut
from gossip.sim.toy import ToyTrainer
from ledger.errors import LocalError

STEADY = {"away": 0.0, "spread": 0.0, "delay": 0.1, "rounds": 12.0}


def work(peers: int) -> Trained:
    return Trained(ToyTrainer(peers, seed=3), peers)


def run(rule: str, peers: int = 4, **changes: object) -> Outcome:
    return run_rule(rule, Setting(peers=peers, **{**STEADY, **changes}), work(peers))


def test_the_same_seed_gives_the_same_outcome_and_another_seed_another() -> None:
    one, again, other = (run("fold", away=0.3, session=3.0, seed=seed) for seed in (1, 1, 2))
    assert one.as_json() == again.as_json() != other.as_json()
    assert (one.model == again.model).all()


def test_every_rule_meets_the_same_peers_and_absences() -> None:
    found = compare(["fold", "average", "none"], Setting(peers=5, away=0.4, session=3.0, rounds=20, seed=4), work(5))
    assert len({outcome.trained for outcome in found.values()}) == 1
    assert min(found["fold"].trained) < max(found["fold"].trained)


def test_a_round_that_was_under_way_when_its_peer_left_is_lost() -> None:
    """A round and its pause take 1.1: ten fit in. Gone in the fourth, it has three before and five after."""
    assert run("none").trained[1] == 10
    assert run("none", absences=((1, 4.0, 6.2),)).trained[1] == 3 + 5


def test_who_is_away_to_the_end_keeps_the_model_it_left_with() -> None:
    setting = Setting(peers=3, **{**STEADY, "absences": ((2, 0.0, 99.0),)})
    world = Folding("fold", setting, work(3))
    outcome = world.run()
    assert (world.models()[2] == world.start).all()
    assert outcome.bytes_received[2] == 0 < outcome.bytes_received[0]
    assert outcome.trained[2] == 0 < outcome.trained[0]


def test_who_comes_back_catches_up_with_all_that_was_published_meanwhile() -> None:
    setting = Setting(peers=3, **{**STEADY, "absences": ((2, 1.0, 11.0),)})
    world = Folding("fold", setting, work(3))
    world.run()
    assert world.held[2, 0] >= len(world.logs[0]) - 2 > 5


def test_two_halves_hear_nothing_of_each_other_and_then_everything() -> None:
    apart = Folding("fold", Setting(peers=4, **{**STEADY, "cuts": (((2, 3), 0.0, 99.0),)}), work(4))
    apart.run()
    assert not apart.held[:2, 2:].any()
    assert not apart.held[2:, :2].any()
    assert apart.held[0, 1] > 5
    healed = Folding("fold", Setting(peers=4, **{**STEADY, "cuts": (((2, 3), 0.0, 8.0),)}), work(4))
    healed.run()
    assert healed.held[:2, 2:].min() > 5


def test_bytes_are_those_of_the_deltas_or_of_whole_models_and_nothing_comes_for_nothing() -> None:
    world = Averaging("average", None, Setting(peers=4, **STEADY), work(4))
    outcome = run("average")
    assert sum(outcome.bytes_received) % (4 * len(world.start)) == 0
    assert sum(outcome.bytes_received) > 0
    assert set(run("none").bytes_received) == {0}
    fold = Folding("fold", Setting(peers=4, **STEADY), work(4))
    fold.run()
    for peer in range(4):
        heard = [fold.logs[o][: fold.held[peer, o]] for o in range(4) if o != peer]
        assert fold.received[peer] == sum(len(update.blob) for log in heard for update in log)


def test_learning_together_beats_learning_alone() -> None:
    found = {rule: run(rule, peers=6, rounds=30.0).mean for rule in ("fold", "average", "none", "mimic-as-printed")}
    assert min(found["fold"], found["average"]) > found["none"] + 0.03
    assert found["mimic-as-printed"] < found["none"]


def test_a_rule_of_ones_own_is_called_with_both_models_and_their_ages() -> None:
    seen: list[tuple[float, float]] = []

    def never(own: np.ndarray, own_age: float, other: np.ndarray, other_age: float) -> np.ndarray:
        seen.append((own_age, other_age))
        return own

    outcome = simulate(Scenario(peers=4, seconds=20, seed=1), rule=never)
    alone = simulate(Scenario(peers=4, seconds=20, seed=1), rule="none")
    assert outcome.rule == "never"
    assert outcome.accuracies == alone.accuracies
    assert seen
    assert max(age for ages in seen for age in ages) > 5


def test_a_rule_that_gives_something_else_than_weights_is_told_so() -> None:
    with pytest.raises(LocalError, match="shape"):
        simulate(Scenario(peers=3, seconds=9), rule=lambda own, own_age, other, other_age: own[:3])


def test_scenarios_of_whole_machines_become_absences_cuts_and_slow_peers() -> None:
    scenario = Scenario(
        peers=6, seconds=40, round_s=2.0, crashes=(Crash(2, 10.0, 4.0),), cuts=(Cut(4, 8, (1,)),), late={3: 6.0},
        slow={5: 10.0}, churn=0.4, loss=0.1,
    )  # fmt: skip
    setting = study_of(scenario, "mine").setting
    assert setting.rounds == 20
    assert {(2, 5.0, 7.0), (3, 0.0, 3.0)} <= set(setting.absences)
    assert len(setting.absences) == 4
    assert setting.cuts == (((1,), 2.0, 4.0),)
    assert (setting.slow, setting.loss) == ({5: 10.0}, 0.1)


@pytest.mark.parametrize(
    ("word", "asked"),
    [
        ("cheats", {"faults": {3: "lies"}}), ("slow lines", {"lines": {3: 1e4}}), ("leaders", {"leaders": (1,)}),
        ("public data", {"public": (1,)}), ("observers", {"observers": (1,)}),
    ],
)  # fmt: skip
def test_what_only_whole_machines_have_is_refused_and_not_left_out_in_silence(word: str, asked: dict[str, Any]) -> None:
    with pytest.raises(LocalError, match=word):
        simulate(Scenario(peers=4, **asked), rule="fold")


def test_a_scenarios_own_eta_and_density_count_not_those_of_the_data() -> None:
    scenario = Scenario(peers=3, seconds=4, round_s=1.0, eta=0.7, density=0.25)
    study, _ = run_study(study_of(scenario, "mine"), rules=("none",))
    assert (study.setting.rounds, study.setting.eta, study.setting.density) == (4.0, 0.7, 0.25)
    other, _ = run_study(replace(study, keeps_fold=False), rules=("none",))
    assert (other.setting.eta, other.setting.density) == (2.0, 0.01)  # of digits


def test_a_rule_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(LocalError) as caught:
        simulate(Scenario(peers=3, seconds=9), rule="averege")
    assert "average" in caught.value.next_step


@pytest.mark.parametrize("wrong", [{"peers": 0}, {"away": 1.0}, {"rounds": 0}, {"session": 0}, {"slow": {0: 0.0}}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        Setting(**wrong)
