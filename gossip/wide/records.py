"""The provider records that a relay keeps for its community, and how many (pure; time and luck come as arguments).

    key (a multihash) -> provider's PeerId -> (addresses, when, from which network address)

A record is its sender's own word about itself, good for TTL_S; peers of ours say it again every ten minutes. Where
there is no room, the oldest record of the network address that has most goes: an inventor of PeerIds pushes out his
own. Of a key that many share, AT_ONCE drawn at random are told, one of each network address in turn: so nobody stands
before others for ever, and an inventor before nobody. Addresses count by their network, as in crowds.py.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gossip.wide.addresses import MAX_ADDRESS_BYTES, MAX_ADDRESSES
from gossip.wide.crowds import network_of
from gossip.wide.hints import in_turns
from gossip.wide.kad import Said

TTL_S: Final = 1_800.0  # three of our publications; who is gone is forgotten in half an hour
MAX_RECORDS: Final = 4_096
PER_ADDRESS: Final = 256
PER_PROVIDER: Final = 8  # keys of one PeerId: two swarms a node would be many
AT_ONCE: Final = 20  # told in one answer, as other servers do


@dataclass(slots=True)
class _Record:
    said: Said
    at: float
    address: str


class Records:
    """Who says that it has what."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck
        self._of: dict[bytes, dict[bytes, _Record]] = {}
        self._counts: Counter[str] = Counter()  # by network address

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, key: bytes, said: Said, address: str, now: float) -> None:
        """A provider says that it has `key`; it is connected from `address`."""
        address = network_of(address)
        kept = tuple(raw for raw in said.addresses if len(raw) <= MAX_ADDRESS_BYTES)[:MAX_ADDRESSES]
        if not kept:
            return
        self._drop(key, said.id)
        own = [other for other, records in self._of.items() if said.id in records]
        if len(own) >= PER_PROVIDER:
            self._drop(min(own, key=lambda other: self._of[other][said.id].at), said.id)
        if self._counts[address] >= PER_ADDRESS:
            self._drop_oldest(address)
        elif len(self) >= MAX_RECORDS:
            self._drop_oldest(self._counts.most_common(1)[0][0])
        self._of.setdefault(key, {})[said.id] = _Record(Said(said.id, kept), now, address)
        self._counts[address] += 1

    def get(self, key: bytes, now: float) -> list[Said]:
        """At most AT_ONCE providers of a key, drawn at random, of each network address in turn."""
        self.expire(now)
        by_address: dict[str, list[Said]] = {}
        for record in self._of.get(key, {}).values():
            by_address.setdefault(record.address, []).append(record.said)
        groups = list(by_address.values())
        self._luck.shuffle(groups)
        drawn = in_turns([self._luck.sample(group, min(AT_ONCE, len(group))) for group in groups])
        return list(islice(drawn, AT_ONCE))

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        old = [
            (key, who)
            for key, records in self._of.items()
            for who, record in records.items()
            if now - record.at > TTL_S
        ]
        for key, who in old:
            self._drop(key, who)

    def _drop_oldest(self, address: str) -> None:
        key, who = min(
            ((key, who) for key, all_ in self._of.items() for who, record in all_.items() if record.address == address),
            key=lambda place: self._of[place[0]][place[1]].at,
        )
        self._drop(key, who)

    def _drop(self, key: bytes, who: bytes) -> None:
        record = self._of.get(key, {}).pop(who, None)
        if record is None:
            return
        self._counts[record.address] -= 1
        if not self._counts[record.address]:
            del self._counts[record.address]
        if not self._of[key]:
            del self._of[key]
