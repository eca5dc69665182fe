"""Sketches, challenges, openings and accusations of openings: what is admitted, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from random import Random

import msgspec
import numpy as np
import pytest

from ledger.canonical import encode_entry, entry_hash
from ledger.entry import AnyEntry, Data, Opening, Snapshot
from ledger.errors import RemoteError
from ledger.inspection_rules import check_sketch
from ledger.opening import challenge_text, public_salt
from ledger.provenance import commit_records
from ledger.replica import Checked, InvalidEntry, NeedsHistory, Waiting
from ledger.standing import NEVER, void_from
from ledger.state import CHECKS_HELD
from tests.fold.public import Shown, accuse, announce, answer, challenge, inspected_swarm, opened, records
from tests.fold.stories import (
    SHORT,
    checked_entries,
    history_of,
    model_of,
    named_terms,
    named_weights,
    shuffled_delivery,
)
from tests.fold.test_state import after, go_on, joiner
from tests.fold.test_state import opened as opened_from
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, enrol, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)
ROWS = records(40)


@dataclass
class Story:
    swarm: Swarm
    ann: Peer  # the author
    bob: Peer  # the challenger
    cyd: Peer
    shown: Shown


@pytest.fixture
def story() -> Story:
    swarm = Swarm(["ann", "bob", "cyd"])
    shown = announce(swarm["ann"], ROWS)
    swarm.exchange()
    return Story(swarm, swarm["ann"], swarm["bob"], swarm["cyd"], shown)


def judged(reader: Peer, author: Peer, entry: AnyEntry) -> Checked | Waiting:
    """What a reader says of the next entry of an author's log."""
    return reader.replica.check(author.id, encode_entry(author.replica.draft(author.id).stamp(entry, NOW)))


def refused(caught: pytest.ExceptionInfo[InvalidEntry], rule: str, why: str) -> None:
    assert (caught.value.rule, why in str(caught.value)) == (rule, True), str(caught.value)


# ------------------------------------------------------------------ sketches


def test_a_data_entry_waits_for_its_sketch_which_must_be_of_its_tree(story: Story):
    ann, bob = story.ann, story.bob
    entry = ann.replica.entry(ann.id, story.shown.seq)
    assert isinstance(entry, Data)
    checked = judged(bob, ann, entry)
    assert isinstance(checked, Checked)
    assert checked.blob == entry.sketch
    blob = ann.blobs[entry.sketch]
    check_sketch(ann.id, entry, blob)
    with pytest.raises(RemoteError) as messenger:
        check_sketch(ann.id, entry, blob[:-1])
    assert not isinstance(messenger.value, InvalidEntry)
    other = commit_records(records(40, "eve"), public_salt(ann.replica.swarm))
    for lie in ({"root": other.root}, {"records": 39}, {"records": 4000}, {"sketch_bytes": len(blob) + 1}):
        with pytest.raises(InvalidEntry) as caught:
            check_sketch(ann.id, msgspec.structs.replace(entry, **lie), blob)
        assert caught.value.rule == "sketch", lie


@pytest.mark.parametrize("lie", [{"records": 39}, {"root": "ab" * 32}, {"sketch_bytes": 17}])
def test_who_announces_a_sketch_of_other_data_is_not_admitted(story: Story, lie: dict[str, object]):
    before = story.bob.replica.heads()
    with pytest.raises(InvalidEntry) as caught:
        announce(story.bob, ROWS, **lie)
    assert caught.value.rule == "sketch"
    assert story.bob.replica.heads() == before


# ------------------------------------------------------------------ challenges


@pytest.mark.parametrize(
    ("lies", "why"),
    [
        ({"hash": "ab" * 32}, "names no data entry"),
        ({"data": 1}, "names no data entry"),
        ({"data": 999}, "names no data entry"),
        ({"peer": "ab" * 32}, "names no data entry"),
        ({"count": 6}, "not signed with"),
        ({"signature": "ab" * 64}, "not signed with"),
    ],
)
def test_a_challenge_is_of_data_that_its_author_has_seen_and_is_signed(story: Story, lies: dict[str, object], why: str):
    with pytest.raises(InvalidEntry) as caught:
        challenge(story.bob, story.ann, story.shown.seq, **lies)
    refused(caught, "challenge", why)


def test_a_challenge_is_by_a_member_of_anothers_public_data(story: Story):
    swarm, ann = story.swarm, story.ann
    private = next(seq for seq in range(9) if isinstance(ann.replica.entry(ann.id, seq), Data))
    assert private != story.shown.seq
    with pytest.raises(InvalidEntry) as caught:
        challenge(story.bob, ann, private)
    refused(caught, "challenge", "private")
    with pytest.raises(InvalidEntry) as caught:
        challenge(ann, ann, story.shown.seq)
    refused(caught, "challenge", "its author's own")
    first = enrol(swarm.swarm, "eve")
    stranger = swarm.newcomer("eve", entry_hash(first))  # it enrols, and nobody admits it
    stranger.fetch(swarm.founder)
    stranger.take(stranger.id, first)
    with pytest.raises(InvalidEntry) as caught:
        challenge(stranger, ann, story.shown.seq)
    refused(caught, "role", "admitted")


def test_who_changed_its_key_challenges_with_the_new_one(story: Story):
    bob = story.bob
    bob.rotate()
    data = story.ann.replica.data(story.ann.id, story.shown.seq)
    text = challenge_text(bob.replica.swarm, bob.id, sha256(data).hexdigest(), 5)
    with pytest.raises(InvalidEntry) as caught:
        challenge(bob, story.ann, story.shown.seq, signature=key_of("bob").sign(text).hex())
    refused(caught, "challenge", "not signed")
    assert challenge(bob, story.ann, story.shown.seq)


def test_records_that_only_some_may_see_are_challenged_by_those():
    swarm = Swarm(["ann", "bob", "cyd"])
    ann, bob, cyd = (swarm[name] for name in ("ann", "bob", "cyd"))
    eve = swarm.join("eve", role="auditor")
    ann.fetch(swarm.founder)
    by_role = announce(ann, ROWS, opens=["auditor"])
    by_name = announce(ann, ROWS, opens=[bob.id])
    swarm.exchange()
    allowed = {
        (peer.name, shown.seq) for peer in (bob, cyd, eve, swarm.founder) for shown in (by_role, by_name)
        if may(peer, ann, shown)
    }  # fmt: skip
    assert allowed == {("eve", by_role.seq), ("bob", by_name.seq)}
    assert not ann.replica.entry(ann.id, by_role.seq).sketch


def may(peer: Peer, author: Peer, shown: Shown) -> bool:
    try:
        challenge(peer, author, shown.seq)
    except InvalidEntry as error:
        refused(pytest.ExceptionInfo.from_exception(error), "challenge", "not opened to its author")
        return False
    return True


# ------------------------------------------------------------------ openings


def test_an_opening_answers_a_challenge_of_ones_own_data_and_waits_for_no_blob(story: Story):
    asked = challenge(story.bob, story.ann, story.shown.seq)
    story.ann.fetch(story.bob)
    given = answer(story.ann, story.shown, asked)
    assert given.blob is None
    story.bob.replica.admit(story.bob.replica.check(story.ann.id, given.data))
    assert given.entry.opened not in story.bob.blobs
    blob = story.ann.blobs[given.entry.opened]
    assert not story.ann.replica.opens_falsely(story.ann.id, given.seq, blob)


def test_nothing_else_is_answered(story: Story):
    ann, bob, cyd = story.ann, story.bob, story.cyd
    asked = challenge(bob, ann, story.shown.seq)
    with pytest.raises(InvalidEntry) as caught:  # ann has not seen it
        answer(ann, story.shown, asked)
    refused(caught, "opening", "answers no challenge")
    for peer in (ann, cyd):
        peer.fetch(bob)
    with pytest.raises(InvalidEntry) as caught:  # it is none of cyd's data
        answer(cyd, story.shown, asked)
    refused(caught, "opening", "answers no challenge")
    entry = Opening(**CHAIN, peer=bob.id, challenge=asked.seq - 1, opened="ab" * 32, opened_bytes=7)
    with pytest.raises(InvalidEntry) as caught:
        judged(ann, ann, entry)
    refused(caught, "opening", "answers no challenge")
    answer(ann, story.shown, asked)
    with pytest.raises(InvalidEntry) as caught:
        answer(ann, story.shown, asked)
    refused(caught, "opening", "again")


def test_the_same_answer_is_refused_for_as_many_openings_as_a_state_holds(story: Story):
    ann, bob = story.ann, story.bob
    asked = [challenge(bob, ann, story.shown.seq, number=count) for count in range(1, CHECKS_HELD + 2)]
    ann.fetch(bob)
    for challenged in asked[:CHECKS_HELD]:
        answer(ann, story.shown, challenged)
    with pytest.raises(InvalidEntry):
        answer(ann, story.shown, asked[0])
    answer(ann, story.shown, asked[CHECKS_HELD])
    assert answer(ann, story.shown, asked[0])


# ------------------------------------------------------------------ accusations


def lied(story: Story, **how: object) -> Checked:
    """Ann publishes on her public data, and opens something else."""
    asked = challenge(story.bob, story.ann, story.shown.seq)
    story.ann.fetch(story.bob)
    given = answer(story.ann, story.shown, asked, **how)
    story.swarm.exchange()
    return given


def test_who_opens_what_it_did_not_commit_to_is_void_from_that_data_entry_on(story: Story):
    ann, bob = story.ann, story.bob
    early = ann.publish(CHANGE)
    given = lied(story, rows=records(40, "eve"))
    late = ann.publish(CHANGE)
    bob.fetch(ann)
    terms = len(list(bob.replica.updates))
    accuse(bob, ann, given)
    assert bob.replica.void_from(ann.id) == story.shown.seq
    assert bob.replica.accused_at(ann.id) == bob.replica.convicted_at(ann.id) == story.shown.seq
    assert story.shown.seq < early.seq < late.seq
    assert len(list(bob.replica.updates)) == terms - 2
    weight = bob.replica.weight_of(ann.id, early.seq)
    assert weight  # what was published stays what it was
    story.swarm.exchange()
    model_of(story.swarm)
    assert all(log != ann.id for log, *_ in story.cyd.replica.updates)


def test_updates_before_that_data_entry_stay():
    swarm = Swarm(["ann", "bob"])
    ann, bob = swarm["ann"], swarm["bob"]
    early = ann.publish(CHANGE)
    shown = announce(ann, ROWS)
    late = ann.publish(CHANGE)
    swarm.exchange()
    asked = challenge(bob, ann, shown.seq)
    ann.fetch(bob)
    given = answer(ann, shown, asked, blob=b"nothing of the sort")
    swarm.exchange()
    accuse(bob, ann, given)
    swarm.exchange()
    model_of(swarm)
    assert [seq for log, seq, *_ in swarm.founder.replica.updates if log == ann.id] == [early.seq]
    assert late.weight


@pytest.mark.parametrize("wrong", ["short", "long", "bent", "of another challenge"])
def test_every_way_of_opening_wrongly_convicts(story: Story, wrong: str):
    ann, bob, cyd = story.ann, story.bob, story.cyd
    asked = challenge(bob, ann, story.shown.seq)
    ann.fetch(bob)
    entry = asked.entry
    good = opened(ann, ROWS, entry)
    if wrong == "of another challenge":
        other = challenge(cyd, ann, story.shown.seq)
        ann.fetch(cyd)
        good = opened(ann, ROWS, other.entry)
    blob = {"short": good[:-1], "long": good + b"\0", "bent": good[:60] + bytes([good[60] ^ 1]) + good[61:]}.get(
        wrong, good
    )
    given = answer(ann, story.shown, asked, blob=blob)
    story.swarm.exchange()
    accuse(bob, ann, given)
    assert bob.replica.void_from(ann.id) == story.shown.seq


def test_a_length_that_is_not_the_blobs_convicts(story: Story):
    ann, bob = story.ann, story.bob
    asked = challenge(bob, ann, story.shown.seq)
    ann.fetch(bob)
    blob = opened(ann, ROWS, asked.entry)
    digest = sha256(blob).hexdigest()
    ann.blobs[digest] = blob
    given = ann.write(Opening(**CHAIN, peer=bob.id, challenge=asked.seq, opened=digest, opened_bytes=len(blob) + 1))
    story.swarm.exchange()
    accuse(bob, ann, given)
    assert bob.replica.void_from(ann.id) == story.shown.seq


def test_who_accuses_an_opening_that_is_true_breaks_a_rule(story: Story):
    ann, bob = story.ann, story.bob
    given = lied(story)  # though it is the truth
    before = bob.replica.heads()
    with pytest.raises(InvalidEntry) as caught:
        accuse(bob, ann, given)
    refused(caught, "accuse", "is what its data entry commits to")
    assert bob.replica.heads() == before
    assert bob.replica.void_from(ann.id) is None


@pytest.mark.parametrize(
    ("lies", "why"),
    [
        ({"index": 2}, "is no opening"),
        ({"evidence": "ab" * 32}, "is no opening"),
        ({"peer": "ab" * 32}, "is no opening"),
    ],
)
def test_an_accusation_names_an_opening_that_its_author_has_seen(story: Story, lies: dict[str, object], why: str):
    given = lied(story, blob=b"nothing")
    with pytest.raises(InvalidEntry) as caught:
        accuse(story.bob, story.ann, given, **lies)
    refused(caught, "accuse", why)


def test_who_has_not_seen_the_opening_cannot_accuse_of_it(story: Story):
    asked = challenge(story.bob, story.ann, story.shown.seq)
    story.ann.fetch(story.bob)
    given = answer(story.ann, story.shown, asked, blob=b"nothing")
    with pytest.raises(InvalidEntry) as caught:
        accuse(story.cyd, story.ann, given)
    refused(caught, "accuse", "is no opening")


def test_another_blob_is_the_messengers_fault_and_a_wrong_length_the_accusers(story: Story):
    given = lied(story, blob=b"nothing")
    checked = accuse(story.bob, story.ann, given)
    reader = story.cyd.replica
    known = reader.check(story.bob.id, checked.data)
    assert isinstance(known, Checked)
    with pytest.raises(RemoteError) as messenger:
        reader.admit(known, b"something")
    assert not isinstance(messenger.value, InvalidEntry)
    with pytest.raises(InvalidEntry) as caught:
        accuse(story.cyd, story.ann, given, bytes=9)
    refused(caught, "accuse", "says 9 bytes")


def test_of_records_that_only_some_may_see_nobody_is_accused():
    """The blob would have to be shown to everybody."""
    swarm = Swarm(["ann", "bob"])
    ann, bob = swarm["ann"], swarm["bob"]
    shown = announce(ann, ROWS, opens=[bob.id])
    swarm.exchange()
    asked = challenge(bob, ann, shown.seq)
    ann.fetch(bob)
    given = answer(ann, shown, asked, blob=b"nothing")
    bob.fetch(ann)
    with pytest.raises(InvalidEntry) as caught:
        accuse(bob, ann, given)
    refused(caught, "accuse", "not everybody may see")


def test_a_challenger_with_two_histories_traps_nobody(story: Story):
    """Both of its branches ask at one index; whoever answers one of them truly has answered."""
    ann, bob, cyd = story.ann, story.bob, story.cyd
    twin = bob.twin()
    one, other = challenge(bob, ann, story.shown.seq), challenge(twin, ann, story.shown.seq, number=7)
    assert one.seq == other.seq
    for half in (bob, twin):
        ann.fetch(half)
        cyd.fetch(half)
    given = answer(ann, story.shown, one)
    cyd.fetch(ann)
    with pytest.raises(InvalidEntry) as caught:
        accuse(cyd, ann, given)
    refused(caught, "accuse", "is what its data entry commits to")


def test_only_the_branch_that_holds_the_data_entry_is_void():
    swarm = Swarm(["ann", "bob"])
    ann, bob = swarm["ann"], swarm["bob"]
    twin = ann.twin()
    shown = announce(ann, ROWS)
    announce(twin, records(30))
    bob.fetch(ann)
    asked = challenge(bob, ann, shown.seq)
    ann.fetch(bob)
    given = answer(ann, shown, asked, blob=b"nothing")
    bob.fetch(ann)
    accuse(bob, ann, given)
    bob.fetch(twin)
    charges = [charge for _, charge in bob.replica.branches.get(bob.id).charges]
    assert [(charge.index, len(charge.halves)) for charge in charges] == [(shown.seq, 1)]
    for log in bob.replica.strands(ann.id):
        held = bob.replica.branches.get(log)
        mine = held.tree.leaf(shown.seq) == ann.replica.tree(ann.id).leaf(shown.seq)
        assert void_from((held, held.tip.size), (), charges) == (shown.seq if mine else NEVER)


def test_what_was_said_before_a_fork_is_said_on_both_branches():
    """The founder hears of ann's and bob's logs first as they are, then of what follows from their other branches."""
    swarm = Swarm(["ann", "bob", "cyd"], admins=["ann"])
    ann, bob, cyd, founder = (swarm[name] for name in ("ann", "bob", "cyd", "founder"))
    shown = announce(ann, ROWS)
    ann.ask_for(SHORT)
    swarm.exchange()
    asked = challenge(bob, ann, shown.seq)
    ann.fetch(bob)
    given = answer(ann, shown, asked, blob=b"nothing")
    second = challenge(bob, ann, shown.seq, number=3)
    halves = {peer.name: peer.twin() for peer in (ann, bob)}
    ann.publish(CHANGE, steps=3)
    bob.publish(CHANGE, steps=3)
    founder.fetch(ann)
    founder.fetch(bob)
    for peer in halves.values():
        peer.publish(-CHANGE, steps=3)
    twin = halves["ann"]
    twin.fetch(halves["bob"])
    answered = answer(twin, shown, second)
    cyd.fetch(twin)
    left = cyd.publish(CHANGE)  # beyond the policy that ann asked for
    assert left.refused
    charged = accuse(cyd, twin, given)
    assert answered.seq > given.seq
    founder.fetch(cyd)
    assert len(founder.replica.strands(ann.id)) == len(founder.replica.strands(bob.id)) == 2
    assert founder.replica.size(cyd.id) == charged.seq + 1
    assert founder.replica.weight_of(cyd.id, left.seq) is None
    assert all(founder.replica.void_from(log) == shown.seq for log in founder.replica.strands(ann.id))


# ------------------------------------------------------------------ all of it, in any order, and from a state


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_order_everybody_decides_alike(seed: int):
    swarm = inspected_swarm(seed)
    replica = swarm.founder.replica
    for order in range(4):
        observer = shuffled_delivery(swarm, Random(order))
        assert named_weights(observer.replica) == named_weights(replica)
        assert named_terms(observer.replica) == named_terms(replica)
        assert observer.model_hash() == swarm.founder.model_hash()


@pytest.mark.parametrize("seed", range(4))
def test_a_second_implementation_agrees(seed: int):
    swarm = inspected_swarm(seed)
    history = history_of(swarm)
    assert history.weight == named_weights(swarm.founder.replica)
    assert history.summed(set(history.entry)) == named_terms(swarm.founder.replica)
    for _, checked in checked_entries(swarm):
        if isinstance(checked.entry, Snapshot):
            assert history.state(checked.hash) == (checked.entry.state, checked.entry.updates)
            assert history.model(history.past[checked.hash]) == checked.entry.model


def test_the_inspected_swarms_are_inspected():
    kinds: list[str] = []
    void = 0
    for seed in range(12):  # one accusation in a past is all there can be of one data set
        swarm = inspected_swarm(seed)
        kinds += [checked.entry.__struct_config__.tag for _, checked in checked_entries(swarm)]
        void += swarm.founder.replica.void_from(swarm["bob"].id) is not None
        assert swarm.founder.replica.void_from(swarm["ann"].id) is None
    assert kinds.count("challenge") > 10
    assert kinds.count("opening") > 10
    assert kinds.count("accuse") > 2
    assert void > 0


@pytest.mark.parametrize("steps", [8, 64])
@pytest.mark.parametrize("seed", range(3))
def test_a_replica_opened_from_a_state_decides_alike_or_says_what_it_lacks(seed: int, steps: int):
    swarm = inspected_swarm(seed, events=90)
    entries = list(checked_entries(swarm))
    full, order = entries[-1][0], [checked for _, checked in entries]
    found = [
        (log, seq) for log, size in full.heads().items() for seq in range(size)
        if isinstance(full.entry(log, seq), Snapshot)
    ]  # fmt: skip
    for log, seq in found[1::3]:
        coming = after(full, order, log, seq)
        rest, missed = go_on(opened_from(full, log, seq, steps), coming, swarm.founder.blobs)
        assert (missed > 0) == (rest != [])
        assert steps == 8 or not rest


def test_an_answer_to_a_challenge_from_long_before_is_not_guessed_at(story: Story):
    swarm, ann, bob = story.swarm, story.ann, story.bob
    old = challenge(bob, ann, story.shown.seq)
    for count in range(1, CHECKS_HELD + 1):
        challenge(bob, ann, story.shown.seq, number=count)
    for _ in range(12):
        bob.publish(CHANGE)
    swarm.exchange()
    snapshot = swarm.founder.snapshot().seq
    reader = joiner("eve", swarm.founder, swarm.founder.id, snapshot, 8)
    given = answer(ann, story.shown, old)
    with pytest.raises(NeedsHistory):
        reader.replica.check(ann.id, given.data)
    whole = joiner("eve", swarm.founder, swarm.founder.id, snapshot, 64)
    assert isinstance(whole.replica.check(ann.id, given.data), Checked)


def test_an_accusation_of_an_opening_from_long_before_is_not_guessed_at(story: Story):
    swarm, ann, bob = story.swarm, story.ann, story.bob
    asked = [challenge(bob, ann, story.shown.seq, number=count) for count in range(1, CHECKS_HELD + 2)]
    ann.fetch(bob)
    given = [answer(ann, story.shown, one, blob=b"nothing" if one is asked[0] else b"") for one in asked]
    for _ in range(12):
        ann.publish(CHANGE)
    swarm.exchange()
    snapshot = swarm.founder.snapshot().seq
    reader = joiner("eve", swarm.founder, swarm.founder.id, snapshot, 8)
    charged = accuse(bob, ann, given[0])
    with pytest.raises(NeedsHistory):
        reader.replica.check(bob.id, charged.data)
    assert isinstance(
        joiner("eve", swarm.founder, swarm.founder.id, snapshot, 64).replica.check(bob.id, charged.data), Checked
    )
