"""Where we listen, as others can dial it: no wildcards, and loopback only if we are nowhere else."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

MOST: Final = 4  # of a machine with many interfaces


def own_addresses(listening: Sequence[str], loopback: bool) -> list[str]:
    """Of addresses as libp2p lists them ("/ip4/0.0.0.0/tcp/4001"), those that we tell."""
    told: list[str] = []
    for address in listening:
        words = address.split("/")
        if len(words) != 5 or words[1] != "ip4":
            continue
        hosts = _hosts() if words[2] == "0.0.0.0" else [words[2]]  # noqa: S104  # read, not bound
        told += [f"/ip4/{host}/tcp/{words[4]}" for host in hosts if loopback or not _is_own_only(host)]
    return told[:MOST]


def by_number(address: str, ip: str) -> str:
    """The address of a relay that is reached at `ip` ("": who knows), as those can use it who look up no names."""
    words = address.split("/")
    if ip and words[1].startswith("dns"):
        words[1:3] = ["ip6" if ":" in ip else "ip4", ip]
    return "/".join(words)


def stands_at(host: str) -> list[str]:
    """The IP addresses of whoever listens there; of all interfaces if it listens at all of them."""
    return _hosts(socket.AF_INET, socket.AF_INET6) if host == "0.0.0.0" else [host]  # noqa: S104  # read, not bound


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine is reached there."""
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _is_own_only(host: str) -> bool:
    ip = ipaddress.ip_address(host)
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified


def _hosts(*families: int) -> list[str]:
    import psutil

    return [
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in (families or (socket.AF_INET,))
    ]
