"""Cosigning by hand: what a witness signs, when, and what a hostile peer can make it do."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest

from gossip.config import PeerConfig
from gossip.events import (
    Append,
    Drop,
    Effect,
    Event,
    KeepCosigned,
    KeepVote,
    KeepWitnessed,
    LinkUp,
    Received,
    Send,
    Stored,
    Timer,
    WitnessedStored,
)
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import Book, Peer, election, restore
from gossip.peer.author import chain
from gossip.peer.desk import ASK_AGAIN_S, SETTLE_S
from gossip.peer.election import Election
from gossip.peer.quota import MAX_FRAMES, WRONG_SIGNATURE
from gossip.peer.vouches import Proposal, read_note
from gossip.sim import Cut, Scenario, SimSwarm, Twin
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from gossip.wire.frames import MAX_SIZE, Tally, Vouch, Voucher, Want, decode, encode, short_name
from ledger.canonical import decode_entry, entry_hash
from ledger.checkpoint import Checkpoint, open_note, origin
from ledger.cosignature import cosign, cosignature, cosignatures, raw, verify_cosignature
from ledger.entry import Finality, PeerId, Snapshot
from ledger.errors import RemoteError
from ledger.kept import StoredVote
from ledger.keys import PrivateKey
from ledger.replica import Checked
from ledger.tlog_policy import final_policy, satisfied
from ledger.witness import witnesses_of
from tests.peer.bench import frames_to, notes, only

AUTHOR = 1  # in the swarm; the machine under test is one of its three witnesses
QUIET = {"vouch_s": 10_000.0, "vouch_entries": 10_000, "vote_s": 60.0}


@cache
def past(seconds: float, forked: bool = False) -> SimSwarm:
    """A swarm of five that has run a while without any cosigning but votes. Its founder observes."""
    scenario = Scenario(
        peers=5, seconds=seconds, round_s=1.0, seed=5, observers=(0,), config=PeerConfig(**QUIET),  # type: ignore[arg-type]
    )  # fmt: skip
    if forked:  # the author's disk is copied, and both run, each in one half
        scenario = replace(scenario, twins=(Twin(AUTHOR, 4.0),), cuts=(Cut(4.0, seconds, (5, 2, 3)),), settle_s=20.0)
    swarm = SimSwarm(scenario)
    swarm.run()
    return swarm


class Stand:
    """One peer of that swarm, now alone with a hand-held author, on a copy of its disk."""

    def __init__(self, who: str = "witness", seconds: float = 8.0, forked: bool = False) -> None:
        self.swarm = past(seconds, forked)
        self.author = self.swarm.peers[AUTHOR]
        self.members = [peer.self_id for peer in self.swarm.peers]
        self.witnesses = witnesses_of(self.author.self_id, self.members)
        chosen = {
            "witness": self.witnesses[0],
            "stranger": next(p for p in self.members if p not in (*self.witnesses, self.author.self_id)),
            "founder": self.members[0],
        }[who]
        self.peer = next(peer for peer in self.swarm.peers if peer.self_id == chosen)
        assert self.peer is not self.author
        self.disk = self.peer.memory.copy()
        self.now = EPOCH + 1000.0
        self.machine = self._start()
        self.link = self.connect(self.author)

    def _start(self, **config: Any) -> Peer:
        founder = self.swarm.peers[0].self_id
        self.book = restore(self.swarm.swarm_id, founder, self.disk.history, self.disk.blob, NumpyArithmetic())
        return Peer(
            replace(self.peer._config, **config), key=self.peer._key, self_id=self.peer.self_id, book=self.book,
            shelf=self.disk, luck=random.Random(1), mark=self.disk.mark,
        )  # fmt: skip

    def restart(self, **config: Any) -> None:
        """The process dies; what is on the (simulated) disk stays."""
        self.machine = self._start(**config)
        self.link = self.connect(self.author)

    def connect(self, peer: SimPeer) -> int:
        self.now += 40.0
        link = int(self.now)
        self.feed(LinkUp(link, peer.public, dialled=False))
        return link

    def feed(self, event: Event) -> tuple[Effect, ...]:
        effects = self.machine.handle(event, self.now)
        for effect in only(effects, KeepCosigned):
            self.disk.notes[effect.log] = (effect.size, effect.note)
        return effects

    def say(self, frame: Vouch | Tally, link: int | None = None) -> tuple[Effect, ...]:
        return self.feed(Received(link or self.link, encode(frame)))

    def store(self, effects: Sequence[Effect]) -> tuple[Effect, ...]:
        """Put on disk what these effects ask for; what follows from that."""
        answer: tuple[Effect, ...] = ()
        for promise in only(tuple(effects), KeepWitnessed):
            self.disk.promises[promise.log] = (promise.size, promise.root)
            answer += self.feed(WitnessedStored(promise.log, promise.size))
        for vote in only(tuple(effects), KeepVote):
            answer += self.feed(WitnessedStored(vote.log, vote.size))
        return answer

    # -------------------------------------------------------------- what the author says

    @property
    def sizes(self) -> list[int]:
        """Sizes of the author's log that may be proposed: those that do not end in a snapshot."""
        log, replica = self.author.self_id, self.book.replica
        return [s for s in range(1, replica.size(log) + 1) if not isinstance(replica.entry(log, s - 1), Snapshot)]

    def propose(self, size: int, root: bytes = b"", *, key: PrivateKey | None = None, by: SimPeer | None = None,
                vouchers: tuple[Voucher, ...] = ()) -> Vouch:  # fmt: skip
        peer = by or self.author
        root = root or self.book.replica.root(peer.self_id, size)
        signed = Checkpoint(origin(self.swarm.swarm_id, peer.self_id), size, root).body()
        return Vouch(peer.self_id, size, root, (key or peer._key).sign(signed), vouchers)

    def voucher(self, frame: Vouch, by: SimPeer) -> Voucher:
        seen = Checkpoint(origin(self.swarm.swarm_id, frame.log), frame.size, frame.root)
        return Voucher(by.self_id, *raw(cosign(seen, origin(self.swarm.swarm_id, by.self_id), by._key, 77)))

    def undecided(self) -> tuple[SimPeer, SimPeer]:
        """Two authors of whom nothing is final yet, for a founder that has forgotten its votes."""
        self.disk.last_vote = None
        self.restart()
        finals = self.machine._witnessing._finals
        first, second, *_ = [peer for peer in self.swarm.peers[1:] if peer.self_id not in finals]
        return first, second

    def snapshots(self, by: SimPeer) -> list[int]:
        """Sizes of a log that end in a snapshot."""
        replica = self.book.replica
        size = replica.size(by.self_id)
        return [s for s in range(1, size + 1) if isinstance(replica.entry(by.self_id, s - 1), Snapshot)]


def vouches(effects: Sequence[Effect]) -> list[Vouch]:
    return [f for s in only(tuple(effects), Send) if isinstance(f := decode(s.message), Vouch)]


def tallies(effects: Sequence[Effect]) -> list[Tally]:
    return [f for s in only(tuple(effects), Send) if isinstance(f := decode(s.message), Tally)]


def signed_for(effects: Sequence[Effect]) -> list[int]:
    """Sizes that were proposed, or voted for by a peer that is its own witness."""
    return [frame.size for frame in vouches(effects)] + [vote.size for vote in only(tuple(effects), KeepVote)]


def signed_by(stand: Stand, frames: Sequence[Vouch]) -> list[tuple[int, bytes]]:
    """(size, root) of what the machine under test has cosigned, each signature checked."""
    own, found = stand.peer, []
    for frame in frames:
        for voucher in frame.vouchers:
            if voucher.witness == own.self_id:
                name = origin(stand.swarm.swarm_id, own.self_id)
                line = cosignature(name, own.public, voucher.time, voucher.signature)
                seen = Checkpoint(origin(stand.swarm.swarm_id, frame.log), frame.size, frame.root)
                assert verify_cosignature(seen, line, name, own.public) == int(stand.now)
                found.append((frame.size, frame.root))
    return found


# ------------------------------------------------------------------ signing


def test_a_witness_signs_only_once_its_promise_is_on_disk() -> None:
    stand = Stand()
    proposal = stand.propose(stand.sizes[-1])
    asked = stand.say(proposal)
    assert [(k.log, k.size, k.root) for k in only(asked, KeepWitnessed)] == [
        (stand.author.self_id, proposal.size, proposal.root)
    ]
    assert vouches(asked) == []
    assert vouches(stand.say(proposal)) == []  # and however often it is asked
    sent = vouches(stand.store(asked))
    assert signed_by(stand, sent) == [(proposal.size, proposal.root)]


def test_who_is_no_witness_of_a_log_signs_nothing_and_passes_it_on_to_nobody_twice() -> None:
    stand = Stand("stranger")
    answer = stand.say(stand.propose(stand.sizes[-1]))
    assert only(answer, KeepWitnessed) == []
    assert vouches(answer) == []  # its one link is the author's


def test_a_promise_that_nobody_asked_for_signs_nothing() -> None:
    stand = Stand()
    assert vouches(stand.feed(WitnessedStored(stand.author.self_id, stand.sizes[-1]))) == []


def test_after_a_restart_a_witness_goes_neither_back_nor_to_another_root() -> None:
    stand = Stand()
    small, large = stand.sizes[-3], stand.sizes[-1]
    asked = stand.say(stand.propose(large))
    (promise,) = only(asked, KeepWitnessed)
    stand.disk.promises[promise.log] = (promise.size, promise.root)  # on disk, and then the power goes
    stand.restart()
    assert only(stand.say(stand.propose(small)), KeepWitnessed) == []
    again = stand.say(stand.propose(large))
    assert signed_by(stand, vouches(stand.store(again))) == [(large, promise.root)]  # the same once more is no harm

    stand.disk.promises[promise.log] = (large, b"\x01" * 32)  # another history was signed at that size
    stand.restart()
    refused = stand.say(stand.propose(large))
    assert only(refused, KeepWitnessed) == []
    assert "second history" in str(notes(list(refused), "refused")[0]["text"])


def test_concurrent_proposals_never_yield_two_roots_for_one_size() -> None:
    """Both arrive before the disk has answered; only the one that agrees with the log as it is held is signed."""
    stand = Stand()
    size = stand.sizes[-1]
    first = stand.say(stand.propose(size))
    second = stand.say(stand.propose(size, sha256(b"another history").digest()))
    assert only(second, KeepWitnessed) == []
    signed = signed_by(stand, vouches(stand.store((*first, *second))))
    assert signed == [(size, stand.book.replica.root(stand.author.self_id, size))]


def test_two_roots_of_one_size_are_a_suspicion() -> None:
    stand = Stand()
    size = stand.sizes[-1]
    forged = stand.propose(size, sha256(b"a third").digest(), key=PrivateKey.from_seed(b"x" * 32))
    assert only(stand.say(forged), Send) == []  # nobody is suspected on a stranger's word
    answer = stand.say(stand.propose(size, sha256(b"another history").digest()))
    (asked,) = [frame for frame in frames_to(list(answer), stand.link) if isinstance(frame, Want)]
    assert (asked.log, asked.start) == (stand.author.self_id, size)  # whoever holds that history can show it
    assert only(answer, Drop) == []  # who brings it did nothing wrong


def test_a_log_that_was_signed_twice_is_cosigned_up_to_there_and_no_further() -> None:
    stand = Stand("witness", 30.0, forked=True)
    void = stand.book.replica.void_from(stand.author.self_id)
    assert void is not None
    before, beyond = [s for s in stand.sizes if s <= void], [s for s in stand.sizes if s > void]
    assert before
    assert beyond  # it holds entries that count no more
    assert only(stand.say(stand.propose(beyond[-1])), KeepWitnessed) == []
    assert [k.size for k in only(stand.say(stand.propose(before[-1])), KeepWitnessed)] == []  # not the newest proposal
    stand.restart()
    assert [k.size for k in only(stand.say(stand.propose(before[-1])), KeepWitnessed)] == [before[-1]]


def test_a_peer_that_may_have_forgotten_what_it_signed_signs_nothing() -> None:
    """Its mark says that its own log was longer: the store is a backup, and so is what it remembers of others."""
    stand = Stand()
    stand.disk.mark = (stand.machine.status().heads[stand.peer.self_id] + 3, "ab" * 32)
    stand.restart()
    assert only(stand.say(stand.propose(stand.sizes[-1])), KeepWitnessed) == []


def test_what_is_proposed_ahead_of_the_log_is_looked_at_when_the_log_gets_there() -> None:
    stand = Stand()
    log, last = stand.author.self_id, stand.sizes[-1]
    proposal, everything = stand.propose(last), stand.disk.history
    stand.disk.history = [row for row in everything if row[0] != log or row[1] < last - 1]
    stand.restart()
    assert stand.machine.status().heads[log] == last - 1
    assert only(stand.say(proposal), KeepWitnessed) == []
    assert notes(list(stand.say(proposal)), "refused") == []
    data = next(row[2] for row in everything if row[:2] == (log, last - 1))
    checked = stand.book.replica.check(log, data)
    assert isinstance(checked, Checked)
    stand.book.admit(checked, stand.disk.blob(checked.blob) if checked.blob else None)
    stand.machine._admitted(checked)
    later = stand.feed(Timer("witness"))
    assert [promise.size for promise in only(later, KeepWitnessed)] == [last]


def test_an_author_that_asks_at_every_entry_does_not_get_a_write_to_disk_for_each() -> None:
    stand = Stand()
    promises = [only(stand.say(stand.propose(size)), KeepWitnessed) for size in stand.sizes]
    assert sum(map(len, promises)) == 1


# ------------------------------------------------------------------ hostile


@pytest.fixture(scope="module")
def stand() -> Stand:
    return Stand()


def test_wrong_signatures_end_the_link_before_they_cost_much(stand: Stand) -> None:
    link = stand.connect(stand.author)
    frames = [stand.propose(stand.sizes[-1], key=PrivateKey.from_seed(b"y" * 32)) for _ in range(1)]
    sent, began = 0, time.perf_counter()
    while not only(stand.say(frames[0], link), Drop):
        sent += 1
        assert sent <= MAX_FRAMES // WRONG_SIGNATURE
    assert sent > 50  # a few are no crime
    assert time.perf_counter() - began < 5


def test_wrong_cosignatures_count_too_and_are_never_kept(stand: Stand) -> None:
    link = stand.connect(stand.author)
    proposal = stand.propose(stand.sizes[-1])
    other = stand.witnesses[1]
    sent, answer = 0, stand.say(proposal, link)
    while not only(answer, Drop):
        bad = Voucher(other, sent, sha256(b"%d" % sent).digest() * 2)
        answer = stand.say(Vouch(proposal.log, proposal.size, proposal.root, proposal.signature, (bad,)), link)
        assert all(v.witness != other for frame in vouches(answer) for v in frame.vouchers)
        sent += 1
        assert sent <= MAX_FRAMES // WRONG_SIGNATURE + 1


def test_cosignatures_by_others_than_the_witnesses_are_left_out(stand: Stand) -> None:
    link = stand.connect(stand.author)
    proposal = stand.propose(stand.sizes[-1])
    outsider = next(p for p in stand.swarm.peers if p.self_id not in (*stand.witnesses, stand.author.self_id))
    vouched = Vouch(
        proposal.log, proposal.size, proposal.root, proposal.signature, (stand.voucher(proposal, outsider),)
    )
    answer = stand.say(vouched, link)
    assert only(answer, Drop) == []
    held = stand.machine._witnessing._desk.find(proposal.log, proposal.size)
    assert held is not None
    assert outsider.self_id not in held.vouchers


def test_absurd_sizes_and_unknown_logs_are_ignored(stand: Stand) -> None:
    link = stand.connect(stand.author)
    unknown = sha256(b"nobody").hexdigest()
    before = stand.machine.status()
    for number in range(200):
        far = stand.propose(MAX_SIZE - number, b"r" * 32)
        for frame in (far, Vouch(unknown, 1 + number, b"r" * 32, b"s" * 64, ())):
            answer = stand.say(frame, link)
            assert only(answer, Drop) == []
            assert only(answer, KeepWitnessed) == []
    assert len(stand.machine._witnessing._ahead) <= 1  # one place per log, whatever it is sent
    assert stand.machine.status().heads == before.heads


def test_thousands_of_vouches_cost_the_sender_its_link(stand: Stand) -> None:
    link = stand.connect(stand.author)
    proposal = stand.propose(stand.sizes[-1])
    sent = 0
    while not only(stand.say(proposal, link), Drop):
        sent += 1
        assert sent <= MAX_FRAMES
    assert sent >= MAX_FRAMES - 100  # nothing but the frames counted: what is known is not checked again


def test_long_tallies_of_nothing_cost_the_sender_its_link(stand: Stand) -> None:
    link = stand.connect(stand.author)
    rows = tuple(sorted((sha256(b"%d" % n).hexdigest()[:16], 5, 3) for n in range(3000)))
    sent = 0
    while not only(answer := stand.say(Tally(rows), link), Drop):
        assert not only(answer, Send)
        sent += 1
        assert sent < MAX_FRAMES // 30


def test_a_guest_is_not_listened_to() -> None:
    stand = Stand()
    stand.feed(LinkUp(7, b"\x55" * 32, dialled=False, role="trainer"))
    assert stand.say(stand.propose(stand.sizes[-1]), 7) == ()


# ------------------------------------------------------------------ telling others


def test_announcements_are_answered_by_whoever_holds_more_and_followed_once() -> None:
    stand = Stand("stranger")
    log, size = stand.author.self_id, stand.sizes[-1]
    other = stand.connect(stand.swarm.peers[2] if stand.swarm.peers[2] is not stand.peer else stand.swarm.peers[3])
    row = (short_name(log), size, 4)
    assert tallies(stand.say(Tally((row,)), other)) == [Tally(((short_name(log), size, 0),))]
    assert tallies(stand.say(Tally((row,)), stand.link)) == []  # it was asked for a moment ago
    stand.now += ASK_AGAIN_S + 0.1
    assert tallies(stand.say(Tally((row,)), stand.link)) == [Tally(((short_name(log), size, 0),))]

    by_id = {peer.self_id: peer for peer in stand.swarm.peers}
    bare = stand.propose(size)
    whole = tuple(sorted((stand.voucher(bare, by_id[w]) for w in stand.witnesses), key=lambda v: v.witness))
    stand.say(Vouch(log, size, bare.root, bare.signature, whole), other)
    assert tallies(stand.say(Tally((row,)), other)) == []  # equal
    (given,) = vouches(stand.say(Tally(((short_name(log), size, 1),)), other))
    assert given.vouchers == whole


def test_a_whole_set_is_announced_and_kept_as_a_note_that_stands_alone() -> None:
    stand = Stand("stranger")
    log, size = stand.author.self_id, stand.sizes[-1]
    by_id = {peer.self_id: peer for peer in stand.swarm.peers}
    bare = stand.propose(size)
    whole = tuple(sorted((stand.voucher(bare, by_id[w]) for w in stand.witnesses), key=lambda v: v.witness))
    other = stand.connect(stand.swarm.peers[2] if stand.swarm.peers[2] is not stand.peer else stand.swarm.peers[3])
    stand.say(Vouch(log, size, bare.root, bare.signature, whole))
    stand.now += SETTLE_S
    answer = stand.feed(Timer("witness"))
    (kept,) = only(answer, KeepCosigned)
    assert (kept.log, kept.size) == (log, size)
    told = [s.link for s in only(answer, Send) if decode(s.message) == Tally(((short_name(log), size, 4),))]
    assert told == [other]  # not the link that brought it
    assert open_note(kept.note, stand.author.public).root == bare.root
    names = {origin(stand.swarm.swarm_id, w): by_id[w].public for w in stand.witnesses}
    lines = cosignatures(kept.note)
    assert {line.name for line in lines} == set(names)
    seen = Checkpoint(origin(stand.swarm.swarm_id, log), size, bare.root)
    assert all(verify_cosignature(seen, line, line.name, names[line.name]) == 77 for line in lines)

    stand.restart()
    stand.feed(Timer("witness"))
    stand.now += ASK_AGAIN_S
    (given,) = vouches(stand.say(Tally(((short_name(log), size, 0),)), stand.link))
    assert given.vouchers == whole  # the shelf remembers


# ------------------------------------------------------------------ votes


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


# ------------------------------------------------------------------ the author


def test_an_author_asks_every_sixteen_entries_or_minute_and_never_over_a_snapshot() -> None:
    for round_s, seconds in ((1.0, 50.0), (30.0, 200.0)):
        asked: dict[PeerId, dict[int, float]] = {}

        def watch(at: float, peer: int, event: Event, asked: dict[PeerId, dict[int, float]] = asked) -> None:
            if isinstance(event, Received) and event.message[0] == 8:
                frame = decode(event.message)
                assert isinstance(frame, Vouch)
                asked.setdefault(frame.log, {}).setdefault(frame.size, at)

        swarm = SimSwarm(Scenario(peers=3, seconds=seconds, round_s=round_s, seed=4, observers=(0,)), None, watch)
        swarm.run()
        book = swarm.peers[0].book
        assert book is not None
        for peer in swarm.peers[1:]:
            sizes = asked[peer.self_id]
            kinds = {s: isinstance(book.replica.entry(peer.self_id, s - 1), Snapshot) for s in sizes}
            plain = [(s, at) for s, at in sorted(sizes.items()) if not kinds[s]]
            assert len(plain) >= 2
            for (s, at), (t, later) in pairwise(plain):
                assert t - s >= 16 or later - at >= 59


def test_a_log_that_ends_in_a_snapshot_is_proposed_without_it_and_the_snapshot_by_itself() -> None:
    stand = Stand("stranger")
    stand.restart(vouch_s=1.0)
    own, replica = stand.peer.self_id, stand.book.replica
    size = replica.size(own)
    assert isinstance(replica.entry(own, size - 1), Snapshot)  # written when it drained
    assert not isinstance(replica.entry(own, size - 2), Snapshot)
    before = {frame.size for frame in vouches(stand.feed(Timer("witness")))}
    stand.now += 2.0
    after = {frame.size for frame in vouches(stand.feed(Timer("witness")))}
    newest = stand.machine._witnessing._desk
    ordinary, vote = newest.newest(own, is_vote=False), newest.newest(own, is_vote=True)
    assert ordinary is not None
    assert vote is not None
    assert (ordinary.size, vote.size) == (size - 1, size)
    assert before | after <= {size - 1, size}


def test_witnesses_meet_on_what_one_of_them_has_voted_for() -> None:
    stand = Stand("founder", seconds=40.0)
    a, b = stand.undecided()
    small, large = stand.snapshots(a)[0], stand.snapshots(b)[-1]
    chooser = Election(stand.book, stand.disk.blob, None)
    fewer = Proposal(a.self_id, small, b"\x00" * 32, b"", is_vote=True)
    more = Proposal(b.self_id, large, b"\xff" * 32, b"", is_vote=True)
    assert chooser.choose([fewer, more]) is more  # of more updates
    fewer.vouchers[a.self_id] = Voucher(a.self_id, 1, bytes(64))
    assert chooser.choose([fewer, more]) is fewer


def test_nothing_is_proposed_beyond_what_is_stored() -> None:
    stand = Stand()
    own, author = stand.peer.self_id, stand.machine._author
    size = author.size
    stand.now += 61.0
    fields = author.draft()
    state, updates = stand.book.replica.snapshot_facts(own, fields)
    author.write(fields, Snapshot(**chain(fields), model=stand.book.model_hash(), state=state, updates=updates), 1.0)
    early = stand.feed(Timer("witness"))
    assert only(early, Append)
    assert size + 1 not in signed_for(early)
    assert size + 1 in signed_for(stand.feed(Stored(size)))


def test_reading_a_note_of_another_log_gives_nothing() -> None:
    stand = Stand()
    bare = stand.propose(stand.sizes[-1])
    proposal = Proposal(bare.log, bare.size, bare.root, bare.signature, is_vote=False)
    note = proposal.note(stand.book.replica)
    assert read_note(stand.book.replica, bare.log, note, stand.members) == bare
    assert read_note(stand.book.replica, stand.members[0], note, stand.members) is None
    assert read_note(stand.book.replica, bare.log, b"no note", stand.members) is None
    with pytest.raises(RemoteError):
        open_note(note, stand.peer.public)
