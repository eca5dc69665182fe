"""The rules of announcements: what is said when, whose words are taken, and under which topic (pure).

    topic = hex of SHA-256("gossip/announce/1\\n" || namespace)       said to members only
    own:    newest wins, one each EVERY_S at most, the last one again every REPEAT_S
    theirs: author is a member, at most MAX_BYTES, one a second and BURST at once, each with a higher number

What comes too fast, or again, is passed over: whoever passes it on may have heard less of its author than we, so that
is its author's fault alone, and only if it comes from there. Numbers are GossipSub's, signed, and count from the clock
at the author's start: who sets its clock back is heard again after FORGET_S. Times come as `now`. It refuses to know
libp2p and what an announcement says.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from gossip.bucket import Buckets
from gossip.transport.road import MAX_ANNOUNCEMENT_BYTES

MAX_BYTES: Final = MAX_ANNOUNCEMENT_BYTES
EVERY_S: Final = 2.0
REPEAT_S: Final = 300.0  # for who came late, and for what got lost
BURST: Final = 5  # messages of one author may catch up with each other on the way
PER_S: Final = 1.0
AUTHORS: Final = 1_024
FORGET_S: Final = 3_600.0  # the number of an author that says nothing; who is there repeats itself long before


def topic_of(namespace: bytes) -> str:
    """The topic of a namespace of 32 bytes."""
    return hashlib.sha256(b"gossip/announce/1\n" + namespace).hexdigest()


class Inbox:
    """Whose announcements are taken."""

    def __init__(self, is_member: Callable[[bytes], bool]) -> None:
        self._is_member = is_member
        self._paces = Buckets(BURST, PER_S, AUTHORS)
        self._newest: OrderedDict[bytes, tuple[int, float]] = OrderedDict()  # number, and when it was said

    def is_news(self, author: bytes, number: int, now: float) -> bool:
        """Whether it comes after what its author said before. Nothing is made of what was not proven yet."""
        newest, at = self._newest.get(author, (-1, now))
        return number > newest or now - at >= FORGET_S

    def is_paced(self, author: bytes, now: float) -> bool:
        """Whether its author may be heard again by now."""
        return self._paces.has(author, now)

    def takes(self, author: bytes | None, size: int, number: int, now: float) -> bool:
        """Whether a message, its author's for certain, is let in and passed on. None: its key is none of ours."""
        if author is None or size > MAX_BYTES or not self._is_member(author):
            return False
        if not self.is_news(author, number, now) or not self._paces.take(author, now):
            return False
        self._newest[author] = (number, now)
        self._newest.move_to_end(author)
        while len(self._newest) > AUTHORS:
            self._newest.popitem(last=False)
        return True


class Outbox:
    """What we say."""

    def __init__(self) -> None:
        self._data: bytes | None = None
        self._is_new = False
        self._said_at: float | None = None

    def put(self, data: bytes) -> None:
        """The newest. ValueError: it is too long."""
        if len(data) > MAX_BYTES:
            raise ValueError(f"an announcement of {len(data)} bytes; {MAX_BYTES} are the most")
        self._is_new = self._is_new or data != self._data
        self._data = data

    def again(self) -> None:
        """There is a new topic, which has heard nothing yet."""
        self._is_new = self._data is not None

    def due(self) -> float | None:
        """When to say something; None: there is nothing."""
        if self._data is None:
            return None
        if self._said_at is None:
            return 0.0
        return self._said_at + (EVERY_S if self._is_new else REPEAT_S)

    def take(self, now: float) -> bytes | None:
        """What to say now, if anything."""
        due = self.due()
        if due is None or now < due:
            return None
        self._said_at, self._is_new = now, False
        return self._data
