"""What an author says of itself (examples, steps, time, what it trained from) does not raise the weight of an update.

One peer that claimed a huge age took self-reported age weighting from 0.82 to 0.16 (FOLD.md). Here the weight follows
from the log. Only `view` is left to the author, and says by how much its update should count less than a fresh one.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import encode_entry
from ledger.entry import GRID_ONE, Scores, Update
from ledger.errors import LocalError
from ledger.replica import Checked, InvalidEntry
from ledger.weights import START, Sight, weigh
from tests.fold.toy import NOW, Peer, Swarm, constants

CHANGE = np.linspace(-0.1, 0.1, 16)

CLAIMS: dict[str, dict[str, Any]] = {
    "a thousand million examples": {"examples": 10**9},
    "none": {"examples": 0},
    "one step": {"steps": 1},
    "as many steps as the policy allows": {"steps": 1000},
    "perfect scores": {"scores": Scores(examples=10**6, tp=10**6, fp=0, fn=0)},
}


def drafted(peer: Peer, **claims: Any) -> tuple[Update, int, bytes]:
    """An update over everything held that claims this, its weight, and its bytes."""
    last = next(
        entry
        for seq in reversed(range(peer.replica.size(peer.id)))
        if isinstance(entry := peer.replica.entry(peer.id, seq), Update)
    )
    fields = peer.replica.draft(peer.id)
    heads = claims.pop("heads", peer.replica.heads())
    when = claims.pop("time", NOW)
    body = msgspec.structs.replace(last, view=peer.replica.view(peer.id, fields, heads), **claims)
    body = msgspec.structs.replace(body, weight=peer.replica.weigh(peer.id, fields, heads, body))
    return body, body.weight, encode_entry(fields.stamp(body, when))


def life() -> Swarm:
    swarm = Swarm(["ann", "bob", "cyd"])
    for _ in range(3):
        for peer in swarm.peers.values():
            peer.publish(CHANGE)
        swarm.exchange()
    return swarm


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=list(CLAIMS))
def test_what_an_author_claims_of_its_work_changes_no_weight(claims: dict[str, Any]):
    ann = life()["ann"]
    honest = drafted(ann)[1]
    _, weight, data = drafted(ann, **claims)
    assert weight == honest > 0
    taken = ann.take(ann.id, data)
    assert isinstance(taken, Checked)
    assert taken.weight == honest


@pytest.mark.parametrize("when", [0, NOW, NOW + 10**9])
def test_what_time_an_author_says_it_is_changes_no_weight(when: int):
    ann = life()["ann"]
    taken = ann.take(ann.id, drafted(ann, time=when)[2])
    assert isinstance(taken, Checked)
    assert taken.weight == drafted(life()["ann"])[1]


def test_a_smaller_view_than_the_true_one_costs_its_author_and_a_larger_one_makes_it_fresh_at_most():
    """Trained from nothing but its own, and said so; the same and said that it had seen it all; and the truth of who
    did see it all. The liar's weight is that of a fresh update, to the last bit, and nobody else's moves."""
    swarm = life()
    before = swarm.founder.replica.heads()
    for _ in range(6):
        for name in ("founder", "bob", "cyd"):
            swarm[name].publish(CHANGE)
        swarm.exchange()
    ann = swarm["ann"]
    said_so = drafted(ann, heads=before)[1]
    fresh = drafted(ann)[1]
    assert said_so < 0.6 * fresh
    others = drafted(swarm["bob"])[1]
    ann.take(ann.id, drafted(ann)[2])  # whatever it trained from
    swarm["bob"].fetch(ann)
    assert drafted(swarm["bob"], heads=swarm["bob"].replica.heads())[1] == others


def test_more_than_was_seen_cannot_be_claimed():
    swarm = life()
    swarm["bob"].publish(CHANGE)
    ann = swarm["ann"]
    body, _, _ = drafted(ann)
    first = ann.replica.branches.get(ann.id).tip.roster[0].peer
    for size in (ann.replica.size(first), 10**6):
        with pytest.raises((InvalidEntry, LocalError), match=r"view|delta"):
            ann.write(msgspec.structs.replace(body, view=[(0, size)]))


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=20))
def test_no_claim_of_what_was_not_in_the_view_weighs_more_than_none(unviewed: list[int]):
    def weight(received: int) -> int:
        return weigh(constants(), START, Sight(("ab" * 32,), (2,), (1 << 20,), received), 1 << 20).weight

    weights = [weight(received) for received in sorted(unviewed)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] <= weight(0) == GRID_ONE // 2
