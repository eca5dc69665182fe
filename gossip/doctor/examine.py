"""The examination: which hops are looked at, in which order, for what was asked.

    machine, backends, disk, space --> interface, multicast, others, port, channel (of each interface)
        --> node, dials, clock (of a directory) --> libp2p, then for --wide: bootstrap, nat, relay, circuit, ice
        --> name ... heard (to another machine) --> clock (of this one)

It acts on what the other files of this folder find out, and decides only what is worth asking after what has failed.
What is looked at on the network stays on the interfaces that were named, loopback if none was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gossip.doctor import answering, beyond, clock, disk, extra, interfaces, itself, machine, multicast, node, way, wide
from gossip.doctor.beyond import Beyond
from gossip.doctor.finding import Finding, Patience, Report, skipped
from gossip.doctor.multicast import LISTEN_S
from gossip.transport.discovery import addresses_of
from gossip.transport.webrtc import Backend
from ledger.errors import LocalError

_LIBRARIES: Final[tuple[Backend, ...]] = ("aiolibdatachannel", "aiortc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What is known of the peer of this machine, by whoever may read its directory."""

    swarm: str = ""
    own: str = ""
    status: Mapping[str, Any] | None = None  # of the node that runs there
    claims: Sequence[tuple[str, int]] = ()  # (log, time) of entries, in the order in which they came
    names: Mapping[str, str] | None = None
    member: way.Member | None = None  # to dial as, while no node runs
    locked: str = ""  # why there is none, if its keys would be needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look at."""

    folder: Path  # where the peer keeps its things, or would
    interfaces: tuple[str, ...] = ("lo",)
    port: int = 0  # that the peer listens on; 0: any
    itself: bool = True  # this machine's own hops
    target: tuple[str, int] | None = None  # the way to another machine
    peer: Peer | None = None
    beyond: Beyond = field(default_factory=Beyond)  # what leads to other networks, as far as it was told
    wide: bool = False  # and whether to ask all of that
    patience: Patience = field(default_factory=Patience)
    listen_s: float = LISTEN_S  # for others by mDNS
    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


def examine(wanted: Wanted, tell: Callable[[Finding], None] = lambda finding: None) -> Report:
    """Look at everything; `tell` hears of each hop as it is done."""

    async def run() -> Report:
        found = []
        async for finding in _look(wanted):
            found.append(finding)
            tell(finding)
        return Report.of(found)

    return asyncio.run(run())


def answer(wanted: Wanted, tell: answering.Tell) -> None:
    """Be the other end, on the first interface, until interrupted. LocalError, LinkError: that cannot be."""
    addresses = addresses_of(wanted.interfaces[0])
    asyncio.run(answering.wait(addresses, wanted.port, tell, wall=wanted.wall))


async def _look(wanted: Wanted) -> AsyncIterator[Finding]:
    begun = wanted.wall(), wanted.steady()
    peer, here = wanted.peer or Peer(), interfaces.here()
    loaded = machine.imported()
    backends = [name for name in _LIBRARIES if not loaded[name].startswith("!")]
    everybody: dict[str, None] = {}  # whose address was heard by mDNS
    yield machine.judge_backends(loaded)
    if wanted.itself:
        yield machine.look()
        for finding in disk.look(wanted.folder):
            yield finding
        if (loopback := interfaces.judge_loopback(here)) is not None:
            yield loopback
        for name in wanted.interfaces:
            async for finding in _look_interface(wanted, peer, name, here, backends, everybody):
                yield finding
    if wanted.peer is not None:
        for finding in node.judge(peer.status, wanted.wall()):
            yield finding
        claims = clock.judge_claims(clock.differences(peer.claims, peer.own), peer.names or {})
        if claims is not None:
            yield claims
    async for finding in _look_beyond(wanted):
        yield finding
    if wanted.target is not None:
        async for finding in _look_way(wanted, peer, here, backends, everybody):
            yield finding
    yield clock.judge_own((begun[0], wanted.wall()), (begun[1], wanted.steady()))


async def _look_interface(
    wanted: Wanted, peer: Peer, name: str, here: Sequence[interfaces.Interface], backends: Sequence[Backend],
    everybody: dict[str, None],
) -> AsyncIterator[Finding]:  # fmt: skip
    own = interfaces.judge(name, here)
    yield own
    interface = interfaces.find(name, here)
    if own.state == "fails" or interface is None:
        return
    addresses = _addresses(name)
    at = str((peer.status or {}).get("address", ""))
    answers = at if at.rpartition(":")[0] in addresses else ""
    (found, heard), port, channels = await asyncio.gather(
        multicast.look(
            interface, addresses, wanted.patience.of("multicast"), wanted.listen_s, swarm=peer.swarm, node=answers
        ),
        itself.look_port(addresses[0], wanted.port, wanted.patience.of("port"), own=answers),
        asyncio.gather(*(itself.look_channel(addresses, backend, wanted.patience) for backend in backends)),
    )
    everybody.update(heard.strangers)
    for finding in (*found, port, *channels):
        yield finding


async def _look_beyond(wanted: Wanted) -> AsyncIterator[Finding]:
    is_meant = wanted.wide or not wanted.beyond.is_empty
    found = wide.judge_installed(await asyncio.to_thread(lambda: extra.look(builds=is_meant)), wanted=is_meant)
    yield found
    if wanted.wide:
        own = [address for name in wanted.interfaces for address in _addresses(name)]
        async for finding in beyond.look(wanted.beyond, own, wanted.patience, has_libp2p=found.state == "ok"):
            yield finding


async def _look_way(
    wanted: Wanted, peer: Peer, here: Sequence[interfaces.Interface], backends: Sequence[Backend],
    everybody: dict[str, None],
) -> AsyncIterator[Finding]:  # fmt: skip
    assert wanted.target is not None
    host, port = wanted.target
    address, named = await way.resolve(host)
    if named is not None:
        yield named
    if not address:
        return
    name = wanted.interfaces[0]
    interface = interfaces.find(name, here)
    if interface is None or not interface.networks:
        yield skipped("route", f"{name} has no address to go from", "", f"{host}:{port}")
        return
    path = way.Way(interface, _addresses(name), address, port)
    found = await way.look(path, here, backends, wanted.patience, wanted.wall, peer.member)
    for finding in found:
        yield finding
        if finding.hop == "udp" and finding.state == "skipped" and peer.locked:
            yield skipped("udp", peer.locked, "", finding.where)
    if not any(finding.hop == "answer" and finding.state == "ok" for finding in found) or interface.is_loopback:
        return
    if address not in everybody and address not in path.addresses and interface.holds(address):
        _, heard = await multicast.look(
            interface, path.addresses, wanted.patience.of("heard"), 0.0, until=address
        )  # fmt: skip
        everybody.update(heard.strangers)
    yield way.judge_heard(path, list(everybody))


def _addresses(name: str) -> tuple[str, ...]:
    """As a node would take them: what is checked is what runs."""
    try:
        return addresses_of(name)
    except LocalError as error:  # it went away while we looked
        raise LocalError(error.what, why="it was there a moment ago", next_step="try again") from error


__all__ = ["Beyond", "Finding", "Patience", "Peer", "Wanted", "answer", "examine"]
