"""Public data shared out among those whom their owner named: who trains on what, who leaves, and what never moves."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from gossip.config import PeerConfig
from gossip.events import Borrow, DropRows, Event, KeepRows, LinkDown, LinkUp, Received, Send, ShardsCut, TrainingFailed
from gossip.peer import borrowing
from gossip.peer.lease import holder, shards_of
from gossip.peer.lending import Lending
from gossip.sim import Scenario, SimSwarm
from gossip.sim.scenario import Crash
from gossip.sim.station import SimPeer
from gossip.sim.toy import ToyTrainer
from gossip.wire.codec import decode, encode
from gossip.wire.frames import PIECE_BYTES, Frame, Lacks, Lease, Piece, WantBlob
from ledger.entry import Data, Update
from ledger.opening import SHARDS, make_shards

FOUNDER, LENDER, ANN, BOB, EVE = range(5)
NAMED = (ANN, BOB)


class Watched(SimSwarm):
    """Keeps every message, and by whom it was heard."""

    def __init__(self, **facts: Any) -> None:
        self.heard: list[tuple[float, int, bytes]] = []
        settings = {"peers": 5, "round_s": 2.0, "seed": 5, "signatures": "checked", "public": (LENDER,)}
        settings |= {"lends": {LENDER: NAMED}, "config": PeerConfig(lease_s=4.0)} | facts
        super().__init__(Scenario(**settings), None, self._keep)  # type: ignore[arg-type]

    def _keep(self, at: float, peer: int, event: Event) -> None:
        if isinstance(event, Received):
            self.heard.append((at, peer, event.message))

    def leases(self, peer: int) -> list[tuple[float, Lease]]:
        frames = [(at, decode(message)) for at, to, message in self.heard if to == peer and message[:1] == b"\x13"]
        return [(at, frame) for at, frame in frames if isinstance(frame, Lease)]

    def who_fetched(self) -> set[int]:
        """Any shard of the lender's data set: whoever was sent a part of one."""
        assert isinstance(self.trainer, ToyTrainer)
        leaves = bytes(self.peers[LENDER]._leaves)
        shards = {sha256(one).digest() for one in make_shards(leaves, self.trainer.records(LENDER), self.swarm_id)}
        return {peer for _, peer, message in self.heard if message[:1] == b"\x06" and message[1:33] in shards}

    def who_heard_rows(self, of: int) -> set[int]:
        """Of a peer's records: whoever was sent a part of one."""
        assert isinstance(self.trainer, ToyTrainer)
        needles = [key[32:96] for key, _ in self.trainer.records(of)]
        return {peer for _, peer, message in self.heard if any(needle in message for needle in needles)}


def entries(peer: SimPeer, kind: type[Any]) -> list[Any]:
    assert peer.book is not None
    replica = peer.book.replica
    found = (replica.entry(peer.self_id, seq) for seq in range(replica.size(peer.self_id)))
    return [entry for entry in found if isinstance(entry, kind)]


@cache
def lent() -> Watched:
    """A swarm in which one peer lends to two others, and nothing else happens."""
    swarm = Watched(seconds=20.0)
    assert swarm.run().invariants_broken == ()
    return swarm


def test_all_of_a_data_set_is_trained_on_by_those_who_are_named_each_part_by_one() -> None:
    swarm = lent()
    lender = swarm.peers[LENDER]
    (data,) = entries(lender, Data)
    among = tuple(sorted(swarm.peers[peer].self_id for peer in NAMED))
    shares = [shards_of(data.root, swarm.peers[peer].self_id, among) for peer in NAMED]
    assert sorted(number for share in shares for number in share) == list(range(SHARDS))
    assert isinstance(swarm.trainer, ToyTrainer)
    own = {peer: set(swarm.trainer.records(peer)) for peer in range(5)}
    rows = []
    for peer, share in zip(NAMED, shares, strict=True):
        borrower = swarm.peers[peer]
        assert [one.root for one in borrower.borrowed] == [data.root] * len(share)
        rows += [row for one in borrower.borrowed for row in borrower._rows[one.shard]]
        before, after = entries(borrower, Data)
        assert (before.records, after.records) == (
            64,
            64 + sum(len(borrower._rows[s.shard]) for s in borrower.borrowed),
        )
        assert after.zone == "private"
        (held,) = borrower.machine.status().borrowed  # type: ignore[union-attr]
        assert (held.peer, held.shards, held.records) == (lender.self_id, len(share), after.records - 64)
    assert sorted(rows) == sorted(own[LENDER])
    holdings = lender.machine.status().lent  # type: ignore[union-attr]
    assert {one.peer: one.shards for one in holdings} == {
        swarm.peers[peer].self_id: len(share) for peer, share in zip(NAMED, shares, strict=True)
    }


def test_no_update_is_trained_on_rows_that_are_not_on_record_before() -> None:
    """Whoever exchanges its data begins no round until they are read: an update cites what it was trained on."""
    for peer in NAMED:
        borrower = lent().peers[peer]
        (_, after) = entries(borrower, Data)
        cited = [(update.seq, update.data) for update in entries(borrower, Update)]
        assert {data for seq, data in cited if seq > after.seq} == {after.seq}
        assert all(data < after.seq for seq, data in cited if seq < after.seq)


def test_shards_are_heard_by_those_who_were_named_and_by_nobody_else() -> None:
    assert lent().who_fetched() == set(NAMED)
    assert lent().who_heard_rows(LENDER) > set(NAMED)  # the others have challenged the lender: they saw a few
    assert all(lent().leases(peer) == [] for peer in (FOUNDER, EVE))


@pytest.mark.parametrize(
    "facts",
    [
        {"public": ()},  # private, whatever its owner has typed
        {"opens": {LENDER: ("auditor",)}},  # records to auditors only
        {"lends": {}},
        {"observers": NAMED},  # who does not train trains on nothing
    ],
    ids=["private", "restricted", "nobody named", "observers"],
)
def test_of_data_that_are_not_lent_no_byte_moves(facts: dict[str, Any]) -> None:
    swarm = Watched(seconds=10.0, **facts)
    assert swarm.run().invariants_broken == ()
    told = [peer for _, peer, kind, fields in swarm.notes if kind == "trouble" and "is lent" in fields["text"]]
    assert told == ([LENDER] if "public" in facts else [])  # its owner, who wants them lent
    if "public" in facts or "opens" in facts:
        assert swarm.who_heard_rows(LENDER) == set()
    else:
        assert swarm.who_fetched() == set()
    assert all(frame.shards == () for peer in range(5) for _, frame in swarm.leases(peer))
    assert [len(entries(swarm.peers[peer], Data)) for peer in NAMED if peer not in swarm.scenario.observers] in (
        [1, 1],
        [],
    )


def test_when_a_borrower_leaves_its_shards_go_to_the_other_and_when_it_is_back_they_return() -> None:
    swarm = Watched(peers=4, seconds=145.0, round_s=5.0, crashes=(Crash(BOB, 25.0, 85.0),))
    report = swarm.run()
    assert report.invariants_broken == ()
    ann, bob = (swarm.peers[peer].self_id for peer in NAMED)
    epochs = [(at, lease) for at, lease in swarm.leases(ANN) if lease.among]
    assert [len(lease.among) for _, lease in epochs] == [2, 1, 2]
    assert [len(lease.shards) for _, lease in epochs][1] == SHARDS
    assert 20.0 + 60.0 < epochs[1][0] < 25.0 + 60.0 + 2 * 4.0
    assert epochs[0][1].shards == epochs[2][1].shards  # only what must move has moved
    assert epochs[0][1].epoch < epochs[1][1].epoch < epochs[2][1].epoch
    sizes = [data.records for data in entries(swarm.peers[ANN], Data)]
    part = sizes[1] - 64
    assert sizes == [64, 64 + part, 128, 64 + part]
    assert sum(one.lender == swarm.peers[LENDER].self_id for one in swarm.peers[BOB].borrowed) == SHARDS - len(
        shards_of(epochs[0][1].root, ann, tuple(sorted((ann, bob))))
    )


# ------------------------------------------------------------------ by hand


class Talk:
    """The machine of one peer of a swarm that has come to rest, and a link to it under anybody's key."""

    def __init__(self, to: int, seconds: float = 14.0, **facts: Any) -> None:
        self.swarm = Watched(seconds=seconds, settle_s=0.0, **facts)
        self.swarm.run()
        self.peer = self.swarm.peers[to]
        self.now = self.swarm.clock.now + 1.0

    def link(self, peer: int, after_s: float = 0.1) -> int:
        self.now += after_s
        assert self.peer.machine is not None
        for live in list(self.peer.machine._links):
            if live.key == self.swarm.peers[peer].public:
                self.feed(LinkDown(live.link, "the far end is gone"))
        self.feed(LinkUp(9000 + peer, self.swarm.peers[peer].public, dialled=False))
        return 9000 + peer

    def feed(self, event: Event) -> list[Any]:
        assert self.peer.machine is not None
        with self.swarm.signing.standing_in():
            return list(self.peer.machine.handle(event, self.now))

    def say(self, link: int, frame: Frame) -> list[Frame]:
        said = self.feed(Received(link, encode(frame)))
        return [decode(effect.message) for effect in said if isinstance(effect, Send) and effect.link == link]

    def ends(self, link: int, frame: Frame) -> bool:
        return any(type(effect).__name__ == "Drop" and effect.link == link for effect in self.feed(
            Received(link, encode(frame))))  # fmt: skip


def test_a_shard_is_given_to_its_holder_and_not_to_another_member_who_knows_its_hash() -> None:
    talk = Talk(LENDER)
    _, digest, size = talk.swarm.leases(ANN)[-1][1].shards[0]
    want = WantBlob(digest, 0, min(size, 1000))
    (piece,) = [frame for frame in talk.say(talk.link(ANN), want) if isinstance(frame, Piece | Lacks)]
    assert isinstance(piece, Piece)
    assert piece.total == size
    for other in (BOB, EVE, FOUNDER):
        assert [f for f in talk.say(talk.link(other), want) if isinstance(f, Piece | Lacks)] == [Lacks(digest)]


def test_a_lease_of_others_shards_ends_its_link_and_one_from_a_stranger_to_our_owner_is_ignored() -> None:
    talk = Talk(ANN)
    assert talk.peer.machine is not None
    held = talk.peer.machine.status().borrowed
    assert held
    newest = talk.swarm.leases(ANN)[-1][1]
    theirs = next(number for number in range(SHARDS) if number not in [n for n, *_ in newest.shards])
    lie = Lease(newest.root, newest.epoch + 9, newest.among, ((theirs, "ab" * 32, 99),))
    eve = talk.link(EVE)
    assert not talk.ends(eve, lie)
    lender = talk.link(LENDER)
    assert talk.ends(lender, lie)
    assert talk.peer.machine.status().borrowed == held


def test_rows_that_their_lender_never_committed_to_are_not_trained_on() -> None:
    talk = Talk(ANN, seconds=6.0, config=PeerConfig(lease_s=60.0))  # nothing is lent yet
    assert talk.peer.machine is not None
    (data,) = entries(talk.swarm.peers[LENDER], Data)
    made_up = b"gossip-opening/1\n" + bytes(2000)
    digest, link = sha256(made_up).hexdigest(), talk.link(LENDER)
    lease = Lease(data.root, 1, (talk.peer.self_id,), ((0, digest, len(made_up)),))
    assert WantBlob(digest, 0, len(made_up)) in talk.say(link, lease)
    assert talk.ends(link, Piece(digest, len(made_up), 0, made_up))
    link = talk.link(LENDER, after_s=40.0)
    assert not [frame for frame in talk.say(link, lease) if isinstance(frame, WantBlob)]  # not in this run
    assert talk.peer.machine.status().borrowed == ()


def test_shards_that_may_not_be_lent_any_more_are_given_to_nobody_from_then_on() -> None:
    """The node has seen that a file was made private, or was changed."""
    talk = Talk(LENDER)
    newest = talk.swarm.leases(ANN)[-1][1]
    _, digest, size = newest.shards[0]
    want, link = WantBlob(digest, 0, min(size, 1000)), talk.link(ANN)
    assert any(isinstance(frame, Piece) for frame in talk.say(link, want))
    said = [decode(one.message) for one in talk.feed(ShardsCut(newest.root, ())) if isinstance(one, Send)]
    assert [frame.shards for frame in said if isinstance(frame, Lease)][-1:] == [()]
    assert Lacks(digest) in talk.say(link, want)


class Lent(Talk):
    """A borrower, and a lender's link that says by hand what is lent."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(ANN, seconds=6.0, config=PeerConfig(lease_s=60.0), **facts)
        assert isinstance(self.swarm.trainer, ToyTrainer)
        lender = self.swarm.peers[LENDER]
        (self.data,) = entries(lender, Data)
        self.cut = make_shards(bytes(lender._leaves), self.swarm.trainer.records(LENDER), self.swarm.swarm_id)
        self.names = [sha256(shard).hexdigest() for shard in self.cut]
        self.far = self.link(LENDER)

    def lease(self, epoch: int, *numbers: int, root: str = "") -> Lease:
        shards = tuple((number, self.names[number], len(self.cut[number])) for number in numbers)
        return Lease(root or self.data.root, epoch, (self.peer.self_id,), shards)

    def asked(self, lease: Lease) -> list[int]:
        """Which shards are asked for when that lease comes."""
        wants = [frame.hash for frame in self.say(self.far, lease) if isinstance(frame, WantBlob)]
        return [self.names.index(digest) for digest in wants]

    def give(self, number: int) -> list[Any]:
        shard, effects = self.cut[number], list[Any]()
        for at in range(0, len(shard), PIECE_BYTES):
            part = Piece(self.names[number], len(shard), at, shard[at : at + PIECE_BYTES])
            effects += self.feed(Received(self.far, encode(part)))
        return effects


@pytest.mark.parametrize("facts", [{"observers": (ANN,)}, {"public": (LENDER, ANN)}, {"lends": {ANN: (BOB,)}}])
def test_who_may_not_train_on_others_rows_fetches_none(facts: dict[str, Any]) -> None:
    """Without data, with public data, or lending some: what would be fetched could only lie about."""
    talk = Lent(**facts)
    assert talk.peer.machine is not None
    talk.peer.machine._borrowing._from.add(talk.swarm.peers[LENDER].self_id)
    assert talk.asked(talk.lease(1, 0)) == []
    assert not [effect for effect in talk.give(0) if isinstance(effect, KeepRows)]


def test_rows_are_kept_for_the_lease_they_were_proven_for_and_go_with_it() -> None:
    talk = Lent()
    assert talk.peer.machine is not None
    assert talk.asked(talk.lease(5, 0, 1)) == [0]
    assert [effect.shard for effect in talk.give(0) if isinstance(effect, KeepRows)] == [talk.names[0]]
    assert [effect.shard for effect in talk.give(1) if isinstance(effect, KeepRows)] == [talk.names[1]]
    # a lease without one of them: its rows go at once, though nothing was trained on them
    assert DropRows((talk.names[1],)) in talk.feed(Received(talk.far, encode(talk.lease(6, 0))))
    # the same bytes under another root have to be proven anew
    talk.peer.machine._borrowing.learn(
        talk.swarm.peers[LENDER].self_id, msgspec.structs.replace(talk.data, root="cd" * 32)
    )
    effects = talk.feed(Received(talk.far, encode(talk.lease(7, 0, root="cd" * 32))))
    assert DropRows((talk.names[0],)) in effects
    assert [decode(e.message) for e in effects if isinstance(e, Send) and e.message[:1] == b"\x05"] == [
        WantBlob(talk.names[0], 0, min(len(talk.cut[0]), 2 * PIECE_BYTES))
    ]
    # and one blob under two numbers is none of two shards
    twice = talk.lease(8, 0)
    twice = Lease(twice.root, 8, twice.among, ((0, *twice.shards[0][1:]), (1, *twice.shards[0][1:])))
    assert talk.ends(talk.far, twice)


def test_of_one_lender_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Lent()
    monkeypatch.setattr(borrowing, "MAX_KEPT_BYTES", len(talk.cut[0]) + len(talk.cut[1]) - 1)
    assert talk.asked(talk.lease(1, 0, 1)) == [0]
    said = talk.give(0)
    assert any(isinstance(effect, KeepRows) for effect in said)
    assert not [e for e in said if isinstance(e, Send) and isinstance(decode(e.message), WantBlob)]
    assert talk.asked(talk.lease(2, 1)) == [1]  # in place of the first


def test_a_lender_whose_clock_went_back_is_heard_on_a_new_link() -> None:
    talk = Lent()
    assert talk.asked(talk.lease(2_000_000_000, 0)) == [0]
    assert talk.asked(talk.lease(1_900_000_000, 1)) == []
    talk.now += 5.0
    talk.feed(LinkDown(talk.far, "the far end is gone"))
    talk.far = 9100
    talk.feed(LinkUp(talk.far, talk.swarm.peers[LENDER].public, dialled=False))
    assert talk.asked(talk.lease(1_900_000_000, 1)) == [1]


def test_what_a_lender_never_gives_is_given_up_and_what_is_here_is_trained_on() -> None:
    talk = Lent()
    assert talk.asked(talk.lease(1, 0, 1)) == [0]
    asked = 0
    for _ in range(60):
        talk.now += 5.0
        said = talk.say(talk.far, Lacks(talk.names[0]))
        asked += sum(isinstance(frame, WantBlob) and frame.hash == talk.names[0] for frame in said)
        if any(isinstance(frame, WantBlob) and frame.hash == talk.names[1] for frame in said):
            break
    assert 1 <= asked <= 4
    assert [effect.shard for effect in talk.give(1) if isinstance(effect, KeepRows)] == [talk.names[1]]


def test_of_two_lenders_one_that_says_nothing_keeps_nobody_from_the_others_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give = Lending.on_want
    swarm = Watched(seconds=30.0, public=(LENDER, EVE), lends={LENDER: NAMED, EVE: (ANN,)})
    asked: list[str] = []

    def silent(self: Lending, link: int, want: WantBlob, to: str | None) -> bool:
        eve = swarm.peers[EVE].machine
        if eve is not None and self is eve._lending and want.hash in self._cut:
            asked.append(want.hash)
            return True
        return give(self, link, want, to)

    monkeypatch.setattr(Lending, "on_want", silent)
    swarm.run()
    assert asked
    lenders = {one.lender for one in swarm.peers[ANN].borrowed}
    assert lenders == {swarm.peers[LENDER].self_id}


@pytest.mark.parametrize(
    ("lease_s", "seconds"), [(4.0, 30.0), (0.05, 20.0)]
)  # a lease outlasts a round, or is over while data are read
def test_a_lender_that_changes_its_lease_all_the_time_does_not_keep_borrowers_from_training(
    monkeypatch: pytest.MonkeyPatch, lease_s: float, seconds: float
) -> None:
    look = Lending.tick

    def restless(self: Lending, now: float) -> None:
        look(self, now)
        if self._among and self._cut:
            self._begin(self._among, now)

    def shrinking(self: Lending, live: Any) -> None:
        mine = sorted(
            (cut.number, digest, len(cut.data))
            for digest, cut in self._cut.items()
            if holder(self._root, cut.number, self._among) == live.peer
        )
        self._out.send(live.link, Lease(self._root, self._epoch, self._among, tuple(mine[self._epoch % 2 :])))

    monkeypatch.setattr(Lending, "tick", restless)
    monkeypatch.setattr(Lending, "_say", shrinking)
    swarm = Watched(seconds=seconds, config=PeerConfig(lease_s=lease_s))
    swarm.run()
    for peer in NAMED:
        log = swarm.peers[peer]
        data, updates = entries(log, Data), entries(log, Update)
        assert len(data) > 2  # it did exchange
        for before, after in pairwise(data[1:]):
            assert after.time - before.time >= lease_s - 1
            assert any(before.seq < update.seq < after.seq for update in updates)
        assert len(updates) >= 8


def test_a_round_that_diverges_is_blamed_on_the_newest_lender_and_training_goes_on_without_its_rows() -> None:
    talk = Talk(ANN)
    assert talk.peer.machine is not None
    rounds = talk.peer.machine._rounds
    assert talk.peer.borrowed
    assert rounds.training
    rounds.draining = False  # the swarm has come to rest, and this peer goes on
    effects = talk.feed(TrainingFailed(rounds.done + 1, "the loss is no number", is_over=False))
    assert Borrow(()) in effects
    dropped = {shard for effect in effects if isinstance(effect, DropRows) for shard in effect.shards}
    assert dropped == {one.shard for one in talk.peer.borrowed}
    lender = talk.link(LENDER)
    assert not [f for f in talk.say(lender, talk.swarm.leases(ANN)[-1][1]) if isinstance(f, WantBlob)]
