"""The way to another machine, hop by hop, from here to a link: the first that fails is where to look.

    name -> route -> reach (TCP) -> answer (HTTP) -> udp (ICE, DTLS, proof) -> size -> their clock       heard (mDNS)

A node says nothing to strangers, so how UDP fares with it only a member learns: with the keys of a directory whose own
node does not run, one link is opened and closed. Else the other machine runs `gossip doctor --answer` (answering.py).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gossip.doctor import clock, talk
from gossip.doctor.finding import Finding, Patience, fails, ok, skipped, warns
from gossip.doctor.interfaces import Interface, better
from gossip.transport.signalling import NoPeer, Unheard, exchange
from gossip.transport.webrtc import Backend, WebRTCTransport
from ledger.errors import GossipError, LinkError, RemoteError
from ledger.keys import PrivateKey

ANSWER: Final = "run there: gossip doctor --answer --interface IF, and name here the address that it tells"
APART: Final = (
    "see that it is switched on and in the same network, and look for client isolation or a guest network in the "
    "router or access point"
)


@dataclass(frozen=True, slots=True)
class Member:
    """Whom a node at the far end may know: the keys of a peer whose own node does not run."""

    swarm: str
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class Way:
    """From where to where."""

    interface: Interface
    addresses: tuple[str, ...]  # of that interface, as a node offers them
    host: str
    port: int

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"


async def resolve(host: str) -> tuple[str, Finding | None]:
    """The IPv4 address of a name, and what is to be said of it; of an address nothing."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
        except OSError as error:
            how = "name its IPv4 address: gossip status on the other machine shows it"
            return "", fails("name", f"{host} has no IPv4 address here: {error.strerror or error}", how, host)
        address = str(found[0][4][0])
        return address, ok("name", f"{host} is {address}", host, address=address)
    return host, None


def look_route(way: Way, interfaces: Sequence[Interface]) -> Finding:
    """By which of our addresses packets to it leave. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect((way.host, way.port))
            source = str(trial.getsockname()[0])
        except OSError as error:
            how = "connect this machine to the other's network, or name an address in a network of this one"
            return fails("route", f"no way leads there: {error.strerror or error}", how, way.where)
    return judge_route(way, source, interfaces)


def judge_route(way: Way, source: str, interfaces: Sequence[Interface]) -> Finding:
    taken = next((each for each in interfaces if source in each.addresses), None)
    through = taken.name if taken is not None else source
    facts = {"source": source, "interface": through}
    if way.interface.is_loopback and not source.startswith("127."):
        near = taken if taken is not None and not taken.is_loopback else next(iter(better(interfaces)), None)
        how = f"gossip run --interface {near.name if near is not None else 'IF'}"
        return fails("route", "this peer uses loopback, and the other one is elsewhere", how, way.where, **facts)
    if source.startswith("127.") and not way.interface.is_loopback:
        how = "name the address by which the other machine is reached; its peer must run with --interface, too"
        return fails("route", f"{way.host} is loopback: this machine, to everybody", how, way.where, **facts)
    if source in way.interface.addresses:
        return ok("route", f"leaves by {through} from {source}", way.where, **facts)
    vpn = ", a VPN or tunnel by its looks" if taken is not None and taken.is_tunnel else ""
    how = f"name the interface that leads there: --interface {through}"
    if vpn:
        how += f"; or take the local network out of the VPN, so that {way.interface.name} leads there"
    return warns("route", f"leaves by {through}{vpn}, and not by {way.interface.name}", how, way.where, **facts)


async def look(
    way: Way, interfaces: Sequence[Interface], backends: Sequence[Backend], patience: Patience,
    wall: Callable[[], float], member: Member | None = None,
) -> list[Finding]:  # fmt: skip
    """All hops but the name and mDNS; after one that fails nothing further is tried."""
    found = [look_route(way, interfaces)]
    if found[0].state == "fails":
        return found
    found.append(await look_reach(way, patience.of("reach")))
    if found[-1].state != "fails":
        found.append(await look_answer(way, patience.of("answer")))
    if found[-1].state != "fails":
        for backend in backends:
            found += await look_link(way, backend, patience, wall, member)
    if found[0].state == "warns" and any(each.state == "fails" for each in found):
        found[0] = replace(found[0], state="fails")  # what only looked odd is the likely cause
    return found


async def look_reach(way: Way, patience_s: float) -> Finding:
    """TCP to the port of signalling."""
    begun = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(patience_s):
            _, writer = await asyncio.open_connection(way.host, way.port)
        writer.close()
    except TimeoutError:
        how = f"let TCP port {way.port} in through the firewall of that machine, or {APART}"
        return fails("reach", f"no answer within {patience_s:g} s: something drops what we send", how, way.where)
    except OSError as error:
        return judge_refusal(error, way)
    took_ms = (asyncio.get_running_loop().time() - begun) * 1000
    return ok("reach", f"TCP connects after {took_ms:.1f} ms", way.where, connect_ms=round(took_ms, 2))


def judge_refusal(error: OSError, way: Way) -> Finding:
    number = error.errno or 0
    match number:
        case errno.ECONNREFUSED | errno.ECONNRESET:
            text = f"that machine is there, and nobody listens on its port {way.port}"
            how = (
                "start the peer there, and name the address that gossip status shows on it; one that runs without "
                "--interface listens on loopback only"
            )
        case errno.EHOSTUNREACH | errno.EHOSTDOWN:
            text, how = "no machine answers at that address", APART
        case errno.ENETUNREACH:
            text, how = "no way leads to its network", "connect this machine to that network"
        case errno.EACCES | errno.EPERM:
            text, how = "this machine does not let us", "look for a firewall or a policy on this machine"
        case _:
            text, how = f"cannot connect: {error.strerror or error}", APART
    return fails("reach", text, how, way.where, errno=errno.errorcode.get(number, ""))


async def look_answer(way: Way, patience_s: float) -> Finding:
    """Whether what listens there is one of us: to nonsense a peer answers with silence of one shape."""
    try:
        async with asyncio.timeout(patience_s):
            await exchange(way.host, way.port, b"{}")
    except NoPeer:
        text = "something answers there that is no peer"
        return fails("answer", text, "name the port that gossip status shows on the other machine", way.where)
    except Unheard:
        return ok("answer", "answers as a peer does to strangers, with nothing", way.where)
    except (GossipError, TimeoutError) as error:
        why = getattr(error, "why", "") or f"no answer within {patience_s:g} s"
        how = f"look for a firewall or proxy between the two that lets connections in and nothing through; or {ANSWER}"
        return fails("answer", f"connects, and does not answer: {why}", how, way.where)
    return fails("answer", "something answers there that is no peer", "name another port", way.where)


async def look_link(
    way: Way, backend: Backend, patience: Patience, wall: Callable[[], float], member: Member | None
) -> list[Finding]:  # fmt: skip
    """A whole link by that library: to a doctor that answers, or as the member that we are."""
    where, patience_s = f"{way.where} {backend}", patience.of("udp")
    try:
        async with asyncio.timeout(patience_s):
            transport = WebRTCTransport(PrivateKey.generate(), talk.SWARM, talk.Anybody(), way.addresses, backend)
            try:
                link = await transport.dial(way.host, way.port)
            finally:
                await transport.close()
    except Unheard:
        if member is None:
            return [skipped("udp", "a node, to which we are a stranger", ANSWER, where)]
        return [await _as_member(way, backend, patience.of("udp"), member)]
    except (GossipError, TimeoutError, OSError) as error:
        return [_closed_to_udp(error, where, patience_s)]
    try:
        told = await talk.ask(link, wall, patience)
    except (LinkError, RemoteError) as error:
        return [_closed_to_udp(error, where, patience_s)]
    finally:
        await link.close("seen")
    found = [ok("udp", f"a link opens; round trip {told.round_trip_s * 1000:.1f} ms", where,
                round_trip_ms=round(told.round_trip_s * 1000, 2))]  # fmt: skip
    if told.whole_s:
        found.append(ok("size", "64 KiB there and back", where, whole_ms=round(told.whole_s * 1000, 2)))
    else:
        how = f"lower the MTU of {way.interface.name}, such as with: ip link set {way.interface.name} mtu 1280"
        found.append(fails("size", "small messages pass, and 64 KiB do not come back", how, where))
    return [*found, clock.judge_other(told.ahead_s, where)]


async def _as_member(way: Way, backend: Backend, patience_s: float, member: Member) -> Finding:
    where = f"{way.where} {backend}"
    transport = WebRTCTransport(member.key, member.swarm, talk.Anybody(), way.addresses, backend)
    try:
        async with asyncio.timeout(patience_s):
            link = await transport.dial(way.host, way.port)
    except Unheard:
        text = "a node that does not know this peer: of another swarm, or it has not heard of its membership"
        return warns("udp", text, f"compare the swarm's id in gossip status on both machines; or {ANSWER}", where)
    except (GossipError, TimeoutError, OSError) as error:
        return _closed_to_udp(error, where, patience_s)
    finally:
        await transport.close()
    key = link.key.hex()
    await link.close("a doctor has seen that links open")
    return ok("udp", "a link opens, to a node of this swarm", where, key=key)


def _closed_to_udp(error: Exception, where: str, patience_s: float) -> Finding:
    why = str(error) if isinstance(error, RemoteError) else f"no link within {patience_s:g} s"
    how = (
        "let UDP between the two machines through their firewalls, on all ports, or look for a network that lets only "
        "the web through (guest networks, some VPNs)"
    )
    return fails("udp", f"TCP passes and UDP does not: {why}", how, where)


def judge_heard(way: Way, strangers: Sequence[str]) -> Finding:
    """Whether the other machine was heard by mDNS."""
    if not way.interface.holds(way.host):
        text = "in another network, into which mDNS does not go"
        return skipped("heard", text, "name it on every start: gossip run --address HOST:PORT", way.where)
    if way.host in way.interface.addresses:
        return ok("heard", "an address of this machine", way.where)
    if way.host in strangers:
        return ok("heard", "it was heard by mDNS", way.where)
    return fails(
        "heard", "that machine was not heard by mDNS", "name it: gossip run --address "
        f"{way.where}; or let UDP port 5353 in and out on both machines, and multicast through the access point",
        way.where,
    )  # fmt: skip
