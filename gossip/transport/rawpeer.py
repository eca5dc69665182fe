"""The little that a WebRTC library has to do for us: the seam between the link and its carriers.

A `RawPeer` moves frames on two channels and reports to one `Ears`. Everything else (pieces, credits,
violations, the orderly end) is common code above it, in channels.py. A backend knows nothing about
keys, swarms or messages.

    offer()  --Description-->  answer()        exchanged by signalling.py
    accept() <-Description---
    opened()                   opened()        both channels are open at both ends

Channel numbers are fixed (both sides create them; no label or order from the far end is trusted).
"""

from __future__ import annotations

from typing import Protocol

from gossip.transport.description import Description
from ledger.errors import RemoteError

CTL, BULK = 0, 1
LABELS = ("ctl", "bulk")


class Ears(Protocol):
    """Who is told. All calls come on the event loop's own thread, never re-entrantly from `send`."""

    def arrived(self, channel: int, frame: bytes) -> None:
        """A whole frame, in order within its channel."""
        ...

    def broke(self, error: RemoteError) -> None:
        """The far end did to the library what no honest peer does."""
        ...

    def gone(self, reason: str) -> None:
        """The connection is over (closed by the far end, or lost). May be said more than once."""
        ...


class RawPeer(Protocol):
    """One connection of one backend. `attach` must be called before the connection can open."""

    @property
    def backend(self) -> str: ...

    def attach(self, ears: Ears) -> None: ...

    def send(self, channel: int, frame: bytes) -> None:
        """Hand over a frame; never blocks (credits bound what is under way). LinkError: it is closed."""
        ...

    async def close(self) -> None:
        """Release everything. Safe in any state, and twice."""
        ...


class WebRTCPeer(RawPeer, Protocol):
    """A RawPeer that opens by the exchange of two descriptions."""

    async def offer(self) -> Description: ...

    async def answer(self, remote: Description) -> Description: ...

    async def accept(self, remote: Description) -> None: ...

    async def opened(self) -> None:
        """Return once both channels are open. LinkError: they never will be."""
        ...
