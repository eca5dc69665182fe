"""A machine keeps the promise of privacy that its data entry makes, whatever its shell and an old disk say."""

from __future__ import annotations

import msgspec
import pytest

from gossip.events import Append, DataReady, Effect, Stored, Timer, Train, Trained, TrainingFailed
from gossip.merging.codec import encode_update
from gossip.sim.station import commitment
from ledger.canonical import decode_entry
from ledger.entry import AnyEntry, Claim, Data, Scores, Update
from tests.peer.bench import Bench, notes, only

CLAIM = Claim(epsilon=8_000, delta=20_000)
NOTHING = Claim()


def ready(bench: Bench, claim: Claim) -> list[Effect]:
    """Data are read, under this claim; whatever is written is stored."""
    effects = bench.feed(DataReady(msgspec.structs.replace(commitment(0), privacy=claim), 1.0))
    return effects + store(bench, effects)


def store(bench: Bench, effects: list[Effect]) -> list[Effect]:
    return [after for append in only(effects, Append) for after in bench.feed(Stored(append.seq))]


def trained(bench: Bench, epsilon: int) -> list[AnyEntry]:
    """Answer the last Train, and have what comes of it stored: the entries."""
    asked = only(bench.effects, Train)[-1]
    bench.now += 20.0
    blob, _ = encode_update(asked.theta * 0 + 0.01)
    scores = Scores(examples=0, tp=0, fp=0, fn=0)
    effects = bench.feed(Trained(asked.round, blob, 1, 1, scores, 1.0, epsilon))
    store(bench, effects)
    return [decode_entry(append.entry) for append in only(effects, Append)]


def troubles(bench: Bench) -> list[str]:
    return [str(note["text"]) for note in notes(bench.effects, "trouble")]


def test_the_claim_stands_in_the_data_entry_and_what_is_spent_in_each_update() -> None:
    bench = Bench()
    ready(bench, CLAIM)
    (data,) = [entry for append in only(bench.effects, Append) if isinstance(entry := decode_entry(append.entry), Data)]
    assert data.privacy == CLAIM
    for spent in (700, 900):
        assert [entry.epsilon for entry in trained(bench, spent) if isinstance(entry, Update)] == [spent]
    assert only(bench.effects, Train)[-1].spent == 900, "what an account must know of to be the newest"


def test_when_the_budget_is_spent_nothing_is_published_and_the_node_goes_on() -> None:
    bench = Bench()
    ready(bench, CLAIM)
    assert trained(bench, 7_900)
    asked, before = only(bench.effects, Train)[-1], len(only(bench.effects, Append))
    assert asked.round == 2
    bench.feed(TrainingFailed(2, "the privacy budget is spent"))
    bench.now += 1_000.0
    bench.store()
    bench.feed(Timer("round"))
    assert len(only(bench.effects, Append)) == before
    assert only(bench.effects, Train)[-1] is asked
    assert troubles(bench) == ["training stopped: the privacy budget is spent"]
    assert bench.machine.status().state != "training"


@pytest.mark.parametrize("epsilon", [8_001, 0, 699])
def test_an_update_that_breaks_the_promise_or_forgets_what_was_spent_is_not_written(epsilon: int) -> None:
    """699 after 700: a shell whose account is an old copy."""
    bench = Bench()
    ready(bench, CLAIM)
    trained(bench, 700)
    assert trained(bench, epsilon) == []
    assert "is not what this peer's data entry claims" in troubles(bench)[-1]


@pytest.mark.parametrize(("first", "spent", "then"), [(CLAIM, 700, NOTHING), (NOTHING, 0, CLAIM)])
def test_an_epsilon_is_for_all_that_a_peer_publishes_or_for_nothing_of_it(
    first: Claim, spent: int, then: Claim
) -> None:
    bench = Bench()
    ready(bench, first)
    assert trained(bench, spent)
    bench.feed(TrainingFailed(2, "over"))
    rounds, entries = len(only(bench.effects, Train)), len(only(bench.effects, Append))
    ready(bench, then)
    assert (len(only(bench.effects, Train)), len(only(bench.effects, Append))) == (rounds, entries)
    assert ("would break that now" if then == NOTHING else "none can be promised for them now") in troubles(bench)[-1]
    ready(bench, first)  # and as before it may go on
    assert len(only(bench.effects, Train)) == rounds + 1
