"""A log signed twice: both branches are held, weights and the sum say what counts, and nobody needs to be asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import Book, restore
from ledger import standing
from ledger.canonical import encode_entry, entry_hash
from ledger.chain import Charge, Tip, fork_of, heads_hash, peer_of
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import Anchor, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.fold import Fold
from ledger.fork import make_evidence
from ledger.keys import PrivateKey
from ledger.merkle import leaf_hash
from ledger.proof import TlogProof
from ledger.rebuild import tip_at
from ledger.replica import Checked, InvalidEntry, Replica, Waiting
from ledger.standing import unviewed, void_from
from tests.fold.toy import CHAIN, NOW, POLICY, Peer, Swarm, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(["ann", "bob", "cyd"], witnesses=["founder", "ann", "bob"])


def twins(swarm: Swarm, name: str = "cyd", *, shared: int = 1) -> tuple[Peer, Peer, int]:
    """A peer and its double, each with two updates of its own after `shared` common ones; and where they part."""
    peer = swarm[name]
    for _ in range(shared):
        peer.publish(CHANGE)
    double = peer.twin()
    index = peer.replica.size(peer.id)
    for number in range(2):
        peer.publish(CHANGE * (number + 1))
        double.publish(CHANGE * -(number + 1))
    return peer, double, index


def terms(peer: Peer) -> list[tuple[str, int]]:
    return sorted((peer_of(log), seq) for log, seq, _, _ in peer.replica.updates)


def tip_of(peer: Peer, author: Peer, size: int) -> Tip:
    """The tip of an author's log at that size, as a peer makes it again."""
    return tip_at(peer.replica._held.get(author.id), size, entry_hash(peer.replica.data(author.id, size - 1)))


def of(peer: Peer, author: Peer) -> list[int]:
    return [seq for log, seq in terms(peer) if log == author.id]


def assert_folded(peer: Peer) -> None:
    """The model that was moved step by step is that of the terms added up anew."""
    anew = list(peer.replica.terms(peer.replica.heads()))
    assert anew == list(peer.replica.updates)
    genesis = peer.replica.genesis
    fold = Fold(genesis.layout, genesis.seed, peer.fold.arithmetic)
    for _, _, delta, weight in anew:
        fold.add(fold.arithmetic.decode(peer.blobs[delta], fold.parameters), weight)
    assert fold.model_hash() == peer.model_hash()


# ------------------------------------------------------------------ both branches are held


def test_an_accusation_of_what_is_on_record_moves_nothing_and_reckons_nothing(
    swarm: Swarm, monkeypatch: pytest.MonkeyPatch
):
    cyd, double, index = twins(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    ann.fetch(cyd)
    bob.fetch(cyd)
    bob.accuse_twins(cyd, double, index)  # at the same time as ann
    reckoned: list[object] = []
    cuts = standing.cuts
    monkeypatch.setattr(standing, "cuts", lambda *what: reckoned.append(what) or cuts(*what))
    ann.accuse_twins(cyd, double, index)
    assert len(reckoned) == 1
    assert of(ann, cyd) == [index - 1]
    with pytest.raises(InvalidEntry, match="an accusation that its author has seen does"):
        ann.accuse_twins(cyd, double, index)
    ann.fetch(bob)
    assert len(reckoned) == 1
    assert of(ann, cyd) == [index - 1]
    assert_folded(ann)
    reckoned.clear()
    swarm.founder.fetch(ann)  # and whoever reads it all does no more
    assert len(reckoned) == 1


def test_who_hears_of_both_branches_holds_both_and_counts_neither(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann = swarm["ann"]
    ann.fetch(cyd)
    assert of(ann, cyd) == [index - 1, index, index + 1]
    ann.fetch(double)
    trunk, strand = ann.replica.strands(cyd.id)
    assert (trunk, fork_of(strand), peer_of(strand)) == (cyd.id, index, cyd.id)
    assert ann.replica.data(strand, index) == double.replica.data(cyd.id, index)
    assert ann.replica.data(strand, index - 1) == cyd.replica.data(cyd.id, index - 1)
    assert ann.replica.root(strand, index + 2) == double.replica.root(cyd.id, index + 2)
    assert ann.replica.void_from(trunk) == ann.replica.void_from(strand) == index
    assert of(ann, cyd) == [index - 1]  # the terms of both branches have left the sum
    assert_folded(ann)


def test_whoever_came_first_is_the_trunk_and_nothing_else_depends_on_it(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    ann.fetch(cyd)
    bob.fetch(double)
    ann.fetch(double)
    bob.fetch(cyd)
    assert ann.replica.data(cyd.id, index) != bob.replica.data(cyd.id, index)
    assert ann.model_hash() == bob.model_hash()
    cited = ann.publish(CHANGE)
    assert isinstance(bob.deliver(ann.id, cited.data), Checked)
    answer = bob.publish(CHANGE)
    assert isinstance(ann.deliver(bob.id, answer.data), Checked)
    assert ann.model_hash() == bob.model_hash()
    snapshot = ann.snapshot()
    assert isinstance(bob.deliver(ann.id, snapshot.data), Checked)  # its state and count are the same there
    assert_folded(bob)


def test_citing_a_second_branch_names_the_peer_again(swarm: Swarm):
    cyd, double, _ = twins(swarm)
    ann = swarm["ann"]
    ann.fetch(cyd)
    assert cyd.id in ann.publish(CHANGE).entry.meets
    ann.fetch(double)
    entry = ann.publish(CHANGE).entry
    assert entry.meets == [cyd.id]
    assert ann.publish(CHANGE).entry.meets == []


def test_both_branches_can_be_met_in_one_entry_and_grow_after_it(swarm: Swarm):
    cyd, double, _ = twins(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    for peer, order in ((ann, (cyd, double)), (bob, (double, cyd))):
        for other in order:
            peer.fetch(other)
    assert ann.publish(CHANGE).entry.meets.count(cyd.id) == 2  # of one size, so their roots tell which is which
    double.publish(CHANGE)
    cyd.publish(CHANGE)
    ann.fetch(double)
    ann.publish(CHANGE)
    ann.fetch(cyd)
    ann.publish(CHANGE)
    bob.fetch(ann)
    assert bob.replica.size(ann.id) == ann.replica.size(ann.id)
    assert bob.model_hash() == ann.model_hash()


def test_a_branch_we_do_not_hold_stops_only_who_cites_it_until_it_comes(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    ann.fetch(cyd)
    bob.fetch(double)
    citing = bob.publish(CHANGE)
    before = ann.replica.heads()
    with pytest.raises(InvalidEntry) as caught:
        ann.take(bob.id, citing.data)
    assert caught.value.rule == "heads"  # disputed: nobody is blamed
    assert ann.replica.heads() == before
    ann.fetch(bob)  # brings the branch, too
    assert ann.replica.size(bob.id) == citing.seq + 1
    assert len(ann.replica.strands(cyd.id)) == 2
    assert index < ann.replica.size(cyd.id)


def test_a_forker_cannot_cite_who_has_cited_its_other_branch(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    ann.fetch(double)
    ann.publish(CHANGE)
    cyd.fetch(ann)
    assert cyd.replica.size(ann.id) < ann.replica.size(ann.id)  # an honest program cannot even take it in
    bob.fetch(cyd)
    bob.fetch(ann)
    forged = bob.replica.draft(bob.id)
    liar = Peer("cyd", cyd.id, bob.replica)  # a liar that holds everything, and writes on its trunk all the same
    with pytest.raises(LocalError, match="signed twice"):
        liar.replica.draft(cyd.id)
    # By hand: cyd's next entry says it has seen what bob saw, its own log left out.
    tip = tip_of(bob, cyd, bob.replica.size(cyd.id))
    sizes = {log.id: size for log, size in zip(tip.roster, tip.sizes, strict=True)}
    meets = [peer for peer in (ann.id,) if peer not in sizes]
    names = [*(log.id for log in tip.roster), *meets]
    now = {name: bob.replica.size(name) for name in names}
    seen = [(slot, now[name]) for slot, name in enumerate(names) if now[name] > sizes.get(name, 0)]
    sizes |= {names[slot]: size for slot, size in seen}
    roots = {name: bob.replica.root(name, size) for name, size in sizes.items()}
    rows = [bytes.fromhex(name) + size.to_bytes(8, "big") + roots[name] for name, size in sizes.items()]
    fields = replace(forged, seq=tip.size, prev=tip.head, meets=meets, seen=seen, heads=heads_hash(rows))
    entry = encode_entry(fields.stamp(Anchor(**CHAIN, size=1, token="ab" * 32, bytes=1), NOW))
    with pytest.raises(InvalidEntry) as refused:
        bob.replica.check(cyd.id, entry)
    assert refused.value.rule == "closed"
    assert type(refused.value) is InvalidEntry  # not disputed: its author lies, and its log ends
    assert index < tip.size


def test_one_and_the_same_entry_is_no_second_branch(swarm: Swarm):
    cyd, _, index = twins(swarm)
    ann = swarm["ann"]
    ann.fetch(cyd)
    size = ann.replica.size(cyd.id)
    with pytest.raises(LocalError, match="no second branch"):
        ann.replica.branch(cyd.id, index, cyd.replica.data(cyd.id, index))
    with pytest.raises(LocalError, match="no second branch"):
        ann.replica.branch(cyd.id, size, b"what comes next")
    assert ann.replica.strand_for(cyd.id, cyd.replica.data(cyd.id, index)) == cyd.id
    assert ann.replica.strands(cyd.id) == (cyd.id,)


def test_branches_of_branches(swarm: Swarm):
    cyd, double, index = twins(swarm)
    third = double.twin()
    third.publish(CHANGE * 3)
    double.publish(CHANGE * 4)
    models = set()
    for order in ((cyd, double, third), (third, cyd, double), (double, third, cyd), (third, double, cyd)):
        reader = swarm.observer()
        for twin in order:
            reader.fetch(twin)
        assert len(reader.replica.strands(cyd.id)) == 3
        assert of(reader, cyd) == [index - 1]
        assert_folded(reader)
        models.add(reader.model_hash())
    assert len(models) == 1


def test_a_tip_made_again_from_the_columns_is_the_tip(swarm: Swarm):
    cyd, double, _ = twins(swarm)
    ann = swarm["ann"]
    tips = {}
    for other in (cyd, double, swarm["bob"], swarm.founder):
        ann.fetch(other)
        ann.publish(CHANGE)
        ann.announce_data()
        tips[ann.replica.size(ann.id)] = tip_of(ann, ann, ann.replica.size(ann.id))
    for size, tip in tips.items():
        assert tip_of(ann, ann, size) == tip


# ------------------------------------------------------------------ weights


def test_a_fork_seen_counts_up_to_its_index_and_no_weight_of_others_moves(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    bob.fetch(cyd)
    early = bob.publish(CHANGE)
    ann.fetch(bob)
    ann.fetch(double)
    late = ann.publish(CHANGE)
    assert ann.replica.weight_of(bob.id, early.seq) == early.weight  # published before anybody knew
    tip = tip_of(ann, ann, late.seq + 1)
    (slot,) = [slot for slot in tip.trainers if tip.roster[slot].peer == cyd.id]
    assert tip.limits[slot] == index
    assert len(tip.limits) == 2


def test_an_accusation_counts_in_the_weights_of_those_who_have_seen_it(swarm: Swarm):
    cyd, double, index = twins(swarm, shared=2)
    ann, bob = swarm["ann"], swarm["bob"]
    for peer in (ann, bob):
        peer.fetch(cyd)
    ann.accuse_twins(cyd, double, index)
    for peer, counted in ((ann, index), (bob, cyd.replica.size(cyd.id))):
        update = peer.publish(CHANGE)
        tip = tip_of(peer, peer, update.seq + 1)
        (slot,) = [slot for slot in tip.trainers if tip.roster[slot].peer == cyd.id]
        assert tip.limits.get(slot, tip.sizes[slot]) == counted
        row = peer.replica._held.get(peer.id).row
        assert row.seen[row.peers.index(cyd.id)] == (3 if peer is ann else 5)  # its admission, and what counts


def test_only_what_counts_is_unviewed(swarm: Swarm):
    """Staleness is of work done without what counts, so not without what nobody counts."""
    ann, cyd = swarm["ann"], swarm["cyd"]
    ann.fetch(cyd)
    view = ann.replica.heads()
    _, double, index = twins(swarm, shared=3)
    ann.fetch(cyd)
    ann.fetch(double)
    fields = ann.replica.draft(ann.id)
    tip = ann.replica._redo(ann.id, fields)
    shown = dict(ann.replica.view(ann.id, fields, view))
    log = ann.replica._held.get(cyd.id)
    assert unviewed(tip, shown) == log.weight[index] > 0
    whole = dict(ann.replica.view(ann.id, fields, ann.replica.heads()))
    assert unviewed(tip, whole) == 0
    strand = next(name for name in ann.replica.strands(cyd.id) if fork_of(name))
    one_branch = {name: size for name, size in ann.replica.heads().items() if name != strand}
    assert unviewed(tip, dict(ann.replica.view(ann.id, fields, one_branch))) == 0  # it has the shared part


def test_a_rotation_at_the_fork_heals_it(swarm: Swarm):
    """A thief with the old key cannot void a log whose owner has rotated."""
    cyd = swarm["cyd"]
    cyd.publish(CHANGE)
    thief = cyd.twin()
    cyd.rotate()
    index = cyd.publish(CHANGE).seq
    thief.publish(-CHANGE)
    thief.publish(-CHANGE)
    for order in ((cyd, thief), (thief, cyd)):
        reader = swarm.observer()
        for twin in order:
            reader.fetch(twin)
        assert of(reader, cyd) == [index - 2, index]
        assert_folded(reader)
        assert reader.replica.member_by_key(key_of("cyd", 1).public) == cyd.id
        assert reader.replica.member_by_key(key_of("cyd").public) is None  # the thief's key opens no door


def test_two_rotations_at_one_index_heal_nothing(swarm: Swarm):
    cyd = swarm["cyd"]
    cyd.publish(CHANGE)
    double = cyd.twin()
    cyd.rotate()
    double.recover(since=double.replica.size(cyd.id))
    for twin in (cyd, double):
        twin.publish(CHANGE)
    reader = swarm.observer()
    reader.fetch(cyd)
    reader.fetch(double)
    assert len(of(reader, cyd)) == 1


# ------------------------------------------------------------------ accusations


def test_an_accusation_empties_a_log_for_people_who_hold_one_branch(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    ann.fetch(cyd)
    bob.fetch(cyd)
    bob.accuse_twins(cyd, double, index + 1)  # any index beyond the fork will do
    ann.fetch(bob)
    assert of(ann, cyd) == [index - 1, index]
    assert ann.replica.accused_at(cyd.id) == index + 1
    ann.accuse_twins(cyd, double, index)
    assert of(ann, cyd) == [index - 1]
    bob.fetch(ann)
    for peer in (ann, bob):
        assert_folded(peer)
    assert ann.model_hash() == bob.model_hash()


def test_evidence_that_is_lacking_or_wrong_admits_no_accusation(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann = swarm["ann"]
    ann.fetch(cyd)
    half = cyd.proven(cyd.id, index, "cyd")
    same = cyd.proven(cyd.id, index, "cyd", index + 1)
    with pytest.raises(LocalError, match="one entry"):
        make_evidence(half, same)  # an honest prefix has one leaf at one index
    other = double.proven(cyd.id, index, "cyd")
    forged = double.proven(cyd.id, index, "cyd")
    forged = (forged[0], replace_note(forged[1], double, cyd.id, key_of("bob")))
    wrong = make_evidence(half, double.proven(cyd.id, index + 1, "cyd"))
    for evidence, at in ((make_evidence(half, forged), index), (wrong, index), (make_evidence(half, other), index + 1)):
        with pytest.raises(InvalidEntry) as caught:
            ann.accuse(cyd.id, at, evidence)
        assert caught.value.rule == "accuse"
    good = make_evidence(half, other)
    with pytest.raises(InvalidEntry):
        ann.accuse(cyd.id, index, good.replace(b"fork/1", b"fork/2"))
    checked = ann.accuse(cyd.id, index, good)
    bob = swarm["bob"]
    bob.fetch(cyd)
    bob.fetch(swarm.founder)
    again = bob.replica.check(ann.id, ann.replica.data(ann.id, ann.replica.size(ann.id) - 1))
    if isinstance(again, Waiting):
        bob.blobs = dict(ann.blobs)
        bob.fetch(ann)
    else:
        with pytest.raises(RemoteError) as messenger:
            bob.replica.admit(again, b"something else")
        assert not isinstance(messenger.value, InvalidEntry)
    assert checked.blob is not None


def replace_note(proof: TlogProof, peer: Peer, log: PeerId, key: PrivateKey) -> TlogProof:
    size = peer.replica.size(log)
    checkpoint = Checkpoint(origin(peer.replica.swarm, log), size, peer.replica.root(log, size))
    return replace(proof, note=sign(checkpoint, key))


def test_a_thief_with_an_old_key_makes_no_evidence_against_who_has_rotated(swarm: Swarm):
    cyd, ann = swarm["cyd"], swarm["ann"]
    cyd.publish(CHANGE)
    thief = cyd.twin()
    other = cyd.twin()
    cyd.rotate()
    cyd.publish(CHANGE)
    for twin, way in ((thief, 1), (other, -1)):
        twin.publish(way * CHANGE)
        twin.publish(way * CHANGE)
    ann.fetch(cyd)
    index = thief.replica.size(cyd.id) - 1
    with pytest.raises(InvalidEntry):
        ann.accuse_twins(cyd, thief, index)  # ann knows which key signs at that size, and it is not the thief's
    with pytest.raises(InvalidEntry):
        ann.accuse_twins(thief, other, index)
    bob = swarm["bob"]
    bob.accuse_twins(thief, other, index)  # bob has not heard of the rotation: two entries, one key
    ann.fetch(bob)
    assert len(of(ann, cyd)) == 2  # it convicts the thief's branches, and not the one that goes on with the new key
    assert_folded(ann)


def test_a_charge_spares_an_entry_it_is_about_only_if_another_key_signed_the_other(swarm: Swarm):
    cyd, double, index = twins(swarm)
    reader = swarm.observer()
    reader.fetch(cyd)
    log = reader.replica._held.get(cyd.id)
    own, others = leaf_hash(cyd.replica.data(cyd.id, index)), leaf_hash(double.replica.data(cyd.id, index))
    old, new, strange = key_of("cyd").public, key_of("cyd", 1).public, key_of("bob").public
    size = log.tip.size
    for keys, convicted in (((old, old), True), ((old, new), True), ((old, strange), False)):
        charge = Charge(cyd.id, index, ((own, keys[0]), (others, keys[1])))
        assert (void_from((log, size), [], [charge]) == index) is convicted
        assert void_from((log, index), [], [charge]) > size  # a prefix before the index is untouched


# ------------------------------------------------------------------ recoveries and finals


def test_a_recovery_takes_out_what_the_thief_wrote(swarm: Swarm):
    cyd = swarm["cyd"]
    kept = cyd.publish(CHANGE).seq
    stolen = cyd.publish(CHANGE * 2).seq
    cyd.publish(CHANGE * 3)
    ann = swarm["ann"]
    ann.fetch(cyd)
    weight = ann.publish(CHANGE)
    cyd.recover(since=stolen)
    after = cyd.publish(CHANGE).seq
    ann.fetch(cyd)
    assert of(ann, cyd) == [kept, after]
    assert ann.replica.weight_of(cyd.id, stolen) is not None
    assert ann.replica.weight_of(ann.id, weight.seq) == weight.weight
    assert_folded(ann)


def test_what_a_final_snapshot_holds_no_later_evidence_moves(swarm: Swarm):
    cyd, double, index = twins(swarm)
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    ann.fetch(cyd)
    snapshot = ann.snapshot()
    for peer in (founder, bob):
        peer.fetch(ann)
    ann.final(snapshot.seq, [founder, bob])
    after = cyd.publish(CHANGE).seq
    ann.fetch(cyd)
    assert after in of(ann, cyd)
    ann.fetch(double)
    assert of(ann, cyd) == [index - 1, index, index + 1]  # the branch that the snapshot held, and no more
    assert_folded(ann)
    late = swarm.observer()
    for other in (double, cyd, ann):  # whoever hears of the final last puts back what had left
        late.fetch(other)
    assert terms(late) == terms(ann)
    assert late.model_hash() == ann.model_hash()


def test_a_final_protects_from_a_recovery_too(swarm: Swarm):
    cyd = swarm["cyd"]
    first = cyd.publish(CHANGE).seq
    snapshot = cyd.snapshot().seq
    for peer in (swarm.founder, swarm["ann"]):
        peer.fetch(cyd)
    cyd.final(snapshot, [swarm.founder, swarm["ann"]])
    second = cyd.publish(CHANGE).seq
    cyd.recover(since=first)
    assert of(cyd, cyd) == [first]
    assert second not in of(cyd, cyd)
    assert_folded(cyd)


def test_a_final_needs_a_majority_of_the_witnesses_over_this_very_snapshot(swarm: Swarm):
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    update = ann.publish(CHANGE).seq
    snapshot = ann.snapshot().seq
    swarm.exchange()
    for wrong in ((snapshot, [founder]), (snapshot, [founder, swarm["cyd"]]), (snapshot, []), (update, [founder, bob])):
        with pytest.raises(InvalidEntry) as caught:
            ann.final(*wrong)
        assert caught.value.rule == "final"
    bob.rotate()  # a witness keeps its office, whatever its key
    ann.fetch(bob)
    ann.final(snapshot, [founder, bob])
    nobody = Swarm(["ann"])["ann"]
    nobody.publish(CHANGE)
    with pytest.raises(InvalidEntry):
        nobody.final(nobody.snapshot().seq, [nobody])


# ------------------------------------------------------------------ the book of a peer


def test_a_book_moves_with_its_replica_and_comes_back_from_its_history(swarm: Swarm):
    """Every kind of entry that moves others' terms, one after another; and again from what the store kept."""
    cyd, double, index = twins(swarm)
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    ann.fetch(cyd)
    snapshot = ann.snapshot()
    for peer in (founder, bob):
        peer.fetch(ann)
    bob.accuse_twins(cyd, double, index)
    bob.publish(CHANGE)
    ann.final(snapshot.seq, [founder, bob])
    bob.recover(since=2)
    for other in (cyd, ann, bob, founder):
        double.fetch(other)
    ann.fetch(double)
    ann.publish(CHANGE)
    book = Book(Replica(swarm.swarm, swarm.founder_id), NumpyArithmetic(), ann.blobs.get)
    history: list[tuple[str, int, bytes]] = []
    blobs = {**ann.blobs, ann.replica.genesis.policy: POLICY.encode()}
    removed = 0
    waiting = [(peer_of(log), ann.replica.data(log, seq)) for log, size in ann.replica.heads().items()
               for seq in range(fork_of(log), size)]  # fmt: skip
    while waiting:
        left = []
        for peer, data in waiting:
            log = book.replica.strand_for(peer, data) if book.replica.has_genesis or peer == swarm.founder_id else None
            try:
                checked = book.replica.check(log, data) if log else None
            except InvalidEntry:
                checked = None
            if not isinstance(checked, Checked):
                left.append((peer, data))
                continue
            blob = (
                POLICY.encode() if checked.seq == 0 and peer == swarm.founder_id else ann.blobs.get(checked.blob or "")
            )
            removed += len(book.admit(checked, blob).removed)
            history.append((checked.log, checked.seq, data))
        assert len(left) < len(waiting)
        waiting = left
    assert removed > 0
    assert book.model_hash() == ann.model_hash()
    again = restore(swarm.swarm, swarm.founder_id, history, blobs.get, NumpyArithmetic())
    assert again.replica.heads() == book.replica.heads()
    assert again.model_hash() == book.model_hash()
    assert len(again.replica.strands(cyd.id)) == 2
    entry = next(at for at, (log, seq, _) in enumerate(history) if log == ann.id and seq == 1)
    bent = history[entry][2].replace(b'"heads":"', b'"heads":"0')[: len(history[entry][2])]
    with pytest.raises(LocalError, match="damaged"):
        restore(swarm.swarm, swarm.founder_id, [*history[:entry], (ann.id, 1, bent)], blobs.get, NumpyArithmetic())
