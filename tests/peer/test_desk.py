"""Who should cosign what, as members come and go."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from gossip.config import PeerConfig
from gossip.peer.desk import Desk
from gossip.peer.links import Links
from gossip.peer.outbox import Outbox
from gossip.peer.vouches import Proposal
from ledger.replica import Replica
from ledger.witness import witnesses_of

LOG = "ab" * 32


def desk(members: Callable[[], Collection[str]]) -> Desk:
    config, out, luck = PeerConfig(), Outbox(), random.Random(1)
    links = Links(config, b"k" * 32, luck, out, lambda key: None, lambda: 1, lambda live, reason: None)
    return Desk(config, "f0" * 32, Replica("5a" * 32, "f0" * 32), links, luck, out, members)


def test_who_was_put_out_signs_no_more_also_if_somebody_else_came_in_its_place() -> None:
    """There are as many members as before, and they are others."""
    members = {f"{number:02x}" * 32 for number in range(9)}
    found = desk(lambda: members)
    proposal = Proposal(LOG, 4, bytes(32), b"", is_vote=False)
    before = found.signers(proposal)
    assert before == frozenset(witnesses_of(LOG, members))
    members.discard(gone := min(before))
    members.add("77" * 32)
    after = found.signers(proposal)
    assert gone not in after
    assert after == frozenset(witnesses_of(LOG, members)) != before
