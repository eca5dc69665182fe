"""Which of the peers that somebody says are here are worth a word to the machine.

A key we know (a member's, the inviter's) is always heard, at up to PLACES places, one new place per CHANGE_S: so false
places for it come slowly, and the true one has its turn. Of all other keys, which cost their inventor nothing, at most
MAX_STRANGERS are kept, and a new one takes the place of a random one: an inventor of 100,000 cannot know what it
pushes out, and what it pushed out comes again with its peer's next word. They are told at a pace, too.

Pure: time and luck come as arguments. It refuses to know mDNS.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from gossip.transport.hearing import Pace

MAX_STRANGERS: Final = 256
PLACES: Final = 4  # of one key: a machine with two networks, and one that has just moved
AGAIN_S: Final = 20.0  # the machine forgets hints, too
CHANGE_S: Final = 2.0
TOLD_AT_ONCE, TOLD_PER_S = 64, 8.0  # strangers; a swarm that starts at once, then what a joiner needs

Place = tuple[str, int]


class Hints:
    """What was heard of whom. `knows` is asked at every word, since membership grows."""

    def __init__(self, knows: Callable[[bytes], bool], luck: random.Random, clock: Callable[[], float]) -> None:
        self._knows = knows
        self._luck = luck
        self._clock = clock
        self._pace = Pace(TOLD_AT_ONCE, TOLD_PER_S, clock)
        self._told: dict[bytes, dict[Place, float]] = {}
        self._changed: dict[bytes, float] = {}
        self._strangers: list[bytes] = []

    def __len__(self) -> int:
        return len(self._told)

    def is_news(self, key: bytes, place: Place) -> bool:
        """Whether to pass on that `key` is said to be at `place`."""
        now, places = self._clock(), self._told.get(key)
        if places is not None and place in places:
            if now - places[place] < AGAIN_S:
                return False
            places[place] = now
            return True
        if not self._knows(key) and not self._pace.take():
            return False
        if places is None:
            places = self._told[key] = {}
            if not self._knows(key):
                self._make_room()
                self._strangers.append(key)
        elif len(places) >= PLACES:
            if now - self._changed.get(key, 0.0) < CHANGE_S:
                return False
            del places[self._luck.choice(list(places))]
        self._changed[key] = now
        places[place] = now
        return True

    def _make_room(self) -> None:
        while len(self._strangers) >= MAX_STRANGERS:
            at = self._luck.randrange(len(self._strangers))
            self._strangers[at], self._strangers[-1] = self._strangers[-1], self._strangers[at]
            key = self._strangers.pop()
            if not self._knows(key):  # else it has become a member meanwhile, and stays
                del self._told[key], self._changed[key]
