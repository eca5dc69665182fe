"""What the user's STUN and TURN servers do for this machine: each is asked once, all of them from one socket.

One socket for all STUN servers, since that is the question: whether a router gives it one port outside, or another
for each destination. TURN servers each lend an address, which is given back at once.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aioice import stun, turn

from gossip.doctor.wide import Served
from gossip.transport.ice import IceServer

AGAIN_S: Final = 0.5  # a datagram may be lost
HEADER_BYTES: Final = 20
ANSWER_BYTES: Final = 1_500


class _Ear(asyncio.DatagramProtocol):
    """Answers to questions that were asked, and nothing else."""

    def __init__(self) -> None:
        self.waiting: dict[bytes, tuple[tuple[str, int], asyncio.Future[tuple[str, int]]]] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not HEADER_BYTES <= len(data) <= ANSWER_BYTES or data[8:HEADER_BYTES] not in self.waiting:
            return
        asked, answer = self.waiting[data[8:HEADER_BYTES]]
        with suppress(Exception):  # whatever a stranger's bytes make the parser raise
            place = stun.parse_message(data).attributes["XOR-MAPPED-ADDRESS"]
            if addr[:2] == asked and not answer.done():
                answer.set_result((str(place[0]), int(place[1])))


async def ask(servers: Sequence[IceServer], host: str, patience_s: float) -> list[Served]:
    """All of them at once, from that address of ours ("0.0.0.0": any)."""
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(_Ear, local_addr=(host, 0))
    try:
        asked = (
            _stun(transport, ear, server, patience_s) if server.kind == "stun" else _turn(server, patience_s)
            for server in servers
        )  # fmt: skip
        return list(await asyncio.gather(*asked))
    finally:
        transport.close()


async def _stun(transport: asyncio.DatagramTransport, ear: _Ear, server: IceServer, patience_s: float) -> Served:
    loop, begun = asyncio.get_running_loop(), time.perf_counter()
    question = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    answer: asyncio.Future[tuple[str, int]] = loop.create_future()
    try:
        async with asyncio.timeout(patience_s):
            at = await _address(server)
            ear.waiting[question.transaction_id] = at, answer
            while not answer.done():
                transport.sendto(bytes(question), at)
                await asyncio.wait([answer], timeout=AGAIN_S)
    except TimeoutError:
        return Served(str(server), "stun", why=f"no answer within {patience_s:g} s")
    except OSError as error:
        return Served(str(server), "stun", why=error.strerror or str(error))
    finally:
        ear.waiting.pop(question.transaction_id, None)
    return Served(str(server), "stun", answer.result(), took_ms=(time.perf_counter() - begun) * 1000)


async def _turn(server: IceServer, patience_s: float) -> Served:
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(patience_s):
            lent, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol,
                server_addr=await _address(server),
                username=server.user,
                password=server.password,
            )
    except stun.TransactionFailed as error:
        number, text = error.response.attributes.get("ERROR-CODE", (0, "refused"))
        return Served(str(server), "turn", why=f"{number} {text}"[:80], refused=True)
    except (TimeoutError, stun.TransactionTimeout):
        return Served(str(server), "turn", why=f"no answer within {patience_s:g} s")
    except (OSError, stun.TransactionError, ValueError, KeyError) as error:  # of an answer that makes no sense, too
        return Served(str(server), "turn", why=str(error)[:80] or type(error).__name__)
    place = lent.get_extra_info("sockname")
    lent.close()
    return Served(str(server), "turn", (str(place[0]), int(place[1])), took_ms=(time.perf_counter() - begun) * 1000)


async def _address(server: IceServer) -> tuple[str, int]:
    found = await asyncio.get_running_loop().getaddrinfo(
        server.host, server.port, family=socket.AF_INET, type=socket.SOCK_DGRAM
    )
    return str(found[0][4][0]), int(found[0][4][1])
