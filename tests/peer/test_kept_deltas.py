"""Deltas that are kept spread out, to compare newer ones with, are bounded in number: those of a small model weigh
little, and there is no end of them."""

from __future__ import annotations

import pytest

from gossip.peer.inspection import crossing
from gossip.sim import Scenario, SimSwarm


def test_a_long_run_of_a_small_model_keeps_no_more_deltas_than_it_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossing, "MAX_DELTAS", 12)
    swarm = SimSwarm(Scenario(peers=3, seconds=12.0, round_s=1.0, seed=2, signatures="checked"))
    report = swarm.run()
    assert sum(report.updates.values()) > 20
    for peer in swarm.peers:
        assert peer.machine is not None
        kept = peer.machine._inspection._crossing._deltas
        assert len(kept) == 12  # it was needed, and it ended there
