"""A connection ends when we say so, and not when its far end lets it (trio side).

py-libp2p says goodbye in Yamux before it closes anything. Whoever reads nothing more holds that word back for as long
as it likes; and a close that was given up half way is never taken up again there: the connection stays, and goes on
being read. So a goodbye has its time, and after it the socket is closed, whatever was still to be said.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import trio

GOODBYE_S: Final = 2.0
CLOSE_S: Final = 1.0


async def cut(network: Any, peer: Any) -> None:
    """End every connection with a peer. Within GOODBYE_S + 2 * CLOSE_S, even if we are cancelled."""
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            for conn in network.get_connections(peer):
                nursery.start_soon(_end, network, conn)


async def _end(network: Any, conn: Any) -> None:
    with trio.move_on_after(GOODBYE_S), suppress(Exception):  # whatever is broken about it
        await conn.close()
    if conn.muxed_conn.is_closed and conn not in network.get_connections(conn.muxed_conn.peer_id):
        return
    with trio.move_on_after(CLOSE_S), suppress(Exception):  # it may be closed by now
        await conn.muxed_conn.secured_conn.close()
    network.remove_conn(conn)
    with trio.move_on_after(CLOSE_S), suppress(Exception):
        await conn._notify_disconnected()
