"""Which program has a port that a peer would need."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

import psutil


def holder(port: int, kind: Literal["tcp4", "udp4"]) -> str:
    """Its name and process; "" where nobody has it, or the system does not tell us (others' programs, mostly)."""
    with suppress(psutil.Error, OSError):
        for one in psutil.net_connections(kind):
            is_waiting = kind == "udp4" or one.status == psutil.CONN_LISTEN
            if is_waiting and one.laddr and one.laddr[1] == port and one.pid:
                return f"{psutil.Process(one.pid).name()}, pid {one.pid}"
    return ""
