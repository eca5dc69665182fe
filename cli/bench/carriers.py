"""What carries bytes from one end to the other, each behind the same call: bare TCP, a bare library, our link over it.

    ready(bytes, back=False)     whatever is to be there before the clock starts
    carry(bytes, back=False)     from the first end to the second (back: the other way), until all has come

Both ends live in this process, on loopback, and share its event loop; no ICE server is ever asked. The bare libraries
do what a program of a page would do with them: one data channel, messages of 16 KiB, a pause while much is buffered.
"""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gossip.peer_ids import peer_id_of
from gossip.transport.channels import ChannelLink
from gossip.transport.description import read_sdp, write_sdp
from gossip.transport.link import MAX_MESSAGE_BYTES
from gossip.transport.road import Stream
from gossip.transport.streamed import StreamPeer
from gossip.transport.webrtc import make_peer
from ledger.keys import PrivateKey

HOST: Final = "127.0.0.1"
MESSAGE: Final = bytes(16_384)  # of the bare libraries
LONG: Final = bytes(MAX_MESSAGE_BYTES)  # of a link, and of TCP
HIGH_BYTES: Final = 1 << 20  # buffered, from which a bare library's sender waits
POLL_S: Final = 0.001
TURN: Final = 32  # messages after which a sender lets others run
LIBRARIES: Final = ("aiortc", *(["aiolibdatachannel"] if importlib.util.find_spec("aiolibdatachannel") else []))


class Carry(Protocol):
    def __call__(self, size: int, *, back: bool) -> Awaitable[None]: ...


def _nothing(size: int, *, back: bool) -> None:
    pass


class Ready(Protocol):
    def __call__(self, size: int, *, back: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Carrier:
    carry: Carry
    ready: Ready = _nothing


class Counter:
    """Waits until so many bytes have come."""

    def __init__(self) -> None:
        self._left = 0
        self._done = asyncio.Event()

    def expect(self, size: int) -> None:
        self._left = size
        self._done.clear()

    def came(self, data: object) -> None:
        assert isinstance(data, bytes)
        self._left -= len(data)
        if self._left <= 0:
            self._done.set()

    async def all(self) -> None:
        await self._done.wait()


def _sizes(size: int, each: int) -> list[int]:
    return [min(each, size - at) for at in range(0, size, each)]


@asynccontextmanager
async def tcp() -> AsyncIterator[Carrier]:
    """asyncio's streams, nothing else."""
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.put((reader, writer))

    server = await asyncio.start_server(accept, HOST, 0)
    ends = (await asyncio.open_connection(*server.sockets[0].getsockname()[:2]), await accepted.get())

    async def carry(size: int, *, back: bool) -> None:
        (_, writer), (reader, _) = ends[::-1] if back else ends

        async def send() -> None:
            for each in _sizes(size, len(LONG)):
                writer.write(LONG[:each])
                await writer.drain()

        async def receive() -> None:
            left = size
            while left:
                left -= len(await reader.read(min(left, len(LONG))))

        await asyncio.gather(send(), receive())

    try:
        yield Carrier(carry)
    finally:
        for _, writer in ends:
            writer.close()
        server.close()


@asynccontextmanager
async def bare_aiortc() -> AsyncIterator[Carrier]:
    """aiortc's own data channel. It would leave 127.0.0.1 out: its ICE agent is given that one address."""
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

    ends = [RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2)]
    channels = [end.createDataChannel("bare", negotiated=True, id=0) for end in ends]
    for end in ends:
        sctp: Any = end.sctp
        _on_loopback(sctp.transport.transport._connection)
    opened = [_event(channel, "open") for channel in channels]
    counters = (Counter(), Counter())
    for channel, counter in zip(channels, counters, strict=True):
        channel.on("message", counter.came)
        channel.bufferedAmountLowThreshold = HIGH_BYTES // 2

    async def carry(size: int, *, back: bool) -> None:
        sender, counter = channels[back], counters[not back]
        counter.expect(size)
        for each in _sizes(size, len(MESSAGE)):
            if sender.bufferedAmount > HIGH_BYTES:
                await _event(sender, "bufferedamountlow")
            sender.send(MESSAGE[:each])
        await counter.all()

    try:
        await ends[0].setLocalDescription(await ends[0].createOffer())
        await ends[1].setRemoteDescription(RTCSessionDescription(ends[0].localDescription.sdp, "offer"))
        await ends[1].setLocalDescription(await ends[1].createAnswer())
        await ends[0].setRemoteDescription(RTCSessionDescription(ends[1].localDescription.sdp, "answer"))
        await asyncio.gather(*opened)
        yield Carrier(carry)
    finally:
        await asyncio.gather(*(end.close() for end in ends))


def _on_loopback(ice: Any) -> None:
    gather = ice.get_component_candidates
    ice.get_component_candidates = lambda component, addresses=None, timeout=5: gather(component, [HOST], timeout)


def _event(emitter: Any, name: str) -> asyncio.Future[None]:
    """Done with the next event of that name."""
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell() -> None:
        if not told.done():
            told.set_result(None)

    emitter.once(name, tell)
    return told


@asynccontextmanager
async def bare_libdatachannel() -> AsyncIterator[Carrier]:
    """aiolibdatachannel's own data channel, on ports of its own choice, which each is told of the other."""
    from aiolibdatachannel import DataChannelOptions, PeerConnection, RTCConfiguration

    ends = [PeerConnection(RTCConfiguration(ice_servers=[])) for _ in range(2)]
    options = DataChannelOptions(negotiated=True, stream_id=0)
    channels = [await end.create_data_channel("bare", options) for end in ends]
    counters = (Counter(), Counter())

    async def listen(number: int) -> None:
        async for data in channels[number]:
            counters[number].came(data)

    async def carry(size: int, *, back: bool) -> None:
        sender, counter = channels[back], counters[not back]
        counter.expect(size)
        for number, each in enumerate(_sizes(size, len(MESSAGE))):
            while sender.buffered_amount > HIGH_BYTES:  # noqa: ASYNC110 (its event comes only where it is waited for)
                await asyncio.sleep(POLL_S)
            await sender.send(MESSAGE[:each], wait_for_drain=False)
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
        await counter.all()

    listening = [asyncio.create_task(listen(number)) for number in range(2)]
    try:
        offer = await ends[0].create_offer()
        await ends[1].set_remote_description(_at_loopback(offer.sdp, "offer"), "offer")
        answer = await ends[1].create_answer()
        await ends[0].set_remote_description(_at_loopback(answer.sdp, "answer"), "answer")
        await asyncio.gather(*(channel.wait_open() for channel in channels))
        yield Carrier(carry)
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await asyncio.gather(*(end.aclose() for end in ends))


def _at_loopback(sdp: str, kind: str) -> str:
    """It listens on every address and leaves 127.0.0.1 out of what it says."""
    ports = [int(line.split()[5]) for line in sdp.splitlines() if line.startswith("a=candidate:") and " UDP " in line]
    return write_sdp(read_sdp(sdp, [(HOST, port) for port in dict.fromkeys(ports)]), kind=kind)


@asynccontextmanager
async def links(one: str, two: str) -> AsyncIterator[tuple[ChannelLink, ChannelLink]]:
    """Two ends of a link, as if bound; `one` and `two` name the library of each."""
    peers = make_peer(one, (HOST,)), make_peer(two, (HOST,))
    await peers[0].accept(await peers[1].answer(await peers[0].offer()))
    ends = ChannelLink(peers[0], key=b"2" * 32, dialled=True), ChannelLink(peers[1], key=b"1" * 32, dialled=False)
    _bound(ends)
    await asyncio.gather(*(peer.opened() for peer in peers))
    try:
        yield ends
    finally:
        await asyncio.gather(*(end.close() for end in ends))


@asynccontextmanager
async def link(one: str, two: str) -> AsyncIterator[Carrier]:
    """Messages of 64 KiB on the bulk channel of a link."""
    async with links(one, two) as ends:
        yield Carrier(_carry(ends))


def _bound(ends: tuple[ChannelLink, ChannelLink]) -> tuple[ChannelLink, ChannelLink]:
    for end in ends:
        end.session = bytes(32)
    return ends


def _carry(ends: tuple[ChannelLink, ChannelLink]) -> Carry:
    async def carry(size: int, *, back: bool) -> None:
        sender, receiver = ends[::-1] if back else ends

        async def receive() -> None:
            left = size
            while left:
                left -= len(await receiver.receive())

        receiving = asyncio.create_task(receive())
        for each in _sizes(size, len(LONG)):
            await sender.send(LONG[:each], bulk=True)
        await receiving

    return carry


class Ends:
    """What a libp2p host of the bench says to streams: they are taken."""

    def __init__(self) -> None:
        self.streams: asyncio.Queue[Stream] = asyncio.Queue()

    async def offered(self, key: bytes, offer: bytes) -> bytes | None:
        return None

    def streamed(self, stream: Stream) -> None:
        self.streams.put_nowait(stream)

    def found(self, key: bytes) -> None: ...

    def heard(self, key: bytes, data: bytes) -> None: ...

    def tell(self, text: str) -> None: ...


@asynccontextmanager
async def stream() -> AsyncIterator[Carrier]:
    """The same over a libp2p stream between two hosts of this process, through no relay."""
    from gossip.wide.config import WideConfig
    from gossip.wide.wide import Wide

    keys, listeners = (PrivateKey.generate(), PrivateKey.generate()), (Ends(), Ends())
    with socket.create_server((HOST, 0)) as free:
        port = int(free.getsockname()[1])
    at = f"/ip4/{HOST}/tcp/{port}/p2p/{peer_id_of(keys[0].public)}"
    one = Wide(keys[0], WideConfig((), (), HOST, port), listeners[0])
    two = Wide(keys[1], WideConfig((at,), (), HOST), listeners[1])
    try:
        for host, other in ((one, keys[1]), (two, keys[0])):
            host.allow(frozenset({other.public}), strangers=False)
            await host.start()
            while host.report()["state"] == "starting":  # noqa: ASYNC110  # another thread's
                await asyncio.sleep(POLL_S)
        while not (one.report()["connected"] and two.report()["connected"]):  # noqa: ASYNC110  # as above
            await asyncio.sleep(POLL_S)
        opened = await two.open(keys[0].public)
        peers = StreamPeer(opened), StreamPeer(await listeners[0].streams.get())
        ends = ChannelLink(peers[0], key=b"2" * 32, dialled=True), ChannelLink(peers[1], key=b"1" * 32, dialled=False)
        try:
            yield Carrier(_carry(_bound(ends)))
        finally:
            await asyncio.gather(*(end.close() for end in ends))
    finally:
        await asyncio.gather(one.close(), two.close())


BARE: Final[dict[str, Callable[[], AbstractAsyncContextManager[Carrier]]]] = {
    "aiortc": bare_aiortc,
    "aiolibdatachannel": bare_libdatachannel,
}

__all__ = ["BARE", "HOST", "LIBRARIES", "Carrier", "link", "links", "stream", "tcp"]
