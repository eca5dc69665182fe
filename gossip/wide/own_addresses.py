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


def _is_own_only(host: str) -> bool:
    ip = ipaddress.ip_address(host)
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified


def _hosts() -> list[str]:
    import psutil

    return [
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family == socket.AF_INET
    ]
