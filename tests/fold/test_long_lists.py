"""What a member writes without end costs everybody's next snapshot no more than its length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ledger import state
from ledger.fork import make_evidence
from ledger.replica import InvalidEntry
from tests.fold.toy import NOW, Peer, Swarm

CHANGE = np.linspace(-0.1, 0.1, 16)


def spelled(patch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes are spelled for imprints, from now on."""
    sizes: list[int] = []
    encode = state.encode

    def counted(value: Any) -> bytes:
        data = encode(value)
        sizes.append(len(data))
        return data

    patch.setattr(state, "encode", counted)
    return sizes


@pytest.mark.parametrize("kind", ["renewals", "rotations"])
def test_a_snapshot_spells_each_of_them_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cost: list[int] = []
    for entries in (40, 80):
        swarm = Swarm(["ann", "eve"], guests=1)
        guest = swarm.join("guest", by="eve", expires=NOW + 10)
        swarm.exchange()
        eve, reader = swarm["eve"], swarm["ann"]
        for number in range(entries):
            if kind == "renewals":
                eve.let_in(guest, "trainer", NOW + 11 + number)
            else:
                eve.rotate()
        reader.fetch(eve)
        with monkeypatch.context() as patch:
            sizes = spelled(patch)
            reader.snapshot()
        cost.append(sum(sizes))
    assert cost[1] < 2.2 * cost[0], "twice the entries, twice the work (four times, if each size spells them all)"


def accused(swarm: Swarm) -> tuple[Peer, int, bytes]:
    cyd = swarm["cyd"]
    twin = cyd.twin()
    cyd.publish(CHANGE)
    twin.publish(-CHANGE)
    index = cyd.replica.size(cyd.id) - 1
    return cyd, index, make_evidence(*[one.proven(one.id, index, "cyd") for one in (cyd, twin)])


def test_what_is_proven_is_proven_once_in_a_past() -> None:
    swarm = Swarm(["ann", "bob", "cyd"])
    swarm.exchange()
    cyd, index, evidence = accused(swarm)
    ann, bob = swarm["ann"], swarm["bob"]
    ann.fetch(cyd)
    bob.fetch(cyd)
    ann.accuse(cyd.id, index, evidence)
    bob.accuse(cyd.id, index, evidence)  # without having seen ann's
    swarm.exchange()
    for peer in (ann, bob, swarm.founder):
        with pytest.raises(InvalidEntry) as caught:
            peer.accuse(cyd.id, index, evidence)
        assert caught.value.rule == "accuse"
