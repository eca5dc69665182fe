"""Whose connections are kept: pure decisions, with a clock that is a number."""

from __future__ import annotations

from gossip.wide.config import STRANGER_S, STRANGERS
from gossip.wide.gate import Gate

TOLD, MEMBER, OTHER = "12D3KooWTold", "12D3KooWMember", "12D3KooWOther"


def gate() -> Gate:
    made = Gate([TOLD])
    made.allow(frozenset({MEMBER}), strangers=False)
    return made


def test_those_we_were_told_of_and_members_come_in_and_nobody_else() -> None:
    kept = gate()
    assert kept.admits(TOLD, outbound=False, now=0.0)
    assert kept.admits(MEMBER, outbound=False, now=0.0)
    assert not kept.admits(OTHER, outbound=False, now=0.0)


def test_a_bootstrap_is_connected_and_yet_no_member() -> None:
    kept = gate()
    assert not kept.serves(TOLD)
    assert kept.serves(MEMBER)


def test_strangers_come_in_while_an_invite_is_open_and_go_with_it() -> None:
    kept = gate()
    kept.allow(frozenset({MEMBER}), strangers=True)
    assert kept.admits(OTHER, outbound=False, now=0.0)
    assert kept.serves(OTHER)
    assert kept.allow(frozenset({MEMBER}), strangers=False) == [OTHER]
    assert not kept.serves(OTHER)


def test_a_class_that_comes_in_at_once_is_kept() -> None:
    kept = gate()
    kept.allow(frozenset({MEMBER}), strangers=True)
    assert all(kept.admits(f"{OTHER}{number}", outbound=False, now=0.0) for number in range(30))
    assert kept.overdue(1.0) == []


def test_a_stranger_who_becomes_a_member_stays() -> None:
    kept = gate()
    kept.allow(frozenset({MEMBER}), strangers=True)
    kept.admits(OTHER, outbound=False, now=0.0)
    assert kept.allow(frozenset({MEMBER, OTHER}), strangers=False) == []
    assert kept.overdue(STRANGER_S + 1) == []
    assert kept.serves(OTHER)


def test_whoever_is_a_member_no_longer_is_cut_unless_we_were_told_of_it() -> None:
    kept = Gate([TOLD])
    kept.allow(frozenset({MEMBER, TOLD}), strangers=False)
    assert kept.allow(frozenset(), strangers=False) == [MEMBER]


def test_no_dial_of_ours_brings_back_who_was_put_out_until_it_is_a_member_again() -> None:
    kept = gate()
    assert kept.keeps(MEMBER)
    assert kept.allow(frozenset(), strangers=False) == [MEMBER]
    assert not kept.keeps(MEMBER)
    assert not kept.admits(MEMBER, outbound=True, now=0.0)
    kept.allow(frozenset({MEMBER}), strangers=False)
    assert kept.admits(MEMBER, outbound=True, now=0.0)


def test_strangers_have_a_minute() -> None:
    kept = gate()
    kept.allow(frozenset(), strangers=True)
    kept.admits(OTHER, outbound=False, now=10.0)
    assert kept.overdue(10.0 + STRANGER_S - 1) == []
    assert kept.overdue(10.0 + STRANGER_S) == [OTHER]
    assert not kept.serves(OTHER)


def test_of_too_many_strangers_the_oldest_go() -> None:
    kept = gate()
    kept.allow(frozenset(), strangers=True)
    for number in range(STRANGERS + 3):
        kept.admits(f"{OTHER}{number}", outbound=False, now=float(number) / 100)
    assert kept.overdue(1.0) == [f"{OTHER}0", f"{OTHER}1", f"{OTHER}2"]


def test_whom_we_dial_is_an_errand_with_the_same_bounds_and_is_not_served() -> None:
    kept = gate()
    assert kept.admits(OTHER, outbound=True, now=0.0)
    assert not kept.serves(OTHER)
    assert kept.overdue(STRANGER_S) == [OTHER]
    kept.admits(OTHER, outbound=True, now=0.0)
    kept.left(OTHER)
    assert kept.overdue(STRANGER_S) == []


def test_somebodys_relay_stays_while_it_carries_a_circuit_of_ours() -> None:
    kept = gate()
    kept.admits(OTHER, outbound=True, now=0.0)
    kept.carries(OTHER)
    kept.carries(OTHER)
    kept.carried(OTHER)
    assert kept.overdue(10 * STRANGER_S) == []
    kept.carried(OTHER)
    assert kept.overdue(10 * STRANGER_S) == [OTHER]
