"""The two hosts of a probe (probe.py), in a thread of their own: libp2p is loaded by importing this.

Every step of every address has its own time limit, and whatever goes wrong at one ends that address alone.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.identity.identify.identify import parse_identify_response
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.relay.circuit_v2 import CircuitV2Protocol, CircuitV2Transport
from libp2p.relay.circuit_v2.config import RelayConfig, RelayRole
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage
from libp2p.relay.circuit_v2.utils import read_delimited_msg, write_delimited_msg
from libp2p.tools.anyio_service import background_trio_service

from gossip.transport.multiaddresses import Multiaddress
from gossip.wide.circuits import HOP, OK
from gossip.wide.kad import PROTOCOL as KAD
from gossip.wide.probe import WHY_CHARS, Held, Probed, Seen
from gossip.wide.quiet import keep_off_the_root, quieten
from gossip.wide.reasons import causes, other_peer

IDENTIFY: Final = "/ipfs/id/1.0.0"
PING: Final = "/gossip/doctor/1"  # between our own two hosts only
WORD: Final = b"ping"
ANSWER_BYTES: Final = 16 << 10
LOOK_EVERY_S: Final = 0.1  # whether nobody waits any more


def run(reached: Sequence[Seen], relays: Sequence[str], patience_s: float, over: threading.Event) -> Probed:
    """Ask all that TCP reached; ends early when `over` is set. Called in a thread."""
    quieten()
    keep_off_the_root()
    probed: Probed = trio.run(_run, reached, [Multiaddress.parse(each).node for each in relays], patience_s, over)
    return probed


async def _run(reached: Sequence[Seen], relays: Sequence[str], patience_s: float, over: threading.Event) -> Probed:
    found: list[Seen] = list(reached)
    held: list[Held] = []

    async def watch() -> None:
        while not over.is_set():  # noqa: ASYNC110  # another thread sets it
            await trio.sleep(LOOK_EVERY_S)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery, _host() as (one, _), _host() as (two, road):
        nursery.start_soon(watch)
        one.set_stream_handler(PING, _answer)
        for number, seen in enumerate(reached):
            if not seen.failed:
                found[number] = await _ask(one, seen, patience_s)
        held = [
            await _hold(one, two, road, seen, patience_s)
            for seen in found
            if seen.address in relays and not seen.failed and seen.hop
        ]
        nursery.cancel_scope.cancel()
    return Probed(tuple(found), tuple(held))


@asynccontextmanager
async def _host() -> AsyncIterator[tuple[Any, Any]]:
    """One that listens nowhere, and can be reached through a relay alone."""
    host = new_host(key_pair=create_new_key_pair(secrets.token_bytes(32)), muxer_preference="YAMUX")
    host.get_network().retry_config.max_retries = 0  # once: who asks again is the user
    protocol = CircuitV2Protocol(host, allow_hop=False)
    async with host.run(listen_addrs=[]), background_trio_service(protocol):
        yield host, CircuitV2Transport(host, protocol, RelayConfig(roles=RelayRole.STOP))


async def _ask(host: Any, seen: Seen, patience_s: float) -> Seen:
    """Who answers there, and what it offers."""
    info = info_from_p2p_addr(multiaddr.Multiaddr(seen.at))
    try:
        with trio.fail_after(patience_s):
            await host.get_network().dial_addr(info.addrs[0], info.peer_id)
            host.get_peerstore().add_addrs(info.peer_id, info.addrs, 3600)
    except trio.TooSlowError:
        return replace(seen, failed="speech", why=f"no word of libp2p within {patience_s:g} s")
    except Exception as error:  # whatever a stranger made libp2p raise
        if (other := other_peer(error)) is not None:
            return replace(seen, failed="key", why="another key answers", other=other)
        return replace(seen, failed="speech", why=_first_cause(error))
    try:
        with trio.fail_after(patience_s):
            told = parse_identify_response(await _read(await host.new_stream(info.peer_id, [IDENTIFY])))
    except trio.TooSlowError:
        return replace(seen, failed="speech", why=f"does not say what it offers within {patience_s:g} s")
    except Exception as error:
        return replace(seen, failed="speech", why=f"does not say what it offers: {_short(str(error))}")
    protocols = set(told.protocols)
    return replace(
        seen, agent=_short(told.agent_version), kad=KAD in protocols, hop=HOP in protocols,
        observed=_ip(told.observed_addr),
    )  # fmt: skip


async def _hold(one: Any, two: Any, road: Any, seen: Seen, patience_s: float) -> Held:
    """A reservation for the first host, and a circuit to it from the second."""
    relay = info_from_p2p_addr(multiaddr.Multiaddr(seen.at))
    held = Held(seen.address)
    try:
        with trio.fail_after(patience_s):
            stream = await one.new_stream(relay.peer_id, [HOP])
            await write_delimited_msg(stream, HopMessage(type=HopMessage.RESERVE))
            told = await read_delimited_msg(stream, HopMessage)
            await stream.close()
    except trio.TooSlowError:
        return replace(held, why=f"no answer within {patience_s:g} s")
    except Exception as error:
        return replace(held, why=_short(str(error) or type(error).__name__))
    held = replace(
        held, status=int(told.status), limit_s=int(told.limit.duration), limit_bytes=int(told.limit.data),
        lasts_s=max(0, int(told.reservation.expire) - int(time.time())),
    )  # fmt: skip
    if held.status != OK:
        return held
    begun = trio.current_time()
    try:
        with trio.fail_after(patience_s):
            await two.connect(relay)
            await road.dial(multiaddr.Multiaddr(f"{seen.at}/p2p-circuit/p2p/{one.get_id()}"))
            stream = await two.new_stream(one.get_id(), [PING])
            await stream.write(WORD)
            if await stream.read(len(WORD)) != WORD:
                return replace(held, circuit="what goes in does not come out")
            await stream.close()
    except trio.TooSlowError:
        return replace(held, circuit=f"not open within {patience_s:g} s")
    except Exception as error:
        return replace(held, circuit=_first_cause(error))
    return replace(held, circuit="", circuit_ms=(trio.current_time() - begun) * 1000)


async def _answer(stream: Any) -> None:
    await stream.write(await stream.read(len(WORD)))
    await stream.close()


async def _read(stream: Any) -> bytes:
    """All that comes, up to a length."""
    data = b""
    while len(data) < ANSWER_BYTES:
        try:
            piece = await stream.read(ANSWER_BYTES - len(data))
        except Exception:  # libp2p says the end of a stream with an exception of some kind
            break
        if not piece:
            break
        data += piece
    await stream.close()
    return data


def _first_cause(error: BaseException) -> str:
    """What it began with, as libp2p says it."""
    return _short(str(causes(error)[-1]) or type(error).__name__)


def _ip(address: bytes) -> str:
    """The IP address in a binary multiaddress that a stranger sent; "" if there is none."""
    if not 0 < len(address) <= ANSWER_BYTES:
        return ""
    try:
        words = str(multiaddr.Multiaddr(address)).split("/")
        return words[2] if words[1] in ("ip4", "ip6") else ""
    except Exception:  # whatever the bytes made it raise
        return ""


def _short(text: str) -> str:
    return " ".join(text.split())[:WHY_CHARS]
