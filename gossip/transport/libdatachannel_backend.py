"""WebRTC by aiolibdatachannel (libdatachannel in C++): a fifth of the CPU, CPython 3.12 and later.

How it is kept to the addresses we name, loopback included: the binding passes no bind address on and the
library leaves 127.0.0.1 out when it gathers. But it needs no candidate of its own to answer a check, only
a known port. So we choose the port (a range of one), ignore what it gathered, and offer our
addresses with that port ourselves. Measured: open in 10 ms on a machine with nothing but `lo`. The socket
is still bound to every address (unlike aiortc's); nobody is told of the others, and checks without
the ICE password, which only the offer's receiver knows, are dropped unread.

STUN and TURN servers of the user's it asks itself, of several STUN servers a random one. It would wait for a dead one
as long as it likes, so then its candidates are taken as they come, for SERVERS_S; they say of that same port how the
servers see it.

Its receive queue holds 1,024 messages and silently drops the oldest beyond: flow.py's credits keep it below.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from aiolibdatachannel import (
    ConnectionClosedError,
    DataChannel,
    DataChannelEvent,
    DataChannelOptions,
    LocalDescription,
    PeerConnection,
    RTCConfiguration,
    RTCError,
    RTCState,
    SdpType,
    StateChangeEvent,
)
from aiolibdatachannel import IceServer as Server

from gossip.transport.description import Description, read_sdp, write_sdp
from gossip.transport.ice import SERVERS_S, IceServer, Place, offered, said_by_servers
from gossip.transport.rawpeer import LABELS, Ears
from gossip.wire.frames import MAX_MESSAGE_BYTES
from ledger.errors import LinkError, RemoteError

PORT_TRIES = 5  # another program may take the port between our look and the library's bind
GATHER_S = 2.0


class LibdatachannelPeer:
    """One libdatachannel connection, offering host candidates on `addresses` only, and what `servers` add to them."""

    backend = "aiolibdatachannel"

    def __init__(self, addresses: tuple[str, ...], servers: tuple[IceServer, ...] = ()) -> None:
        self._addresses = addresses
        self._servers = servers
        self._ears: Ears | None = None
        self._pc: PeerConnection | None = None
        self._channels: list[DataChannel] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: asyncio.Task[None] | None = None

    def attach(self, ears: Ears) -> None:
        self._ears = ears

    async def offer(self) -> Description:
        return await self._start(None)

    async def answer(self, remote: Description) -> Description:
        return await self._start(remote)

    async def accept(self, remote: Description) -> None:
        try:
            await self._require().set_remote_description(write_sdp(remote, kind="answer"), "answer")
        except RTCError as error:
            raise LinkError("the answer was not accepted", why=str(error)) from error

    async def opened(self) -> None:
        try:
            await asyncio.gather(*(channel.wait_open() for channel in self._channels))
        except (RTCError, ConnectionClosedError) as error:
            raise LinkError("no connection came about", why=str(error)) from error

    def send(self, channel: int, frame: bytes) -> None:
        # Without wait_for_drain the coroutine never waits (credits bound the buffer), so one step runs it whole.
        step = self._channels[channel].send(frame, wait_for_drain=False)
        try:
            step.send(None)
        except StopIteration:
            return
        except (RTCError, ConnectionClosedError) as error:
            raise LinkError("the data channel is closed", why=str(error)) from error
        step.close()
        raise LinkError("the data channel does not take frames")

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    # ------------------------------------------------------------ private

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pc is not None:
            await self._pc.aclose()

    def _require(self) -> PeerConnection:
        if self._pc is None or self._closing is not None:
            raise LinkError("the connection is closed")
        return self._pc

    async def _start(self, remote: Description | None) -> Description:
        problem = ""
        for _ in range(PORT_TRIES):
            try:
                return await self._try_port(_free_port(), remote)
            except (RTCError, TimeoutError) as error:
                problem = str(error)
                if self._pc is not None:
                    await self._pc.aclose()
        raise LinkError("no UDP port could be opened", why=problem, next_step="try again")

    async def _try_port(self, port: int, remote: Description | None) -> Description:
        pc = self._pc = PeerConnection(
            RTCConfiguration(
                ice_servers=[_as_library(server) for server in self._servers],
                port_range_begin=port, port_range_end=port, max_message_size=MAX_MESSAGE_BYTES,
            )
        )  # fmt: skip
        self._channels = [
            await pc.create_data_channel(label, DataChannelOptions(negotiated=True, stream_id=number))
            for number, label in enumerate(LABELS)
        ]
        if remote is not None:
            await pc.set_remote_description(write_sdp(remote, kind="offer"), "offer")
        local, reflexive, relayed = await self._gather(pc, "offer" if remote is None else "answer")
        self._tasks = [asyncio.create_task(self._pump(n, channel)) for n, channel in enumerate(self._channels)]
        self._tasks.append(asyncio.create_task(self._watch(pc)))
        return read_sdp(local.sdp, offered([(address, port) for address in self._addresses], reflexive, relayed))

    async def _gather(self, pc: PeerConnection, kind: SdpType) -> tuple[LocalDescription, list[Place], list[Place]]:
        """Our side of it, and what servers added to our addresses."""
        if not self._servers:
            gathering = pc.create_offer() if kind == "offer" else pc.create_answer()
            return await asyncio.wait_for(gathering, GATHER_S), [], []
        local = await asyncio.wait_for(pc.set_local_description(kind), GATHER_S)
        lines: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SERVERS_S):
                async for candidate in pc.ice_candidates():
                    lines.append(candidate.candidate)  # noqa: PERF401 (what came before the time is over is kept)
        return local, *said_by_servers(lines)

    async def _pump(self, number: int, channel: DataChannel) -> None:
        async for data in channel:
            if self._ears is None:
                continue
            if isinstance(data, bytes):
                self._ears.arrived(number, data)
            else:
                self._ears.broke(RemoteError("text on a channel of bytes"))
        if self._ears is not None:
            self._ears.gone("the data channel was closed")

    async def _watch(self, pc: PeerConnection) -> None:
        async for event in pc.events():
            match event:
                case DataChannelEvent():
                    if self._ears is not None:
                        self._ears.broke(RemoteError("a third data channel", why="there are two"))
                case StateChangeEvent(state=RTCState.FAILED | RTCState.DISCONNECTED | RTCState.CLOSED):
                    # A channel that never opened learns of it from nobody else.
                    for channel in self._channels:
                        channel.close()
                    if self._ears is not None:
                        self._ears.gone(f"the connection {event.state.name.lower()}")


def _as_library(server: IceServer) -> Server:
    url = f"{server.kind}:{server.host}:{server.port}"
    return Server(url=url, username=server.user, credential=server.password) if server.user else Server(url=url)


def _free_port() -> int:
    """A UDP port that is free on every address now; the library binds the same wildcard."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))  # noqa: S104 (asked for and released at once, nothing is served on it)
        return int(probe.getsockname()[1])
