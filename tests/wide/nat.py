"""Two homes behind routers of their own, and the internet between them: namespaces, and the kernel's own NAT.

    anna 10.77.1.2 ┐                                               ┌ cleo 10.77.2.2
                   ├ north 198.18.0.11 ─── bridge ─── south 198.18.0.12 ┤
    berta 10.77.1.3 ┘          │       │       │                   └ dora 10.77.2.3
                             relay     js     stun
                          198.18.0.2  .0.3    .0.4

Each router does as one at home does: whoever is inside may speak to anybody, from a port of the router's that is his
for as long as he goes on (the same towards everybody, or, if it is `symmetric`, another towards each); what comes from
outside and answers nothing is dropped without a word. It is dropped at the router's own door too: a packet that came
early and was let in there would be remembered by the kernel, and stand in the way of a hole that is punched later.

    with two_nats() as net:
        anna = machine("anna", inside=net["anna"].enter)
        net.restart("north")              forgets whom it let speak; from then on speaks from other ports

Linux, where namespaces can be made (root, or user namespaces) and nft or iptables is there; whoever asks elsewhere is
skipped, loudly. The namespaces have no names and last as long as the test's process: nothing is left of a killed one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.machines import Network, networks
from tests.net.lan import ETH

HOMES: Final = {"north": ("anna", "berta"), "south": ("cleo", "dora")}
OUTSIDE: Final = ("relay", "js", "stun")
WAN, LAN = "wan", "lan"
FORGET: Final = Path(__file__).with_name("forget.py")
_ADDRESSES: Final = {
    "relay": "198.18.0.2", "js": "198.18.0.3", "stun": "198.18.0.4", "north": "198.18.0.11", "south": "198.18.0.12",
    "anna": "10.77.1.2", "berta": "10.77.1.3", "cleo": "10.77.2.2", "dora": "10.77.2.3",
}  # fmt: skip
_NOWHERE: Final = (
    "198.18.0.1"  # forwards nothing: what goes to other addresses is lost without a word, as it is out there
)
_PORTS, _RANGES = (
    10_000,
    4,
)  # of a router between two restarts; how many such ranges there are before the first is again

_NFT: Final = """
flush ruleset
table ip home {{
  chain door {{ type filter hook input priority 0; iifname "wan" ct state != {{ established, related }} drop; }}
  chain through {{ type filter hook forward priority 0; iifname "wan" ct state != {{ established, related }} drop; }}
  chain leave {{
    type nat hook postrouting priority 100;
    oifname "wan" meta l4proto {{ tcp, udp }} masquerade to :{first}-{last}{random}
    oifname "wan" masquerade
  }}
}}
"""
_IPTABLES: Final = """*filter
-A INPUT -i wan -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP
-A FORWARD -i wan -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP
COMMIT
*nat
-A POSTROUTING -o wan -p tcp -j MASQUERADE --to-ports {first}-{last}{random}
-A POSTROUTING -o wan -p udp -j MASQUERADE --to-ports {first}-{last}{random}
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
"""


@dataclass
class TwoNats:
    """Networks by name: those of two homes, their routers, and who is outside."""

    places: dict[str, Network]
    symmetric: bool
    _restarts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HOMES, 0))

    def __getitem__(self, name: str) -> Network:
        return self.places[name]

    def address(self, name: str) -> str:
        return _ADDRESSES[name]

    def restart(self, router: str) -> None:
        """All that it let through is forgotten, and nobody inside keeps the port he had outside."""
        self._restarts[router] += 1
        self.rule(router)
        _run([*self[router].enter, sys.executable, str(FORGET)])

    def rule(self, router: str) -> None:
        first = 20_000 + _PORTS * (self._restarts[router] % _RANGES)
        nft = _tool() == "nft"
        random = "" if not self.symmetric else " fully-random" if nft else " --random-fully"
        rules = (_NFT if nft else _IPTABLES).format(first=first, last=first + _PORTS - 1, random=random)
        command = ["nft", "-f", "-"] if nft else ["iptables-restore"]
        done = subprocess.run(
            [*self[router].enter, *command], input=rules, capture_output=True, text=True, timeout=20
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"NOT RUN: this kernel makes no router for us: {done.stderr.strip()[:300]}")

    def plug(self, router: str, is_in: bool) -> None:
        """Pull the cable to the outside, or put it back."""
        self[router].ip("link", "set", WAN, "up" if is_in else "down")


def _tool() -> str:
    for tool, needed in (("nft", "nft"), ("iptables", "iptables-restore")):
        if shutil.which(needed):
            return tool
    pytest.skip("NOT RUN: a router takes nft or iptables, and neither is installed here")


@contextmanager
def two_nats(*, symmetric: bool = False, rate: str = "") -> Iterator[TwoNats]:
    """The homes and what is between them. rate: of what leaves each router for outside, as tc says it ("10mbit")."""
    _tool()
    names = ["internet", *OUTSIDE, *HOMES, *(name for home in HOMES.values() for name in home)]
    with networks(len(names)) as made:
        net = TwoNats(dict(zip(names, made, strict=True)), symmetric)
        for network in made:
            for which in ("all", "default"):
                network.write(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "1")
        _bridge(net["internet"], "internet")
        net["internet"].ip("address", "add", f"{_NOWHERE}/24", "dev", "internet")
        for name in OUTSIDE:
            _plug_in(net["internet"], "internet", net[name], name, ETH, net.address(name))
            net[name].ip("route", "add", "default", "via", _NOWHERE)
        for number, (router, people) in enumerate(HOMES.items(), 1):
            _plug_in(net["internet"], "internet", net[router], router, WAN, net.address(router))
            net[router].ip("route", "add", "default", "via", _NOWHERE)
            net[router].write("/proc/sys/net/ipv4/ip_forward", "1")
            _bridge(net[router], LAN)
            net[router].ip("address", "add", f"10.77.{number}.1/24", "dev", LAN)
            for name in people:
                _plug_in(net[router], LAN, net[name], name, ETH, net.address(name))
                net[name].ip("route", "add", "default", "via", f"10.77.{number}.1")
            net.rule(router)
            if rate:
                limit = f"tc qdisc add dev {WAN} root tbf rate {rate} burst 64k latency 50ms"
                _run([*net[router].enter, *limit.split()])
        yield net


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)


def _bridge(network: Network, name: str) -> None:
    network.ip("link", "add", name, "type", "bridge")
    network.ip("link", "set", name, "up")


def _plug_in(hub: Network, bridge: str, network: Network, name: str, interface: str, address: str) -> None:
    """A cable from a network to a bridge; the end at the bridge has the name of who is at the other."""
    end = f"to-{name}"
    hub.ip("link", "add", end, "type", "veth", "peer", "name", interface, "netns", str(network.pid))
    hub.ip("link", "set", end, "master", bridge, "up")
    network.ip("address", "add", f"{address}/24", "dev", interface)
    network.ip("link", "set", interface, "up")
