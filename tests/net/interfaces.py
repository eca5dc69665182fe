"""Interfaces of a network namespace, made and broken by the system's own calls.

Linux, as root of the namespace. A tap is an interface whose cable ends in a file descriptor of ours: what is plugged in
there (switch.py) may lose whatever a test wants lost.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from typing import Self

UP, RUNNING, MULTICAST = 0x1, 0x40, 0x1000
TUN, TAP, NO_PI = 0x1, 0x2, 0x1000
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_MASK, _ADD_ROUTE, _DEL_ROUTE = 0x8913, 0x8914, 0x8916, 0x891C, 0x890B, 0x890C
_TUN_SET, _TUN_CARRIER = 0x400454CA, 0x400454E2
_ROUTE_UP, _ROUTE_REJECT = 0x1, 0x200


def _control(request: int, data: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        return fcntl.ioctl(control, request, data)


def set_flag(name: str, flag: int, on: bool) -> None:
    flags = struct.unpack_from("H", _control(_GET_FLAGS, struct.pack("16s16x", name.encode())), 16)[0]
    flags = flags | flag if on else flags & ~flag
    _control(_SET_FLAGS, struct.pack("16sH14x", name.encode(), flags))


def up(name: str) -> None:
    set_flag(name, UP | RUNNING, True)


def down(name: str) -> None:
    set_flag(name, UP, False)


def give_address(name: str, address: str, mask: str = "255.255.255.0") -> None:
    for request, value in ((_SET_ADDRESS, address), (_SET_MASK, mask)):
        place = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
        _control(request, struct.pack("16s", name.encode()) + place)


def reject(network: str, mask: str, on: bool = True) -> None:
    """A route that says: unreachable."""
    addresses = b"".join(
        struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(each)) for each in (network, "0.0.0.0", mask)
    )
    flags = _ROUTE_UP | _ROUTE_REJECT
    _control(_ADD_ROUTE if on else _DEL_ROUTE, struct.pack("@L", 0) + addresses + struct.pack("@H64x", flags))


class Tap:
    """An interface that lasts as long as this object is open."""

    def __init__(self, name: str, address: str = "", *, kind: int = TAP, is_up: bool = True) -> None:
        self.name = name
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, _TUN_SET, struct.pack("16sH22x", name.encode(), kind | NO_PI))
        if address:
            give_address(name, address)
        if is_up:
            up(name)

    def pull_the_cable(self) -> None:
        fcntl.ioctl(self.fd, _TUN_CARRIER, struct.pack("i", 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
