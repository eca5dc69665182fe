"""Who leaves when places are full: pure decisions, with addresses in words."""

from __future__ import annotations

from functools import partial

from gossip.wide.crowds import Crowds, Place, network_of


def filled(crowds: Crowds, *addresses: str) -> tuple[list[Place], list[str]]:
    """Their places, and who had to go by now, as it happens."""
    gone: list[str] = []
    places = []
    for number, address in enumerate(addresses):
        place = crowds.enter(address, partial(gone.append, f"{address} {number}"), float(number))
        assert place
        places.append(place)
    return places, gone


def test_a_network_is_an_address_or_what_one_subscriber_has_of_ipv6() -> None:
    assert network_of("203.0.113.7") == "203.0.113.7" == network_of("::ffff:203.0.113.7")
    assert network_of("2001:db8:1:2::1") == "2001:db8:1:2::/64" == network_of("2001:db8:1:2:ffff::9%eth0")
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("") == ""


def test_the_oldest_silent_one_of_the_largest_crowd_leaves() -> None:
    crowds = Crowds(in_all=4, of_network=9)
    _, gone = filled(crowds, "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2")
    assert crowds.enter("10.0.0.3", lambda: None, 9.0)
    assert gone == ["10.0.0.2 1"]
    assert len(crowds) == 4


def test_of_one_network_it_is_one_of_its_own() -> None:
    crowds = Crowds(in_all=9, of_network=2)
    _, gone = filled(crowds, "10.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8::3")
    assert gone == ["2001:db8::1 1"]


def test_the_proven_leave_after_the_silent_and_who_is_in_use_never() -> None:
    used = {"anna"}
    crowds = Crowds(in_all=3, of_network=9, in_use=used.__contains__)
    (anna, berta, _), gone = filled(crowds, "10.0.0.1", "10.0.0.1", "10.0.0.2")
    anna.peer, berta.peer = "anna", "berta"
    third = crowds.enter("10.0.0.1", lambda: gone.append("third"), 9.0)
    assert gone == ["10.0.0.2 2"], "of a smaller crowd, but silent"
    assert third
    third.peer = "cleo"
    used.add("cleo")
    last = crowds.enter("10.0.0.2", lambda: gone.append("last"), 9.0)
    assert gone[1:] == ["10.0.0.1 1"], "berta, who is of no use"
    assert last
    last.peer = "anna"
    assert crowds.enter("10.0.0.9", lambda: None, 9.0) is None
    crowds.leave(anna)
    crowds.leave(anna)
    assert len(crowds) == 2
    assert crowds.enter("10.0.0.9", lambda: None, 9.0)
