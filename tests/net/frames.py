"""What a switch needs to know of an Ethernet frame."""

from __future__ import annotations

import struct
from typing import Final

MDNS: Final = 5353
_TO_MANY: Final = 1  # of a frame's first byte: for a group, or for everybody


class Frame:
    """One frame, as it came; its headers read as far as they are there."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.to, self.by = data[:6], data[6:12]
        self.is_to_many = bool(data[0] & _TO_MANY)
        self.is_ip = data[12:14] == b"\x08\0"
        self.is_udp = self.is_ip and data[23] == 17
        self.is_tcp = self.is_ip and data[23] == 6
        at = 14 + 4 * (data[14] & 15) if self.is_ip else 0
        self.ports = struct.unpack_from(">HH", data, at) if self.is_udp or self.is_tcp else (0, 0)
        self.is_mdns = self.is_udp and MDNS in self.ports
