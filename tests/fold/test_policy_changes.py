"""Which policy rules on an update: the one in force in its own past, whoever holds what besides."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import msgspec
import numpy as np
import pytest

from ledger.canonical import encode_entry
from ledger.entry import PolicyChange, Snapshot, Update
from ledger.errors import LocalError, RemoteError
from ledger.policy import MAX_POLICY_BYTES, Breach, Policy
from ledger.replica import Checked, InvalidEntry
from tests.fold.stories import (
    HALF,
    LONG,
    SEEN,
    SHORT,
    checked_entries,
    governed_swarm,
    history_of,
    model_of,
    named_terms,
    named_weights,
    shuffled_delivery,
)
from tests.fold.toy import CHAIN, NOW, POLICY, Peer, Swarm

CHANGE = np.linspace(-0.1, 0.1, 16)


def digest(text: str) -> str:
    return Policy.parse(text).hash


def drafted(peer: Peer, entry: PolicyChange) -> bytes:
    return encode_entry(peer.replica.draft(peer.id).stamp(entry, NOW))


def change(text: str, number: int, **lies: object) -> PolicyChange:
    fields = {"number": number, "policy": sha256(text.encode()).hexdigest(), "policy_bytes": len(text.encode())}
    return PolicyChange(**{**CHAIN, **fields, **lies})


def test_an_update_is_ruled_on_by_the_policy_in_its_own_past():
    swarm = Swarm(["ann", "bob"])
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    before = ann.publish(CHANGE)
    founder.ask_for(SHORT)
    assert founder.replica.policy_now().hash == digest(SHORT)
    late = bob.publish(CHANGE)  # bob has not heard of it
    ann.fetch(founder)
    after = ann.publish(CHANGE)
    assert (before.refused, late.refused) == ((), ())
    assert after.refused == (Breach("update.steps.max", 10, 5),)
    assert (before.basis, late.basis, after.basis) == (digest(POLICY), digest(POLICY), digest(SHORT))
    swarm.exchange()
    assert {peer.replica.weight_of(ann.id, after.seq) for peer in swarm.peers.values()} == {None}
    assert {peer.replica.weight_of(bob.id, late.seq) for peer in swarm.peers.values()} == {late.weight}
    assert ann.publish(CHANGE, steps=3).refused == ()
    model_of(swarm, "founder", "bob")


def test_a_rule_may_leave_an_update_a_part_of_its_weight():
    """The published weight is the part; whoever publishes the whole breaks a rule."""
    swarm = Swarm(["ann"])
    ann, founder = swarm["ann"], swarm.founder
    whole = ann.publish(CHANGE, steps=3).weight
    assert whole
    founder.ask_for(HALF)
    other = Swarm(["ann"])
    other["ann"].publish(CHANGE, steps=3)
    ann.fetch(founder)
    other["ann"].fetch(other.founder)
    plain = other["ann"].publish(CHANGE)
    founder.fetch(ann)
    half = ann.publish(CHANGE)
    assert half.refused == ()
    assert half.weight == (plain.weight or 0) // 2
    assert half.ruling is not None
    assert (half.ruling.outcome, half.ruling.permille) == ("weight", 500)
    entry = msgspec.structs.replace(ann.replica.entry(ann.id, half.seq), weight=plain.weight)
    with pytest.raises(InvalidEntry) as caught:
        founder.replica.check(ann.id, encode_entry(entry))
    assert caught.value.rule == "weight"
    swarm.exchange()
    model_of(swarm)


def test_what_is_quarantined_is_folded_and_said():
    swarm = Swarm(["ann"])
    swarm.founder.ask_for(SEEN)
    swarm["ann"].fetch(swarm.founder)
    found = swarm["ann"].publish(CHANGE)
    assert found.refused == ()
    assert found.weight
    assert found.ruling is not None
    assert [breach.rule for breach in found.ruling.quarantined] == ["update.steps.max"]


def test_two_of_three_admins_change_the_policy_and_one_alone_does_not():
    swarm = Swarm(["ann", "bob", "cyd"], admins=["ann", "bob"], threshold=2)
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    ann.ask_for(SHORT)
    ann.ask_for(SHORT)  # once more is not one more
    assert ann.replica.policy_now().hash == digest(POLICY)
    bob.fetch(ann)
    assert bob.publish(CHANGE).refused == ()
    assert bob.ask_for(SHORT).entry.number == 1  # it agrees with what is not in force yet
    assert bob.replica.policy_now().hash == digest(SHORT)
    assert bob.publish(CHANGE).refused
    assert ann.publish(CHANGE).refused == ()
    founder.fetch(bob)
    assert founder.ask_for(LONG).entry.number == 2
    assert founder.replica.policy_now().hash == digest(SHORT)
    swarm.exchange()
    assert {peer.replica.policy_now().hash for peer in swarm.peers.values()} == {digest(SHORT)}
    assert ann.ask_for(LONG).entry.number == 2
    assert ann.replica.policy_now().hash == digest(LONG)


@pytest.mark.parametrize("first", ["ann", "bob"])
def test_of_two_changes_at_once_the_lower_hash_holds_and_a_higher_number_beats_it(first: str):
    swarm = Swarm(["ann", "bob"], admins=["ann", "bob"])
    ann, bob = swarm["ann"], swarm["bob"]
    ann.ask_for(SHORT)
    bob.ask_for(LONG)
    assert (ann.replica.policy_now().hash, bob.replica.policy_now().hash) == (digest(SHORT), digest(LONG))
    reader = swarm.observer()
    for name in (first, "ann" if first == "bob" else "bob"):
        reader.fetch(swarm[name])
    assert reader.replica.policy_now().hash == min(digest(SHORT), digest(LONG))
    swarm.exchange()
    assert ann.ask_for(POLICY).entry.number == 2
    swarm.exchange()
    assert bob.replica.policy_now().hash == digest(POLICY)
    assert bob.replica.policy_of(digest(SHORT)).text == SHORT
    with pytest.raises(LocalError, match="no entry that is held names"):
        bob.replica.policy_of("0" * 64)


def test_a_policy_is_changed_by_admins_and_with_the_next_number():
    swarm = Swarm(["ann", "bob"], admins=["bob"])
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    eve = swarm.join("eve", role="observer")
    for peer in (ann, eve):
        with pytest.raises(InvalidEntry, match="is of kind policy, by") as caught:
            founder.replica.check(peer.id, drafted(peer, change(SHORT, 1)))
        assert caught.value.rule == "role"
    for number in (2, 7):
        with pytest.raises(InvalidEntry, match="after number 0 comes 1"):
            founder.replica.check(bob.id, drafted(bob, change(SHORT, number)))
    bob.ask_for(SHORT)
    founder.fetch(bob)
    with pytest.raises(InvalidEntry, match="after number 1 comes 2"):
        founder.replica.check(bob.id, drafted(bob, change(LONG, 1)))
    with pytest.raises(InvalidEntry, match="no policy has"):
        founder.replica.check(bob.id, drafted(bob, change(LONG, 2, policy_bytes=MAX_POLICY_BYTES + 1)))
    assert isinstance(founder.replica.check(bob.id, drafted(bob, change(LONG, 2))), Checked)


@pytest.mark.parametrize(
    "text", ["", "policy = 2\n", "policy = 1\n[data.colour]\nmin = 1\n", "policy = 1\n\0", "policy = 1\nsteps = 3\n"]
)
def test_a_text_that_is_no_policy_ends_the_log_of_who_asks_for_it(text: str):
    swarm = Swarm(["ann"])
    founder, ann = swarm.founder, swarm["ann"]
    held = founder.replica.heads()
    entry = change(text, 1, policy_bytes=max(1, len(text)))
    checked = founder.replica.check(founder.id, drafted(founder, entry))
    assert isinstance(checked, Checked)
    assert checked.blob == entry.policy
    with pytest.raises(InvalidEntry) as caught:
        founder.replica.admit(checked, text.encode())
    assert caught.value.rule == "policy"
    assert founder.replica.heads() == held
    assert ann.publish(CHANGE).basis == digest(POLICY)


def test_another_text_is_the_messengers_fault_and_a_wrong_length_the_authors():
    swarm = Swarm(["ann"])
    founder = swarm.founder
    checked = founder.replica.check(founder.id, drafted(founder, change(SHORT, 1)))
    assert isinstance(checked, Checked)
    with pytest.raises(RemoteError) as messenger:
        founder.replica.admit(checked, LONG.encode())
    assert not isinstance(messenger.value, InvalidEntry)
    checked = founder.replica.check(founder.id, drafted(founder, change(SHORT, 1, policy_bytes=7)))
    assert isinstance(checked, Checked)
    with pytest.raises(InvalidEntry, match="says 7 bytes"):
        founder.replica.admit(checked, SHORT.encode())


def test_what_an_admin_said_on_either_branch_of_its_log_counts_once():
    swarm = Swarm(["ann", "bob", "cyd"], admins=["ann", "bob"], threshold=2)
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    twin = ann.twin()
    ann.ask_for(SHORT)
    twin.publish(CHANGE)
    twin.ask_for(SHORT)
    for half in (ann, twin):
        founder.fetch(half)
    assert len(founder.replica.strands(ann.id)) == 2
    assert founder.replica.policy_now().hash == digest(POLICY)  # one admin, twice
    bob.ask_for(SHORT)
    founder.fetch(bob)
    assert founder.replica.policy_now().hash == digest(SHORT)
    assert founder.publish(CHANGE).refused
    other = swarm["cyd"]
    other.fetch(twin)
    other.fetch(bob)
    assert other.publish(CHANGE).refused


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_order_the_same_policy_rules_the_same_updates(seed: int):
    swarm = governed_swarm(seed, threshold=1 + seed % 2)
    replica = swarm.founder.replica
    for order in range(6):
        observer = shuffled_delivery(swarm, Random(order))
        assert observer.replica.policy_now().hash == replica.policy_now().hash
        assert named_weights(observer.replica) == named_weights(replica)
        assert named_terms(observer.replica) == named_terms(replica)
        assert observer.model_hash() == swarm.founder.model_hash()


@pytest.mark.parametrize("seed", range(4))
def test_a_second_implementation_finds_the_same_policies_weights_and_states(seed: int):
    swarm = governed_swarm(seed, threshold=1 + seed % 2)
    history = history_of(swarm)
    assert history.weight == named_weights(swarm.founder.replica)
    assert history.model(set(history.entry)) == swarm.founder.model_hash()
    for _, checked in checked_entries(swarm):
        if isinstance(checked.entry, Update):
            assert history.policy(history.past[checked.hash])[1] == checked.basis
        if isinstance(checked.entry, Snapshot):
            assert history.state(checked.hash) == (checked.entry.state, checked.entry.updates)


def test_the_governed_swarms_are_governed():
    """What the tests above are about does happen in them."""
    bases, outcomes = set(), set()
    for seed in range(6):
        for _, checked in checked_entries(governed_swarm(seed, threshold=1 + seed % 2)):
            if checked.ruling is not None:
                bases.add(checked.basis)
                outcomes.add(checked.ruling.outcome)
    assert bases == {digest(text) for text in (POLICY, SHORT, LONG, HALF, SEEN)}
    assert outcomes == {"pass", "reject", "weight", "quarantine"}
