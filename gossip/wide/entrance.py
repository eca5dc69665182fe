"""How strangers' connections come in: our own listener under py-libp2p's host, with limits that hold (trio side).

    TCP accept -> places in all and of one address -> Noise and Yamux within HANDSHAKE_S -> the host, until it is closed

Why not `host.run(listen_addrs=...)`: measured with 0.8.1, its listener keeps a task and an inbound place of each
connection until the whole host ends, so after 250 connections in its lifetime nobody gets in any more; it knows no
limit by address before the handshake; and it listens with SO_REUSEPORT, so a port that is taken looks free.

Of too many the newest is refused: a connection that is in use has shown that it is good for something.
"""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from multiaddr import Multiaddr

from ledger.errors import LocalError

_log = logging.getLogger("gossip.wide")

HANDSHAKE_S: Final = 10.0
SILENT_S: Final = 60  # a connection on which nothing came is asked about, and thrice more every TRY_S
TRY_S: Final = 15
BACKLOG: Final = 64


@dataclass(frozen=True, slots=True)
class Places:
    """How many connections are kept."""

    in_all: int = 512
    of_address: int = 32  # many members may sit behind one NAT


class Entrance:
    """Listens for a host, until it is cancelled."""

    def __init__(self, host: Any, places: Places = Places()) -> None:
        self._host, self._places = host, places
        self._of: Counter[str] = Counter()
        self._listeners: Sequence[trio.SocketListener] = ()
        self.refused = 0

    def __len__(self) -> int:
        return self._of.total()

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
        if self._of.total() >= self._places.in_all or self._of[address] >= self._places.of_address:
            self.refused += 1
            return
        self._of[address] += 1
        try:
            _keep_alive(stream)
            where = Multiaddr(f"/{'ip6' if ':' in address else 'ip4'}/{address}/tcp/0")
            raw = RawConnection(TrioTCPStream(stream), False)
            with trio.fail_after(HANDSHAKE_S):
                muxed = await self._host.get_network().upgrade_inbound_raw_conn(raw, where)
            await muxed.event_closed.wait()
        except Exception as error:  # of a stranger: whatever it is, it is theirs
            _log.debug("a connection from %s: %s", address, error)
        finally:
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]


def _keep_alive(stream: trio.SocketStream) -> None:
    """Notice machines that are gone without a word: their places and reservations are others'."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", SILENT_S), ("TCP_KEEPINTVL", TRY_S), ("TCP_KEEPCNT", 3)):
        option = getattr(socket, name, None)  # not on every platform
        if option is not None:
            stream.setsockopt(socket.IPPROTO_TCP, option, value)
