"""A peer changes keys: everybody follows, newcomers too, and who holds only the old key is nobody any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gossip.config import PeerConfig
from gossip.events import Append, Drop, KeepCheckpoint, NewKey, Stored, Timer
from gossip.sim import Crash, NewKeyAt, Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.disk import Memory
from gossip.sim.station import SimPeer, next_key
from gossip.wire.frames import Entries, Want
from ledger import checkpoint
from ledger.canonical import decode_entry, encode_entry, entry_hash
from ledger.checkpoint import open_note
from ledger.entry import Recover, Rotate, Update
from ledger.errors import RemoteError
from ledger.keys import PrivateKey, key_digest, verify
from ledger.merkle import Tree, leaf_hash
from ledger.note import Signature, SignedNote, key_id, print_note
from ledger.promise import follow_keys, promise_of
from ledger.replica import InvalidEntry, Replica
from tests.peer.bench import Bench, frames_to, notes, only
from tests.peer.test_bad_member import Author, guest


def lived(**what: Any) -> SimSwarm:
    swarm = SimSwarm(Scenario(**what))
    report = swarm.run()
    assert report.drained
    assert len(set(report.model_hashes.values())) == 1
    assert report.refusals == ()
    return swarm


def replica_of(peer: SimPeer) -> Replica:
    assert peer.book is not None
    return peer.book.replica


def changes(peer: SimPeer, log: str) -> list[int]:
    """Where a log changes keys, as `peer` holds it."""
    replica = replica_of(peer)
    entries = [replica.entry(log, seq) for seq in range(replica.size(log))]
    return [entry.seq for entry in entries if isinstance(entry, Rotate | Recover)]


def test_others_go_on_with_a_peer_whose_key_changed_and_so_does_it_after_a_crash() -> None:
    swarm = lived(
        peers=4, seconds=30.0, seed=3, new_keys=(NewKeyAt(1, 8.0), NewKeyAt(0, 12.0), NewKeyAt(1, 16.0)),
        crashes=(Crash(1, 20.0, 2.0), Crash(0, 24.0, 1.0)),
    )  # fmt: skip
    for index, count in ((0, 1), (1, 2)):
        log = swarm.peers[index].self_id
        for peer in swarm.peers:
            (*_, last) = found = changes(peer, log)
            assert len(found) == count
            replica = replica_of(peer)
            assert replica.key_of(log) == next_key(3, index, count).public
            later = [replica.entry(log, seq) for seq in range(last, replica.size(log))]
            assert any(isinstance(entry, Update) for entry in later)
            kept = peer.memory.checkpoint(log)
            assert kept is not None
            assert open_note(kept.note, next_key(3, index, count).public).size == replica.size(log)


def test_a_latecomer_reads_a_log_through_all_its_keys() -> None:
    """Nobody can check the newest key before the entry that names it: older stretches come under older checkpoints."""
    swarm = lived(
        peers=4, seconds=40.0, seed=4, late={3: 24.0}, crashes=(Crash(2, 18.0, 2.0),),
        new_keys=(NewKeyAt(1, 5.0), NewKeyAt(1, 10.0), NewKeyAt(1, 10.01), NewKeyAt(1, 15.0), NewKeyAt(0, 12.0)),
    )  # fmt: skip
    log = swarm.peers[1].self_id
    assert len(changes(swarm.peers[3], log)) == 4
    assert changes(swarm.peers[3], log) == changes(swarm.peers[1], log)


def test_updates_taken_back_leave_everybodys_model() -> None:
    plain = lived(peers=3, seconds=16.0, seed=5)
    log = plain.peers[1].self_id
    swarm = lived(peers=3, seconds=16.0, seed=5, new_keys=(NewKeyAt(1, 15.9, recover=True, since=4),))
    (at,) = changes(swarm.peers[2], log)
    entry = replica_of(swarm.peers[2]).entry(log, at)
    assert isinstance(entry, Recover)
    assert entry.since == 4
    for peer in swarm.peers:
        assert not [seq for origin, seq, _, _ in replica_of(peer).updates if origin == log and 4 <= seq < at]
        assert [seq for origin, seq, _, _ in replica_of(peer).updates if origin == log and seq < 4]


def test_a_snapshot_of_before_the_change_is_not_put_to_the_vote_by_who_has_only_the_new_key() -> None:
    swarm = lived(peers=3, seconds=12.0, seed=6)  # each log ends in a snapshot
    clock, peer = swarm.clock, swarm.peers[1]

    def wait(seconds: float) -> None:
        until = clock.now + seconds
        while clock.step(until):
            pass

    peer.change_key()
    wait(0.5)
    peer.crash()
    wait(1.0)
    peer.start()  # with the new key alone
    wait(150.0)
    assert peer.is_up
    for other in swarm.peers:
        assert len(changes(other, peer.self_id)) == 1


@pytest.mark.parametrize("has_copy", [True, False], ids=["an old copy", "a backup of the keys alone"])
def test_what_a_thief_wrote_comes_back_to_its_owner_and_leaves_the_model(has_copy: bool) -> None:
    """The thief runs a copy and publishes; the owner comes back with the promised key, and takes that back."""
    swarm = SimSwarm(Scenario(peers=3, seconds=40.0, seed=7))
    clock, peer = swarm.clock, swarm.peers[1]
    log, kept = peer.self_id, []

    def steal() -> None:
        kept.append((peer.memory.copy(), replica_of(peer).size(log)))

    def come_back() -> None:
        peer.crash()
        (memory, _), peer.memory = kept[0], Memory()
        if has_copy:
            peer.memory = memory
        else:
            peer.memory.put(*memory.history[0], None)  # its enrolment
        peer.restored = not has_copy
        peer.start()

    clock.at(EPOCH + 10.0, steal)
    clock.at(EPOCH + 20.0, come_back)
    clock.at(EPOCH + 20.1, lambda: peer.change_key(True, kept[0][1]))
    report = swarm.run()
    assert report.drained
    assert len(set(report.model_hashes.values())) == 1
    assert report.refusals == ()
    stolen = kept[0][1]
    for other in swarm.peers:
        replica = replica_of(other)
        (at,) = changes(other, log)
        assert at > stolen + 2
        between = [replica.entry(log, seq) for seq in range(stolen, at)]
        assert any(isinstance(entry, Update) for entry in between)
        counted = [seq for origin, seq, _, _ in replica.updates if origin == log]
        assert counted
        assert not [seq for seq in counted if stolen <= seq < at]
        assert [seq for seq in counted if seq > at]  # and it goes on publishing


@pytest.mark.parametrize("changed", [False, True], ids=["with its first key", "after a change of keys"])
def test_a_peer_with_a_long_log_comes_back_with_the_promised_key_alone(changed: bool) -> None:
    """Nothing of the time before the change is put to the witnesses: the key that would sign it is gone."""
    swarm = SimSwarm(Scenario(peers=2, seconds=60.0, seed=8))
    clock, peer = swarm.clock, swarm.peers[1]
    log = peer.self_id
    held: list[int] = []

    def come_back() -> None:
        peer.crash()
        held.append(replica_of(swarm.peers[0]).size(log))
        enrolment, peer.memory = peer.memory.history[0], Memory()
        peer.memory.put(*enrolment, None)
        peer.restored = True
        peer._key = next_key(8, 1, 1 + changed)
        peer.start()
        peer.change_key(True)

    if changed:
        clock.at(EPOCH + 6.0, peer.change_key)
    clock.at(EPOCH + 42.0, come_back)
    report = swarm.run()
    assert peer.is_up
    assert report.drained
    assert report.refusals == ()
    assert held[0] > PeerConfig().vouch_entries  # or it would not have been time to ask the witnesses
    for other in swarm.peers:
        *_, at = changes(other, log)
        assert at >= held[0]
        replica = replica_of(other)
        assert replica.key_of(log) == next_key(8, 1, 1 + changed).public
        assert any(isinstance(replica.entry(log, seq), Update) for seq in range(at, replica.size(log)))


# ------------------------------------------------------------------ the machine by hand


def promised() -> tuple[NewKey, PrivateKey]:
    """What the founder on the bench promised, and the key after it."""
    after = next_key(11, 0, 2)
    return NewKey(next_key(11, 0, 1), key_digest(after.public)), after


def test_the_old_key_signs_for_what_stands_before_the_change_and_the_new_one_for_the_change() -> None:
    bench = Bench()
    own = bench.shell.self_id
    bench.feed_data()
    event, _ = promised()
    bench.train(1.0)  # an update that is not on disk yet
    assert only(bench.feed(event), Append) == []
    effects = bench.store()
    (append,) = only(effects, Append)
    assert isinstance(decode_entry(append.entry), Rotate)
    signed = [kept for kept in only(effects, KeepCheckpoint) if kept.log == own]
    assert [open_note(kept.note, bench.key.public).size for kept in signed] == [4]
    assert bench.machine.promise().key == bench.key.public  # type: ignore[union-attr]
    (kept,) = [kept for kept in only(bench.feed(Stored(append.seq)), KeepCheckpoint) if kept.log == own]
    assert open_note(kept.note, event.key.public).size == 5
    assert bench.machine.promise().key == event.key.public  # type: ignore[union-attr]
    assert notes(bench.effects, "rotated")[-1]["key"] == event.key.public.hex()


def test_what_was_asked_twice_is_written_once_and_a_key_that_was_not_promised_never() -> None:
    bench = Bench()
    bench.feed_data()
    event, after = promised()
    stranger = NewKey(PrivateKey.generate(), "ab" * 32)
    assert only(bench.feed(stranger), Append) == []
    assert "is not the one that this peer's log promises" in str(notes(bench.effects, "trouble")[-1]["text"])
    (append,) = only(bench.feed(event), Append)
    bench.feed(Stored(append.seq))
    assert only(bench.feed(event), Append) == []  # a crash before the answer, or an old backup
    (append,) = only(bench.feed(NewKey(after, "cd" * 32, recover=True, since=2)), Append)
    assert isinstance(decode_entry(append.entry), Recover)


def test_a_stretch_never_crosses_a_change_of_keys() -> None:
    bench = Bench()
    own = bench.shell.self_id
    bench.feed_data()
    event, _ = promised()
    (append,) = only(bench.feed(event), Append)
    bench.feed(Stored(append.seq))
    visitor = guest(bench, 1, 21)
    answers = bench.say(1, Want(own, 0, 64, "0" * 64))
    (first,) = [frame for frame in frames_to(answers, 1) if isinstance(frame, Entries) and frame.log == own]
    assert len(first.entries) == append.seq
    open_note(first.note, bench.key.public)
    answers = bench.say(1, Want(own, append.seq, 64, entry_hash(first.entries[-1])))
    (second,) = [frame for frame in frames_to(answers, 1) if isinstance(frame, Entries) and frame.log == own]
    assert second.entries[0] == append.entry
    open_note(second.note, event.key.public)
    assert visitor.log != own


class Owner(Author):
    """Somebody whose log keeps a promise: `keys` are all it will ever have."""

    def __init__(self, swarm: str, seed: int) -> None:
        super().__init__(swarm, seed)
        self.keys = [PrivateKey.from_seed((seed * 100 + number).to_bytes(32, "big")) for number in range(3)]
        self.key = self.keys[0]
        self.begin(key_digest(self.keys[1].public))

    def begin(self, promise: str) -> None:
        enrol = msgspec.structs.replace(decode_entry(self.entries[0]), key=self.key.public.hex(), next=promise)
        self.entries = [encode_entry(enrol)]
        self.log = entry_hash(self.entries[0])

    def rotation(self, key: bytes, following: bytes, meets: Sequence[Author] = (), **more: Any) -> bytes:
        kind = Recover if more else Rotate
        return encode_entry(kind(**self.chain(meets), key=key.hex(), next=key_digest(following), **more))

    def signed(self, start: int, size: int, key: PrivateKey) -> Entries:
        tree = Tree(leaf_hash(data) for data in self.entries[:size])
        name = checkpoint.origin(self.swarm, self.log)
        note = checkpoint.sign(checkpoint.Checkpoint(name, size, tree.root()), key)
        return Entries(self.log, start, note, (), tuple(self.entries[start:size]))


def member(bench: Bench, link: int, seed: int) -> Owner:
    owner = Owner(bench.book.replica.swarm, seed)
    bench.link(link, owner.key.public, "trainer")
    bench.say(link, owner.signed(0, 1, owner.key))
    bench.store()
    assert bench.book.replica.role_of(owner.log) == "trainer"
    return owner


def test_a_thief_of_the_current_key_cannot_change_it() -> None:
    """Its entry is refused, and the log it did not break goes on."""
    bench = Bench()
    owner = member(bench, 1, 31)
    stolen, mine = owner.keys[0], PrivateKey.generate()
    honest = list(owner.entries)
    for kind in ({}, {"since": 0}):
        owner.entries = [*honest, owner.rotation(mine.public, mine.public, **kind)]
        for signer in (stolen, mine):
            bench.now += 60.0
            number = len(bench.effects)
            bench.link(number, stolen.public)
            effects = bench.say(number, owner.signed(1, 2, signer))
            assert [drop.link for drop in only(effects, Drop)] == [number]
        with pytest.raises(InvalidEntry, match="key"):
            bench.book.replica.check(owner.log, owner.entries[1])
        owner.entries = list(honest)
    bench.now += 60.0
    bench.link(9, owner.keys[1].public)  # known by the promise alone
    owner.entries.append(owner.rotation(owner.keys[1].public, owner.keys[2].public))
    assert only(bench.say(9, owner.signed(1, 2, owner.keys[1])), Drop) == []
    assert bench.book.replica.key_of(owner.log) == owner.keys[1].public


def test_after_the_change_the_old_key_opens_no_door_and_signs_no_checkpoint() -> None:
    bench = Bench()
    owner = member(bench, 1, 32)
    owner.entries.append(owner.rotation(owner.keys[1].public, owner.keys[2].public))
    bench.say(1, owner.signed(1, 2, owner.keys[1]))
    replica = bench.book.replica
    assert replica.member_by_key(owner.keys[0].public) is None
    assert replica.member_by_key(owner.keys[1].public) == replica.member_by_key(owner.keys[2].public) == owner.log
    owner.entries.append(owner.rotation(owner.keys[2].public, owner.keys[0].public))
    assert [drop.link for drop in only(bench.say(1, owner.signed(2, 3, owner.keys[0])), Drop)] == [1]
    assert replica.size(owner.log) == 2
    bench.now += 60.0
    effects = bench.link(2, owner.keys[0].public)
    assert [drop.reason for drop in only(effects, Drop)] == ["no member we know"]


def test_a_link_that_stands_is_the_same_peers_under_the_new_key() -> None:
    bench = Bench()
    owner = member(bench, 1, 33)
    owner.entries.append(owner.rotation(owner.keys[1].public, owner.keys[2].public))
    assert only(bench.say(1, owner.signed(1, 2, owner.keys[1])), Drop) == []
    bench.now += 60.0
    assert [drop.link for drop in only(bench.link(2, owner.keys[1].public), Drop)] == [1]  # it came back: one link


def test_what_is_kept_of_a_log_is_kept_under_the_key_of_its_time() -> None:
    """A change of keys may be here and wait for its past: a restart must not find older entries under a newer key."""
    bench = Bench()
    owner, first, second = (
        member(bench, 1, 37),
        Author(bench.book.replica.swarm, 41),
        Author(bench.book.replica.swarm, 42),
    )
    keys = owner.keys
    owner.entries.append(owner.rotation(keys[1].public, keys[2].public, [first]))
    owner.entries.append(owner.rotation(keys[2].public, keys[0].public, [second]))
    bench.say(1, owner.signed(1, 2, keys[1]))
    bench.say(1, owner.signed(2, 3, keys[2]))
    assert bench.book.replica.size(owner.log) == 1
    effects = bench.say(1, first.frame())
    assert bench.book.replica.size(owner.log) == 2
    (kept,) = [kept for kept in only(effects, KeepCheckpoint) if kept.log == owner.log]
    assert open_note(kept.note, keys[1].public).size == kept.held == 2


def test_a_store_made_from_a_backup_writes_nothing_before_somebody_has_told() -> None:
    """Alone for a minute it stays silent; a peer that never wrote would begin at once."""
    event, _ = promised()
    new, restored = Bench(), Bench(restored=True)
    assert len(only(new.feed(event), Append)) == 1
    assert only(restored.feed(event), Append) == []
    for _ in range(6):
        restored.now += 10.0
        assert only(restored.feed(Timer("home")), Append) == []
    assert "waits for another peer" in str(notes(restored.effects, "trouble")[0]["text"])


def test_two_keys_under_one_checkpoint_are_refused() -> None:
    bench = Bench()
    owner = member(bench, 1, 34)
    owner.entries.append(owner.rotation(owner.keys[1].public, owner.keys[2].public))
    owner.entries.append(owner.rotation(owner.keys[2].public, owner.keys[0].public))
    assert [drop.link for drop in only(bench.say(1, owner.signed(1, 3, owner.keys[2])), Drop)] == [1]
    assert "two keys" in str(notes(bench.effects, "refused")[-1]["text"])


@pytest.mark.parametrize("kind", ["rotate", "recover"])
@pytest.mark.parametrize(
    "key",
    [1, 0, (1 << 255) - 20, 1 | 1 << 255, (1 << 255) - 18],
    ids=["identity", "order4", "order2", "sign", "spelling"],
)
def test_a_change_to_a_key_of_small_order_is_refused_even_if_it_was_promised(kind: str, key: int) -> None:
    bad = key.to_bytes(32, "little")
    bench = Bench()
    owner = Owner(bench.book.replica.swarm, 35)
    owner.begin(key_digest(bad))
    bench.link(1, owner.key.public, "trainer")
    bench.say(1, owner.signed(0, 1, owner.key))
    bench.store()
    owner.entries.append(owner.rotation(bad, bad, **({"since": 1} if kind == "recover" else {})))
    with pytest.raises(InvalidEntry, match="key"):
        bench.book.replica.check(owner.log, owner.entries[1])
    name = checkpoint.origin(owner.swarm, owner.log)
    body = checkpoint.Checkpoint(name, 2, Tree(leaf_hash(data) for data in owner.entries).root()).body()
    signed = Signature(name, key_id(name, 1, bad), (1).to_bytes(32, "little") + bytes(32))
    forged = print_note(SignedNote(body, (signed,)))
    # The positive control: under the identity OpenSSL lets this one signature pass for any message.
    assert verify(bad, signed.value, body) or key != 1
    assert [drop.link for drop in only(bench.say(1, Entries(owner.log, 1, forged, (), (owner.entries[1],))), Drop)] == [
        1
    ]
    assert bench.book.replica.size(owner.log) == 1


def test_no_promise_is_followed_without_its_enrolment() -> None:
    owner = Owner("ab" * 32, 36)
    change = owner.rotation(owner.keys[1].public, owner.keys[2].public)
    with pytest.raises(RemoteError, match="did not promise"):
        follow_keys(None, 0, change)
    with pytest.raises(RemoteError, match="second time"):
        promise_of([owner.entries[0], owner.entries[0]])
    promise = promise_of([owner.entries[0], change])
    assert promise is not None
    assert (promise.key, promise.since) == (owner.keys[1].public, 1)
