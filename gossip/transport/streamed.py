"""A link's frames on one stream of bytes, for where no data channel can be made.

    letter   length u16le | JSON                    the two signed messages, first (by_stream.py)
    frame    channel u8 | length u16le | frame      then these, both ways, for ever (flow.py says what is in them)
    beat     00 0000                                in between: still here

"gossip" as one piece on ctl: 00 0b00 | 01 06000000 676f73736970.

Why beats: a data channel's ICE asks every few seconds whether the far end is still there; TCP, through a router that
has forgotten it, says nothing for a quarter of an hour. Who has been silent for BEAT_S says that it is there, and who
was not heard of for SILENT_S is gone.

Rules: a length is checked when its bytes have come, before anything is waited for or kept; a channel is 0 or 1. What
breaks them ends the link with RemoteError, like a malformed frame on a data channel. Credits bound what is under way,
so what is sent is never held back here. The end of the stream is the end of the link, wherever it falls.

It refuses to know who is at the other end, and what carries the stream (road.py).
"""

from __future__ import annotations

import asyncio
import contextlib

from gossip.bucket import Bucket
from gossip.transport.flow import MAX_FRAME_BYTES
from gossip.transport.offers import MAX_BODY_BYTES
from gossip.transport.rawpeer import LABELS, Ears
from gossip.transport.road import Stream
from gossip.transport.signalling import Unheard
from ledger.errors import LinkError, RemoteError

LENGTH_BYTES = 2
HEADER_BYTES = 1 + LENGTH_BYTES
BEAT = bytes(HEADER_BYTES)
BEAT_S = 10.0
SILENT_S = 35.0  # three beats, and time for a slow one; ICE's consent ends after 30
BEATS_BURST, BEATS_PER_S = 32, 1.0  # a relay may hold some back and bring them at once; more is a flood


def letter(body: bytes) -> bytes:
    """A signed message as it goes onto a stream."""
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


def cut_letter(data: bytes) -> tuple[bytes, bytes] | None:
    """A whole message at the beginning of `data`, and what is behind it; None: more must come. RemoteError."""
    if len(data) < LENGTH_BYTES:
        return None
    size = int.from_bytes(data[:LENGTH_BYTES], "little")
    if not 1 <= size <= MAX_BODY_BYTES:
        raise RemoteError(f"a message of {size} bytes", why=f"1 to {MAX_BODY_BYTES} are allowed before a link")
    end = LENGTH_BYTES + size
    return (data[LENGTH_BYTES:end], data[end:]) if len(data) >= end else None


async def hear(stream: Stream) -> tuple[bytes, bytes]:
    """The first message on a stream, and what came behind it. Unheard: the far end ended it. The caller bounds the
    time; what is held is bounded by a message and what one `receive` gives."""
    held = b""
    while (cut := cut_letter(held)) is None:
        data = await stream.receive()
        if not data:
            raise Unheard(
                "that peer ended the stream without an answer",
                why="it does not know our key, or our invite was used up, or it is busy",
            )
        held += data
    return cut


class Frames:
    """Cuts a stream's bytes into frames. At most one frame is kept that has not come whole."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(channel, frame) of all that are whole now; a beat is an empty one. RemoteError: the rest of the stream means
        nothing."""
        held = self._held
        held += data
        frames, at = [], 0
        while len(held) - at >= HEADER_BYTES:
            channel, size = held[at], int.from_bytes(held[at + 1 : at + HEADER_BYTES], "little")
            if channel >= len(LABELS):
                raise RemoteError(f"a frame on channel {channel}", why="there are two, 0 and 1")
            if not (1 if channel else 0) <= size <= MAX_FRAME_BYTES:
                raise RemoteError(f"a frame of {size} bytes", why=f"1 to {MAX_FRAME_BYTES} are allowed")
            end = at + HEADER_BYTES + size
            if len(held) < end:
                break
            frames.append((channel, bytes(held[at + HEADER_BYTES : end])))
            at = end
        del held[:at]
        return frames


class StreamPeer:
    """A RawPeer on an open stream. `rest` came behind the message that ended the handshake."""

    backend = "libp2p"

    def __init__(self, stream: Stream, rest: bytes = b"") -> None:
        self._stream = stream
        self._rest = rest
        self._frames = Frames()
        self._heard_at = self._sent_at = now = asyncio.get_running_loop().time()
        self._beats = Bucket.full(BEATS_BURST, BEATS_PER_S, now)
        self._reading: asyncio.Task[None] | None = None
        self._beating: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    def attach(self, ears: Ears) -> None:
        loop = asyncio.get_running_loop()
        self._reading = loop.create_task(self._read(ears))
        self._beating = loop.call_later(BEAT_S / 2, self._beat, ears)

    def send(self, channel: int, frame: bytes) -> None:
        if self._closing is not None:
            raise LinkError("the stream is closed")
        self._sent_at = asyncio.get_running_loop().time()
        self._stream.send(bytes([channel]) + len(frame).to_bytes(LENGTH_BYTES, "little") + frame)

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        # A task of its own, like a data channel's: a cancelled close must not leave the stream open.
        if self._beating is not None:
            self._beating.cancel()
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self._stream.close()

    async def _read(self, ears: Ears) -> None:
        data = self._rest
        try:
            while True:
                for channel, frame in self._frames.feed(data):
                    if frame:
                        ears.arrived(channel, frame)
                    elif not self._beats.take(1, self._heard_at):
                        raise RemoteError("more beats than any peer sends")
                data = await self._stream.receive()
                self._heard_at = asyncio.get_running_loop().time()
                if not data:
                    ears.gone("the far end ended the stream")
                    return
        except RemoteError as error:
            ears.broke(error)
        except LinkError as error:
            ears.gone(error.what)

    def _beat(self, ears: Ears) -> None:
        loop = asyncio.get_running_loop()
        if self._closing is not None:
            return
        if loop.time() - self._heard_at > SILENT_S:
            ears.gone(f"nothing came for {SILENT_S:.0f} s")
            return
        if loop.time() - self._sent_at >= BEAT_S:
            self._sent_at = loop.time()
            try:
                self._stream.send(BEAT)
            except LinkError as error:
                ears.gone(error.what)
                return
        self._beating = loop.call_later(BEAT_S / 2, self._beat, ears)
