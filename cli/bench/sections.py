"""Which sections there are, in the order in which they run: what is quick first.

Rule kept here: nothing is imported before it is measured, so that a section weighs no more than itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

from cli.bench import machine
from cli.bench.figures import Section, rows_of

Measure = Callable[[bool], Section]  # asked whether to be quick


def _codec(quick: bool) -> Section:
    from cli.bench import codec

    return codec.measure()


def _startup(quick: bool) -> Section:
    from cli.bench import startup

    return startup.measure(quick=quick)


def _replay(quick: bool) -> Section:
    from cli.bench import replay

    return replay.measure()


def _simulator(quick: bool) -> Section:
    from cli.bench import simulator

    return simulator.measure(quick=quick)


def _size(quick: bool) -> Section:
    from cli.bench import size

    return size.measure()


def _dataplane(quick: bool) -> Section:
    from cli.bench import dataplane

    return dataplane.measure(quick=quick)


def _time_to_accuracy(quick: bool) -> Section:
    from cli.bench import time_to_accuracy

    return time_to_accuracy.measure(quick=quick)


def _entries(quick: bool) -> Section:
    from cli.bench import logbook

    return logbook.measure(quick=quick)


def _training(quick: bool) -> Section:
    from cli.bench import training

    return training.measure(quick=quick)


def _stall(quick: bool) -> Section:
    from cli.bench import stall

    return stall.measure(quick=quick)


def _large(quick: bool) -> Section:
    from cli.bench import large

    return large.measure(quick=quick)


def _scale(quick: bool) -> Section:
    from cli.bench import scale

    return scale.measure(quick=quick)


def _wide(quick: bool) -> Section:
    from cli.bench import wide

    return wide.measure(quick=quick)


SECTIONS: Final[Mapping[str, Measure]] = {
    "size": _size,
    "startup": _startup,
    "codec": _codec,
    "entries": _entries,
    "replay": _replay,
    "training": _training,
    "simulator": _simulator,
    "scale": _scale,
    "dataplane": _dataplane,
    "stall": _stall,
    "large": _large,
    "wide": _wide,
    "time-to-accuracy": _time_to_accuracy,
}


def measured(
    parts: Mapping[str, Measure], only: Iterable[str], *, quick: bool, command: str, tell: Callable[[str], object]
) -> dict[str, Any]:
    """Measure the sections named (none: all). Each is told when it is there, so that who ends this keeps what came
    before; the same facts come back as a document."""
    wanted = set(only) or set(parts)
    begun, when, about = perf_counter(), datetime.now(UTC), machine.describe()
    tell("\n".join([f"command   {command}", f"date      {when:%Y-%m-%d %H:%M} UTC", *machine.lines(about)]))
    sections: list[Section] = []
    for name in (name for name in parts if name in wanted):
        progress(name)
        sections.append(parts[name](quick))
        progress("")
        tell("\n".join(sections[-1].lines()))
    tell(f"\n{perf_counter() - begun:.0f} s in all, load {machine.load()} after")
    head = {"command": command, "date": when.isoformat(timespec="seconds"), "machine": about}
    return {**head, "figures": rows_of(sections)}


def progress(text: str) -> None:
    """What runs now, on a terminal only, on a line that goes away again."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)  # noqa: T201
