"""mDNS on one interface: do we hear ourselves, does anybody else speak, and which peers are there.

    a send by hand --> refused by the system? its own words say why (no route, no interface)
    a voice (Discovery, as in a node) --announces--> the group --> an ear (hearing.listen, as in a node)

The voice speaks for a swarm that exists nowhere but in this call, so nodes leave it unparsed. One more question is
asked than a node asks: which services there are at all, to which printers and telephones answer, too. Where several
machines are and none is heard, something keeps them apart. Everything stays on the interface that was named.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from zeroconf import DNSOutgoing, DNSQuestion, ServiceInfo  # type: ignore[attr-defined]  # as in hearing.py
from zeroconf.asyncio import AsyncZeroconf

from gossip.doctor.finding import Finding, fails, ok, skipped, warns
from gossip.doctor.holders import holder
from gossip.doctor.interfaces import Interface
from gossip.transport.discovery import Candidate, Discovery, read_record, swarm_tag
from gossip.transport.hearing import QUESTION, keep_asking, listen
from ledger.errors import LinkError

GROUP: Final = ("224.0.0.251", 5353)
SERVICES: Final = "_services._dns-sd._udp.local."  # RFC 6763, 9: whoever offers anything answers
LISTEN_S: Final = 2.0  # mDNS answers within one, and what is asked together once in 1.05 s (hearing.py)
MAX_HEARD: Final = 64  # addresses and peers that are kept of what anybody says
_PTR, _IN = 12, 1
FIREWALL: Final = "let UDP port 5353 in and out of it through this machine's firewall"
PERMIT: Final = "let programs use the local network (macOS: Privacy & Security, Local Network, for the terminal)"
ADDRESS: Final = "until then name the other peer: gossip run --address HOST:PORT"


@dataclass(slots=True)
class Heard:
    """Within the time that was given."""

    itself: bool = False
    strangers: dict[str, None] = field(default_factory=dict)  # addresses in the interface's networks, not our own
    peers: dict[tuple[str, int], str] = field(default_factory=dict)  # of gossip, by place: the tag of their swarm


class _Counting(asyncio.DatagramProtocol):
    """Sees who speaks, before the ear that reads it."""

    def __init__(self, behind: Any, spoke: Callable[[str], None]) -> None:
        self._behind, self._spoke = behind, spoke

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._spoke(str(addr[0]))
        self._behind.datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """A send that failed: `probe` says why, and who sent it goes on."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._behind.connection_lost(exc)


def probe(address: str) -> str:
    """What the system says to one question sent to the group from that address; "" if it takes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
            out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            out.sendto(QUESTION, GROUP)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def claim() -> str:
    """What the system says to one more program on the port of mDNS, which all of them share; "" if it lets us."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as shared:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            shared.bind(("", GROUP[1]))
        except OSError as error:
            return error.strerror or str(error)
    return ""


async def hear(
    interface: Interface, addresses: Sequence[str], patience_s: float, listen_s: float = LISTEN_S, until: str = ""
) -> Heard:
    """Speak and listen, at most for `patience_s`: until we have heard ourselves and that address, if one is named; for
    anybody else for `listen_s` at least. LinkError: mDNS cannot be had here."""
    heard, changed = Heard(), asyncio.Event()
    voice = Discovery(addresses, secrets.token_hex(32), lambda candidate: None)
    own, key = set(addresses), secrets.token_bytes(32)

    def spoke(address: str) -> None:
        if address not in own and len(heard.strangers) < MAX_HEARD and interface.holds(address):
            heard.strangers[address] = None
            changed.set()

    def hears(info: ServiceInfo) -> None:
        if (said := _candidate(info, addresses)) is None:
            return
        candidate, tag = said
        if candidate.key == key:
            heard.itself = True
        elif len(heard.peers) < MAX_HEARD:
            heard.peers[candidate.host, candidate.port] = tag
        changed.set()

    async def wait(most_s: float, is_enough: Callable[[], bool]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                while not is_enough():
                    changed.clear()
                    await changed.wait()

    ear = await listen(addresses, b"tag=", hears)
    asking: asyncio.Task[None] | None = None
    try:
        for reader in ear.zeroconf.engine.readers:
            reader.transport.set_protocol(_Counting(reader.transport.get_protocol(), spoke))
        await voice.start()
        await voice.advertise(9, key=key, peer=secrets.token_hex(32))  # (9: discard, where nobody answers)
        asking = asyncio.create_task(keep_asking(ear))
        _ask_all(ear)
        await asyncio.gather(
            wait(patience_s, lambda: heard.itself and (not until or until in heard.strangers)),
            wait(min(listen_s, patience_s), lambda: False),
        )
    finally:
        if asking is not None:
            asking.cancel()
        await asyncio.gather(voice.close(), ear.async_close())  # goodbyes take their time
    return heard


def _candidate(info: ServiceInfo, addresses: Sequence[str]) -> tuple[Candidate, str] | None:
    tag = (info.properties.get(b"tag") or b"").decode("ascii", "replace")
    candidate = read_record(info, tag, addresses)
    return (candidate, tag) if candidate is not None else None


def _ask_all(ear: AsyncZeroconf) -> None:
    question = DNSOutgoing(0)
    question.add_question(DNSQuestion(SERVICES, _PTR, _IN))
    ear.zeroconf.async_send(question)


async def look(
    interface: Interface, addresses: Sequence[str], patience_s: float, listen_s: float = LISTEN_S, *,
    swarm: str = "", until: str = "", node: str = "",
) -> tuple[list[Finding], Heard]:  # fmt: skip
    """Both findings, "multicast" and "others", and what they come from.

    `swarm`: whose peers are looked for, anybody's if empty; `until`: an address that is waited for; `node`: our own
    one's place.
    """
    name, text, heard = interface.name, "", Heard()
    if not interface.may_multicast:
        text, how = "the interface is not allowed to send to groups", f"allow it: ip link set {name} multicast on"
    elif said := probe(addresses[0]):
        text = f"the system sends nothing to the group of mDNS: {said}"
        how = f"{PERMIT}, or give it a way there: ip route replace 224.0.0.0/4 dev {name}"
    elif said := claim():
        text = f"UDP port 5353, that of mDNS, cannot be shared: {said}"
        how = f"end {holder(GROUP[1], 'udp4') or 'the program that keeps it to itself'}"
    if text:
        own = fails("multicast", text, f"{how}; {ADDRESS}", name)
        return [own, skipped("others", "multicast fails", "", name)], heard
    try:
        heard = await hear(interface, addresses, patience_s, listen_s, until)
    except LinkError as error:
        own = fails("multicast", f"no mDNS here: {error.why or error.what}", f"{PERMIT}; {ADDRESS}", name)
        return [own, skipped("others", "multicast fails", "", name)], heard
    if not heard.itself:
        text = "what we say by mDNS is not heard, not even here"
        own = fails("multicast", text, f"{FIREWALL}; {ADDRESS}", name)
    else:
        own = ok("multicast", "our question by mDNS was answered by ourselves", name)
    return [own, judge_others(heard, interface, swarm_tag(swarm) if swarm else "", node)], heard


def judge_others(heard: Heard, interface: Interface, tag: str = "", node: str = "") -> Finding:
    """Who else is there. Silence proves nothing, and is what one hears where devices are kept apart."""
    name = interface.name
    others = {
        f"{host}:{port}": said
        for (host, port), said in heard.peers.items()
        if f"{host}:{port}" != node and (interface.is_loopback or host not in interface.addresses)
    }
    peers = [place for place, said in others.items() if not tag or said == tag]
    facts = {"peers": peers, "machines": list(heard.strangers), "other_swarms": len(others) - len(peers)}
    if peers:
        return ok("others", f"peers heard: {', '.join(peers)}", name, **facts)
    if interface.is_loopback:
        return ok("others", "no other peer on this machine", name, **facts)
    if heard.strangers:
        return ok("others", f"no peer, but other machines speak here: {', '.join(heard.strangers)}", name, **facts)
    return warns(
        "others", "nobody but this machine was heard",
        "if other machines are on this network, it keeps them apart: look for client or AP isolation, or a guest "
        "network, in the router or access point; gossip doctor --peer HOST:PORT tells more",
        name, **facts,
    )  # fmt: skip
