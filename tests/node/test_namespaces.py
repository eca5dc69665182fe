"""Where members meet: in the newest place, seen from the one before for a week, and by an invite from outside."""

from __future__ import annotations

import hashlib

import pytest

from gossip.node.namespaces import BEFORE_S, Secrets, namespace_of

OLD, NEW, INVITED = b"o" * 32, b"n" * 32, b"i" * 32
NOW = 1_800_000_000


def test_a_namespace_is_what_the_specification_says() -> None:
    assert namespace_of(OLD) == hashlib.sha256(b"gossip/namespace/1\n" + OLD).digest()


def test_a_joiner_looks_where_its_invite_says_and_publishes_nowhere() -> None:
    assert Secrets().meeting(INVITED, is_member=False) == ((namespace_of(INVITED),), 0)
    assert Secrets().meeting(b"", is_member=False) == ((), 0)


def test_a_member_publishes_in_the_newest_and_looks_in_both() -> None:
    assert Secrets().meeting(INVITED, is_member=True) == ((), 0)  # nobody has told it yet
    first = Secrets().follow(OLD, NOW)
    assert first.meeting(INVITED, is_member=True) == ((namespace_of(OLD),), 1)
    second = first.follow(NEW, NOW)
    assert second.meeting(b"", is_member=True) == ((namespace_of(NEW), namespace_of(OLD)), 1)


def test_the_one_before_is_looked_up_for_a_week_also_over_a_restart() -> None:
    both = Secrets.kept(Secrets().follow(OLD, NOW).follow(NEW, NOW).data)
    assert both.follow(NEW, NOW + BEFORE_S - 1) is both
    assert both.follow(NEW, NOW + BEFORE_S) == Secrets(NEW)
    assert Secrets.kept(both.follow(NEW, NOW + BEFORE_S).data) == Secrets(NEW)


def test_what_is_not_known_at_a_start_yet_takes_nothing_away() -> None:
    kept = Secrets(NEW, OLD, NOW + 10)
    assert kept.follow(b"", NOW) is kept


@pytest.mark.parametrize("data", [None, b"", b"x" * 71, b"x" * 73])
def test_what_is_damaged_is_nothing(data: bytes | None) -> None:
    assert Secrets.kept(data) == Secrets()
