"""A ledger to measure with: eight logs that cite one another, small deltas, every entry as a peer would write it."""

from __future__ import annotations

from random import Random
from typing import Final

from ledger.delta import Delta, encode
from tests.fold.toy import Swarm

PEERS: Final = 8
UPDATES: Final = 1_600


def busy_swarm() -> Swarm:
    """Peers that publish in a random order, and hear of one another now and then."""
    luck = Random(1)
    swarm = Swarm([f"peer{number}" for number in range(PEERS - 1)])
    names = list(swarm.peers)
    for _ in range(UPDATES):
        name = luck.choice(names)
        values = tuple(luck.randint(-127, 127) for _ in range(16))
        swarm[name].publish_blob(encode(Delta(16, None, (-12,), values)))
        if luck.random() < 0.5:
            swarm.exchange(name, luck.choice([other for other in names if other != name]))
    swarm.exchange()
    return swarm
