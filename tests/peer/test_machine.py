"""The machine by hand: what it writes, when it trains, what it tells whom."""

from __future__ import annotations

import msgspec
import pytest

from gossip.config import PeerConfig
from gossip.events import (
    Append,
    DataReady,
    Drain,
    Drop,
    KeepCheckpoint,
    Send,
    SetTimer,
    Stored,
    Timer,
    Train,
    TrainingFailed,
)
from gossip.peer.rounds import WASTED_REST_S
from gossip.sim.station import commitment
from gossip.wire.frames import NO_HASH, Differs, Digest, Entries, Have, Lacks, Piece, Want, WantBlob
from ledger.canonical import decode_entry
from ledger.checkpoint import open_note, origin
from ledger.entry import Data, Snapshot, Source, Update
from ledger.errors import LocalError
from ledger.merkle import leaf_hash, verify_inclusion
from tests.peer.bench import Bench, frames_to, notes, only, simulated
from tests.peer.test_bad_member import guest

GUEST = b"\x55" * 32


def test_nothing_of_our_own_is_told_before_it_is_on_disk() -> None:
    bench = Bench()
    bench.link(1, GUEST, role="trainer")
    before = len(bench.effects)
    bench.feed_data()
    bench.train(1.0)
    told = [frame for frame in frames_to(bench.effects[before:], 1) if isinstance(frame, Have)]
    own = bench.shell.self_id
    assert [row[1] for frame in told for row in frame.rows if row[0] == own] == [3]  # genesis, enrol, data; no update
    bench.store()
    told = [frame for frame in frames_to(bench.effects[before:], 1) if isinstance(frame, Have)]
    assert [row[1] for row in told[-1].rows if row[0] == own] == [4]


def test_a_checkpoint_is_signed_over_exactly_what_is_stored_and_kept_before_it_is_told() -> None:
    bench = Bench()
    bench.link(1, GUEST, role="trainer")
    bench.feed_data()
    bench.train(1.0)
    answer = bench.store()
    kinds = [type(effect) for effect in answer if isinstance(effect, KeepCheckpoint | Send)]
    assert kinds.index(KeepCheckpoint) < kinds.index(Send)
    (kept,) = only(answer, KeepCheckpoint)
    note = open_note(kept.note, bench.key.public)
    assert (note.size, note.root) == (4, bench.book.replica.root(bench.shell.self_id, 4))


def test_a_round_becomes_an_update_entry_and_its_blob() -> None:
    bench = Bench()
    bench.feed_data()
    (append,) = only(bench.train(2.0), Append)
    update = decode_entry(append.entry)
    assert isinstance(update, Update)
    assert append.blob is not None
    assert update.bytes == len(append.blob)
    assert update.weight == 65536  # alone, with eta above 1: a full step
    assert isinstance(bench.book.replica.entry(bench.shell.self_id, update.data), Data)


def test_alone_the_next_round_begins_as_soon_as_the_update_is_stored() -> None:
    bench = Bench()
    bench.feed_data()
    assert len(only(bench.effects, Train)) == 1
    bench.train(2.0)
    assert len(only(bench.effects, Train)) == 1
    assert len(only(bench.store(), Train)) == 1


def test_duty_stretches_the_pause() -> None:
    bench = Bench(duty_percent=25)
    bench.feed_data()
    bench.train(2.0)
    answer = bench.store()
    assert only(answer, Train) == []
    (timer,) = [effect for effect in only(answer, SetTimer) if effect.name == "round"]
    assert timer.at == pytest.approx(bench.now + 6.0)  # 2 s of work, 6 of rest: a quarter
    bench.now = timer.at
    assert len(only(bench.feed(Timer("round")), Train)) == 1


def test_rounds_do_not_begin_faster_than_asked() -> None:
    bench = Bench(min_round_s=5.0)
    bench.feed_data()
    bench.train(1.0)
    assert only(bench.store(), Train) == []
    bench.now += 4.0
    assert len(only(bench.feed(Timer("round")), Train)) == 1


def test_who_hears_of_news_waits_for_it_but_not_for_ever() -> None:
    """A member claims entries of its own that never come: the pause is half a round and a little, then training goes
    on."""
    bench = Bench()
    member = guest(bench, 1, 1)
    bench.feed_data()
    bench.say(1, Have(((member.log, 5, bytes(8)),)))
    bench.train(2.0)
    assert only(bench.store(), Train) == []
    bench.now += 0.99
    assert only(bench.feed(Timer("round")), Train) == []
    bench.now += 0.05
    assert len(only(bench.feed(Timer("round")), Train)) == 1


def test_draining_finishes_what_is_under_way_and_ends_with_a_snapshot() -> None:
    bench = Bench()
    bench.feed_data()
    assert bench.machine.status().state == "training"
    bench.feed(Drain())
    assert bench.machine.status().state == "draining"
    entries = [decode_entry(append.entry) for append in only(bench.train(1.0), Append)]
    assert [type(entry) for entry in entries] == [Update, Snapshot]
    assert bench.machine.status().state == "draining"
    last = bench.store()
    assert bench.machine.status().state == "drained"
    assert len(notes(last, "drained")) == 1
    assert len(only(bench.effects, Train)) == 1
    snapshot = entries[1]
    assert isinstance(snapshot, Snapshot)
    assert snapshot.model == bench.book.model_hash()


def test_training_that_fails_is_said_and_waits_for_new_data() -> None:
    bench = Bench()
    bench.feed_data()
    answer = bench.feed(TrainingFailed(1, "out of memory"))
    assert "out of memory" in str(notes(answer, "trouble")[0]["text"])
    assert bench.machine.status().state == "observing"
    bench.feed_data_again()
    assert len(only(bench.effects, Train)) == 2


def test_a_round_that_diverges_is_thrown_away_and_three_in_a_row_end_training() -> None:
    bench = Bench()
    bench.feed_data()

    def diverge() -> str:
        asked = only(bench.effects, Train)[-1]
        answer = bench.feed(TrainingFailed(asked.round, "it diverged", is_over=False))
        bench.now += WASTED_REST_S
        bench.feed(Timer("round"))
        return "; ".join(str(note["text"]) for note in notes(answer, "trouble"))

    for _ in range(2):
        assert diverge() == "a round is thrown away: it diverged"
        assert bench.machine.status().state == "training"
    bench.train(1.0)  # one that comes out well in between
    bench.store()
    bench.now += 60
    bench.feed(Timer("round"))
    assert [asked.round for asked in only(bench.effects, Train)] == [1, 1, 1, 2]
    assert [diverge() for _ in range(3)][2] == ("training stopped: 3 rounds in a row were thrown away: it diverged")
    assert bench.machine.status().state == "observing"
    assert len(only(bench.effects, Train)) == 6


def test_each_round_is_told_what_was_published_last() -> None:
    """What waits of any other round is not sent."""
    bench = Bench()
    bench.feed_data()
    bench.train(1.0)
    bench.store()
    bench.now += 60
    bench.feed(Timer("round"))
    (update,) = (e for a in only(bench.effects, Append) if isinstance(e := decode_entry(a.entry), Update))
    assert [asked.published for asked in only(bench.effects, Train)] == ["", update.delta]


@pytest.mark.parametrize(("change", "entries"), [({"licence": "CC0-1.0"}, 1), ({"name": "moved.csv"}, 0)])
def test_data_under_another_licence_are_announced_anew_and_a_file_that_was_moved_is_not(
    change: dict[str, str], entries: int
) -> None:
    bench = Bench()
    source = Source(name="mine.csv", sha256="", licence="MIT", url="", retrieved="", version="")
    for sources, expected in ([source], 1), ([msgspec.structs.replace(source, **change)], entries):
        data = msgspec.structs.replace(commitment(0), sources=sources)
        written = only(bench.feed(DataReady(data, 1.0)), Append)
        assert [getattr(decode_entry(append.entry), "sources", None) for append in written] == [sources] * expected
        for append in written:
            bench.feed(Stored(append.seq))
        bench.feed(TrainingFailed(1, "out of memory"))


def test_a_trainer_that_answers_nonsense_is_trouble_of_our_own() -> None:
    bench = Bench()
    bench.feed_data()
    before = bench.machine.status()
    answer = bench.nonsense()
    assert notes(answer, "trouble")
    assert only(answer, Append) == []
    assert bench.machine.status().heads == before.heads


def test_a_store_that_answers_for_what_was_not_written_is_misuse() -> None:
    bench = Bench()
    with pytest.raises(LocalError):
        bench.feed(Stored(7))


def test_a_guest_is_served_and_unknown_blobs_are_denied() -> None:
    bench = Bench()
    bench.link(1, GUEST, role="trainer")
    own = bench.shell.self_id
    (entries,) = frames_to(bench.say(1, Want(own, 0, 99, NO_HASH)), 1)
    assert isinstance(entries, Entries)
    assert len(entries.entries) == 2  # genesis and enrol
    policy = bench.book.replica.genesis.policy
    (piece,) = frames_to(bench.say(1, WantBlob(policy, 0, 65536)), 1)
    assert isinstance(piece, Piece)
    assert piece.total == len(piece.data)
    assert frames_to(bench.say(1, WantBlob("cd" * 32, 0, 10)), 1) == [Lacks("cd" * 32)]


def test_who_holds_another_branch_of_our_log_is_shown_ours_and_keeps_its_link() -> None:
    bench = Bench()
    bench.link(1, GUEST, role="trainer")
    answer = bench.say(1, Want(bench.shell.self_id, 1, 9, "ee" * 32))
    (shown,) = frames_to(answer, 1)
    assert isinstance(shown, Differs)
    assert shown.entry == bench.book.replica.data(bench.shell.self_id, 0)
    replica = bench.book.replica
    checkpoint = open_note(shown.note, bench.key.public)
    verify_inclusion(leaf_hash(shown.entry), 0, checkpoint.size, shown.proof, checkpoint.root)
    assert checkpoint.origin == origin(replica.swarm, bench.shell.self_id)
    assert only(answer, Drop) == []


def test_equal_digests_cost_nothing_more() -> None:
    bench = Bench()
    first = frames_to(bench.link(1, GUEST, role="trainer"), 1)
    mine = [frame for frame in first if isinstance(frame, Digest)]
    assert len(mine) == 1
    assert frames_to(bench.say(1, Digest(mine[0].vector, ask=True)), 1) == []
    different = frames_to(bench.say(1, Digest("00" * 32, ask=True)), 1)
    assert [type(frame) for frame in different] == [Digest]  # what we hold it holds, so equal digests said
    bench.link(2, b"\x56" * 32, role="trainer")
    assert [type(f) for f in frames_to(bench.say(2, Digest("00" * 32, ask=True)), 2)] == [Have, Digest]


def test_status_tells_a_person_what_is_going_on() -> None:
    swarm = simulated(peers=3, seconds=8, seed=2)
    machine = swarm.peers[1].machine
    assert machine is not None
    status = machine.status()
    assert status.state == "drained"
    assert status.role == "trainer"
    assert status.swarm_name == "simulated"
    assert status.members == 3
    assert status.missing == 0
    assert status.entries == sum(status.heads.values())
    assert status.merged == sum(swarm.peers[i].machine.status().updates for i in (0, 2))  # type: ignore[union-attr]
    assert status.first_merge_at is not None
    assert {link.name for link in status.links} == {"peer-0", "peer-2"}
    assert 1 <= len(status.tail) <= 8
    assert {line.kind for line in status.tail} <= {"update", "snapshot", "data", "member", "enrol", "final"}
    assert 0 < status.weight <= 65536


def test_settings_out_of_range_are_refused_with_advice() -> None:
    for wrong in ({"duty_percent": 0}, {"duty_percent": 101}, {"min_round_s": -1.0}, {"inviter": b"short"}):
        with pytest.raises(LocalError):
            PeerConfig(**wrong)  # type: ignore[arg-type]
