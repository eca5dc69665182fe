"""Joining a swarm of more peers than one entry introduces: the joiner's admission lies behind those, and until it has
seen that it is a stranger. Entries that say nothing, and introduce somebody, bring it there."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger import drafting, roles
from ledger.canonical import entry_hash
from ledger.entry import Member
from ledger.replica import InvalidEntry, Replica
from ledger.roles import silent
from tests.fold.toy import CHAIN, Peer, Swarm, enrol


def late_joiner(others: int, *, role: str = "trainer", let_in: bool = True) -> tuple[Swarm, Peer]:
    """Who joins when so many were let in before, the founder besides."""
    swarm = Swarm([])
    founder = swarm.founder
    for number in range(others):
        first = enrol(swarm.swarm, f"m{number}")
        founder.take(entry_hash(first), first)
        founder.write(Member(**CHAIN, peer=entry_hash(first), role="observer", expires=0))
    first = enrol(swarm.swarm, "late")
    late = Peer("late", entry_hash(first), Replica(swarm.swarm, swarm.founder_id))
    late.take(late.id, first)
    founder.take(late.id, first)
    if let_in:
        founder.let_in(late, role)
    late.fetch(founder)
    return swarm, late


def come_in(late: Peer) -> int:
    """Write until everything held is seen; how many entries that took."""
    entries = 0
    while not late.replica.draft(late.id).complete:
        late.write(silent(**CHAIN))
        entries += 1
    return entries


@pytest.mark.parametrize("role", ["trainer", "observer"])
def test_whoever_joins_a_swarm_larger_than_one_entry_gets_there(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "MAX_MEETS", 4)
    swarm, late = late_joiner(18, role=role)
    with pytest.raises(InvalidEntry) as caught:
        late.announce_data()
    assert caught.value.rule == "role"
    assert come_in(late) == 4
    (late.announce_data if role == "trainer" else late.snapshot)()
    swarm.founder.fetch(late)
    assert swarm.founder.replica.size(late.id) == late.replica.size(late.id) == 6


def test_six_hundred_peers_are_joined_too() -> None:
    swarm, late = late_joiner(600)
    assert come_in(late) == 2
    late.announce_data()
    swarm.founder.fetch(late)
    assert swarm.founder.replica.size(late.id) == 4


def test_a_stranger_says_nothing_and_only_as_often_as_it_meets_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positive control first: what it may write; then the same with one thing changed."""
    monkeypatch.setattr(drafting, "MAX_MEETS", 4)
    _, late = late_joiner(18, let_in=False)
    late.write(silent(**CHAIN))

    def refused() -> str:
        with pytest.raises(InvalidEntry) as caught:
            late.write(said)
        return caught.value.rule

    said = replace(silent(**CHAIN), generator="an advertisement")
    assert refused() == "role"
    said = silent(**CHAIN)
    with monkeypatch.context() as patch:
        patch.setattr(roles, "MAX_SILENT", 2)
        assert refused() == "role"
    come_in(late)
    late.write(said)
    assert refused() == "role", "nobody new"


def test_who_is_out_does_not_even_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm, late = late_joiner(2)
    late.announce_data()
    swarm.founder.fetch(late)
    swarm.founder.revoke(late)
    first = enrol(swarm.swarm, "new")
    swarm.founder.take(entry_hash(first), first)
    late.fetch(swarm.founder)
    assert entry_hash(first) in late.replica.draft(late.id).meets
    with pytest.raises(InvalidEntry) as caught:
        late.write(silent(**CHAIN))
    assert caught.value.rule == "role"
