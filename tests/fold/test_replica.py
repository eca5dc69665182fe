"""What the replica lets in: every rule of an entry and its past, broken one at a time."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import numpy as np
import pytest

from gossip.merging.codec import encode_update
from ledger.canonical import encode, entry_hash
from ledger.chain import InvalidEntry
from ledger.drafting import MAX_MEETS
from ledger.entry import GRID_ONE, AnyEntry, Data, Enrol, Member, Snapshot, Update
from ledger.errors import LocalError, RemoteError
from ledger.policy import Breach
from ledger.replica import Checked, Replica, Waiting, open_delta
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, constants, enrol, genesis, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(["ann", "bob"])


def next_update(peer: Peer, **changes: object) -> Update:
    """An update that `peer` could publish now, not yet taken by anybody."""
    clone = Swarm(["ann", "bob"])[peer.name]  # the same keys and seeds give the same swarm, so the same bytes
    for log, size in peer.replica.heads().items():
        assert clone.replica.size(log) <= size
    clone.fetch(peer)
    published = clone.publish(CHANGE).entry
    peer.blobs.update(clone.blobs)
    assert isinstance(published, Update)
    return msgspec.structs.replace(published, **changes)


def refused_rule(peer: Peer, entry: AnyEntry) -> str:
    with pytest.raises(InvalidEntry) as caught:
        peer.replica.check(peer.id, encode(entry))
    assert caught.value.log == peer.id
    assert caught.value.seq == peer.replica.size(peer.id)
    return caught.value.rule


def drafted(peer: Peer, entry: AnyEntry) -> AnyEntry:
    return peer.replica.draft(peer.id).stamp(entry, NOW)


# ------------------------------------------------------------------ the chain


def test_an_update_is_admitted_once_its_past_is(swarm: Swarm):
    published = swarm["ann"].publish(CHANGE)
    late = swarm.observer()
    late.blobs = dict(swarm["ann"].blobs)
    answers = [late.replica.check(log, data) for log, seq, data in swarm.everything() if seq == 0]
    assert [type(answer) for answer in answers].count(Checked) == 3  # genesis and two enrol entries stand alone
    late.fetch(swarm["ann"])
    assert late.replica.entry(published.log, published.seq) == published.entry


def test_waiting_says_which_logs_must_come_first(swarm: Swarm):
    swarm["ann"].publish(CHANGE)
    swarm["bob"].fetch(swarm["ann"])
    published = swarm["bob"].publish(CHANGE)
    founder = swarm.founder  # has bob's log up to here, but not ann's update
    before = founder.replica.heads()
    answer = founder.replica.check(published.log, published.data)
    assert answer == Waiting(((swarm["ann"].id, before[swarm["ann"].id] + 1),))
    assert founder.replica.heads() == before


def test_asking_twice_gives_the_same_answer_and_changes_nothing(swarm: Swarm):
    published = swarm["ann"].publish(CHANGE)
    heads = swarm.founder.replica.heads()
    first = swarm.founder.replica.check(published.log, published.data)
    swarm.founder.fetch(swarm["bob"])
    assert swarm.founder.replica.check(published.log, published.data) == first
    assert swarm.founder.replica.heads() == heads


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("prev", "00" * 32, "place"),
        ("swarm", "00" * 32, "place"),
        ("seq", 7, "place"),
        ("heads", "00" * 32, "heads"),
        ("seen", [(9, 1)], "seen"),
        ("seen", [(0, 1)], "seen"),  # less of the founder's log than it has seen before
        ("meets", ["ab" * 32, "cd" * 32], "meets"),
        ("data", 0, "data"),
        ("bytes", 5, "delta"),
        ("bytes", 10**6, "delta"),
        ("norm", (1 << 41) + 1, "delta"),
        ("weight", 1, "weight"),
        ("v", 2, "format"),
    ],
)
def test_a_lie_in_one_field_breaks_one_rule(swarm: Swarm, field: str, value: object, rule: str):
    ann = swarm["ann"]
    lie = next_update(ann, **({"meets": []} if field == "seen" else {}), **{field: value})
    assert refused_rule(ann, lie) == rule


def test_only_a_log_that_grew_is_named_as_seen(swarm: Swarm):
    ann = swarm["ann"]
    again = ann.replica.past(ann.id, ann.replica.size(ann.id))[swarm.founder_id]
    assert refused_rule(ann, next_update(ann, meets=[], seen=[(0, again)])) == "seen"


def test_the_norm_an_update_claims_moves_its_weight(swarm: Swarm):
    ann = swarm["ann"]
    honest = next_update(ann)
    large = msgspec.structs.replace(honest, norm=honest.norm * 1000)
    assert refused_rule(ann, large) == "weight"


def test_a_view_must_be_part_of_what_was_seen(swarm: Swarm):
    ann = swarm["ann"]
    whole = swarm.founder.replica.size(swarm.founder_id)
    assert refused_rule(ann, next_update(ann, view=[(0, whole)])) == "format"  # one entry alone shows this
    ann.publish(CHANGE)
    assert refused_rule(ann, next_update(ann, view=[(0, whole)])) == "delta"
    assert refused_rule(ann, next_update(ann, view=[(5, 0)])) == "delta"


def test_whoever_has_seen_an_entry_has_seen_what_it_saw(swarm: Swarm):
    ann, bob = swarm["ann"], swarm["bob"]
    ann.publish(CHANGE)  # meets bob
    bob.publish(CHANGE)
    swarm.founder.fetch(bob)
    swarm.founder.publish(CHANGE)
    ann.fetch(swarm.founder)
    honest = drafted(ann, ann.replica.entry(ann.id, 1))
    (founder, founder_size), (_, bob_size) = honest.seen
    assert refused_rule(ann, msgspec.structs.replace(honest, seen=[(founder, founder_size)])) == "closed"
    assert refused_rule(ann, msgspec.structs.replace(honest, seen=[(1, bob_size)])) == "heads"
    assert isinstance(ann.replica.check(ann.id, encode(honest)), Checked)


def test_a_peer_cannot_introduce_itself_or_somebody_twice(swarm: Swarm):
    ann = swarm["ann"]
    swarm["bob"].publish(CHANGE)
    ann.fetch(swarm["bob"])
    entry = drafted(ann, ann.replica.entry(ann.id, 1))
    for stranger in (ann.id, swarm.founder_id):
        assert refused_rule(ann, msgspec.structs.replace(entry, meets=[stranger])) == "meets"


def test_only_the_next_entry_can_be_admitted_and_only_once(swarm: Swarm):
    published = swarm["ann"].publish(CHANGE)
    founder = swarm.founder
    founder.blobs.update(swarm["ann"].blobs)
    checked = founder.take(published.log, published.data)
    assert isinstance(checked, Checked)
    with pytest.raises(LocalError, match="not the next"):
        founder.replica.admit(checked)


def test_a_log_ends_at_its_first_invalid_entry_and_so_does_whoever_cites_it(swarm: Swarm):
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    held = founder.replica.size(ann.id)
    ann.publish(CHANGE)
    bob.fetch(ann)
    citing = bob.publish(CHANGE)
    assert isinstance(founder.replica.check(bob.id, citing.data), Waiting)
    founder.replica.end(ann.id, held)  # pretend that its entry had been a lie: the rule is the same
    with pytest.raises(InvalidEntry) as caught:
        founder.replica.check(bob.id, citing.data)
    assert caught.value.rule == "seen"
    with pytest.raises(InvalidEntry) as caught:
        founder.replica.check(ann.id, ann.replica.data(ann.id, held))
    assert caught.value.rule == "ended"
    founder.publish(CHANGE)  # nobody else is held up


# ------------------------------------------------------------------ who may do what


def test_a_stranger_may_enrol_and_nothing_else(swarm: Swarm):
    stranger = swarm.newcomer("eve", entry_hash(enrol(swarm.swarm, "eve")))
    stranger.take(stranger.id, enrol(swarm.swarm, "eve"))
    stranger.fetch(swarm.founder)
    assert refused_rule(stranger, drafted(stranger, swarm["ann"].replica.entry(swarm["ann"].id, 1))) == "role"
    lonely = Snapshot(**CHAIN, model="00" * 32, state="00" * 32, updates=0)
    assert refused_rule(stranger, drafted(stranger, lonely)) == "role"


def test_an_observer_may_not_publish(swarm: Swarm):
    watcher = swarm.join("watcher", role="observer")
    data = swarm["ann"].replica.entry(swarm["ann"].id, 1)
    assert isinstance(data, Data)
    assert refused_rule(watcher, drafted(watcher, data)) == "role"
    watcher.snapshot()
    assert watcher.id not in watcher.replica.trainers()


def test_a_peer_admitted_later_cannot_publish_before_it_has_seen_that(swarm: Swarm):
    first = enrol(swarm.swarm, "dan")
    dan = swarm.newcomer("dan", entry_hash(first))
    dan.take(dan.id, first)
    dan.fetch(swarm["ann"])
    swarm.founder.take(dan.id, first)
    swarm.founder.write(Member(**CHAIN, peer=dan.id, role="trainer", expires=0))
    data = swarm["ann"].replica.entry(swarm["ann"].id, 1)
    early = encode(drafted(dan, data))
    for peer in (dan, swarm.founder):  # who knows of the admission decides just as who does not
        with pytest.raises(InvalidEntry) as caught:
            peer.replica.check(dan.id, early)
        assert caught.value.rule == "role"


def test_only_an_admin_admits(swarm: Swarm):
    first = enrol(swarm.swarm, "dan")
    ann = swarm["ann"]
    ann.take(entry_hash(first), first)
    entry = Member(**CHAIN, peer=entry_hash(first), role="trainer", expires=0)
    assert refused_rule(ann, drafted(ann, entry)) == "role"


def test_an_admin_admits_each_peer_and_each_key_once_and_only_after_it_enrolled(swarm: Swarm):
    founder = swarm.founder
    twin = enrol(swarm.swarm, "a second name", key=key_of("ann"))
    founder.take(entry_hash(twin), twin)
    for peer in (swarm["ann"].id, entry_hash(twin), "ab" * 32, swarm.founder_id):
        entry = Member(**CHAIN, peer=peer, role="trainer", expires=0)
        assert refused_rule(founder, drafted(founder, entry)) == "member"


def test_nobody_becomes_admin_without_a_key_in_the_genesis(swarm: Swarm):
    first = enrol(swarm.swarm, "dan")
    swarm.founder.take(entry_hash(first), first)
    entry = Member(**CHAIN, peer=entry_hash(first), role="admin", expires=0)
    assert refused_rule(swarm.founder, drafted(swarm.founder, entry)) == "member"


def test_an_enrol_with_a_key_of_small_order_is_refused(swarm: Swarm):
    good = msgspec.json.decode(enrol(swarm.swarm, "eve"))
    bad = encode(dict(good, key="01" + "00" * 31))
    with pytest.raises(InvalidEntry) as caught:
        swarm.founder.replica.check(entry_hash(bad), bad)
    assert caught.value.rule == "key"


def test_a_log_has_one_enrol_entry_and_bears_its_hash(swarm: Swarm):
    ann = swarm["ann"]
    again = drafted(ann, msgspec.structs.replace(ann.replica.entry(ann.id, 0), meets=[]))
    assert isinstance(again, Enrol)
    assert refused_rule(ann, again) == "place"
    with pytest.raises(InvalidEntry) as caught:
        swarm.founder.replica.check("cd" * 32, enrol(swarm.swarm, "eve"))
    assert caught.value.rule == "place"


def test_a_genesis_of_another_swarm_is_refused(swarm: Swarm):
    fresh = Replica(swarm.swarm, swarm.founder_id)
    with pytest.raises(InvalidEntry) as caught:
        fresh.check(swarm.founder_id, genesis(fold=constants(norm0=7)))
    assert caught.value.rule == "place"


# ------------------------------------------------------------------ updates, blobs, snapshots, policy


def test_a_blob_that_is_not_what_its_entry_says_ends_the_log_but_a_wrong_blob_only_the_link(swarm: Swarm):
    ann, founder = swarm["ann"], swarm.founder
    blob = encode_update(CHANGE, 1.0)[0]
    for lie in ({"norm": 5}, {"bytes": len(blob) + 1}):
        entry = next_update(ann, **lie)
        if "norm" in lie:  # the weight must fit the claimed norm, so that only the blob can tell
            fields = ann.replica.draft(ann.id)
            entry = msgspec.structs.replace(entry, weight=ann.replica.weigh(ann.id, fields, ann.replica.heads(), entry))
        checked = founder.replica.check(ann.id, encode(entry))
        assert isinstance(checked, Checked)
        with pytest.raises(InvalidEntry) as caught:
            open_delta(checked, blob, founder.fold)
        assert caught.value.rule == "delta"
        with pytest.raises(RemoteError) as messenger:
            open_delta(checked, blob[:-1], founder.fold)
        assert not isinstance(messenger.value, InvalidEntry)


def test_a_malformed_delta_ends_its_log_once_the_blob_is_held(swarm: Swarm):
    ann = swarm["ann"]
    broken = b"GSD1" + bytes(40)
    entry = next_update(ann, delta=sha256(broken).hexdigest(), bytes=len(broken))
    checked = swarm.founder.replica.check(ann.id, encode(entry))
    assert isinstance(checked, Checked)
    with pytest.raises(InvalidEntry):
        open_delta(checked, broken, swarm.founder.fold)


def test_an_update_beyond_the_policy_is_left_out_and_its_log_goes_on(swarm: Swarm):
    ann = swarm["ann"]
    before = ann.model_hash()
    outside = ann.publish(CHANGE, steps=1001)
    assert outside.refused == (Breach("update.steps.max", 1001, 1000),)
    assert outside.blob is None
    assert ann.model_hash() == before
    inside = ann.publish(CHANGE)
    assert inside.weight is not None
    swarm.exchange()
    assert {peer.model_hash() for peer in swarm.peers.values()} == {ann.model_hash()}


def test_a_snapshot_must_follow_from_its_past(swarm: Swarm):
    ann = swarm["ann"]
    ann.publish(CHANGE)
    fields = ann.replica.draft(ann.id)
    state, updates = ann.replica.snapshot_facts(ann.id, fields)
    for lie in ({"state": "00" * 32}, {"updates": updates + 1}):
        facts = {"state": state, "updates": updates} | lie
        assert refused_rule(ann, drafted(ann, Snapshot(**CHAIN, model=ann.model_hash(), **facts))) == "snapshot"


def test_a_peer_that_never_snapshots_is_stopped(swarm: Swarm):
    ann = swarm["ann"]
    for _ in range(16):
        ann.publish(CHANGE)
    assert ann.replica.snapshot_due(ann.id)
    fields = ann.replica.draft(ann.id)
    last = ann.replica.entry(ann.id, ann.replica.size(ann.id) - 1)
    assert refused_rule(ann, fields.stamp(last, NOW)) == "snapshot"
    ann.snapshot()
    ann.publish(CHANGE)


def test_genesis_waits_for_its_policy(swarm: Swarm):
    fresh = Replica(swarm.swarm, swarm.founder_id)
    checked = fresh.check(swarm.founder_id, genesis())
    assert isinstance(checked, Checked)
    assert checked.blob is not None
    with pytest.raises(LocalError, match="policy"):
        fresh.admit(checked)
    fresh.install_policy(b"policy = 1\n")
    with pytest.raises(LocalError, match="policy"):
        fresh.admit(checked)


# ------------------------------------------------------------------ a genesis from a stranger


@pytest.mark.parametrize(
    "changes",
    [
        {"layout": [{"bound": 0, "name": "w", "shape": [1 << 14, 1 << 14]}]},
        {"layout": [{"bound": 1 << 31, "name": "w", "shape": [4]}]},
        {"layout": [{"bound": 0, "name": 'w"', "shape": [4]}]},
        {"layout": [{"bound": 0, "name": "w", "shape": [1] * 9}]},
        {"fold": {"eta": GRID_ONE // 16 - 1}},
        {"fold": {"burst": 0}},
        {"fold": {"kappa": 1 << 50}},
        {"fold": {"norm0": 1 << 50}},
        {"fold": {"staleness": [1] * 1025}},
        {"threshold": 2},
        {"admins": ["01" + "00" * 31]},
    ],
)
def test_a_hostile_genesis_is_refused_before_anything_is_allocated(changes: dict):
    fields = msgspec.json.decode(genesis())
    for name, value in changes.items():
        fields[name] = fields[name] | value if isinstance(value, dict) else value
    data = encode(fields)
    fresh = Replica(entry_hash(data), "ab" * 32)
    with pytest.raises(InvalidEntry) as caught:
        fresh.check("ab" * 32, data)
    assert caught.value.rule == "format"


# ------------------------------------------------------------------ what people and peers ask


def test_members_are_found_by_key_and_role(swarm: Swarm):
    watcher = swarm.join("watcher", role="observer")
    replica = swarm.founder.replica
    assert replica.member_by_key(key_of("ann").public) == swarm["ann"].id
    assert replica.key_of(swarm["ann"].id) == key_of("ann").public
    assert replica.member_by_key(key_of("nobody").public) is None
    assert [replica.role_of(peer) for peer in (swarm.founder_id, swarm["ann"].id, watcher.id, "")] == [
        "admin", "trainer", "observer", "",
    ]  # fmt: skip
    assert set(replica.trainers()) == {swarm.founder_id, swarm["ann"].id, swarm["bob"].id}


def test_the_past_of_an_entry_is_what_it_had_seen(swarm: Swarm):
    ann = swarm["ann"]
    past = ann.replica.heads()
    published = ann.publish(CHANGE)
    swarm["bob"].publish(CHANGE)
    swarm.exchange()
    assert swarm.founder.replica.past(ann.id, published.seq + 1) == past | {ann.id: published.seq + 1}


def test_a_draft_takes_in_more_peers_than_fit_one_entry_step_by_step(swarm: Swarm):
    ann = swarm["ann"]
    crowd = MAX_MEETS + 10
    for number in range(crowd):
        first = enrol(swarm.swarm, f"guest {number}")
        ann.take(entry_hash(first), first)
    data = ann.replica.entry(ann.id, 1)
    fields = ann.replica.draft(ann.id)
    assert (len(fields.meets), fields.complete) == (MAX_MEETS, False)
    ann.write(data)
    fields = ann.replica.draft(ann.id)
    assert (len(fields.meets), fields.complete) == (crowd + 1 - MAX_MEETS, True)  # bob is new, too
    ann.write(data)
    assert ann.replica.draft(ann.id).seen == []
