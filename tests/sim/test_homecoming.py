"""Peers that come back: after a crash at every step of a publish, and from backups older than what they had signed."""

from __future__ import annotations

from random import Random

import pytest

from gossip.peer.homecoming import Homecoming
from gossip.sim import Scenario, SimReport, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.disk import Memory
from gossip.sim.station import SimPeer
from ledger.entry import Update
from tests.thorough import times

SEEDS = (57, *range(times(15, thorough=57)))
STEPS = range(14)  # an update is announced to two links in eleven


class Restored(SimSwarm):
    """One peer's disk is copied at `copied`; it dies at `died`, and at `back` runs from that copy. Seconds."""

    def __init__(
        self, scenario: Scenario, who: int, copied: float, died: float, back: float, *, mark_too: bool
    ) -> None:
        super().__init__(scenario)
        self.peer = self.peers[who]
        self.back = back
        self.mark_too = mark_too
        self.lost: list[bytes] = []  # own entries that were on the disk and are not in the copy
        self.copies: list[Memory] = []
        self.clock.at(EPOCH + copied, lambda: self.copies.append(self.peer.memory.copy()))
        self.clock.at(EPOCH + died, self.peer.crash)
        self.clock.at(EPOCH + back, self.restore)

    def restore(self) -> None:
        (copy,) = self.copies
        kept = own_entries(copy, self.peer)
        self.lost = own_entries(self.peer.memory, self.peer)[len(kept) :]
        if not self.mark_too:
            copy.mark = self.peer.memory.mark
        self.peer.memory = copy
        self.peer.start()

    def written_after(self) -> list[float]:
        """Own updates since it came back, by time."""
        return [at for at, i, k, _ in self.notes if k == "published" and i == self.peer.index and at > self.back]

    def told(self) -> list[str]:
        return [str(f["text"]) for _, i, kind, f in self.notes if kind == "trouble" and i == self.peer.index]


def own_entries(memory: Memory, peer: SimPeer) -> list[bytes]:
    return [data for log, _, data in memory.history if log == peer.self_id]


def forked_nothing(swarm: SimSwarm, report: SimReport) -> None:
    """Nobody holds two branches of anything, nor anybody an entry at odds with another's."""
    assert not [f for _, _, kind, f in swarm.notes if kind == "forked"], f"seed {report.seed}"
    assert report.refusals == (), f"seed {report.seed}"
    for peer in swarm.peers:
        assert peer.book is not None
        assert not [log for log in peer.book.replica.heads() if "~" in log], f"seed {report.seed}"


@pytest.mark.parametrize("mark_too", [False, True], ids=["store older than the mark", "whole directory older"])
@pytest.mark.parametrize("who", [0, 2])
def test_a_restored_backup_fetches_its_own_entries_and_goes_on_in_its_chain(mark_too: bool, who: int) -> None:
    swarm = Restored(Scenario(peers=4, seconds=26, seed=3), who, copied=5.0, died=12.0, back=14.0, mark_too=mark_too)
    report = swarm.run()
    forked_nothing(swarm, report)
    assert report.heads_equal
    assert report.models_equal
    assert report.drained
    assert len(swarm.lost) >= 3
    assert swarm.written_after()[0] < 14.0 + 6.0  # two seconds to listen, one round, and what it takes to fetch
    book, own = swarm.peer.book, swarm.peer.self_id
    assert book is not None
    log = [book.replica.data(own, seq) for seq in range(book.replica.size(own))]
    assert all(data in log for data in swarm.lost)
    assert own_entries(swarm.peer.memory, swarm.peer) == log  # they are on its disk again
    assert report.updates[own] == sum(isinstance(book.replica.entry(own, s), Update) for s in range(len(log)))
    said = [text for text in swarm.told() if "it signed for" in text]
    assert bool(said) != mark_too


def test_in_no_luck_does_a_restored_peer_sign_a_second_history() -> None:
    """Small swarms with losses; copies and deaths at any moment, with and without the mark. In seed 57 the mark is
    lost, too, and the first link to who alone holds the newest entry breaks before anything is said."""
    back = 0
    for seed in SEEDS:
        luck = Random(seed)
        copied = luck.uniform(0.3, 4.0)
        died = copied + luck.uniform(0.2, 3.0)
        swarm = Restored(
            Scenario(peers=3, seconds=9, settle_s=4, seed=seed, loss=0.1, round_s=0.8), luck.randrange(3),
            copied, died, died + luck.uniform(0.1, 2.0), mark_too=luck.random() < 0.7,
        )  # fmt: skip
        report = swarm.run()
        forked_nothing(swarm, report)
        back += bool(swarm.lost and swarm.written_after())
    assert back > len(SEEDS) / 4  # most had lost something, and still went on; or this test tests nothing


def test_without_listening_first_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same peer, at home at once, signs a second history and is found out."""

    def at_once(home: Homecoming, now: float) -> bool:
        home._is_home, home._rumour.wants_own = not home._lost, False
        return home.is_home

    monkeypatch.setattr(Homecoming, "tick", at_once)
    swarm = Restored(Scenario(peers=4, seconds=26, seed=3), 2, copied=5.0, died=12.0, back=14.0, mark_too=True)
    swarm.run()
    assert {f["peer"] for _, _, kind, f in swarm.notes if kind == "forked"} == {swarm.peer.self_id}


def test_alone_it_goes_on_after_ten_seconds_if_the_mark_agrees() -> None:
    swarm = SimSwarm(Scenario(peers=1, seconds=30))
    peer = swarm.peers[0]
    swarm.clock.at(EPOCH + 5.0, peer.crash)
    swarm.clock.at(EPOCH + 6.0, peer.start)
    report = swarm.run()
    published = [at for at, _, kind, _ in swarm.notes if kind == "published"]
    assert min(published) < 3.0  # a swarm's first peer does not wait
    again = min(at for at in published if at > 6.0)
    assert 16.0 <= again <= 19.0
    assert report.drained


def test_alone_with_less_than_it_signed_it_waits_and_says_so() -> None:
    swarm = Restored(Scenario(peers=1, seconds=60, settle_s=5), 0, copied=5.0, died=12.0, back=13.0, mark_too=False)
    report = swarm.run()
    assert swarm.written_after() == []
    assert not report.drained
    first, second = swarm.told()
    assert "own entries are here and it signed for" in first
    assert "join again as a new peer" in second


def test_newcomers_do_not_wait() -> None:
    swarm = SimSwarm(Scenario(peers=3, seconds=8, seed=2, late={2: 3.0}))
    swarm.run()
    admitted = {
        next(p.index for p in swarm.peers if p.self_id == f["peer"]): at
        for at, i, k, f in swarm.notes
        if k == "admitted" and f["peer"] == swarm.peers[i].self_id
    }
    begun = {i: min(at for at, j, k, _ in swarm.notes if k == "trained" and i == j) for i in range(3)}
    assert begun[0] < 2.5  # one round of two seconds
    for index in (1, 2):
        assert begun[index] - admitted[index] < 2.5


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_of_a_publish_loses_nothing_acknowledged_and_forks_nothing(step: int) -> None:
    """Append, the entry on disk, the mark, the checkpoint, each frame sent, the checkpoint on disk: dead after each."""
    swarm = SimSwarm(Scenario(peers=3, seconds=16, seed=5, settle_s=20))
    peer = swarm.peers[1]
    seen: list[tuple[int, list[bytes]]] = []

    def die() -> None:
        crash = peer.crash

        def last_words() -> None:
            seen.append((peer.acknowledged, own_entries(peer.memory, peer)))
            peer.crash = crash  # type: ignore[method-assign]
            crash()
            swarm.clock.after(1.0, peer.start)

        peer.crash = last_words  # type: ignore[method-assign]
        peer.burn(step)

    swarm.clock.at(EPOCH + 4.0, die)
    report = swarm.run()
    ((acknowledged, disk),) = seen
    assert len(disk) >= acknowledged
    forked_nothing(swarm, report)
    assert report.heads_equal
    assert report.models_equal
    assert report.drained
    for other in swarm.peers:
        assert other.book is not None
        held = other.book.replica
        assert [held.data(peer.self_id, seq) for seq in range(len(disk))] == disk
    assert any(at > 9.0 for at, i, k, _ in swarm.notes if k == "published" and i == 1)
