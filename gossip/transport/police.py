"""What a far end may send below the frames: SCTP packets, judged before a library reads them.

aiortc believes its peer: it assembles messages of any size, keeps whatever lies beyond its receive window, opens
streams on demand, and loops for ever over a parameter of length 0. So every packet passes here first, as
bytes. What passes is what two honest ends of our two channels send one another, nothing else:

    packet   source u16 | port u16 | tag u32 | crc32c u32 | chunk ...       big-endian (RFC 9260)
    chunk    kind u8 | flags u8 | length u16 | body, padded to 4
    DATA     kind 0, flags B=2 E=1 U=4 | tsn u32 | stream u16 | seq u16 | protocol u32 | bytes

One real DATA chunk, one byte of a credit alone on ctl: 00 03 0011  6b8b4567 0000 0000 00000035  02 000000.

`Police` keeps the books of one association: which TSNs have come, what of them is no whole message yet, what we have
sent ourselves, and a budget for packets that bring nothing. A departure is a RemoteError, and the link ends; a packet
that an honest end may send late or twice is dropped where reading it would do harm. Every limit stands
well above what our own senders do (WINDOW pieces and credits of flow.py, 1 MiB in flight).

It refuses to know aiortc, time (it is told `now`) and what the bytes of a message mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from
from typing import Final

from gossip.transport.flow import MAX_FRAME_BYTES
from gossip.transport.rawpeer import LABELS
from ledger.errors import RemoteError

WINDOW_BYTES: Final = 1024 * 1024  # what aiortc says it will hold; also what our own sender keeps in flight at most
SLACK_BYTES: Final = 256 * 1024  # under way when a sender hears that the window is full
MAX_PACKET_BYTES: Final = 1500  # a datagram of an Ethernet; our senders make 1,189
MAX_CONTROL_BYTES: Final = 512  # a heartbeat, which is sent back, has 50
MAX_AHEAD: Final = 4096  # TSNs beyond the first missing one; 1 MiB of fragments and 512 small frames are 1,700
MAX_FRAGMENTS: Final = 64  # of one frame of 16 KiB: paths that carry 256 bytes; aiortc makes 15
BUDGET: Final = 4096  # packets in a row that bring nothing: a whole window sent again after a silence is 1,000. Of a
# packet with more, each chunk without data and each reset counts as one: the library answers each on its own
BUDGET_PER_S: Final = 200.0  # and ever after; a heartbeat comes every few seconds
EARNED: Final = 4.0  # by each chunk that advances, and by each new one of ours, which asks for answers

BINARY: Final = 53  # the payload protocol of bytes (RFC 8831); 50 opens channels, 51 and 56 are text, 57 is empty
_DATA, _INIT, _INIT_ACK, _SACK, _RECONFIG = 0, 1, 2, 3, 130
_WITH_PARAMETERS: Final = {4, 5, 6, 9}  # heartbeat, its answer, abort, error
_BARE: Final = {7, 8, 10, 11, 14}  # shutdown, its answer, cookie, its answer, shutdown complete
_FORWARD: Final = {192, 194}  # gives up messages; our channels never do
_RESET, _RESPONSE = 13, 16  # the two reconfigurations of a channel that closes
_FIRST, _LAST, _UNORDERED = 2, 1, 4
_MODULO: Final = 2**32
_HALF: Final = 2**31


@dataclass(frozen=True, slots=True)
class _Data:
    """A DATA chunk without its bytes."""

    flags: int
    stream: int
    seq: int
    size: int


class Police:
    """The books of one association. `crc32c` is the checksum of SCTP, where the library that is guarded has it from."""

    def __init__(self, crc32c: Callable[[bytes], int], now: float) -> None:
        self._crc32c = crc32c
        self._tag: int | None = None  # ours, on every packet to us
        self._sent: int | None = None  # the last TSN that we sent
        self._remote: tuple[int, int] | None = None  # tag and first TSN of the far end, said once
        self._last = 0  # every TSN up to this one has come
        self._any = False  # has data come?
        self._early: dict[int, _Data] = {}  # TSNs beyond the first missing one
        self._open: int | None = None  # the stream whose message lacks its end
        self._open_bytes = self._open_fragments = 0
        self._seq = [0] * len(LABELS)
        self._spare = float(BUDGET)
        self._then = now
        self.held_bytes = 0  # of messages that are not whole

    # ------------------------------------------------------------ our side

    def sent(self, packet: bytes) -> None:
        """A packet of ours that leaves now."""
        kind = packet[12]
        if kind == _DATA:
            (tsn,) = unpack_from("!L", packet, 16)
            if self._sent is None or 0 < (tsn - self._sent) % _MODULO < _HALF:
                self._sent = tsn
                self._spare = min(BUDGET, self._spare + EARNED)
        elif kind in (_INIT, _INIT_ACK):
            tag, first = unpack_from("!L8xL", packet, 16)
            self._tag = tag
            if self._sent is None:
                self._sent = (first - 1) % _MODULO

    # ------------------------------------------------------------ their side

    def allows(self, packet: bytes, now: float) -> bool:
        """Whether the library may read a packet. RemoteError: no honest end sends it."""
        self._spare = min(BUDGET, self._spare + (now - self._then) * BUDGET_PER_S)
        self._then = now
        self._pay(1)
        if len(packet) > MAX_PACKET_BYTES:
            raise RemoteError(f"an SCTP packet of {len(packet)} bytes", why=f"at most {MAX_PACKET_BYTES} are allowed")
        if len(packet) < 16 or unpack_from("<L", packet, 8)[0] != self._crc32c(packet[:8] + bytes(4) + packet[12:]):
            return False
        try:
            chunks = list(_chunks(packet))
            self._pay(max(0, sum(_answers(kind, body) for kind, _, body in chunks) - 1))
            is_init = any(kind == _INIT for kind, _, _ in chunks)
            if len(chunks) > 1 and any(kind in (_INIT, _INIT_ACK) for kind, _, _ in chunks):
                raise RemoteError("an association that begins with something else in the packet")
            if unpack_from("!L", packet, 4)[0] != (0 if is_init else self._tag):
                return False
            allowed = [self._allows_chunk(*chunk) for chunk in chunks]  # each is entered in the books
            return all(allowed)
        except StructError as error:
            raise RemoteError("an SCTP chunk that is too short") from error

    def _pay(self, answers: int) -> None:
        self._spare -= answers
        if self._spare < 0:
            raise RemoteError("packets without end that bring nothing", why=f"{BUDGET} in a row are allowed")

    def _allows_chunk(self, kind: int, flags: int, body: bytes) -> bool:
        if kind == _DATA:
            self._data(flags, body)
        elif kind == _SACK:
            self._sack(body)
        elif kind in (_INIT, _INIT_ACK):
            return self._begins(kind, body)
        elif kind == _RECONFIG:
            self._reconfigures(body)
        elif kind in _WITH_PARAMETERS:
            if len(body) > MAX_CONTROL_BYTES:
                raise RemoteError(f"an SCTP chunk of kind {kind} with {len(body)} bytes")
            list(_parameters(body))
        elif kind in _FORWARD or (kind not in _BARE and kind < 128):  # those above 127 a receiver passes over
            raise RemoteError(f"an SCTP chunk of kind {kind}", why="nothing that we agreed on uses it")
        return True

    def _begins(self, kind: int, body: bytes) -> bool:
        tag, first = unpack_from("!L8xL", body)
        list(_parameters(body[16:]))
        if self._remote is None:
            self._remote = (tag, first)
            self._last = (first - 1) % _MODULO
        elif self._remote != (tag, first):
            if kind == _INIT:
                raise RemoteError("an association that begins again")
            return False  # an honest answer to a copy of our own INIT that came late
        return not self._any  # aiortc would count from the first TSN again

    def _data(self, flags: int, body: bytes) -> None:
        tsn, stream, seq, protocol = unpack_from("!LHHL", body)
        size = len(body) - 12
        if stream >= len(LABELS):
            raise RemoteError(f"data on stream {stream}", why="there are two channels")
        if flags & _UNORDERED or protocol != BINARY:
            raise RemoteError(
                f"data of protocol {protocol}", why="our channels carry bytes in order, and open no other"
            )
        if not 1 <= size <= MAX_FRAME_BYTES:
            raise RemoteError(f"a fragment of {size} bytes")
        if self._remote is None:
            raise RemoteError("data before an association")
        ahead = (tsn - self._last) % _MODULO
        if ahead == 0 or ahead >= _HALF or tsn in self._early:
            return  # again: the budget bounds how often
        if ahead > MAX_AHEAD:
            raise RemoteError("data far ahead of what is missing", why=f"{MAX_AHEAD} chunks may be under way")
        self._any = True
        self._early[tsn] = _Data(flags, stream, seq, size)
        self.held_bytes += size
        while (following := (self._last + 1) % _MODULO) in self._early:
            self._last = following
            self._spare = min(BUDGET, self._spare + EARNED)
            self._in_order(self._early.pop(following))
        if self.held_bytes > WINDOW_BYTES + SLACK_BYTES:
            raise RemoteError("more data than the receive window holds")

    def _in_order(self, data: _Data) -> None:
        """The next chunk: it begins a message if none is open, else it goes on with that one."""
        if self._open is None:
            self._open, self._open_bytes, self._open_fragments = data.stream, 0, 0
            begins = True
        else:
            begins = False
        if begins != bool(data.flags & _FIRST) or data.stream != self._open or data.seq != self._seq[data.stream]:
            raise RemoteError("fragments that make no message")
        self._open_bytes += data.size
        self._open_fragments += 1
        if self._open_bytes > MAX_FRAME_BYTES or self._open_fragments > MAX_FRAGMENTS:
            raise RemoteError(
                f"a frame of {self._open_bytes} bytes in {self._open_fragments} fragments",
                why=f"at most {MAX_FRAME_BYTES} bytes in {MAX_FRAGMENTS} are allowed",
            )
        if data.flags & _LAST:
            self.held_bytes -= self._open_bytes
            self._seq[data.stream] = (data.seq + 1) % 2**16
            self._open = None

    def _sack(self, body: bytes) -> None:
        """Acknowledged is what was sent: else each gap block of 65,536 costs the library a loop over it."""
        upto, _, gaps, duplicates = unpack_from("!LLHH", body)
        if len(body) != 12 + 4 * (gaps + duplicates) or self._sent is None:
            raise RemoteError("an acknowledgement of another length than it says")
        unacknowledged = (self._sent - upto) % _MODULO
        end = 0
        for at in range(12, 12 + 4 * gaps, 4):
            start, following = unpack_from("!HH", body, at)
            if not end < start <= following:
                raise RemoteError("acknowledged gaps out of order")
            end = following
        if unacknowledged >= _HALF or end > unacknowledged:
            raise RemoteError("an acknowledgement of what was never sent")

    def _reconfigures(self, body: bytes) -> None:
        for kind, value in _parameters(body):
            if kind == _RESET:
                unpack_from("!LLL", value)
                streams = {unpack_from("!H", value, at)[0] for at in range(12, len(value), 2)}
                if not streams <= set(range(len(LABELS))):
                    raise RemoteError("a reset of streams that nobody opened")
            elif kind == _RESPONSE:
                unpack_from("!LL", value)
            else:
                raise RemoteError("a change of streams", why="there are two channels")


def _chunks(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 12
    while at <= len(packet) - 4:
        kind, flags, length = unpack_from("!BBH", packet, at)
        if length < 4 or at + length > len(packet):
            raise RemoteError("an SCTP chunk of a false length")
        yield kind, flags, packet[at + 4 : at + length]
        at += length + -length % 4


def _answers(kind: int, body: bytes) -> int:
    """How many packets the library may send because of one chunk. All DATA of a packet are acknowledged together."""
    if kind == _DATA:
        return 0
    return max(1, sum(1 for _ in _parameters(body))) if kind == _RECONFIG else 1


def _parameters(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Each moves on by at least its own header: aiortc's reader stands still at a length of 0, for ever."""
    at = 0
    while at <= len(body) - 4:
        kind, length = unpack_from("!HH", body, at)
        if length < 4 or at + length > len(body):
            raise RemoteError("an SCTP parameter of a false length")
        yield kind, body[at + 4 : at + length]
        at += length + -length % 4
