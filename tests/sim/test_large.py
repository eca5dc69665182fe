"""A swarm of more peers than one entry introduces, with that number scaled down: everybody gets in and trains."""

from __future__ import annotations

import pytest

from gossip.sim import Scenario, SimSwarm
from ledger import drafting


def test_everybody_of_a_swarm_larger_than_one_entry_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "MAX_MEETS", 3)
    swarm = SimSwarm(Scenario(peers=8, seconds=8.0, round_s=2.0, seed=5))
    report = swarm.run()
    assert report.heads_equal
    assert report.models_equal
    assert all(peer.book.replica.is_seated(peer.self_id) for peer in swarm.peers)
    assert min(report.updates.values()) > 0
