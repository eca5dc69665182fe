"""Swarms that were founded long ago: as many publish as there are places, whoever else is a member; and the bench."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.bench.scale import cost, exponent
from gossip.config import PeerConfig
from gossip.sim import Scenario
from gossip.sim.founded import FoundedSwarm
from ledger.errors import LocalError


def scenario(peers: int) -> Scenario:
    config = PeerConfig(window_s=86_400.0)
    return Scenario(peers=peers, seconds=8, signatures="checked", constants={"panel": 4}, config=config, settle_s=20)


def test_of_twenty_members_six_are_up_four_publish_and_what_they_publish_is_everybodys() -> None:
    swarm = FoundedSwarm(scenario(6), 20)
    report = swarm.run()
    assert report.heads_equal
    assert sorted(count > 0 for count in report.updates.values()) == [False] * 2 + [True] * 4
    for peer in swarm.peers:
        assert peer.machine is not None
        status = peer.machine.status()
        assert status.members == 20
        assert status.panel is not None
        assert status.panel.trainers == 20
        assert not status.panel.undrawn
        assert (status.state == "undrawn") is (not status.panel.drawn) or status.drained


def test_nobody_misses_who_is_not_drawn_and_who_only_observes_says_that() -> None:
    """Fourteen of twenty are not even up: of those who have no place, nobody can tell."""
    swarm = FoundedSwarm(replace(scenario(6), seconds=70, round_s=10, observers=(5,)), 20)
    found: list[tuple[str, int]] = []

    def look() -> None:
        found.extend(
            (peer.machine.status().state, len(peer.machine.status().absent)) for peer in swarm.peers if peer.machine
        )

    swarm.clock.after(69, look)
    swarm.run()
    assert [absent for _, absent in found] == [0] * 6
    assert found[5][0] == "observing"
    assert sorted(state for state, _ in found).count("undrawn") == 1


def test_a_panel_that_is_not_up_is_refused() -> None:
    with pytest.raises(LocalError, match="panel"):
        FoundedSwarm(scenario(3), 20)


def test_the_cost_of_a_member_is_counted_for_each_minute_and_each_update() -> None:
    found = cost(8, up=4, panel=4, counted_s=5)
    assert found.members == 8
    assert found.up == 4
    assert found.updates > 0
    assert found.node_ms == pytest.approx(found.update_us / 1000 * found.updates * 60 / 5)


def test_a_cost_that_grows_with_its_square_has_the_exponent_two() -> None:
    assert exponent([10, 30, 100], [7 * 100, 7 * 900, 7 * 10_000]) == pytest.approx(2)
