"""A far end that breaks the rules on an open channel loses its link, and costs us nothing else.

The liar is a raw carrier without our flow above it. Each test keeps a second, honest link and uses it afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from gossip.transport.channels import ChannelLink
from gossip.transport.rawpeer import BULK, CTL, WebRTCPeer
from ledger.errors import LinkError, RemoteError
from tests.transport.conformance import LIMIT_S
from tests.transport.joining import ANNA, BACKENDS, KINDS, joined, opened, raw_join


@dataclass
class Scene:
    liar: Any
    victim: ChannelLink
    honest: tuple[ChannelLink, ChannelLink]


class Deaf:
    def arrived(self, channel: int, frame: bytes) -> None: ...
    def broke(self, error: RemoteError) -> None: ...
    def gone(self, reason: str) -> None: ...


@pytest.fixture(params=KINDS, ids="-".join)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    async with joined(request.param) as honest:
        liar, carrier = await raw_join(request.param)
        liar.attach(Deaf())
        victim = ChannelLink(carrier, key=ANNA.public, dialled=False)
        await opened(liar, carrier)
        try:
            yield Scene(liar, victim, honest)
            await honest[0].send(b"unharmed")
            async with asyncio.timeout(LIMIT_S):
                assert await honest[1].receive() == b"unharmed"
        finally:
            await liar.close()
            await victim.close()


async def loses_its_link(scene: Scene) -> None:
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(RemoteError):
            await scene.victim.receive()
        with pytest.raises(RemoteError):
            await scene.victim.send(b"x")


@pytest.mark.parametrize("channel", [CTL, BULK])
@pytest.mark.parametrize(
    "frame", [b"\x00", b"\x01\x00\x00\x00\x00", b"\x02\x01\x00\x00\x00", b"\x01" + bytes(20_000)], ids=range(4)
)
async def test_a_malformed_frame_ends_the_link(scene: Scene, channel: int, frame: bytes) -> None:
    scene.liar.send(channel, frame)
    await loses_its_link(scene)


async def test_pieces_without_credit_end_the_link(scene: Scene) -> None:
    for _ in range(257):
        scene.liar.send(BULK, b"\x01\x01\x00\x00\x00x")
    async with asyncio.timeout(LIMIT_S):
        await scene.victim._left.wait()  # nobody reads: what is held must be bounded all the same
    await loses_its_link(scene)


class TestBelowTheFrames:
    """What only a WebRTC carrier can be sent."""

    @pytest.fixture(params=BACKENDS)
    async def carriers(self, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Any, ChannelLink, WebRTCPeer]]:
        liar, carrier = await raw_join(("aiortc", request.param))
        liar.attach(Deaf())
        victim = ChannelLink(carrier, key=ANNA.public, dialled=False)
        await opened(liar, carrier)
        yield liar, victim, carrier
        await liar.close()
        await victim.close()

    async def test_text_ends_the_link(self, carriers: tuple[Any, ChannelLink, WebRTCPeer]) -> None:
        liar, victim, _ = carriers
        liar._channels[CTL].send("text")
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(RemoteError):
                await victim.receive()

    async def test_a_message_without_end_ends_the_link(self, carriers: tuple[Any, ChannelLink, WebRTCPeer]) -> None:
        liar, victim, _ = carriers
        liar._pc.sctp._remote_max_message_size = 0  # the liar's own library would refuse
        liar._channels[BULK].send(b"\x01" + bytes(4_000_000))
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises((RemoteError, LinkError)):
                await victim.receive()

    async def test_a_third_channel_ends_the_link(self, carriers: tuple[Any, ChannelLink, WebRTCPeer]) -> None:
        liar, victim, _ = carriers
        liar._pc.createDataChannel("more")
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(RemoteError):
                await victim.receive()

    @pytest.mark.parametrize("junk", [b"\x00" * 12, b"not sctp at all", bytes(range(64))])
    async def test_bytes_that_are_not_sctp_harm_nothing(
        self, carriers: tuple[Any, ChannelLink, WebRTCPeer], junk: bytes
    ) -> None:
        liar, victim, _ = carriers
        dtls = liar._pc.sctp.transport
        await type(dtls)._send_data(dtls, junk)
        liar.send(CTL, b"\x01\x05\x00\x00\x00hello")
        async with asyncio.timeout(LIMIT_S):
            assert await victim.receive() == b"hello"

    async def test_a_datagram_from_a_stranger_harms_nothing(
        self, carriers: tuple[Any, ChannelLink, WebRTCPeer]
    ) -> None:
        liar, victim, _ = carriers
        ((host, port),) = [(c.host, c.port) for c in liar._ice.remote_candidates]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
        for datagram in (b"", b"x", bytes(1400), b"\x00\x01\x00\x00" + bytes(16)):
            transport.sendto(datagram)
        transport.close()
        liar.send(CTL, b"\x01\x05\x00\x00\x00hello")
        async with asyncio.timeout(LIMIT_S):
            assert await victim.receive() == b"hello"
