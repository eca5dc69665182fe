"""What a machine believes of a leader, frame by frame: one swarm that has come to rest, and a member that says more."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from gossip.config import PeerConfig
from gossip.events import Drop, Effect, LinkDown, LinkUp, Received, Started, Timer
from gossip.merging import bundled_sum
from gossip.merging.bundled_sum import BundledSum
from gossip.peer import following
from gossip.peer.following import TIMER
from gossip.peer.peer import Peer
from gossip.sim import Scenario, SimSwarm
from gossip.wire.codec import encode
from gossip.wire.frames import Bundled, Frame, Have, Lead, Piece, Want, WantBlob, short_name
from ledger.entry import PeerId, Update
from tests.peer.bench import frames_to, notes, only

PEERS = 4


@cache
def rested() -> SimSwarm:
    swarm = SimSwarm(Scenario(peers=PEERS, seconds=7.0, round_s=1.0, seed=2, signatures="checked"))
    swarm.run()
    return swarm


class Follower:
    """The founder of a small swarm whose other members may say anything."""

    def __init__(self, **config: Any) -> None:
        self.swarm = rested()
        shell = self.swarm.peers[0]
        self.now = self.swarm.clock.now + 60.0
        with self.swarm.signing.standing_in():
            self.book = self.swarm.book_of(shell)
            self.machine = Peer(
                PeerConfig(**config), key=shell._key, self_id=shell.self_id, book=self.book, shelf=shell.memory,
                luck=random.Random(3), mark=shell.memory.mark,
            )  # fmt: skip
        self.sizes = self.book.replica.heads()
        self.feed(Started())

    def feed(self, event: object) -> list[Effect]:
        with self.swarm.signing.standing_in():
            return list(self.machine.handle(event, self.now))  # type: ignore[arg-type]

    def link(self, number: int) -> int:
        """A link to member `number`, later than all before."""
        self.now += 40.0
        self.feed(LinkUp(1000 + number, self.swarm.peers[number].public, dialled=False))
        return 1000 + number

    def say(self, link: int, *frames: Frame) -> list[Effect]:
        return [effect for frame in frames for effect in self.feed(Received(link, encode(frame)))]

    def wait(self, seconds: float) -> list[Effect]:
        self.now += seconds
        return self.feed(Timer(TIMER))

    def log(self, number: int = 1) -> PeerId:
        return self.swarm.peers[number].self_id

    def made_up(self, first: int = 0, count: int = 3, number: int = 1, value: int = 1 << 36) -> tuple[bytes, Bundled]:
        """A sum of updates that nobody has published, and its offer. `first`: beyond the end of that log."""
        begin = self.sizes[self.log(number)] + first
        named = ((self.log(number), tuple(range(begin, begin + count))),)
        return self.spelled(named, value)

    def spelled(self, named: bundled_sum.Named, value: int) -> tuple[bytes, Bundled]:
        parameters = self.book.require_fold().parameters
        values = np.full(parameters, value, dtype=np.int64)
        made = BundledSum(parameters, named, "ab" * 32, None, values)
        blob = bundled_sum.encode(made)
        rows = tuple(sorted((short_name(log), seqs[0], seqs[-1]) for log, seqs in named))
        return blob, Bundled(sha256(blob).hexdigest(), len(blob), made.updates, rows)

    def lend(self, link: int, blob: bytes, offer: Bundled) -> list[Effect]:
        """It is offered, asked for, and given."""
        assert wanted(self.say(link, offer), link) == [offer.sum]
        return self.say(link, Piece(offer.sum, len(blob), 0, blob))


def wanted(effects: Sequence[Effect], link: int) -> list[str]:
    return [frame.hash for frame in frames_to(list(effects), link) if isinstance(frame, WantBlob)]


LEAD = Lead(20, bundles=True)


@pytest.fixture
def peer() -> Follower:
    return Follower()


def test_only_who_says_that_it_leads_is_asked_for_a_sum_and_what_it_lends_is_shown_and_not_folded(
    peer: Follower,
) -> None:
    link = peer.link(1)
    blob, offer = peer.made_up()
    before, folded = peer.machine.theta(), peer.book.model_hash()
    assert wanted(peer.say(link, offer), link) == []
    peer.say(link, LEAD)
    said = peer.lend(link, blob, offer)
    assert [note["updates"] for note in notes(said, "borrowed")] == [3]
    np.testing.assert_allclose(peer.machine.theta() - before, 2.0**-4, rtol=1e-5)
    assert peer.book.model_hash() == folded == peer.machine.status().model_hash
    sums = peer.machine.status().sums
    assert (sums.used, sums.false, sums.lent, len(sums.leaders)) == (1, 0, 3, 1)


def test_who_leads_no_more_is_not_asked(peer: Follower) -> None:
    link = peer.link(1)
    peer.say(link, LEAD, Lead(20, bundles=False))
    assert wanted(peer.say(link, peer.made_up()[1]), link) == []
    assert peer.machine.status().sums.leaders == ()


def test_of_three_leaders_the_two_with_the_fastest_lines_are_asked(peer: Follower) -> None:
    links = [peer.link(number) for number in (1, 2, 3)]
    for link, pace in zip(links, (10, 30, 20), strict=True):
        peer.say(link, Lead(pace, bundles=True))
    offers = [peer.made_up(number=number)[1] for number in (1, 2, 3)]
    asked = [bool(wanted(peer.say(link, offer), link)) for link, offer in zip(links, offers, strict=True)]
    assert asked == [False, True, True]


def test_of_two_sums_that_name_one_update_one_is_lent(peer: Follower) -> None:
    link = peer.link(1)
    peer.say(link, LEAD)
    peer.lend(link, *peer.made_up(0, 3))
    assert wanted(peer.say(link, peer.made_up(2, 3)[1]), link) == []
    _, beside = peer.made_up(3, 3)
    assert wanted(peer.say(link, beside), link) == [beside.sum]


def test_what_is_here_already_is_not_fetched(peer: Follower) -> None:
    link = peer.link(1)
    log = peer.log()
    peer.say(link, LEAD)
    _, offer = peer.spelled(((log, tuple(range(peer.sizes[log]))),), 5)
    assert wanted(peer.say(link, offer), link) == []


def dropped(effects: Sequence[Effect]) -> list[str]:
    return [drop.reason for drop in only(list(effects), Drop)]


def test_a_sum_that_names_something_else_than_was_said_costs_the_link(peer: Follower) -> None:
    link = peer.link(1)
    peer.say(link, LEAD)
    blob, offer = peer.made_up()
    log, first, last = offer.rows[0]
    wrong = Bundled(offer.sum, offer.bytes, offer.updates, ((log, first, last + 1),))
    assert any("names other updates" in reason for reason in dropped(peer.lend(link, blob, wrong)))
    again = peer.link(1)
    peer.say(again, LEAD)
    assert wanted(peer.say(again, offer), again) == []  # it is not listened to again


def test_bytes_that_are_no_sum_cost_the_link_and_nothing_else(peer: Follower) -> None:
    link = peer.link(1)
    peer.say(link, LEAD)
    _, offer = peer.made_up()
    junk = b"GSS1" + bytes(60)
    offer = Bundled(sha256(junk).hexdigest(), len(junk), offer.updates, offer.rows)
    assert any("malformed" in reason for reason in dropped(peer.lend(link, junk, offer)))
    assert peer.machine.status().sums.lent == 0


def test_a_sum_of_what_adds_nothing_is_false(peer: Follower) -> None:
    """Most of what it names is missing, so it is taken; one entry that is here is no update."""
    link = peer.link(1)
    log = peer.log()
    peer.say(link, LEAD)
    seq = next(s for s in range(peer.sizes[log]) if not isinstance(peer.book.replica.entry(log, s), Update))
    end = peer.sizes[log]
    blob, offer = peer.spelled(((log, (seq, *range(end, end + 2 * end + 2))),), 5)
    said = peer.lend(link, blob, offer)
    assert any("bundled sum is false" in reason for reason in dropped(said))
    assert any("false" in str(note["text"]) for note in notes(said, "trouble"))
    assert peer.machine.status().sums.false == 1
    assert peer.machine.status().sums.lent == 0


def test_a_sum_of_what_nobody_has_is_given_back_and_its_sender_keeps_its_link(peer: Follower) -> None:
    link = peer.link(1)
    peer.say(link, LEAD)
    before = peer.machine.theta()
    peer.lend(link, *peer.made_up())
    assert notes(peer.wait(following.CAUGHT_UP_S / 2), "trouble") == []
    said = peer.wait(following.CAUGHT_UP_S)
    assert any("nobody has" in str(note["text"]) for note in notes(said, "trouble"))
    assert dropped(said) == []
    np.testing.assert_array_equal(peer.machine.theta(), before)
    _, more = peer.made_up(5)
    assert wanted(peer.say(link, LEAD, more), link) == []


def test_a_leader_that_goes_in_between_leaves_nothing_and_the_next_is_asked(peer: Follower) -> None:
    one, other = peer.link(1), peer.link(2)
    _, offer = peer.made_up()
    peer.say(one, LEAD)
    peer.say(other, Lead(10, bundles=True))
    assert wanted(peer.say(one, offer), one) == [offer.sum]
    assert wanted(peer.say(other, offer), other) == []
    assert wanted(peer.feed(LinkDown(one, "killed")), other) == [offer.sum]


def test_entries_wait_for_a_leaders_sums_but_not_for_long_and_once(peer: Follower) -> None:
    link = peer.link(1)
    log, size = peer.log(), peer.sizes[peer.log()]

    def asked(effects: Sequence[Effect]) -> bool:
        return any(isinstance(frame, Want) for frame in frames_to(list(effects), link))

    peer.say(link, LEAD)
    assert not asked(peer.say(link, Have(((log, size + 40, bytes(8)),))))
    _, offer = peer.made_up(count=40)
    assert not asked(peer.say(link, offer))
    assert not asked(peer.wait(following.FETCH_S / 2))
    assert asked(peer.wait(following.FETCH_S))  # it is slow, or means ill: everything else goes on
    other = Follower()
    plain = other.link(1)  # the positive control: nobody leads
    said = other.say(plain, Have(((other.log(), size + 40, bytes(8)),)))
    assert any(isinstance(frame, Want) for frame in frames_to(said, plain))


def test_leaders_are_asked_first_for_blobs(peer: Follower) -> None:
    one, other = peer.link(1), peer.link(2)
    assert peer.machine._blobs._rank(one) == peer.machine._blobs._rank(other)
    peer.say(other, LEAD)
    assert peer.machine._blobs._rank(other) < peer.machine._blobs._rank(one)


def test_a_leader_says_so_takes_twice_the_links_and_offers_what_a_link_lacks() -> None:
    leader, other = Follower(leads="yes"), Follower()
    assert leader.machine._links._aim() == 2 * other.machine._links._aim()
    leader.now += 40.0
    said = leader.feed(LinkUp(1001, leader.swarm.peers[1].public, dialled=False))
    assert [frame for frame in frames_to(said, 1001) if isinstance(frame, Lead)] == [Lead(0, bundles=True)]
    said = leader.say(1001, Have(((leader.log(), 1, bytes(8)),)))  # that is all it has
    assert leader.machine.status().sums.leads
    offers = [frame for frame in frames_to(said, 1001) if isinstance(frame, Bundled)]
    assert [offer.updates for offer in offers] == [16] * leader.machine.status().sums.made != []
