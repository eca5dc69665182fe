"""`gossip ledger state`: what a snapshot's hash stands for, written out of a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cli import exits
from ledger.entry import Snapshot
from ledger.state_opening import open_state
from tests.cli.test_ledger import facts, gossip, stored
from tests.fold import toy


def test_the_document_of_a_snapshot_opens_against_its_state(tmp_path: Path) -> None:
    swarm = toy.Swarm(["birch"])
    for _ in range(3):
        for peer in swarm.peers.values():
            peer.publish(np.linspace(-0.1, 0.1, 16))
        swarm.exchange()
    birch = swarm["birch"]
    snapshot = birch.snapshot()
    swarm.exchange()
    place, out = stored(tmp_path / "peer", swarm), tmp_path / "state.json"
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(tmp_path / "bundle"))
    told = facts("ledger", "state", str(tmp_path / "bundle"), f"birch/{snapshot.seq}", "--out", str(out))
    assert told == {"bytes": out.stat().st_size, "file": str(out), "log": birch.id, "seq": snapshot.seq, "findings": []}
    assert isinstance(snapshot.entry, Snapshot)
    genesis = birch.replica.data(swarm.founder_id, 0)
    replica = open_state(out.read_bytes(), genesis, toy.POLICY.encode(), snapshot.entry)
    assert replica.heads() == birch.replica.heads() | {birch.id: snapshot.seq}
    refused = gossip("ledger", "state", str(tmp_path / "bundle"), "birch/0", "--out", str(out), code=exits.USAGE)
    assert "only snapshots" in refused
