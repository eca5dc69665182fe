"""Addresses as libp2p's messages carry them, and which of a stranger's we would ever dial.

    04 7f000001 06 1f90                       /ip4/127.0.0.1/tcp/8080
    ... a503 <PeerId> a202 a503 <PeerId>      .../p2p/<relay>/p2p-circuit/p2p/<peer>

Shapes we dial: TCP at an IP address; the same with a PeerId behind; a circuit through a relay. No name is looked up
because a stranger says so, but those of relays that we were told of (and these are reached where we were told). Of
addresses that mean another machine in each network (private ranges, loopback, link-local) only those of a range that we
stand in ourselves: else anybody could have us knock at services of this machine, or of a network that is not theirs.
All else (QUIC, websockets, ...) is passed over. Pure; known without libp2p.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gossip.peer_ids import MAX_ID_BYTES, base58, unbase58
from gossip.wide.protobuf import read_varint, varint
from ledger.errors import RemoteError

MAX_ADDRESSES: Final = 8  # of one peer: as in a signed offer
MAX_ADDRESS_BYTES: Final = 400  # a circuit through a relay with a long name has 350
_IP4, _TCP, _IP6, _CIRCUIT, _P2P = 4, 6, 41, 290, 421
_NAMES: Final = {53: "dns", 54: "dns4", 55: "dns6"}

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_RANGES: Final[tuple[_Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Near:
    """The ranges of which we stand in one, among those that each network has; PeerIds of relays we were told of."""

    ranges: frozenset[_Network] = frozenset()
    relays: frozenset[str] = frozenset()

    @classmethod
    def of(cls, hosts: Iterable[str], relays: Iterable[str] = ()) -> Near:
        """For who stands at these IP addresses."""
        stands = [ipaddress.ip_address(host.partition("%")[0]) for host in hosts]
        return cls(frozenset(each for each in _RANGES if any(ip in each for ip in stands)), frozenset(relays))


NOWHERE: Final = Near()


def read_address(data: bytes) -> str | None:
    """An address in words, if it is of a shape that somebody dials over TCP; None: of another, or none at all."""
    if len(data) > MAX_ADDRESS_BYTES:
        return None
    parts: list[str] = []
    at = 0
    try:
        while at < len(data):
            code, at = read_varint(data, at)
            if code == _CIRCUIT:
                parts.append("p2p-circuit")
                continue
            if code in (_IP4, _IP6, _TCP):
                length = {_IP4: 4, _IP6: 16, _TCP: 2}[code]
            elif code == _P2P or code in _NAMES:
                length, at = read_varint(data, at)
            else:
                return None
            value, at = data[at : at + length], at + length
            if at > len(data):
                return None
            parts.extend(_words(code, value))
    except (RemoteError, ValueError):
        return None
    text = "/" + "/".join(parts)
    return text if _shape(parts) is not None else None


def _words(code: int, value: bytes) -> tuple[str, str]:
    if code == _IP4:
        return "ip4", str(ipaddress.IPv4Address(value))
    if code == _IP6:
        return "ip6", str(ipaddress.IPv6Address(value))
    if code == _TCP:
        return "tcp", str(int.from_bytes(value, "big"))
    if code == _P2P:
        if not 2 <= len(value) <= MAX_ID_BYTES:
            raise ValueError
        return "p2p", base58(value)
    name = value.decode("ascii")
    if not 0 < len(name) <= 253 or not all(char.isalnum() or char in "-._" for char in name):
        raise ValueError
    return _NAMES[code], name


def write_address(text: str) -> bytes:
    """The bytes of an address in words, of a shape that `read_address` reads. ValueError: it is of another."""
    words, out, at = text.removeprefix("/").split("/"), bytearray(), 0
    while at < len(words):
        name = words[at]
        if name == "p2p-circuit":
            out += varint(_CIRCUIT)
            at += 1
            continue
        value = words[at + 1] if at + 1 < len(words) else ""
        at += 2
        if name == "ip4":
            out += varint(_IP4) + ipaddress.IPv4Address(value).packed
        elif name == "ip6":
            out += varint(_IP6) + ipaddress.IPv6Address(value).packed
        elif name == "tcp":
            out += varint(_TCP) + _port(value)
        elif name == "p2p" and (raw := unbase58(value)) is not None:
            out += varint(_P2P) + varint(len(raw)) + raw
        elif name in _NAMES.values():
            code = next(code for code, spelled in _NAMES.items() if spelled == name)
            out += varint(code) + varint(len(value)) + value.encode("ascii")
        else:
            raise ValueError(f"{text[:80]!r} is of no shape that is dialled")
    return bytes(out)


def _port(text: str) -> bytes:
    number = int(text)
    if not 0 <= number < 65_536:
        raise ValueError
    return number.to_bytes(2, "big")


def _shape(parts: list[str]) -> tuple[str, str, bool] | None:
    """(kind of host, host, is a circuit) of the shapes that are dialled."""
    if len(parts) < 4 or parts[0] not in ("ip4", "ip6", *_NAMES.values()) or parts[2] != "tcp" or parts[3] == "0":
        return None
    rest = parts[4:]
    if not rest or (len(rest) == 2 and rest[0] == "p2p"):
        return parts[0], parts[1], False
    if rest[0] == "p2p" and len(rest) >= 3 and rest[2] == "p2p-circuit" and (len(rest) == 3 or rest[3::2] == ["p2p"]):
        return parts[0], parts[1], True
    return None


def is_dialled(text: str, peer: str, near: Near) -> bool:
    """Whether we would dial a stranger's address of the peer with this PeerId."""
    parts = text.removeprefix("/").split("/")
    shape = _shape(parts)
    if shape is None:
        return False
    kind, host, circuit = shape
    last = parts[5:6] if not circuit else parts[8:9]
    if last and last[0] != peer:
        return False
    if circuit and parts[5] in near.relays:
        return True
    if kind not in ("ip4", "ip6"):
        return False
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    if ip.is_multicast or ip.is_unspecified or (ip.version == 6 and ip.ipv4_mapped is not None):
        return False
    within = [each for each in _RANGES if ip in each]
    return within[0] in near.ranges if within else not ip.is_reserved


def worth_dialling(raw: Iterable[bytes], peer: str, near: Near) -> list[str]:
    """Of the addresses that somebody says a peer has, the first MAX_ADDRESSES different ones that we would dial."""
    kept: dict[str, None] = {}
    for data in raw:
        text = read_address(data)
        if text is not None and is_dialled(text, peer, near):
            kept[text] = None
        if len(kept) == MAX_ADDRESSES:
            break
    return list(kept)
