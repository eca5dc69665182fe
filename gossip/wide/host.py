"""A py-libp2p host as we want one: TCP, Noise and Yamux, nothing else, and bounds that py-libp2p has not.

    TCP (counted) -> Noise -> Yamux (bounded) -> admit(PeerId, outbound)? -> streams

What is ours here, each for something found in py-libp2p 0.8.1:
- `admit` is asked before a connection is registered, so no stream of a refused one is ever read;
- an inbound connection holds its place until it is closed (there: until the host ends, so 250 visits were the last);
- what a far end may have sent and nobody read is at most BUFFERED_BYTES of a connection (there: no bound at all);
- at most STREAMS streams of one connection (there: of all together, so one neighbour could take them all);
- handshakes that come to nothing cost the network address that has most of them, and nobody else (crowds.py);
- addresses of circuits keep their relay (there: they lose it, and name the relay as us);
- Identify and multistream say nothing of this program, its version or its protocols to those who need not know
  (speaking.py);
- nobody is asked for Identify (there: everybody, and up to 1 MiB of each answer is kept for good under its PeerId);
  what is known of a peer is forgotten with its last connection;
- nobody is dialled that we did not ask for: no auto-connector, no mDNS, no UPnP, no observed addresses.
Runs in the trio thread; imports libp2p. It refuses to know who is a member.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import libp2p.stream_muxer.yamux.yamux as yamux
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.host.basic_host import BasicHost
from libp2p.host.ping import ID as PING_PROTOCOL
from libp2p.host.ping import perform_ping_roundtrip
from libp2p.identity.identify.identify import ID as IDENTIFY_PROTOCOL
from libp2p.identity.identify.identify import _mk_identify_protobuf
from libp2p.identity.identify_push.identify_push import ID_PUSH as IDENTIFY_PUSH_PROTOCOL
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as Noise
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from libp2p.utils.varint import encode_varint_prefixed
from multiaddr import Multiaddr

from gossip.wide.config import ATTEMPT_S
from gossip.wide.crowds import Crowds
from gossip.wide.speaking import Choosing, Speaking, Whether

CONNECTIONS: Final = 128
HANDSHAKES: Final = 32  # inbound, at once
STREAMS: Final = 128  # of one connection; each circuit through a relay is one
BUFFERED_BYTES: Final = 8 << 20  # of one connection, sent by the far end and not read yet
WINDOW_BYTES: Final = 1 << 20  # of one stream, to which Yamux may let the far end's window grow
PING_S: Final = 5.0

Admit = Callable[[str, bool], bool]


class Counts:
    """Bytes in TCP, of all connections: circuits are within those of their relay."""

    sent = 0
    received = 0


class _Counted:
    """A TCP stream of libp2p's that counts."""

    def __init__(self, stream: Any, counts: Counts) -> None:
        self._stream, self._counts = stream, counts

    async def read(self, n: int | None = None) -> bytes:
        data: bytes = await self._stream.read(n)
        self._counts.received += len(data)
        return data

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)
        self._counts.sent += len(data)

    async def close(self) -> None:
        await self._stream.close()

    def get_remote_address(self) -> Any:
        return self._stream.get_remote_address()


class _CountedTCP(TCP):  # type: ignore[misc]
    def __init__(self, counts: Counts) -> None:
        super().__init__(dns_resolution_timeout=ATTEMPT_S / 2, dns_max_retries=1)
        self._counts = counts

    async def dial(self, maddr: Any) -> Any:
        raw = await super().dial(maddr)
        raw.stream = _Counted(raw.stream, self._counts)
        return raw


class _NoAutoConnector(AutoConnector):  # type: ignore[misc]
    async def run_background_task(self, nursery: Any) -> None:
        pass

    async def maybe_connect(self) -> None:
        pass

    def record_disconnect(self, peer_id: Any) -> None:
        """Nothing is made of it, and each would be kept."""


class _GatedSwarm(Swarm):  # type: ignore[misc]
    def __init__(self, *args: Any, admit: Admit, counts: Counts, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_connector = _NoAutoConnector(swarm=self)
        self._admit, self._counts = admit, counts
        self._handshakes = Crowds(HANDSHAKES, HANDSHAKES)

    async def add_conn(self, muxed_conn: Any, direction: str = "unknown") -> Any:
        if not self._admit(muxed_conn.peer_id.to_string(), direction == "outbound"):
            with trio.move_on_after(1.0):
                await muxed_conn.close()
            raise SwarmException("not admitted")
        _bound(muxed_conn)
        return await super().add_conn(muxed_conn, direction)

    async def notify_opened_stream(self, stream: Any) -> None:
        conn = getattr(stream, "swarm_conn", None)
        if conn is not None and len(conn.streams) > STREAMS:
            self.manager.run_task(self._close_connection_async, conn)
            return
        if conn is not None:
            conn.muxed_conn.asked_at = trio.current_time()  # for entrance.py
        await super().notify_opened_stream(stream)

    async def notify_disconnected(self, conn: Any) -> None:
        await super().notify_disconnected(conn)
        peer = conn.muxed_conn.peer_id
        if not self.get_connections(peer):
            self._round_robin_index.pop(peer, None)
            if peer != self.get_peer_id() and self.peerstore.has_peer(peer):
                self.peerstore.clear_peerdata(peer)

    async def _handle_inbound_connection(self, read_write_closer: Any, maddr: Any) -> None:
        raw = RawConnection(_Counted(read_write_closer, self._counts), False)
        muxed = None
        try:
            with trio.CancelScope() as scope:
                address = str((raw.get_remote_address() or ("",))[0])
                place = self._handshakes.enter(address, scope.cancel, trio.current_time())
                if place is None:
                    return
                try:
                    muxed = await self.upgrade_inbound_raw_conn(raw, maddr)
                finally:
                    self._handshakes.leave(place)
            if muxed is None:
                return
            await muxed.event_closed.wait()
        except Exception:  # whatever a stranger's handshake brought about ends with it
            return
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(1.0):
                await raw.close()


def _bound(muxed: Any) -> None:
    """Close the connection rather than take more than BUFFERED_BYTES that nobody has read."""
    read = muxed._read_data_body

    async def bounded(length: int) -> bytes:
        if length + sum(map(len, muxed.stream_buffers.values())) > BUFFERED_BYTES:
            raise trio.TooSlowError  # at which Yamux closes the connection
        data: bytes = await read(length)
        return data

    muxed._read_data_body = bounded


class Host(BasicHost):  # type: ignore[misc]
    """As BasicHost, with addresses as they are, and an Identify that says little."""

    def __init__(self, network: Any, addresses: Callable[[list[str]], list[str]], speaking: Speaking):
        self._addresses, self._speaking = addresses, speaking
        super().__init__(network=network, negotiate_timeout=int(ATTEMPT_S), disable_identify_address_discovery=True)
        self.multiselect = Choosing(self.get_mux().handlers, speaking)
        self.set_stream_handler(IDENTIFY_PROTOCOL, self._identify)
        self.remove_stream_handler(IDENTIFY_PUSH_PROTOCOL)  # nothing of it is of use to us

    def get_addrs(self) -> list[Any]:
        listening = [str(each) for each in self.get_transport_addrs()]
        return [Multiaddr(f"{each}/p2p/{self.get_id()}") for each in self._addresses(listening)]

    async def _identify(self, stream: Any) -> None:
        try:
            said = _mk_identify_protobuf(self, None)
            said.agent_version = "libp2p"
            peer = stream.muxed_conn.peer_id.to_string()
            kept = [each for each in said.protocols if self._speaking.with_(peer, each)]
            del said.protocols[:]
            said.protocols.extend(kept)
            with trio.fail_after(ATTEMPT_S):
                await stream.write(encode_varint_prefixed(said.SerializeToString()))
                await stream.close()
        except Exception:  # its connection's trouble, and nobody waits
            await stream.reset()

    async def _push_identify_to_all_peers(self) -> None:
        """We change our addresses often, and nobody needs to hear of it."""

    def _schedule_identify(self, peer_id: Any, *, reason: str) -> None:
        """Nobody's protocols and addresses are of use to us but those that finding.py checks."""


def make_host(
    seed: bytes,
    admit: Admit,
    addresses: Callable[[list[str]], list[str]],
    is_member: Whether,
    is_served: Whether = lambda peer: False,
) -> tuple[Any, Counts]:
    """A host with the Ed25519 key of `seed`, and what it counts. `addresses`: what of the listened-on is told;
    `is_served`: of those that are no members, whose offers and link streams are taken.
    """
    counts = Counts()
    yamux.MAX_WINDOW_SIZE = WINDOW_BYTES  # a window of 16 MiB for each stream would be the far end's to fill
    keys = create_new_key_pair(seed)
    noise = Noise(keys, noise_privkey=create_noise_key_pair().private_key)
    me = ID.from_pubkey(keys.public_key)
    peers = PeerStore()
    peers.add_key_pair(me, keys)
    swarm = _GatedSwarm(
        me,
        peers,
        TransportUpgrader({NOISE: noise}, {yamux.PROTOCOL_ID: yamux.Yamux}),
        [_CountedTCP(counts)],
        retry_config=RetryConfig(max_retries=0),
        connection_config=ConnectionConfig(
            max_connections=CONNECTIONS,
            min_connections=0,
            low_watermark=0,
            high_watermark=CONNECTIONS,
            dial_timeout=ATTEMPT_S,
            inbound_upgrade_timeout=ATTEMPT_S,
            outbound_upgrade_timeout=ATTEMPT_S,
            outbound_stream_protocol_negotiation_timeout=ATTEMPT_S,
            inbound_stream_protocol_negotiation_timeout=ATTEMPT_S,
        ),
        admit=admit,
        counts=counts,
    )
    return Host(swarm, addresses, Speaking(is_member, is_served)), counts


async def ping(host: Any, peer: Any) -> bool:
    """Whether it answers within PING_S."""
    stream = None
    try:
        with trio.fail_after(PING_S):
            stream = await host.new_stream(peer, [PING_PROTOCOL])
            await perform_ping_roundtrip(stream)
    except Exception:  # no answer, whatever it is in place of one
        return False
    finally:
        if stream is not None:
            with trio.CancelScope(shield=True), trio.move_on_after(1.0):
                await stream.close()
    return True
