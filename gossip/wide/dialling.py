"""Ways to a key: a connection that is there, its own addresses, circuits through our relays and through its own.

Each way has ATTEMPT_S, all together DIAL_S; the next is begun when one has failed or after a quarter of a second, and
the first that gets there ends the others (as happy eyeballs, RFC 8305). Addresses of others are hearsay, bounded and
dialled only if of a shape and range that we would (addresses.py). Runs in the trio thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from itertools import zip_longest
from typing import Any, Final

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from gossip.peer_ids import peer_id_of
from gossip.wide import relays
from gossip.wide.addresses import is_dialled
from gossip.wide.config import ADDRESSES_LEARNED, ATTEMPT_S, DIAL_S, KEYS_LEARNED
from gossip.wide.keeping import is_direct
from gossip.wide.reasons import reason
from gossip.wide.state import CIRCUIT, State
from ledger.errors import GossipError, LinkError

STAGGER_S: Final = 0.25
WAYS: Final = 8
DIALS: Final = 16  # keys at once

Way = Callable[[], Awaitable[Any]]


class Learned:
    """What addresses are said of keys; outlives the host. The one that was longest not heard of is forgotten."""

    def __init__(self, loopback: bool) -> None:
        self._loopback = loopback
        self._by_key: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    def learn(self, key: bytes, addresses: Iterable[str]) -> None:
        peer = peer_id_of(key)
        kept = [each for each in dict.fromkeys(addresses) if is_dialled(each, peer, self._loopback)]
        self._by_key[key] = tuple(kept[:ADDRESSES_LEARNED])
        self._by_key.move_to_end(key)
        while len(self._by_key) > KEYS_LEARNED:
            self._by_key.popitem(last=False)

    def of(self, key: bytes) -> tuple[str, ...]:
        return self._by_key.get(key, ())


class Dialling:
    """Of one host."""

    def __init__(
        self, host: Any, state: State, learned: Learned, carries: Callable[[str, Any], None] = lambda relay, conn: None
    ) -> None:
        self._host, self._state, self._learned, self._carries = host, state, learned, carries
        self._locks: dict[bytes, tuple[trio.Lock, int]] = {}
        self._limit = trio.CapacityLimiter(DIALS)

    async def reach(self, key: bytes) -> Any:
        """The PeerId of `key`, once there is a connection with its proven holder. LinkError: there is no way."""
        peer = ID.from_string(peer_id_of(key))
        if self._connected(peer):
            return peer
        lock, users = self._locks.get(key, (trio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            with trio.move_on_after(DIAL_S):
                async with lock, self._limit:
                    if not self._connected(peer):
                        await self._race(key, self._ways(key, peer))
                    return peer
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)
        raise LinkError(f"no way to {peer_id_of(key)} over libp2p", why=f"none within {DIAL_S:.0f} s")

    def _connected(self, peer: Any) -> bool:
        return any(not conn.is_closed for conn in self._host.get_network().get_connections(peer))

    def _ways(self, key: bytes, peer: Any) -> list[tuple[str, Way]]:
        direct, circuits = [], {}
        given = any(each.relay for each in self._state.told)
        for told in self._state.told:
            if told.connected and (told.relay or (not given and told.reserved)):
                circuits[told.peer] = told.addresses[0]
        for address in self._learned.of(key):
            if CIRCUIT in address:
                through = address.partition(CIRCUIT)[0]
                circuits.setdefault(through.rpartition("/p2p/")[2], through)
            else:
                direct.append(address)
        own: list[tuple[str, Way]] = [(f"at {each}", self._directly(each, peer)) for each in direct]
        round_: list[tuple[str, Way]] = [
            (f"through the relay {relay}", self._through(relay, at, peer)) for relay, at in circuits.items()
        ]
        # One of each kind in turn: addresses behind a NAT are many, and none of them answers.
        return [way for pair in zip_longest(own, round_) for way in pair if way is not None][:WAYS]

    def _directly(self, address: str, peer: Any) -> Way:
        async def dial() -> None:
            await self._host.get_network().dial_addr(Multiaddr(address), peer)

        return dial

    def _through(self, relay: str, address: str, peer: Any) -> Way:
        async def dial() -> None:
            network, at = self._host.get_network(), ID.from_string(relay)
            if not any(is_direct(conn) for conn in network.get_connections(at)):
                await network.dial_addr(Multiaddr(address), at)
            conn = await relays.connect(self._host, at, address, peer)
            self._carries(relay, conn)

        return dial

    async def _race(self, key: bytes, ways: list[tuple[str, Way]]) -> None:
        """Returns once one way has got there."""
        failures: list[str] = []
        won = False

        async def attempt(name: str, way: Way, over: trio.Event) -> None:
            nonlocal won
            try:
                with trio.fail_after(ATTEMPT_S):
                    await way()
                won = True
                nursery.cancel_scope.cancel()
            except GossipError as error:
                failures.append(f"{name}: {error}")
            except Exception as error:  # whatever libp2p makes of a place where nobody is
                failures.append(f"{name}: {reason(error)}")
            finally:
                over.set()

        async with trio.open_nursery() as nursery:
            for name, way in ways:
                over = trio.Event()
                nursery.start_soon(attempt, name, way, over)
                with trio.move_on_after(STAGGER_S):
                    await over.wait()
        if not won:
            raise LinkError(
                f"no way to {peer_id_of(key)} over libp2p",
                why=", ".join(failures)[:500] or "no address of it is known, and no relay is connected",
                next_step="it is tried again when it is heard of",
            )
