"""The connections to those we were told of: made, watched, made again; and the places kept for us at relays.

    dial -> connected -> ping every PING_EVERY_S, reserve at relays -> lost -> dial ...
         `-> failed: wait 1 s, doubling to 60 s, with jitter; at once 60 s for a wrong PeerId

People are told once why one cannot be reached, and again when the reason changes or after it was back for a minute.
Runs in the trio thread.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from gossip.wide import relays
from gossip.wide.config import ATTEMPT_S, PING_EVERY_S, RETRY_FIRST_S, RETRY_LAST_S
from gossip.wide.cutting import cut
from gossip.wide.host import ping
from gossip.wide.reasons import other_peer, reason, short
from gossip.wide.state import State, Told
from ledger.errors import LinkError

BACK_S: Final = 60.0  # after which a connection counts as having been back
RENEW: Final = 0.75  # of a reservation's time
RENEW_LAST_S: Final = 1_800.0  # whatever the relay's clock says
MISSED: Final = 2  # pings in a row


def is_direct(conn: Any) -> bool:
    """Whether a connection is no circuit, and lives."""
    return not conn.is_closed and not any("/p2p-circuit" in str(each) for each in conn.get_transport_addresses())


class Keeping:
    """Of one host."""

    def __init__(self, host: Any, state: State, tell: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._host, self._state, self._tell, self._changed = host, state, tell, changed
        self._relays_given = any(each.relay for each in state.told)
        self._lost: dict[str, trio.Event] = {}
        self._said: dict[tuple[str, str], str] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            for told in self._state.told:
                nursery.start_soon(self._keep, told)

    def left(self, peer: str) -> None:
        """A connection with it is gone."""
        if peer in self._lost:
            self._lost[peer].set()

    async def _keep(self, told: Told) -> None:
        peer = ID.from_string(told.peer)
        wait_s = RETRY_FIRST_S
        while True:
            text = await self._connect(told, peer)
            if not text:
                began = trio.current_time()
                told.connected, told.text = True, ""
                self._changed()
                await self._watch(told, peer)
                told.connected = told.reserved = False
                told.until, told.text = None, "the connection was lost; trying again"
                self._changed()
                if trio.current_time() - began >= BACK_S:
                    wait_s = RETRY_FIRST_S
                    for about in ("dial", "reserve"):
                        self._said.pop((told.peer, about), None)
            else:
                told.text = text
                self._say(told.peer, "dial", f"{_what(told)} {told.addresses[0]} cannot be used: {text}")
                if "answers as" in text:
                    wait_s = RETRY_LAST_S
            await trio.sleep(wait_s * random.uniform(0.75, 1.25))
            wait_s = min(wait_s * 2, RETRY_LAST_S)

    async def _connect(self, told: Told, peer: Any) -> str:
        """ "" once there is a direct connection, or else why there is none."""
        network = self._host.get_network()
        text = "it is this node itself"
        if peer == self._host.get_id():
            return text
        for address in told.addresses:
            if any(is_direct(conn) for conn in network.get_connections(peer)):
                return ""
            try:
                with trio.fail_after(ATTEMPT_S):
                    await network.dial_addr(Multiaddr(address), peer)
                return ""
            except Exception as error:
                other = other_peer(error)
                text = reason(error) if other is None else f"it answers as {short(other)}, not as {short(told.peer)}"
                text += "; check the address" if other is not None else "; trying again"
        return text

    async def _watch(self, told: Told, peer: Any) -> None:
        """While there is a direct connection."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ping, told, peer)
            if told.relay or not self._relays_given:
                nursery.start_soon(self._reserve, told, peer)
            while any(is_direct(conn) for conn in self._host.get_network().get_connections(peer)):
                self._lost[told.peer] = trio.Event()
                with trio.move_on_after(PING_EVERY_S):
                    await self._lost[told.peer].wait()
            nursery.cancel_scope.cancel()

    async def _ping(self, told: Told, peer: Any) -> None:
        missed = 0
        while True:
            await trio.sleep(PING_EVERY_S if not missed else 1.0)
            missed = 0 if await ping(self._host, peer) else missed + 1
            if missed == MISSED:
                await cut(self._host.get_network(), peer)

    async def _reserve(self, told: Told, peer: Any) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                until = await relays.reserve(self._host, peer)
            except relays.NoRelay as error:
                if not told.relay:
                    return  # a bootstrap was not asked to be one
                wait_s, told.relay_text = RETRY_LAST_S, str(error)
            except LinkError as error:
                told.relay_text = f"{error}; trying again"
            else:
                told.reserved, told.until, told.relay_text = True, until, ""
                self._said.pop((told.peer, "reserve"), None)
                self._changed()
                wait_s = RETRY_FIRST_S
                await trio.sleep(min((until - time.time()) * RENEW, RENEW_LAST_S))
                continue
            if told.until is None or told.until <= time.time():
                if told.reserved:
                    told.reserved, told.until = False, None
                    self._changed()
                self._say(
                    told.peer, "reserve", f"the relay {told.addresses[0]} keeps no place for us: {told.relay_text}"
                )
            await trio.sleep(wait_s * random.uniform(0.75, 1.25))
            wait_s = min(wait_s * 2, RETRY_LAST_S)

    def _say(self, peer: str, about: str, text: str) -> None:
        if self._said.get((peer, about)) != text:
            self._said[peer, about] = text
            self._tell(text)


def _what(told: Told) -> str:
    return "the bootstrap" if told.bootstrap else "the relay"
