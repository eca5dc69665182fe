"""What one link may cost us: a bucket of frames that fills with time.

    MAX_FRAMES ------ one less for each frame ------> empty: the link ends
        ^-- FRAMES_PER_S

A list of logs counts as one frame more for each COUNTED_BYTES: looking at 1,820 logs is work. So does each signature
that is to be checked, before it is, and WRONG_SIGNATURE times that if it turns out wrong. Frames that bring
what we asked for are given back, so a fast honest sender never runs dry; what is left are questions, announcements
and answers nobody asked for. Memory has bounds of its own beside the code that holds it (tape.py, blobs.py); one
account for everything a peer costs comes with the work on faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gossip.wire.frames import HAVE_TAG, TALLY_TAG
from ledger.errors import RemoteError

MAX_FRAMES: Final = 2000  # a burst: a peer of a large swarm that catches up asks for some hundred logs at once
FRAMES_PER_S: Final = 200
COUNTED_BYTES: Final = 1024  # of a Have or a Tally: 28 logs
WRONG_SIGNATURE: Final = 20  # an honest peer may pass on a few, while the news of a changed key still travels


@dataclass(slots=True)
class Allowance:
    """The bucket of one link."""

    since: float
    left: float = MAX_FRAMES

    def charge(self, now: float, message: bytes) -> None:
        frames = 1 + (len(message) // COUNTED_BYTES if message[:1] in (HAVE_TAG, TALLY_TAG) else 0)
        self.left = min(MAX_FRAMES, self.left + (now - self.since) * FRAMES_PER_S)
        self.since = now
        self.spend(frames)

    def spend(self, frames: int) -> None:
        """Take as much as so many frames cost. RemoteError if it is not there."""
        self.left -= frames
        if self.left < 0:
            raise RemoteError("a peer sends too many messages", why=f"more than {FRAMES_PER_S} in a second, for long")

    def give_back(self) -> None:
        self.left += 1
