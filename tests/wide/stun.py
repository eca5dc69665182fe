"""A STUN server that does the one thing ICE asks of it: it tells who asks from where the question came (RFC 8489).

python -m tests.wide.stun 198.18.0.4 3478        prints "stun:198.18.0.4:3478"; ends when its stdin does
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

from aioice import stun


class Responder(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            asked = stun.parse_message(data)
        except ValueError:
            return  # whatever else comes along
        if (asked.message_method, asked.message_class) != (stun.Method.BINDING, stun.Class.REQUEST):
            return
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = address
        self._transport.sendto(bytes(answer), address)


async def serve(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Responder, local_addr=(host, port))
    print(f"stun:{host}:{transport.get_extra_info('sockname')[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    transport.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
