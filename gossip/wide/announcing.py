"""The rules of announcements: what is said when, whose words are taken, and under which topic (pure).

    topic = hex of SHA-256("gossip/announce/1\\n" || namespace)       said to members only
    own:    newest wins, one each EVERY_S at most, the last one again every REPEAT_S
    theirs: author is a member, at most MAX_BYTES, one a second of each author and BURST at once

Times come as `now`. It refuses to know libp2p and what an announcement says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from gossip.bucket import Buckets

MAX_BYTES: Final = 512
EVERY_S: Final = 2.0
REPEAT_S: Final = 300.0  # for who came late, and for what got lost
BURST: Final = 5  # messages of one author may catch up with each other on the way
PER_S: Final = 1.0
AUTHORS: Final = 1_024


def topic_of(namespace: bytes) -> str:
    """The topic of a namespace of 32 bytes."""
    return hashlib.sha256(b"gossip/announce/1\n" + namespace).hexdigest()


class Inbox:
    """Whose announcements are taken."""

    def __init__(self, is_member: Callable[[bytes], bool]) -> None:
        self._is_member = is_member
        self._paces = Buckets(BURST, PER_S, AUTHORS)

    def takes(self, author: bytes | None, size: int, now: float) -> bool:
        """Whether a message is let in and passed on; `author` None: its key is none of ours."""
        if author is None or size > MAX_BYTES or not self._is_member(author):
            return False
        return self._paces.take(author, now)


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
