"""Policies in whole swarms: who is let in as what, two admins change the rules while all train, and all agree after."""

from __future__ import annotations

from functools import cache

import pytest

from gossip.sim import NewPolicyAt, Scenario, SimReport, SimSwarm
from ledger.entry import PolicyChange, Update
from ledger.policies import NAMES, shipped
from ledger.policy import Policy
from ledger.replica import Replica

OLD = "policy = 1\n"
NEW = "policy = 1\n[data.records]\nmin = 1000000\n"  # nobody here has as many
HALF = 'policy = 1\n[data.records]\nmin = 1000000\non_fail = "weight"\npermille = 500\n'


def lived(**scenario: object) -> tuple[SimSwarm, SimReport, Replica]:
    swarm = SimSwarm(Scenario(**{"peers": 4, "seconds": 24.0, "seed": 7, "policy": OLD, **scenario}))  # type: ignore[arg-type]
    report = swarm.run()
    assert report.drained
    assert len(set(report.tips.values())) == 1, f"seed {report.seed}"
    assert len(set(report.model_hashes.values())) == 1, f"seed {report.seed}"
    book = swarm.peers[0].book
    assert book is not None
    return swarm, report, book.replica


SHARED = pytest.mark.xdist_group("sim-changed")  # what looks at one and the same swarm: it lives once, in one worker


@cache
def changed() -> tuple[SimSwarm, SimReport, Replica]:
    """Two of the two admins ask for NEW, five seconds apart."""
    wishes = (NewPolicyAt(0, 8.0, NEW), NewPolicyAt(1, 13.0, NEW))
    return lived(admins=2, threshold=2, new_policies=wishes)


def entries(replica: Replica, kind: type) -> list[tuple[str, int]]:
    return [
        (log, seq)
        for log, size in replica.heads().items()
        for seq in range(size)
        if isinstance(replica.entry(log, seq), kind)
    ]


def test_a_guest_whom_genesis_names_is_let_in_as_admin_and_nobody_else() -> None:
    swarm, _, replica = lived(admins=2, threshold=2, seconds=6.0)
    assert [replica.role_of(peer.self_id) for peer in swarm.peers] == ["admin", "admin", "trainer", "trainer"]


@SHARED
def test_two_of_two_admins_change_the_policy_and_every_peer_holds_it_in_force() -> None:
    swarm, _, replica = changed()
    assert replica.policy_now() == Policy.parse(NEW)
    for peer in swarm.peers:
        assert peer.book is not None
        assert peer.book.replica.policy_now().hash == Policy.parse(NEW).hash
    said = [replica.entry(log, seq) for log, seq in entries(replica, PolicyChange)]
    assert [entry.number for entry in said if isinstance(entry, PolicyChange)] == [1, 1]


@SHARED
def test_an_update_is_ruled_on_by_the_policy_of_its_own_past() -> None:
    """What was published before the change stays in the model; what is published in sight of it is left out."""
    swarm, _, replica = changed()
    wishes = entries(replica, PolicyChange)
    counts = {(log, seq) for log, seq, *_ in replica.updates}
    before = after = 0
    for log, seq in entries(replica, Update):
        past = replica.past(log, seq + 1)
        knows = all(past.get(admin, 0) > at for admin, at in wishes)
        assert ((log, seq) in counts) is not knows
        before, after = before + (not knows), after + knows
    assert before > 10
    assert after > 10
    folded = [len(list(peer.book.replica.updates)) for peer in swarm.peers if peer.book is not None]
    assert folded == [before] * 4  # every peer folds those, and no other


def test_one_of_two_admins_changes_nothing() -> None:
    _, _, replica = lived(admins=2, threshold=2, new_policies=(NewPolicyAt(0, 5.0, NEW),), seconds=12.0)
    assert replica.policy_now() == Policy.parse(OLD)
    assert len(entries(replica, PolicyChange)) == 1
    assert len(list(replica.updates)) == len(entries(replica, Update))


def test_admins_who_ask_for_different_things_change_nothing() -> None:
    wishes = (NewPolicyAt(0, 5.0, NEW), NewPolicyAt(1, 5.0, HALF))
    _, _, replica = lived(admins=2, threshold=2, new_policies=wishes, seconds=12.0)
    assert replica.policy_now() == Policy.parse(OLD)


def test_who_is_no_admin_asks_in_vain_and_is_told() -> None:
    swarm, _, replica = lived(new_policies=(NewPolicyAt(2, 5.0, NEW),), seconds=10.0)
    assert replica.policy_now() == Policy.parse(OLD)
    assert not entries(replica, PolicyChange)
    told = [fields["text"] for _, who, kind, fields in swarm.notes if who == 2 and kind == "trouble"]
    assert any("admin" in text for text in told)


def test_a_rule_that_weighs_halves_every_update_for_everybody() -> None:
    _, _, replica = lived(policy=HALF, seconds=10.0)
    for log, seq in entries(replica, Update):
        update = replica.entry(log, seq)
        assert isinstance(update, Update)
        assert update.weight == replica.weight_of(log, seq)
        assert update.weight <= 32768
    assert max(replica.weight_of(log, seq) or 0 for log, seq in entries(replica, Update)) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_swarm_folds_all_that_meets_a_shipped_policy(name: str) -> None:
    _, _, replica = lived(policy=shipped(name), seconds=6.0, peers=3)
    published, counted = entries(replica, Update), list(replica.updates)
    assert published
    assert len(counted) == (0 if name == "public-lists" else len(published))  # (data here are private)
