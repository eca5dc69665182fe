"""What the figures were measured on: they mean nothing without it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("numpy", "jax", "aiortc", "aiolibdatachannel", "cryptography", "msgspec")


def describe() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": load(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "commit": _commit(),
    }


def lines(machine: dict[str, Any]) -> Iterator[str]:
    yield f"machine   {machine['cpu']}, {machine['cores']} cores, load {machine['load']} before, {machine['system']}"
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    yield f"versions  gossip at {machine['commit'] or 'no commit'}, Python {machine['python']}, {packages}"


def load() -> float | None:
    """Processes that wanted to run in the last minute, on average: above the cores, the machine was busy."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def children_cpu_s() -> float:
    """Processor time of all processes that we started and that have ended, their own children included."""
    times = os.times()
    return times.children_user + times.children_system


def machine_cpu_s() -> float | None:
    """Processor time that anything on this machine has taken since it started. Linux only."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = (int(ticks) for ticks in first[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _cpu() -> str:
    try:
        rows = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        rows = []
    names = [row.split(":", 1)[1].strip() for row in rows if row.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()
