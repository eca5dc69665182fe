"""A past by peers and roots: everybody who holds it writes down the same rows."""

from __future__ import annotations

import numpy as np

from ledger.chain import fork_of
from ledger.export import heads_of
from tests.fold.toy import Swarm

CHANGE = np.linspace(-0.1, 0.1, 16)


def test_a_branch_that_another_contains_is_not_listed_beside_it() -> None:
    """Whoever met the other branch first calls this one a strand, and holds its beginning under the trunk's name."""
    swarm = Swarm(["ann", "bob", "cyd"])
    cyd, ann, bob = swarm["cyd"], swarm["ann"], swarm["bob"]
    cyd.publish(CHANGE)
    double = cyd.twin()
    cyd.publish(CHANGE)
    double.publish(-CHANGE)
    bob.fetch(double)
    snapshot = bob.snapshot()
    ann.fetch(cyd)
    ann.fetch(bob)
    past = ann.replica.past(bob.id, snapshot.seq + 1)
    assert {fork_of(name) > 0 for name in past if name.startswith(cyd.id)} == {True, False}
    rows = heads_of(ann.replica, past)
    assert rows == heads_of(bob.replica, bob.replica.past(bob.id, snapshot.seq + 1))
    assert [(size, root) for peer, size, root in rows if peer == cyd.id] == [
        (double.replica.size(cyd.id), double.replica.root(cyd.id, double.replica.size(cyd.id)).hex())
    ]
