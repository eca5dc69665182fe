"""WebRTC by aiortc: pure Python, installs everywhere, the slower of the two.

What it needs from us (aiortc 1.14 to 1.16, aioice 0.10 to 0.13; each was measured):

- An empty list of ICE servers: by default it asks a public STUN server. Those of the user we ask (aiortc_servers.py).
- The addresses to offer: by itself it takes every interface and leaves 127.0.0.1 out. `_limit` gives the
  gatherer ours, per connection, so the sockets themselves are bound to these addresses.
- A police: it enforces neither message size nor its receive window, and more (police.py). `_guard` shows every
  packet to the police first, and turns an assertion that a packet trips all the same into RemoteError.
- A limit to its own sender, which does not look at the far end's window either, and to its acknowledgements.
- Less patience with a lost packet, less in flight than it likes, fewer acknowledgements (aiortc_pace.py).
- Silence after the end: timers and flush tasks that find the transport closed raise in tasks nobody awaits.

`_limit`, `_guard` and aiortc_pace.py replace methods on this one connection's objects, never on the library's classes.
They touch names without a promise, so the constructor fails loudly on a release that has moved them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcsctptransport import SackChunk
from google_crc32c import value as crc32c
from OpenSSL import SSL

from gossip.transport.aiortc_pace import acknowledge_less, hurry
from gossip.transport.aiortc_servers import ask_servers
from gossip.transport.description import Description, read_sdp, write_sdp
from gossip.transport.ice import IceServer, offered
from gossip.transport.police import MAX_PACKET_BYTES, WINDOW_BYTES, Police
from gossip.transport.rawpeer import LABELS, Ears
from ledger.errors import LinkError, LocalError, RemoteError

# Datagrams waiting to be read. Anybody who guesses the port can send some; UDP may be dropped.
MAX_DATAGRAMS = 2048
# Of an acknowledgement: aiortc sends 1,500 bytes of a longer one, and the rest in front of the next, for ever behind.
MAX_GAPS, MAX_DUPLICATES = 200, 50
MAX_DATAGRAM_BYTES = 2048  # aiortc reads 1,500 bytes of a record, and a record adds less than 50


class AiortcPeer:
    """One aiortc connection, offering host candidates on `addresses` only, and what `servers` add to them."""

    backend = "aiortc"

    def __init__(self, addresses: tuple[str, ...], servers: tuple[IceServer, ...] = ()) -> None:
        self._ears: Ears | None = None
        self._closing: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channels = [
            self._pc.createDataChannel(label, negotiated=True, id=number) for number, label in enumerate(LABELS)
        ]
        try:
            sctp: Any = self._pc.sctp
            self._ice = sctp.transport.transport._connection
            _limit(self._ice, addresses, servers)
            _guard(sctp, self._broke)
            hurry(sctp)
            acknowledge_less(sctp)
        except AttributeError as error:
            raise LocalError(
                "this release of aiortc is not known to us", why=str(error), next_step="install aiortc 1.16"
            ) from error
        for number, channel in enumerate(self._channels):
            channel.on("open", self._channel_open)
            channel.on("close", self._channel_closed)
            channel.on("message", lambda data, number=number: self._message(number, data))
        self._pc.on("connectionstatechange", self._state)

    def attach(self, ears: Ears) -> None:
        self._ears = ears

    async def offer(self) -> Description:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return self._local()

    async def answer(self, remote: Description) -> Description:
        await self._pc.setRemoteDescription(RTCSessionDescription(write_sdp(remote, kind="offer"), "offer"))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return self._local()

    async def accept(self, remote: Description) -> None:
        await self._pc.setRemoteDescription(RTCSessionDescription(write_sdp(remote, kind="answer"), "answer"))

    async def opened(self) -> None:
        await asyncio.shield(self._opened)

    def send(self, channel: int, frame: bytes) -> None:
        if self._channels[channel].readyState != "open":
            raise LinkError("the data channel is closed")
        self._channels[channel].send(frame)

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    # ------------------------------------------------------------ private

    async def _close(self) -> None:
        # Deliberate: a cancelled close would leak sockets, so it runs as a task of its own.
        self._gone("closed here")
        await self._pc.close()

    def _local(self) -> Description:
        found = self._ice.local_candidates
        kinds = [[(c.host, c.port) for c in found if c.type == kind] for kind in ("host", "srflx", "relay")]
        if not kinds[0]:
            raise LinkError("no UDP port could be opened on the interface", next_step="check --interface")
        return read_sdp(self._pc.localDescription.sdp, offered(*kinds))

    def _message(self, channel: int, data: object) -> None:
        if not isinstance(data, bytes):
            self._broke(RemoteError("text on a channel of bytes"))
        elif self._ears is not None:
            self._ears.arrived(channel, data)

    def _channel_open(self) -> None:
        if all(channel.readyState == "open" for channel in self._channels) and not self._opened.done():
            self._opened.set_result(None)

    def _channel_closed(self) -> None:
        self._gone("the data channel was closed")

    def _state(self) -> None:
        if self._pc.connectionState in ("failed", "closed"):
            self._gone(f"the connection {self._pc.connectionState}")

    def _broke(self, error: RemoteError) -> None:
        self._fail_opening(error.what)
        if self._ears is not None:
            self._ears.broke(error)

    def _gone(self, reason: str) -> None:
        self._fail_opening(reason)
        if self._ears is not None:
            self._ears.gone(reason)

    def _fail_opening(self, reason: str) -> None:
        if not self._opened.done():
            self._opened.set_exception(LinkError("no connection came about", why=reason))
            self._opened.exception()  # nobody need be waiting


def _limit(ice: Any, addresses: tuple[str, ...], servers: tuple[IceServer, ...]) -> None:
    """Sockets on our addresses only, servers of the user's only; dropped are floods, giants and empty datagrams (which
    end its receive task)."""
    gather, receive, queue = ice.get_component_candidates, ice.data_received, ice._queue

    async def gather_ours(component: int, **_: Any) -> Any:
        hosts = await gather(component=component, addresses=list(addresses))
        return [*hosts, *(await ask_servers(ice, hosts, servers) if servers else ())]

    def receive_some(data: bytes, component: int) -> None:
        if 0 < len(data) <= MAX_DATAGRAM_BYTES and queue.qsize() < MAX_DATAGRAMS:
            receive(data, component)

    ice.get_component_candidates = gather_ours
    ice.data_received = receive_some


def _guard(sctp: Any, broke: Callable[[RemoteError], None]) -> None:
    """Let the police see every packet both ways, and keep a far end's bytes from ending anything but this link."""
    dtls, clock = sctp.transport, asyncio.get_running_loop().time
    handle, send, send_chunk = sctp._handle_data, dtls._send_data, sctp._send_chunk
    police = Police(crc32c, clock())
    over = False
    if not sctp._local_partial_reliability or sctp._cwnd > WINDOW_BYTES:
        raise AttributeError("no partial reliability to switch off")
    sctp._local_partial_reliability = False  # we give no message up, and do not offer to hear that others do

    async def handle_guarded(data: bytes) -> None:
        nonlocal over
        while data and not over:
            try:
                if police.allows(data, clock()):
                    await handle(data)
                    sctp._cwnd = min(sctp._cwnd, WINDOW_BYTES)
            except ConnectionError:
                raise
            except RemoteError as error:
                over = True
                broke(error)
            except Exception as error:  # any other: an assertion or a parser of aiortc's, tripped by these bytes
                over = True
                broke(RemoteError("bytes that SCTP does not allow", why=type(error).__name__))
            data = _more(dtls)

    async def send_chunk_short(chunk: Any) -> None:
        if isinstance(chunk, SackChunk):  # what does not fit will be told later; the earliest gaps matter
            chunk.gaps, chunk.duplicates = chunk.gaps[:MAX_GAPS], chunk.duplicates[:MAX_DUPLICATES]
        await send_chunk(chunk)

    async def send_quietly(data: bytes) -> None:
        if dtls.state == "connected":  # else a timer or a flush after the end; there is nobody to tell
            police.sent(data)
            await send(data)

    sctp._handle_data = handle_guarded
    sctp._send_chunk = send_chunk_short
    dtls._send_data = send_quietly


def _more(dtls: Any) -> bytes:
    """The next record: aiortc reads one of each datagram, and would keep the others of a hostile one for ever, or be a
    packet behind for ever once data overtook the end of a handshake, which OpenSSL keeps until then. (To look only
    after datagrams of several records saved nothing that could be measured.)"""
    try:
        return bytes(dtls._ssl.recv(MAX_PACKET_BYTES))
    except SSL.Error:
        return b""
