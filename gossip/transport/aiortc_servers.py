"""Asking the user's STUN and TURN servers, for aiortc, and the candidates that come of it.

aioice by itself knows one server of each kind and waits five seconds for them (measured with 0.13: 5.0 s of every dial
where one is dead). So it is not told of them: the sockets it opened are used here, for all servers at once, for
SERVERS_S.

A relayed port is given back to its server at the end; with a dead one aioice tries that for half a minute, of which
nobody waits for more than SERVERS_S.

It touches names of aioice without a promise: `Connection._protocols`, `stun`, `turn.create_turn_endpoint`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

from aioice import stun, turn
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import StunProtocol

from gossip.transport.ice import SERVERS_S, IceServer, Place


async def ask_servers(ice: Any, hosts: Sequence[Any], servers: Sequence[IceServer]) -> list[Any]:
    """Candidates that the servers make possible; `hosts` are those of our own addresses. None answers: none."""
    by_place = {(one.local_candidate.host, one.local_candidate.port): one for one in ice._protocols}
    sockets = [by_place[host.host, host.port] for host in hosts]
    asked = [_reflexive(one, server) for server in servers if server.kind == "stun" for one in sockets]
    asked += [_relayed(ice, server) for server in servers if server.kind == "turn"]
    if not asked:
        return []
    tasks = [asyncio.create_task(one) for one in asked]
    try:
        done, _ = await asyncio.wait(tasks, timeout=SERVERS_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # Whatever went wrong with a server (a refusal, a wrong password, nonsense), its candidates are missing, no more.
    return [task.result() for task in tasks if task in done and task.exception() is None]


async def _reflexive(protocol: Any, server: IceServer) -> Any:
    """Where the packets of this socket come from, as the server sees it."""
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    response, _ = await protocol.request(request, await _address(server))
    host, port = response.attributes["XOR-MAPPED-ADDRESS"]
    own = protocol.local_candidate
    return _candidate("srflx", (host, port), (own.host, own.port))


async def _relayed(ice: Any, server: IceServer) -> Any:
    """A port of the server's that stands for one of ours, until the connection closes."""
    protocol: Any
    transport, protocol = await turn.create_turn_endpoint(
        lambda: StunProtocol(ice), server_addr=await _address(server), username=server.user, password=server.password
    )
    place, own = (transport.get_extra_info(name) for name in ("sockname", "related_address"))
    protocol.local_candidate = _candidate("relay", place, own)
    leave = protocol.close

    async def leave_soon() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(leave(), SERVERS_S)

    protocol.close = leave_soon
    ice._protocols.append(protocol)
    return protocol.local_candidate


def _candidate(kind: str, place: Place, own: Place) -> Any:
    return Candidate(
        foundation=candidate_foundation(kind, "udp", own[0]), component=1, transport="udp",
        priority=candidate_priority(1, kind), host=place[0], port=place[1], type=kind,
        related_address=own[0], related_port=own[1],
    )  # fmt: skip


async def _address(server: IceServer) -> Place:
    try:
        return str(ipaddress.IPv4Address(server.host)), server.port
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(server.host, server.port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        return str(found[0][4][0]), server.port
