"""A time stamp in a log: written when its author may write, carried to everybody with its token, refused if it lies."""

from __future__ import annotations

from functools import partial
from hashlib import sha256

import pytest

from gossip.events import Anchored, Append, KeepCheckpoint, Stored
from gossip.peer.book import Book
from gossip.sim import Crash, Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from ledger.canonical import decode_entry
from ledger.checkpoint import open_note
from ledger.entry import MAX_TOKEN_BYTES, Anchor
from ledger.errors import LocalError, RemoteError
from ledger.replica import Checked, InvalidEntry
from tests.fold import toy
from tests.peer.bench import Bench, notes, only

TOKEN = bytes(range(256)) * 160  # 40 KB: several pieces


def test_everybody_holds_a_time_stamp_with_its_token_latecomers_and_restarted_ones_too() -> None:
    swarm = SimSwarm(Scenario(peers=4, seconds=20.0, seed=2, late={3: 14.0}, crashes=(Crash(2, 9.0, 2.0),)))
    author = swarm.peers[1]
    swarm.clock.at(EPOCH + 8.0, partial(author.deliver, Anchored(2, TOKEN)))
    report = swarm.run()
    assert report.drained
    assert report.refusals == ()
    assert len(set(report.model_hashes.values())) == 1
    digest = sha256(TOKEN).hexdigest()
    for peer in swarm.peers:
        assert peer.book is not None
        replica = peer.book.replica
        log = [replica.entry(author.self_id, seq) for seq in range(replica.size(author.self_id))]
        (entry,) = [entry for entry in log if isinstance(entry, Anchor)]
        assert (entry.size, entry.token, entry.bytes) == (2, digest, len(TOKEN))
        assert peer.memory.blob(digest) == TOKEN
        assert any(later.seq > entry.seq for later in log)


def test_it_is_stored_with_its_token_before_it_is_signed_for() -> None:
    bench = Bench()
    bench.feed_data()
    (append,) = only(bench.feed(Anchored(3, TOKEN)), Append)
    entry = decode_entry(append.entry)
    assert isinstance(entry, Anchor)
    assert (entry.size, append.blob) == (3, TOKEN)
    (kept,) = only(bench.feed(Stored(append.seq)), KeepCheckpoint)
    assert open_note(kept.note, bench.key.public).size == append.seq + 1


@pytest.mark.parametrize(
    ("size", "token"), [(0, TOKEN), (4, TOKEN), (1 << 60, TOKEN), (1, b""), (1, bytes(MAX_TOKEN_BYTES + 1))],
    ids=["of nothing", "of what is not there", "of a log without end", "no token", "too long a token"],
)  # fmt: skip
def test_what_can_be_no_time_stamp_of_this_log_is_told_and_not_written(size: int, token: bytes) -> None:
    bench = Bench()
    bench.feed_data()  # three entries
    effects = bench.feed(Anchored(size, token))
    assert only(effects, Append) == []
    assert "nothing is written" in str(notes(effects, "trouble")[0]["text"])


def test_it_waits_until_its_author_knows_the_whole_of_its_own_log() -> None:
    swarm = SimSwarm(Scenario(peers=2, seconds=12.0, seed=3, crashes=(Crash(1, 6.0, 1.0),)))
    author = swarm.peers[1]
    written: list[float] = []

    def look() -> None:
        assert author.book is not None
        replica = author.book.replica
        log = author.self_id
        if any(isinstance(replica.entry(log, seq), Anchor) for seq in range(replica.size(log))):
            written.append(swarm.clock.elapsed_s)

    swarm.clock.at(EPOCH + 7.01, partial(author.deliver, Anchored(1, TOKEN)))  # it is hardly up again
    for tenth in range(70, 110):
        swarm.clock.at(EPOCH + tenth / 10 + 0.05, look)
    swarm.run()
    assert written
    assert min(written) > 8.0  # two seconds after the first word about its log


# ------------------------------------------------------------------ what others admit


def checked(swarm: toy.Swarm, name: str, **changes: object) -> Checked:
    peer = swarm[name]
    body = Anchor(**{**toy.CHAIN, "size": 1, "token": sha256(TOKEN).hexdigest(), "bytes": len(TOKEN), **changes})
    found = peer.replica.check(peer.id, toy.encode_entry(peer.replica.draft(peer.id).stamp(body, toy.NOW)))
    assert isinstance(found, Checked)
    return found


def book_of(swarm: toy.Swarm, name: str) -> Book:
    return Book(swarm[name].replica, toy.NumpyArithmetic())


def test_an_entry_is_admitted_with_the_token_it_names_and_no_other() -> None:
    swarm = toy.Swarm(["ann"])
    found = checked(swarm, "ann")
    book = book_of(swarm, "ann")
    assert found.blob == sha256(TOKEN).hexdigest()
    for other in (None, b"", TOKEN + b"x"):
        with pytest.raises(RemoteError, match="not what its entry names") as told:
            book.admit(found, other)
        assert not isinstance(told.value, InvalidEntry)  # whoever brought it is to blame, not the author
    before = book.replica.size(found.log)
    book.admit(found, TOKEN)
    assert book.replica.size(found.log) == before + 1


@pytest.mark.parametrize("said", [0, MAX_TOKEN_BYTES + 1, 1 << 40])
def test_no_token_has_such_a_size(said: int) -> None:
    with pytest.raises(InvalidEntry) as told:
        checked(toy.Swarm(["ann"]), "ann", bytes=said)
    assert told.value.rule == "token"


def test_a_length_that_is_a_lie_ends_its_authors_log() -> None:
    swarm = toy.Swarm(["ann"])
    with pytest.raises(InvalidEntry) as told:
        book_of(swarm, "ann").admit(checked(swarm, "ann", bytes=len(TOKEN) - 1), TOKEN)
    assert told.value.rule == "token"


def test_strangers_do_not_give_us_tokens_to_keep() -> None:
    swarm = toy.Swarm(["ann"])
    enrolled = toy.enrol(swarm.swarm, "stranger")
    log = toy.entry_hash(enrolled)
    founder = swarm.founder
    founder.take(log, enrolled)
    stranger = toy.Peer("stranger", log, founder.replica)
    body = Anchor(**toy.CHAIN, size=1, token="ab" * 32, bytes=9)
    with pytest.raises(InvalidEntry) as told:
        stranger.write(body)
    assert told.value.rule == "role"
    with pytest.raises((RemoteError, LocalError)):
        founder.replica.entry(log, 1)
