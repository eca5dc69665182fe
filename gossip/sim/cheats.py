"""What became of those who cheat, as the ledger of somebody honest has it in the end.

    {"peer": 4, "cheat": "two histories", "forked": true, "revoked": false,
     "updates": 23, "condemned": 0, "counting": 15, "weight_share": 0.06}

It judges nobody: whether a cheat should have been found follows from the policy in force (docs/byzantine.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gossip.sim.scenario import Scenario
from ledger.chain import fork_of, peer_of
from ledger.entry import PeerId, Update
from ledger.known import Known

TWO_HISTORIES: Final = "two histories"
WRONG_LABELS: Final = "wrong labels"


@dataclass(frozen=True, slots=True)
class Cheat:
    """Of one peer that cheats."""

    peer: int
    cheat: str  # a fault of scenario.py, TWO_HISTORIES, or WRONG_LABELS
    forked: bool  # that it signed two histories is proven
    revoked: bool
    updates: int  # admitted of it, on all branches
    condemned: int  # of these, by a quorum; what a final snapshot holds counts all the same
    counting: int  # of these, that shape the model
    weight_share: float  # of the weight of all that shape it; 0..1


def cheats_of(scenario: Scenario, peers: Sequence[PeerId], known: Known) -> Iterator[Cheat]:
    """In order of number. `known` is what somebody honest holds."""
    asked: dict[int, list[str]] = {}
    for number, fault in scenario.faults.items():
        asked.setdefault(number, []).append(fault)
    for number in dict.fromkeys(twin.peer for twin in scenario.twins):
        asked.setdefault(number, []).append(TWO_HISTORIES)
    for number in scenario.flipped:
        asked.setdefault(number, []).append(WRONG_LABELS)
    terms = [(peer_of(log), weight) for log, _, _, weight in known.updates]
    whole = sum(weight for _, weight in terms)
    for number, cheats in sorted(asked.items()):
        peer = peers[number]
        places = [
            (log, seq) for log in known.strands(peer) for seq in range(fork_of(log), known.size(log))
            if isinstance(known.entry(log, seq), Update)
        ]  # fmt: skip
        own = [weight for author, weight in terms if author == peer]
        yield Cheat(
            peer=number,
            cheat=" and ".join(cheats),
            forked=known.accused_at(peer) is not None or len(known.strands(peer)) > 1,
            revoked=known.is_revoked(peer),
            updates=len(places),
            condemned=sum(known.weight_of(*place) is not None and known.condemned(*place) for place in places),
            counting=len(own),
            weight_share=sum(own) / whole if whole else 0.0,
        )
