"""Letting guests in: as what, until when, and who is passed over. (What a trainer may do: node/test_inviting.py.)"""

from __future__ import annotations

import pytest

from gossip.events import Admit, Append, Drop, LinkUp, Timer
from gossip.peer.departures import EXPIRED
from ledger.canonical import decode_entry
from ledger.entry import Member
from tests.peer.bench import Bench, frames_to, only
from tests.peer.test_bad_member import Author


def knocks(bench: Bench, guest: Author, role: str, expires: int = 0, link: int = 1) -> list[Member]:
    """A guest opens a link and shows its first entry; the member entries that come of it."""
    before = len(bench.effects)
    bench.feed(LinkUp(link, guest.key.public, dialled=False, role=role, expires=expires))
    bench.say(link, guest.frame())
    written = [decode_entry(effect.entry) for effect in only(bench.effects[before:], Append)]
    return [entry for entry in written if isinstance(entry, Member)]


@pytest.mark.parametrize("role", ["trainer", "observer", "auditor", "relay"])
def test_a_guest_becomes_what_the_door_said_until_then(role: str) -> None:
    bench = Bench()
    guest, until = Author(bench.book.replica.swarm, 7), int(bench.now) + 1000
    (entry,) = knocks(bench, guest, role, until)
    assert (entry.peer, entry.role, entry.expires) == (guest.log, role, until)
    seat = bench.book.replica.membership(guest.log)
    assert seat is not None
    assert (seat.role, seat.expires, seat.house) == (role, until, "")


@pytest.mark.parametrize("role", ["admin", "boss"])
def test_no_link_makes_an_admin_or_what_there_is_not(role: str) -> None:
    bench = Bench()
    assert knocks(bench, Author(bench.book.replica.swarm, 7), role) == []


def test_a_membership_that_would_be_over_is_not_begun() -> None:
    bench = Bench()
    guest = Author(bench.book.replica.swarm, 7)
    assert knocks(bench, guest, "trainer", int(bench.now)) == []
    (entry,) = knocks(bench, guest, "trainer", link=2)
    assert entry.expires == 0


def test_who_is_a_member_already_is_let_in_no_second_time() -> None:
    bench = Bench()
    guest = Author(bench.book.replica.swarm, 7)
    assert len(knocks(bench, guest, "observer")) == 1
    assert knocks(bench, guest, "trainer", link=2) == []
    assert bench.book.replica.role_of(guest.log) == "observer"


def test_without_its_link_an_enrol_entry_opens_nothing() -> None:
    """A guest speaks for itself: another's first entry, shown by it, makes nobody a member."""
    bench = Bench()
    guest, other = Author(bench.book.replica.swarm, 7), Author(bench.book.replica.swarm, 8)
    bench.feed(LinkUp(1, guest.key.public, dialled=False, role="trainer"))
    bench.say(1, other.frame())
    assert [effect for effect in only(bench.effects, Append) if isinstance(decode_entry(effect.entry), Member)] == []


def test_whose_time_is_over_is_no_guest_however_often_it_knocks_until_it_was_given_more() -> None:
    """By an old ticket it would be heard and served for a minute at a time, for ever."""
    bench = Bench()
    guest, until = Author(bench.book.replica.swarm, 7), int(bench.now) + 100
    assert len(knocks(bench, guest, "trainer", until)) == 1
    bench.now += 200.0
    assert [drop.link for drop in only(bench.feed(Timer("departures")), Drop)] == [1]
    for link in (10, 11):
        came = bench.feed(LinkUp(link, guest.key.public, dialled=False, role="trainer"))
        assert only(came, Drop) == [Drop(link, EXPIRED)]
        assert not frames_to(came, link)
    bench.feed(Admit(guest.log, "trainer", 0))
    assert bench.feed(LinkUp(12, guest.key.public, dialled=False)) != []
    assert bench.machine._links.get(12) is not None
