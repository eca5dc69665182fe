"""One forker and a friend who cites all of its histories, each in an entry of its own: everybody who hears of it at
once goes on writing, and what is written is read by whoever holds more of them."""

from __future__ import annotations

import numpy as np
import pytest

from ledger import drafting
from ledger.branches import MAX_TRIES
from ledger.chain import Disputed
from tests.fold.toy import NOW, Peer, Swarm

CHANGE = np.linspace(-0.1, 0.1, 16)


def forked(histories: int) -> tuple[Swarm, list[Peer]]:
    """Eve has signed so many histories, and mal has cited one after the other; nobody else has heard of any."""
    swarm = Swarm(["ann", "bob", "eve", "mal"])
    swarm.exchange()
    eve = swarm["eve"]
    twins = [eve, *(eve.twin() for _ in range(histories - 1))]
    for number, twin in enumerate(twins):
        twin.clock = NOW + number + 1
        twin.announce_data()
    for twin in twins:
        swarm["mal"].fetch(twin)
        swarm["mal"].announce_data()
    return swarm, twins


def test_who_hears_of_many_histories_at_once_still_writes() -> None:
    swarm, twins = forked(8)
    for name in ("founder", "ann", "bob"):
        peer = swarm[name]
        peer.fetch(swarm["mal"])
        assert len(peer.replica.strands(swarm["eve"].id)) == len(twins)
        entries = 0
        while not peer.replica.draft(peer.id).complete:
            peer.announce_data()
            entries += 1
        assert entries == len(twins) - 1, "one history of eight to an entry"
        peer.publish(CHANGE)
    swarm.exchange()
    assert len({peer.model_hash() for peer in map(swarm.__getitem__, ("founder", "ann", "bob", "mal"))}) == 1


def test_without_a_bound_on_what_one_entry_cites_nobody_could(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, if an entry cites whatever there is."""
    monkeypatch.setattr(drafting, "MAX_MEANINGS", 10**9)
    monkeypatch.setattr(drafting, "MAX_TRIES", 10**9)
    swarm, _ = forked(6)
    assert MAX_TRIES < 6**6
    swarm.founder.fetch(swarm["mal"])
    with pytest.raises(Disputed):
        swarm.founder.announce_data()


@pytest.mark.parametrize("histories", [3, 16, 30])
def test_an_honest_entry_that_cites_branches_is_read_by_who_holds_more_of_them(histories: int) -> None:
    """Ann hears of the last few only, and cites them. Bob reads her first; the founder heard of all of them before."""
    swarm, twins = forked(histories)
    ann, bob, founder = swarm["ann"], swarm["bob"], swarm.founder
    for twin in twins[-4:]:
        ann.fetch(twin)
    ann.announce_data()
    ann.publish(CHANGE)
    bob.fetch(ann)
    bob.fetch(swarm["mal"])
    founder.fetch(swarm["mal"])
    founder.fetch(ann)
    assert bob.replica.size(ann.id) == founder.replica.size(ann.id) == ann.replica.size(ann.id)
    assert bob.model_hash() == founder.model_hash()
