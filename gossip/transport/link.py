"""What a link between two peers is, whatever carries it.

Everything above this file (the peer machine, the node, the tests) knows links only by `Link`.
Memory pairs, streams and both WebRTC backends keep the same contract, checked by one conformance kit
(tests/transport/conformance.py):

- A link exists only after its far end has proven `key` over this very channel (bind.py).
- Messages are whole: 1..MAX_MESSAGE_BYTES bytes, delivered once, in order within their channel
  (`ctl` or `bulk`; nothing is promised about the order between the two).
- Nothing is ever lost or dropped on an open link: a slow receiver slows the sender down.
- What a peer sends can end its own link with RemoteError and nothing else.

This file refuses to know what a message means, and which library carries it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gossip.wire.frames import MAX_MESSAGE_BYTES


@runtime_checkable
class Link(Protocol):
    """One open, bound link. Attributes never change after it is made, except the two counters."""

    @property
    def key(self) -> bytes:
        """The far end's Ed25519 public key (32 raw bytes), proven over this channel."""
        ...

    @property
    def dialled(self) -> bool:
        """We opened it (True) or the far end did (False)."""
        ...

    @property
    def role(self) -> str:
        """The role of the ticket whose secret the dialling far end proved to know; "" if none."""
        ...

    @property
    def ticket(self) -> bytes:
        """The id of that ticket; empty if none."""
        ...

    @property
    def session(self) -> bytes:
        """32 bytes that this meeting alone has, the same at both ends: a digest of what the bind signed."""
        ...

    @property
    def backend(self) -> str:
        """What carries it at our end: "memory", "aiortc", "aiolibdatachannel", or "libp2p" for a stream."""
        ...

    @property
    def bytes_sent(self) -> int:
        """Bytes handed to the carrier's channels, framing and credits included."""
        ...

    @property
    def bytes_received(self) -> int:
        """Bytes that came out of the carrier's channels, framing and credits included."""
        ...

    async def send(self, message: bytes, *, bulk: bool = False) -> None:
        """Return once all of `message` is handed to the channel.

        Waits while the far end has given no credit or our buffer is above its mark. Several tasks
        may send at once; their messages never mix. Cancelling a send may or may not send the message,
        never half of it.
        LocalError: an empty or too long message. LinkError: the link is closed. RemoteError: the far
        end broke the protocol, which closed the link.
        """
        ...

    async def receive(self) -> bytes:
        """The next whole message, ctl before bulk; waits for one. One task receives at a time.

        Taking a message is what gives the sender its credit back. After an orderly end, messages that
        arrived are still delivered; then LinkError. After a violation by the far end: RemoteError.
        """
        ...

    async def close(self, reason: str = "") -> None:
        """End the link; give what was sent a moment to leave. Safe to call twice, and while others wait."""
        ...


__all__ = ["MAX_MESSAGE_BYTES", "Link"]
