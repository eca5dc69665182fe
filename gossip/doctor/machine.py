"""What is installed here, and what this machine is: facts that belong into any report of a fault."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import psutil

from gossip.doctor.finding import Finding, fails, ok, warns
from gossip.node.power import battery

BACKENDS: Final = ("aiolibdatachannel", "aiortc")
BESIDE: Final = ("gossip-swarm", "aiohttp", "aioice", "zeroconf", "jax", "numpy", "cryptography")
LOW_PERCENT: Final = 20.0


def imported(names: tuple[str, ...] = BACKENDS) -> dict[str, str]:
    """Which of these libraries load: their version, or why not, behind a "!"."""
    found = {}
    for name in names:
        try:
            importlib.import_module(name)
            found[name] = version(name)
        except (ImportError, OSError) as error:  # OSError: a C library that it wants is missing
            found[name] = f"!{error}"
    return found


def judge_backends(found: Mapping[str, str]) -> Finding:
    there = {name: text for name, text in found.items() if not text.startswith("!")}
    facts = {"python": platform.python_version(), "system": platform.platform(), **versions(), **there}
    if not there:
        why = "; ".join(f"{name}: {text[1:]}" for name, text in found.items())
        return fails(
            "backends", f"no WebRTC library loads: {why}",
            "install the extra named peer again: pip install --force-reinstall 'gossip-swarm[peer]'", **facts,
        )  # fmt: skip
    text = ", ".join(f"{name} {number}" for name, number in there.items())
    if found.get("aiolibdatachannel", "!").startswith("!"):
        text += " (pure Python, slower; Python 3.12 or later has a faster one)"
    return ok("backends", text, **facts)


def versions() -> dict[str, str]:
    found = {}
    for name in BESIDE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def look() -> Finding:
    """Cores, load and battery."""
    cores = os.cpu_count() or 1
    load_1 = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    memory = psutil.virtual_memory().available
    found = battery()
    percent, plugged = (None, True) if found is None else (round(found.percent), found.plugged)
    return judge(cores, load_1, memory, percent, plugged=plugged)


def judge(cores: int, load_1: float, memory: int, percent: int | None, *, plugged: bool) -> Finding:
    facts: dict[str, Any] = {
        "cores": cores, "load": round(load_1, 2), "memory_bytes": memory, "battery_percent": percent, "plugged": plugged
    }  # fmt: skip
    text = f"{cores} core{'' if cores == 1 else 's'}, load {load_1:.1f}, {memory / 1e9:.1f} GB of memory free"
    if percent is not None:
        text += f", battery at {percent}%{'' if plugged else ', not plugged in'}"
    if percent is not None and not plugged and percent < LOW_PERCENT:
        return warns("machine", text, "plug it in, or train less with --duty", **facts)
    if load_1 > 4 * cores:
        return warns("machine", text, "something else keeps it busy: links may take seconds to open", **facts)
    return ok("machine", text, **facts)
