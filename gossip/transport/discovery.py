"""Who else is near: mDNS on the interfaces the user named, and nowhere else.

    <half of the key>._gossip._tcp.local.   SRV: signalling port   A: addresses   TXT: tag, id, key
    <16 random digits>._gossip._tcp.local.  SRV: signalling port   A: addresses   TXT: code, or open

What is found is a hint, never a fact: anybody on the network can say anything, and what follows is a dial in which
the far end must prove its key. `tag` is made from the swarm's id, so that strangers who do not know the
id cannot tell which swarm this is, nor its name. Records without our tag are not even parsed (hearing.py), and of keys
that nobody knows few are looked at (hints.py). The second kind is for those who cannot know the tag: the number of a
code while an invite is open, the name of a swarm that is (knocking.py looks for it); of whose swarm it is it does not
say.

How it is quick on one machine: names are made from keys, so probing for conflicts (1.2 s) is left out, the
first announcement goes out at once and the first question within 0.12 s.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import random
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ifaddr
from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gossip.transport.hearing import SERVICE, keep_asking, listen, while_it_runs
from gossip.transport.hints import Hints
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError

TAG_CHARS = 16


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody says that this peer of our swarm listens here."""

    host: str
    port: int
    key: bytes
    peer: PeerId


def swarm_tag(swarm: Hash) -> str:
    return hashlib.sha256(b"gossip/mdns/1" + bytes.fromhex(swarm)).hexdigest()[:TAG_CHARS]


def addresses_of(interface: str) -> tuple[str, ...]:
    """The IPv4 addresses of an interface named as the user does: "lo", "eth0", "192.168.1.7" or "127.0.0.1"."""
    if interface == "lo":
        return ("127.0.0.1",)  # whatever the system calls it (lo0 on macOS)
    adapters = list(ifaddr.get_adapters())
    named = [ip.ip for adapter in adapters if interface in (adapter.name, adapter.nice_name) for ip in adapter.ips]
    every = [ip.ip for adapter in adapters for ip in adapter.ips]
    found = named or [ip for ip in every if ip == interface]
    addresses = tuple(dict.fromkeys(str(ip) for ip in found if isinstance(ip, str)))
    if not addresses:
        names = ", ".join(sorted({str(adapter.name) for adapter in adapters}))
        raise LocalError(
            f"there is no interface {interface!r} with an IPv4 address here",
            next_step=f"use one of {names}, or an address of this machine",
        )
    return addresses


class Discovery:
    """One peer's ear and voice on mDNS. `on_found` is called on the event loop, again from time to time; for keys that
    it `knows` at each new place, for others as hints.py has room."""

    def __init__(
        self, addresses: Sequence[str], swarm: Hash, on_found: Callable[[Candidate], None],
        knows: Callable[[bytes], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        self._addresses = tuple(addresses)
        self._tag = swarm_tag(swarm)
        self._on_found = on_found
        self._knows = knows
        self._hints = Hints(knows, random.Random(), time.monotonic)
        self._own = ""
        self._info: AsyncServiceInfo | None = None
        self._wanted: frozenset[tuple[str, str]] = frozenset()
        self._shouts: dict[tuple[str, str], tuple[AsyncServiceInfo, asyncio.Future[Any]]] = {}
        self._zeroconf: AsyncZeroconf | None = None
        self._asking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen for others. LinkError if mDNS cannot be had here (the swarm works without: addresses, invites)."""
        self._zeroconf = await listen(self._addresses, b"tag=" + self._tag.encode("ascii"), self._heard)
        self._asking = asyncio.create_task(keep_asking(self._zeroconf))

    async def advertise(self, port: int, *, key: bytes, peer: PeerId) -> None:
        """Tell others that `peer`, holding `key`, answers offers at `port` on our addresses; no other key any more."""
        zeroconf = self._zeroconf
        if zeroconf is None:
            raise LocalError("advertise before start")
        if self._info is not None:
            with while_it_runs():
                await zeroconf.async_unregister_service(self._info)
        name = f"{key.hex()[:32]}.{SERVICE}"
        self._own = name
        info = AsyncServiceInfo(
            SERVICE,
            name,
            port=port,
            properties={"tag": self._tag, "id": peer, "key": key.hex()},
            server=f"{key.hex()[:32]}.local.",
            addresses=[ipaddress.IPv4Address(address).packed for address in self._addresses],
        )
        # Cooperating: no probing for another peer with this name; nobody else has this key.
        with while_it_runs():
            await zeroconf.async_register_service(info, cooperating_responders=True)
        self._info = info

    async def shout(self, port: int, wanted: Iterable[tuple[str, str]]) -> None:
        """Have these properties, each ("code", number) or ("open", name), found on our addresses, and no others."""
        self._wanted = wanted = frozenset(wanted)
        zeroconf, shouts = self._zeroconf, self._shouts  # a move puts others in their place while we wait
        if zeroconf is None:
            return
        for gone in sorted(shouts.keys() - wanted):
            info, announcing = shouts.pop(gone)
            announcing.cancel()  # it is announced three times in half a second, and would come back after the goodbye
            with while_it_runs():
                await zeroconf.async_unregister_service(info)
        for new in sorted(wanted - shouts.keys()):
            info = shout_record(new, port, self._addresses)
            with while_it_runs():
                announcing = asyncio.ensure_future(
                    await zeroconf.async_register_service(info, cooperating_responders=True)
                )
            shouts[new] = (info, announcing)

    async def move(self, addresses: Sequence[str], port: int, *, key: bytes, peer: PeerId) -> None:
        """Do all of it anew, on these addresses: after a sleep, or on another network, the sockets of before hear
        nothing. What was shouted is shouted there. LinkError as start() has it."""
        self._shouts = {}
        with suppress(OSError):  # a goodbye that has nowhere to go
            await self.close()
        self._info = None
        self._addresses = tuple(addresses)
        self._hints = Hints(self._knows, random.Random(), time.monotonic)
        await self.start()
        await self.advertise(port, key=key, peer=peer)
        await self.shout(port, self._wanted)

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        if self._zeroconf is not None:
            zeroconf, self._zeroconf = self._zeroconf, None
            await zeroconf.async_close()

    def _heard(self, info: ServiceInfo) -> None:
        if info.name == self._own or self._zeroconf is None:
            return
        candidate = read_record(info, self._tag, self._addresses)
        if candidate is not None and self._hints.is_news(candidate.key, (candidate.host, candidate.port)):
            self._on_found(candidate)


def shout_record(said: tuple[str, str], port: int, addresses: Sequence[str]) -> AsyncServiceInfo:
    """A record that says one thing, under a name that says nothing."""
    name = secrets.token_hex(8)
    return AsyncServiceInfo(
        SERVICE, f"{name}.{SERVICE}", port=port, properties=dict([said]), server=f"{name}.local.",
        addresses=[ipaddress.IPv4Address(address).packed for address in addresses],
    )  # fmt: skip


def read_shout(info: ServiceInfo, said: tuple[str, str], own_addresses: Sequence[str]) -> tuple[str, int] | None:
    """Where whoever says just that answers, or None: something else, malformed, or nowhere we can reach."""
    value = info.properties.get(said[0].encode())
    if value != said[1].encode() or not info.port:
        return None
    address = _reachable(info, own_addresses)
    return (address, info.port) if address else None


def read_record(info: ServiceInfo, tag: str, own_addresses: Sequence[str]) -> Candidate | None:
    """The candidate in a record, or None: another swarm's, malformed, or nowhere we can reach."""
    try:
        text = {k.decode("ascii"): v.decode("ascii") for k, v in info.properties.items() if v is not None}
        key, peer = bytes.fromhex(text["key"]), bytes.fromhex(text["id"])
    except (KeyError, ValueError):
        return None
    if text.get("tag") != tag or len(key) != 32 or len(peer) != 32 or not info.port:
        return None
    address = _reachable(info, own_addresses)
    return Candidate(address, info.port, key, peer.hex()) if address else None


def _reachable(info: ServiceInfo, own_addresses: Sequence[str]) -> str:
    """The first address in a record that is on loopback if we are, and is not if we are not; "" if there is none."""
    loopback = {ipaddress.IPv4Address(address).is_loopback for address in own_addresses}
    found = info.parsed_addresses(IPVersion.V4Only)
    return next((address for address in found if ipaddress.IPv4Address(address).is_loopback in loopback), "")
