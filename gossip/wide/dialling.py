"""Ways to a key: a connection that is there, its own addresses, circuits through our relays and through its own.

Each way has ATTEMPT_S, all together DIAL_S; the next is begun when one has failed or after a quarter of a second, and
the first that gets there ends the others (as happy eyeballs, RFC 8305). Addresses of others are hearsay, bounded and
dialled only if of a shape and range that we would (addresses.py); what was heard last and before have equal shares, and
the one that last led there is the first, so who lies of a peer does not take it from those who found it. A relay that
we were told of is reached where we were told, whatever others say. Runs in the trio thread.
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
from gossip.wide.addresses import NOWHERE, Near, is_dialled
from gossip.wide.config import ADDRESSES_LEARNED, ATTEMPT_S, DIAL_S, KEYS_LEARNED
from gossip.wide.hints import in_turns
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

    def __init__(self, near: Near = NOWHERE) -> None:
        self.near = near  # what of it would be dialled from here
        self._by_key: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        self._worked: dict[bytes, str] = {}

    def learn(self, key: bytes, addresses: Iterable[str]) -> None:
        """Said of it just now: these."""
        peer = peer_id_of(key)
        kept = [each for each in dict.fromkeys(addresses) if is_dialled(each, peer, self.near)]
        first = [self._worked[key]] if key in self._worked else []
        merged = dict.fromkeys((*first, *in_turns([kept, self._by_key.get(key, ())])))
        self._by_key[key] = tuple(merged)[:ADDRESSES_LEARNED]
        self._by_key.move_to_end(key)
        while len(self._by_key) > KEYS_LEARNED:
            gone, _ = self._by_key.popitem(last=False)
            self._worked.pop(gone, None)

    def worked(self, key: bytes, address: str) -> None:
        """It was reached there."""
        if address in self._by_key.get(key, ()):
            self._worked[key] = address
            self._by_key[key] = tuple(dict.fromkeys((address, *self._by_key[key])))

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
                        self._learned.worked(key, await self._race(key, self._ways(key, peer)))
                    return peer
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)
        raise LinkError(f"no way to {peer_id_of(key)} over libp2p", why=f"none within {DIAL_S:.0f} s")

    def _connected(self, peer: Any) -> bool:
        return any(not conn.is_closed for conn in self._host.get_network().get_connections(peer))

    def _ways(self, key: bytes, peer: Any) -> list[tuple[str, str, Way]]:
        """Each as people call it, the address that it was learned as, and how to go."""
        direct, circuits = [], {}
        told_of = {told.peer: told.addresses[0] for told in self._state.told}
        given = any(each.relay for each in self._state.told)
        for told in self._state.told:
            if told.connected and (told.relay or (not given and told.reserved)):
                circuits[told.peer] = ("", told.addresses[0])
        for address in self._learned.of(key):
            if CIRCUIT in address:
                through = address.partition(CIRCUIT)[0]
                relay = through.rpartition("/p2p/")[2]
                circuits[relay] = (address, circuits.get(relay, ("", told_of.get(relay, through)))[1])
            else:
                direct.append(address)
        own = [(f"at {each}", each, self._directly(each, peer)) for each in direct]
        round_ = [
            (f"through the relay {relay}", learned, self._through(relay, at, peer))
            for relay, (learned, at) in circuits.items()
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

    async def _race(self, key: bytes, ways: list[tuple[str, str, Way]]) -> str:
        """The address, once one way has got there."""
        failures: list[str] = []
        won: list[str] = []

        async def attempt(name: str, address: str, way: Way, over: trio.Event) -> None:
            try:
                with trio.fail_after(ATTEMPT_S):
                    await way()
                won.append(address)
                nursery.cancel_scope.cancel()
            except GossipError as error:
                failures.append(f"{name}: {error}")
            except Exception as error:  # whatever libp2p makes of a place where nobody is
                failures.append(f"{name}: {reason(error)}")
            finally:
                over.set()

        async with trio.open_nursery() as nursery:
            for name, address, way in ways:
                over = trio.Event()
                nursery.start_soon(attempt, name, address, way, over)
                with trio.move_on_after(STAGGER_S):
                    await over.wait()
        if not won:
            raise LinkError(
                f"no way to {peer_id_of(key)} over libp2p",
                why=", ".join(failures)[:500] or "no address of it is known, and no relay is connected",
                next_step="it is tried again when it is heard of",
            )
        return won[0]
