"""Where members meet: in the newest place, seen from those before for ninety days, and by an invite from outside."""

from __future__ import annotations

import hashlib

import pytest

from gossip.node.namespaces import KEPT_S, MOST, Secrets, namespace_of

OLD, NEW, INVITED = b"o" * 32, b"n" * 32, b"i" * 32
NOW = 1_800_000_000
DAY = 86_400


def looked_up(secrets: Secrets, secret: bytes) -> bool:
    return namespace_of(secret) in secrets.meeting(b"", is_member=True)[0]


def made(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_a_namespace_is_what_the_specification_says() -> None:
    assert namespace_of(OLD) == hashlib.sha256(b"gossip/namespace/1\n" + OLD).digest()


def test_a_joiner_looks_where_its_invite_says_and_publishes_nowhere() -> None:
    assert Secrets().meeting(INVITED, is_member=False) == ((namespace_of(INVITED),), 0)
    assert Secrets().meeting(b"", is_member=False) == ((), 0)


def test_a_member_publishes_in_the_newest_and_looks_in_both() -> None:
    first = Secrets().follow(OLD, NOW)
    assert first.meeting(b"", is_member=True) == ((namespace_of(OLD),), 1)
    second = first.follow(NEW, NOW)
    assert second.meeting(b"", is_member=True) == ((namespace_of(NEW), namespace_of(OLD)), 1)


def test_who_was_away_while_two_were_put_out_is_found_by_those_who_were_there() -> None:
    away = Secrets().follow(made(1), NOW)
    here = away.follow(made(2), NOW + DAY).follow(made(3), NOW + DAY + 60)
    assert away.meeting(b"", is_member=True)[0][0] in here.meeting(b"", is_member=True)[0]
    met = away.follow(here.newest, NOW + 2 * DAY)
    assert met.meeting(b"", is_member=True)[0][0] == here.meeting(b"", is_member=True)[0][0]


def test_a_member_looks_where_a_new_invite_says_and_publishes_where_it_did() -> None:
    assert Secrets().meeting(INVITED, is_member=True) == ((namespace_of(INVITED),), 0)  # nobody has told it yet
    away = Secrets().follow(made(1), NOW).follow(made(2), NOW)
    looked, publish = away.meeting(INVITED, is_member=True)
    assert (looked, publish) == (tuple(map(namespace_of, (made(2), INVITED, made(1)))), 1)
    assert away.meeting(made(1), is_member=True) == away.meeting(b"", is_member=True), "an old one changes nothing"


def test_those_before_are_looked_up_for_so_long_also_over_a_restart() -> None:
    both = Secrets.kept(Secrets().follow(OLD, NOW).follow(NEW, NOW).data)
    assert both == Secrets().follow(OLD, NOW).follow(NEW, NOW)
    assert both.follow(NEW, NOW + KEPT_S - 1) is both
    assert both.follow(NEW, NOW + KEPT_S) == Secrets(NEW, NOW)
    assert Secrets.kept(both.follow(NEW, NOW + KEPT_S).data) == Secrets(NEW, NOW)


def test_an_admin_that_makes_one_each_second_pushes_out_its_own() -> None:
    secrets = Secrets()
    for number in range(3):
        secrets = secrets.follow(made(number), NOW + number * DAY)
    secrets = secrets.follow(made(3), NOW + 2 * DAY + 60)  # the third stood for a minute
    for number in range(4, 1000):
        secrets = secrets.follow(made(number), NOW + 3 * DAY + number)
        assert len(secrets.meeting(b"", is_member=True)[0]) <= MOST
        assert Secrets.kept(secrets.data) == secrets
    assert all(looked_up(secrets, made(number)) for number in range(4)), "whoever went away under these is found"
    assert looked_up(secrets, made(998)), "and who has heard of all but the last"


def test_one_that_comes_back_is_the_newest_and_stands_there_once() -> None:
    back = Secrets().follow(OLD, NOW).follow(NEW, NOW + 1).follow(OLD, NOW + 2)
    assert back.meeting(b"", is_member=True)[0] == (namespace_of(OLD), namespace_of(NEW))
    assert Secrets.kept(back.data) == back


def test_what_is_not_known_at_a_start_yet_takes_nothing_away() -> None:
    kept = Secrets().follow(OLD, NOW).follow(NEW, NOW)
    assert kept.follow(b"", NOW) is kept


@pytest.mark.parametrize("data", [None, b"", b"x" * 47, b"x" * 49, b"x" * 48 * (MOST + 1)])
def test_what_is_damaged_is_nothing(data: bytes | None) -> None:
    assert Secrets.kept(data) == Secrets()
