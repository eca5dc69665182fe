"""One life of the libp2p host, with all that runs on it: the trio side of gossip/wide/wide.py.

    make_host -> listen -> keep bootstraps and relays, answer offers, take streams and circuits, find, tell
      `-- until it is cancelled, or something raises: then all of it ends, and bridge.py begins another

What outlives it is the state, what was learned of others, and what the node wants (wanted.py). Callbacks go through
the bridge. Runs in the trio thread; importing it imports libp2p.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from gossip.peer_ids import key_of, peer_id_of
from gossip.wide import offers, relays
from gossip.wide.bridge import Bridge
from gossip.wide.config import ATTEMPT_S, LINK_PROTOCOL, OFFER_PROTOCOL, WideConfig
from gossip.wide.dialling import Dialling, Learned
from gossip.wide.finding import Finding
from gossip.wide.gate import Gate
from gossip.wide.host import make_host
from gossip.wide.keeping import Keeping
from gossip.wide.own_addresses import own_addresses
from gossip.wide.reasons import reason
from gossip.wide.state import CIRCUIT, State
from gossip.wide.streams import LinkStream
from gossip.wide.wanted import Wanted
from ledger.errors import GossipError, LinkError, LocalError

TICK_S: Final = 1.0
LINKS: Final = 4  # streams for links, of one key
ALL_LINKS: Final = 64
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
        self._learned = Learned(self._loopback)
        self._answering = offers.Answering(self._answer)
        self._links: Counter[bytes] = Counter()
        self._host: Any = None
        self._nursery: Any = None
        self._keeping: Keeping | None = None
        self._dialling: Dialling | None = None
        self._finding: Finding | None = None

    async def life(self, ending: Any) -> None:
        """Until the scope `ending` is cancelled, or something breaks that should not."""
        host, counts = make_host(self._seed, self._admit, self._addresses, self._gate.is_member)
        listening = Multiaddr(f"/ip4/{self._config.host}/tcp/{self._config.port}")
        try:
            async with host.run([listening]):
                try:
                    self._host = host
                    with ending:
                        self._begin(host, counts)
                        await self._serve(host)
                finally:
                    self._host = self._nursery = self._keeping = self._dialling = self._finding = None
                    with trio.CancelScope(shield=True), trio.move_on_after(CUT_S):
                        await host.close()
        finally:
            self._state.stopped()

    def _begin(self, host: Any, counts: Any) -> None:
        if not host.get_transport_addrs():
            self._tell(
                f"libp2p cannot listen on {self._config.host} port {self._config.port}: somebody else does; "
                "others reach this node through relays only (name another port)"
            )
        host.get_network().register_notifee(_Notifee(self._count, self._left))
        host.set_stream_handler(OFFER_PROTOCOL, self._on_offer)
        host.set_stream_handler(LINK_PROTOCOL, self._on_link)
        host.set_stream_handler(relays.STOP, self._on_circuit)
        self._state.counts, self._state.running = counts, True
        for told in self._state.told:
            told.text = "not connected yet"

    async def _serve(self, host: Any) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._keeping = Keeping(host, self._state, self._tell, self._changed)
            self._dialling = Dialling(host, self._state, self._learned, self._carries)
            self._finding = Finding(
                host, self._learned.learn, self._found, own=self._own, knows=self._is_member, loopback=self._loopback
            )
            nursery.start_soon(self._keeping.run)
            nursery.start_soon(self._finding.run)
            self.apply()
            while True:
                self._cut(self._gate.overdue(trio.current_time()))
                self._count()
                await trio.sleep(TICK_S)

    def apply(self) -> None:
        """What the node wants has changed. Nothing while no life runs: it begins with this."""
        if self._nursery is None or self._finding is None:
            return
        wanted = self._wanted()
        self._cut(self._gate.allow(frozenset(map(peer_id_of, wanted.members)), wanted.strangers))
        self._finding.meet(wanted.namespaces, wanted.publish)
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
            await _reset(stream)

    async def open(self, key: bytes, link: LinkStream) -> None:
        """Connect the far end of `link`."""
        if self._links[key] >= LINKS:
            raise LinkError("too many streams to one peer", why=f"{LINKS} are open")
        stream = await self._open(key, LINK_PROTOCOL)
        if self._nursery is None:
            await _reset(stream)
            raise LinkError("libp2p was stopped meanwhile")
        self._nursery.start_soon(self._pump, key, link, stream)

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

    # What others ask for.

    async def _on_offer(self, stream: Any) -> None:
        key = self._served(stream)
        try:
            if key is not None:
                await self._answering.handle(key, stream)
                await stream.close()
                with trio.move_on_after(1.0):  # so that the answer is read before the stream is gone
                    await stream.read(1)
        except Exception:  # its stream's trouble, which ends here
            return
        finally:
            await _reset(stream)

    async def _on_link(self, stream: Any) -> None:
        key = self._served(stream)
        if key is None or self._links[key] >= LINKS or self._links.total() >= ALL_LINKS:
            await _reset(stream)
            return
        link = LinkStream(self.bridge, key)
        self.bridge.deliver(self._hand_over, link)
        await self._pump(key, link, stream)

    def _hand_over(self, link: LinkStream) -> None:
        if not self.bridge.is_closing:
            self._listener.streamed(link)

    async def _pump(self, key: bytes, link: LinkStream, stream: Any) -> None:
        self._links[key] += 1
        try:
            await link.pump(stream, trio)
        finally:
            self._links[key] -= 1
            if not self._links[key]:
                del self._links[key]

    async def _on_circuit(self, stream: Any) -> None:
        told = {each.peer for each in self._state.told if each.reserved}
        try:
            if stream.muxed_conn.peer_id.to_string() in told:
                await relays.accept(self._host, stream)
        except Exception:  # the handshake of whoever came through the relay
            return
        finally:
            await _reset(stream)

    async def _answer(self, key: bytes, offer: bytes) -> bytes | None:
        answer: bytes | None = await self.bridge.ask(self._listener.offered, key, offer)
        return answer

    def _served(self, stream: Any) -> bytes | None:
        peer = stream.muxed_conn.peer_id.to_string()
        try:
            return key_of(peer) if self._gate.serves(peer) else None
        except LocalError:
            return None

    # Connections.

    def _admit(self, peer: str, outbound: bool) -> bool:
        return self._gate.admits(peer, outbound, trio.current_time())

    def _cut(self, peers: list[str]) -> None:
        for peer in peers:
            if self._nursery is not None:
                self._nursery.start_soon(self._disconnect, ID.from_string(peer))

    async def _disconnect(self, peer: Any) -> None:
        with trio.move_on_after(CUT_S):
            for conn in self._host.get_network().get_connections(peer) if self._host is not None else ():
                await conn.close()

    def _carries(self, relay: str, conn: Any) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._while_carried, relay, conn)

    async def _while_carried(self, relay: str, conn: Any) -> None:
        self._gate.carries(relay)
        await conn.muxed_conn.event_closed.wait()
        self._gate.carried(relay)

    def _count(self) -> None:
        if self._host is not None:
            connected = self._host.get_network().connections
            self._state.members = sum(self._gate.is_member(peer.to_string()) for peer in connected)

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

    def _is_member(self, key: bytes) -> bool:
        return key in self._wanted().members

    def _own(self) -> list[str]:
        return self._addresses([str(each) for each in self._host.get_transport_addrs()])

    def _addresses(self, listening: list[str]) -> list[str]:
        return own_addresses(listening, self._loopback) + [each + CIRCUIT for each in self._state.reserved()]

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


async def _reset(stream: Any) -> None:
    with trio.CancelScope(shield=True), trio.move_on_after(1.0):
        await stream.reset()
