"""A swarm in which one member's guests are as many as all others: through the real machine, they weigh as one."""

from __future__ import annotations

import pytest

from gossip.sim.scenario import Scenario
from gossip.sim.swarm import SimSwarm
from ledger.errors import LocalError

MEMBERS, GUESTS, SPONSOR = 4, 5, 2


def test_a_house_of_sybils_writes_as_much_of_the_model_as_one_member():
    guests = {MEMBERS + number: SPONSOR for number in range(GUESTS)}
    swarm = SimSwarm(Scenario(peers=MEMBERS + GUESTS, seconds=14.0, guests=guests, seed=5))
    report = swarm.run()
    assert report.drained
    assert len(set(report.tips.values())) == len(set(report.model_hashes.values())) == 1
    book = swarm.peers[0].book
    assert book is not None
    weight = dict.fromkeys(report.peers, 0)
    for log, _, _, each in book.replica.updates:
        weight[log] += each
    *members, sponsor_house = [weight[peer] for peer in report.peers[:MEMBERS]] + [
        sum(weight[peer] for peer in report.peers[MEMBERS:])
    ]
    seats = [book.replica.membership(peer) for peer in report.peers]
    assert [seat.house for seat in seats if seat] == [""] * MEMBERS + [report.peers[SPONSOR]] * GUESTS
    assert all(report.updates[peer] >= 4 for peer in report.peers)  # each of them publishes as often as the others
    assert 0.4 * min(members) < sponsor_house <= 1.1 * max(members)

    machine = swarm.peers[0].machine
    assert machine is not None
    replica = book.replica
    steps = {}
    for peer in (report.peers[1], report.peers[-1]):
        held = replica.branches.get(peer)
        ((_, steps[peer]),) = machine._inspection._holdout._mean(peer, (held.folded_at[3],))
    assert min(steps.values()) > 0.6 * max(steps.values())  # and who judges them looks at steps of one size


def test_a_scenario_in_which_an_admin_is_somebodys_sponsor_is_no_house():
    for guests in ({3: 0}, {2: 3}):
        with pytest.raises(LocalError, match="impossible guest"):
            Scenario(peers=4, guests=guests)
