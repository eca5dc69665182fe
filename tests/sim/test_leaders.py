"""Leaders in a swarm: who is far behind gets the sum first, and nothing that a leader does or says changes the fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gossip.config import PeerConfig
from gossip.events import Event, Received
from gossip.merging.bundled_sum import BundledSum
from gossip.peer.leading import Leading, Made
from gossip.sim import Crash, Scenario, SimReport, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from gossip.sim.toy import Trainer
from gossip.wire.codec import decode
from gossip.wire.frames import PIECE_TAG, Piece
from ledger.entry import Hash, PeerId, Scores, Tensor

LATE = 3
CALM = Scenario(
    peers=4, seconds=34.0, settle_s=60.0, seed=3, late={LATE: 24.0}, round_s=0.8, lines={LATE: 8_000.0},
    leaders=(0, 1), signatures="checked", config=PeerConfig(far_entries=1 << 30),  # no snapshots here: leaders alone
)  # fmt: skip
AWAY = replace(CALM, late={}, crashes=(Crash(LATE, 6.0, 18.0),))
WIDTH = 15_000


class Wide:
    """A model so large that a sum of its dense deltas is several pieces: everybody walks towards one point."""

    layout: Sequence[Tensor] = (Tensor(name="wide", shape=[WIDTH], bound=0),)
    aim = np.random.default_rng(1).standard_normal(WIDTH).astype(np.float32)

    def train(
        self, theta: NDArray[np.float32], peer: int, round_number: int
    ) -> tuple[NDArray[np.float32], int, int, Scores]:
        return theta + np.float32(0.1) * (self.aim - theta), 1, 8, Scores(examples=0, tp=0, fp=0, fn=0)

    def accuracy(self, theta: NDArray[np.float32]) -> float:
        return float(1 - np.abs(theta - self.aim).mean())


class Watched(SimSwarm):
    """A swarm that can be stopped when something has happened, and whose leaders may be liars."""

    def __init__(self, scenario: Scenario, *, lies: bool = False, trainer: Trainer | None = None) -> None:
        self.lies = lies
        super().__init__(scenario, trainer, self._look)
        self.is_due: Callable[[Event, int], bool] = lambda event, peer: False
        self.then: Callable[[], None] = lambda: None

    def make_peer(self, index: int, key: Any, config: PeerConfig, self_id: PeerId) -> SimPeer:
        kind = LyingPeer if self.lies and index in self.scenario.leaders else SimPeer
        return kind(self, index, key, config, self_id)

    def _look(self, at: float, peer: int, event: Event) -> None:
        if self.is_due(event, peer):
            self.is_due = lambda event, peer: False
            self.clock.after(0.0, self.then)

    def said(self, kind: str, by: int = LATE) -> list[Mapping[str, Any]]:
        return [{"at": at, **fields} for at, peer, note, fields in self.notes if (peer, note) == (by, kind)]

    @property
    def late(self) -> SimPeer:
        return self.peers[LATE]

    def refolded(self, peer: SimPeer) -> Hash:
        """The model of what is on its disk, folded anew."""
        with self.signing.standing_in():
            return self.book_of(peer).model_hash()

    def begin(self) -> None:
        """For who looks on before run() does the rest."""
        with self.signing.standing_in():
            self._plan()
        self._plan = lambda: None  # type: ignore[method-assign]

    def until(self, has_come: Callable[[], bool]) -> None:
        """Run until then."""
        with self.signing.standing_in():
            while not has_come():
                assert self.clock.step(EPOCH + self.scenario.seconds), "it never happened"


class LyingLeading(Leading):
    """Its sums are of the right updates, and not their sum."""

    def _spelled(self, bundled: BundledSum, entries: dict[tuple[PeerId, int], Hash], stands_for: int) -> Made | None:
        return super()._spelled(replace(bundled, values=bundled.values + (1 << 38)), entries, stands_for)


class LyingPeer(SimPeer):
    def start(self) -> None:
        super().start()
        assert self.machine is not None
        self.machine._leading.__class__ = LyingLeading


def agreed(report: SimReport) -> bool:
    return report.heads_equal and report.models_equal and report.drained


def test_who_comes_late_has_the_model_before_it_has_what_the_model_is_made_of() -> None:
    swarm = Watched(CALM)
    swarm.begin()
    swarm.until(lambda: sum(note["updates"] for note in swarm.said("borrowed")) >= 64)
    late = swarm.late
    assert late.machine is not None
    assert late.book is not None
    named = {name for loan in late.machine._following.lent for name in loan.bundled.names()}
    assert len(named) >= 64
    assert late.machine.status().merged < len(named) / 8
    first, other = swarm.peers[0].book, swarm.peers[0].machine
    assert first is not None
    assert other is not None
    known = named | {(t[0], t[1]) for t in late.book.replica.updates}
    folded = late.book.theta()
    without = first.theta_with([(t[2], -t[3]) for t in first.replica.updates if (t[0], t[1]) not in known])
    np.testing.assert_array_equal(late.machine.theta(), without)  # to the last bit
    assert not np.array_equal(late.machine.theta(), folded)
    assert late.machine.status().model_hash == late.book.model_hash()  # what is said of it is of the fold
    assert agreed(swarm.run())
    assert len(swarm.said("repaid")) == len(swarm.said("borrowed"))
    assert not swarm.said("trouble")


@pytest.mark.parametrize("moment", ["half of it has come", "lent"])
def test_a_leader_killed_in_the_middle_of_a_sum_changes_nothing(moment: str) -> None:
    """A wide model: its sum takes seconds on that line. Both leaders go, so that nobody else can finish it."""
    scenario = replace(AWAY, lines={LATE: 100_000.0}, density=1.0)
    swarm = Watched(scenario, trainer=Wide())
    killed: list[float] = []

    def is_due(event: Event, peer: int) -> bool:
        machine = swarm.late.machine
        if peer != LATE or machine is None:
            return False
        coming, lent = machine._following._coming, machine._following.lent
        if moment == "lent":
            return bool(lent)
        if not isinstance(event, Received) or event.message[:1] != PIECE_TAG:
            return False
        piece = decode(event.message)
        assert isinstance(piece, Piece)
        return piece.hash in coming and piece.offset > 0

    def kill() -> None:
        killed.append(swarm.clock.elapsed_s)
        for leader in scenario.leaders:
            swarm.peers[leader].crash()
            swarm.clock.after(6.0, swarm.peers[leader].start)

    swarm.is_due, swarm.then = is_due, kill
    report = swarm.run()
    assert killed
    assert agreed(report), f"seed {report.seed}"
    late = swarm.late
    assert late.machine is not None
    assert late.machine._following.lent == ()
    assert late.machine._following.false == 0
    assert report.model_hashes[late.self_id] == report.model_hashes[report.peers[0]]
    assert swarm.refolded(late) == report.model_hashes[late.self_id]


def test_a_false_sum_is_found_and_costs_its_sender_the_link_and_the_fold_never_held_it() -> None:
    swarm = Watched(AWAY, lies=True)
    swarm.begin()
    swarm.until(lambda: bool(swarm.said("borrowed")))
    assert swarm.late.machine is not None
    shown = swarm.late.machine.theta()
    assert float(np.abs(shown).max()) > 0.2  # a quarter was added to everything: it is shown for a while
    report = swarm.run()
    assert agreed(report)
    assert swarm.late.machine._following.false >= 1
    assert any("false" in note["text"] and "peer-" in note["text"] for note in swarm.said("trouble"))
    assert any("bundled sum is false" in note["text"] for note in swarm.said("refused"))
    assert any("bundled sum is false" in note["reason"] for note in swarm.said("link_down"))
    assert not any("thrown away" in note["text"] for note in swarm.said("trouble"))  # nothing was trained from it
    assert report.accuracy is not None
    assert report.accuracy > 0.8
    assert swarm.refolded(swarm.late) == report.model_hashes[report.peers[0]]
