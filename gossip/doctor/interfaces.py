"""The interfaces of this machine, and whether the one that was named can reach anybody.

`here` looks (and sends nothing); `judge` decides, on values alone. The mistake it is made for: nothing named, so
loopback, while the other machine waits on Wi-Fi.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from gossip.doctor.finding import Finding, fails, ok, warns

# Tunnels by their usual names, for systems that do not mark them as point-to-point.
TUNNELS: Final = ("tun", "utun", "wg", "ppp", "tailscale", "zt", "nordlynx", "ipsec", "proton", "gpd")


@dataclass(frozen=True, slots=True)
class Interface:
    name: str
    networks: tuple[str, ...] = ()  # IPv4, as 192.168.1.7/24
    is_up: bool = True  # its owner wants it up
    is_running: bool = True  # and there is a cable in it, or a network around it
    flags: frozenset[str] = frozenset({"multicast", "broadcast"})  # empty: the system does not say

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(network.partition("/")[0] for network in self.networks)

    @property
    def is_loopback(self) -> bool:
        return "loopback" in self.flags or any(address.startswith("127.") for address in self.addresses)

    @property
    def is_tunnel(self) -> bool:
        return "pointopoint" in self.flags or self.name.lower().startswith(TUNNELS)

    @property
    def may_multicast(self) -> bool:
        """On loopback the flag is missing and multicast works, between processes of this machine."""
        return not self.flags or "multicast" in self.flags or self.is_loopback

    def holds(self, address: str) -> bool:
        """Whether that address lies in one of its networks: a neighbour's."""
        other = ipaddress.IPv4Address(address)
        return any(other in ipaddress.IPv4Interface(network).network for network in self.networks)


def here() -> tuple[Interface, ...]:
    """Those of this machine, by name."""
    addresses, stats = psutil.net_if_addrs(), psutil.net_if_stats()
    found = []
    for name in sorted({*addresses, *stats}):
        flags = frozenset(stats[name].flags.split(",")) - {""} if name in stats else frozenset()
        is_running = stats[name].isup if name in stats else True
        networks = tuple(
            f"{one.address}/{ipaddress.IPv4Network(f'0.0.0.0/{one.netmask}').prefixlen if one.netmask else 32}"
            for one in addresses.get(name, ())
            if one.family == socket.AF_INET
        )
        found.append(Interface(name, networks, "up" in flags if flags else is_running, is_running, flags))
    return tuple(found)


def find(wanted: str, interfaces: Sequence[Interface]) -> Interface | None:
    """The one that is called so, or has that address; "lo" is loopback whatever the system calls it."""
    for interface in interfaces:
        if wanted == interface.name or wanted in interface.addresses or (wanted == "lo" and interface.is_loopback):
            return interface
    return None


def better(interfaces: Sequence[Interface]) -> tuple[Interface, ...]:
    """Those by which other machines may be reached, local networks before tunnels."""
    usable = [each for each in interfaces if each.networks and each.is_running and not each.is_loopback]
    return tuple(sorted(usable, key=lambda each: (each.is_tunnel, each.name)))


def judge(wanted: str, interfaces: Sequence[Interface]) -> Finding:
    """What is to be said of the interface that a peer is told to use."""
    found, others = find(wanted, interfaces), better(interfaces)
    instead = "name one of these with --interface: " + ", ".join(_named(each) for each in others)
    join = "connect this machine to a network, then name its interface with --interface"
    if found is None:
        return fails("interface", "there is none of this name or address", instead if others else join, wanted)
    facts = {"networks": list(found.networks), "flags": sorted(found.flags)}
    if not found.is_up:
        how = f"switch it on, such as with: ip link set {found.name} up"
        return fails("interface", f"{found.name} is switched off", how, wanted, **facts)
    if not found.is_running:
        return fails(
            "interface", f"{found.name} is on, and nothing is connected to it",
            "put the cable in, or join the Wi-Fi", wanted, **facts,
        )  # fmt: skip
    if not found.networks:
        return fails(
            "interface", f"{found.name} has no IPv4 address", instead if others else join, wanted, **facts
        )  # fmt: skip
    at = f"{found.name} is up with {', '.join(found.networks)}"
    if found.is_loopback:
        text = "loopback reaches peers of this machine only"
        if others:
            return warns("interface", text, f"to reach other machines {instead}", wanted, **facts)
        return warns("interface", f"{text}, and there is no other interface with an address", join, wanted, **facts)
    if found.is_tunnel:
        near = [each for each in others if not each.is_tunnel]
        how = f"for machines on the local network name {', '.join(_named(each) for each in near)}" if near else ""
        how = how or "use it if the other machine is in the same tunnel, and name it there, too"
        return warns("interface", f"{at}: a VPN or tunnel, by its looks", how, wanted, **facts)
    if all(address.startswith("169.254.") for address in found.addresses):
        return warns(
            "interface", f"{at}: it made that address up, for no router gave it one",
            "the other machine must have such an address, too; else look at the router, or join its network again",
            wanted, **facts,
        )  # fmt: skip
    return ok("interface", at, wanted, **facts)


def judge_loopback(interfaces: Sequence[Interface]) -> Finding | None:
    """Without it a machine cannot even reach its own addresses."""
    loopback = next((each for each in interfaces if each.is_loopback), None)
    if loopback is None or (loopback.is_up and loopback.networks):
        return None
    what = "is switched off" if not loopback.is_up else "has no address"
    return fails(
        "interface", f"loopback {what}, so this machine does not reach itself",
        f"switch it on, such as with: ip link set {loopback.name} up", loopback.name,
    )  # fmt: skip


def _named(interface: Interface) -> str:
    return f"{interface.name} ({', '.join(interface.addresses)})"
