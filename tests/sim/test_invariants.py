"""Positive controls: for each rule somebody breaks it, and it is noticed: that rule, of that peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gossip.events import Append, KeepVote, KeepWitnessed, Stored
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import Book, restore
from gossip.sim import Broken, Crash, Cut, Scenario, SimSwarm, simulate
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from ledger.canonical import encode_entry
from ledger.entry import Data, Enrol, Snapshot, Update
from ledger.replica import Checked

SCENARIO = Scenario(peers=4, seconds=10, round_s=1.0, signatures="checked", settle_s=20)
SHORT = replace(SCENARIO, seconds=3)
Deed = Callable[[SimSwarm, SimPeer], None]


def rules(swarm: SimSwarm) -> set[tuple[int, str]]:
    return {(broken.peer, broken.rule) for broken in swarm.invariants.broken}


def done(deed: Deed, at: float = 5.0, scenario: Scenario = SCENARIO) -> SimSwarm:
    """A swarm in which somebody reaches into peer number 2."""
    swarm = SimSwarm(scenario)
    swarm.clock.at(EPOCH + at, lambda: deed(swarm, swarm.peers[2]))
    with swarm.signing.standing_in():
        swarm._plan()
        while swarm.clock.step(EPOCH + scenario.seconds):
            pass
        swarm.invariants.at_end(swarm.peers, [])
    return swarm


def book_of(peer: SimPeer) -> Book:
    assert peer.book is not None
    return peer.book


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    swarm = done(lambda swarm, peer: None)
    assert rules(swarm) == set()
    assert book_of(swarm.peers[0]).replica.admitted > 30  # there was something to look at


def test_a_model_that_changes_by_itself() -> None:
    def deed(swarm: SimSwarm, peer: SimPeer) -> None:
        book_of(peer).fold.theta[3] += 1  # type: ignore[union-attr]

    swarm = done(deed)
    assert (2, "model") in rules(swarm)
    first = swarm.invariants.broken[0]
    assert 5.0 <= first.at_s < 5.5  # at the next event, not at the end
    assert {peer for peer, _ in rules(swarm)} <= {2, 3}  # (3: it holds the same entries as 2, and another model)


class DoubleBook(Book):
    """Folds everything twice: with each admission the model is wrong by what was admitted."""

    def _move(self, change, opened, decoded) -> None:  # type: ignore[no-untyped-def]
        super()._move(change, opened, decoded)
        super()._move(change, opened, decoded)


class WithDoubleBook(SimSwarm):
    def book_of(self, peer: SimPeer) -> Book:
        if peer.index != 2:
            return super().book_of(peer)
        return DoubleBook.empty(self.swarm_id, self.peers[0].self_id, NumpyArithmetic())


def test_an_admission_that_moves_the_model_by_the_wrong_amount() -> None:
    report = WithDoubleBook(replace(SCENARIO, settle_s=5)).run()
    assert any(broken.rule == "model" for broken in report.invariants_broken)


def forged(book: Book, log: str) -> tuple[Checked, bytes]:
    """An update of another peer that this one has never written: its last one once more, in the next place."""
    replica = book.replica
    seq = max(seq for seq in range(replica.size(log)) if isinstance(replica.entry(log, seq), Update))
    last = replica.entry(log, seq)
    assert isinstance(last, Update)
    fields = replica.draft(log)
    body = msgspec.structs.replace(last, view=[], privacy=None) if hasattr(last, "privacy") else last
    entry = fields.stamp(body, last.time)
    right = replica.weigh(log, fields, replica.heads(), entry)
    entry = msgspec.structs.replace(entry, weight=right)
    blob = book.find(last.delta)
    assert blob is not None
    checked = replica.check(log, encode_entry(entry))
    assert isinstance(checked, Checked)
    return checked, blob


def test_an_entry_that_its_author_has_never_written() -> None:
    """Admitted past the tapes, which check signatures: it is well-formed, and would fold."""

    def deed(swarm: SimSwarm, peer: SimPeer) -> None:
        book_of(peer).admit(*forged(book_of(peer), swarm.peers[1].self_id))

    swarm = done(deed, at=9.99)  # its author goes on writing there, which would be a fork
    assert (2, "written") in rules(swarm)
    assert all(peer == 2 for peer, rule in rules(swarm) if rule == "written")


def test_a_weight_that_no_rule_gives() -> None:
    """No entry can even be written with more than 1, so the bound is told here to be a hundredth of that."""
    swarm = SimSwarm(SCENARIO)
    swarm.invariants._most = 655
    report = swarm.run()
    assert {broken.rule for broken in report.invariants_broken} == {"weight"}


def test_an_entry_that_is_exchanged() -> None:
    """In memory, under the nose of the tree over it: nothing looks at old entries but an auditor."""

    def deed(swarm: SimSwarm, peer: SimPeer) -> None:
        replica, log = book_of(peer).replica, swarm.peers[1].self_id
        rows: Any = replica._entries[log]
        enrol = replica.entry(log, 0)
        assert isinstance(enrol, Enrol)
        rows[0] = encode_entry(msgspec.structs.replace(enrol, name="somebody else"))

    assert (2, "append") in rules(done(deed))


def test_a_disk_that_forgets_what_it_has_acknowledged() -> None:
    def deed(swarm: SimSwarm, peer: SimPeer) -> None:
        peer.crash()
        last = max(place for place, row in enumerate(peer.memory.history) if row[0] == peer.self_id)
        peer.memory._places.discard(peer.memory.history[last][:2])
        del peer.memory.history[last:]
        peer.memory._meant = b""
        peer.memory.mark = None
        peer.memory.recover = lambda: None  # type: ignore[method-assign]
        peer.start()

    assert (2, "lost") in rules(done(deed))


def test_a_disk_that_lost_everything() -> None:
    """Nothing is there but the entry that a joiner begins with: so it looks like one that has never been in."""

    def deed(swarm: SimSwarm, peer: SimPeer) -> None:
        peer.crash()
        memory = peer.memory
        memory.history.clear()
        memory._places.clear()
        memory.blobs.clear()
        memory.checkpoints.clear()
        memory.mark, memory._meant = None, b""
        memory.put(peer.self_id, 0, swarm._enrol(2, peer._key, sponsor=swarm.peers[0].self_id), None)
        peer.start()

    assert (2, "lost") in rules(done(deed, at=2.0, scenario=SHORT))


def test_a_log_that_gets_shorter_in_memory() -> None:
    """Its replica is exchanged for an earlier one, as nothing does."""

    def deed(swarm: SimSwarm, peer: SimPeer) -> None:
        book, log = book_of(peer), swarm.peers[1].self_id
        shorter = [row for row in peer.memory.history if row[:2] != (log, book.replica.size(log) - 1)]
        earlier = restore(swarm.swarm_id, swarm.peers[0].self_id, shorter, peer.memory.blob, NumpyArithmetic())
        seen = swarm.invariants._seen[peer.index]
        before, book.replica = book.replica, earlier.replica
        swarm.invariants.after(peer)
        book.replica = before
        del seen.chains[log]  # it is whole again, and seen for the first time

    swarm = done(deed, at=2.0, scenario=SHORT)
    (first, *_) = swarm.invariants.broken
    assert (first.peer, first.rule) == (2, "append")
    assert "and now has" in first.text


def test_an_entry_that_moved_no_model_and_is_not_held() -> None:
    """It went by: by its entries a peer should hold one more than it says. The model is the same either way."""

    def deed(swarm: SimSwarm, peer: SimPeer) -> None:
        replica, log = book_of(peer).replica, swarm.peers[1].self_id
        data = next(e for seq in range(replica.size(log)) if isinstance(e := replica.entry(log, seq), Data))
        fields = replica.draft(log)
        again = fields.stamp(data, data.time)
        swarm.invariants._seen[peer.index].order.append((log, again.seq, encode_entry(again)))
        swarm.invariants._recompute(peer)

    swarm = done(deed, at=2.99, scenario=SHORT)
    assert rules(swarm) == {(2, "model")}
    assert swarm.invariants.broken[0].text == "recomputed from the entries it holds it is another one"


class Hasty(SimPeer):
    """Answers for what it has not written: a store that does not wait for its disk, or does not look at its errors."""

    def _carry_out(self, effect) -> None:  # type: ignore[no-untyped-def]
        if isinstance(effect, Append):
            self.memory.begin(effect.blob)
            self._later(0.001, Stored(effect.seq))
        else:
            super()._carry_out(effect)


class WithHasty(SimSwarm):
    def make_peer(self, index, key, config, self_id) -> SimPeer:  # type: ignore[no-untyped-def]
        return (Hasty if index == 2 else SimPeer)(self, index, key, config, self_id)


def test_a_store_that_acknowledges_before_it_has_written() -> None:
    report = WithHasty(replace(SCENARIO, settle_s=5)).run()
    found = {(broken.peer, broken.rule) for broken in report.invariants_broken}
    assert (2, "written") in found  # it signs for them
    assert any(peer != 2 and rule == "written" for peer, rule in found)  # and others have them
    assert "the same again: seed" in str(report)


@pytest.mark.parametrize("kind", [KeepWitnessed, KeepVote])
def test_a_witness_that_says_two_things(kind: type[KeepWitnessed] | type[KeepVote]) -> None:
    def deed(swarm: SimSwarm, peer: SimPeer) -> None:
        log = "ab" * 32  # of nobody: what it says of others stays as it is
        for what in (b"x" * 32, b"y" * 32):
            write = KeepWitnessed(log, 3, what) if kind is KeepWitnessed else KeepVote(log, 3, what.hex())
            swarm.stored(peer, write)

    assert rules(done(deed)) == {(2, "promise")}


def test_halves_that_never_meet_again() -> None:
    report = simulate(replace(SCENARIO, cuts=(Cut(3.0, 1000.0, (0, 1)),), settle_s=2))
    assert not report.heads_equal
    assert [(broken.peer, broken.rule) for broken in report.invariants_broken] == [(-1, "heads")]
    assert "peers 0 and 2" in report.invariants_broken[0].text


def test_who_is_down_at_the_end_need_not_agree() -> None:
    report = simulate(replace(SCENARIO, crashes=(Crash(3, 4.0, 1000.0),), settle_s=2))
    assert report.ok, str(report)
    assert not report.heads_equal  # which is said all the same


def test_who_watches_changes_nothing() -> None:
    class Unwatched(SimSwarm):
        def handled(self, peer: SimPeer) -> None:
            pass

        def started(self, peer: SimPeer) -> None:
            pass

        def _look_through(self, number: int) -> None:
            pass

        def _sample(self) -> None:
            pass

    scenario = replace(SCENARIO, loss=0.1, churn=0.3)
    unwatched = Unwatched(scenario)
    unwatched.invariants.at_end = lambda peers, honest: None  # type: ignore[method-assign]
    assert simulate(scenario).trace == unwatched.run().trace


def test_a_report_says_what_was_broken_to_programs_too() -> None:
    report = simulate(replace(SCENARIO, cuts=(Cut(3.0, 1000.0, (0, 1)),), settle_s=1))
    said = msgspec.json.decode(msgspec.json.encode(report.as_json()))
    assert said["heads_equal"] is False
    assert said["invariants_broken"][0]["rule"] == "heads"
    assert said["seed"] == report.seed
    assert isinstance(report.invariants_broken[0], Broken)


def test_snapshots_are_looked_at_too() -> None:
    """The books hold every kind of entry: a swarm long enough to write snapshots has them in its chains."""
    swarm = done(lambda swarm, peer: None, scenario=replace(SCENARIO, seconds=20, round_s=0.5))
    kinds = {type(book_of(swarm.peers[0]).replica.entry(peer.self_id, seq)) for peer in swarm.peers
             for seq in range(book_of(swarm.peers[0]).replica.size(peer.self_id))}  # fmt: skip
    assert Snapshot in kinds
    assert rules(swarm) == set()
