"""How strangers' connections come in: our own listener under py-libp2p's host, with limits that hold (trio side).

    TCP accept -> places in all and of one network -> its pace -> Noise and Yamux within HANDSHAKE_S -> the host,
    until it is closed, or nothing was asked on it for IDLE_S and nothing is kept for its peer

Why not `host.run(listen_addrs=...)`: as its source has it (0.8.1), its listener keeps a task and an inbound place of
each connection until the whole host ends, so after 250 connections in its lifetime nobody gets in any more; it knows no
limit by address before the handshake; and it listens with SO_REUSEPORT, so a port that is taken looks free.

When there are too many, who is silent or of no use goes first (crowds.py): `in_use` says who is not.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from multiaddr import Multiaddr

from gossip.bucket import Buckets
from gossip.wide.crowds import Crowds, Place, network_of
from ledger.errors import LocalError

_log = logging.getLogger("gossip.wide")

HANDSHAKE_S: Final = 10.0
IDLE_S: Final = 120.0  # peers ping every 15 s
NETWORKS_REMEMBERED: Final = 4_096  # with how many handshakes each has begun lately
SILENT_S: Final = 60  # a connection on which nothing came is asked about, and thrice more every TRY_S
TRY_S: Final = 15
BACKLOG: Final = 64


@dataclass(frozen=True, slots=True)
class Places:
    """How many connections are kept."""

    in_all: int = 512
    of_address: int = 32  # many members may sit behind one NAT
    handshakes: float = 20.0  # of one network address at once; each takes some 15 ms of a core
    handshakes_per_s: float = 2.0


class Entrance:
    """Listens for a host, until it is cancelled."""

    def __init__(
        self, host: Any, places: Places = Places(), in_use: Callable[[object], bool] = lambda peer: False
    ) -> None:
        self._host = host
        self._crowds = Crowds(places.in_all, places.of_address, in_use)
        self._paces = Buckets(places.handshakes, places.handshakes_per_s, NETWORKS_REMEMBERED)
        self._listeners: Sequence[trio.SocketListener] = ()
        self.refused = 0  # or made to leave

    def __len__(self) -> int:
        return len(self._crowds)

    async def open(self, host: str, port: int) -> int:
        """Take the port; which one it is (for 0). LocalError: it is taken, or the address is not ours."""
        try:
            self._listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
        except OSError as error:
            raise LocalError(
                f"cannot listen on {host}:{port}",
                why=(error.strerror or str(error)).lower(),
                next_step="name another with --listen, or stop what holds it",
            ) from None
        bound: int = self._listeners[0].socket.getsockname()[1]
        return bound

    async def run(self) -> None:
        """Take in connections."""
        await trio.serve_listeners(self._came, self._listeners)

    async def _came(self, stream: trio.SocketStream) -> None:
        try:
            address = str(stream.socket.getpeername()[0])
        except OSError:
            return
        now = trio.current_time()
        with trio.CancelScope() as scope:

            def make_room() -> None:
                self.refused += 1
                scope.cancel()

            place = self._crowds.enter(address, make_room, now) if self._paces.take(network_of(address), now) else None
            if place is None:
                self.refused += 1
                return
            try:
                _keep_alive(stream)
                where = Multiaddr(f"/{'ip6' if ':' in address else 'ip4'}/{address}/tcp/0")
                raw = RawConnection(TrioTCPStream(stream), False)
                with trio.fail_after(HANDSHAKE_S):
                    muxed = await self._host.get_network().upgrade_inbound_raw_conn(raw, where)
                await self._stay(place, muxed)
            except Exception as error:  # of a stranger: whatever it is, it is theirs
                _log.debug("a connection from %s: %s", address, error)
            finally:
                self._crowds.leave(place)

    async def _stay(self, place: Place, muxed: Any) -> None:
        """Until it is closed, by whomever."""
        place.peer = muxed.peer_id
        try:
            while not muxed.event_closed.is_set():
                with trio.move_on_at(place.used + IDLE_S):
                    await muxed.event_closed.wait()
                now = trio.current_time()
                place.used = now if self._crowds.serves(place) else max(place.used, getattr(muxed, "asked_at", 0.0))
                if now - place.used >= IDLE_S:
                    return
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(1.0):
                await muxed.close()


def _keep_alive(stream: trio.SocketStream) -> None:
    """Notice machines that are gone without a word: their places and reservations are others'."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", SILENT_S), ("TCP_KEEPINTVL", TRY_S), ("TCP_KEEPCNT", 3)):
        option = getattr(socket, name, None)  # not on every platform
        if option is not None:
            stream.setsockopt(socket.IPPROTO_TCP, option, value)
