"""What counts where branches, recoveries and finals meet: corners in which only one reading of the rules is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ledger.canonical import encode_entry
from ledger.chain import Disputed, fork_of, heads_hash, peer_of
from ledger.checkpoint import origin
from ledger.entry import Anchor
from ledger.errors import RemoteError
from ledger.fork import check_evidence, make_evidence
from ledger.replica import Checked
from ledger.standing import unviewed
from tests.fold.test_forks import assert_folded, of, tip_of, twins
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(["ann", "bob", "cyd"], witnesses=["founder", "ann", "bob"])


def healed(swarm: Swarm) -> tuple[Peer, Peer, int]:
    """An owner that has rotated, a thief that went on with the old key, and where they part."""
    cyd = swarm["cyd"]
    cyd.publish(CHANGE)
    thief = cyd.twin()
    index = cyd.rotate().seq
    for number in range(1, 4):
        cyd.publish(CHANGE * number)
        thief.publish(CHANGE * -number)
    return cyd, thief, index


@pytest.mark.parametrize("thief_first", [False, True])
def test_of_two_branches_the_one_that_counts_further_stands_for_its_author(swarm: Swarm, thief_first: bool):
    """Whichever of them came first: weights are of what the author's log counts, not of what a thief's does."""
    cyd, thief, index = healed(swarm)
    ann = swarm["ann"]
    for twin in (thief, cyd) if thief_first else (cyd, thief):
        ann.fetch(twin)
    update = ann.publish(CHANGE)
    tip = tip_of(ann, ann, update.seq + 1)
    (slot,) = [slot for slot in tip.trainers if tip.roster[slot].peer == cyd.id]
    assert tip.limits.get(slot, tip.sizes[slot]) == tip.sizes[slot] == cyd.replica.size(cyd.id)
    assert [tip.limits[at] for at in tip.limits] == [index]  # the thief's


def test_who_has_seen_more_of_a_branch_than_counts_is_not_ahead(swarm: Swarm):
    """What a view shows beyond the fork makes nothing else fresher."""
    cyd, double, index = twins(swarm, shared=2)
    ann, bob = swarm["ann"], swarm["bob"]
    ann.fetch(bob)
    view = ann.replica.heads()
    bob.publish(CHANGE)
    for other in (cyd, double, bob):
        ann.fetch(other)
    fields = ann.replica.draft(ann.id)
    tip = ann.replica._redo(ann.id, fields)
    missing = ann.replica.weight_of(bob.id, ann.replica.size(bob.id) - 1)
    for size in (index, index + 1, index + 2):
        shown = {**ann.replica.heads(), bob.id: view[bob.id], cyd.id: size}
        assert unviewed(tip, dict(ann.replica.view(ann.id, fields, shown))) == missing > 0


def test_what_goes_on_after_a_thief_is_unviewed_until_it_is_seen(swarm: Swarm):
    cyd, thief, index = healed(swarm)
    ann = swarm["ann"]
    for twin in (thief, cyd):  # the branch that counts is not the first one here
        ann.fetch(twin)
    strand = next(name for name in ann.replica.strands(cyd.id) if fork_of(name))
    fields = ann.replica.draft(ann.id)
    tip, log = ann.replica._redo(ann.id, fields), ann.replica._held.get(strand)
    shown = {name: size for name, size in ann.replica.heads().items() if name != strand}
    assert unviewed(tip, dict(ann.replica.view(ann.id, fields, shown))) == log.weight[index + 4] - log.weight[index] > 0


@pytest.mark.parametrize("thief_first", [False, True])
def test_a_recovery_takes_out_what_its_own_branch_holds_and_not_what_another_wrote_after_they_parted(
    swarm: Swarm, thief_first: bool
):
    cyd, thief, index = healed(swarm)
    thief.recover(since=1)  # with the key that was promised, on the branch that lost
    reader = swarm.observer()
    for twin in (thief, cyd) if thief_first else (cyd, thief):
        reader.fetch(twin)
    assert len(reader.replica.strands(cyd.id)) == 2
    assert of(reader, cyd) == [index + 1, index + 2, index + 3]  # without the one that both branches have
    assert_folded(reader)


def test_a_final_protects_nothing_in_pasts_that_do_not_hold_it(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    ann.fetch(cyd)
    snapshot = ann.snapshot()
    for peer in (founder, bob):
        peer.fetch(ann)
    final = ann.final(snapshot.seq, [founder, bob])
    ann.fetch(double)
    heads = ann.replica.heads()
    for size, counted in ((final.seq + 1, [index - 1, index, index + 1]), (final.seq, [index - 1])):
        found = ann.replica.terms({**heads, ann.id: size})
        assert sorted(seq for log, seq, _, _ in found if peer_of(log) == cyd.id) == counted


@pytest.mark.parametrize("fork", [True, False], ids=["two branches", "one branch"])
def test_one_branch_is_not_cited_twice_as_if_it_were_two(swarm: Swarm, fork: bool):
    """An entry that names one peer twice, and shows two sizes of one history: `heads` alone would agree."""
    cyd, double, index = twins(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    for other in (cyd, double):
        bob.fetch(other)
    ann.fetch(bob)
    tip = tip_of(bob, ann, bob.replica.size(ann.id))
    strand = next(name for name in bob.replica.strands(cyd.id) if fork_of(name))
    cited = [(cyd.id, index + 2), (strand, index + 2) if fork else (cyd.id, index + 1)]
    held = {log.id: size for log, size in zip(tip.roster, tip.sizes, strict=True)}
    assert cyd.id not in held
    known = bob.replica.past(cyd.id, index + 2)
    more = {name: size for name, size in known.items() if name not in (cyd.id, ann.id) and size > held.get(name, 0)}
    meets = [*(peer_of(name) for name in more if name not in held), cyd.id, cyd.id]
    names = [*held, *(name for name in more if name not in held)]
    seen = sorted((names.index(name), size) for name, size in more.items())
    seen += [(len(names) + at, size) for at, (_, size) in enumerate(cited)]
    sizes = [*({**held, **more}).items(), *cited]
    rows = [
        bytes.fromhex(peer_of(name)) + size.to_bytes(8, "big") + bob.replica.root(name, size) for name, size in sizes
    ]
    fields = replace(
        ann.replica.draft(ann.id), seq=tip.size, prev=tip.head, meets=meets, seen=seen, heads=heads_hash(rows)
    )
    entry = encode_entry(fields.stamp(Anchor(**CHAIN, size=1, token="ab" * 32, bytes=1), NOW))
    if fork:
        assert isinstance(bob.replica.check(ann.id, entry), Checked)
    else:
        with pytest.raises(Disputed, match="names a peer twice"):
            bob.replica.check(ann.id, entry)


def test_evidence_carries_nothing_but_the_evidence(swarm: Swarm):
    """One spelling of the same two halves: nobody may hang words on an accusation that others then carry."""
    cyd, double, index = twins(swarm)
    name, keys = origin(cyd.replica.swarm, cyd.id), lambda size: {key_of("cyd").public}
    halves = cyd.proven(cyd.id, index, "cyd"), double.proven(cyd.id, index, "cyd")
    check_evidence(make_evidence(*halves), name, index, keys)
    for at in (0, 1):
        more = list(halves)
        more[at] = (halves[at][0], replace(halves[at][1], extra=b"hello"))
        with pytest.raises(RemoteError, match="something extra"):
            check_evidence(make_evidence(*more), name, index, keys)
