"""A peer that lets go of deltas and one that keeps all of them: the same entries, the same bits, whatever they say."""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer.book import Book, restore
from gossip.peer.shedding import Shedding, newest_ground, sums_of
from ledger.entry import Anchor, Hash, Snapshot
from ledger.errors import LocalError
from ledger.kept import StoredBase
from ledger.replica import Checked, InvalidEntry, LogId
from tests.fold.stories import random_blob, troubled_swarm
from tests.fold.toy import CHAIN, POLICY, Swarm
from tests.thorough import times


class Keeper:
    """A peer with a disk, that hears entries in any order, lets go of deltas now and then, and restarts when it did."""

    def __init__(self, swarm: Swarm, keep: int) -> None:
        self.swarm, self.keep = swarm, keep
        self.all = {**swarm.founder.blobs}
        self.kept: dict[Hash, bytes] = {}
        self.history: list[tuple[LogId, int, bytes]] = []
        self.base: StoredBase | None = None
        self.let_go = self.owed = 0
        self.book = self._restored()

    def _restored(self) -> Book:
        swarm, founder = self.swarm.swarm, self.swarm.founder_id
        return restore(swarm, founder, self.history, self.kept.get, NumpyArithmetic(), self.base)

    def hear(self, luck: Random | None) -> None:
        """Everything, in an order that works; with some luck in between prunes."""
        waiting = [(peer, data) for peer, _, data in self.swarm.everything()]
        if luck is not None:
            luck.shuffle(waiting)
        while waiting:
            left = [(peer, data) for peer, data in waiting if not self._take(peer, data, luck)]
            assert len(left) < len(waiting)
            waiting = left

    def _take(self, peer: str, data: bytes, luck: Random | None) -> bool:
        book = self.book
        is_known = book.replica.has_genesis or peer == self.swarm.founder_id
        log = book.replica.strand_for(peer, data) if is_known else None
        try:
            checked = book.replica.check(log, data) if log else None
        except InvalidEntry:
            return False
        if not isinstance(checked, Checked):
            return False
        is_genesis = checked.seq == 0 and peer == self.swarm.founder_id
        blob = POLICY.encode() if is_genesis else self.all.get(checked.blob or "")
        if checked.blob is not None and blob is not None:
            self.kept[checked.blob] = blob
        book.admit(checked, blob)
        self.history.append((checked.log, checked.seq, data))
        self.owed = max(self.owed, len(book.owed))
        if luck is not None and luck.random() < 0.15:
            self.prune()
        elif luck is not None and luck.random() < 0.1:
            self.pay()
        return True

    def pay(self) -> None:
        """Somebody who keeps everything gives back what is owed."""
        for (log, seq), owed in tuple(self.book.owed.items()):
            assert owed.delta not in self.kept
            self.kept[owed.delta] = self.all[owed.delta]
            self.book.pay(log, seq, self.all[owed.delta])

    def prune(self) -> None:
        """Let go of what may go; then the process ends, and begins again from what it has kept."""
        ground = newest_ground(self.book.replica)
        theta = sums_of(self.book, ground) if ground is not None else None
        if ground is None or theta is None:
            return
        self.base = StoredBase(ground.log, ground.seq, self.book.arithmetic.sums(theta))
        going = Shedding(self.book.replica, self.keep).next(ground)
        self.let_go += sum(self.kept.pop(digest, None) is not None for digest in going)
        before, heads = self.book.model_hash(), self.book.replica.heads()
        self.book = self._restored()
        assert self.book.model_hash() == before != ""
        assert self.book.replica.heads() == heads


def put_out(swarm: Swarm, luck: Random) -> None:
    """Who wrote finals is shown out, from some earlier entry on; then life goes on without it."""
    name = luck.choice(["ann", "bob"])
    swarm.founder.revoke(swarm[name], since=luck.randrange(1, swarm.founder.replica.size(swarm[name].id)))
    other = swarm["bob" if name == "ann" else "ann"]
    other.fetch(swarm.founder)
    other.publish_blob(random_blob(luck, 16, exponent=-10))
    swarm.founder.fetch(other)


def compare(seed: int, keep: int, *, expels: bool) -> Keeper:
    luck = Random(seed)
    swarm = troubled_swarm(seed, events=50)
    if expels:
        put_out(swarm, luck)
    keeper = Keeper(swarm, keep)
    keeper.hear(luck)
    owes = bool(keeper.book.owed)
    assert (keeper.book.model_hash() == "") is owes
    keeper.pay()
    assert keeper.book.model_hash() == swarm.founder.model_hash()
    assert keeper._restored().model_hash() == swarm.founder.model_hash()
    return keeper


@given(seed=st.integers(0, 10_000), keep=st.sampled_from([0, 0, 3, 12]), expels=st.booleans())
@settings(max_examples=times(6, thorough=300), deadline=None)
def test_forks_recoveries_accusations_and_revocations_give_both_the_same_model(
    seed: int, keep: int, expels: bool
) -> None:
    compare(seed, keep, expels=expels)


def test_these_stories_do_let_go_of_deltas_and_do_miss_some_again() -> None:
    """What the test above is about does happen in it."""
    quiet = [compare(seed, 0, expels=False) for seed in (2, 3, 7)]
    assert sum(keeper.let_go for keeper in quiet) > 20
    assert max(keeper.owed for keeper in quiet) == 0, "without a revocation nothing in a base ever moves"
    assert compare(4, 0, expels=True).owed


def test_what_a_peer_keeps_is_the_newest() -> None:
    bare, some = compare(3, 0, expels=False), compare(3, 5, expels=False)
    newest = [digest for log, seq, _ in some.history if (digest := _delta(some.book, log, seq)) is not None]
    assert set(newest[-5:]) <= set(some.kept)
    assert len(some.kept) >= len(bare.kept)


def _delta(book: Book, log: LogId, seq: int) -> Hash | None:
    entry = book.replica.entry(log, seq)
    return getattr(entry, "delta", None) if book.replica.weight_of(log, seq) is not None else None


def test_a_base_of_a_snapshot_that_is_not_held_is_damage() -> None:
    keeper = compare(3, 0, expels=False)
    base = keeper.base
    assert base is not None
    keeper.base = StoredBase(base.log, 10_000, base.sums)
    with pytest.raises(LocalError, match="the store is damaged"):
        keeper._restored()


def test_a_delta_that_a_later_update_names_too_stays() -> None:
    """Somebody publishes the very bytes again that the base holds: the second time they are needed."""
    swarm = Swarm(["ann", "bob"], witnesses=["founder", "ann", "bob"])
    ann, bob, luck = swarm["ann"], swarm["bob"], Random(1)
    twice, once = random_blob(luck, 16, exponent=-10), random_blob(luck, 16, exponent=-10)
    ann.publish_blob(twice)
    ann.publish_blob(once)
    snapshot = ann.snapshot().seq
    swarm.exchange()
    ann.final(snapshot, [swarm.founder, bob])
    swarm.exchange()
    ground = newest_ground(ann.replica)
    assert ground is not None
    names = {sha256(twice).hexdigest(), sha256(once).hexdigest()}
    assert set(Shedding(ann.replica, 0).next(ground)) == names
    bob.publish_blob(twice)
    swarm.exchange()
    assert Shedding(ann.replica, 0).next(ground) == (sha256(once).hexdigest(),)


def test_nothing_is_built_on_a_final_whose_author_folds_wrongly() -> None:
    """Witnesses may sign it without a look; who prunes has made the sums itself, and they are others."""
    swarm = Swarm(["ann", "bob"], witnesses=["founder", "ann", "bob"])
    founder, ann, bob = swarm.founder, swarm["ann"], swarm["bob"]
    ann.publish_blob(random_blob(Random(1), 16, exponent=-10))
    state, updates = ann.replica.snapshot_facts(ann.id, ann.replica.draft(ann.id))
    chain: dict[str, Any] = {**CHAIN}
    wrong = ann.write(Snapshot(**chain, model="ab" * 32, state=state, updates=updates)).seq
    swarm.exchange()
    ann.final(wrong, [founder, bob])
    swarm.exchange()
    keeper = Keeper(swarm, 0)
    keeper.hear(None)
    ground = newest_ground(keeper.book.replica)
    assert ground is not None
    assert (ground.log, ground.seq) == (ann.id, wrong)
    assert sums_of(keeper.book, ground) is None


def test_a_delta_that_somebody_calls_a_time_stamp_stays() -> None:
    """Nobody looks into time stamps, and a start reads all of them: without those bytes no start works again."""
    swarm = Swarm(["ann", "bob"], witnesses=["founder", "ann", "bob"])
    founder, ann, bob, luck = swarm.founder, swarm["ann"], swarm["bob"], Random(1)
    delta = random_blob(luck, 16, exponent=-10)
    ann.publish_blob(random_blob(luck, 16, exponent=-10))
    ann.publish_blob(delta)
    snapshot = ann.snapshot().seq
    swarm.exchange()
    chain: dict[str, Any] = {**CHAIN}
    bob.write(Anchor(**chain, size=1, token=sha256(delta).hexdigest(), bytes=len(delta)))
    swarm.exchange()
    ann.final(snapshot, [founder, bob])
    swarm.exchange()
    keeper = Keeper(swarm, 0)
    keeper.hear(None)
    keeper.prune()
    assert keeper.let_go == 1
    assert sha256(delta).hexdigest() in keeper.kept


def test_a_term_that_leaves_and_comes_back_before_its_delta_did_is_not_moved_twice() -> None:
    """Ann, whose final the base is, is shown out; then a final of bob's is heard of that had held the same."""
    swarm = Swarm(["ann", "bob"], witnesses=["founder", "ann", "bob"])
    founder, ann, bob = swarm.founder, swarm["ann"], swarm["bob"]
    update = ann.publish_blob(random_blob(Random(1), 16, exponent=-10)).seq
    ours = ann.snapshot().seq
    swarm.exchange()
    ann.final(ours, [founder, bob])
    theirs = bob.snapshot().seq
    swarm.exchange()
    keeper = Keeper(swarm, 0)
    keeper.hear(None)
    keeper.prune()
    assert keeper.let_go == 1
    model = keeper.book.model_hash()

    late = bob.final(theirs, [founder, ann])
    founder.revoke(ann, since=update)
    known = founder.replica
    assert keeper._take(founder.id, known.data(founder.id, known.size(founder.id) - 1), None)
    assert set(keeper.book.owed) == {(ann.id, update)}
    assert keeper.book.model_hash() == ""
    assert keeper._take(bob.id, late.data, None)
    assert keeper.book.owed == {}
    assert keeper.book.model_hash() == model
    swarm.exchange("founder", "bob")
    assert founder.model_hash() == model
