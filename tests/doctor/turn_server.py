"""A TURN server of the tests' own, on loopback: it asks for a password, and lends an address that there is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aioice import stun
from aioice.turn import make_integrity_key

REALM, NONCE = "tests", b"nonce"


class TurnServer(asyncio.DatagramProtocol):
    def __init__(self, user: str, password: str) -> None:
        self._key = make_integrity_key(user, REALM, password)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        asked = stun.parse_message(data)
        answer = stun.Message(asked.message_method, stun.Class.RESPONSE, asked.transaction_id)
        is_known = asked.check_message_integrity(self._key)
        if not is_known:
            answer = stun.Message(asked.message_method, stun.Class.ERROR, asked.transaction_id)
            answer.attributes["ERROR-CODE"] = (401, "wrong password")
            answer.attributes["NONCE"], answer.attributes["REALM"] = NONCE, REALM
        else:
            answer.attributes["LIFETIME"] = asked.attributes.get("LIFETIME", 0)
            answer.attributes["XOR-MAPPED-ADDRESS"] = addr
            answer.attributes["XOR-RELAYED-ADDRESS"] = ("198.51.100.7", 40_000)
            answer.add_message_integrity(self._key)
        self._transport.sendto(bytes(answer), addr)


@asynccontextmanager
async def turn_server(user: str, password: str) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: TurnServer(user, password), local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
