"""Members who are shown out: when they are, what of theirs counts, and that everybody finds the same."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.verdict import as_json
from ledger.audit import Anchors, audit
from ledger.canonical import encode_entry, entry_hash
from ledger.checkpoint import Checkpoint, origin
from ledger.cosignature import add_cosignatures, cosign
from ledger.entry import Finality, Revoke, Snapshot, Update
from ledger.fold import PlainArithmetic
from ledger.membership import Membership
from ledger.replica import Checked, InvalidEntry, LogId, NeedsHistory, Replica
from tests.fold.bundles import contents_of, written
from tests.fold.judging import condemn
from tests.fold.members import ADMINS, MOVED, lost, membered_swarm, seats
from tests.fold.stories import checked_entries, history_of, model_of, named_terms, named_weights, shuffled_delivery
from tests.fold.test_state import after, go_on, joiner, opened, snapshots_of
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, enrol, key_of
from tests.thorough import times

CHANGE: Final = np.linspace(-0.1, 0.1, 16)


def counted(replica: Replica, log: LogId) -> list[int]:
    return [seq for name, seq, _, _ in replica.updates if name == log]


def refused(reader: Peer, admin: Peer, peer: Peer, since: int) -> str:
    """Why a revocation is; "" if it is not."""
    entry = Revoke(**CHAIN, peer=peer.id, since=since)
    try:
        data = encode_entry(admin.replica.draft(admin.id).stamp(entry, NOW))
        assert isinstance(reader.replica.check(admin.id, data), Checked)
    except InvalidEntry as error:
        return error.why if error.rule == "revoke" else f"another rule: {error.rule}"
    return ""


@pytest.fixture
def swarm() -> Swarm:
    """Three admins, two of whom must agree; eve has published three times."""
    swarm = Swarm(["ann", "bob", "eve"], admins=["ann", "bob"], threshold=2, witnesses=["founder", "ann", "bob"])
    for _ in range(3):
        for name in ("founder", "eve"):
            swarm[name].publish(CHANGE)
            swarm.exchange()
    return swarm


# ------------------------------------------------------------------ when somebody is out


def test_one_admin_of_two_that_it_takes_is_nobody(swarm: Swarm) -> None:
    eve, founder = swarm["eve"], swarm.founder
    model = model_of(swarm)
    founder.revoke(eve, 0)
    swarm.exchange()
    assert model_of(swarm) == model
    assert not founder.replica.is_revoked(eve.id)
    eve.publish(CHANGE)
    swarm.exchange()
    assert counted(founder.replica, eve.id)[-1] == eve.replica.size(eve.id) - 1


def test_of_what_admins_say_the_index_counts_at_which_enough_have_spoken(swarm: Swarm) -> None:
    eve, founder, ann, bob = swarm["eve"], swarm.founder, swarm["ann"], swarm["bob"]
    all_of_hers = counted(founder.replica, eve.id)
    founder.revoke(eve, all_of_hers[0])
    swarm.exchange()
    ann.revoke(eve, all_of_hers[2])
    swarm.exchange()
    assert founder.replica.revoked_from(eve.id) == all_of_hers[2]
    assert counted(founder.replica, eve.id) == all_of_hers[:2]
    bob.revoke(eve, all_of_hers[1])
    swarm.exchange()
    assert founder.replica.revoked_from(eve.id) == all_of_hers[1]
    assert counted(founder.replica, eve.id) == all_of_hers[:1]
    ann.revoke(eve, 0)
    swarm.exchange()
    assert founder.replica.revoked_from(eve.id) == all_of_hers[0]
    assert counted(founder.replica, eve.id) == []
    model_of(swarm)


def test_who_is_out_is_no_member_any_more(swarm: Swarm) -> None:
    eve, founder = swarm["eve"], swarm.founder
    eve.rotate()
    swarm.exchange()
    for admin in (founder, swarm["ann"]):
        admin.revoke(eve)
        swarm.exchange()
    for peer in swarm.peers.values():
        replica = peer.replica
        assert replica.is_revoked(eve.id)
        assert replica.membership(eve.id) is None
        assert replica.role_of(eve.id) == ""
        assert eve.id not in replica.trainers()
        assert [replica.member_by_key(key_of("eve", number).public) for number in range(3)] == [None] * 3
    with pytest.raises(InvalidEntry) as caught:
        eve.publish(CHANGE)
    assert caught.value.rule == "role"
    with pytest.raises(InvalidEntry) as caught:
        founder.let_in(eve)
    assert (caught.value.rule, caught.value.why) == ("member", "its author has seen admins revoke that peer")


def test_what_an_admin_may_not_say(swarm: Swarm) -> None:
    eve, founder, ann, bob = (swarm[name] for name in ("eve", "founder", "ann", "bob"))
    stranger = Peer("nobody", "ab" * 32, founder.replica)
    assert "not seen that peer admitted" in refused(ann, founder, stranger, 0)
    founder.revoke(eve, 5)
    ann.fetch(founder)
    for since in (5, 6):
        assert "adds nothing" in refused(ann, founder, eve, since)
    assert refused(ann, founder, eve, 4) == ""
    assert refused(founder, ann, eve, 1000) == ""  # more than anybody has written: what is there stays
    for admin in (founder, ann):
        assert refused(founder, admin, bob, 3) == ""
        admin.revoke(bob, 3)
        swarm.exchange()
    assert founder.replica.is_revoked(bob.id)
    founder.revoke(ann, 3)  # one of the two who are left: a word, and no more
    ann.fetch(founder)
    assert "would leave 1 admins" in refused(founder, ann, ann, 3)
    assert refused(founder, ann, founder, 3) == ""


def test_admins_who_show_each_other_out_at_once_both_are() -> None:
    """Neither has seen the other's word, so both stand; the swarm goes on, and its law stays as it is."""
    swarm = Swarm(["ann", "bob", "cyd"], admins=["ann", "bob"], threshold=1)
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    ann.revoke(bob)
    bob.revoke(ann)
    founder.fetch(ann)
    founder.fetch(bob)
    assert founder.replica.is_revoked(ann.id)
    assert founder.replica.is_revoked(bob.id)
    assert "would leave 0 admins" in refused(founder, founder, founder, 0)
    founder.revoke(swarm["cyd"])
    swarm["cyd"].fetch(founder)
    assert swarm["cyd"].replica.trainers() == (founder.id,)


def test_what_an_admin_or_a_judge_said_stays_said(swarm: Swarm) -> None:
    """An admin who is out has shown out others before, and its vote as a judge counts."""
    founder, ann, bob, eve = (swarm[name] for name in ("founder", "ann", "bob", "eve"))
    update = counted(founder.replica, eve.id)[0]
    for judge in (founder, bob, ann):
        condemn(judge, eve, update)
    bob.revoke(eve)
    swarm.exchange()
    for admin in (founder, ann):
        admin.revoke(bob, 2)
        swarm.exchange()
    assert founder.replica.is_revoked(bob.id)
    assert not founder.replica.is_revoked(eve.id)
    assert update not in counted(founder.replica, eve.id)
    ann.revoke(eve)
    swarm.exchange()
    assert founder.replica.is_revoked(eve.id)  # ann's word and bob's


# ------------------------------------------------------------------ what leaves the sum, and what does not


def test_a_revocation_subtracts_exactly_the_terms_from_its_index_on(swarm: Swarm) -> None:
    founder, ann, eve = swarm.founder, swarm["ann"], swarm["eve"]
    weights, terms = named_weights(founder.replica), list(founder.replica.updates)
    since = counted(founder.replica, eve.id)[1]
    for admin in (founder, ann):
        admin.revoke(eve, since)
        swarm.exchange()
    assert named_weights(founder.replica) == weights
    assert list(founder.replica.updates) == [term for term in terms if term[0] != eve.id or term[1] < since]
    arithmetic = ann.fold.arithmetic
    for log, seq, delta, weight in terms:
        if log == eve.id and seq >= since:
            ann.fold.add(arithmetic.decode(ann.blobs[delta], ann.fold.parameters), weight)
    assert len(terms) == 6
    assert ann.model_hash() != founder.model_hash()
    seq = ann.replica.size(ann.id) - 1
    past = founder.replica.past(ann.id, seq + 1) | {ann.id: seq}  # of which one admin's word is a part
    assert set(founder.replica.terms(past)) == set(terms)


def test_what_comes_later_from_who_did_not_know_is_let_in_and_counts_for_nothing(swarm: Swarm) -> None:
    founder, ann, bob, eve = (swarm[name] for name in ("founder", "ann", "bob", "eve"))
    at = eve.replica.size(eve.id)
    founder.revoke(eve)
    ann.revoke(eve)
    eve.publish(CHANGE)
    bob.fetch(eve)  # who does not know either
    heard = bob.publish(CHANGE)
    swarm.exchange()
    assert founder.replica.size(eve.id) == at + 1
    assert at not in counted(founder.replica, eve.id)
    assert heard.seq in counted(founder.replica, bob.id)
    assert founder.replica.weight_of(bob.id, heard.seq) == heard.weight
    model_of(swarm)


def test_those_who_know_weigh_without_who_is_out() -> None:
    weights = {}
    for shown_out in (False, True):
        swarm = Swarm(["ann", "eve"])
        for _ in range(2):
            for name in ("ann", "eve", "founder"):
                swarm[name].publish(CHANGE)
                swarm.exchange()
        if shown_out:
            swarm.founder.revoke(swarm["eve"], 1)
            swarm.exchange()
        published = swarm["ann"].publish(CHANGE)
        assert published.outcome.active == (2 if shown_out else 3)
        assert swarm["eve"].id in published.outcome.row.peers or shown_out
        weights[shown_out] = published.weight
    assert weights[True] > weights[False]


def test_old_views_are_weighed_by_what_counts(swarm: Swarm) -> None:
    """What is gone from the sum since an update's view was taken is nothing that its author missed."""
    founder, ann, bob, eve = (swarm[name] for name in ("founder", "ann", "bob", "eve"))
    view = {log: size for log, size in bob.replica.heads().items() if log != eve.id} | {eve.id: 2}
    for admin in (founder, ann):
        admin.revoke(eve, 2)
        swarm.exchange()
    late, fresh = bob.replica.draft(bob.id), bob.replica.heads()
    assert bob.replica.view(bob.id, late, view)
    one = bob.publish(CHANGE, view=view)
    assert one.outcome.tip.limits
    assert one.weight == max(one.weight, 1)
    assert eve.id not in one.outcome.row.peers
    assert set(view) == set(fresh)


def test_what_a_final_holds_stays(swarm: Swarm) -> None:
    founder, ann, bob, eve = (swarm[name] for name in ("founder", "ann", "bob", "eve"))
    held = counted(founder.replica, eve.id)
    snapshot = ann.snapshot().seq
    swarm.exchange()
    ann.final(snapshot, [founder, bob])
    eve.publish(CHANGE)
    swarm.exchange()
    for admin in (founder, bob):
        admin.revoke(eve, 0)
        swarm.exchange()
    assert founder.replica.revoked_from(eve.id) == 0
    assert counted(founder.replica, eve.id) == held
    model_of(swarm)


def test_a_final_that_was_kept_back_does_not_undo_a_revocation(swarm: Swarm) -> None:
    """Witnesses sign what eve shows them; she keeps the final until she is out, and a friend of hers cites it."""
    founder, ann, eve = (swarm[name] for name in ("founder", "ann", "eve"))
    held = counted(founder.replica, eve.id)
    snapshot = eve.snapshot().seq
    swarm.exchange()
    for admin in (founder, ann):
        admin.revoke(eve, 0)
        swarm.exchange("founder", "ann", "bob")
    assert not counted(founder.replica, eve.id)
    model = founder.model_hash()
    eve.final(snapshot, [founder, ann])
    founder.fetch(eve)
    assert founder.model_hash() == model
    observer = shuffled_delivery(swarm, Random(1))
    assert observer.model_hash() == model
    assert held
    assert_second_agrees(swarm)


def test_what_was_final_before_its_author_was_out_stays_until_it_is_out_from_before_that(swarm: Swarm) -> None:
    founder, ann, eve = (swarm[name] for name in ("founder", "ann", "eve"))
    held = counted(founder.replica, eve.id)
    snapshot = eve.snapshot().seq
    swarm.exchange()
    eve.final(snapshot, [founder, ann])
    swarm.exchange()
    for admin, since in ((founder, eve.replica.size(eve.id)), (ann, 0)):
        admin.revoke(eve, since)
        swarm.exchange("founder", "ann", "bob")
    assert founder.replica.revoked_from(eve.id) == eve.replica.size(eve.id)
    assert counted(founder.replica, eve.id) == held
    swarm["bob"].revoke(eve, 0)
    founder.fetch(swarm["bob"])
    assert founder.replica.revoked_from(eve.id) == 0
    assert not counted(founder.replica, eve.id)  # with its author gone from before it, the final holds nothing
    swarm.exchange("founder", "ann", "bob")
    assert_second_agrees(swarm)


def test_a_witness_who_is_out_makes_nothing_final(swarm: Swarm) -> None:
    founder, ann, bob = swarm.founder, swarm["ann"], swarm["bob"]
    for admin in (founder, bob):
        admin.revoke(ann)
        swarm.exchange()
    snapshot = founder.snapshot().seq
    swarm.exchange()
    with pytest.raises(InvalidEntry, match="1 of 3 witnesses"):
        founder.final(snapshot, [ann, founder])
    founder.final(snapshot, [founder, bob])


# ------------------------------------------------------------------ keys that an admin has left behind


def second_log(swarm: Swarm, name: str) -> Peer:
    """Whoever has the first key of an admin enrols with it once more, shows nothing but the founder, and lets itself
    in; everybody hears of it, through a member who cites it."""
    first = enrol(swarm.swarm, "thief", key=key_of(name))
    thief = Peer("thief", entry_hash(first), Replica(swarm.swarm, swarm.founder_id))
    thief.take(thief.id, first)
    for seq in (0, 1):
        thief.take(swarm.founder_id, swarm.founder.replica.data(swarm.founder_id, seq))
    thief.let_in(thief, "admin")
    swarm["eve"].fetch(thief)
    swarm["eve"].publish(CHANGE)
    swarm.exchange()
    return thief


@pytest.mark.parametrize(
    ("admins", "threshold"), [(["ann"], 1), (["ann"], 2), (["ann", "bob"], 2), (["ann", "bob"], 3)]
)
def test_a_second_log_with_an_old_key_of_an_admin_is_put_out_and_the_admin_stays(
    admins: list[str], threshold: int
) -> None:
    swarm = Swarm(["ann", "bob", "eve"], admins=admins, threshold=threshold)
    founder = swarm.founder
    swarm["ann"].rotate()
    swarm.exchange()
    thief = second_log(swarm, "ann")
    for name in ("founder", *admins)[:threshold]:
        assert refused(founder, swarm[name], thief, 0) == ""
        swarm[name].revoke(thief, 0)
        swarm.exchange()
    assert founder.replica.is_revoked(thief.id)
    assert founder.replica.role_of(swarm["ann"].id) == "admin"
    assert shuffled_delivery(swarm, Random(7)).replica.membership(thief.id) is None


def test_a_second_log_with_an_old_key_of_a_witness_neither_signs_for_it_nor_keeps_it_from_signing(
    swarm: Swarm,
) -> None:
    founder, ann = swarm.founder, swarm["ann"]
    ann.rotate()
    swarm.exchange()
    thief = second_log(swarm, "ann")
    snapshot = founder.snapshot().seq
    ann.fetch(founder)
    with pytest.raises(InvalidEntry, match="1 of 3 witnesses"):
        founder.write(final_of(founder, snapshot, thief))
    founder.final(snapshot, [founder, ann])
    model = model_of(swarm)
    for order in range(20):
        assert shuffled_delivery(swarm, Random(order)).model_hash() == model


def test_an_admin_who_let_itself_in_is_confirmed_by_another() -> None:
    swarm = Swarm(["ann", "eve"], admins=["ann", "zoe"])
    first = enrol(swarm.swarm, "zoe")
    zoe = swarm.newcomer("zoe", entry_hash(first))
    zoe.take(zoe.id, first)
    zoe.fetch(swarm.founder)
    zoe.let_in(zoe, "admin")
    swarm.exchange()
    swarm.founder.let_in(zoe, "admin")
    with pytest.raises(InvalidEntry, match="adds nothing"):
        swarm.founder.let_in(zoe, "admin")
    thief = second_log(swarm, "zoe")
    for admin in (swarm.founder, swarm["ann"]):
        assert refused(swarm.founder, admin, thief, 0) == ""


def final_of(author: Peer, snapshot: int, witness: Peer) -> Finality:
    """What the author and that witness alone have signed."""
    size = snapshot + 1
    checkpoint = Checkpoint(origin(author.replica.swarm, author.id), size, author.replica.root(author.id, size))
    name, key = origin(author.replica.swarm, witness.id), author.replica.enrol_key_of(witness.id)
    signer = next(key_of(one) for one in ADMINS if key_of(one).public == key)
    own = cosign(checkpoint, origin(author.replica.swarm, author.id), key_of(author.name), NOW)
    note = add_cosignatures(author.note(author.id, size, author.name), [own, cosign(checkpoint, name, signer, NOW)])
    return Finality(**CHAIN, snapshot=snapshot, note=note.decode())


# ------------------------------------------------------------------ the same for everybody


def test_whose_members_move_have_one_hash_and_one_list_in_many_random_orders() -> None:
    swarm = membered_swarm(MOVED, events=20)
    replica = swarm.founder.replica
    there = seats(replica)
    assert lost(replica) > 2
    assert sum(replica.is_revoked(peer.id) for peer in swarm.peers.values()) > 0
    assert any(len(replica.strands(peer.id)) > 1 for peer in swarm.peers.values())
    for order in range(times(150, thorough=1000)):
        observer = shuffled_delivery(swarm, Random(order))
        assert observer.model_hash() == swarm.founder.model_hash(), f"order {order}"
        assert seats(observer.replica) == there, f"order {order}"
        if order % 50 == 0:
            assert named_terms(observer.replica) == named_terms(replica), f"order {order}"
            assert named_weights(observer.replica) == named_weights(replica), f"order {order}"


@pytest.mark.parametrize("seed", range(8))
def test_a_second_implementation_finds_the_same_where_members_move(seed: int) -> None:
    swarm = membered_swarm(seed)
    assert_second_agrees(swarm, model_of(swarm, *ADMINS))


def assert_second_agrees(swarm: Swarm, model: str = "") -> None:
    """Of everything that the founder holds."""
    history = history_of(swarm)
    everything = set(history.entry)
    replica = swarm.founder.replica
    assert history.weight == named_weights(replica)
    assert history.summed(everything) == named_terms(replica)
    assert history.model(everything) == (model or swarm.founder.model_hash())
    for peer, (role, expires, house) in history.seats(everything).items():
        _, index = history.wanted_out(everything, peer)
        assert replica.revoked_from(peer) == (index[0] if index else None)
        assert index or replica.membership(peer) == Membership(role, expires, house)
    for _, checked in checked_entries(swarm):
        if isinstance(checked.entry, Snapshot):
            assert history.state(checked.hash) == (checked.entry.state, checked.entry.updates)
            assert history.model(history.past[checked.hash]) == checked.entry.model


def test_no_weight_moves_because_members_do() -> None:
    for seed in range(4):
        swarm = membered_swarm(seed)
        published = {
            checked.hash: checked.weight
            for _, checked in checked_entries(swarm)
            if isinstance(checked.entry, Update) and not checked.refused
        }
        assert published == named_weights(swarm.founder.replica)


@pytest.mark.parametrize("seed", range(6))
def test_who_begins_from_a_snapshot_decides_alike_or_says_what_it_lacks(seed: int) -> None:
    swarm = membered_swarm(seed, copies=seed % 2 == 0)
    entries = list(checked_entries(swarm))
    full, order = entries[-1][0], [checked for _, checked in entries]
    decided = left = 0
    for log, seq, _ in snapshots_of(full):
        coming = after(full, order, log, seq)
        replica = opened(full, log, seq)
        rest, missed = go_on(replica, coming, swarm.founder.blobs)
        assert (missed > 0) == (rest != [])
        decided, left = decided + len(coming) - len(rest), left + len(rest)
        if not rest:
            assert seats(replica) == seats(swarm.founder.replica)
    assert decided > left


def test_a_revocation_that_reaches_back_before_a_snapshot_needs_history(swarm: Swarm) -> None:
    founder, ann, bob, eve = (swarm[name] for name in ("founder", "ann", "bob", "eve"))
    for _ in range(12):
        eve.publish(CHANGE)
    swarm.exchange()
    snapshot = ann.snapshot().seq
    swarm.exchange()
    late = joiner("late", founder, ann.id, snapshot, steps=2)
    model = late.model_hash()
    eve.publish(CHANGE)
    swarm.exchange()
    first = founder.revoke(eve, 3)
    checked = late.replica.check(founder.id, founder.replica.data(founder.id, founder.replica.size(founder.id) - 1))
    assert not isinstance(checked, Checked)  # eve's last one comes first
    late.blobs.update(founder.blobs)
    with pytest.raises(NeedsHistory):
        late.fetch(founder)
    assert late.replica.size(founder.id) == first.seq
    assert late.replica.revoked_from(eve.id) is None
    assert late.model_hash() != model  # it took what came before
    assert bob.replica.size(eve.id) == founder.replica.size(eve.id)


def test_a_revocation_from_now_on_needs_none(swarm: Swarm) -> None:
    founder, ann, eve = swarm.founder, swarm["ann"], swarm["eve"]
    snapshot = ann.snapshot().seq
    swarm.exchange()
    late = joiner("late", founder, ann.id, snapshot, steps=2)
    for admin in (founder, ann):
        admin.revoke(eve)
        swarm.exchange()
    late.fetch(founder)
    assert late.replica.revoked_from(eve.id) == eve.replica.size(eve.id)
    again = ann.snapshot()
    swarm.exchange()
    late.fetch(founder)
    assert late.model_hash() == founder.model_hash() == again.entry.model
    assert seats(opened(founder.replica, ann.id, again.seq, 1)) == seats(founder.replica)


# ------------------------------------------------------------------ what an auditor is told


def test_an_audit_says_who_is_out_since_where_and_by_whom_and_finds_nothing_wrong(swarm: Swarm, tmp_path: Path) -> None:
    founder, ann, eve = swarm.founder, swarm["ann"], swarm["eve"]
    since = counted(founder.replica, eve.id)[1]
    founder.revoke(eve, since)
    ann.fetch(founder)
    ann.revoke(eve, since)
    eve.publish(CHANGE)  # does not know of it
    swarm.exchange()
    ann.snapshot()
    swarm.exchange()
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert report.verdict == "clean"
    assert report.model_hash == model_of(swarm)
    (out,) = report.shown_out
    assert (out.peer, out.since, out.admins) == (eve.id, since, tuple(sorted((founder.id, ann.id))))
    assert {log.revoked_from for log in report.logs if log.peer == eve.id} == {since}
    assert {log.void_from for log in report.logs} == {None}
    told = as_json(report, "plain")
    assert told["shown_out"] == [{"peer": eve.id, "since": since, "admins": out.admins}]
    assert [log["state"] for log in told["logs"] if log["peer"] == eve.id] == [f"counts up to entry {since}"]
    done = CliRunner().invoke(app, ["ledger", "verify", str(written(swarm, tmp_path / "b")), "--swarm", swarm.swarm])
    assert f"eve ({eve.id[:12]}): nothing of its log from entry {since} on counts, say " in done.output.replace(
        "\n", " "
    )
    assert done.exit_code == 0
