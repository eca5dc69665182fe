"""What is said of members beyond the network, and what of it the machine is told: that one may be there.

    found(key)          the door knows it --paced--> Found        it does not: kept in mind, it may become a member
                        it is linked: kept in mind, the link may end
    heard(key, data)    a member's digest is another than ours, and there is no link to it --> as if it was found

All of it is hints, by anybody: a DHT is full of strangers. So a word about who is no member moves nothing, of such
words MAX_STRANGERS are kept, and of members each is passed on once in a while (gossip/transport/hints.py). It refuses
to know how the words came.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from typing import Final

from gossip.events import Found
from gossip.node import announced
from gossip.node.door import Door
from gossip.transport.hints import MAX_STRANGERS, Hints
from gossip.transport.road import place_by_road
from ledger.errors import RemoteError

MAX_PROMISED: Final = 64  # keys that the door knows by a promise alone
MAX_MET: Final = 4_096  # of those whom the door knows


class Hearsay:
    """One node's. `knows` says whom it would dial, `linked` has the keys of all links in hex, `pass_on` tells the
    machine."""

    def __init__(
        self, door: Door, knows: Callable[[bytes], bool], linked: Callable[[], Collection[str]],
        pass_on: Callable[[Found], None], clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._door, self._knows, self._linked, self._pass_on = door, knows, linked, pass_on
        self._hints = Hints(knows, random.Random(), clock)
        self._strangers: dict[bytes, None] = {}
        self._met: dict[bytes, None] = {}  # members who were found while there was a link to them
        self._members: frozenset[bytes] = frozenset()
        self.own = b""  # the key that this node goes by
        self.digest = ""  # of what is held here
        self.promised: dict[bytes, None] = {}  # keys that members have promised, and the ledger does not name yet
        self.unread = 0  # announcements by members that were none

    def settle(self, members: frozenset[bytes]) -> None:
        """The keys in force of all members are these now: whom of them we have heard of is there."""
        self._members = members
        for key in [key for key in self.promised if key in members or not self._door.admits(key)]:
            del self.promised[key]
        for key in [key for key in self._strangers if self._knows(key)]:
            del self._strangers[key]
            self.found(key)
        online = self._linked() if self._met else ()
        for key in [key for key in self._met if key.hex() not in online]:
            del self._met[key]
            self.found(key)

    def found(self, key: bytes) -> None:
        """Somebody is said to be there."""
        if key == self.own:
            return
        if not self._knows(key):
            if len(self._strangers) >= MAX_STRANGERS and key not in self._strangers:
                del self._strangers[random.choice(list(self._strangers))]
            self._strangers[key] = None
            if not self._door.is_seeking:
                return
        elif key not in self._members and len(self.promised) < MAX_PROMISED:
            self.promised[key] = None  # its owner changed keys when nobody heard it
        if key.hex() in self._linked():  # a second link would take the place of the one that is there, and be no better
            if len(self._met) < MAX_MET:
                self._met[key] = None
            return
        place = place_by_road(key)
        if self._hints.is_news(key, place):
            self._pass_on(Found(*place, key))

    def heard(self, key: bytes, data: bytes) -> None:
        """The holder of `key` says what it holds."""
        if not self._door.admits(key):
            return
        try:
            said = announced.read(data)
        except RemoteError:
            self.unread += 1
            return
        if said.digest != self.digest:
            self.found(key)
