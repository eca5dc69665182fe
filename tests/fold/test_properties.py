"""The five properties of the fold that any change of its formulas must keep (docs/fold.md).

1 and 2 and 5 are here, on whole random swarms with signed-off entries; 3 is in test_weights.py, 4 in test_learning.py.
"""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.entry import Snapshot, Update
from ledger.fold import Fold
from ledger.replica import Checked, InvalidEntry, Waiting
from tests.fold.stories import busy_swarm, checked_entries, model_of, shuffled_delivery
from tests.fold.toy import Peer, Swarm
from tests.plain_fold import History

WAITING = "waiting"


def test_the_same_entries_give_the_same_hash_in_a_thousand_random_orders():
    swarm = busy_swarm(5, peers=3, events=20)
    expected = (swarm.founder.replica.heads(), model_of(swarm))
    for order in range(1000):
        assert shuffled_delivery(swarm, Random(order)) == expected, f"order {order}"


@pytest.mark.parametrize("seed", range(6))
def test_busy_swarms_of_several_sizes_agree_whatever_the_order(seed: int):
    swarm = busy_swarm(seed, peers=2 + seed, events=90)
    expected = (swarm.founder.replica.heads(), model_of(swarm))
    for order in range(10):
        assert shuffled_delivery(swarm, Random(order)) == expected, f"order {order}"


def test_halves_that_were_cut_off_from_each_other_agree_once_healed():
    swarm = Swarm(["ann", "bob", "cyd"])
    luck = np.random.default_rng(3)
    for _ in range(12):
        for half in (("founder", "ann"), ("bob", "cyd")):
            for name in half:
                swarm[name].publish(luck.normal(0, 0.1, 16))
            swarm.exchange(*half)
    assert swarm["ann"].model_hash() != swarm["bob"].model_hash()
    swarm.exchange()
    model_of(swarm)


def test_no_weight_changes_after_it_was_published():
    swarm = busy_swarm(7, events=90)
    final = {(log, seq): weight for log, seq, _, weight in swarm.founder.replica.updates}
    published = {}
    for _, checked in checked_entries(swarm):
        if isinstance(checked.entry, Update) and not checked.refused:
            published[checked.log, checked.seq] = checked.weight
    assert published == final
    assert len(final) > 20


@given(seed=st.integers(0, 10_000), taken_out=st.integers(0, 3))
@settings(max_examples=8)
def test_taking_an_origin_out_subtracts_exactly_its_own_terms(seed: int, taken_out: int):
    swarm = busy_swarm(seed, events=40)
    founder = swarm.founder
    arithmetic = NumpyArithmetic()
    victim = sorted(founder.replica.heads())[taken_out]
    genesis = founder.replica.genesis
    without = Fold(genesis.layout, genesis.seed, arithmetic)
    for log, _, delta, weight in founder.replica.updates:
        decoded = arithmetic.decode(founder.blobs[delta], without.parameters)
        if log == victim:
            founder.fold.remove(decoded, weight)
        else:
            without.add(decoded, weight)
    assert founder.model_hash() == without.model_hash()


@pytest.mark.parametrize("seed", range(8))
def test_a_second_implementation_finds_the_same_weights_states_and_model(seed: int):
    swarm = busy_swarm(100 + seed, peers=2 + seed % 4, events=70)
    founder = swarm.founder
    logs: dict[str, list[dict]] = {log: [] for log in founder.replica.heads()}
    for log, _, data in swarm.everything():
        logs[log].append(json.loads(data))
    left_out = {(checked.log, checked.seq) for _, checked in checked_entries(swarm) if checked.refused}
    history = History(logs, swarm.founder_id, left_out)

    assert history.weight == {(log, seq): weight for log, seq, _, weight in founder.replica.updates}
    assert history.model(founder.replica.heads(), founder.blobs) == model_of(swarm)
    for _, checked in checked_entries(swarm):
        if isinstance(checked.entry, Snapshot):
            assert history.state(checked.log, checked.seq) == (checked.entry.state, checked.entry.updates)
            assert history.model(history.past[checked.log, checked.seq], founder.blobs) == checked.entry.model


@given(seed=st.integers(0, 50), luck=st.randoms(use_true_random=False))
@settings(max_examples=10)
def test_who_holds_only_an_entrys_past_decides_like_who_holds_everything(seed: int, luck: Random):
    """The one property all others rest on: a decision depends on the entry and its past alone."""
    swarm = busy_swarm(seed, events=40)
    everything = {(log, seq): data for log, seq, data in swarm.everything()}
    full = swarm.founder.replica
    for log, seq in luck.sample(sorted(everything), 6):
        little, much = swarm.observer(), swarm.observer()
        past = full.past(log, seq + 1) | {log: seq}
        for observer, sizes in ((little, past), (much, full.heads() | {log: seq})):
            observer.blobs = swarm.founder.blobs
            take_all(observer, {at: data for at, data in everything.items() if at[1] < sizes.get(at[0], 0)})
        assert little.replica.heads() == {peer: size for peer, size in past.items() if size}
        honest = everything[log, seq]
        for data in (honest, *(bent(honest, luck) for _ in range(8))):
            answers = decision(little, log, data), decision(much, log, data)
            assert answers[0] in (answers[1], WAITING)  # a bent entry may cite more than the honest one had seen


def take_all(observer: Peer, entries: dict[tuple[str, int], bytes]) -> None:
    """As many as can be admitted: those that cite what is left out stay out."""
    progress = True
    while progress:
        progress = False
        for (log, seq), data in sorted(entries.items()):
            if seq == observer.replica.size(log) and isinstance(observer.take(log, data), Checked):
                progress = True


def bent(data: bytes, luck: Random) -> bytes:
    """The entry with one field changed a little."""
    entry = json.loads(data)
    name = luck.choice(sorted(entry))
    match entry[name]:
        case int(value):
            entry[name] = max(0, value + luck.choice([-1, 1, 1000]))
        case str(value) if value:
            entry[name] = luck.choice(["0", "f", "a"]) + value[1:]
        case [*pairs] if pairs and isinstance(pairs[0], list):
            at = luck.randrange(len(pairs))
            pairs[at][luck.randrange(2)] += luck.choice([-1, 1])
        case [*items] if items and isinstance(items[0], str):
            items.pop(luck.randrange(len(items)))
        case _:
            entry.pop(name)
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


def decision(observer: Peer, log: str, data: bytes) -> object:
    try:
        checked = observer.replica.check(log, data)
    except InvalidEntry as error:
        return error.rule
    if isinstance(checked, Waiting):
        return WAITING
    return (checked.weight, checked.norm, checked.refused, checked.hash)
