"""Cosigning in whole swarms: who signs, what becomes final, what it costs, and that nobody waits for it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from gossip.config import PeerConfig
from gossip.events import Event, Received
from gossip.sim import Crash, Scenario, SimReport, SimSwarm
from gossip.wire.codec import decode
from gossip.wire.frames import Tally, Vouch
from ledger.canonical import decode_entry
from ledger.checkpoint import Checkpoint, open_note, origin
from ledger.cosignature import cosignatures, verify_cosignature
from ledger.entry import Finality, PeerId, Snapshot
from ledger.witness import witnesses_of
from tests.thorough import times

BUSY = Scenario(peers=5, seconds=50, round_s=1.5, seed=2)
SHARED = pytest.mark.xdist_group("sim-busy")  # what looks at one and the same swarm: it lives once, in one worker


@cache
def busy() -> tuple[SimSwarm, SimReport]:
    swarm = SimSwarm(BUSY)
    return swarm, swarm.run()


def cosigners(swarm: SimSwarm, holder: int, log: PeerId) -> tuple[int, set[PeerId]]:
    """Size of the newest cosigned note of a log that one peer keeps, and whose good signatures it carries."""
    kept = swarm.peers[holder].memory.cosigned(log)
    if kept is None:
        return 0, set()
    size, note = kept
    author = next(peer for peer in swarm.peers if peer.self_id == log)
    checkpoint = open_note(note, author.public)
    book = swarm.peers[holder].book
    assert book is not None
    assert checkpoint == Checkpoint(origin(swarm.swarm_id, log), size, book.replica.root(log, size))
    found = set()
    for line in cosignatures(note):
        peer = next(p for p in swarm.peers if origin(swarm.swarm_id, p.self_id) == line.name)
        verify_cosignature(checkpoint, line, line.name, peer.public)
        found.add(peer.self_id)
    return size, found


def ends_in_snapshot(swarm: SimSwarm, log: PeerId, size: int) -> bool:
    book = swarm.peers[0].book
    assert book is not None
    return isinstance(book.replica.entry(log, size - 1), Snapshot)


def finals(swarm: SimSwarm) -> list[tuple[PeerId, Finality]]:
    book = swarm.peers[0].book
    assert book is not None
    places = [(log, seq) for log, size in book.replica.heads().items() for seq in range(size)]
    everything = [(log, decode_entry(book.replica.data(log, seq))) for log, seq in places]
    return [(log, entry) for log, entry in everything if isinstance(entry, Finality)]


@SHARED
def test_each_log_is_cosigned_by_exactly_its_three_witnesses() -> None:
    swarm, report = busy()
    assert report.models_equal
    members = [peer.self_id for peer in swarm.peers]
    for log in members:
        size, who = cosigners(swarm, members.index(log), log)
        assert size >= 16
        expected = {members[0]} if ends_in_snapshot(swarm, log, size) else set(witnesses_of(log, members))
        assert who == expected
        machine = swarm.peers[members.index(log)].machine
        assert machine is not None
        witnessed, by = machine._witnessing.witnessed
        assert report.heads[log][log] - witnessed < 16 + 6  # of which a few came while it drained
        assert set(by) == set(witnesses_of(log, members))
        status = machine.status()
        assert (status.witnessed, len(status.witnesses)) == (witnessed, 3)
        assert set(status.witnesses) <= {f"peer-{index}" for index in range(5)}
        assert status.final_at is not None


@SHARED
def test_what_was_cosigned_comes_to_everybody() -> None:
    swarm, _ = busy()
    members = [peer.self_id for peer in swarm.peers]
    held = [cosigners(swarm, holder, log)[0] for log in members for holder in range(len(members))]
    assert sum(size >= 16 for size in held) == len(held)


@SHARED
def test_each_promise_was_on_disk_and_no_size_has_two_roots() -> None:
    swarm, _ = busy()
    for peer in swarm.peers:
        assert peer.book is not None
        for log, (size, root) in peer.memory.promises.items():
            assert peer.self_id in witnesses_of(log, [p.self_id for p in swarm.peers])
            assert peer.book.replica.root(log, size) == root


def test_final_snapshots_form_one_chain_and_come_no_faster_than_votes() -> None:
    quick = PeerConfig(vote_s=8.0)
    swarm = SimSwarm(replace(BUSY, seconds=60, config=quick))
    report = swarm.run()
    assert report.models_equal
    book = swarm.peers[0].book
    assert book is not None
    found = sorted(finals(swarm), key=lambda item: item[1].time)
    assert 3 <= len(found) <= 60 / 8 + 2
    pasts = [book.replica.past(log, entry.snapshot + 1) for log, entry in found]
    for ((log, entry), _), (_, later) in pairwise(zip(found, pasts, strict=True)):
        assert later.get(log, 0) >= entry.snapshot + 1
    machine = swarm.peers[3].machine
    assert machine is not None
    assert machine._witnessing.final_at == found[-1][1].time


def test_two_members_witness_one_another_and_one_alone_goes_on_without() -> None:
    swarm = SimSwarm(Scenario(peers=2, seconds=40, round_s=1.5, seed=1))
    report = swarm.run()
    assert report.models_equal
    a, b = swarm.peers
    for log, other in ((a, b), (b, a)):
        machine = log.machine
        assert machine is not None
        size, by = machine._witnessing.witnessed
        assert size >= 16
        assert by == (other.self_id,)
    alone = SimSwarm(Scenario(peers=1, seconds=40, round_s=1.5, seed=1))
    assert alone.run().updates[alone.peers[0].self_id] >= 20
    assert alone.peers[0].memory.notes == alone.peers[0].memory.promises == {}
    assert finals(alone) == []


@SHARED
def test_witnesses_that_are_gone_hold_up_nothing() -> None:
    """All but two die for good: the two train on as before, and their logs are cosigned by whom there is."""
    crashes = tuple(Crash(peer, 8.0, 10_000.0) for peer in (2, 3, 4))
    swarm = SimSwarm(Scenario(peers=5, seconds=50, round_s=1.5, seed=2, settle_s=1, crashes=crashes))
    report = swarm.run()
    whole = busy()[1]
    for index in (0, 1):
        peer = swarm.peers[index]
        assert report.updates[peer.self_id] >= 0.9 * whole.updates[peer.self_id]
        assert peer.machine is not None
        size, by = peer.machine._witnessing.witnessed
        assert set(by) <= {swarm.peers[1 - index].self_id}
        assert not by or size >= 16


def test_a_witness_that_comes_back_signs_on_where_it_promised() -> None:
    swarm = SimSwarm(replace(BUSY, loss=0.05, crashes=(Crash(1, 20.0, 4.0), Crash(0, 30.0, 4.0), Crash(2, 31.0, 3.0))))
    report = swarm.run()
    assert report.models_equal
    assert report.refusals == ()
    members = [peer.self_id for peer in swarm.peers]
    for peer in swarm.peers:
        assert peer.machine is not None
        assert peer.machine._witnessing.witnessed[0] >= 16
        for log, (size, root) in peer.memory.promises.items():
            assert swarm.peers[members.index(log)].book.replica.root(log, size) == root  # type: ignore[union-attr]


def test_several_witnesses_meet_on_one_snapshot() -> None:
    """Three of them: a majority is two."""
    swarm = SimSwarm(replace(BUSY, seconds=60, witnesses=3, config=PeerConfig(vote_s=8.0)))
    report = swarm.run()
    assert report.models_equal
    found = finals(swarm)
    assert len(found) >= 2
    for log, entry in found:
        lines = cosignatures(entry.note.encode())
        assert len(lines) >= 2
        assert entry.note.startswith(origin(swarm.swarm_id, log))


def test_cosigning_costs_at_most_150_bytes_per_update_and_peer() -> None:
    """The dearer of two cases: with one update per 10 s the minute decides, not the sixteen entries."""
    spent: dict[type, int] = {}

    def watch(at: float, peer: int, event: Event) -> None:
        if isinstance(event, Received) and event.message[0] in (8, 12):
            kind = type(decode(event.message))
            spent[kind] = spent.get(kind, 0) + len(event.message)

    peers = times(12, thorough=20)
    report = SimSwarm(Scenario(peers=peers, seconds=66, seed=2, round_s=10), None, watch).run()
    shares = sum(report.updates.values()) * len(report.peers)
    print({kind.__name__: round(total / shares, 1) for kind, total in spent.items()}, "bytes per update and peer")
    assert 0 < (spent[Vouch] + spent[Tally]) / shares <= 150
