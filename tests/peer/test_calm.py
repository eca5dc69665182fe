"""A machine that rests does what one that never rests does, event for event, and does rest."""

from __future__ import annotations

from functools import cache

import pytest

from gossip.config import PeerConfig
from gossip.peer import calm
from gossip.peer.calm import Calm
from gossip.sim import Cut, Scenario, SimReport, SimSwarm
from gossip.wire.frames import ENTRIES_TAG, PACKED_TAG
from ledger.entry import PeerId

pytestmark = pytest.mark.xdist_group("peer-calm")  # both hold what they see against one and the same run
BUSY = Scenario(
    peers=6, seconds=7.0, round_s=1.0, seed=4, loss=0.05, guests={4: 2}, late={5: 2.0}, cuts=(Cut(3.0, 5.0, (0, 1)),),
    public=(1,), witnesses=2, signatures="checked",
    config=PeerConfig(vote_s=3.0, vouch_s=2.0, gather_s=1.0, verdict_s=2.0, judge_s=1.0, answer_s=3.0),
    policy='policy = 1\n[opened.malformed]\nmax = 0\n[opened.unanswered]\nmax = 0\n[crossed.copied]\nmax = 0\n',
)  # fmt: skip


@cache
def usual() -> tuple[SimReport, int, dict[PeerId, str]]:
    return lived()


def lived() -> tuple[SimReport, int, dict[PeerId, str]]:
    swarm = SimSwarm(BUSY)
    report = swarm.run()
    passes = sum(peer.machine._calm.passes for peer in swarm.peers if peer.machine is not None)
    return report, passes, report.model_hashes


def test_rest_changes_nothing_but_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    resting, fewer, models = usual()
    monkeypatch.setattr(Calm, "is_off", True)
    restless, all_of_them, same = lived()
    assert resting.trace == restless.trace
    assert models == same
    assert all_of_them == restless.events
    assert fewer < 0.8 * restless.events


def test_who_overslept_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above tells a machine that sleeps through what it ought to hear."""
    usual()
    monkeypatch.setattr(calm, "QUIET_TAGS", calm.QUIET_TAGS | {ENTRIES_TAG, PACKED_TAG})
    assert lived()[0].trace != usual()[0].trace
