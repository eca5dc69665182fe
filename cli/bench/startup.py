"""How long the commands that people type all day take to say something, as whole processes."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from cli.bench.machine import ROOT, children_cpu_s

TIMES: Final = 9
NOTHING: Final = ("-c", "pass")
COMMANDS: Final = {  # and the seconds aimed at
    "gossip --help": (0.5, ("-m", "cli", "--help")),
    "gossip ledger verify --help": (0.3, ("-m", "cli", "ledger", "verify", "--help")),
}


def measure() -> Section:
    words = {"": NOTHING, **{name: line for name, (_, line) in COMMANDS.items()}}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in words}
    for _ in range(TIMES + 1):  # in turn, so that a busy moment slows all of them
        for name, row in taken.items():
            row.append(_run(words[name]))
    # The first run reads the files from disk.
    medians = {name: [median(column) for column in zip(*row[1:], strict=True)] for name, row in taken.items()}
    bare, _ = medians.pop("")
    figures = [Figure("python -c pass", bare, "s", digits=3)]
    for name, (wall, cpu) in medians.items():
        note = f"{wall / bare:.1f} x python -c pass; {cpu:.3f} s of a core"
        figures.append(Figure(name, wall, "s", Goal(COMMANDS[name][0]), digits=3, note=note))
    return Section(f"start-up: whole processes, median of {TIMES}", tuple(figures))


def _run(words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds that passed, and seconds of processor time that the process took."""
    begun, before = perf_counter(), children_cpu_s()
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begun, children_cpu_s() - before
