"""What a policy costs a swarm: two swarms of real processes side by side, one under the default policy, one under the
empty one, the same data, model and seed.

    wall time           of a window, per update that a swarm published in it
    processor time      of its nodes, training and checking processes in that window, per update

Side by side, because what else a machine does meanwhile then hits both in the same second. The demo's data for three
peers, the largest share public, rounds as fast as they go, on loopback. The clock starts when all have trained for some
rounds: what is looked at once, when data are published (a process of 0.3 s each for who asks and who shows), is over
by then; comparisons and judgements on own rows go on. Wall time is what a person waits; of processor time a busy
machine takes nothing away.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any, Final

from cli import control
from cli.bench.figures import Figure, Goal, Section
from cli.bench.machine import ROOT
from gossip import zones
from gossip.filterlists.split import Share, write_demo
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST
from ledger.errors import GossipError
from ledger.policies import shipped
from tests.bench.demo import children_of

PEERS: Final = 3
WARM: Final = 10  # rounds of each peer before the clock starts: all are compiled, linked, and have shown records once
WINDOW_S: Final = 40.0
PAIRS: Final = 3
RATIO: Final = Goal(1.05)
GIVE_UP_S: Final = 180.0
TITLE: Final = f"policy: two swarms side by side, {PEERS} peers each in processes of their own, one with public data"
POLICIES: Final = {"default": "filterlist", "empty": "open"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A swarm at one moment."""

    updates: int
    cpu_s: float
    looks: int  # challenges and verdicts


@dataclass(frozen=True, slots=True)
class Run:
    wall_ms: float  # per update
    cpu_ms: float
    looks: int


@dataclass(frozen=True, slots=True)
class Swarm:
    places: list[Path]
    nodes: list[subprocess.Popen[bytes]]

    def ask(self, number: int, command: str, **words: object) -> dict[str, Any]:
        """What a node answers, once it does. ValueError if one ended, or it takes too long."""
        until = perf_counter() + GIVE_UP_S
        while perf_counter() < until:
            if any(node.poll() is not None for node in self.nodes):
                raise ValueError("a node ended early")
            answer = control.ask(self.places[number], command, timeout_s=10.0, **words)
            if answer is not None:
                return dict(answer)
            sleep(0.2)
        raise ValueError("a node does not answer")

    def statuses(self) -> list[dict[str, Any]]:
        return [self.ask(number, "status")["status"] for number in range(PEERS)]

    def sample(self) -> Sample:
        now = self.statuses()
        looks = sum(status["challenges"]["made"] + status["verdicts"]["given"] for status in now)
        return Sample(sum(status["updates"] for status in now), _cpu_s(self.nodes), looks)


def measure(*, quick: bool = False) -> Section:
    """Never raises because a swarm did not come up: that is a row, too."""
    runs: dict[str, list[Run]] = {name: [] for name in POLICIES}
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
        share = write_demo(Path(folder) / "data", peers=PEERS, seed=1)
        for number in range(1 if quick else PAIRS):
            names = list(POLICIES) if number % 2 == 0 else list(reversed(POLICIES))
            try:
                pair = _side_by_side(Path(folder) / f"pair{number}", share, names)
            except (OSError, subprocess.SubprocessError, ValueError, KeyError, GossipError) as error:
                return Section(TITLE, (Figure("two swarms that run", None, note=f"failed: {error}"),))
            for name, run in pair.items():
                runs[name].append(run)
    figures: list[Figure] = []
    takes: dict[str, Callable[[Run], float]] = {"wall": lambda run: run.wall_ms, "processor": lambda run: run.cpu_ms}
    for what, of in takes.items():
        for name in runs:
            each = [of(run) for run in runs[name]]
            note = " ".join(f"{ms:.0f}" for ms in each)
            figures.append(Figure(f"{what} time of an update, {name} policy", median(each), "ms", note=note))
        ratios = [of(a) / of(b) for a, b in zip(runs["default"], runs["empty"], strict=True)]
        note = " ".join(f"{ratio:.3f}" for ratio in ratios)
        figures.append(Figure(f"{what} time, default / empty", median(ratios), goal=RATIO, digits=3, note=note))
    looks = {name: max(run.looks for run in runs[name]) for name in runs}
    note = f"challenges and verdicts; {looks['empty']} under the empty one"
    figures.append(Figure("looks at one another, default policy", looks["default"], digits=0, note=note))
    return Section(TITLE, tuple(figures))


def _side_by_side(place: Path, share: Share, names: list[str]) -> dict[str, Run]:
    """Both swarms, from nothing to the end of the window."""
    swarms: dict[str, Swarm] = {}
    try:
        for name in names:
            swarms[name] = Swarm([place / f"{name}{number}" for number in range(PEERS)], [])
            _found(swarms[name], share, shipped(POLICIES[name]))
        until = perf_counter() + GIVE_UP_S
        while any(status["rounds"] < WARM for swarm in swarms.values() for status in swarm.statuses()):
            if perf_counter() > until:
                raise ValueError("not all peers have begun to train")
            sleep(0.2)
        begun, started = {name: swarm.sample() for name, swarm in swarms.items()}, perf_counter()
        sleep(WINDOW_S)
        ended, wall_s = {name: swarm.sample() for name, swarm in swarms.items()}, perf_counter() - started
    finally:
        nodes = [node for swarm in swarms.values() for node in swarm.nodes]
        for node in nodes:
            node.terminate()
        for node in nodes:
            node.wait()
    runs = {}
    for name in swarms:
        made = ended[name].updates - begun[name].updates
        cpu_s = ended[name].cpu_s - begun[name].cpu_s
        runs[name] = Run(1000 * wall_s / made, 1000 * cpu_s / made, ended[name].looks)
    return runs


def _found(swarm: Swarm, share: Share, policy: str) -> None:
    """Start a swarm: the founder, whose data are public, and the others."""
    first = swarm.places[0]
    create_swarm(
        first, name="bench", task="filterlist", model_text=FILTERLIST, peer_name="peer0", seed=1, policy_text=policy
    )
    zones.make_public(first, share.peers[0][0])
    swarm.nodes.append(_start(first, share, 0))
    ticket = str(swarm.ask(0, "invite", uses=PEERS)["ticket"])
    swarm.nodes.extend(_start(swarm.places[number], share, number, ticket) for number in range(1, PEERS))


def _start(place: Path, share: Share, number: int, ticket: str = "") -> subprocess.Popen[bytes]:
    words = ["join", ticket, "--name", f"peer{number}"] if ticket else ["run"]
    words += ["--dir", str(place), "--data", str(share.peers[number][0]), "--validation", str(share.validation)]
    words += ["--interface", "lo", "--every", "0", "--json", "--until-stdin-closes"]
    out = subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "cli", *words], cwd=ROOT, stdin=subprocess.PIPE, stdout=out, stderr=out,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def _cpu_s(nodes: list[subprocess.Popen[bytes]]) -> float:
    """Processor time of all nodes and the processes that they have, or had. Linux only."""
    ticks = 0
    for node in nodes:
        fields = _stat(node.pid)
        ticks += sum(int(field) for field in fields[11:15])  # user, system, and of children that have ended
        ticks += sum(int(field) for child in children_of(node.pid) for field in _stat(child)[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
