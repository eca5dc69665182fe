"""Something that is used up and comes back with time: the measure behind every limit on how often (gossip/limits.py).

    size --take--> left --time, per_s a second--> size, and never more

It refuses to know what it counts, and has no clock: `now` comes from whoever asks, and may stand still.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Of one peer, or one address."""

    size: float
    per_s: float
    left: float
    since: float

    @classmethod
    def full(cls, size: float, per_s: float, now: float) -> Bucket:
        return cls(size, per_s, size, now)

    def at(self, now: float) -> float:
        """What is left at that time."""
        if now > self.since:
            self.left = min(self.size, self.left + (now - self.since) * self.per_s)
            self.since = now
        return self.left

    def take(self, amount: float, now: float) -> bool:
        """Take it, if there is so much."""
        if self.at(now) < amount:
            return False
        self.left -= amount
        return True

    def give(self, amount: float) -> None:
        self.left = min(self.size, self.left + amount)


class Buckets:
    """One for each of many names, at most `most`: of those it must forget the one that was longest not asked for."""

    def __init__(self, size: float, per_s: float, most: int) -> None:
        self._size, self._per_s, self._most = size, per_s, most
        self._by_name: OrderedDict[object, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_name)

    def has(self, name: object, now: float) -> bool:
        """Whether there is one left for that name."""
        bucket = self._by_name.get(name)
        return bucket is None or bucket.at(now) >= 1

    def take(self, name: object, now: float) -> bool:
        """One of what there is for that name, if there is any left."""
        bucket = self._by_name.get(name)
        if bucket is None:
            bucket = self._by_name[name] = Bucket.full(self._size, self._per_s, now)
            while len(self._by_name) > self._most:
                self._by_name.popitem(last=False)
        self._by_name.move_to_end(name)
        return bucket.take(1, now)
