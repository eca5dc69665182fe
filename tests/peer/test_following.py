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
from gossip.events import (
    Append,
    DataReady,
    Drop,
    Effect,
    LinkDown,
    LinkUp,
    Received,
    Started,
    Stored,
    Timer,
    Train,
    Trained,
)
from gossip.merging import bundled_sum
from gossip.merging.bundled_sum import BundledSum
from gossip.merging.codec import encode_update
from gossip.peer import following
from gossip.peer.following import LOOK_S, TIMER
from gossip.peer.peer import Peer
from gossip.sim import Scenario, SimSwarm
from gossip.wire.codec import encode
from gossip.wire.frames import Bundled, Frame, Have, Lacks, Lead, Piece, Want, WantBlob, short_name
from ledger.canonical import entry_hash
from ledger.entry import Data, PeerId, Scores, Update
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

    def train(self) -> list[Effect]:
        """It has the data that its log names, and is ready."""
        log, replica = self.swarm.peers[0].self_id, self.book.replica
        data = next(e for s in range(self.sizes[log]) if isinstance(e := replica.entry(log, s), Data))
        said = self.feed(DataReady(data, 1.0)) + self.wait(11.0)
        return said + self.feed(Stored(self.book.replica.size(log) - 1))

    def trained(self, asked: Train) -> list[Effect]:
        blob, _ = encode_update(np.full(len(asked.theta), 0.01, dtype=np.float32))
        none = Scores(examples=0, tp=0, fp=0, fn=0)
        return self.feed(Trained(asked.round, blob, 1, 8, none, 1.0))

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

    def know(self, *links: int, number: int = 1, more: int = 24) -> list[Effect]:
        """These links say that a log is longer than it is here; less than what counts as far."""
        log = self.log(number)
        said = [self.say(link, Have(((log, self.sizes[log] + more, bytes(8)),))) for link in links]
        self.now += LOOK_S
        return [effect for effects in said for effect in effects]

    def log(self, number: int = 1) -> PeerId:
        return self.swarm.peers[number].self_id

    def made_up(self, first: int = 0, count: int = 3, number: int = 1, value: int = 1 << 36) -> tuple[bytes, Bundled]:
        """A sum of updates that nobody has published, and its offer. `first`: beyond the end of that log."""
        begin = self.sizes[self.log(number)] + first
        named = ((self.log(number), tuple(range(begin, begin + count))),)
        return self.spelled(named, value)

    def spelled(self, named: bundled_sum.Named, value: int, entries: str = "ab" * 32) -> tuple[bytes, Bundled]:
        parameters = self.book.require_fold().parameters
        values = np.full(parameters, value, dtype=np.int64)
        made = BundledSum(parameters, named, entries, None, values)
        blob = bundled_sum.encode(made)
        rows = tuple(sorted((short_name(log), seqs[0], seqs[-1]) for log, seqs in named))
        return blob, Bundled(sha256(blob).hexdigest(), len(blob), made.updates, rows)

    def ask(self, link: int, *offers: Bundled | Lead) -> list[Effect]:
        """These sums are offered, and looked at."""
        return self.say(link, *offers) + self.wait(LOOK_S)

    def lend(self, link: int, blob: bytes, offer: Bundled) -> list[Effect]:
        """It is offered, asked for, and given."""
        assert wanted(self.ask(link, offer), link) == [offer.sum]
        return self.say(link, Piece(offer.sum, len(blob), 0, blob))

    def leader(self, number: int = 1, pace: int = 20) -> int:
        """A link to a member that leads, and is known to have more of its own log."""
        link = self.link(number)
        self.say(link, Lead(pace, bundles=True))
        self.know(link, number=number)
        return link


def wanted(effects: Sequence[Effect], link: int) -> list[str]:
    return [frame.hash for frame in frames_to(list(effects), link) if isinstance(frame, WantBlob)]


def entries_wanted(effects: Sequence[Effect], link: int) -> list[PeerId]:
    return [frame.log for frame in frames_to(list(effects), link) if isinstance(frame, Want)]


def dropped(effects: Sequence[Effect]) -> list[str]:
    return [drop.reason for drop in only(list(effects), Drop)]


def troubles(effects: Sequence[Effect]) -> str:
    return "; ".join(str(note["text"]) for note in notes(list(effects), "trouble"))


LEAD = Lead(20, bundles=True)


@pytest.fixture
def peer() -> Follower:
    return Follower()


def test_only_who_says_that_it_leads_is_asked_for_a_sum_and_what_it_lends_is_shown_and_not_folded(
    peer: Follower,
) -> None:
    link = peer.link(1)
    peer.know(link)
    blob, offer = peer.made_up()
    before, folded = peer.machine.theta(), peer.book.model_hash()
    assert wanted(peer.ask(link, offer), link) == []
    peer.say(link, LEAD)
    said = peer.lend(link, blob, offer)
    assert [note["updates"] for note in notes(said, "borrowed")] == [3]
    np.testing.assert_allclose(peer.machine.theta() - before, 2.0**-4, rtol=1e-5)
    assert peer.book.model_hash() == folded == peer.machine.status().model_hash
    sums = peer.machine.status().sums
    assert (sums.used, sums.false, sums.lent, len(sums.leaders)) == (1, 0, 3, 1)


def test_no_round_begins_from_what_a_leader_lends_and_none_waits_for_it(peer: Follower) -> None:
    """The founder trains: what it is to train from is its fold, to the last bit, while something else is shown."""
    folded = peer.machine.theta()
    link = peer.leader()
    peer.lend(link, *peer.made_up(value=3 * bundled_sum.MAX_STEP))
    assert np.abs(peer.machine.theta() - folded).max() > 20
    asked = only(peer.train(), Train)
    assert asked
    for train in asked:
        np.testing.assert_array_equal(train.theta, folded)
    assert only(peer.trained(asked[-1]), Append)  # it is published, though nothing is repaid
    assert peer.machine.status().sums.lent == 3


def test_who_leads_no_more_is_not_asked(peer: Follower) -> None:
    link = peer.leader()
    peer.say(link, Lead(20, bundles=False))
    assert wanted(peer.ask(link, peer.made_up()[1]), link) == []
    assert peer.machine.status().sums.leaders == ()


def test_of_three_leaders_the_two_with_the_fastest_lines_are_asked(peer: Follower) -> None:
    links = [peer.leader(number, pace) for number, pace in ((1, 10), (2, 30), (3, 20))]
    offers = [peer.made_up(number=number)[1] for number in (1, 2, 3)]
    asked = [bool(wanted(peer.ask(link, offer), link)) for link, offer in zip(links, offers, strict=True)]
    assert asked == [False, True, True]


def test_of_two_sums_that_name_one_update_one_is_lent(peer: Follower) -> None:
    link = peer.leader()
    peer.lend(link, *peer.made_up(0, 3))
    assert wanted(peer.ask(link, peer.made_up(2, 3)[1]), link) == []
    _, beside = peer.made_up(3, 3)
    assert wanted(peer.ask(link, beside), link) == [beside.sum]


def test_of_one_leader_two_sums_come_at_a_time_and_none_longer_than_any_of_that_model(peer: Follower) -> None:
    link = peer.leader()
    _, long = peer.made_up()
    most = bundled_sum.most_bytes(peer.book.require_fold().parameters)
    assert wanted(peer.ask(link, Bundled(long.sum, most + 1, long.updates, long.rows)), link) == []
    offers = [peer.made_up(first, 3)[1] for first in (0, 3, 6)]
    asked = wanted(peer.ask(link, *offers), link)
    assert len(asked) == len(peer.machine._following._coming) == following.COMING == 2
    assert following.MAX_LENT * bundled_sum.most_bytes(bundled_sum.MAX_PARAMETERS) <= 16 << 20


def test_a_sum_that_does_not_come_is_not_waited_for_for_ever(peer: Follower) -> None:
    link = peer.leader()
    blob, offer = peer.made_up()
    assert wanted(peer.ask(link, offer), link)
    peer.wait(following.COMING_S)
    assert not peer.machine._following._coming
    assert not peer.machine._blobs.is_coming(offer.sum)
    assert peer.say(link, Piece(offer.sum, len(blob), 0, blob)) == []
    assert wanted(peer.ask(link, LEAD, offer), link) == []  # nor is that leader listened to again


def test_what_a_leader_has_put_into_a_larger_sum_makes_room_for_that(peer: Follower) -> None:
    link = peer.leader()
    _, small = peer.made_up(0, 3)
    _, large = peer.made_up(0, 6)
    assert wanted(peer.ask(link, small), link) == [small.sum]
    assert wanted(peer.ask(link, large), link) == []
    assert wanted(peer.say(link, Lacks(small.sum)) + peer.wait(LOOK_S), link) == [large.sum]


def test_what_is_here_already_is_not_fetched(peer: Follower) -> None:
    link = peer.leader()
    log = peer.log()
    _, offer = peer.spelled(((log, tuple(range(peer.sizes[log]))),), 5)
    assert wanted(peer.ask(link, offer), link) == []


def test_who_misses_nothing_borrows_nothing(peer: Follower) -> None:
    link = peer.link(1)
    peer.say(link, LEAD)
    _, offer = peer.made_up()
    assert wanted(peer.ask(link, offer), link) == []
    assert wanted(peer.know(link) + peer.wait(LOOK_S), link) == [offer.sum]  # the positive control


def test_only_what_its_author_or_a_second_link_says_to_hold_is_borrowed(peer: Follower) -> None:
    leader, other = peer.link(2), peer.link(3)
    peer.say(leader, LEAD)
    _, offer = peer.made_up(number=1)
    peer.know(leader, number=1)
    assert wanted(peer.ask(leader, offer), leader) == []
    said = peer.know(other, number=1, more=2)  # not as far as it names
    assert wanted(said + peer.wait(LOOK_S), leader) == []
    assert wanted(peer.know(other, number=1) + peer.wait(LOOK_S), leader) == [offer.sum]


def test_a_sum_moves_nothing_further_than_its_updates_can(peer: Follower) -> None:
    link = peer.leader()
    blob, offer = peer.made_up(value=3 * bundled_sum.MAX_STEP + 1)
    assert any("moves more than it can" in reason for reason in dropped(peer.lend(link, blob, offer)))
    assert peer.machine.status().sums.lent == 0


def test_a_sum_that_names_something_else_than_was_said_costs_the_link(peer: Follower) -> None:
    link = peer.leader()
    blob, offer = peer.made_up()
    log, first, last = offer.rows[0]
    wrong = Bundled(offer.sum, offer.bytes, offer.updates, ((log, first, last + 1),))
    assert any("names other updates" in reason for reason in dropped(peer.lend(link, blob, wrong)))
    again = peer.leader()
    assert wanted(peer.ask(again, offer), again) == []  # it is not listened to again


def test_bytes_that_are_no_sum_cost_the_link_and_nothing_else(peer: Follower) -> None:
    link = peer.leader()
    _, offer = peer.made_up()
    junk = b"GSS1" + bytes(60)
    offer = Bundled(sha256(junk).hexdigest(), len(junk), offer.updates, offer.rows)
    assert any("malformed" in reason for reason in dropped(peer.lend(link, junk, offer)))
    assert peer.machine.status().sums.lent == 0


def test_a_leader_of_another_history_is_not_blamed(peer: Follower) -> None:
    """Its author signed two: what is an update there is none here. Nobody can say which of the two means ill."""
    link, log = peer.leader(2), peer.log(1)
    peer.know(link, peer.link(3), number=1, more=60)
    before = peer.machine.theta()
    seq = next(s for s in range(peer.sizes[log]) if not isinstance(peer.book.replica.entry(log, s), Update))
    end = peer.sizes[log]
    said = peer.lend(link, *peer.spelled(((log, (seq, *range(end, end + end + 2))),), 5))
    assert "adds nothing" in troubles(said)
    assert dropped(said) == []
    assert peer.machine.status().sums.false == 0
    np.testing.assert_array_equal(peer.machine.theta(), before)


@pytest.mark.parametrize("entries", ["those that are here", "others"])
def test_a_false_sum_costs_the_link_where_it_is_of_the_entries_that_are_here(peer: Follower, entries: str) -> None:
    """All that it names has come while it came: it is not even shown."""
    link, log, replica = peer.leader(), peer.log(), peer.book.replica
    seqs = tuple(seq for seq in range(peer.sizes[log]) if isinstance(replica.entry(log, seq), Update))
    here = bundled_sum.entries_hash({(log, seq): entry_hash(replica.data(log, seq)) for seq in seqs})
    blob, offer = peer.spelled(((log, seqs),), 5, here if entries == "those that are here" else "cd" * 32)
    peer.machine._following._fetch(peer.machine._links._live[link], offer, peer.now)
    peer.wait(LOOK_S)
    said = peer.say(link, Piece(offer.sum, len(blob), 0, blob))
    is_false = entries == "those that are here"
    assert any("bundled sum is false" in reason for reason in dropped(said)) == is_false
    assert ("was false" in troubles(said), "another history" in troubles(said)) == (is_false, not is_false)
    assert peer.machine.status().sums.false == is_false


@pytest.mark.parametrize(("is_missing", "limit"), [(True, following.LOAN_S), (False, following.CAUGHT_UP_S)])
def test_a_loan_lasts_a_minute_at_most_and_its_sender_keeps_its_link(
    peer: Follower, is_missing: bool, limit: float
) -> None:
    link = peer.leader()
    before = peer.machine.theta()
    peer.lend(link, *peer.made_up())
    if not is_missing:
        peer.machine._rumour.disown(peer.log(), link)
    assert troubles(peer.wait(limit - 1)) == ""
    said = peer.wait(1)
    assert "in time" in troubles(said)
    assert dropped(said) == []
    np.testing.assert_array_equal(peer.machine.theta(), before)
    _, more = peer.made_up(5)
    assert wanted(peer.ask(link, LEAD, more), link) == []


def test_a_leader_that_goes_in_between_leaves_nothing_and_the_next_is_asked(peer: Follower) -> None:
    one, other = peer.leader(1), peer.leader(2, pace=10)
    peer.know(other, peer.link(3), number=1)
    _, offer = peer.made_up()
    assert wanted(peer.ask(one, offer), one) == [offer.sum]
    assert wanted(peer.ask(other, offer), other) == []
    assert wanted(peer.feed(LinkDown(one, "killed")), other) == [offer.sum]


def test_entries_wait_for_a_leaders_sums_but_not_for_long_and_once(peer: Follower) -> None:
    link = peer.link(1)
    log = peer.log()
    peer.say(link, LEAD)
    assert entries_wanted(peer.know(link, more=40), link) == []
    _, offer = peer.made_up(count=40)
    assert entries_wanted(peer.ask(link, offer), link) == []
    assert entries_wanted(peer.wait(following.FETCH_S / 2), link) == []
    assert entries_wanted(peer.wait(following.FETCH_S), link) == [log]  # it is slow, or means ill
    other = Follower()
    plain = other.link(1)  # the positive control: nobody leads
    assert entries_wanted(other.know(plain, more=40), plain) == [log]


def test_who_comes_again_and_again_as_a_leader_does_not_keep_entries_back(peer: Follower) -> None:
    """What others hold is asked of them at once, and what it says to hold after 20 s, however often it links."""
    honest = peer.link(2)
    said = []
    for cycle in range(4):
        link = 3000 + cycle
        peer.feed(LinkUp(link, peer.swarm.peers[1].public, dialled=False))
        said += peer.say(link, LEAD)
        said += peer.know(link, more=40 + cycle)
        if cycle == 0:
            others = peer.know(honest, number=2, more=5)
            assert entries_wanted(others, honest) == [peer.log(2)]
        said += peer.ask(link, peer.made_up(count=40 + cycle)[1])
        asked = bool(entries_wanted(said, link))
        assert asked == (cycle > 0)
        said += peer.wait(following.FETCH_S - 2)
        peer.feed(LinkDown(link, "gone"))
        assert peer.machine._following.patient(peer.now) == []


def test_many_offers_are_looked_at_together_a_few_times_a_second(
    peer: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 1,024 rows of logs that nobody has, as often as its quota lets it: that is cut for what it is."""
    looks: list[int] = []
    look = peer.machine._following._is_wanted

    def counted(offer: Bundled, known: dict[str, tuple[int, int]]) -> bool:
        looks.append(len(offer.rows))
        return look(offer, known)

    monkeypatch.setattr(peer.machine._following, "_is_wanted", counted)
    link = peer.leader()
    said: list[Effect] = []
    for number in range(2000):
        shorts = sorted(sha256(b"%d %d" % (number, row)).hexdigest()[:16] for row in range(1024))
        digest = sha256(b"%d" % number).hexdigest()
        peer.now += 0.005
        said += peer.say(link, Bundled(digest, 1000, 1024, tuple((short, 1, 1) for short in shorts)))
        if dropped(said):
            break
    assert any("too many messages" in reason for reason in dropped(said))  # long before it is too many bytes
    seconds = 0.005 * number
    assert 0 < sum(looks) <= (1 + seconds / LOOK_S) * following.OFFERED_ROWS


def test_leaders_are_asked_first_for_blobs(peer: Follower) -> None:
    one, other = peer.link(1), peer.link(2)
    assert peer.machine._blobs._rank(one) == peer.machine._blobs._rank(other)
    peer.say(other, LEAD)
    assert peer.machine._blobs._rank(other) < peer.machine._blobs._rank(one)


def test_a_leader_says_so_takes_twice_the_links_and_offers_what_a_link_lacks() -> None:
    leader, other = Follower(leads="yes"), Follower()
    assert leader.machine._links._aim() == 2 * other.machine._links._aim()
    leader.now += 40.0
    leader.feed(Timer("leading"))  # one step of its sums at a time
    said = leader.feed(LinkUp(1001, leader.swarm.peers[1].public, dialled=False))
    assert [frame for frame in frames_to(said, 1001) if isinstance(frame, Lead)] == [Lead(0, bundles=True)]
    said = leader.say(1001, Have(((leader.log(), 1, bytes(8)),)))  # that is all it has
    assert leader.machine.status().sums.leads
    offers = [frame for frame in frames_to(said, 1001) if isinstance(frame, Bundled)]
    assert [offer.updates for offer in offers] == [16] * leader.machine.status().sums.made != []
