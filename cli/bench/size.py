"""Bytes on disk of what an auditor installs, and of what a peer does.

    gossip-swarm --needs--> distributions --need--> ... : each once, by what their installers wrote down (RECORD)

Nothing is downloaded: the sizes are those of the packages beside this one, compiled bytecode included where installing
made it. Python itself, pip and what else lives in the environment do not count. Of a checkout that was never installed
nothing is known but its rooms, so its pyproject's needs cannot be followed: there the section says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from cli.bench.machine import ROOT

OURS: Final = "gossip-swarm"
ROOMS: Final = ("cli", "gossip", "ledger")  # an editable install lists none of their files
GOALS_MB: Final = {"auditor": (60, ""), "peer": (860, "peer")}  # and the extra that it asks for
NAMED: Final = 4  # so many of the largest are named

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRAS: Final = re.compile(r"\s*\[([^]]*)\]")
_ASKED: Final = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def measure() -> Section:
    return Section("installed size: 10^6 bytes of the distributions needed, without Python", tuple(_figures()))


def _figures() -> Iterator[Figure]:
    for who, (limit, extra) in GOALS_MB.items():
        name, goal = f"{who} ({OURS}{f'[{extra}]' if extra else ''})", Goal(limit)
        try:
            found, lacking = closure(OURS, extra)
        except metadata.PackageNotFoundError:
            yield Figure(name, None, "MB", goal, note=f"{OURS} is not installed here: its needs are not known")
            continue
        if lacking:
            yield Figure(name, None, "MB", goal, note=f"not installed here: {', '.join(sorted(lacking))}")
            continue
        sizes = {one: size_bytes(dist) for one, dist in found.items()}
        largest = sorted(sizes, key=lambda one: -sizes[one])[:NAMED]
        parts = ", ".join(f"{one} {sizes[one] / 1e6:.1f}" for one in largest)
        yield Figure(name, sum(sizes.values()) / 1e6, "MB", goal, note=f"{len(sizes)} distributions: {parts}")


def closure(name: str, *extras: str) -> tuple[dict[str, metadata.Distribution], set[str]]:
    """Whatever a distribution needs, itself included, by name; and what of it is not there though nothing excuses it.

    Conditions on the platform are not evaluated: what one excludes is not installed, and does not count.
    """
    found: dict[str, metadata.Distribution] = {}
    lacking: set[str] = set()
    asked: set[tuple[str, str]] = set()
    waiting = [(_plain(name), extra) for extra in ("", *extras)]
    while waiting:
        name, extra = one = waiting.pop()
        if one in asked:
            continue
        asked.add(one)
        dist = found[name] = found.get(name) or metadata.distribution(name)
        for needed, its_extras, condition in map(_read, dist.requires or ()):
            for_extra = _ASKED.search(condition)
            if (for_extra[1] if for_extra else "") != extra:
                continue
            try:
                metadata.distribution(needed)
            except metadata.PackageNotFoundError:
                if not _ASKED.sub("", condition).strip(" ;()"):
                    lacking.add(needed)
                continue
            waiting += [(needed, more) for more in ("", *its_extras)]
    return found, lacking


def size_bytes(dist: metadata.Distribution) -> int:
    """Of the files that installing wrote, as far as they are still there."""
    files = {Path(str(dist.locate_file(file))).resolve() for file in dist.files or ()}
    if _plain(dist.metadata["Name"]) == OURS:
        files |= {path for room in ROOMS for path in (ROOT / room).rglob("*")}
    return sum(path.stat().st_size for path in files if path.is_file())


def _read(line: str) -> tuple[str, list[str], str]:
    """A requirement such as `typer[all]>=0.20; python_version < "4" and extra == "cli"`: name, extras, condition."""
    needed, _, condition = line.partition(";")
    name = _NAME.match(needed)
    assert name is not None, line
    extras = _EXTRAS.match(needed, name.end())
    return _plain(name[0]), [_plain(one.strip()) for one in extras[1].split(",")] if extras else [], condition


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
