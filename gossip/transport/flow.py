"""One data channel as a machine: messages cut into pieces, and the credits that pace them.

No IO here, only bytes in and bytes out; `channels.py` moves them. docs/wire.md has the same in prose.

    sender                                   receiver
    offer(message) -> outgoing() ---piece--> arrived() ... take() -> message
    arrived()      <--------------credit---- outgoing()   (pieces that take() has consumed)

    piece    01 | left u32le | data            left: bytes of the message not sent before this piece
    credit   02 | pieces u32le                 that many more pieces may be sent
    bye      03 | reason, UTF-8                the last thing on this channel

One real message, "gossip" in a piece of its own: 01 06000000 676f73736970.

Rules: a sender starts with WINDOW_PIECES credits, a piece costs one, a message is cut in exactly one
way (full pieces, then the rest). Every departure from them by the far end is a RemoteError. What can
be held for a slow reader is therefore bounded: WINDOW_PIECES * PIECE_BYTES = 4 MiB a channel. The same
bound keeps the sending side's buffer below 4 MiB, so the backends need no marks of their own, and
keeps aiolibdatachannel's 1,024-slot receive queue (which drops silently when full) from filling: at
most WINDOW_PIECES pieces and as many credits can be unread.
"""

from __future__ import annotations

from collections import deque

from gossip.transport.link import MAX_MESSAGE_BYTES
from ledger.errors import LocalError, RemoteError

PIECE_BYTES = 16_384  # of data; aiortc moved 5 MB as one message in three times the time
HEADER_BYTES = 5
MAX_FRAME_BYTES = HEADER_BYTES + PIECE_BYTES  # the largest thing that may come out of a data channel
WINDOW_PIECES = 256
RETURN_PIECES = 64  # credits go back in lots: one small frame per 64 pieces, and never a standstill
MAX_REASON_BYTES = 200

_PIECE, _CREDIT, _BYE = 1, 2, 3


class Flow:
    """One end of one channel. `out` counts the offered messages that have left whole."""

    def __init__(self) -> None:
        self.out = 0
        self.has_come = False  # a whole message, ever
        self.ended = False  # the far end has said bye on this channel
        self.reason = ""  # and why
        self._offered = 0
        self._outbox: deque[tuple[int, bytes]] = deque()
        self._cut = 0  # bytes of the first message in the outbox already sent
        self._withdrawn: set[int] = set()
        self._credits = WINDOW_PIECES
        self._inbox: deque[tuple[bytes, int]] = deque()  # message, pieces it came in
        self._parts: list[bytes] = []
        self._left = 0  # bytes still missing of the message in `_parts`
        self._unreturned = 0  # pieces arrived and not yet credited back
        self._consumed = 0  # of these, pieces that take() has handed out

    # ------------------------------------------------------------ sending

    def offer(self, message: bytes) -> int:
        """Queue a message; its number n is out once `out >= n`."""
        if not 1 <= len(message) <= MAX_MESSAGE_BYTES:
            raise LocalError(f"a message of {len(message)} bytes", why=f"1 to {MAX_MESSAGE_BYTES} fit on a link")
        self._offered += 1
        self._outbox.append((self._offered, message))
        return self._offered

    def withdraw(self, number: int) -> None:
        """Forget an offered message if none of it has left; half a message is never sent."""
        if number > self.out + (1 if self._cut else 0):
            self._withdrawn.add(number)

    def outgoing(self) -> list[bytes]:
        """Everything that may be sent now, in order: credits due, then pieces as far as credits reach."""
        frames = []
        if self._consumed >= RETURN_PIECES:
            frames.append(bytes([_CREDIT]) + self._consumed.to_bytes(4, "little"))
            self._unreturned -= self._consumed
            self._consumed = 0
        while self._outbox:
            number, message = self._outbox[0]
            if number in self._withdrawn:
                self._withdrawn.discard(number)
            elif self._credits == 0:
                break
            else:
                left = len(message) - self._cut
                frames.append(
                    bytes([_PIECE]) + left.to_bytes(4, "little") + message[self._cut : self._cut + PIECE_BYTES]
                )
                self._credits -= 1
                self._cut += PIECE_BYTES
                if left > PIECE_BYTES:
                    continue
            self._outbox.popleft()
            self._cut = 0
            self.out = number
        return frames

    @staticmethod
    def bye(reason: str) -> bytes:
        """The frame that ends our direction. It costs no credit."""
        return bytes([_BYE]) + reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore").encode()

    # ---------------------------------------------------------- receiving

    def arrived(self, frame: bytes) -> None:
        """One whole frame from the far end. RemoteError: nothing on this channel can be trusted any more."""
        if self.ended:
            raise RemoteError("a frame after bye")
        if not 1 <= len(frame) <= MAX_FRAME_BYTES:
            raise RemoteError(f"a frame of {len(frame)} bytes", why=f"1 to {MAX_FRAME_BYTES} are allowed")
        match frame[0]:
            case 1:
                self._piece(frame)
            case 2:
                self._credit(frame)
            case 3:
                self._ended(frame)
            case kind:
                raise RemoteError(f"a frame of unknown kind {kind}")

    def take(self) -> bytes | None:
        """The next whole message, or None. Ask `outgoing()` afterwards: credits may be due."""
        if not self._inbox:
            return None
        message, pieces = self._inbox.popleft()
        self._consumed += pieces
        return message

    def _piece(self, frame: bytes) -> None:
        left = int.from_bytes(frame[1:HEADER_BYTES], "little")
        if not self._parts and not 1 <= left <= MAX_MESSAGE_BYTES:
            raise RemoteError(f"a message of {left} bytes", why=f"1 to {MAX_MESSAGE_BYTES} are allowed")
        if self._parts and left != self._left:
            raise RemoteError(f"a piece says {left} bytes are left", why=f"of this message {self._left} were")
        size = len(frame) - HEADER_BYTES
        if size != min(left, PIECE_BYTES):
            raise RemoteError(f"a piece of {size} bytes", why=f"with {left} bytes left it has {min(left, PIECE_BYTES)}")
        if self._unreturned == WINDOW_PIECES:
            raise RemoteError("a piece without credit", why=f"{WINDOW_PIECES} pieces are unread")
        self._unreturned += 1
        self._parts.append(frame[HEADER_BYTES:])
        self._left = left - size
        if self._left == 0:
            self.has_come = True
            self._inbox.append((b"".join(self._parts), len(self._parts)))
            self._parts = []

    def _credit(self, frame: bytes) -> None:
        count = int.from_bytes(frame[1:], "little")
        if len(frame) != HEADER_BYTES or not 1 <= count <= WINDOW_PIECES - self._credits:
            raise RemoteError("a credit for pieces never sent")
        self._credits += count

    def _ended(self, frame: bytes) -> None:
        if len(frame) > 1 + MAX_REASON_BYTES:
            raise RemoteError("a bye that is too long")
        try:
            self.reason = frame[1:].decode("utf-8")
        except UnicodeDecodeError as error:
            raise RemoteError("a bye that is not UTF-8") from error
        self._parts = []
        self.ended = True
