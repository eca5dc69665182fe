"""Peers that let go of the deltas a final snapshot holds, beside peers that keep everything: one model, to the bit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from gossip.config import PeerConfig
from gossip.events import Revoking
from gossip.peer import arrival
from gossip.sim import Crash, Scenario, SimReport, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from ledger.entry import Hash

PRUNING = Scenario(
    peers=4, seconds=16, round_s=0.5, seed=1, constants={"snapshot_every": 4}, witnesses=1, signatures="checked",
    prunes={1: 0, 2: 20}, crashes=(Crash(1, 9.0, 1.0), Crash(2, 11.0, 0.5)),
    config=PeerConfig(vote_s=2.0, prune_step=8),
)  # fmt: skip


def agreed(report: SimReport, peers: list[SimPeer]) -> bool:
    models = {report.model_hashes[peer.self_id] for peer in peers}
    return report.drained and report.invariants_broken == () and len(models) == 1 and "" not in models


@pytest.mark.parametrize("seed", [1, 2])
def test_two_prune_and_crash_and_go_on_with_the_model_of_those_who_keep_everything(seed: int) -> None:
    swarm = SimSwarm(replace(PRUNING, seed=seed, torn=seed == 2))
    report = swarm.run()
    assert agreed(report, swarm.peers)
    assert report.refusals == ()
    archive, bare, some, other = (peer.memory for peer in swarm.peers)
    assert archive.base is None
    assert set(archive.blobs) == set(other.blobs)
    assert bare.base is not None
    assert some.base is not None
    assert len(bare.blobs) < len(some.blobs) < len(archive.blobs)
    assert len(archive.blobs) - len(bare.blobs) > 40
    assert len(some.blobs) - 1 >= 20  # the policy besides
    assert [len(memory.history) for memory in (bare, some)] == [len(archive.history)] * 2  # entries are never pruned
    for index in (1, 2):  # each went on training after its restart, from what it had kept
        published = [at for at, peer, kind, _ in swarm.notes if kind == "published" and peer == index]
        assert any(at < 9 for at in published)
        assert any(at > 13 for at in published)
        assert any(at < 9 for at, peer, kind, _ in swarm.notes if kind == "pruned" and peer == index)


def test_a_base_is_written_when_enough_would_go_and_not_before() -> None:
    """Each costs eight bytes for each parameter."""
    swarm = SimSwarm(replace(PRUNING, crashes=(), config=PeerConfig(vote_s=2.0, prune_step=24)))
    swarm.run()
    told = [
        fields["updates"] - fields["keeps"] for _, peer, kind, fields in swarm.notes if (peer, kind) == (1, "pruned")
    ]
    assert told[0] >= 24
    assert all(after - before >= 24 for before, after in pairwise(told))


class Watched(SimSwarm):
    """Whose peers' debts are noted: who owed terms, and when."""

    def __init__(self, scenario: Scenario) -> None:
        self.owed: list[tuple[float, int]] = []
        self.lacked: dict[int, set[Hash]] = {}  # deltas, by peer
        super().__init__(scenario)

    def handled(self, peer: SimPeer) -> None:
        super().handled(peer)
        if peer.book is not None and peer.book.owed:
            assert peer.book.model_hash() == ""
            assert peer.machine is not None
            assert not peer.machine.may_write
            self.owed.append((self.clock.elapsed_s, peer.index))
            self.lacked.setdefault(peer.index, set()).update(one.delta for one in peer.book.owed.values())


def expelled(seed: int, *, archive: bool) -> tuple[Watched, SimPeer]:
    """Who wrote the final that others prune by is shown out, from before it: what only that held leaves the sum."""
    pruning = {1: 0, 2: 0, 3: 0} if archive else {0: 0, 1: 0, 2: 0, 3: 0}
    crashes = tuple(Crash(peer, 8.0, 1.0) for peer in range(4))  # what was used last is in nobody's memory any more
    swarm = Watched(replace(PRUNING, seed=seed, observers=(0,), prunes=pruning, crashes=crashes, settle_s=15.0))
    out: list[SimPeer] = []

    def revoke() -> None:
        book = swarm.peers[0].book if not archive else swarm.peers[1].book
        assert book is not None
        assert book.base is not None
        out.append(next(peer for peer in swarm.peers if peer.self_id == book.base.log))
        swarm.honest.remove(out[0])
        swarm.peers[0].deliver(Revoking(out[0].self_id, 2))

    swarm.clock.at(EPOCH + 9.5, revoke)
    report = swarm.run()
    assert len(out) == 1
    assert agreed(report, swarm.honest) is archive
    return swarm, out[0]


def was_fetched(swarm: Watched) -> bool:
    """Whether what was owed was fetched and kept: as often another final brings the terms back before that."""
    lacked = {peer: swarm.lacked.get(peer.index, set()) for peer in swarm.honest}
    return any(lacked.values()) and all(deltas <= set(peer.memory.blobs) for peer, deltas in lacked.items())


def test_what_leaves_the_base_after_all_is_fetched_back_from_who_keeps_everything() -> None:
    swarm, out = next(found for seed in (3, 6, 7, 12) if was_fetched((found := expelled(seed, archive=True))[0]))
    owing = {index for _, index in swarm.owed}
    assert owing & {peer.index for peer in swarm.honest}  # (who had some of them in memory still paid at once)
    for peer in swarm.honest:
        assert peer.book is not None
        assert peer.book.replica.is_revoked(out.self_id)
        assert peer.book.owed == {}
        told = [fields["text"] for _, who, kind, fields in swarm.notes if (who, kind) == (peer.index, "trouble")]
        assert any("whose deltas this peer has let go of" in text for text in told) or peer.index not in owing


def test_where_nobody_keeps_everything_it_says_what_it_lacks_and_gives_no_model_a_name() -> None:
    swarm, _ = expelled(2, archive=False)
    for peer in swarm.honest:
        assert peer.machine is not None
        status = peer.machine.status()
        assert status.model_hash == ""
        assert status.pruned is not None
        assert status.pruned.owed > 0
        assert status.lacking > 0
    assert swarm.invariants.broken == []


def test_a_newcomer_whom_nobody_can_give_the_past_says_so_and_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the model of a final snapshot to show meanwhile, for as long as that takes."""
    monkeypatch.setattr(arrival, "LONGEST_S", 5.0)
    crashes = tuple(Crash(peer, 8.0, 0.5) for peer in (0, 1, 2))
    config = replace(PRUNING.config, far_entries=30)
    swarm = SimSwarm(
        replace(PRUNING, late={3: 9.5}, prunes={0: 0, 1: 0, 2: 0}, crashes=crashes, config=config, settle_s=18.0)
    )
    swarm.run()
    machine = swarm.peers[3].machine
    assert machine is not None
    status = machine.status()
    assert status.lacking > 0
    assert status.missing > 0
    assert status.model == "from a snapshot, being verified"
    told = [fields["text"] for _, peer, kind, fields in swarm.notes if (peer, kind) == (3, "trouble")]
    assert len(told) == 1
    assert "nobody linked with this peer has any more" in told[0]
    assert all(peer.book is not None and peer.book.model_hash() for peer in swarm.peers[:3])


def test_a_newcomer_gets_what_the_others_let_go_of_from_the_one_who_keeps_everything() -> None:
    crashes = tuple(Crash(peer, 8.0, 0.5) for peer in (0, 1, 2))
    swarm = SimSwarm(replace(PRUNING, late={3: 9.5}, crashes=crashes))
    report = swarm.run()
    assert agreed(report, swarm.peers)
    assert len(swarm.peers[3].memory.blobs) == len(swarm.peers[0].memory.blobs)
