"""A peer that is asked to pause: by its shell, for the battery's sake."""

from __future__ import annotations

from gossip.events import Append, Drain, Pause, Train
from ledger.canonical import decode_entry
from ledger.entry import Snapshot
from tests.peer.bench import Bench, notes, only


def test_who_pauses_finishes_its_round_begins_none_and_goes_on_later() -> None:
    bench = Bench()
    bench.feed_data()
    told = bench.feed(Pause("on battery"))
    assert notes(told, "paused") == [{"reason": "on battery"}]
    assert only(bench.train(2.0), Append)  # what was under way is published
    assert not only(bench.store(), Train)
    assert bench.machine.status().paused == "on battery"
    assert not notes(bench.feed(Pause("on battery")), "paused")  # nothing new
    told = bench.feed(Pause(""))
    assert notes(told, "paused") == [{"reason": ""}]
    assert len(only(told, Train)) == 1
    assert bench.machine.status().paused == ""


def test_who_pauses_can_still_be_drained() -> None:
    bench = Bench()
    bench.feed_data()
    bench.train(2.0)
    bench.feed(Pause("hot"))
    bench.store()
    (written,) = only(bench.feed(Drain()), Append)
    assert isinstance(decode_entry(written.entry), Snapshot)
