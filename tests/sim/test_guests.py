"""Guests of members, through the real machine: until when they stay, and whom they let in themselves."""

from __future__ import annotations

from gossip.sim import Scenario
from gossip.sim.clock import EPOCH
from tests.sim.test_revoked import Story

FOUNDER, SPONSOR, GUEST, STRANGER = range(4)


def test_a_guest_stays_no_longer_than_its_sponsor_may_and_lets_nobody_in() -> None:
    """Its invite names no end; the stranger comes with an invite of the guest's, whose machine writes no entry that
    nobody would take, and does not ask its owner to mend that."""
    swarm = Story(
        Scenario(peers=4, seconds=12.0, seed=5, guests={GUEST: SPONSOR, STRANGER: GUEST}), until={SPONSOR: 5_000.0}
    )
    swarm.run()
    book = swarm.peers[FOUNDER].book
    assert book is not None
    sponsor, guest = (book.replica.membership(swarm.peers[index].self_id) for index in (SPONSOR, GUEST))
    assert sponsor is not None
    assert guest is not None
    assert (guest.house, guest.expires) == (swarm.peers[SPONSOR].self_id, sponsor.expires)
    assert sponsor.expires == int(EPOCH) + 5_000
    assert book.replica.membership(swarm.peers[STRANGER].self_id) is None
    assert not [fields for _, who, kind, fields in swarm.notes if (who, kind) == (GUEST, "trouble")
                and "cannot be let in" in str(fields["text"])]  # fmt: skip
