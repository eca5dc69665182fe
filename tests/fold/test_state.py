"""A replica opened from a snapshot's state document decides like one that holds everything, or says that it cannot."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.canonical import entry_hash
from ledger.entry import Member, Snapshot
from ledger.errors import LocalError, RemoteError
from ledger.fold import Fold
from ledger.replica import Checked, Disputed, NeedsHistory, Replica, fork_of, peer_of
from ledger.state import imprint
from ledger.state_document import state_document
from ledger.state_opening import open_state
from tests.fold.public import inspected_swarm
from tests.fold.stories import busy_swarm, checked_entries, governed_swarm, random_blob, troubled_swarm
from tests.fold.toy import CHAIN, POLICY, Peer, Swarm, enrol

CHANGE = np.linspace(-0.1, 0.1, 16)
FAR = 64  # steps that reach back to the beginning of a short history


def snapshots_of(replica: Replica) -> list[tuple[str, int, Snapshot]]:
    found = []
    for log, size in replica.heads().items():
        for seq in range(fork_of(log), size):
            entry = replica.entry(log, seq)
            if isinstance(entry, Snapshot):
                found.append((log, seq, entry))
    return found


def opened(full: Replica, log: str, seq: int, steps: int = FAR) -> Replica:
    entry = full.entry(log, seq)
    assert isinstance(entry, Snapshot)
    return open_state(state_document(full, log, seq, steps), full.data(full.founder, 0), POLICY.encode(), entry)


def before(full: Replica, log: str, seq: int) -> dict[str, int]:
    """The past of a snapshot: without its own entry."""
    return full.past(log, seq + 1) | {log: seq}


def joiner(name: str, other: Peer, log: str, seq: int, steps: int = FAR) -> Peer:
    """Somebody who was given a snapshot, its state document and its model: no log."""
    full = other.replica
    peer = Peer(name, entry_hash(enrol(full.swarm, name)), opened(full, log, seq, steps), dict(other.blobs))
    peer.fold = Fold(full.genesis.layout, full.genesis.seed, NumpyArithmetic())
    for _, _, delta, weight in full.terms(before(full, log, seq)):
        peer.fold.add(peer.fold.arithmetic.decode(peer.blobs[delta], peer.fold.parameters), weight)
    entry = full.entry(log, seq)
    assert isinstance(entry, Snapshot)
    assert peer.model_hash() == entry.model
    return peer


def outcome(checked: Checked) -> tuple[Any, ...]:
    out = checked.outcome
    return (
        checked.hash,
        checked.blob,
        checked.norm,
        checked.weight,
        checked.ruling,
        out.basis,
        out.row,
        out.tip.unsnapped,
    )


def go_on(replica: Replica, entries: list[Checked], blobs: dict[str, bytes]) -> tuple[list[Checked], int]:
    """Take whatever can be decided; what is decided must be what those with all of history said. The rest, and how
    often history was missed."""
    missed, moved = 0, True
    while moved:
        moved, rest = False, []
        for known in entries:
            try:
                log = replica.strand_for(peer_of(known.log), known.data)
                checked = replica.check(log, known.data) if log and replica.size(log) == known.seq else None
                if isinstance(checked, Checked):
                    assert outcome(checked) == outcome(known)
                    replica.admit(checked, blobs.get(checked.blob or "", b""))
                    moved = True
                    continue
            except NeedsHistory:
                missed += 1
            except Disputed:  # cites a branch that comes later in this list
                pass
            rest.append(known)
        entries = rest
    return entries, missed


def after(full: Replica, order: list[Checked], log: str, seq: int) -> list[Checked]:
    past = before(full, log, seq)
    held = {entry_hash(full.data(name, at)) for name, size in past.items() for at in range(fork_of(name), size)}
    return [checked for checked in order if checked.hash not in held]


# ------------------------------------------------------------------ whoever is opened goes on like everybody


@given(seed=st.integers(0, 10_000), peers=st.integers(2, 6))
@settings(max_examples=5)
def test_an_opened_replica_decides_like_one_that_holds_everything(seed: int, peers: int):
    """Joiners after the snapshot, members, data, snapshots by others, updates beyond the policy, old views."""
    swarm = busy_swarm(seed, peers=peers, events=150)
    entries = list(checked_entries(swarm))
    full, order = entries[-1][0], [checked for _, checked in entries]
    found = snapshots_of(full)
    log, seq, _ = found[len(found) // 3]
    coming = after(full, order, log, seq)
    replica = opened(full, log, seq)
    assert go_on(replica, coming, swarm.founder.blobs) == ([], 0)
    assert replica.heads() == full.heads() | {order[-1].log: order[-1].seq + 1}
    short = opened(full, log, seq, 8)
    rest, missed = go_on(short, coming, swarm.founder.blobs)
    assert (missed > 0) == (rest != [])  # whatever is not decided waits for one that says what it lacks


@pytest.mark.parametrize("seed", range(4))
def test_so_it_does_where_admins_change_the_policy(seed: int):
    """It knows every policy that was asked for, in force or not: who saw less is ruled on by another one."""
    swarm = governed_swarm(seed, threshold=1 + seed % 2)
    entries = list(checked_entries(swarm))
    full, order = entries[-1][0], [checked for _, checked in entries]
    for log, seq, _ in snapshots_of(full):
        coming = after(full, order, log, seq)
        replica = opened(full, log, seq)
        assert go_on(replica, coming, swarm.founder.blobs) == ([], 0)
        assert replica.policy_now().hash == swarm.founder.replica.policy_now().hash


@pytest.mark.parametrize("seed", range(6))
def test_so_it_does_in_troubled_swarms_or_says_what_it_lacks(seed: int):
    """Branches, accusations, recoveries and finals in the snapshot's past, and after it."""
    swarm = troubled_swarm(seed)
    entries = list(checked_entries(swarm))
    full, order = entries[-1][0], [checked for _, checked in entries]
    for log, seq, _ in snapshots_of(full)[1::3]:
        coming = after(full, order, log, seq)
        rest, missed = go_on(opened(full, log, seq), coming, swarm.founder.blobs)
        assert (missed > 0) == (rest != [])


def test_most_of_the_troubles_are_decided():
    decided = left = 0
    for seed in range(12, 15):
        swarm = troubled_swarm(seed)
        entries = list(checked_entries(swarm))
        full, order = entries[-1][0], [checked for _, checked in entries]
        for log, seq, _ in snapshots_of(full)[1::3]:
            coming = after(full, order, log, seq)
            rest, _ = go_on(opened(full, log, seq), coming, swarm.founder.blobs)
            decided, left = decided + len(coming) - len(rest), left + len(rest)
    assert decided > 3 * left


@pytest.mark.parametrize("seed", range(3))
def test_a_joiner_without_history_becomes_a_member_and_everybody_agrees(seed: int):
    """It trains, snapshots and sees keys change and a log signed twice: its word and its model are everybody's."""
    luck = Random(seed)
    swarm = Swarm(["ann", "bob", "cyd"], witnesses=["founder", "ann", "bob"])
    live(luck, swarm, 60)
    swarm.exchange()
    snapshot = swarm["ann"].snapshot().seq
    swarm.founder.fetch(swarm["ann"])
    eve = joiner("eve", swarm.founder, swarm["ann"].id, snapshot)
    eve.take(eve.id, enrol(swarm.swarm, "eve"))
    eve.fetch(swarm.founder)
    swarm.founder.take(eve.id, enrol(swarm.swarm, "eve"))
    swarm.founder.write(Member(**CHAIN, peer=eve.id, role="trainer", expires=0))
    eve.fetch(swarm.founder)
    swarm.peers["eve"] = eve
    eve.announce_data()
    live(luck, swarm, 60)
    swarm.exchange()
    swarm["ann"].final(swarm["ann"].snapshot().seq, [swarm.founder, swarm["bob"]])
    swarm["bob"].rotate()
    twin = swarm["cyd"].twin()
    index = twin.replica.size(twin.id)
    swarm["cyd"].publish(CHANGE)
    twin.publish(-CHANGE)
    swarm.exchange("founder", "ann", "bob", "eve")
    swarm["bob"].fetch(twin)
    swarm["bob"].fetch(swarm["cyd"])
    swarm["bob"].accuse_twins(swarm["cyd"], twin, index)
    swarm["bob"].publish(CHANGE)
    del swarm.peers["cyd"]
    live(luck, swarm, 40)
    swarm.exchange()
    state, updates = eve.replica.snapshot_facts(eve.id, eve.replica.draft(eve.id))
    last = eve.snapshot()
    assert isinstance(last.entry, Snapshot)
    assert (last.entry.state, last.entry.updates) == (state, updates)
    swarm.exchange()  # everybody recomputes it
    assert len({peer.model_hash() for peer in swarm.peers.values()}) == 1
    assert last.entry.model == eve.model_hash()
    assert eve.replica.heads().keys() == swarm.founder.replica.heads().keys()
    assert eve.replica.role_of(swarm["ann"].id) == "trainer"
    assert eve.replica.member_by_key(swarm.founder.replica.key_of(swarm["bob"].id)) == swarm["bob"].id


def live(luck: Random, swarm: Swarm, events: int) -> None:
    for _ in range(events):
        name = luck.choice(sorted(swarm.peers))
        match luck.randrange(8):
            case 0 | 1 | 2:
                swarm[name].fetch(swarm[luck.choice(sorted(swarm.peers))])
            case 3 if luck.random() < 0.3:
                swarm[name].announce_data()
            case 4 if luck.random() < 0.3:
                swarm[name].snapshot()
            case _:
                swarm[name].publish_blob(random_blob(luck, 16, exponent=-10))


# ------------------------------------------------------------------ what is true of documents


@pytest.mark.parametrize("seed", range(3, 6))
def test_whoever_writes_it_a_document_is_the_same(seed: int):
    """Whatever it calls the trunk of a log that was signed twice, and however much it holds besides."""
    swarm = troubled_swarm(seed)
    one, other = swarm.founder.replica, swarm["ann"].replica
    found = snapshots_of(one)
    for log, seq, _ in found:
        theirs = other.strand_for(peer_of(log), one.data(log, seq))
        assert theirs is not None
        assert state_document(other, theirs, seq) == state_document(one, log, seq)
    assert found


def test_who_was_opened_from_a_document_writes_later_ones_like_anybody():
    swarm = busy_swarm(9, events=120)
    entries = list(checked_entries(swarm))
    full, order = entries[-1][0], [checked for _, checked in entries]
    found = sorted(snapshots_of(full), key=lambda item: sum(before(full, *item[:2]).values()))
    log, seq, _ = found[len(found) // 3]
    replica = opened(full, log, seq)
    go_on(replica, after(full, order, log, seq), swarm.founder.blobs)
    later = found[-3:]
    for name, at, _ in later:
        assert state_document(replica, name, at) == state_document(full, name, at)


def test_imprints_are_the_same_whether_remembered_or_not():
    swarm = troubled_swarm(5)
    for log in swarm.founder.replica.branches.logs.values():
        upto = log.tip.size
        remembered = [imprint(log, size) for size in range(upto + 1)]
        log.imprints, log.stretch = {}, None
        assert [imprint(log, size) for size in reversed(range(upto + 1))] == remembered[::-1]


def left_behind() -> Swarm:
    """One has stopped long ago: what it had seen is further back than the steps of a document."""
    swarm = Swarm(["ann", "bob", "cyd"])
    for _ in range(20):
        for name in ("founder", "ann", "bob"):
            swarm[name].publish(CHANGE)
        swarm.exchange("founder", "ann", "bob")
    swarm["ann"].snapshot()
    swarm.exchange()
    return swarm


@pytest.mark.parametrize("steps", [8, FAR])
@pytest.mark.parametrize(
    "story",
    [busy_swarm(4, events=60), troubled_swarm(43, events=40), left_behind(), governed_swarm(2), inspected_swarm(2)],
    ids=["busy", "troubled", "left behind", "governed", "inspected"],
)
def test_every_changed_field_of_a_document_is_found(story: Swarm, steps: int):
    full = story.founder.replica
    log, seq, entry = snapshots_of(full)[-1]
    data, genesis = state_document(full, log, seq, steps), full.data(full.founder, 0)
    open_state(data, genesis, POLICY.encode(), entry)
    kinds: set[str] = set()
    luck = Random(1)
    for kind, altered in changed(json.loads(data)):
        rare = kind.endswith((".data", ".last", ".marks", ".final", ".roots", ".challenges", ".openings", "policies"))
        if kind in kinds and not rare and luck.random() > 0.03:
            continue
        kinds.add(kind)
        lie = json.dumps(altered, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert lie != data
        with pytest.raises(RemoteError):
            open_state(lie, genesis, POLICY.encode(), entry)
    assert {"branches.frontier", "branches.steps.0", "branches.row", "branches.keys", "branches.last"} <= kinds
    assert bool(full.asked()) == bool(json.loads(data)["policies"])
    assert "cyd" not in story.peers or steps == FAR or "branches.roots" in kinds


def changed(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The document with one value changed, or one item left out or there twice; and the name of the place."""
    value = document
    for step in path:
        value = value[step]
    kind = ".".join(str(step) for step in path if isinstance(step, str))
    match value:
        case dict():
            for name in value:
                yield from changed(document, (*path, name))
            return
        case list():
            if kind.endswith("steps") and len(path) > 3:
                kind += f".{path[-1]}"
            for at in range(len(value)):
                yield from changed(document, (*path, at))
            bends = [value[:-1], value[1:], [*value, value[-1]]] if value else [[1], [[0, 0]]]
        case int():
            bends = [value + 1, max(0, value - 1) if value else 7]
        case str():
            middle = len(value) // 2
            bends = [
                value[:middle] + ("1" if value[middle : middle + 1] != "1" else "2") + value[middle + 1 :],
                value + "0",
            ]
        case _:
            raise AssertionError(value)
    for bend in bends:
        if bend != value:
            copy = json.loads(json.dumps(document))
            at = copy
            for step in path[:-1]:
                at = at[step]
            if path:
                at[path[-1]] = bend
                yield (kind, copy)


def test_a_true_document_is_of_one_snapshot_one_swarm_and_one_policy():
    swarm = busy_swarm(6, events=80)
    full = swarm.founder.replica
    (log, seq, entry), (_, _, another) = snapshots_of(full)[:2]
    data, genesis = state_document(full, log, seq), full.data(full.founder, 0)
    lies = [
        (data, genesis, POLICY.encode(), another),
        (data, genesis, b"policy = 1\n", entry),
        (data, genesis[:-1], POLICY.encode(), entry),
        (data[:-1], genesis, POLICY.encode(), entry),
        (b" " + data, genesis, POLICY.encode(), entry),
        (b"", genesis, POLICY.encode(), entry),
        (data, genesis, POLICY.encode(), msgspec.structs.replace(entry, updates=entry.updates + 1)),
    ]
    for lie in lies:
        with pytest.raises(RemoteError):
            open_state(*lie)
    with pytest.raises(LocalError, match="only snapshots"):
        state_document(full, log, seq - 1)


def test_a_document_is_small():
    """What a joiner fetches in place of the logs: some 2 KB for each peer on the wire."""
    swarm = Swarm([f"peer{number}" for number in range(19)])
    hub = swarm.founder
    for peer in swarm.peers.values():  # all of them write from one replica
        peer.replica, peer.blobs, peer.fold = hub.replica, hub.blobs, hub.fold
    luck = Random(2)
    for _ in range(20):
        for peer in swarm.peers.values():
            peer.publish_blob(random_blob(luck, 16, exponent=-10))
    snapshot = hub.snapshot().seq
    data = state_document(hub.replica, hub.id, snapshot)
    print(f"20 peers: {len(data)} bytes, {len(zlib.compress(data))} deflated")
    assert len(zlib.compress(data)) < 20 * 2500
    assert len(data) < 20 * 6000


# ------------------------------------------------------------------ what it lacks


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(["ann", "bob", "cyd"], witnesses=["founder", "ann", "bob"])


def heard(swarm: Swarm, rounds: int = 12) -> int:
    """Everybody publishes and hears everybody; then ann snapshots: its seq."""
    for _ in range(rounds):
        for peer in swarm.peers.values():
            peer.publish(CHANGE)
        swarm.exchange()
    snapshot = swarm["ann"].snapshot().seq
    swarm.exchange()
    return snapshot


def test_an_author_that_was_cut_off_for_long_is_not_guessed_at(swarm: Swarm):
    cyd = swarm["cyd"]
    early = cyd.twin()
    early.views = early.replica.heads()
    snapshot = heard(swarm)
    eve = joiner("eve", swarm.founder, swarm["ann"].id, snapshot, 8)
    eve.fetch(swarm["ann"])
    stale = cyd.publish(CHANGE, view=early.views)  # trained from a model older than the document's steps
    swarm.founder.blobs.update(cyd.blobs)
    with pytest.raises(NeedsHistory, match="the weights up to"):
        eve.replica.check(cyd.id, stale.data)
    fresh = swarm["bob"].publish(CHANGE)
    assert isinstance(eve.replica.check(swarm["bob"].id, fresh.data), Checked)


def test_a_second_branch_or_an_accusation_below_the_snapshot_is_not_guessed_at(swarm: Swarm):
    cyd = swarm["cyd"]
    twin = cyd.twin()
    index = twin.replica.size(twin.id)
    other = twin.publish(-CHANGE)
    snapshot = heard(swarm)
    eve = joiner("eve", swarm.founder, swarm["ann"].id, snapshot)
    eve.fetch(swarm["ann"])
    with pytest.raises(NeedsHistory):
        eve.replica.strand_for(cyd.id, other.data)
    bob = swarm["bob"]
    held, model = eve.replica.heads(), eve.model_hash()
    charge = bob.accuse_twins(cyd, twin, index)
    eve.blobs.update(bob.blobs)
    checked = eve.replica.check(bob.id, charge.data)
    assert isinstance(checked, Checked)
    with pytest.raises(NeedsHistory, match="updates from"):
        eve.replica.admit(checked, bob.blobs[charge.blob or ""])
    assert (eve.replica.heads(), eve.model_hash()) == (held, model)  # nothing was changed
    assert isinstance(eve.replica.check(cyd.id, cyd.publish(CHANGE).data), Checked)


def test_a_recovery_from_below_the_snapshot_is_not_guessed_at(swarm: Swarm):
    snapshot = heard(swarm)
    eve = joiner("eve", swarm.founder, swarm["ann"].id, snapshot)
    eve.fetch(swarm["ann"])
    bob, cyd = swarm["bob"], swarm["cyd"]
    since = cyd.replica.size(cyd.id)
    cyd.publish(CHANGE)
    eve.fetch(cyd)
    cyd.recover(since)
    eve.fetch(cyd)
    assert eve.model_hash() == cyd.model_hash()
    taken = bob.recover(3)
    checked = eve.replica.check(bob.id, taken.data)
    assert isinstance(checked, Checked)
    with pytest.raises(NeedsHistory, match="updates from"):
        eve.replica.admit(checked)
    assert eve.replica.key_of(bob.id) != bob.replica.key_of(bob.id)


def test_data_and_finals_from_long_before_are_not_guessed_at(swarm: Swarm):
    ann, bob = swarm["ann"], swarm["bob"]
    old = ann.snapshot().seq
    for _ in range(9):
        bob.announce_data()
    snapshot = heard(swarm, rounds=40)
    everything = joiner("eve", swarm.founder, ann.id, snapshot)
    eve = joiner("eve", swarm.founder, ann.id, snapshot, 8)
    for joined in (everything, eve):
        joined.fetch(ann)
    final = ann.final(old, [swarm.founder, bob])
    update = bob.publish(CHANGE)  # on the first of its data sets
    assert isinstance(everything.replica.check(ann.id, final.data), Checked)
    assert isinstance(everything.replica.check(bob.id, update.data), Checked)
    with pytest.raises(NeedsHistory):
        eve.replica.check(ann.id, final.data)
    with pytest.raises(NeedsHistory, match="data entry"):
        eve.replica.check(bob.id, update.data)


def test_entries_from_before_are_not_held_and_an_older_snapshot_has_no_document_here(swarm: Swarm):
    old = swarm["ann"].snapshot().seq
    snapshot = heard(swarm)
    eve = joiner("eve", swarm.founder, swarm["ann"].id, snapshot, 8)
    assert eve.replica.data(swarm["bob"].id, eve.replica.size(swarm["bob"].id) - 1)
    assert eve.replica.genesis.name == "toy"
    for question in (
        lambda: eve.replica.data(swarm["bob"].id, 2), lambda: list(eve.replica.updates),
        lambda: eve.replica.root(swarm["bob"].id, 2), lambda: state_document(eve.replica, swarm["ann"].id, old),
    ):  # fmt: skip
        with pytest.raises(NeedsHistory):
            question()
    told = swarm["ann"].replica.data(swarm["ann"].id, snapshot)
    assert isinstance(eve.replica.check(swarm["ann"].id, told), Checked)
