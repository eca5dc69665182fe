"""Circuit relay v2, as its client: a place reserved at a relay, and connections through it, both ways.

    us -- HOP RESERVE --> relay -- OK, until --                    others may reach us through it
    us -- HOP CONNECT peer --> relay -- STOP CONNECT us --> peer   then Noise and Yamux inside, as over TCP

Written on py-libp2p's messages, not its transport, which swallows status codes and looks for relays of its own.
A relay sees who talks with whom and how much, never what. Runs in the trio thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import trio
from libp2p.connection_types import ConnectionType
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb import circuit_pb2
from libp2p.relay.circuit_v2.utils import read_delimited_msg, write_delimited_msg
from multiaddr import Multiaddr

from gossip.wide.circuits import DENIED, HOP, OK, STOP, refusal
from gossip.wide.config import ATTEMPT_S
from ledger.errors import LinkError

__all__ = ["HOP", "STOP", "NoRelay", "RelayRefusedError", "accept", "connect", "reserve"]

SHORTEST_S: Final = 60.0  # a reservation of less than that is renewed no more often
LONGEST_S: Final = 86_400.0
_messages: Any = circuit_pb2  # made at import by protobuf
HopMessage, StopMessage, CircuitPeer = _messages.HopMessage, _messages.StopMessage, _messages.PeerId


class RelayRefusedError(LinkError):
    """The relay said no."""


class NoRelay(LinkError):
    """It does not speak circuit relay v2."""


async def reserve(host: Any, relay: Any) -> float:
    """Until when (Unix seconds) the relay keeps a place for us. LinkError, with the relay's reason."""
    answer = await _hop(host, relay, HopMessage(type=HopMessage.RESERVE))
    stream, said = answer
    await _end(stream)
    now = time.time()
    until = float(said.reservation.expire) if said.HasField("reservation") else now + SHORTEST_S
    return min(max(until, now + SHORTEST_S), now + LONGEST_S)


async def connect(host: Any, relay: Any, address: str, peer: Any) -> Any:
    """A connection to `peer` through a relay that we are connected to, at `address`. LinkError, with the reason."""
    message = HopMessage(type=HopMessage.CONNECT, peer=CircuitPeer(id=peer.to_bytes()))
    stream, _ = await _hop(host, relay, message)
    circuit = Multiaddr(f"{address}/p2p-circuit/p2p/{peer}")
    raw = RawConnection(stream, initiator=True, connection_type=ConnectionType.RELAYED, addresses=[circuit])
    try:
        return await host.upgrade_outbound_connection(raw, peer)
    except BaseException:
        await _end(stream)
        raise


async def accept(host: Any, stream: Any, would_admit: Callable[[str], bool]) -> None:
    """Somebody comes to us through a relay. Returns when that connection is over.

    Whom the relay names is only its word, but it saves a place to refuse at once who would not be admitted: what is
    proven by the handshake is checked as ever.
    """
    relay = stream.muxed_conn.peer_id
    try:
        with trio.fail_after(ATTEMPT_S):
            said = await read_delimited_msg(stream, StopMessage)
            status = 400
            if said.type == StopMessage.CONNECT:
                status = OK if would_admit(ID(said.peer.id).to_string()) else DENIED
            await write_delimited_msg(stream, StopMessage(type=StopMessage.STATUS, status=status))
            if status != OK:
                await stream.close()
                return
        circuit = Multiaddr(f"/p2p/{relay}/p2p-circuit")
        raw = RawConnection(stream, initiator=False, connection_type=ConnectionType.RELAYED, addresses=[circuit])
        muxed = await host.upgrade_inbound_connection(raw, circuit)
        await muxed.event_closed.wait()
    finally:
        await _end(stream)


async def _hop(host: Any, relay: Any, message: Any) -> tuple[Any, Any]:
    """The stream and the relay's OK."""
    stream = None
    kept = False
    try:
        with trio.fail_after(ATTEMPT_S):
            stream = await host.new_stream(relay, [HOP])
            await write_delimited_msg(stream, message)
            said = await read_delimited_msg(stream, HopMessage)
        if said.type != HopMessage.STATUS or said.status != OK:
            raise RelayRefusedError(refusal(said.status))
        kept = True
        return stream, said
    except trio.TooSlowError:
        raise LinkError("the relay does not answer") from None
    except LinkError:
        raise
    except Exception as error:
        if "not supported" in f"{error} {error.__cause__}".lower():
            raise NoRelay("it does not relay (circuit relay v2 is not spoken there)") from None
        raise LinkError("the relay broke off", why=type(error).__name__) from None
    finally:
        if stream is not None and not kept:
            await _end(stream)


async def _end(stream: Any) -> None:
    with trio.CancelScope(shield=True), trio.move_on_after(1.0):
        await stream.reset()
