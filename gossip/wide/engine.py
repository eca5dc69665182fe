"""One life of the libp2p host, with all that runs on it: the trio side of gossip/wide/wide.py.

    make_host -> listen -> keep bootstraps and relays, answer offers, take streams and circuits, find, tell
      `-- until it is cancelled, or something raises: then all of it ends, and bridge.py begins another

What outlives it is the state, what was learned of others, and what the node wants (Wanted). Callbacks go through the
bridge. Runs in the trio thread; importing it imports libp2p.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from gossip.peer_ids import key_of, peer_id_of
from gossip.wide import offers
from gossip.wide.addresses import Near
from gossip.wide.bridge import Bridge
from gossip.wide.config import ATTEMPT_S, LINK_PROTOCOL, OFFER_PROTOCOL, Wanted, WideConfig
from gossip.wide.cutting import cut
from gossip.wide.dialling import Dialling, Learned
from gossip.wide.finding import Finding
from gossip.wide.gate import Gate
from gossip.wide.host import make_host
from gossip.wide.keeping import Keeping, is_direct
from gossip.wide.listening import listen
from gossip.wide.own_addresses import by_number, is_loopback, own_addresses, stands_at
from gossip.wide.reasons import reason
from gossip.wide.serving import Serving, reset
from gossip.wide.state import CIRCUIT, State
from gossip.wide.streams import LinkStream
from gossip.wide.telling import Telling
from ledger.errors import GossipError, LinkError

TICK_S: Final = 1.0
CUT_S: Final = 2.0


class Engine:
    """Of one Wide; `life` is run again and again."""

    def __init__(
        self, seed: bytes, config: WideConfig, state: State, wanted: Callable[[], Wanted], listener: Any
    ) -> None:
        self._seed, self._config, self._state, self._wanted, self._listener = seed, config, state, wanted, listener
        self.bridge: Bridge  # set before the first life
        self._gate = Gate(each.peer for each in state.told)
        self._loopback = config.host.startswith("127.")
        self._learned = Learned()
        self._host: Any = None
        self._nursery: Any = None
        self._cutting: set[str] = set()
        self._announced: bytes | None = None  # handed to the Telling of this life
        self._present: frozenset[str] = frozenset()  # members that are connected, and that the node has heard of
        self._serving: Serving | None = None
        self._keeping: Keeping | None = None
        self._dialling: Dialling | None = None
        self._finding: Finding | None = None
        self._telling: Telling | None = None

    async def life(self, ending: Any) -> None:
        """Until the scope `ending` is cancelled, or something breaks that should not."""
        host, counts = make_host(self._seed, self._admit, self._addresses, self._gate.is_member, self._gate.serves)
        try:
            async with host.run([]):
                try:
                    self._host = host
                    with ending:
                        self._begin(host, counts)
                        await self._serve(host)
                finally:
                    self._host = self._nursery = self._serving = self._keeping = None
                    self._dialling = self._finding = self._telling = None
                    with trio.CancelScope(shield=True), trio.move_on_after(CUT_S):
                        await host.close()
        finally:
            self._state.stopped()

    def _begin(self, host: Any, counts: Any) -> None:
        host.get_network().register_notifee(_Notifee(self._count, self._left))
        self._serving = Serving(host, self._gate, self._state, self.bridge, self._listener)
        self._state.counts, self._state.running = counts, True
        for told in self._state.told:
            told.text = "not connected yet"

    async def _listen(self, host: Any) -> None:
        where = Multiaddr(f"/ip4/{self._config.host}/tcp/{self._config.port}")
        await listen(host.get_network(), where, self._config.host, self._config.port, self._tell)
        self._changed()

    async def _serve(self, host: Any) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery, self._announced, before = nursery, None, self._state.announced
            self._present = frozenset()
            self._keeping = Keeping(host, self._state, self._tell, self._changed)
            self._learned.near = self._near()
            self._dialling = Dialling(host, self._state, self._learned, self._carries)
            self._finding = Finding(
                host, self._learned.learn, self._found, own=self._own, knows=self._is_member, near=self._learned.near
            )
            self._telling = Telling(
                host, self._heard, self._is_member, candidates=self._candidates, reach=self._dialling.reach
            )
            nursery.start_soon(self._listen, host)
            for run in (self._keeping.run, self._finding.run, self._telling.run):
                nursery.start_soon(run)
            self.apply()
            while True:
                self._cut([*self._gate.overdue(trio.current_time()), *self._strays(host)])
                self._count()
                self._state.announced = before + self._telling.announced
                await trio.sleep(TICK_S)

    def apply(self) -> None:
        """What the node wants has changed. Nothing while no life runs: it begins with this."""
        if self._nursery is None or self._finding is None or self._telling is None:
            return
        wanted = self._wanted()
        self._cut(self._gate.allow(frozenset(map(peer_id_of, wanted.members)), wanted.strangers))
        self._finding.meet(wanted.namespaces, wanted.publish)
        self._telling.join(wanted.namespaces[0] if wanted.namespaces else None)
        if wanted.announcement is not None and wanted.announcement != self._announced:
            self._announced = wanted.announcement
            self._telling.announce(wanted.announcement)
        self._count()

    # What the node asks for.

    async def exchange(self, key: bytes, offer: bytes) -> bytes:
        """The answer to an offer. Errors as in gossip/transport/road.py."""
        stream = await self._open(key, OFFER_PROTOCOL)
        try:
            return await offers.ask(stream, offer)
        except GossipError:
            raise
        except Exception as error:
            raise LinkError("the peer's answer over libp2p broke off", why=reason(error)) from None
        finally:
            await reset(stream)

    async def open(self, key: bytes, link: LinkStream) -> None:
        """Connect the far end of `link`."""
        if self._serving is not None:
            self._serving.check(key)
        stream = await self._open(key, LINK_PROTOCOL)
        if self._nursery is None or self._serving is None:
            await reset(stream)
            raise LinkError("libp2p was stopped meanwhile")
        self._nursery.start_soon(self._serving.pump, key, link, stream)

    async def _open(self, key: bytes, protocol: str) -> Any:
        host, dialling = self._host, self._dialling
        if host is None or dialling is None:
            raise LinkError("libp2p is not running", why="it is starting")
        for attempt in (1, 2):  # a connection that is there may be one whose far end is not
            peer = await dialling.reach(key)
            try:
                with trio.fail_after(ATTEMPT_S):
                    return await host.new_stream(peer, [protocol])
            except Exception as error:
                said = f"{error} {error.__cause__}".lower()
                if "not supported" in said:
                    raise LinkError("the peer does not speak our protocol over libp2p") from None
                if isinstance(error, trio.TooSlowError) or "timed out" in said:
                    await self._disconnect(peer)
                elif attempt == 2 or host.get_network().get_connections(peer):
                    raise LinkError("the peer takes no stream of ours over libp2p", why=reason(error)) from None
        raise LinkError("the peer does not answer over libp2p", next_step="it is tried again")

    # Connections.

    def _admit(self, peer: str, outbound: bool) -> bool:
        return self._gate.admits(peer, outbound, trio.current_time())

    def _strays(self, host: Any) -> list[str]:
        """Connected, and kept by nothing any more: one that was admitted just before it had to go, say."""
        return [each for peer in host.get_network().connections if not self._gate.keeps(each := peer.to_string())]

    def _cut(self, peers: list[str]) -> None:
        for peer in peers:
            if self._nursery is not None and peer not in self._cutting:
                self._nursery.start_soon(self._disconnect, ID.from_string(peer))

    async def _disconnect(self, peer: Any) -> None:
        if self._host is not None:
            self._cutting.add(str(peer))
            try:
                await cut(self._host.get_network(), peer)
            finally:
                self._cutting.discard(str(peer))

    def _carries(self, relay: str, conn: Any) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._while_carried, relay, conn)

    async def _while_carried(self, relay: str, conn: Any) -> None:
        self._gate.carries(relay)
        await conn.muxed_conn.event_closed.wait()
        self._gate.carried(relay)

    def _count(self) -> None:
        """Who is connected is there, whatever a DHT says: the node hears of each member that comes."""
        if self._host is None:
            return
        connected = [peer.to_string() for peer in self._host.get_network().connections]
        present = frozenset(peer for peer in connected if self._gate.is_member(peer))
        for peer in present - self._present:
            self.bridge.post(self._listener.found, key_of(peer))
        self._present, self._state.members = present, len(present)

    def _left(self, peer: str) -> None:
        self._count()
        if self._host is not None and not self._host.get_network().get_connections(ID.from_string(peer)):
            self._gate.left(peer)
        if self._keeping is not None:
            self._keeping.left(peer)

    def _changed(self) -> None:
        """Who of those we were told of is connected, or where we are reached."""
        if self._finding is not None:
            self._finding.servers(ID.from_string(each.peer) for each in self._state.told if each.connected)
            self._finding.moved()

    def _found(self, key: bytes) -> None:
        self._state.found += 1
        self.bridge.post(self._listener.found, key)

    def _heard(self, key: bytes, data: bytes) -> None:
        self._state.heard += 1
        self.bridge.post(self._listener.heard, key, data)

    def _candidates(self) -> list[bytes]:
        """Members that may be reached: those with addresses, and with a relay of ours all, for most know it, too. So
        who holds the ledger needs nobody's answer to find the others."""
        has_relay = any(each.connected and each.reserved for each in self._state.told)
        return [key for key in self._wanted().members if has_relay or self._learned.of(key)]

    def _is_member(self, key: bytes) -> bool:
        return key in self._wanted().members

    def _near(self) -> Near:
        """Of the addresses that mean another machine in each network, those that are dialled: of networks we are in,
        and loopback only where we are nowhere else."""
        hosts = [each for each in stands_at(self._config.host) if self._loopback or not is_loopback(each)]
        return Near.of(hosts, [each.peer for each in self._state.told])

    def _own(self) -> list[str]:
        return self._addresses([str(each) for each in self._host.get_transport_addrs()])

    def _addresses(self, listening: list[str]) -> list[str]:
        return own_addresses(listening, self._loopback) + [
            by_number(each, self._reached_at(each)) + CIRCUIT for each in self._state.reserved()
        ]

    def _reached_at(self, relay: str) -> str:
        """The IP address at which we are connected to it."""
        peer = ID.from_string(relay.rpartition("/p2p/")[2])
        for conn in self._host.get_network().get_connections(peer) if self._host is not None else ():
            if is_direct(conn) and (where := conn.muxed_conn.get_remote_address()) is not None:
                return str(where[0])
        return ""

    def _tell(self, text: str) -> None:
        self.bridge.post(self._listener.tell, text)


class _Notifee:
    """libp2p's interface of six methods, of which we need two."""

    def __init__(self, came: Callable[[], None], left: Callable[[str], None]) -> None:
        self._came, self._left = came, left

    async def connected(self, network: Any, conn: Any) -> None:
        self._came()

    async def disconnected(self, network: Any, conn: Any) -> None:
        self._left(conn.muxed_conn.peer_id.to_string())

    async def _nothing(self, *_: Any) -> None:
        pass

    opened_stream = closed_stream = listen = listen_close = _nothing
