"""A peer whose owner has judged some of its data: what it goes on training with is on record before."""

from __future__ import annotations

import msgspec

from gossip.events import Append, Borrow, DataReady, Relabelled, Train
from gossip.sim.station import commitment
from ledger.canonical import decode_entry
from ledger.entry import Data, Update
from tests.peer.bench import Bench, only


def test_data_are_read_again_between_two_rounds_and_the_next_update_cites_their_entry() -> None:
    bench = Bench()
    bench.feed_data()
    assert not only(bench.feed(Relabelled()), Borrow)  # a round is under way, on what is on record
    told = bench.train(2.0)
    (written,) = only(told, Append)
    assert isinstance(decode_entry(written.entry), Update)
    told += bench.store()
    assert only(told, Borrow) == [Borrow(())]
    assert not only(told, Train)
    judged = msgspec.structs.replace(commitment(0), root="ab" * 32, records=9, labels={"ad": 9}, judged={"ad": 2})
    (append,) = only(bench.feed(DataReady(judged, 1.0)), Append)
    entry = decode_entry(append.entry)
    assert isinstance(entry, Data)
    assert entry.judgements == {"ad": 2}
    assert len(only(bench.store(), Train)) == 1
    (written,) = only(bench.train(2.0), Append)
    update = decode_entry(written.entry)
    assert isinstance(update, Update)
    assert update.data == entry.seq
    assert not only(bench.store(), Borrow)  # once


def test_judgements_that_agree_with_the_labels_are_on_record_all_the_same() -> None:
    bench = Bench()
    data = msgspec.structs.replace(commitment(0), records=9, labels={"ad": 9})
    (append,) = only(bench.feed(DataReady(data, 1.0)), Append)
    bench.store()
    bench.train(2.0)
    bench.feed(Relabelled())
    bench.store()
    (again,) = only(bench.feed(DataReady(msgspec.structs.replace(data, judged={"ad": 9}), 1.0)), Append)
    assert again.seq > append.seq


def test_who_has_no_data_on_record_yet_reads_none_again() -> None:
    bench = Bench()
    assert not only(bench.feed(Relabelled()), Borrow)
    (append,) = only(bench.feed(DataReady(commitment(0), 1.0)), Append)
    told = bench.store()
    assert append.seq >= 0
    assert only(told, Borrow) == [Borrow(())]  # it had been judged while they were read: they may lack it
