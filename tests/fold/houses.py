"""What a house weighs: weights alone, no entries, in a swarm of sixteen. tests/bench/houses.py prints it.

    15 honest members who stand alone, each publishes once a round  |  the 16th place: one member, or 50 guests of one
                                                                    |  sponsor, at any rate, showing what they like

A guest may be *open* (its past shows what everybody published until then), *withhold* (it shows all that the honest
ones did, as if it went on in public, and nothing of its house: all guests publish for themselves, and everything comes
out at the end, so no honest entry ever cites one), or be *frozen* (its past is the one in which it was admitted). What
the sponsor's one log holds before its admission it cannot leave out: guest number i knows of i - 1 others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ledger.entry import PeerId
from ledger.weights import START, Row, Sight, weigh
from tests.fold.toy import constants

HONEST = 15
GUESTS = 50
NORM = 1 << 20
Shows = Literal["open", "withholds", "frozen"]


def name(number: int) -> PeerId:
    return f"{number:064x}"


SPONSOR = name(0)  # one of the honest ones, as far as weights can tell


@dataclass
class Author:
    """One member: its chain of updates, and who else it says is there."""

    id: PeerId
    house: PeerId = ""
    knows: tuple[PeerId, ...] = ()  # of its own house
    row: Row = START
    weight: int = 0
    norms: int = NORM
    debt: float = 0.0  # parts of an update that its rate leaves over
    counts: dict[PeerId, int] = field(default_factory=dict)

    def publish(self, published: dict[PeerId, int], houses: dict[PeerId, PeerId]) -> int:
        peers = tuple(sorted(peer for peer in published if peer != self.id))
        sight = Sight(
            peers, tuple(published[peer] for peer in peers), (self.norms,) * len(peers), 0,
            houses=tuple(houses[peer] for peer in peers), house=self.house,
        )  # fmt: skip
        weighed = weigh(constants(), self.row, sight, self.norms)
        self.row = weighed.row
        self.weight += weighed.weight
        return weighed.weight


def run(guests: int, rate: float, shows: Shows = "open", rounds: int = 100, warm: int = 10) -> tuple[int, int]:
    """(weight of all guests, weight of one honest member) over so many rounds. No guests: one member at that rate.

    Guests come after `warm` rounds and publish `rate` updates a round each.
    """
    honest = [Author(name(number)) for number in range(HONEST)]
    ids = [name(1000 + number) for number in range(max(guests, 1))]
    others = [
        Author(peer, SPONSOR if guests else "", tuple(ids[: 1 + at] if shows != "open" else ids))
        for at, peer in enumerate(ids)
    ]
    houses = dict.fromkeys((author.id for author in honest), "") | {one.id: one.house for one in others}
    published = dict.fromkeys((author.id for author in honest), 1)
    fair = 0
    for turn in range(warm + rounds):
        if turn == warm:
            if shows == "open":
                published |= dict.fromkeys(ids, 1)
            frozen = dict(published)
        for author in honest:
            before = author.weight
            author.publish(published, houses)
            fair += author.weight - before if turn >= warm else 0
            published[author.id] += 1
        for one in others if turn >= warm else ():
            one.debt += rate
            while one.debt >= 1:
                one.debt -= 1
                known = frozen if shows == "frozen" else published
                own = {peer: count for peer, count in published.items() if peer in one.knows}
                mates = own if shows == "open" else dict.fromkeys(one.knows, 1)
                one.publish({**known, **mates}, houses)
                if shows == "open":
                    published[one.id] += 1
    return sum(one.weight for one in others), fair // HONEST


def share(guests: int, rate: float, shows: Shows = "open", rounds: int = 100) -> float:
    """Their weight, in members: 1.0 is what one honest member's updates weigh over the same rounds."""
    theirs, fair = run(guests, rate, shows, rounds)
    return theirs / fair
