"""Keys change to what was promised and to nothing else; who somebody is does not change with them."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.canonical import encode_entry, entry_hash
from ledger.entry import AnyEntry, Recover, Rotate
from ledger.keys import key_digest
from ledger.replica import Checked, InvalidEntry, Replica
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, enrol, key_of, promise_of

CHANGE = np.linspace(-0.1, 0.1, 16)


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(["ann", "bob"])


def refused(peer: Peer, entry: AnyEntry) -> str:
    with pytest.raises(InvalidEntry) as caught:
        peer.replica.check(peer.id, encode_entry(peer.replica.draft(peer.id).stamp(entry, NOW)))
    return caught.value.rule


def test_a_checkpoint_needs_the_key_in_force_at_its_size(swarm: Swarm):
    ann = swarm["ann"]
    at = ann.rotate().seq
    ann.publish(CHANGE)
    ann.rotate()
    swarm.exchange()
    replica = swarm.founder.replica
    keys = [key_of("ann", number).public for number in range(3)]
    sizes = [1, at, at + 1, at + 2, at + 3, at + 9]
    assert [replica.key_at(ann.id, size) for size in sizes] == [*keys[:1] * 2, *keys[1:2] * 2, *keys[2:] * 2]
    assert replica.key_of(ann.id) == keys[2]
    assert replica.promised(ann.id) == promise_of("ann", 3)
    assert replica.enrol_key_of(ann.id) == keys[0]
    first = swarm.founder_id
    assert replica.key_at(first, 1) == replica.key_at(first, 9) == key_of("founder").public


def test_a_stolen_key_cannot_rotate(swarm: Swarm):
    ann = swarm["ann"]
    thief = key_of("thief").public
    for public, following in ((thief, promise_of("ann", 1)), (key_of("ann").public, key_digest(thief))):
        assert refused(ann, Rotate(**CHAIN, key=public.hex(), next=following)) == "key"
        assert refused(ann, Recover(**CHAIN, key=public.hex(), next=following, since=1)) == "key"
    ann.rotate()
    assert refused(ann, Rotate(**CHAIN, key=key_of("ann", 1).public.hex(), next=key_digest(thief))) == "key"


def test_nobody_promises_themselves_a_key_that_is_somebodys_or_a_bad_point(swarm: Swarm):
    ann = swarm["ann"]
    dan = swarm.join("dan")  # of whom ann has not heard
    dan_key = key_of("dan").public
    ann.write(Rotate(**CHAIN, key=key_of("ann", 1).public.hex(), next=key_digest(dan_key)))
    ann.fetch(dan)
    assert refused(ann, Rotate(**CHAIN, key=dan_key.hex(), next=promise_of("ann", 2))) == "key"
    small_order = bytes.fromhex("01" + "00" * 31)
    bob = swarm["bob"]
    bob.write(Rotate(**CHAIN, key=key_of("bob", 1).public.hex(), next=key_digest(small_order)))
    assert refused(bob, Rotate(**CHAIN, key=small_order.hex(), next=promise_of("bob", 2))) == "key"


def test_a_rotated_admin_is_an_admin_and_a_rotated_member_is_found_by_old_promise_and_new_key(swarm: Swarm):
    founder, ann = swarm.founder, swarm["ann"]
    founder.rotate()
    swarm.exchange()
    dan = swarm.join("dan")  # the founder admits somebody under its second key
    ann.fetch(founder)
    assert ann.replica.role_of(dan.id) == "trainer"
    following = key_of("ann", 1).public
    assert founder.replica.member_by_key(following) == ann.id  # promised: it may dial in before its entry is known
    ann.rotate()
    founder.fetch(ann)
    assert founder.replica.member_by_key(following) == ann.id
    assert founder.replica.member_by_key(key_of("ann").public) is None
    assert founder.replica.member_by_key(key_of("ann", 2).public) == ann.id
    assert founder.replica.member_by_key(key_of("ann", 3).public) is None


def test_a_stranger_accuses_nobody(swarm: Swarm):
    cyd = swarm.join("cyd")
    double = cyd.twin()
    cyd.publish(CHANGE)
    double.publish(-CHANGE)
    at = cyd.replica.size(cyd.id) - 1
    watcher = swarm.join("watcher", role="observer")
    watcher.fetch(cyd)
    assert isinstance(watcher.accuse_twins(cyd, double, at), Checked)  # a member of any role may
    guest_swarm = Swarm(["ann", "bob"])
    first = enrol(guest_swarm.swarm, "guest")
    guest = guest_swarm.newcomer("guest", entry_hash(first))
    guest.take(guest.id, first)
    guest.fetch(guest_swarm.founder)
    ann = guest_swarm["ann"]
    twin = ann.twin()
    ann.publish(CHANGE)
    twin.publish(-CHANGE)
    with pytest.raises(InvalidEntry) as caught:
        guest.accuse_twins(ann, twin, ann.replica.size(ann.id) - 1)
    assert caught.value.rule == "role"


def test_a_replica_with_a_reader_keeps_no_entries(swarm: Swarm):
    ann = swarm["ann"]
    ann.publish(CHANGE)
    double = ann.twin()
    ann.publish(CHANGE)
    double.publish(-CHANGE)
    bob = swarm["bob"]
    bob.fetch(ann)
    bob.fetch(double)
    shelf: dict[tuple[str, int], bytes] = {}
    reader = Peer("reader", "", Replica(swarm.swarm, swarm.founder_id, lambda log, seq: shelf[log, seq]))
    kept_take = reader.take

    def take(log: str, data: bytes):
        seq = reader.replica.size(log)
        checked = kept_take(log, data)
        if isinstance(checked, Checked):
            shelf[log, seq] = data
        return checked

    reader.take = take
    reader.fetch(bob)
    assert reader.replica.heads() == bob.replica.heads()
    assert reader.model_hash() == bob.model_hash()
    strand = reader.replica.strands(ann.id)[1]
    assert reader.replica.data(strand, 0) == ann.replica.data(ann.id, 0)
    assert not reader.replica._entries
