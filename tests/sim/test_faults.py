"""What a simulated world can do to a peer, and that each is felt: a switch that does nothing passes all else."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gossip.events import Event, LinkDown, LinkUp, Received
from gossip.sim import BadDisk, Scenario, SimSwarm, simulate
from gossip.sim.clock import EPOCH, VirtualClock
from gossip.sim.disk import Memory
from gossip.sim.network import Network, Station
from gossip.sim.signatures import Signing
from ledger.errors import LocalError
from ledger.keys import verify

SMALL = Scenario(peers=4, seconds=12, round_s=1.5, signatures="checked")


class Listener:
    """A station that only remembers what it heard."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.is_up = True
        self.public = bytes([index]) * 32
        self.links: list[int] = []
        self.heard: list[bytes] = []

    def admits(self, caller: Station) -> str | None:
        return ""

    def deliver(self, event: Event) -> None:
        match event:
            case LinkUp(link):
                self.links.append(link)
            case Received(_, message):
                self.heard.append(message)
            case LinkDown():
                self.links.clear()


def told(count: int, *, duplicate: float = 0.0, reorder: float = 0.0, jitter_s: float = 0.0) -> list[int]:
    """What one station hears when another sends it 0, 1, 2 ... ten milliseconds apart."""
    clock = VirtualClock()
    network = Network(
        clock, Random(1), loss=0.0, delay_s=0.02, jitter_s=jitter_s, is_cut=lambda a, b: False, duplicate=duplicate,
        reorder=reorder, held_s=0.5,
    )  # fmt: skip
    near, far = Listener(0), Listener(1)
    network.attach(near)
    network.attach(far)
    network.dial(near, "sim", 1, None)
    while clock.step(clock.now + 1) and not near.links:
        pass
    for number in range(count):
        clock.after(0.01 * number, lambda number=number: network.send(near.links[0], bytes([number])))  # type: ignore[misc]
    end = clock.now + 10
    while clock.step(end):
        pass
    return [message[0] for message in far.heard]


def test_messages_come_in_order_and_once_unless_they_are_made_not_to() -> None:
    assert told(100) == list(range(100))


def test_a_share_of_the_messages_comes_twice() -> None:
    heard = told(200, duplicate=0.25)
    assert set(heard) == set(range(200))
    assert 220 < len(heard) < 280


def test_messages_that_are_held_back_are_overtaken() -> None:
    heard = told(100, reorder=0.3)
    assert sorted(heard) == list(range(100))
    assert heard != sorted(heard)
    apart = [place - number for place, number in enumerate(heard)]
    assert max(abs(gap) for gap in apart) > 10  # by much more than jitter does


def test_jitter_alone_lets_neighbours_change_places() -> None:
    heard = told(100, jitter_s=0.03)
    assert sorted(heard) == list(range(100)) != heard


def test_a_swarm_lives_with_copies_and_overtaking() -> None:
    report = simulate(replace(SMALL, duplicate=0.3, reorder=0.3))
    assert report.ok, str(report)
    assert report.heads_equal
    assert report.refusals == ()  # what comes twice is nobody's fault
    assert report.trace != simulate(SMALL).trace


def test_clocks_that_are_an_hour_apart_keep_nobody_from_training() -> None:
    swarm = SimSwarm(replace(SMALL, skew_s={1: 3600.0, 2: -3600.0}))
    report = swarm.run()
    assert report.ok, str(report)
    assert min(report.updates.values()) >= 4
    book = swarm.peers[0].book
    assert book is not None
    written = [book.replica.entry(peer.self_id, book.replica.size(peer.self_id) - 1).time for peer in swarm.peers]
    assert written[1] - written[0] == pytest.approx(3600, abs=30)
    assert written[0] - written[2] == pytest.approx(3600, abs=30)


# ------------------------------------------------------------------ disks


@pytest.mark.parametrize("kind", ["disk_full", "disk_error"])
def test_a_disk_that_takes_nothing_stops_the_peer_which_goes_on_when_it_is_mended(kind: str) -> None:
    bad = (BadDisk(2, 4.0, 7.0),)
    swarm = SimSwarm(
        replace(SMALL, disk_full=bad if kind == "disk_full" else (), disk_error=bad if kind == "disk_error" else ())
    )
    acknowledged: list[float] = []
    swarm._on_event = lambda at, peer, event: (
        acknowledged.append(at) if peer == 2 and type(event).__name__ == "Stored" else None
    )
    report = swarm.run()
    assert report.ok, str(report)
    stopped = [(at, fields["reason"]) for at, peer, kind, fields in swarm.notes if (peer, kind) == (2, "stopped")]
    assert len(stopped) == 1  # at the first write that failed
    assert 4 <= stopped[0][0] < 7
    assert stopped[0][1] == ("no space left" if kind == "disk_full" else "input/output error")
    assert not [at for at in acknowledged if 4 <= at < 7]
    assert [at for at in acknowledged if at < 4]
    assert [at for at in acknowledged if at >= 7]  # it goes on in its own chain


def test_half_a_row_is_dropped_at_the_next_start() -> None:
    memory = Memory()
    memory.put("a", 0, b"first", None)
    memory.tear("a", 1, b"the second one")
    assert memory.history[-1] == ("a", 1, b"the sec")
    memory.recover()
    assert memory.history == [("a", 0, b"first")]
    memory.put("a", 1, b"another second one", None)  # there is room for it
    memory.recover()
    assert memory.history == [("a", 0, b"first"), ("a", 1, b"another second one")]


class Careless(Memory):
    """A store without checksums."""

    def recover(self) -> None:
        pass


@pytest.mark.parametrize("is_careless", [False, True])
def test_torn_writes_cost_nothing_that_was_acknowledged(is_careless: bool) -> None:
    """At several moments between a publish and its row being on the disk. A store without checksums must trip."""
    torn = 0
    for moment in (4.0, 4.5, 5.0, 5.5):
        scenario = replace(SMALL, peers=3, seconds=8, torn=True, disk_error=(BadDisk(1, moment, moment + 1),))
        swarm = SimSwarm(scenario)
        if is_careless:
            swarm.peers[1].memory.__class__ = Careless
        try:
            report = swarm.run()
        except LocalError:  # the store is damaged
            torn += 1
            continue
        assert report.ok, str(report)
    assert torn == (4 if is_careless else 0)


def test_a_power_cut_may_leave_some_of_what_was_being_written() -> None:
    """The power goes in the middle of publishes: where disks are torn some of those entries are there afterwards, and
    nobody was ever told of them; elsewhere none."""
    assert sum(landed(seed, torn=False) for seed in range(3)) == 0
    assert sum(landed(seed, torn=True) for seed in range(3)) > 0


def landed(seed: int, *, torn: bool) -> int:
    """How many whole entries were on the disk after power cuts, of those that were on their way there."""
    swarm = SimSwarm(replace(SMALL, peers=2, seconds=14, seed=seed, torn=torn))
    peer, found = swarm.peers[1], 0
    for second in range(3, 14, 3):
        swarm.clock.at(EPOCH + second, lambda: peer.burn(1))
        swarm.clock.at(EPOCH + second + 2.5, peer.start)
    tear = peer._tear

    def counted() -> None:
        nonlocal found
        before = len(peer.memory.history)
        tear()
        peer.memory.recover()
        found += len(peer.memory.history) - before

    peer._tear = counted  # type: ignore[method-assign]
    report = swarm.run()
    assert report.ok, str(report)
    assert report.updates[peer.self_id] >= 1
    return found


# ------------------------------------------------------------------ signatures


def test_a_stand_in_is_checked_like_a_signature() -> None:
    signing = Signing("checked", 7)
    key, other = signing.key(b"k" * 32), signing.key(b"o" * 32)
    word = key.sign(b"so it is")
    with signing.standing_in():
        assert len(word) == 64
        assert verify(key.public, word, b"so it is")
        assert not verify(key.public, word, b"so it is not")
        assert not verify(other.public, word, b"so it is")
        assert not verify(key.public, bytes(64), b"so it is")
        assert not verify(key.public, Signing("checked", 8).key(b"k" * 32).sign(b"so it is"), b"so it is")
        assert not verify(key.public, Signing("real", 7).key(b"k" * 32).sign(b"so it is"), b"so it is")
    assert not verify(key.public, word, b"so it is")  # elsewhere it is nothing
    real = Signing("real", 7).key(b"k" * 32)
    assert real.public == key.public
    assert verify(real.public, real.sign(b"so it is"), b"so it is")


def test_a_swarm_with_stand_ins_does_what_it_does_with_signatures() -> None:
    real, checked = simulate(replace(SMALL, signatures="real")), simulate(SMALL)
    assert real.ok
    assert checked.ok
    assert real.trace != checked.trace  # other signatures
    assert real.bytes_per_peer == pytest.approx(checked.bytes_per_peer, rel=0.05)
    assert sum(real.updates.values()) == pytest.approx(sum(checked.updates.values()), rel=0.05)
