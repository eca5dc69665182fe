"""Every rule on what is opened, compared or measured, in a whole swarm: who breaks it leaves the model for that reason.

    a policy with this one rule + the fault that it is for --> condemned for it by a majority, nobody else touched

Each story is lived a second time by a swarm whose policy forgets this one fact when it judges. Then the story has to
fail: so no rule can be switched off, one by one, without a test that says so. (The rules on what entries state are
decided in the fold; tests/fold/test_policy_rules.py.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from gossip.sim import Scenario, SimSwarm, ToyTrainer
from gossip.sim.toy import Record
from ledger.entry import Challenge, Data, Opening
from ledger.opening import verify_opening
from ledger.policy import Policy, Ruling
from ledger.policy_facts import DEFAULT_OPENED, FACTS
from tests.sim.test_inspection import (
    BAD,
    PIN,
    QUICK,
    counting,
    entries,
    judgements,
    published,
    replica_of,
    rules,
)

OWNER: Final = 3  # an honest one, whose data are public


class Junk(ToyTrainer):
    """Half of one peer's rows cannot be read."""

    def records(self, peer: int) -> list[Record]:
        sound = super().records(peer)
        return [
            (b"junk" + key, what) if peer == BAD and at % 2 else (key, what) for at, (key, what) in enumerate(sound)
        ]


class Copies(ToyTrainer):
    """One peer has half as many rows as it seems, each twice."""

    def records(self, peer: int) -> list[Record]:
        sound = super().records(peer)
        return 2 * sound[: len(sound) // 2] if peer == BAD else sound


class Borrower(ToyTrainer):
    """One peer commits to what is another's public data."""

    def records(self, peer: int) -> list[Record]:
        return super().records(OWNER if peer == BAD else peer)


Story = tuple[int, type[ToyTrainer], Mapping[str, Any], str]  # the limit, who has which data, the rest, other lines

LONG: Final = {"seconds": 16.0, "round_s": 0.5}  # for 16 updates, and what comes after them
STORIES: Final[Mapping[str, Story]] = {
    "opened.malformed": (0, Junk, {"public": (OWNER, BAD)}, ""),
    "opened.wrong_labels_permille": (
        100, ToyTrainer, {"public": (OWNER, BAD), "flipped": {BAD: 0.5}}, f'[labels.ad]\ntoy = "{PIN}"\n',
    ),
    "opened.duplicates_permille": (100, Copies, {"public": (OWNER, BAD), "faults": {BAD: "hides"}}, ""),
    "opened.unanswered": (0, ToyTrainer, {"public": (OWNER, BAD), "faults": {BAD: "mute"}, "seconds": 14.0}, ""),
    "crossed.copied": (0, ToyTrainer, {"faults": {BAD: "copies"}}, ""),
    "crossed.cosine_permille": (999, ToyTrainer, {"faults": {BAD: "copies"}}, ""),  # (two honest ones: 996)
    "crossed.overlap_permille": (500, Borrower, {"public": (OWNER, BAD), "late": {BAD: 3.0}}, ""),
    "holdout.harm_permille": (10, ToyTrainer, {"faults": {BAD: "harms"}, **LONG}, ""),
    "holdout.loss_milli": (50, ToyTrainer, {"faults": {BAD: "harms"}, **LONG}, ""),
    "canary.harm_permille": (
        10, ToyTrainer, {"faults": {BAD: "harms"}, **LONG}, f'[canary]\nsha256 = "{PIN}"\n',
    ),
}  # fmt: skip
FIRST_IS_OWN: Final = ("crossed.copied", "crossed.cosine_permille")  # there is nothing to copy yet


def live(policy: str, trainer: type[ToyTrainer] = ToyTrainer, **facts: Any) -> SimSwarm:
    asked: dict[str, Any] = {"peers": 5, "seconds": 9.0, "round_s": 1.0, "seed": 3, "config": QUICK, "witnesses": 0}
    scenario = Scenario(policy=f"policy = 1\n{policy}", **{**asked, **facts})
    swarm = SimSwarm(scenario, trainer(scenario.peers, scenario.seed, scenario.flipped))
    report = swarm.run()
    assert report.drained
    assert report.models_equal
    return swarm


def lived(fact: str) -> SimSwarm:
    limit, trainer, facts, lines = STORIES[fact]
    return live(f"[{fact}]\nmax = {limit}\n{lines}", trainer, **facts)


def is_enforced(swarm: SimSwarm, fact: str) -> None:
    assert rules(swarm, "condemned") == {f"{fact}.max"}
    assert len({judge for judge, _ in judgements(swarm)}) >= 3
    assert {reading.limit for _, one in judgements(swarm) for reading in one.readings} == {STORIES[fact][0]}
    for index in range(BAD):
        assert counting(swarm, index) == published(swarm, index)
    assert len(published(swarm, BAD)) > 3
    own = published(swarm, BAD)[:1] if fact in FIRST_IS_OWN else []
    assert counting(swarm, BAD) == own


def test_there_is_a_story_for_every_rule_that_receivers_judge_by() -> None:
    judged = {name for name, fact in FACTS.items() if fact.strength in ("O", "X", "L")}
    assert judged - {"opened.records"} == set(STORIES)  # (that one says how many; below)


@pytest.mark.parametrize("fact", STORIES)
def test_who_breaks_the_rule_leaves_the_model_for_that_reason(fact: str) -> None:
    is_enforced(lived(fact), fact)


@pytest.mark.parametrize("fact", STORIES)
def test_a_rule_that_is_not_enforced_is_noticed(fact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Policy.judge

    def forgetful(policy: Policy, measured: Mapping[str, int]) -> Ruling:
        return judge(policy, {name: value for name, value in measured.items() if name != fact})

    monkeypatch.setattr(Policy, "judge", forgetful)
    swarm = lived(fact)
    with pytest.raises(AssertionError):
        is_enforced(swarm, fact)
    assert rules(swarm, "condemned") == set()
    assert counting(swarm, BAD) == published(swarm, BAD) != []


@pytest.mark.parametrize(("lines", "count"), [("[opened.records]\nmin = 7\n", 7), ("", DEFAULT_OPENED)])
def test_as_many_records_are_asked_for_and_shown_as_the_policy_says(lines: str, count: int) -> None:
    swarm = live(f"{lines}[opened.malformed]\nmax = 0\n", public=(OWNER,), seconds=5.0)
    replica = replica_of(swarm)
    asked = [entry for _, _, entry in entries(swarm) if isinstance(entry, Challenge)]
    assert len(asked) >= 3
    assert {challenge.count for challenge in asked} == {count}
    answers = [(log, entry) for log, _, entry in entries(swarm) if isinstance(entry, Opening)]
    assert len(answers) == len(asked)
    for log, opening in answers:
        challenge = replica.entry(opening.peer, opening.challenge)
        assert isinstance(challenge, Challenge)
        data = replica.entry(log, challenge.data)
        assert isinstance(data, Data)
        blob = next(found for peer in swarm.peers if (found := peer.memory.blob(opening.opened)) is not None)
        shown = verify_opening(blob, data, replica.swarm, challenge.signature, challenge.count)
        assert len(shown.records) == count


def test_what_is_measured_on_the_canary_set_is_measured_by_those_without_data_too() -> None:
    """Two of five train on nothing, and condemn with the others."""
    _, trainer, facts, lines = STORIES["canary.harm_permille"]
    swarm = live(f"[canary.harm_permille]\nmax = 10\n{lines}", trainer, **{**facts, "observers": (0, 1)})
    judges = {judge: one for judge, one in judgements(swarm) if one.decision == "condemned"}
    watching = [judges[peer.self_id] for peer in swarm.peers[:2] if peer.self_id in judges]
    assert watching
    for one in watching:
        assert {measured.on for measured in one.measured} == {"canary"}
    assert counting(swarm, BAD) == []
