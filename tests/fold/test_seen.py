"""What an entry rests on must be in its own past, and what several branches prove is the same for everybody."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.breach import LeftOut
from ledger.canonical import entry_hash
from ledger.entry import Challenge, Member, Opening
from ledger.opening import challenge_text
from ledger.replica import Checked, InvalidEntry, NeedsHistory
from tests.fold.public import accuse, announce, answer, challenge, records
from tests.fold.stories import SHORT
from tests.fold.test_openings import judged, refused
from tests.fold.test_policy_changes import change, drafted
from tests.fold.test_state import joiner
from tests.fold.toy import CHAIN, Peer, Swarm, enrol, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)
ROWS = records(40)


def test_an_admin_of_genesis_asks_for_no_policy_before_it_is_let_in() -> None:
    swarm = Swarm(["ann"], admins=["eve"])
    first = enrol(swarm.swarm, "eve")
    eve = swarm.newcomer("eve", entry_hash(first))
    eve.fetch(swarm.founder)
    for peer in (eve, swarm.founder):
        peer.take(eve.id, first)
        with pytest.raises(InvalidEntry) as caught:
            peer.replica.check(eve.id, drafted(eve, change(SHORT, 1)))
        refused(caught, "role", "let in")
    swarm.founder.write(Member(**CHAIN, peer=eve.id, role="admin", expires=0))
    eve.fetch(swarm.founder)
    assert isinstance(swarm.founder.replica.check(eve.id, drafted(eve, change(SHORT, 1))), Checked)


def test_a_role_that_its_holder_has_not_heard_of_opens_no_records() -> None:
    """Two admins let it in, one as a trainer, one as an auditor. What decides is what the challenger has seen."""
    swarm = Swarm(["ann", "cat"], admins=["cat"])
    ann, cat, founder = swarm["ann"], swarm["cat"], swarm.founder
    shown = announce(ann, ROWS, opens=["auditor"])
    bob = swarm.join("bob")
    cat.take(bob.id, enrol(swarm.swarm, "bob"))
    cat.write(Member(**CHAIN, peer=bob.id, role="auditor", expires=0))
    for reader, other in ((bob, ann), (founder, bob), (founder, ann), (founder, cat)):
        reader.fetch(other)
    data = entry_hash(ann.replica.data(ann.id, shown.seq))
    signature = key_of("bob").sign(challenge_text(bob.replica.swarm, bob.id, data, 5)).hex()
    asked = Challenge(**CHAIN, peer=ann.id, data=shown.seq, hash=data, count=5, signature=signature)
    with pytest.raises(InvalidEntry) as caught:
        judged(founder, bob, asked)
    refused(caught, "challenge", "not opened to its author")
    bob.fetch(cat)
    assert isinstance(judged(founder, bob, asked), Checked)


def test_a_challenge_that_only_the_reader_knows_is_answered_by_nothing() -> None:
    swarm = Swarm(["ann", "bob"])
    ann, bob = swarm["ann"], swarm["bob"]
    shown = announce(ann, ROWS)
    swarm.exchange()
    asked = challenge(bob, ann, shown.seq)
    given = Opening(**CHAIN, peer=bob.id, challenge=asked.seq, opened="ab" * 32, opened_bytes=7)
    with pytest.raises(InvalidEntry) as caught:
        judged(bob, ann, given)
    refused(caught, "opening", "answers no challenge")
    ann.fetch(bob)
    assert isinstance(judged(bob, ann, given), Checked)


def test_a_challenge_of_data_from_long_before_is_not_guessed_at() -> None:
    swarm = Swarm(["ann", "bob"])
    ann, bob = swarm["ann"], swarm["bob"]
    shown = announce(ann, ROWS)
    for _ in range(9):
        ann.announce_data()
    for _ in range(12):
        ann.publish(CHANGE)
    swarm.exchange()
    snapshot = swarm.founder.snapshot().seq
    asked = challenge(bob, ann, shown.seq)
    reader = joiner("eve", swarm.founder, swarm.founder.id, snapshot, 8)
    with pytest.raises(NeedsHistory):
        reader.replica.check(bob.id, asked.data)
    whole = joiner("eve", swarm.founder, swarm.founder.id, snapshot, 64)
    assert isinstance(whole.replica.check(bob.id, asked.data), Checked)


@pytest.mark.parametrize("swapped", [False, True])
def test_an_opening_that_is_false_for_two_data_entries_ends_what_counts_from_the_earlier_one(swapped: bool) -> None:
    """Its challenger has two histories, each asks for other data at one index, and it answers neither."""
    swarm = Swarm(["ann", "bob", "cyd"])
    ann, bob, cyd = (swarm[name] for name in ("ann", "bob", "cyd"))
    early, late = announce(ann, ROWS), announce(ann, records(30))
    swarm.exchange()
    halves = [bob, bob.twin()]
    order = (late, early) if swapped else (early, late)
    one, _ = (challenge(half, ann, shown.seq) for half, shown in zip(halves, order, strict=True))
    for half in halves:
        ann.fetch(half)
        cyd.fetch(half)
    given = answer(ann, early, one, blob=b"nothing")
    cyd.fetch(ann)
    accuse(cyd, ann, given)
    assert early.seq < late.seq
    assert cyd.replica.void_from(ann.id) == early.seq


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_branches_that_are_both_false_everybody_charges_the_same_one(first: int) -> None:
    """At one index each answers a branch of the challenger with the same nonsense, about data at different places."""
    swarm = Swarm(["ann", "bob", "cyd"])
    ann, bob, cyd = (swarm[name] for name in ("ann", "bob", "cyd"))
    ann.publish(CHANGE)
    swarm.exchange()
    branches, askers = [ann, ann.twin()], [bob, bob.twin()]
    early = announce(branches[0], ROWS)
    branches[0].publish(CHANGE)
    branches[1].publish(-CHANGE)
    late = announce(branches[1], ROWS)
    given = []
    for branch, asker, shown in zip(branches, askers, (early, late), strict=True):
        asker.fetch(branch)
        asked = challenge(asker, branch, shown.seq)
        branch.fetch(asker)
        given.append(answer(branch, shown, asked, blob=b"nothing"))
    assert given[0].seq == given[1].seq
    for number in (first, 1 - first):
        cyd.fetch(branches[number])
    accuse(cyd, ann, given[0])
    ((_, charge),) = cyd.replica.branches.get(cyd.id).charges
    assert charge.index == min(early.seq, late.seq)


def test_a_breach_names_the_one_rule_that_somebody_does_not_enforce() -> None:
    """Who forgets one rule still leaves out what breaks another one, too."""
    swarm = Swarm(["ann"])
    ann = swarm["ann"]
    one, both = ann.publish(CHANGE), ann.publish(-2 * CHANGE)
    left_out = LeftOut()
    left_out.note(ann.id, one.seq, {"update.steps.max"})
    left_out.note(ann.id, both.seq, {"update.steps.max", "data.records.min"})
    fold = ann.fold
    assert fold is not None
    places = {(ann.id, checked.seq): _term(ann, checked) for checked in (one, both)}

    def explained(*folded: Checked) -> str:
        """Of a model with these once more than it should have."""
        terms = [places[ann.id, checked.seq] for checked in folded]
        for term in terms:
            fold.add(*term)
        claimed = fold.model_hash()
        for term in terms:
            fold.remove(*term)
        before = fold.model_hash()
        said = left_out.explain(fold, places, claimed, places.get)
        assert fold.model_hash() == before
        return said

    assert explained(one) == "1 updates that the policy leaves out (update.steps.max)"
    assert explained(one, both) == "2 updates that the policy leaves out (data.records.min, update.steps.max)"
    assert explained(both) == ""  # nobody folds that who enforces any rule


def _term(peer: Peer, checked: Checked) -> tuple[object, int]:
    assert peer.fold is not None
    assert checked.weight
    return peer.fold.arithmetic.decode(peer.blobs[checked.blob or ""], peer.fold.parameters), checked.weight
