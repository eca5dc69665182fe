"""What this machine can give: its battery, its load, and which of its cores the work in the background may use.

    battery, mains --look--> "on battery, 43%" --Pause--> no round begins        mains --look--> "" --> they do again
    cores          --> the training process and the one that looks at others' work (gossip/training/worker.py)

Rules kept here: half of the cores at most unless the user names another number, at least one, and only such as this
process may use itself; a machine that does not tell about a battery has none. It refuses to know what is paused.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

LOOK_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Battery:
    """As the system tells it."""

    percent: float
    plugged: bool


def battery() -> Battery | None:
    """None: there is none, or the system does not tell."""
    import psutil  # 20 ms, and a node begins without

    sensors = getattr(psutil, "sensors_battery", None)  # not on every system
    try:
        found = sensors() if sensors is not None else None
    except (OSError, RuntimeError, ValueError, psutil.Error):  # a kernel's files are as a driver writes them
        return None
    return None if found is None or found.power_plugged is None else Battery(found.percent, found.power_plugged)


def reason(found: Battery | None) -> str:
    """Why not to train on this; "" if nothing speaks against it."""
    return f"on battery, {found.percent:.0f}%" if found is not None and not found.plugged else ""


def usable_cores() -> list[int]:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def choose(wanted: int, usable: list[int], luck: random.Random) -> list[int]:
    """`wanted` of the usable cores, as many as there are; 0: half of them, at least one.

    Which ones is drawn: two peers on one machine must not both sit on the first core while the others idle.
    """
    count = wanted or max(1, len(usable) // 2)
    return sorted(luck.sample(usable, min(count, len(usable))))


class Power:
    """What one node knows of its machine."""

    def __init__(self, wanted_cores: int, luck: random.Random) -> None:
        self.usable = usable_cores()
        self.cores = choose(wanted_cores, self.usable, luck)

    async def watch(self, pause: Callable[[str], Awaitable[None]]) -> None:
        """Look for ever; `pause` is called with the reason whenever the machine leaves the mains, and with "" when it
        is back on them."""
        told = ""
        while True:
            why = reason(battery())
            if bool(why) != bool(told):
                told = why
                await pause(why)
            await asyncio.sleep(LOOK_EVERY_S)

    def report(self) -> dict[str, Any]:
        """For people: docs/status.md, `machine`."""
        import psutil

        found, frequency = battery(), _frequency()
        return {
            "cpu_mhz": frequency,
            "load": round(psutil.getloadavg()[0], 2),
            "battery_percent": None if found is None else round(found.percent),
            "plugged": None if found is None else found.plugged,
            "cores": len(self.cores),
            "of_cores": len(self.usable),
        }


def _frequency() -> int | None:
    import psutil

    try:
        found = psutil.cpu_freq()
    except (OSError, RuntimeError, ValueError, NotImplementedError, psutil.Error):  # not told in every machine
        return None
    return None if found is None else round(found.current)
