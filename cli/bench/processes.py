"""What processes of others cost: everything below a command, its training and checking processes included.

    /proc/PID/stat            processor time of its own, and when it started: a number is used again, a pair is not
    /proc/PID/status          VmHWM, the most memory that it ever had
    /proc/PID/task/*/children

Looked at again and again, because what has ended can be asked no more: of a process that is killed counts what it had
when it was last looked at. Linux only; elsewhere nothing is known, and that is what is said.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")


class Watched:
    """One command and all that it ever started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._known: set[tuple[int, int]] = set()
        self._cpu_s: dict[tuple[int, int], float] = {}
        self._peak_mb: dict[tuple[int, int], float] = {}

    @property
    def cpu_s(self) -> float | None:
        """Processor seconds so far, as last looked at; None where they cannot be had."""
        return sum(self._cpu_s.values()) if self._cpu_s else None

    @property
    def peak_mb(self) -> float | None:
        """10^6 bytes: each process at its highest, added. They need not have been there at the same time."""
        return sum(self._peak_mb.values()) if self._peak_mb else None

    def look(self) -> None:
        """Read all there is to know now."""
        for pid in self._alive():
            with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
                words = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
                known = (pid, int(words[19]))
                self._known.add(known)
                self._cpu_s[known] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
                rows = (PROC / str(pid) / "status").read_text().splitlines()
                peak = next((int(row.split()[1]) for row in rows if row.startswith("VmHWM")), 0)
                self._peak_mb[known] = max(self._peak_mb.get(known, 0.0), peak * 1024 / 1e6)

    def running(self) -> list[int]:
        """Those of its processes that have not ended: also ones whose parent has."""
        return [pid for pid, started in sorted(self._known) if _started(pid) == started]

    def send(self, number: signal.Signals) -> None:
        """To all of them."""
        for pid in self._alive():
            with suppress(OSError):
                os.kill(pid, number)

    def _alive(self) -> list[int]:
        found = [self.pid, *(pid for pid in self.running() if pid != self.pid)]
        for pid in found:  # it grows meanwhile
            found += [child for child in _children(pid) if child not in found]
        return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError, ValueError):  # any thread may have started them
        for thread in (PROC / str(pid) / "task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def _started(pid: int) -> int | None:
    """When, in the system's ticks; None if it has ended, also if nobody has asked how."""
    try:
        words = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return None if words[0] in "ZX" else int(words[19])
    except (OSError, ValueError, IndexError):
        return None
