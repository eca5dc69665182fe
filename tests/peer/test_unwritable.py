"""An own entry that everybody would refuse: the machine says so once, writes nothing, and goes on with the rest."""

from __future__ import annotations

from typing import Any

import pytest

from gossip.events import Append, Train
from ledger import rules
from ledger.chain import InvalidEntry
from ledger.entry import Data, Update
from tests.peer.bench import Bench, notes, only


def refuse(patch: pytest.MonkeyPatch, kind: type) -> list[object]:
    """Nobody takes entries of a kind any more; those that were tried."""
    tried: list[object] = []
    asked = rules.check_kind

    def check(charter: Any, tip: Any, past: Any, entry: Any) -> Any:
        if isinstance(entry, kind):
            tried.append(entry)
            raise InvalidEntry(tip.log, tip.size, "role", "is not wanted")
        return asked(charter, tip, past, entry)

    patch.setattr(rules, "check_kind", check)
    return tried


def test_a_data_entry_that_is_refused_is_told_once_and_tried_when_something_changes() -> None:
    bench = Bench()
    with pytest.MonkeyPatch.context() as patch:
        tried = refuse(patch, Data)
        bench.feed_data_again()
        for _ in range(20):
            bench.now += 1
            bench.feed_data_again()
        assert len(tried) == 1, "nothing has changed meanwhile"
        (told,) = [str(note["text"]) for note in notes(bench.effects, "trouble")]
        assert "would be refused by everybody" in told
        assert only(bench.effects, Append) == []
    bench.machine._author._refused.clear()  # as when an entry of somebody else comes in
    bench.feed_data()
    assert only(bench.effects, Train)


def test_an_update_that_is_refused_does_not_stop_the_machine_and_rests_like_any_other() -> None:
    bench = Bench(duty_percent=50)
    bench.feed_data()
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, Update)
        answer = bench.train(2.0)
    assert len(notes(answer, "trouble")) == 1
    assert only(answer, Train) == [], "no hot loop: it rests as after any round"
    bench.now += 3
    bench.feed_data_again()
    bench.train(2.0)
    assert notes(bench.effects, "published")
