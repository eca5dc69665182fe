"""Swarms of unequal machines and lines: who does how much, and what waiting gains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from gossip.config import PeerConfig
from gossip.sim import Scenario, SimReport, SimSwarm
from gossip.sim.toy import ToyTrainer, Weights
from gossip.wire.frames import Have
from ledger.entry import Scores, Tensor, Update

PLAIN = "policy = 1\n"
SHARED = pytest.mark.xdist_group("sim-slow")  # what looks at one and the same swarm: it lives once, in one worker
SLOW = Scenario(peers=4, seconds=12, round_s=1.0, slow={3: 10.0}, seed=2, policy=PLAIN, signatures="checked")


class Wide:
    """The toy problem behind 60,000 parameters that learn nothing: large deltas. A trainer, and nothing else."""

    steps: Final = 8

    def __init__(self, peers: int) -> None:
        self._toy = ToyTrainer(peers, 1)
        self.layout = [Tensor(name="rest", shape=[60_000], bound=0), *self._toy.layout]

    def train(self, theta: Weights, peer: int, round_number: int) -> tuple[Weights, int, int, Scores]:
        return self.train_for(theta, peer, round_number, self.steps)

    def train_for(self, theta: Weights, peer: int, round_number: int, steps: int) -> tuple[Weights, int, int, Scores]:
        new, done, examples, scores = self._toy.train_for(theta[60_000:], peer, round_number, steps)
        noise = np.random.default_rng([peer, round_number]).normal(size=60_000) * 1e-3
        return np.concatenate([theta[:60_000] + noise.astype(np.float32), new]), done, examples, scores

    def accuracy(self, theta: Weights) -> float:
        return self._toy.accuracy(theta[60_000:])


def ran(scenario: Scenario) -> tuple[SimSwarm, SimReport]:
    swarm = SimSwarm(scenario)
    return swarm, swarm.run()


def updates_of(swarm: SimSwarm, peer: int) -> list[Update]:
    """What a peer has published, as it holds that itself."""
    book, log = swarm.peers[peer].book, swarm.peers[peer].self_id
    assert book is not None
    entries = (book.replica.entry(log, seq) for seq in range(book.replica.size(log)))
    return [entry for entry in entries if isinstance(entry, Update)]


def steps_of(swarm: SimSwarm, peer: int) -> list[int]:
    """What its entries say of its rounds."""
    return [entry.steps for entry in updates_of(swarm, peer)]


@pytest.fixture(scope="module")
def slow() -> tuple[SimSwarm, SimReport]:
    return ran(SLOW)


@SHARED
def test_a_peer_ten_times_slower_publishes_nearly_as_often_in_fewer_steps_and_says_so(
    slow: tuple[SimSwarm, SimReport],
) -> None:
    swarm, report = slow
    assert report.heads_equal
    published = [report.updates[peer] for peer in report.peers]
    assert published[3] >= 0.5 * min(published[:3])
    steps = steps_of(swarm, 3)
    assert max(steps[3:]) <= 2  # of eight
    assert all(done == 8 for peer in range(3) for done in steps_of(swarm, peer))


def test_without_adapting_it_publishes_a_tenth_as_often() -> None:
    """The control: what the test above would see, were steps not asked for."""
    swarm, report = ran(replace(SLOW, config=PeerConfig(adapts=False)))
    published = [report.updates[peer] for peer in report.peers]
    assert published[3] <= 0.2 * min(published[:3])
    assert set(steps_of(swarm, 3)) == {8}


@pytest.mark.parametrize("far", [True, False])
def test_peers_far_apart_are_paced_and_those_nearby_are_not(far: bool) -> None:
    lines: Mapping[str, float] = {"delay_s": 0.7, "jitter_s": 0.2} if far else {}
    swarm, report = ran(Scenario(peers=3, seconds=20, round_s=1.0, seed=3, policy=PLAIN, signatures="checked", **lines))  # type: ignore[arg-type]
    assert report.heads_equal
    switched = [(peer, fields["mode"]) for _, peer, kind, fields in swarm.notes if kind == "tempo"]
    assert sorted({peer for peer, _ in switched}) == ([0, 1, 2] if far else [])
    modes = {peer.machine.status().pace.tempo for peer in swarm.peers if peer.machine}  # type: ignore[union-attr]
    assert modes == ({"paced"} if far else {"eager"})
    joined = max(report.updates[peer] for peer in report.peers[1:])  # the founder is alone at first, and need not wait
    assert joined < 8 if far else joined > 12


@SHARED
def test_status_says_what_machines_and_lines_have_shown(slow: tuple[SimSwarm, SimReport]) -> None:
    swarm, _ = slow
    machine = swarm.peers[0].machine
    assert machine is not None
    pace = machine.status().pace
    assert pace is not None
    assert (pace.steps, pace.declared, pace.tempo, pace.density_permille, pace.links) == (8, 8, "eager", 1000, 6)
    assert pace.step_s == pytest.approx(1 / 8, rel=0.2)
    assert pace.aim_s == pytest.approx(1.0, rel=0.3)
    assert 0.03 < pace.line.round_trip_s < 0.1  # twice 20 to 30 ms
    assert 0.05 < pace.lag_s < 0.3
    speeds = {trainer.peer: trainer.step_s for trainer in pace.trainers}
    last = swarm.peers[3].self_id
    assert speeds[last] > 4 * max(speed for peer, speed in speeds.items() if peer != last)
    assert all(trainer.is_present for trainer in pace.trainers)


def test_on_a_slow_line_updates_become_smaller() -> None:
    """Updates of 24 kB, from three others each second and to them, take all of 60 kB/s."""
    lines = dict.fromkeys(range(4), 60_000.0)
    asked: dict[bool, int] = {}
    smallest: dict[bool, int] = {}
    for adapts in (True, False):
        swarm = SimSwarm(
            Scenario(
                peers=4, seconds=15, round_s=1.0, seed=1, policy=PLAIN, signatures="checked", lines=lines, settle_s=0.0,
                density=0.2,
                config=PeerConfig(adapts=adapts),
            ),
            Wide(4),
        )  # fmt: skip
        swarm.run()
        smallest[adapts] = min(entry.bytes for peer in range(4) for entry in updates_of(swarm, peer))
        asked[adapts] = sum(peer.machine._rounds.density > 0 for peer in swarm.peers if peer.machine)
    assert asked[True] >= 3
    assert asked[False] == 0
    assert smallest[True] < 0.6 * smallest[False]


@pytest.mark.parametrize("ahead", [3, 9])
def test_whoever_announces_what_nobody_has_written_slows_nobody(ahead: int) -> None:
    """Every two seconds it says that all logs are longer than they are: it is asked for that, and has nothing."""

    def updates(lies: bool) -> int:
        swarm = SimSwarm(Scenario(peers=5, seconds=20.0, round_s=1.0, seed=4, signatures="checked"))
        liar = swarm.peers[4]

        def lie() -> None:
            if liar.machine is not None and liar.book is not None:
                heads = liar.book.replica.heads()
                said = tuple(
                    sorted((log, size + ahead, bytes(8)) for log, size in heads.items() if log != liar.self_id)
                )
                for live in liar.machine._links:
                    liar.machine._out.send(live.link, Have(said))
            if swarm.clock.elapsed_s < 18.0:  # for ever, it may never hear what it says it has
                swarm.clock.after(2.0, lie)

        if lies:
            swarm.clock.after(5.0, lie)
        report = swarm.run()
        assert report.ok
        assert not any(kind == "tempo" for _, _, kind, _ in swarm.notes)  # to nobody it seemed to be behind
        return sum(report.updates[peer.self_id] for peer in swarm.peers[:4])

    assert updates(True) >= 0.95 * updates(False)
