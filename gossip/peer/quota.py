"""What one link may cost us: a bucket of frames that fills with time.

    MAX_FRAMES ------ one less for each frame ------> empty: the link ends
        ^-- FRAMES_PER_S

A list of logs counts as one frame more for each COUNTED_BYTES: looking at 1,820 logs is work. Frames that bring
what we asked for are given back, so a fast honest sender never runs dry; what is left are questions, announcements
and answers nobody asked for. Memory has bounds of its own beside the code that holds it (tape.py, blobs.py); one
account for everything a peer costs comes with the work on faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gossip.wire.frames import HAVE_TAG
from ledger.errors import RemoteError

MAX_FRAMES: Final = 2000  # a burst: a peer of a large swarm that catches up asks for some hundred logs at once
FRAMES_PER_S: Final = 200
COUNTED_BYTES: Final = 1024  # of a Have: 28 logs


@dataclass(slots=True)
class Allowance:
    """The bucket of one link."""

    since: float
    left: float = MAX_FRAMES

    def charge(self, now: float, message: bytes) -> None:
        frames = 1 + (len(message) // COUNTED_BYTES if message[:1] == HAVE_TAG else 0)
        self.left = min(MAX_FRAMES, self.left + (now - self.since) * FRAMES_PER_S) - frames
        self.since = now
        if self.left < 0:
            raise RemoteError("a peer sends too many messages", why=f"more than {FRAMES_PER_S} in a second, for long")

    def give_back(self) -> None:
        self.left += 1
