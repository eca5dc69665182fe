"""A circuit relay v2 hop whose limits hold (libp2p specs, relay/circuit-v2): what strangers may have carried.

    target  -- RESERVE --------> hop                     a place, as long as the target stays connected
    source  -- CONNECT target -> hop -- CONNECT --> target
    source  <= bytes ==========  hop ============> target    until an end closes, or time or bytes are over, or one
                                                             of them said nothing at all for FIRST_S

Why not py-libp2p's CircuitV2Protocol: that of 0.8.1 closes all circuits of a peer when one of them ends, looks at the
time only when bytes come, counts circuits of targets only and when they stand already, keeps the reservation of a peer
that is gone until it runs out, and knows no limits by network address. Statuses are the specification's.

A target's places are for many: one source, and one network address, has a share of them at most.

The bytes between source and target are sealed between them (Noise inside the circuit): who speaks with whom is all
there is to see here. It refuses to know swarms.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import trio
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.resources import RelayLimits, Reservation
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited

from gossip.wide.circuits import FAILED, HOP, MALFORMED, NO_RESERVATION, OK, STOP, TOO_MUCH
from gossip.wide.dht_server import address_of
from gossip.wide.protobuf import Value, field, read_fields
from ledger.errors import RemoteError

_log = logging.getLogger("gossip.wide")

RESERVE, CONNECT, STATUS = 0, 1, 2
STOP_CONNECT, STOP_STATUS = 0, 1
MAX_MESSAGE: Final = 4 * 1024  # a voucher and eight addresses have 600 bytes
CONTROL_S: Final = 15.0  # to say what is wanted, and the target's answer
MESSAGES: Final = 4  # on one control stream
PIECE_BYTES: Final = 16 * 1024
CONTROLS_OF_PEER: Final = 8  # streams on which something is asked, at once
FIRST_S: Final = 5.0  # for the first bytes of a circuit, of each end: the handshake's begin
TTL_S: Final = 3_600  # of a reservation; peers renew it before


@dataclass(frozen=True, slots=True)
class Limits:
    """What one relay carries. Each is told to the peers that it concerns, and enforced."""

    reservations: int = 128
    of_address: int = 32  # reservations from one network address: many members may sit behind one NAT
    circuits: int = 48  # of one peer, both ends counted: a swarm of 20 comes in at one member, all of one home
    of_source: int = 4  # of those, with one and the same peer
    of_network: int = 24  # of those, with peers of one network address
    seconds: int = 7_200  # of one circuit
    each_way: int = 1_000_000_000  # bytes of one circuit in one direction
    ttl_s: int = TTL_S


@dataclass(slots=True)
class _Held:
    until: float
    address: str


class Hop:
    """Serves on a host, as long as it stays. `public`: addresses under which others reach this relay, as bytes."""

    def __init__(self, host: Any, limits: Limits, public: tuple[bytes, ...]) -> None:
        self._host, self.limits, self._public = host, limits, public
        self._held: dict[Any, _Held] = {}
        self._circuits: Counter[Any] = Counter()
        self._shares: Counter[tuple[Any, Any]] = Counter()  # circuits of a target, by source and by its network
        self._asking: Counter[Any] = Counter()
        self.open = 0  # circuits now
        self.carried = 0  # bytes, of all circuits
        self.served = self.refused = 0  # circuits that stood; requests of both kinds that were turned down
        host.set_stream_handler(HOP, self._came)

    @property
    def reservations(self) -> int:
        """How many hold a place now."""
        self._forget()
        return len(self._held)

    def is_used(self, peer: Any) -> bool:
        """Whether it holds a place, or a circuit."""
        held = self._held.get(peer)
        return self._circuits[peer] > 0 or (held is not None and held.until > trio.current_time())

    def _forget(self) -> None:
        now = trio.current_time()
        for peer in [peer for peer, held in self._held.items() if held.until <= now or not self._is_here(peer)]:
            del self._held[peer]

    def _is_here(self, peer: Any) -> bool:
        return bool(self._host.get_network().get_connections(peer))

    async def _came(self, stream: Any) -> None:
        peer = stream.muxed_conn.peer_id
        if self._asking[peer] >= CONTROLS_OF_PEER:
            await stream.reset()
            return
        self._asking[peer] += 1
        target: tuple[Any, Any] | None = None
        source = peer, address_of(stream)
        try:
            for _ in range(MESSAGES):
                with trio.fail_after(CONTROL_S):
                    kind, named = _read(await read_varint_prefixed_bytes_limited(stream, MAX_MESSAGE))
                    if kind == CONNECT:
                        status = self._may_connect(source, ID(named))
                        target = None if status != OK else await self._stop(source, ID(named))
                        if target is None:
                            self.refused += 1
                            await _send(stream, _status(FAILED if status == OK else status))
                            await stream.close()
                            return
                        break
                    await self._reserve(stream, peer)
            else:
                raise RemoteError("too much is asked on one stream")
        except Exception as error:  # of a stranger: whatever it is, it is theirs
            _log.debug("a request to the relay: %s", error)
            await _let_go(stream, error)
            return
        finally:
            self._asking[peer] -= 1
            if not self._asking[peer]:
                del self._asking[peer]
        if target is not None:
            await self._circuit(stream, source, *target)

    # ------------------------------------------------------------------ reservations

    async def _reserve(self, stream: Any, peer: Any) -> None:
        self._forget()
        address = address_of(stream)
        of_address = sum(held.address == address for held in self._held.values())
        if peer not in self._held and (
            len(self._held) >= self.limits.reservations or of_address >= self.limits.of_address
        ):
            self.refused += 1
            await _send(stream, _status(TOO_MUCH))
            return
        self._held[peer] = _Held(trio.current_time() + self.limits.ttl_s, address)
        limits = RelayLimits(self.limits.seconds, self.limits.each_way, self.limits.circuits, 0, self.limits.ttl_s)
        voucher = Reservation(peer, limits, self._host).voucher  # go-libp2p reads one, and signing is the library's
        given = field(1, int(time.time()) + self.limits.ttl_s) + b"".join(field(2, raw) for raw in self._public)
        await _send(stream, _status(OK) + field(3, given + (field(3, voucher) if voucher else b"")) + self._limit(4))

    def _limit(self, number: int) -> bytes:
        return field(number, field(1, self.limits.seconds) + field(2, self.limits.each_way))

    # ------------------------------------------------------------------ circuits

    def _may_connect(self, source: tuple[Any, str], target: Any) -> int:
        self._forget()
        peer, network = source
        if target not in self._held or peer == target:
            return NO_RESERVATION
        if max(self._circuits[peer], self._circuits[target]) >= self.limits.circuits:
            return TOO_MUCH
        if self._shares[peer, target] >= self.limits.of_source:
            return TOO_MUCH
        if self._shares[network, target] >= self.limits.of_network:
            return TOO_MUCH
        return OK

    async def _stop(self, source: tuple[Any, str], target: Any) -> tuple[Any, Any] | None:
        """The target's end of a circuit, with its place taken; None: it does not want it."""
        self._count(source, target, 1)
        stream = None
        try:
            stream = await self._host.new_stream(target, [STOP])
            await _send(stream, field(1, STOP_CONNECT) + field(2, field(1, source[0].to_bytes())) + self._limit(3))
            fields = dict(read_fields(await read_varint_prefixed_bytes_limited(stream, MAX_MESSAGE)))
            if fields.get(1) != STOP_STATUS or fields.get(4) != OK:
                raise RemoteError("the target does not want the circuit")
        except BaseException as error:
            self._count(source, target, -1)
            if stream is not None:  # at once: what is ended one way only stays among the target's streams
                with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                    await stream.reset()
            if not isinstance(error, Exception):
                raise
            _log.debug("a circuit's target: %s", error)
            return None
        return stream, target

    def _count(self, source: tuple[Any, str], target: Any, change: int) -> None:
        counts: tuple[tuple[Counter[Any], Any], ...] = (
            (self._circuits, source[0]),
            (self._circuits, target),
            (self._shares, (source[0], target)),
            (self._shares, (source[1], target)),
        )
        for counted, name in counts:
            counted[name] += change
            if not counted[name]:
                del counted[name]

    async def _circuit(self, source: Any, who: tuple[Any, str], target: Any, target_peer: Any) -> None:
        self.open += 1
        self.served += 1
        over: list[str] = []
        try:
            with trio.move_on_after(self.limits.seconds) as scope:
                await _send(source, _status(OK) + self._limit(4))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, source, target, over, nursery.cancel_scope)
                    nursery.start_soon(self._carry, target, source, over, nursery.cancel_scope)
            if scope.cancelled_caught:
                over.append("time")
        except Exception as error:
            _log.debug("a circuit: %s", error)
            over.append("error")
        finally:
            self.open -= 1
            self._count(who, target_peer, -1)
            for stream in (source, target):
                with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                    try:
                        await (stream.reset() if over else stream.close())
                    except Exception as error:  # it is gone already
                        _log.debug("a circuit's end: %s", error)

    async def _carry(self, source: Any, target: Any, over: list[str], both: trio.CancelScope) -> None:
        """One direction: until its end, or its limit, which ends the other, too."""
        left = self.limits.each_way
        try:
            with trio.fail_after(FIRST_S):
                data = await source.read(PIECE_BYTES)
            while data:
                if len(data) > left:
                    over.append("bytes")
                    both.cancel()
                    return
                left -= len(data)
                self.carried += len(data)
                await target.write(data)
                data = await source.read(PIECE_BYTES)
            await target.close_write()
        except Exception as error:  # an end is gone
            _log.debug("a circuit's direction: %s", error)
            over.append("gone")
            both.cancel()


def _read(data: bytes) -> tuple[int, bytes]:
    """What is asked, and whom it names. RemoteError: neither of the two that may be asked."""
    kind: Value = -1
    named = b""
    for number, value in read_fields(data):
        if number == 1:
            kind = value
        elif number == 2 and isinstance(value, bytes):
            ids = [each for each_number, each in read_fields(value) if each_number == 1 and isinstance(each, bytes)]
            named = ids[-1] if ids else b""
    if kind == RESERVE:
        return RESERVE, b""
    if kind == CONNECT and 2 <= len(named) <= 64:
        return CONNECT, named
    raise RemoteError("a request that is neither for a place nor for a circuit")


def _status(code: int) -> bytes:
    return field(1, STATUS) + field(5, code)


async def _send(stream: Any, message: bytes) -> None:
    await stream.write(encode_varint_prefixed(message))


async def _let_go(stream: Any, error: BaseException) -> None:
    """End a control stream: whoever sent nonsense is told so, everybody else just loses it."""
    with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
        try:
            if isinstance(error, RemoteError):
                await _send(stream, _status(MALFORMED))
                await stream.close()
            else:
                await stream.reset()
        except Exception as again:
            _log.debug("a control stream's end: %s", again)
