"""Votes: which snapshots a fixed witness makes final."""

from __future__ import annotations

from hashlib import sha256

import pytest

from gossip.events import KeepVote, Timer
from gossip.peer import Book, desk, election
from gossip.peer.election import Election
from gossip.peer.vouches import Proposal
from gossip.sim import Scenario, SimSwarm
from gossip.sim.station import SimPeer
from gossip.wire.frames import Tally, short_name
from ledger.canonical import decode_entry, entry_hash
from ledger.entry import Finality, Snapshot
from ledger.errors import LocalError
from ledger.kept import StoredVote
from ledger.tlog_policy import final_policy, satisfied
from tests.peer.bench import Bench, only
from tests.peer.stand import Stand, signed_by, tallies, vouches


def test_a_fixed_witness_votes_along_one_chain_and_at_most_once_a_minute() -> None:
    stand = Stand("founder", seconds=40.0)
    a, b = stand.undecided()
    link = stand.connect(a)
    first = stand.snapshots(a)[0]
    asked = stand.say(stand.propose(first, by=a), link)
    (vote,) = only(asked, KeepVote)
    assert (vote.log, vote.size) == (a.self_id, first)
    assert signed_by(stand, vouches(stand.store(asked))) == [(first, stand.book.replica.root(a.self_id, first))]
    # A snapshot that does not know the first one: no vote, however long one waits.
    blind = [s for s in stand.snapshots(b) if stand.book.replica.past(b.self_id, s).get(a.self_id, 0) < first]
    knowing = [s for s in stand.snapshots(b) if stand.book.replica.past(b.self_id, s).get(a.self_id, 0) >= first]
    assert blind
    assert knowing
    stand.now += 100.0
    assert only(stand.say(stand.propose(blind[0], by=b), link), KeepVote) == []
    later = stand.say(stand.propose(knowing[-1], by=b), link)
    assert [(k.log, k.size) for k in only(later, KeepVote)] == [(b.self_id, knowing[-1])]
    again = stand.say(stand.propose(stand.snapshots(a)[-1], by=a), link)
    assert only(again, KeepVote) == []  # not within the minute


def test_the_vote_before_a_restart_still_counts() -> None:
    stand = Stand("founder", seconds=40.0)
    a, b = stand.undecided()
    log, last = a.self_id, stand.snapshots(a)[-1]
    stand.disk.last_vote = StoredVote(log, last, entry_hash(stand.book.replica.data(log, last - 1)))
    stand.restart()
    blind = [s for s in stand.snapshots(b) if stand.book.replica.past(b.self_id, s).get(log, 0) < last]
    assert blind
    assert only(stand.say(stand.propose(blind[-1], by=b), stand.connect(a)), KeepVote) == []


def test_any_past_model_is_recomputed_by_difference() -> None:
    stand = Stand("founder", seconds=40.0)
    chooser = Election(stand.book, stand.disk.blob, None)
    checked = 0
    for peer in stand.swarm.peers:
        for size in stand.snapshots(peer):
            entry = stand.book.replica.entry(peer.self_id, size - 1)
            assert isinstance(entry, Snapshot)
            proposal = Proposal(peer.self_id, size, b"", b"", is_vote=True)
            assert chooser._model(proposal) == entry.model
            checked += 1
    assert checked >= 10


def test_a_snapshot_too_far_back_or_without_its_deltas_gets_no_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand("founder", seconds=40.0)
    a, _ = stand.undecided()
    early = stand.propose(stand.snapshots(a)[0], by=a)
    monkeypatch.setattr(election, "MAX_TERMS", 3)
    assert only(stand.say(early, stand.connect(a)), KeepVote) == []
    lacking = Election(stand.book, lambda digest: None, None)
    proposal = Proposal(a.self_id, stand.snapshots(a)[0], b"", b"", is_vote=True)
    assert lacking.vote(proposal) is None


def test_a_snapshot_whose_deltas_are_too_many_bytes_gets_no_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand("founder", seconds=40.0)
    a, _ = stand.undecided()
    first = stand.snapshots(a)[0]
    proposal, read = Proposal(a.self_id, first, b"", b"", is_vote=True), []

    def find(digest: str) -> bytes | None:
        blob = stand.disk.blob(digest)
        read.append(len(blob or b""))
        return blob

    assert Election(stand.book, find, None).vote(proposal) is not None
    whole = sum(read)
    for limit in (whole, whole - 1, max(read)):
        read.clear()
        monkeypatch.setattr(election, "MAX_BYTES", limit)
        assert (Election(stand.book, find, None).vote(proposal) is not None) is (limit == whole)
        assert sum(read) <= limit + max(read)  # it stops there


class LyingBook(Book):
    """Its owner's snapshots name a model of its own invention."""

    def model_hash(self) -> str:
        return sha256(super().model_hash().encode()).hexdigest()


class SwarmWithLiar(SimSwarm):
    liar = False

    def book_of(self, peer: SimPeer) -> Book:
        book = super().book_of(peer)
        if peer.index == 1 and self.liar:
            book.__class__ = LyingBook
        return book


@pytest.mark.parametrize("liar", [False, True])
def test_a_snapshot_whose_model_is_wrong_never_becomes_final(liar: bool) -> None:
    swarm = SwarmWithLiar(Scenario(peers=2, seconds=30, round_s=0.8, seed=3, observers=(0,)))
    swarm.liar = liar
    swarm.run()
    book = swarm.peers[0].book
    assert book is not None
    log = swarm.peers[1].self_id
    entries = [decode_entry(book.replica.data(log, seq)) for seq in range(book.replica.size(log))]
    assert any(isinstance(entry, Snapshot) for entry in entries)
    finals = [entry for entry in entries if isinstance(entry, Finality)]
    assert bool(finals) is not liar
    witness = (swarm.peers[0].self_id, [swarm.peers[0].public])
    policy = final_policy(swarm.swarm_id, [witness], [(log, swarm.peers[1].public)])
    assert policy is not None
    for final in finals:
        assert satisfied(policy, final.note.encode()).satisfied


def test_a_snapshot_beyond_the_fork_of_its_log_gets_no_vote() -> None:
    stand = Stand("founder", 30.0, forked=True)
    stand.disk.last_vote = None
    stand.disk.notes.clear()
    stand.restart()
    void = stand.book.replica.void_from(stand.author.self_id)
    assert void is not None
    finals = stand.machine._witnessing._finals
    beyond = [s for s in stand.snapshots(stand.author) if s > max(void, finals.get(stand.author.self_id, 0))]
    assert beyond
    assert only(stand.say(stand.propose(beyond[-1])), KeepVote) == []
    for peer in stand.swarm.peers[2:]:  # positive control: another's, a moment later
        sizes = [s for s in stand.snapshots(peer) if s > finals.get(peer.self_id, 0)]
        if sizes:
            asked = stand.say(stand.propose(sizes[-1], by=peer), stand.connect(peer))
            assert [vote.log for vote in only(asked, KeepVote)] == [peer.self_id]
            return
    raise AssertionError("nobody else has a snapshot")


def test_a_snapshot_that_is_final_already_gets_no_vote_again() -> None:
    stand = Stand("founder", seconds=40.0)
    stand.disk.last_vote = None
    stand.disk.notes.clear()
    stand.restart()
    finals = stand.machine._witnessing._finals
    peer = next(peer for peer in stand.swarm.peers[1:] if peer.self_id in finals)
    sizes, link = stand.snapshots(peer), stand.connect(peer)
    assert finals[peer.self_id] in sizes
    assert only(stand.say(stand.propose(finals[peer.self_id], by=peer), link), KeepVote) == []
    stand.now += 100.0
    later = [size for size in sizes if size > finals[peer.self_id]]
    assert later
    assert [v.size for v in only(stand.say(stand.propose(later[-1], by=peer), link), KeepVote)] == [later[-1]]


def test_a_note_on_the_shelf_that_is_of_another_history_is_left_there() -> None:
    """As after a copy of the store was put back: what was cosigned then is not what is held now."""
    stand = Stand("stranger")
    log, size = stand.author.self_id, stand.sizes[-1]
    witness = next(peer for peer in stand.swarm.peers if peer.self_id == stand.witnesses[0])
    for root in (b"\x5a" * 32, b""):
        bare = stand.propose(size, root)
        kept = Proposal(log, size, bare.root, bare.signature, is_vote=False)
        assert kept.add(stand.book.replica, stand.voucher(bare, witness))
        stand.disk.notes[log] = (size, kept.note(stand.book.replica))
        stand.restart()
        stand.feed(Timer("witness"))
        given = vouches(stand.say(Tally(((short_name(log), size, 0),)), stand.link))
        assert [frame.root for frame in given] == ([] if root else [stand.book.replica.root(log, size)])


def test_nothing_beyond_what_is_stored_is_signed_at_all() -> None:
    bench = Bench()
    bench.feed_data()
    bench.train(1.0)  # written, and not on disk yet
    author = bench.machine._author
    assert author.size == author.stored + 1
    author.sign_at(author.stored)
    for size in (0, author.size, author.size + 1):
        with pytest.raises(LocalError, match="only what is stored"):
            author.sign_at(size)


def test_announcements_without_end_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may claim signatures on any size of a log: what was asked for is forgotten before it is too much."""
    monkeypatch.setattr(desk, "MAX_ASKED", 3)
    stand = Stand("stranger")
    log, size = stand.author.self_id, stand.sizes[-1]
    for more in range(1, 11):
        row = (short_name(log), size + more, 4)
        assert tallies(stand.say(Tally((row,)))) == [Tally(((short_name(log), size + more, 0),))]
        assert len(stand.machine._witnessing._desk._asked) <= 3
