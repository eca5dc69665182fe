"""Who is absent now, as a running peer sees it: in a simulated swarm, and by entries made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cli.concerns import concerns
from gossip.peer.presence import Presence
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.scenario import Crash
from tests.fold import toy


def names_absent(swarm: SimSwarm, who: int) -> dict[int, float | None]:
    machine = swarm.peers[who].machine
    assert machine is not None
    status = machine.status()
    by_id = {peer.self_id: number for number, peer in enumerate(swarm.peers)}
    return {by_id[one.peer]: one.since for one in status.absent}


def test_who_crashed_is_named_by_everybody_after_a_minute_and_missed_no_more_when_it_is_back() -> None:
    def after(seconds: float) -> list[dict[int, float | None]]:
        swarm = SimSwarm(
            Scenario(
                peers=3, seconds=seconds, settle_s=0.0, round_s=4.0, seed=3, skew_s={0: 3600.0, 1: -3600.0},
                crashes=(Crash(2, 20.0, 100.0),), signatures="checked",
            )
        )  # fmt: skip
        swarm.run()
        return [names_absent(swarm, who) for who in (0, 1)]

    assert after(60.0) == [{}, {}]
    for skew, told in zip((3600.0, -3600.0), after(110.0), strict=True):
        assert list(told) == [2]  # and not one another, though their clocks are two hours apart
        since = told[2]
        assert since is not None
        assert since - EPOCH - skew == pytest.approx(18.0, abs=8.0)  # by the reader's own clock
    assert after(150.0) == [{}, {}]


def test_a_trainer_that_never_published_is_named_an_observer_is_not() -> None:
    swarm = toy.Swarm(["birch", "cedar"])
    swarm.join("olive", role="observer")
    swarm["birch"].publish(np.full(16, 0.001))
    swarm.exchange()
    replica = swarm.founder.replica
    presence = Presence(swarm.founder.id, replica)
    for log, size in replica.heads().items():
        for seq in range(size):
            presence.learn(log, seq, replica.entry(log, seq), 0.0)
    assert list(presence.absent(toy.NOW + 30.0)) == []
    assert dict(presence.absent(toy.NOW + 100.0)) == {swarm["birch"].id: toy.NOW, swarm["cedar"].id: None}


def test_the_view_says_who_for_how_long_and_who_never_came() -> None:
    status = {
        "started_at": 1000.0, "up_s": 900.0,
        "absent": [{"peer": "b" * 64, "name": "birch", "since": 1175.0}, {"peer": "e" * 64, "name": "", "since": None}],
    }  # fmt: skip
    assert concerns(status, 100) == ["! absent: birch for 12:05, eeeeeeee has published nothing yet"]
    assert concerns({**status, "absent": []}, 100) == []
