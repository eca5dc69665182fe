"""The demo as a person runs it, several seeds, and what it came to.

    first merge, wall time     as the demo says, from its own start
    peak memory                node and training process, each at its highest, added; read from /proc while they run
    gap closed                 (swarm - alone) / (pooled - alone) of PR-AUC on sites that no peer has seen
    update                     the deltas in the exported bundle, beside the model in float32

The gap has two rows: the mean over the peers, and the smallest peer. The same on unseen domains is printed
beside and judged by nobody: two thousand rows are noise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from time import sleep
from typing import Any, Final

from cli import control
from cli.bench.figures import Figure, Goal, Section
from cli.bench.machine import ROOT, children_cpu_s, machine_cpu_s
from gossip.training.spec import FILTERLIST, ModelSpec
from ledger.errors import GossipError

WATCH_EVERY_S: Final = 1.0
GIVE_UP_S: Final = 240.0
FIRST_MERGE: Final = Goal(6)
WALL: Final = Goal(90)
PEAK: Final = Goal(400)
GAP: Final = Goal(0.8, at_most=False)
DELTA: Final = Goal(1 / 50)

Scores = dict[str, float]


@dataclass(slots=True)
class Watched:
    """One peer, looked at from outside while the demo runs."""

    directory: Path
    peaks_kb: dict[int, int] = field(default_factory=dict)  # by process
    domains: dict[str, Scores] = field(default_factory=dict)  # alone and swarm, as last said

    def look(self) -> None:
        try:
            status = control.ask(self.directory, "status", timeout_s=1.0)
        except GossipError:
            return  # not up yet, or busy: next time
        if status is None:
            return
        said = status["status"]
        self.domains = said.get("groups", {}).get("domains") or self.domains
        for pid in (said["pid"], *children_of(said["pid"])):
            self.peaks_kb[pid] = max(self.peaks_kb.get(pid, 0), _peak_kb(pid))

    @property
    def peak_mb(self) -> float:
        return sum(self.peaks_kb.values()) * 1024 / 1e6


@dataclass(frozen=True, slots=True)
class Run:
    seed: int
    said: dict[str, Any]  # the demo's own JSON
    cpu_s: float
    others_cpu_s: float | None  # what the rest of the machine took meanwhile
    peaks_mb: tuple[float, ...]
    closed: float  # of the gap, over the means of all peers
    closed_smallest: float
    closed_domains: float | None
    deltas: tuple[int, ...]  # bytes

    @property
    def scores(self) -> str:
        alone, swarm = _means(self.said["peers"])
        smallest = self.said["peers"][-1]["alone"]["pr_auc"]
        return f"alone {alone:.3f} (smallest {smallest:.3f})  swarm {swarm:.3f}  pooled {_auc(self.said['pooled']):.3f}"


def measure(seeds: int, tell: Callable[[str], None]) -> Section:
    """Never raises because of a demo that fails: that is a row, too."""
    runs: list[Run] = []
    failed: list[Figure] = []
    for seed in range(1, seeds + 1):
        tell(f"demo, seed {seed} of {seeds}")
        with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
            try:
                runs.append(_run(seed, Path(folder) / "demo"))
            except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
                failed.append(Figure(f"seed {seed}", None, note=f"failed: {error}"))
    transport = "+".join(sorted({run.said["transport"] for run in runs})) or "none"
    figures = [figure for run in runs for figure in _of_one(run)]
    return Section(f"demo: gossip demo --json, {transport}", (*figures, *failed, *(_of_all(runs) if runs else ())))


def _of_one(run: Run) -> Iterator[Figure]:
    peers = run.said["peers"]
    name = f"seed {run.seed}"
    yield Figure(f"{name}  first merge", run.said["first_merge_s"], "s", FIRST_MERGE)
    others = "" if run.others_cpu_s is None else f", others {run.others_cpu_s:.0f} s"
    note = f"{run.said['updates']} updates; {run.cpu_s:.0f} s of a core{others}"
    yield Figure(f"{name}  whole demo", run.said["wall_s"], "s", WALL, note=note)
    each = "  ".join(f"{peer['name']} {peak:.0f}" for peer, peak in zip(peers, run.peaks_mb, strict=True))
    yield Figure(f"{name}  peak memory, largest peer", max(run.peaks_mb), "MB", PEAK, digits=0, note=each)
    yield Figure(f"{name}  gap closed, mean of peers", run.closed, "%", note=run.scores)
    yield Figure(f"{name}  gap closed, smallest peer", run.closed_smallest, "%")
    yield Figure(f"{name}    (unseen domains, mean of peers)", run.closed_domains, "%")


def _of_all(runs: list[Run]) -> Iterator[Figure]:
    name = f"median of {len(runs)}"
    merges = [run.said["first_merge_s"] for run in runs if run.said["first_merge_s"] is not None]
    yield Figure(f"{name}  first merge", median(merges) if merges else None, "s", FIRST_MERGE)
    yield Figure(f"{name}  whole demo", median(run.said["wall_s"] for run in runs), "s", WALL)
    peaks = [max(run.peaks_mb) for run in runs]
    yield Figure(f"{name}  peak memory, largest peer", median(peaks), "MB", PEAK, digits=0)
    yield Figure(f"{name}  gap closed, mean of peers", median(run.closed for run in runs), "%", GAP)
    yield Figure(f"{name}  gap closed, smallest peer", median(run.closed_smallest for run in runs), "%", GAP)
    domains = [run.closed_domains for run in runs if run.closed_domains is not None]
    yield Figure(f"{name}    (unseen domains, mean of peers)", median(domains) if domains else None, "%")
    whole = 4 * ModelSpec.parse(FILTERLIST).parameters
    sizes = [size for run in runs for size in run.deltas]
    note = f"{median(sizes):,.0f} bytes, {len(sizes)} updates; float32 model {whole:,} bytes"
    yield Figure("an update / float32 model, median", median(sizes) / whole, "1/", DELTA, note=note)
    yield Figure("an update / float32 model, largest", max(sizes) / whole, "1/", DELTA, note=f"{max(sizes):,} bytes")


def _run(seed: int, place: Path) -> Run:
    """One demo to its end. ValueError if it ended badly."""
    before, all_before = children_cpu_s(), machine_cpu_s()
    command = [sys.executable, "-m", "cli", "demo", "--json", "--seed", str(seed), "--dir", str(place)]
    watched: list[Watched] = []
    # Its output is one short document at the end, so that a pipe that nobody reads meanwhile cannot fill up.
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(int(GIVE_UP_S / WATCH_EVERY_S)):
            if process.poll() is not None:
                break
            known = {each.directory for each in watched}
            watched += [Watched(path) for path in sorted(place.glob("peer[0-9]*")) if path not in known]
            for each in watched:
                each.look()
            sleep(WATCH_EVERY_S)
        else:
            process.terminate()
        out, err = process.communicate()
    own, everything = children_cpu_s() - before, machine_cpu_s()
    if process.returncode != 0:
        raise ValueError(f"exit {process.returncode}: {(err.strip().splitlines() or ['it said nothing'])[-1]}")
    said = json.loads(out)
    looked = {each.directory.name: each for each in watched}
    peers = [looked[f"peer{number}"] for number in range(1, len(said["peers"]) + 1)]  # the largest share first
    smallest = said["peers"][-1]
    alone, swarm = _means(said["peers"])
    return Run(
        seed=seed, said=said, cpu_s=own,
        others_cpu_s=None if everything is None or all_before is None else max(0.0, everything - all_before - own),
        peaks_mb=tuple(
            each.peak_mb or peer["rss_mb"] for each, peer in zip(peers, said["peers"], strict=True)
        ),
        closed=_closed(alone, swarm, _auc(said["pooled"])),
        closed_smallest=_closed(_auc(smallest["alone"]), _auc(smallest["swarm"]), _auc(said["pooled"])),
        closed_domains=_domains(peers, place / "pooled.log"),
        deltas=tuple(path.stat().st_size for path in Path(said["bundle"]).glob("blobs/*") if path.is_file()),
    )  # fmt: skip


def _domains(peers: list[Watched], log: Path) -> float | None:
    """The gap closed on unseen domains, by what peers said last; the comparison's own log has the rest."""
    pooled = json.loads(log.read_text().strip().splitlines()[-1]).get("domains")
    rows = [each.domains for each in peers]
    if pooled is None or not all(row.get("alone") and row.get("swarm") for row in rows):
        return None
    alone, swarm = (mean(_auc(row[which]) for row in rows) for which in ("alone", "swarm"))
    return _closed(alone, swarm, _auc(pooled))


def _means(peers: list[dict[str, Any]]) -> tuple[float, float]:
    alone, swarm = (mean(_auc(peer[which]) for peer in peers) for which in ("alone", "swarm"))
    return alone, swarm


def _auc(scores: Any) -> float:
    return float(scores["pr_auc"])


def _closed(alone: float, swarm: float, pooled: float) -> float:
    if pooled <= alone:
        raise ValueError(f"there is no gap to close: alone {alone:.3f}, pooled {pooled:.3f}")
    return (swarm - alone) / (pooled - alone)


def children_of(pid: int) -> list[int]:
    """The training process of a node. Linux only; elsewhere none, and the demo's own figure stands."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def _peak_kb(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith("VmHWM")), 0)
