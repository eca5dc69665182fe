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
from ledger.canonical import entry_hash
from ledger.entry import Snapshot, Update
from ledger.fold import Fold
from ledger.replica import Checked, InvalidEntry, Waiting, fork_of, peer_of
from tests.fold.stories import (
    FORKED,
    busy_swarm,
    checked_entries,
    history_of,
    model_of,
    named_terms,
    named_weights,
    shuffled_delivery,
    troubled_swarm,
)
from tests.fold.toy import Peer, Swarm
from tests.thorough import times

WAITING = "waiting"


def same(observer: Peer, swarm: Swarm) -> bool:
    """The same entries, the same weights, the same sum, the same model: whatever is called the trunk."""
    ours, theirs = observer.replica, swarm.founder.replica
    return (
        named_weights(ours) == named_weights(theirs)
        and named_terms(ours) == named_terms(theirs)
        and observer.model_hash() == swarm.founder.model_hash()
    )


def test_the_same_entries_give_the_same_hash_in_many_random_orders():
    swarm = troubled_swarm(FORKED, events=24)
    trunks = set()
    for order in range(times(150, thorough=1000)):  # more is found by other swarms than by more orders of one
        observer = shuffled_delivery(swarm, Random(order))
        assert observer.model_hash() == swarm.founder.model_hash(), f"order {order}"
        trunks.add(tuple(sorted(observer.replica.heads())))
        if order % 50 == 0:
            assert same(observer, swarm), f"order {order}"
    assert len(trunks) > 1  # branches came in different orders, so different ones were the trunk


@pytest.mark.parametrize("seed", range(6))
def test_busy_swarms_of_several_sizes_agree_whatever_the_order(seed: int):
    swarm = busy_swarm(seed, peers=2 + seed, events=90)
    for order in range(6):
        assert same(shuffled_delivery(swarm, Random(order)), swarm), f"order {order}"


@pytest.mark.parametrize("seed", range(8))
def test_troubled_swarms_agree_whatever_the_order(seed: int):
    swarm = troubled_swarm(seed)
    model_of(swarm, "founder", "ann", "bob")
    for order in range(4):
        assert same(shuffled_delivery(swarm, Random(order)), swarm), f"order {order}"


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


@pytest.mark.parametrize("swarm", [busy_swarm(7, events=90), troubled_swarm(7)], ids=["busy", "troubled"])
def test_no_weight_changes_after_it_was_published(swarm: Swarm):
    """Not by accusations, second branches or recoveries that come later either: these only move terms."""
    final = named_weights(swarm.founder.replica)
    published = {}
    for _, checked in checked_entries(swarm):
        if isinstance(checked.entry, Update) and not checked.refused:
            published[checked.hash] = checked.weight
            assert checked.weight == checked.entry.weight
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


@pytest.mark.parametrize("seed", range(12))
def test_a_second_implementation_finds_the_same_weights_states_and_model(seed: int):
    swarm = busy_swarm(100 + seed, peers=2 + seed % 4, events=70) if seed < 4 else troubled_swarm(seed, events=50)
    history = history_of(swarm)
    everything = set(history.entry)
    assert history.weight == named_weights(swarm.founder.replica)
    assert history.summed(everything) == named_terms(swarm.founder.replica)
    assert history.model(everything) == swarm.founder.model_hash()
    for replica, checked in checked_entries(swarm):
        if isinstance(checked.entry, Snapshot):
            assert history.state(checked.hash) == (checked.entry.state, checked.entry.updates)
            assert history.model(history.past[checked.hash]) == checked.entry.model
        assert replica.size(checked.log) == checked.seq


def test_the_troubled_swarms_are_troubled():
    """What the tests above are about does happen in them."""
    kinds: set[str] = set()
    cut = kept = healed = 0
    for seed in range(12):
        swarm = troubled_swarm(seed, events=50)
        replica = swarm.founder.replica
        history = history_of(swarm)
        everything = set(history.entry)
        kinds |= {entry["kind"] for entry in history.entry.values()}
        counted = {name for name in everything if history.folded(name)}
        cut += len(counted - history.summed(everything))
        finals = {name for name in everything if history.entry[name]["kind"] == "final"}
        kept += len(history.summed(everything) - history.summed(everything - finals))
        peers = {peer_of(log) for log in replica.heads()}
        healed += sum(
            any(replica.void_from(log) is None for log in replica.strands(peer))
            for peer in peers
            if len(replica.strands(peer)) > 1
        )
    assert {"accuse", "rotate", "recover", "final"} <= kinds
    assert cut > 20
    assert kept > 0
    assert healed > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_past_in_the_middle_is_what_a_peer_that_held_just_that_had(seed: int):
    """The sum of any past, and the steps between two, asked of a replica that has gone on since."""
    swarm = troubled_swarm(seed)
    full = swarm.founder.replica
    pasts = [full.past(log, seq + 1) for log, size in full.heads().items() for seq in range(1, size, 7)]
    before = pasts[0]
    for past in pasts:
        small = swarm.observer()
        small.blobs = dict(swarm.founder.blobs)
        entries = [(log, seq) for log, size in past.items() for seq in range(fork_of(log), size)]
        while entries:
            left = [(log, seq) for log, seq in entries if small.deliver(peer_of(log), full.data(log, seq)) is None
                    or not small._has(peer_of(log), seq, full.data(log, seq))]  # fmt: skip
            assert len(left) < len(entries)
            entries = left
        assert {entry_hash(full.data(log, seq)) for log, seq, _, _ in full.terms(past)} == named_terms(small.replica)
        change = full.change(before, past)
        moved = (set(full.terms(before)) - set(change.removed)) | set(change.added)
        assert moved == set(full.terms(past))
        assert not set(change.added) & set(full.terms(before))
        before = past


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
