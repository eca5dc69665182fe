"""A quorum of condemning verdicts takes an update out of the sum: the same for all, and nothing else moves."""

from __future__ import annotations

import json
from random import Random
from typing import Final

import msgspec
import numpy as np
import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.audit import Anchors, audit
from ledger.canonical import entry_hash
from ledger.condemned import quorum
from ledger.entry import Data, Snapshot, Update, Verdict
from ledger.errors import RemoteError
from ledger.fold import Fold, PlainArithmetic
from ledger.lineage import condemned_parts
from ledger.replica import InvalidEntry, NeedsHistory, fork_of, peer_of
from ledger.state import imprint
from ledger.state_document import state_document
from ledger.state_opening import open_state
from ledger.without import without
from tests.fold.bundles import contents_of
from tests.fold.judging import HARM, condemn, condemn_by, judged_swarm, judgement, of_kind, verdict
from tests.fold.stories import checked_entries, history_of, named_terms, named_weights, shuffled_delivery
from tests.fold.test_state import after, changed, go_on, joiner, opened, snapshots_of
from tests.fold.toy import CHAIN, POLICY, Peer, Swarm, enrol
from tests.thorough import times

JUDGED: Final = 49  # a seed of whose first 48 events some condemn, some are held by a final, and two logs fork
CHANGE = np.linspace(-0.1, 0.1, 16)


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(["ann", "bob", "cyd"], witnesses=["founder", "ann", "bob"])


def round_of(swarm: Swarm, times: int = 1) -> None:
    for _ in range(times):
        for peer in swarm.peers.values():
            peer.publish(CHANGE * (1 + len(peer.name)))
        swarm.exchange()


def counting(peer: Peer, author: Peer) -> list[int]:
    return sorted(seq for log, seq, _, _ in peer.replica.updates if peer_of(log) == author.id)


def model_without(peer: Peer, author: Peer, *seqs: int) -> str:
    """The model hash of a peer's sum less some updates."""
    fold = peer.fold
    terms = [term for term in peer.replica.updates if peer_of(term[0]) == author.id and term[1] in seqs]
    deltas = [(fold.arithmetic.decode(peer.blobs[delta], fold.parameters), weight) for _, _, delta, weight in terms]
    for delta, weight in deltas:
        fold.remove(delta, weight)
    found = fold.model_hash()
    for delta, weight in deltas:
        fold.add(delta, weight)
    return found


def rejected(peer: Peer, *judgements: object, rule: str = "verdict") -> str:
    with pytest.raises(InvalidEntry) as error:
        peer.write(Verdict(**CHAIN, basis=peer.replica.policy_now().hash, judgements=list(judgements)))
    assert error.value.rule == rule
    return error.value.why


# ------------------------------------------------------------------ what a quorum does


def test_a_quorum_takes_an_update_out_and_one_voice_less_does_not(swarm: Swarm):
    """Four were active when it was weighed: three must agree. Then it is a subtraction, to the last bit."""
    round_of(swarm, 2)
    ann, bob, cyd = swarm["ann"], swarm["bob"], swarm["cyd"]
    bad = cyd.publish(CHANGE * 9).seq
    swarm.exchange()
    less, before = model_without(ann, cyd, bad), ann.model_hash()
    weights = named_weights(ann.replica)
    condemn_by([ann, bob], cyd, bad)
    swarm.exchange()
    assert {peer.model_hash() for peer in swarm.peers.values()} == {before} != {less}
    assert not ann.replica.condemned(cyd.id, bad)
    condemn(swarm.founder, cyd, bad)
    swarm.exchange()
    assert {peer.model_hash() for peer in swarm.peers.values()} == {less}
    assert ann.replica.condemned(cyd.id, bad)
    assert bad not in counting(ann, cyd)
    assert named_weights(ann.replica) == weights
    assert ann.replica.void_from(cyd.id) is None  # nothing else: its log goes on, and so do its other updates
    later = cyd.publish(CHANGE).seq
    swarm.exchange()
    assert later in counting(ann, cyd)


@pytest.mark.parametrize(("active", "needed"), [(1, 2), (2, 2), (3, 2), (4, 3), (5, 3), (8, 5), (4096, 2049)])
def test_a_quorum_is_a_majority_of_who_was_active_and_at_least_two(active: int, needed: int):
    assert quorum(active) == needed


def test_the_quorum_is_of_when_the_update_was_weighed_not_of_later(swarm: Swarm):
    """An update of a time when two trained falls by two, whoever has joined since."""
    small = Swarm(["ann"])
    early = small["ann"].publish(CHANGE).seq
    small.exchange()
    for name in ("bob", "cyd", "dan"):
        small.join(name)
    small.exchange()
    for name in ("bob", "cyd", "dan"):
        small[name].publish(CHANGE)
    small.exchange()
    late = small["ann"].publish(CHANGE).seq
    small.exchange()
    condemn_by([small["bob"], small["cyd"]], small["ann"], early, late)
    small.exchange()
    assert counting(small.founder, small["ann"]) == [late]


def test_only_condemning_counts(swarm: Swarm):
    round_of(swarm)
    cyd = swarm["cyd"]
    (seq,) = of_kind(cyd, cyd.id, Update)
    for name, decision in (("ann", "quarantined"), ("bob", "refused"), ("founder", "scored")):
        verdict(swarm[name], judgement(swarm[name], cyd.id, [seq], decision))
    condemn(swarm["ann"], cyd, seq)
    swarm.exchange()
    assert counting(swarm.founder, cyd) == [seq]
    assert [(peer_of(log), said.decision) for log, _, said in swarm.founder.replica.judgements(cyd.id)].count(
        (swarm["ann"].id, "condemned")
    ) == 1
    assert len(list(swarm.founder.replica.judgements(cyd.id))) == 4


def test_a_judge_has_one_vote_however_often_it_says_so(swarm: Swarm):
    round_of(swarm)
    ann, bob, cyd = swarm["ann"], swarm["bob"], swarm["cyd"]
    (seq,) = of_kind(cyd, cyd.id, Update)
    for _ in range(3):
        verdict(ann, judgement(ann, cyd.id, [seq]), judgement(ann, cyd.id, [seq]))
    condemn(bob, cyd, seq)
    swarm.exchange()
    assert counting(swarm.founder, cyd) == [seq]
    condemn(swarm.founder, cyd, seq)
    assert counting(swarm.founder, cyd) == []


def test_a_judge_that_signs_two_logs_has_one_vote_and_keeps_it(swarm: Swarm):
    """Both of its strands condemn; then both are void from the fork on: what was said stays said."""
    round_of(swarm)
    ann, bob, cyd, founder = swarm["ann"], swarm["bob"], swarm["cyd"], swarm.founder
    (seq,) = of_kind(cyd, cyd.id, Update)
    twin = bob.twin()
    bob.publish(CHANGE)
    for strand in (bob, twin):
        condemn(strand, cyd, seq)
    for strand in (bob, twin):
        founder.fetch(strand)
    assert len(founder.replica.strands(bob.id)) == 2
    condemn(ann, cyd, seq)
    founder.fetch(ann)
    assert counting(founder, cyd) == [seq]  # two peers, three logs
    condemn(founder, cyd, seq)
    assert counting(founder, cyd) == []
    assert founder.replica.void_from(bob.id) is not None


def test_whoever_condemns_a_data_set_condemns_what_learned_from_it_before_and_after(swarm: Swarm):
    round_of(swarm, 2)
    cyd = swarm["cyd"]
    (data,) = of_kind(cyd, cyd.id, Data)
    bad = counting(cyd, cyd)
    cyd.learns_from = cyd.announce_data().seq
    good = cyd.publish(CHANGE).seq
    swarm.exchange()
    condemn_by([swarm["ann"], swarm["bob"]], cyd, data)
    condemn(swarm.founder, cyd, bad[0])  # of itself, this one is named by one peer more
    swarm.exchange()
    assert counting(swarm.founder, cyd) == [*bad[1:], good]
    condemn(swarm.founder, cyd, data)
    swarm.exchange()
    assert counting(swarm.founder, cyd) == [good]
    assert swarm.founder.replica.condemned(cyd.id, data)
    cyd.learns_from = None
    late = cyd.publish(CHANGE).seq
    swarm.exchange()
    assert counting(swarm.founder, cyd) == [good]
    assert swarm.founder.replica.weight_of(cyd.id, late) > 0  # weighed as ever; its author's quota is spent
    assert len({peer.model_hash() for peer in swarm.peers.values()}) == 1


def test_a_data_set_is_condemned_on_every_branch_that_has_it(swarm: Swarm):
    round_of(swarm)
    cyd, founder = swarm["cyd"], swarm.founder
    thief = cyd.twin()
    cyd.rotate()
    for copy in (cyd, thief):
        copy.publish(CHANGE * 3)
        copy.publish(CHANGE * 2)
        founder.fetch(copy)
    (data,) = of_kind(cyd, cyd.id, Data)
    condemn_by([swarm["ann"], swarm["bob"]], cyd, data)
    for name in ("ann", "bob"):
        founder.fetch(swarm[name])
    assert counting(founder, cyd)
    condemn(founder, cyd, data)
    assert counting(founder, cyd) == []


def test_a_second_branch_does_not_take_what_is_condemned_on_the_first(swarm: Swarm):
    """The leaf names the very entry: what a thief wrote at the same number is not judged by it."""
    round_of(swarm)
    cyd, ann, bob, founder = swarm["cyd"], swarm["ann"], swarm["bob"], swarm.founder
    thief = cyd.twin()
    cyd.rotate()
    own, stolen = [copy.publish(CHANGE * 3).seq for copy in (cyd, thief)]
    stolen = thief.publish(CHANGE * 2).seq
    for peer in (ann, bob):
        peer.fetch(thief)
        condemn(peer, thief, stolen)
    founder.fetch(ann)
    founder.fetch(bob)
    founder.fetch(cyd)
    strand = next(log for log in founder.replica.strands(cyd.id) if founder.replica.size(log) > stolen)
    condemn(founder, strand, stolen)
    assert own in counting(founder, cyd)


def test_what_a_final_holds_stays_and_what_was_out_by_then_stays_out(swarm: Swarm):
    round_of(swarm, 2)
    ann, bob, cyd, founder = swarm["ann"], swarm["bob"], swarm["cyd"], swarm.founder
    early, late = counting(ann, cyd)
    condemn_by([ann, bob, founder], cyd, early)
    swarm.exchange()
    snapshot = ann.snapshot().seq
    for witness in (bob, founder):
        witness.fetch(ann)
    ann.final(snapshot, [bob, founder])
    swarm.exchange()
    model = ann.model_hash()
    condemn_by([ann, bob, founder], cyd, late)
    swarm.exchange()
    assert counting(ann, cyd) == [late]
    assert ann.replica.condemned(cyd.id, late)
    assert {peer.model_hash() for peer in swarm.peers.values()} == {model}
    known = list(ann.replica.condemnations(ann.replica.heads()))
    assert [(seq, len(judges)) for _, seq, _, judges in known] == [(early, 3), (late, 3)]
    (told,) = condemned_parts(known, list(ann.replica.updates), ann.replica.entry, lambda log, seq, data: ["why"])
    assert (told.updates, told.held, told.first, told.last, told.reasons) == (2, 1, early, late, ("why",))


def test_a_final_that_comes_later_puts_back_what_its_snapshot_held(swarm: Swarm):
    """Witnesses may be slower than judges: what counts is what the snapshot's author had seen."""
    round_of(swarm)
    ann, bob, cyd, founder = swarm["ann"], swarm["bob"], swarm["cyd"], swarm.founder
    (seq,) = counting(ann, cyd)
    snapshot = ann.snapshot().seq
    swarm.exchange()
    model = ann.model_hash()
    condemn_by([ann, bob, founder], cyd, seq)
    swarm.exchange()
    assert counting(founder, cyd) == []
    ann.final(snapshot, [bob, founder])
    swarm.exchange()
    assert counting(founder, cyd) == [seq]
    assert {peer.model_hash() for peer in swarm.peers.values()} == {model}


def test_later_weights_are_those_that_would_have_been(swarm: Swarm):
    """A condemnation moves no weight: not those that were published, and not what later ones go by."""
    other = Swarm(["ann", "bob", "cyd"], witnesses=["founder", "ann", "bob"])
    for story in (swarm, other):
        round_of(story, 2)
    cyd = swarm["cyd"]
    condemn_by([swarm["ann"], swarm["bob"], swarm.founder], cyd, *counting(cyd, cyd))
    swarm.exchange()
    for story in (swarm, other):
        round_of(story, 2)
    assert counting(swarm.founder, cyd) != counting(other.founder, other["cyd"])
    assert sorted(named_weights(swarm.founder.replica).values()) == sorted(
        named_weights(other.founder.replica).values()
    )


# ------------------------------------------------------------------ who may say what


def test_nobody_judges_itself(swarm: Swarm):
    cyd = swarm["cyd"]
    seq = cyd.publish(CHANGE).seq
    assert "its own author" in rejected(cyd, judgement(cyd, cyd.id, [seq]))


def test_only_members_judge_and_only_what_they_have_seen(swarm: Swarm):
    cyd, ann, bob = swarm["cyd"], swarm["ann"], swarm["bob"]
    old = cyd.publish(CHANGE).seq
    said = judgement(cyd, cyd.id, [old])
    assert "no branch" in rejected(ann, said)
    swarm.exchange()
    assert "no branch" in rejected(ann, msgspec.structs.replace(said, hash="ab" * 32))
    assert "no branch" in rejected(ann, msgspec.structs.replace(said, seqs=[old + 1]))
    assert "has not seen enrol" in rejected(ann, msgspec.structs.replace(said, peer="ab" * 32))
    stranger = bob.twin()
    stranger.name, first = "eve", enrol(swarm.swarm, "eve")
    stranger.id = entry_hash(first)
    stranger.take(stranger.id, first)
    rejected(stranger, said, rule="role")
    verdict(ann, said)


def test_what_is_neither_update_nor_data_may_be_judged_and_nothing_follows(swarm: Swarm):
    round_of(swarm)
    cyd, model = swarm["cyd"], swarm["ann"].model_hash()
    cyd.snapshot()
    swarm.exchange()
    condemn_by([swarm["ann"], swarm["bob"], swarm.founder], cyd, 0, cyd.replica.size(cyd.id) - 1)
    swarm.exchange()
    assert swarm["ann"].model_hash() == model


def test_an_update_that_the_policy_leaves_out_is_not_in_the_sum_to_begin_with(swarm: Swarm):
    round_of(swarm)
    cyd = swarm["cyd"]
    out = cyd.publish(CHANGE, steps=5000).seq
    swarm.exchange()
    model = cyd.model_hash()
    condemn_by([swarm["ann"], swarm["bob"], swarm.founder], cyd, out)
    swarm.exchange()
    cyd.snapshot()
    swarm.exchange()
    assert {peer.model_hash() for peer in swarm.peers.values()} == {model}


# ------------------------------------------------------------------ the same for everybody


def test_judged_swarms_have_one_hash_in_many_random_orders():
    swarm = judged_swarm(JUDGED, events=48)
    replica = swarm.founder.replica
    condemned = {(log, seq) for log, seq, _, _ in replica.condemnations(replica.heads())}
    counted = {(log, seq) for log, seq, _, _ in replica.updates}
    assert condemned - counted
    assert condemned & counted
    for order in range(times(150, thorough=1000)):
        observer = shuffled_delivery(swarm, Random(order))
        assert observer.model_hash() == swarm.founder.model_hash(), f"order {order}"
        if order % 50 == 0:
            assert named_terms(observer.replica) == named_terms(replica), f"order {order}"
            assert named_weights(observer.replica) == named_weights(replica), f"order {order}"


def test_they_are_judged():
    """What the tests here are about does happen in those swarms."""
    out = held = strands = 0
    for seed in range(4):
        swarm = judged_swarm(seed, events=110)
        replica = swarm.founder.replica
        counted = {(log, seq) for log, seq, _, _ in replica.updates}
        found = {(log, seq) for log, seq, _, _ in replica.condemnations(replica.heads())}
        out, held = out + len(found - counted), held + len(found & counted)
        strands += sum(len(replica.strands(peer)) > 1 for peer in {peer_of(log) for log in replica.heads()})
    assert out > 5
    assert held > 2
    assert strands > 3


@pytest.mark.parametrize("seed", range(6))
def test_a_second_implementation_finds_the_same_sums_and_states(seed: int):
    swarm = judged_swarm(seed, events=110)
    history = history_of(swarm)
    everything = set(history.entry)
    assert history.weight == named_weights(swarm.founder.replica)
    assert history.summed(everything) == named_terms(swarm.founder.replica)
    assert history.model(everything) == swarm.founder.model_hash()
    for _, checked in checked_entries(swarm):
        if isinstance(checked.entry, Snapshot):
            assert history.state(checked.hash) == (checked.entry.state, checked.entry.updates)
            assert history.model(history.past[checked.hash]) == checked.entry.model


@pytest.mark.parametrize("seed", range(3))
def test_the_sum_of_any_past_is_asked_of_who_has_gone_on_since(seed: int):
    swarm = judged_swarm(seed, events=80)
    history, full = history_of(swarm), swarm.founder.replica
    before: dict[str, int] = {}
    held: set = set()
    for log, size in full.heads().items():
        for seq in range(max(2, fork_of(log)), size, 4):
            past = full.past(log, seq + 1)
            found = {entry_hash(full.data(*term[:2])) for term in full.terms(past)}
            name = entry_hash(full.data(log, seq))
            assert found == history.summed(history.past[name] | {name})
            change = full.change(before, past)
            held = (held - set(change.removed)) | set(change.added)
            assert held == set(full.terms(past))
            before = past


@pytest.mark.parametrize("seed", range(4))
def test_an_opened_replica_decides_alike_or_says_what_it_lacks(seed: int):
    swarm = judged_swarm(seed, events=100)
    entries = list(checked_entries(swarm))
    full, order = entries[-1][0], [checked for _, checked in entries]
    decided = left = 0
    for log, seq, _ in snapshots_of(full)[::2]:
        coming = after(full, order, log, seq)
        replica = opened(full, log, seq)
        rest, missed = go_on(replica, coming, swarm.founder.blobs)
        assert missed or not rest
        decided, left = decided + len(coming) - len(rest), left + len(rest)
    assert decided > left / 2


def test_every_changed_word_of_a_judged_document_is_found():
    swarm, luck = judged_swarm(2, events=110), Random(1)
    full = swarm.founder.replica
    log, seq, entry = snapshots_of(full)[-1]
    data, genesis = state_document(full, log, seq, 8), full.data(full.founder, 0)
    tried: set[str] = set()
    for kind, altered in changed(json.loads(data)):
        if not kind.endswith((".judged", ".heard", ".condemned", ".final", ".marks")):
            continue
        if kind in tried and luck.random() > 0.1:
            continue
        tried.add(kind)
        lie = json.dumps(altered, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        with pytest.raises(RemoteError):
            open_state(lie, genesis, POLICY.encode(), entry)
    assert {"knots.judged", "knots.heard", "branches.condemned"} <= tried


def test_imprints_of_judges_are_the_same_whether_remembered_or_not():
    swarm = judged_swarm(2, events=80)
    for log in swarm.founder.replica.branches.logs.values():
        remembered = [imprint(log, size) for size in range(log.tip.size + 1)]
        log.imprints, log.stretch = {}, None
        assert [imprint(log, size) for size in range(log.tip.size + 1)] == remembered


# ------------------------------------------------------------------ who was opened from a state


def joined(swarm: Swarm) -> tuple[Peer, int]:
    """Everybody has published; ann's snapshot, and who was given its state."""
    round_of(swarm, 3)
    snapshot = swarm["ann"].snapshot().seq
    swarm.exchange()
    return joiner("eve", swarm.founder, swarm["ann"].id, snapshot, 8), snapshot


def test_a_joiner_follows_what_is_condemned_after_the_snapshot(swarm: Swarm):
    eve, _ = joined(swarm)
    cyd = swarm["cyd"]
    bad = cyd.publish(CHANGE * 9).seq
    swarm.exchange()
    condemn_by([swarm["ann"], swarm["bob"], swarm.founder], cyd, bad)
    swarm.exchange()
    eve.fetch(swarm.founder)
    assert eve.model_hash() == swarm.founder.model_hash()
    assert eve.replica.condemned(cyd.id, bad)


def test_a_joiner_does_not_guess_at_updates_from_before(swarm: Swarm):
    eve, _ = joined(swarm)
    cyd = swarm["cyd"]
    bad = counting(cyd, cyd)[-1]
    condemn_by([swarm["ann"], swarm["bob"]], cyd, bad)
    eve.fetch(swarm["ann"])  # one of four: whatever n was, that is none too many
    held, model = eve.replica.heads(), eve.model_hash()
    second = swarm["bob"].replica.size(swarm["bob"].id) - 1
    data = swarm["bob"].replica.data(swarm["bob"].id, second)
    eve.blobs.update(swarm["bob"].blobs)
    with pytest.raises(NeedsHistory, match="entry"):
        eve.take(swarm["bob"].id, data)
    assert (eve.replica.heads(), eve.model_hash()) == (held, model)


def test_a_vote_that_makes_the_quorum_on_what_is_not_held_changes_nothing_here(swarm: Swarm):
    """Two votes of three are in the state, with who was active: the joiner knows that the third takes out what it has
    not, and takes in no half of that."""
    round_of(swarm, 3)
    ann, bob, cyd, founder = swarm["ann"], swarm["bob"], swarm["cyd"], swarm.founder
    bad = counting(cyd, cyd)[0]
    condemn_by([ann, bob], cyd, bad)
    swarm.exchange()
    snapshot = ann.snapshot().seq
    swarm.exchange()
    eve = joiner("eve", founder, ann.id, snapshot, 8)
    eve.fetch(founder)
    third = condemn(founder, cyd, bad)
    held, model = eve.replica.heads(), eve.model_hash()
    with pytest.raises(NeedsHistory, match="condemned now"):
        eve.take(founder.id, third.data)
    assert (eve.replica.heads(), eve.model_hash()) == (held, model)
    assert not eve.replica.branches.get(founder.id).condemns


def test_so_it_is_of_data_from_before(swarm: Swarm):
    eve, _ = joined(swarm)
    cyd = swarm["cyd"]
    (data,) = of_kind(cyd, cyd.id, Data)
    condemn(swarm["ann"], cyd, data)
    eve.fetch(swarm["ann"])
    bob = swarm["bob"]
    said = condemn(bob, cyd, data)
    with pytest.raises(NeedsHistory, match="which updates cite"):
        eve.take(bob.id, said.data)
    assert eve.replica.size(bob.id) == said.seq


def test_where_a_final_protects_nothing_from_before_matters(swarm: Swarm):
    eve, snapshot = joined(swarm)
    ann, bob, cyd, founder = swarm["ann"], swarm["bob"], swarm["cyd"], swarm.founder
    ann.final(snapshot, [bob, founder])
    swarm.exchange()
    (data,) = of_kind(cyd, cyd.id, Data)
    late = cyd.publish(CHANGE).seq
    swarm.exchange()
    condemn_by([ann, bob, founder], cyd, data)
    swarm.exchange()
    ann.snapshot()  # all of that is in its state
    swarm.exchange()
    eve.fetch(founder)
    assert eve.replica.heads() == founder.replica.heads()
    assert eve.model_hash() == founder.model_hash()
    assert late not in counting(founder, cyd)
    assert len(counting(founder, cyd)) == 3


def test_a_joiner_knows_what_was_said_before_it_came(swarm: Swarm):
    """Two of three votes are in the state: the third takes out what came after, and all agree on what was out."""
    round_of(swarm, 2)
    ann, bob, cyd, founder = swarm["ann"], swarm["bob"], swarm["cyd"], swarm.founder
    (data,) = of_kind(cyd, cyd.id, Data)
    old, seq = counting(cyd, cyd)
    condemn_by([ann, bob, founder], cyd, old)
    swarm.exchange()
    condemn(ann, cyd, seq)
    swarm.exchange()
    snapshot = ann.snapshot().seq
    swarm.exchange()
    eve = joiner("eve", founder, ann.id, snapshot, 8)
    assert eve.model_hash() == founder.model_hash()
    ann.final(snapshot, [bob, founder])
    swarm.exchange()
    condemn_by([bob, founder], cyd, seq)
    swarm.exchange()
    bob.snapshot()
    swarm.exchange()
    eve.fetch(founder)
    assert eve.replica.heads() == founder.replica.heads()
    assert eve.model_hash() == founder.model_hash()
    assert counting(founder, cyd) == [seq]
    assert data


# ------------------------------------------------------------------ auditors


def test_an_audit_follows_condemnations_and_takes_the_rest_of_a_peer_out(swarm: Swarm):
    cyd, founder = swarm["cyd"], swarm.founder
    founder.ask_for(HARM)
    swarm.exchange()
    round_of(swarm, 2)
    (bad, good) = counting(cyd, cyd)
    condemn_by([swarm["ann"], swarm["bob"], founder], cyd, bad)
    swarm.exchange()
    founder.snapshot()
    swarm.exchange()
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert report.verdict == "clean"
    assert report.model_hash == founder.model_hash()
    genesis = founder.replica.genesis
    found = without(
        lambda: Fold(genesis.layout, genesis.seed, NumpyArithmetic()), founder.replica.updates, cyd.id,
        lambda digest: NumpyArithmetic().decode(founder.blobs[digest], 16),
    )  # fmt: skip
    assert found.model.hash == founder.model_hash()
    assert found.less.hash == model_without(founder, cyd, good)


def test_who_folds_what_is_condemned_convicts_itself(swarm: Swarm):
    """A snapshot with one term too many does not follow from its past."""
    round_of(swarm, 2)
    cyd, ann = swarm["cyd"], swarm["ann"]
    (bad, _) = counting(cyd, cyd)
    swarm.exchange()
    model, updates = ann.model_hash(), len(list(ann.replica.updates))
    condemn_by([swarm["bob"], swarm.founder, ann], cyd, bad)
    swarm.exchange()
    fields = ann.replica.draft(ann.id)
    state, count = ann.replica.snapshot_facts(ann.id, fields)
    assert count == updates - 1
    with pytest.raises(InvalidEntry, match="snapshot"):
        ann.write(Snapshot(**CHAIN, model=model, state=state, updates=updates))


def test_a_thousand_updates_on_condemned_data_are_one_range():
    """What is struck costs by how often it changes, not by how much it is."""
    swarm = Swarm(["ann", "bob"])
    cyd = swarm["bob"]
    for _ in range(60):
        cyd.publish(CHANGE)
    swarm.exchange()
    (data,) = of_kind(cyd, cyd.id, Data)
    condemn_by([swarm["ann"], swarm.founder], cyd, data)
    swarm.exchange()
    replica = swarm["ann"].replica
    assert counting(swarm["ann"], cyd) == []
    assert len(replica._cuts[cyd.id]) == 1
    runs = replica.branches.get(cyd.id).runs[data]
    assert len(runs.begins) <= 2
