"""Places for connections that anybody may ask for, and who leaves when there are too many.

    full in all, or of one network   somebody silent leaves: the oldest of the network that has most silent ones
                                     or else somebody proven and not in use, by the same rule
                                     or else, as all are in use, whoever comes now is refused

A network is an IPv4 address or an IPv6 /64, as that is what one subscriber has of each. So who fills places without
a handshake loses its own, a neighbour with few never loses one to a crowd, and who is of use to somebody stays. As
in gossip/transport/signalling.py, for the same attack. Pure: `now` is a number, and leaving is a call.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


def network_of(address: str) -> str:
    """What is counted as one: "203.0.113.7" (also if written as IPv6), "2001:db8:1:2::/64"; other words as they are."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


@dataclass(slots=True, eq=False)
class Place:
    """Of one connection."""

    network: str
    end: Callable[[], None]
    used: float  # when something was last asked on it
    peer: object = None  # once its handshake has proven it


class Crowds:
    """All places. `in_use`: whether somebody's connection serves somebody now, by its proven peer."""

    def __init__(self, in_all: int, of_network: int, in_use: Callable[[object], bool] = lambda peer: False) -> None:
        self._in_all, self._of_network, self._in_use = in_all, of_network, in_use
        self._places: dict[Place, None] = {}  # oldest first
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, address: str, end: Callable[[], None], now: float) -> Place | None:
        """A place for who comes from that address; `end` is called if it has to go. None: there is none."""
        network = network_of(address)
        while self._of[network] >= self._of_network:
            if not self._make_room([each for each in self._places if each.network == network]):
                return None
        while len(self._places) >= self._in_all:
            if not self._make_room(list(self._places)):
                return None
        place = Place(network, end, now)
        self._places[place] = None
        self._of[network] += 1
        return place

    def leave(self, place: Place) -> None:
        """It is free again, if it was not before."""
        if place in self._places:
            del self._places[place]
            self._of[place.network] -= 1
            if not self._of[place.network]:
                del self._of[place.network]

    def serves(self, place: Place) -> bool:
        """Whether it is in use."""
        return place.peer is not None and self._in_use(place.peer)

    def _make_room(self, among: list[Place]) -> bool:
        leaving = [each for each in among if each.peer is None]
        leaving = leaving or [each for each in among if not self.serves(each)]
        if not leaving:
            return False
        ((largest, _),) = Counter(each.network for each in leaving).most_common(1)
        gone = next(each for each in leaving if each.network == largest)
        self.leave(gone)
        gone.end()
        return True
