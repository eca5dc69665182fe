"""The kernel forgets every connection that this network's router carries: `conntrack -F`, which is rarely installed."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final

_DELETE: Final = 1 << 8 | 2  # ctnetlink's IPCTNL_MSG_CT_DELETE; of no entry in particular: of all
_REQUEST, _ACKNOWLEDGE = 1, 4
_NETLINK_NETFILTER: Final = 12


def main() -> None:
    family = struct.pack("=BBH", socket.AF_INET, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as kernel:
        kernel.settimeout(20)
        kernel.send(struct.pack("=LHHLL", 16 + len(family), _DELETE, _REQUEST | _ACKNOWLEDGE, 1, 0) + family)
        (error,) = struct.unpack_from("=i", kernel.recv(4096), 16)
    sys.exit(f"the kernel does not forget: error {-error}" if error else 0)


if __name__ == "__main__":
    main()
