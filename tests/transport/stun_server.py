"""A STUN server of the tests' own, on loopback: it says what it is told to say, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from aioice import stun

Place = tuple[str, int]


class StunServer(asyncio.DatagramProtocol):
    """`says`: by whom a question came -> where that is said to be; None: no answer."""

    def __init__(self, says: Callable[[Place], Place | None]) -> None:
        self.says = says
        self.asked: list[Place] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Place) -> None:
        request = stun.parse_message(data)
        self.asked.append(addr)
        place = self.says(addr)
        if place is None or self._transport is None:
            return
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        answer.attributes["XOR-MAPPED-ADDRESS"] = place
        self._transport.sendto(bytes(answer), addr)


@asynccontextmanager
async def stun_server(says: Callable[[Place], Place | None]) -> AsyncIterator[StunServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: StunServer(says), local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
