"""How long whole processes take to say something: commands that people type all day, and what a peer imports.

    python -c pass          what everything stands on
    gossip --help           the overview
    gossip ledger verify    of a small bundle, exported on the spot by a peer that founded a swarm for it
    the node's imports      all that a peer's first process loads, but for what opens a link
    the trainer's imports   beside a bare `import jax`

In turn, so that a busy moment slows all of them alike; medians. The first round reads and compiles the files, and does
not count: an installed program finds them compiled, and so PYTHONDONTWRITEBYTECODE is not handed on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from cli.bench.machine import ROOT, children_cpu_s

TIMES: Final = 9
QUICK_TIMES: Final = 3
NOTHING: Final = ("-c", "pass")
JAX: Final = ("-c", "import jax")

Words = tuple[str, ...]


def measure(*, quick: bool = False) -> Section:
    times = QUICK_TIMES if quick else TIMES
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
        verify = _verify(Path(folder))
        rows: Mapping[str, tuple[Words, Goal | None]] = {
            "python -c pass": (NOTHING, None),
            "gossip --help": (("-m", "cli", "--help"), Goal(0.3)),
            "gossip ledger verify BUNDLE": (verify, Goal(0.3)),
            "gossip ledger verify --help": (("-m", "cli", "ledger", "verify", "--help"), Goal(0.3)),
            "the node's imports": (("-c", "import cli.app, cli.running, gossip.node.shell"), None),
            "import jax": (JAX, None),
            "the trainer's imports": (("-c", "import gossip.training.worker, gossip.training.learner"), None),
        }
        taken = _medians({name: words for name, (words, _) in rows.items()}, times)
    bare, jax = taken["python -c pass"][0], taken["import jax"][0]
    figures = []
    for name, (_, goal) in rows.items():
        wall, cpu = taken[name]
        beside = f"{wall / jax:.1f} x import jax" if name.startswith("the trainer") else f"{wall / bare:.1f} x pass"
        figures.append(Figure(name, wall, "s", goal, digits=3, note=f"{beside}; {cpu:.3f} s of a core"))
    return Section(f"start-up: whole processes, median of {times}", tuple(figures))


def _medians(words: Mapping[str, Words], times: int) -> dict[str, tuple[float, float]]:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in words}
    for _ in range(times + 1):
        for name, row in taken.items():
            row.append(_run(words[name]))
    return {
        name: (median(wall for wall, _ in row[1:]), median(cpu for _, cpu in row[1:])) for name, row in taken.items()
    }


def _run(words: Words) -> tuple[float, float]:
    """Seconds that passed, and seconds of processor time that the process took."""
    begun, before = perf_counter(), children_cpu_s()
    subprocess.run([sys.executable, *words], cwd=ROOT, env=_environment(), check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begun, children_cpu_s() - before


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _verify(folder: Path) -> Words:
    """The words that verify a bundle of a swarm of one, which holds what its founder signed when it first ran."""
    gossip, peer, bundle = (sys.executable, "-m", "cli"), str(folder / "peer"), str(folder / "bundle")
    environment = {**_environment(), "GOSSIP_HOME": str(folder)}
    subprocess.run(
        [*gossip, "new", "bench", "--dir", peer], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    command = [*gossip, "run", "--dir", peer, "--json"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if json.loads(line)["event"] == "ready":
                break
        with suppress(ProcessLookupError):
            running.send_signal(signal.SIGINT)
        running.stdout.read()
    exported = subprocess.run(
        [*gossip, "ledger", "bundle", "--dir", peer, "--out", bundle, "--json"],
        cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return ("-m", "cli", "ledger", "verify", bundle, "--swarm", json.loads(exported.stdout)["swarm"])
