"""A relay and rendezvous node for a community: a circuit relay v2 hop and a DHT server, and nothing else.

    Entrance (places) -> py-libp2p's host -> Hop (reservations, circuits)       hop.py
                                          -> DhtServer (provider records)       dht_server.py, records.py

It runs in a trio loop of its own in the foreground until SIGTERM or SIGINT, holds one key (its own) and no swarm's
secret, keeps nothing on disk, and asks nobody anything. Who looks on at it sees which PeerIds come from which
addresses, who asks which namespaces (hashes), and who speaks with whom how much; never what is said.
"""

from __future__ import annotations

import ipaddress
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

from gossip.wide.addresses import write_address
from gossip.wide.dht_server import DhtServer
from gossip.wide.entrance import Entrance, Places
from gossip.wide.hop import Hop, Limits
from gossip.wide.host import make_host
from gossip.wide.quiet import keep_off_the_root, quieten
from gossip.wide.records import Records

MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is going on."""

    connections: int
    reservations: int
    circuits: int
    records: int
    carried_bytes: int  # of all circuits since the start
    served: int  # circuits since the start
    refused: int  # connections, reservations and circuits since the start


class RelayNode:
    """One relay. `public`: how others reach it, as multiaddresses without a PeerId, with port 0 for the one that it
    listens on; [] if they come to `host` itself.
    """

    def __init__(self, seed: bytes, host: str, port: int, public: list[str], limits: Limits, places: Places) -> None:
        self._host, self._port, self._public, self._limits = host, port, public, limits
        self._told: list[str] = []
        quieten()
        self._of_library, _ = make_host(seed, lambda peer, out: not out, lambda _: self._told, lambda _: False)
        keep_off_the_root()
        # Entrance counts connections, and says no before this does
        self._of_library.get_network().connection_config.max_connections = places.in_all + 1
        self.entrance = Entrance(self._of_library, places, lambda peer: self.hop is not None and self.hop.is_used(peer))
        self.records = Records(random.Random())
        self.hop: Hop | None = None

    async def open(self) -> None:
        """Take the port. LocalError: it is taken, or the address is not this machine's."""
        port = await self.entrance.open(self._host, self._port)
        here = [each.removesuffix("/tcp/0") for each in self._public]
        named = [each if "/tcp/" in each else f"{each}/tcp/{port}" for each in here]
        self._told = named or [_spelled(self._host, port)]

    def counts(self) -> Counts:
        """How much is going on now."""
        hop = self.hop
        if hop is None:
            return Counts(0, 0, 0, 0, 0, 0, 0)
        return Counts(
            len(self.entrance), hop.reservations, hop.open, len(self.records),
            hop.carried, hop.served, hop.refused + self.entrance.refused,
        )  # fmt: skip

    async def run(
        self,
        started: Callable[[list[str]], None],
        minute: Callable[[Counts], None],
        interval_s: float = MINUTE_S,
    ) -> None:
        """Serve until cancelled, on the port that `open` took."""
        addresses = [f"{each}/p2p/{self._of_library.get_id()}" for each in self._told]
        async with self._of_library.run(listen_addrs=[]):
            self.hop = Hop(self._of_library, self._limits, tuple(write_address(each) for each in addresses))
            DhtServer(self._of_library, self.records)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.entrance.run)
                started(addresses)
                while True:
                    await trio.sleep(interval_s)
                    self.records.expire(trio.current_time())
                    minute(self.counts())


def _spelled(host: str, port: int) -> str:
    return f"/ip{ipaddress.ip_address(host).version}/{host}/tcp/{port}"


def serve(
    node: RelayNode,
    started: Callable[[list[str]], None],
    minute: Callable[[Counts], None],
    interval_s: float = MINUTE_S,
) -> int:
    """Run a relay in this thread, the main one, until a signal asks it to end: which one."""

    async def until_signalled() -> int:
        ended_by = 0
        await node.open()
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(node.run, started, minute, interval_s)
                async for number in signals:
                    ended_by = int(number)
                    break
                nursery.cancel_scope.cancel()
        return ended_by

    ended: int = trio.run(until_signalled)
    return ended
