"""Cosigning by hand: what a witness signs and when, and how others come to know."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import pytest
from msgspec import structs

from gossip.events import (
    Append,
    Drop,
    Event,
    KeepCosigned,
    KeepWitnessed,
    Received,
    Send,
    Stored,
    Timer,
    WitnessedStored,
)
from gossip.peer.author import chain
from gossip.peer.desk import ASK_AGAIN_S, SETTLE_S
from gossip.peer.election import Election
from gossip.peer.vouches import Proposal, read_note
from gossip.sim import Scenario, SimSwarm
from gossip.wire.codec import decode, encode
from gossip.wire.frames import Entries, Have, Tally, Vouch, Voucher, Want, short_name
from ledger.canonical import decode_entry, encode_entry
from ledger.checkpoint import Checkpoint, open_note, origin, sign
from ledger.cosignature import cosignatures, verify_cosignature
from ledger.entry import PeerId, Snapshot
from ledger.errors import RemoteError
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from ledger.replica import Checked
from tests.peer.bench import frames_to, notes, only
from tests.peer.stand import Stand, signed_by, signed_for, tallies, vouches


def test_a_witness_signs_only_once_its_promise_is_on_disk() -> None:
    stand = Stand()
    proposal = stand.propose(stand.sizes[-1])
    asked = stand.say(proposal)
    assert [(k.log, k.size, k.root) for k in only(asked, KeepWitnessed)] == [
        (stand.author.self_id, proposal.size, proposal.root)
    ]
    assert vouches(asked) == []
    assert vouches(stand.say(proposal)) == []  # and however often it is asked
    sent = vouches(stand.store(asked))
    assert signed_by(stand, sent) == [(proposal.size, proposal.root)]


def test_who_is_no_witness_of_a_log_signs_nothing_and_passes_it_on_to_nobody_twice() -> None:
    stand = Stand("stranger")
    answer = stand.say(stand.propose(stand.sizes[-1]))
    assert only(answer, KeepWitnessed) == []
    assert vouches(answer) == []  # its one link is the author's


def test_a_promise_that_nobody_asked_for_signs_nothing() -> None:
    stand = Stand()
    assert vouches(stand.feed(WitnessedStored(stand.author.self_id, stand.sizes[-1]))) == []


def test_after_a_restart_a_witness_goes_neither_back_nor_to_another_root() -> None:
    stand = Stand()
    small, large = stand.sizes[-3], stand.sizes[-1]
    asked = stand.say(stand.propose(large))
    (promise,) = only(asked, KeepWitnessed)
    stand.disk.promises[promise.log] = (promise.size, promise.root)  # on disk, and then the power goes
    stand.restart()
    assert only(stand.say(stand.propose(small)), KeepWitnessed) == []
    again = stand.say(stand.propose(large))
    assert signed_by(stand, vouches(stand.store(again))) == [(large, promise.root)]  # the same once more is no harm

    stand.disk.promises[promise.log] = (large, b"\x01" * 32)  # another history was signed at that size
    stand.restart()
    refused = stand.say(stand.propose(large))
    assert only(refused, KeepWitnessed) == []
    assert "second history" in str(notes(list(refused), "refused")[0]["text"])


def test_a_witness_whose_store_is_from_a_backup_signs_no_second_root_of_what_it_has_lost() -> None:
    """Of the author's log the last entry is gone, what was promised is not: another entry comes in its place."""
    stand = Stand()
    log, own, size = stand.author.self_id, stand.peer.self_id, stand.sizes[-1]
    entries = [stand.book.replica.data(log, seq) for seq in range(size)]
    stand.store(stand.say(stand.propose(size)))
    assert stand.disk.promises[log][0] == size
    stand.disk.history = [row for row in stand.disk.history if row[0] != log or row[1] < size - 1]
    stand.disk.checkpoints.pop(log)
    stand.restart()
    last = stand.book.replica.data(own, stand.book.replica.size(own) - 1)
    stand.feed(Received(stand.link, encode(Have(((own, stand.book.replica.size(own), sha256(last).digest()[:8]),)))))
    for _ in range(20):
        stand.now += 0.5
        stand.feed(Timer("home"))
    assert stand.machine.may_write

    entry = decode_entry(entries[-1])
    other = [*entries[:-1], encode_entry(structs.replace(entry, time=entry.time + 1))]
    tree = Tree(leaf_hash(data) for data in other)
    note = sign(Checkpoint(origin(stand.swarm.swarm_id, log), size, tree.root()), stand.author._key)
    held = stand.book.replica.size(log)
    stand.feed(Received(stand.link, encode(Entries(log, held, note, (), tuple(other[held:])))))
    assert stand.book.replica.root(log, size) == tree.root()
    refused = stand.say(stand.propose(size, tree.root()))
    assert only(refused, KeepWitnessed) == []
    assert "second history" in str(notes(list(refused), "refused")[0]["text"])


def test_concurrent_proposals_never_yield_two_roots_for_one_size() -> None:
    """Both arrive before the disk has answered; only the one that agrees with the log as it is held is signed."""
    stand = Stand()
    size = stand.sizes[-1]
    first = stand.say(stand.propose(size))
    second = stand.say(stand.propose(size, sha256(b"another history").digest()))
    assert only(second, KeepWitnessed) == []
    signed = signed_by(stand, vouches(stand.store((*first, *second))))
    assert signed == [(size, stand.book.replica.root(stand.author.self_id, size))]


def test_two_roots_of_one_size_are_a_suspicion() -> None:
    stand = Stand()
    size = stand.sizes[-1]
    forged = stand.propose(size, sha256(b"a third").digest(), key=PrivateKey.from_seed(b"x" * 32))
    assert only(stand.say(forged), Send) == []  # nobody is suspected on a stranger's word
    answer = stand.say(stand.propose(size, sha256(b"another history").digest()))
    (asked,) = [frame for frame in frames_to(list(answer), stand.link) if isinstance(frame, Want)]
    assert (asked.log, asked.start) == (stand.author.self_id, size)  # whoever holds that history can show it
    assert only(answer, Drop) == []  # who brings it did nothing wrong


def test_a_log_that_was_signed_twice_is_cosigned_up_to_there_and_no_further() -> None:
    stand = Stand("witness", 30.0, forked=True)
    void = stand.book.replica.void_from(stand.author.self_id)
    assert void is not None
    before, beyond = [s for s in stand.sizes if s <= void], [s for s in stand.sizes if s > void]
    assert before
    assert beyond  # it holds entries that count no more
    assert only(stand.say(stand.propose(beyond[-1])), KeepWitnessed) == []
    assert [k.size for k in only(stand.say(stand.propose(before[-1])), KeepWitnessed)] == []  # not the newest proposal
    stand.restart()
    assert [k.size for k in only(stand.say(stand.propose(before[-1])), KeepWitnessed)] == [before[-1]]


def test_a_peer_that_may_have_forgotten_what_it_signed_signs_nothing() -> None:
    """Its mark says that its own log was longer: the store is a backup, and so is what it remembers of others."""
    stand = Stand()
    stand.disk.mark = (stand.machine.status().heads[stand.peer.self_id] + 3, "ab" * 32)
    stand.restart()
    assert only(stand.say(stand.propose(stand.sizes[-1])), KeepWitnessed) == []


def test_what_is_proposed_ahead_of_the_log_is_looked_at_when_the_log_gets_there() -> None:
    stand = Stand()
    log, last = stand.author.self_id, stand.sizes[-1]
    proposal, everything = stand.propose(last), stand.disk.history
    stand.disk.history = [row for row in everything if row[0] != log or row[1] < last - 1]
    stand.restart()
    assert stand.machine.status().heads[log] == last - 1
    assert only(stand.say(proposal), KeepWitnessed) == []
    assert notes(list(stand.say(proposal)), "refused") == []
    data = next(row[2] for row in everything if row[:2] == (log, last - 1))
    checked = stand.book.replica.check(log, data)
    assert isinstance(checked, Checked)
    stand.book.admit(checked, stand.disk.blob(checked.blob) if checked.blob else None)
    stand.machine._admitted(checked)
    later = stand.feed(Timer("witness"))
    assert [promise.size for promise in only(later, KeepWitnessed)] == [last]


def test_an_author_that_asks_at_every_entry_does_not_get_a_write_to_disk_for_each() -> None:
    stand = Stand()
    promises = [only(stand.say(stand.propose(size)), KeepWitnessed) for size in stand.sizes]
    assert sum(map(len, promises)) == 1


def test_announcements_are_answered_by_whoever_holds_more_and_followed_once() -> None:
    stand = Stand("stranger")
    log, size = stand.author.self_id, stand.sizes[-1]
    other = stand.connect(stand.swarm.peers[2] if stand.swarm.peers[2] is not stand.peer else stand.swarm.peers[3])
    row = (short_name(log), size, 4)
    assert tallies(stand.say(Tally((row,)), other)) == [Tally(((short_name(log), size, 0),))]
    assert tallies(stand.say(Tally((row,)), stand.link)) == []  # it was asked for a moment ago
    stand.now += ASK_AGAIN_S + 0.1
    assert tallies(stand.say(Tally((row,)), stand.link)) == [Tally(((short_name(log), size, 0),))]

    by_id = {peer.self_id: peer for peer in stand.swarm.peers}
    bare = stand.propose(size)
    whole = tuple(sorted((stand.voucher(bare, by_id[w]) for w in stand.witnesses), key=lambda v: v.witness))
    stand.say(Vouch(log, size, bare.root, bare.signature, whole), other)
    assert tallies(stand.say(Tally((row,)), other)) == []  # equal
    (given,) = vouches(stand.say(Tally(((short_name(log), size, 1),)), other))
    assert given.vouchers == whole


def test_a_whole_set_is_announced_and_kept_as_a_note_that_stands_alone() -> None:
    stand = Stand("stranger")
    log, size = stand.author.self_id, stand.sizes[-1]
    by_id = {peer.self_id: peer for peer in stand.swarm.peers}
    bare = stand.propose(size)
    whole = tuple(sorted((stand.voucher(bare, by_id[w]) for w in stand.witnesses), key=lambda v: v.witness))
    other = stand.connect(stand.swarm.peers[2] if stand.swarm.peers[2] is not stand.peer else stand.swarm.peers[3])
    stand.say(Vouch(log, size, bare.root, bare.signature, whole))
    stand.now += SETTLE_S
    answer = stand.feed(Timer("witness"))
    (kept,) = only(answer, KeepCosigned)
    assert (kept.log, kept.size) == (log, size)
    told = [s.link for s in only(answer, Send) if decode(s.message) == Tally(((short_name(log), size, 4),))]
    assert told == [other]  # not the link that brought it
    assert open_note(kept.note, stand.author.public).root == bare.root
    names = {origin(stand.swarm.swarm_id, w): by_id[w].public for w in stand.witnesses}
    lines = cosignatures(kept.note)
    assert {line.name for line in lines} == set(names)
    seen = Checkpoint(origin(stand.swarm.swarm_id, log), size, bare.root)
    assert all(verify_cosignature(seen, line, line.name, names[line.name]) == 77 for line in lines)

    stand.restart()
    stand.feed(Timer("witness"))
    stand.now += ASK_AGAIN_S
    (given,) = vouches(stand.say(Tally(((short_name(log), size, 0),)), stand.link))
    assert given.vouchers == whole  # the shelf remembers


def test_an_author_asks_every_sixteen_entries_or_minute_and_never_over_a_snapshot() -> None:
    for round_s, seconds in ((1.0, 50.0), (30.0, 200.0)):
        asked: dict[PeerId, dict[int, float]] = {}

        def watch(at: float, peer: int, event: Event, asked: dict[PeerId, dict[int, float]] = asked) -> None:
            if isinstance(event, Received) and event.message[0] == 8:
                frame = decode(event.message)
                assert isinstance(frame, Vouch)
                asked.setdefault(frame.log, {}).setdefault(frame.size, at)

        swarm = SimSwarm(Scenario(peers=3, seconds=seconds, round_s=round_s, seed=4, observers=(0,)), None, watch)
        swarm.run()
        book = swarm.peers[0].book
        assert book is not None
        for peer in swarm.peers[1:]:
            sizes = asked[peer.self_id]
            kinds = {s: isinstance(book.replica.entry(peer.self_id, s - 1), Snapshot) for s in sizes}
            plain = [(s, at) for s, at in sorted(sizes.items()) if not kinds[s]]
            assert len(plain) >= 2
            for (s, at), (t, later) in pairwise(plain):
                assert t - s >= 16 or later - at >= 59


def test_a_log_that_ends_in_a_snapshot_is_proposed_without_it_and_the_snapshot_by_itself() -> None:
    stand = Stand("stranger")
    stand.restart(vouch_s=1.0)
    own, replica = stand.peer.self_id, stand.book.replica
    size = replica.size(own)
    assert isinstance(replica.entry(own, size - 1), Snapshot)  # written when it drained
    assert not isinstance(replica.entry(own, size - 2), Snapshot)
    before = {frame.size for frame in vouches(stand.feed(Timer("witness")))}
    stand.now += 2.0
    after = {frame.size for frame in vouches(stand.feed(Timer("witness")))}
    newest = stand.machine._witnessing._desk
    ordinary, vote = newest.newest(own, is_vote=False), newest.newest(own, is_vote=True)
    assert ordinary is not None
    assert vote is not None
    assert (ordinary.size, vote.size) == (size - 1, size)
    assert before | after <= {size - 1, size}


def test_witnesses_meet_on_what_one_of_them_has_voted_for() -> None:
    stand = Stand("founder", seconds=40.0)
    a, b = stand.undecided()
    small, large = stand.snapshots(a)[0], stand.snapshots(b)[-1]
    chooser = Election(stand.book, stand.disk.blob, None)
    fewer = Proposal(a.self_id, small, b"\x00" * 32, b"", is_vote=True)
    more = Proposal(b.self_id, large, b"\xff" * 32, b"", is_vote=True)
    assert chooser.choose([fewer, more]) is more  # of more updates
    fewer.vouchers[a.self_id] = Voucher(a.self_id, 1, bytes(64))
    assert chooser.choose([fewer, more]) is fewer


def test_nothing_is_proposed_beyond_what_is_stored() -> None:
    stand = Stand()
    own, author = stand.peer.self_id, stand.machine._author
    size = author.size
    stand.now += 61.0
    fields = author.draft()
    state, updates = stand.book.replica.snapshot_facts(own, fields)
    author.write(fields, Snapshot(**chain(fields), model=stand.book.model_hash(), state=state, updates=updates), 1.0)
    early = stand.feed(Timer("witness"))
    assert only(early, Append)
    assert size + 1 not in signed_for(early)
    assert size + 1 in signed_for(stand.feed(Stored(size)))


def test_reading_a_note_of_another_log_gives_nothing() -> None:
    stand = Stand()
    bare = stand.propose(stand.sizes[-1])
    proposal = Proposal(bare.log, bare.size, bare.root, bare.signature, is_vote=False)
    note = proposal.note(stand.book.replica)
    assert read_note(stand.book.replica, bare.log, note, stand.members) == bare
    assert read_note(stand.book.replica, stand.members[0], note, stand.members) is None
    assert read_note(stand.book.replica, bare.log, b"no note", stand.members) is None
    with pytest.raises(RemoteError):
        open_note(note, stand.peer.public)
