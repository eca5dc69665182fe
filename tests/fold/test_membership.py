"""Who is a member, as what, until when, and who answers for it: rules, and what several entries say together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import encode_entry, entry_hash
from ledger.entry import AnyEntry, Member
from ledger.membership import RANK, Membership, Word, guest_until, revoked_from
from ledger.replica import Checked, InvalidEntry
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, enrol, key_of

SEATS = st.builds(Membership, st.sampled_from(RANK), st.integers(0, 3), st.sampled_from(["", "a", "b"]))
WORDS = st.lists(st.builds(Word, st.sampled_from("abcd"), st.integers(0, 9), st.just(2)))


# ------------------------------------------------------------------ what several say


@given(SEATS, SEATS, SEATS)
def test_what_was_said_of_a_member_does_not_depend_on_the_order(
    one: Membership, two: Membership, three: Membership
) -> None:
    assert one.join(two) == two.join(one)
    assert one.join(two.join(three)) == one.join(two).join(three)
    assert one.join(one) == one.join(None) == one


@given(SEATS, SEATS)
def test_what_admins_say_stands_in_place_of_what_sponsors_say(one: Membership, two: Membership) -> None:
    both = one.join(two)
    assert both.house == "" or (one.house and two.house)
    if not one.house and two.house:
        assert both == one  # no sponsor makes a trainer who stands alone out of an admin's observer


@given(WORDS, st.builds(Word, st.sampled_from("abcd"), st.integers(0, 9), st.just(2)))
def test_more_words_only_lower_the_index_and_nothing_takes_one_back(words: list[Word], more: Word) -> None:
    before, after = revoked_from(words), revoked_from([more, *words])
    assert before is None or (after is not None and after <= before)
    assert revoked_from([*words, *words[::-1]]) == before
    if before is not None:
        assert len({word.admin for word in words if word.since <= before}) >= 2
        assert len({word.admin for word in words if word.since < before}) < 2


def test_a_guest_stays_no_longer_than_its_sponsor() -> None:
    for_ever, until = Membership("trainer"), Membership("trainer", 100)
    assert [guest_until(for_ever, wanted) for wanted in (0, 50, 200)] == [0, 50, 200]
    assert [guest_until(until, wanted) for wanted in (0, 50, 200)] == [100, 50, 100]
    assert [until.has_expired(now) for now in (99, 100)] == [False, True]
    assert not for_ever.has_expired(NOW)


# ------------------------------------------------------------------ who may let whom in


def drafted(peer: Peer, entry: AnyEntry) -> bytes:
    return encode_entry(peer.replica.draft(peer.id).stamp(entry, NOW))


def refused(reader: Peer, author: Peer, peer: str, role: str = "trainer", expires: int = 0) -> str:
    """Why an entry that lets a peer in is refused; "" if it is not."""
    entry = Member(**CHAIN, peer=peer, role=role, expires=expires)
    try:
        assert isinstance(reader.replica.check(author.id, drafted(author, entry)), Checked)
    except InvalidEntry as error:
        return error.why if error.rule in ("member", "role") else f"another rule: {error.rule}"
    return ""


def stranger(swarm: Swarm, name: str, *knowing: str, sponsor: str = "") -> Peer:
    """Somebody who has enrolled, and whose log these peers hold."""
    first = enrol(swarm.swarm, name, sponsor=swarm[sponsor].id if sponsor else "")
    peer = swarm.newcomer(name, entry_hash(first))
    peer.take(peer.id, first)
    for other in knowing:
        swarm[other].take(peer.id, first)
    return peer


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(["ann", "bob", "cyd"], admins=["ann", "zoe"], guests=2)


def test_a_trainer_lets_guests_in_and_answers_for_them(swarm: Swarm) -> None:
    bob, founder = swarm["bob"], swarm.founder
    gus = swarm.join("gus", by="bob")
    founder.fetch(bob)
    assert founder.replica.membership(gus.id) == Membership("trainer", 0, bob.id)
    assert founder.replica.member_by_key(key_of("gus").public) == gus.id
    assert gus.id in founder.replica.trainers()
    assert founder.replica.membership(bob.id) == Membership("trainer")
    assert bob.replica.may_let_in(bob.id)
    assert not bob.replica.may_let_in(gus.id)
    hal = stranger(swarm, "hal", "gus", "founder", "bob", sponsor="bob")
    founder.fetch(gus)
    assert refused(founder, gus, hal.id) == "a guest lets nobody in"
    assert "lets in somebody as auditor" in refused(founder, bob, hal.id, "auditor")
    assert "as admin" in refused(founder, bob, hal.id, "admin") or "genesis" in refused(founder, bob, hal.id, "admin")
    assert refused(founder, bob, hal.id, "relay") == ""
    bob.let_in(hal, "relay")
    ida = stranger(swarm, "ida", "bob", "founder", sponsor="bob")
    founder.fetch(bob)
    assert "2 peers are guests of that house" in refused(founder, bob, ida.id)
    assert refused(founder, bob, hal.id, "trainer") == ""  # who is a guest already may have a better role
    assert refused(founder, founder, ida.id) == ""


def test_where_genesis_allows_no_guests_a_trainer_lets_nobody_in() -> None:
    swarm = Swarm(["ann"])
    gus = stranger(swarm, "gus", "ann", "founder")
    assert "of kind member" in refused(swarm.founder, swarm["ann"], gus.id)
    assert not swarm.founder.replica.may_let_in(swarm["ann"].id)
    assert swarm.founder.replica.may_let_in(swarm.founder_id)
    assert not swarm.founder.replica.may_let_in(gus.id)


def test_nobody_stays_for_ever_through_a_guest(swarm: Swarm) -> None:
    dan = swarm.join("dan", expires=NOW + 100)
    gus = stranger(swarm, "gus", "dan", "founder", sponsor="dan")
    swarm.founder.fetch(dan)
    for expires in (0, NOW + 101):
        assert "longer than the member who lets it in" in refused(swarm.founder, dan, gus.id, expires=expires)
    assert refused(swarm.founder, dan, gus.id, expires=NOW + 100) == ""
    for expires in (0, NOW + 100):
        assert "says nothing of itself" in refused(swarm.founder, dan, dan.id, expires=expires)


def test_an_admin_does_not_stay_longer_by_its_own_word() -> None:
    """Let in until then, it is an admin until then, or until another admin says so."""
    swarm = Swarm(["ann"], admins=["bob"])
    bob = swarm.join("bob", role="admin", expires=NOW + 60)
    swarm.exchange()
    assert "says nothing of itself" in refused(swarm.founder, bob, bob.id, "admin")
    assert refused(bob, swarm.founder, bob.id, "admin") == ""


def test_nobody_draws_the_guests_of_others_into_its_house(swarm: Swarm) -> None:
    """Neither to make them weigh less, nor, by agreement, so that each of them looks like a house of one."""
    bob, cyd, founder = swarm["bob"], swarm["cyd"], swarm.founder
    gus = swarm.join("gus", by="bob")
    hal = stranger(swarm, "hal", "bob", "cyd", "founder")  # whom nobody has invited
    swarm.exchange()
    for peer in (gus, hal):
        assert "enrolled as the guest of another, or of nobody" in refused(founder, cyd, peer.id, expires=NOW + 200)
        assert "enrolled as the guest of another, or of nobody" in refused(founder, cyd, peer.id)
    assert "of nobody" in refused(founder, bob, hal.id)
    assert refused(founder, founder, hal.id) == ""  # an admin lets in whom it likes
    assert founder.replica.membership(gus.id) == Membership("trainer", 0, bob.id)


def test_an_admins_word_takes_the_place_of_a_sponsors(swarm: Swarm) -> None:
    bob, founder = swarm["bob"], swarm.founder
    gus = swarm.join("gus", by="bob", expires=NOW + 100)
    swarm.exchange()
    assert refused(founder, bob, gus.id, expires=NOW + 200) == ""  # its sponsor may have it stay longer
    assert "adds nothing" in refused(founder, bob, gus.id, "observer", NOW + 50)
    founder.let_in(gus, "observer")
    assert founder.replica.membership(gus.id) == Membership("observer")
    assert founder.replica.trainers() == tuple(sorted(swarm[name].id for name in ("founder", "ann", "bob", "cyd")))
    bob.fetch(founder)
    assert "adds nothing" in refused(founder, bob, gus.id)
    founder.let_in(gus)
    assert founder.replica.membership(gus.id) == Membership("trainer")


def test_what_two_admins_and_a_sponsor_say_at_once_is_one_membership(swarm: Swarm) -> None:
    first = stranger(swarm, "gus", "founder", "ann", "bob", sponsor="bob")
    swarm.founder.let_in(first, "observer", NOW + 100)
    swarm["ann"].let_in(first, "auditor", NOW + 50)
    swarm["bob"].let_in(first)
    swarm.exchange()
    assert {peer.replica.membership(first.id) for peer in swarm.peers.values()} == {Membership("auditor", NOW + 100)}
    assert first.replica.role_of(first.id) == "auditor"


def test_a_membership_is_renewed_and_said_twice_for_nothing(swarm: Swarm) -> None:
    founder = swarm.founder
    dan = swarm.join("dan", role="observer", expires=NOW + 100)
    for role, expires in (("observer", NOW + 100), ("observer", NOW + 50)):
        assert "adds nothing" in refused(founder, founder, dan.id, role, expires)
    founder.let_in(dan, "observer", NOW + 200)
    assert founder.replica.membership(dan.id) == Membership("observer", NOW + 200)
    founder.let_in(dan, "relay", NOW + 50)
    assert founder.replica.membership(dan.id) == Membership("relay", NOW + 200)
    founder.let_in(dan, "observer", 0)
    assert founder.replica.membership(dan.id) == Membership("relay")


def test_whose_time_is_over_writes_again_once_it_has_seen_a_renewal(swarm: Swarm) -> None:
    dan = swarm.join("dan", expires=NOW + 100)
    dan.clock = NOW + 100
    with pytest.raises(InvalidEntry) as caught:
        dan.snapshot()
    assert caught.value.rule == "expired"
    swarm.founder.let_in(dan, "observer", NOW + 500)
    dan.fetch(swarm.founder)
    dan.snapshot()
    swarm.founder.fetch(dan)


def test_keys_that_genesis_names_are_admins_and_need_nobody_to_be_let_in(swarm: Swarm) -> None:
    """The founder cannot make an admin less than it is, nor keep it out."""
    zoe = stranger(swarm, "zoe", "founder", "ann")
    zoe.fetch(swarm.founder)
    assert "lets in a key that genesis names as an admin as something else" in refused(
        swarm.founder, swarm.founder, zoe.id
    )
    gus = stranger(swarm, "gus", "zoe", "founder")
    assert refused(swarm.founder, zoe, gus.id) == ""
    zoe.let_in(zoe, "admin")
    zoe.let_in(gus)
    swarm.founder.fetch(zoe)
    assert swarm.founder.replica.membership(zoe.id) == Membership("admin")
    assert swarm.founder.replica.membership(gus.id) == Membership("trainer")
    assert "does not name" in refused(swarm.founder, zoe, swarm["bob"].id, "admin")


def test_a_key_belongs_to_one_member(swarm: Swarm) -> None:
    again = enrol(swarm.swarm, "another bob", key=key_of("bob"))
    swarm.founder.take(entry_hash(again), again)
    assert refused(swarm.founder, swarm.founder, entry_hash(again)) == "another member has that key"


def test_a_change_of_the_key_carries_the_membership_along(swarm: Swarm) -> None:
    bob, founder = swarm["bob"], swarm.founder
    gus = swarm.join("gus", by="bob", expires=NOW + 100)
    gus.rotate()
    bob.recover(bob.replica.size(bob.id))
    founder.fetch(gus)
    founder.fetch(bob)
    for peer in (bob, gus):
        assert founder.replica.member_by_key(key_of(peer.name, 1).public) == peer.id
        assert founder.replica.member_by_key(key_of(peer.name).public) is None
    assert founder.replica.membership(gus.id) == Membership("trainer", NOW + 100, bob.id)
    assert founder.replica.membership(bob.id) == Membership("trainer")
    hal = swarm.join("hal", by="bob")
    founder.fetch(bob)
    assert founder.replica.membership(hal.id) == Membership("trainer", 0, bob.id)
