"""What a revocation does to those beside it: the mates of a house, and admins when others are out already."""

from __future__ import annotations

import numpy as np

from ledger.standing import sharers
from tests.fold.toy import Swarm

CHANGE = np.linspace(-0.1, 0.1, 16)


def test_a_weight_is_shared_among_the_mates_that_are_in_and_that_can_be_told_later() -> None:
    swarm = Swarm(["ann", "bob"], guests=3)
    one, _, gone = [swarm.join(name, by="bob") for name in ("guest0", "guest1", "guest2")]
    swarm.exchange()
    replica = swarm.founder.replica
    published = [one.publish(CHANGE).seq]
    swarm.exchange()
    swarm.founder.revoke(gone)
    swarm.exchange()
    published.append(one.publish(CHANGE).seq)
    swarm.exchange()
    log = replica.branches.get(one.id)
    assert [sharers(replica.branches.logs.values(), log, seq) for seq in published] == [3, 2]


def test_when_two_halves_have_revoked_each_other_who_is_left_can_still_say_from_where_on() -> None:
    """Of four admins three are out, by words written at once: fewer are left than it takes to change anything. What is
    said of who is out already takes nobody's rights, and may be all that can be mended."""
    swarm = Swarm(["ann", "bob", "cyd"], admins=["ann", "bob", "cyd"], threshold=2)
    founder, ann, bob, cyd = (swarm[name] for name in ("founder", "ann", "bob", "cyd"))
    for admin in (founder, ann):
        for other in (bob, cyd):
            admin.revoke(other, since=3)
        swarm.exchange("founder", "ann")
    bob.revoke(ann, since=3)
    swarm.exchange("bob", "cyd")
    cyd.revoke(ann, since=3)
    swarm.exchange()
    assert [founder.replica.is_revoked(one.id) for one in (founder, ann, bob, cyd)] == [False, True, True, True]
    founder.revoke(bob, since=1)
    swarm.exchange()
    assert {peer.replica.revoked_from(bob.id) for peer in swarm.peers.values()} == {3}, "one word moves nothing alone"
