"""`gossip score` from file to groups: requests a second of one core, beside what the engine alone takes for the same.

    end to end   reading, features, scores, groups; without lists, and with them
    engine       adblock on the same requests: whether any list blocks one (as a browser asks), and which lists do
                 (as score asks)

The capture is the table that the demo comes with, as JSON lines; the model is the declared one with weights that are
not zero, for speed does not depend on what they are. Lists are those of the development data where they lie beside the
checkout, else one made of the hosts of the capture. Times are processor time, so that a busy machine takes little away;
memory is the peak of a process that scores the same capture once, and ten times over.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Final

import numpy as np

from cli.bench.figures import Figure, Goal, Section
from cli.scoring import Captures, scored
from gossip.advisor.groups import Groups
from gossip.advisor.scorer import Scorer
from gossip.advisor.summary import Summary
from gossip.filterlists.engine import Lists as Engine
from gossip.filterlists.engine import ListText, RuleEngine, is_installed
from gossip.filterlists.mask import masked
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.split import DEMO_TABLE, suffixes
from gossip.model_file import ModelFile, Trained, write_model_file
from gossip.scorers import load_scorer
from gossip.training.calibration import Calibration
from gossip.training.spec import BUILTIN, ModelSpec
from tests.conftest import SHARED_DATA

TIMES: Final = 3
LONGER: Final = 10
LISTS: Final = "lists-2025-05-30_2026-08-14.tgz"
PEAK: Final = (
    "import sys; from cli.app import main\n"
    "try: main()\n"
    "except SystemExit: pass\n"
    "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"  # (ru_maxrss is also of who started it)
    "print(int(status['VmHWM'].split()[0]) * 1024, file=sys.stderr)"
)


def measure(*, quick: bool) -> Section:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        capture, count = _capture(place / "once.jsonl", 1)
        model = _model(place / "m.gossip")
        scorer = load_scorer(model, None)
        times = 1 if quick else TIMES
        alone = count / _cpu_s(lambda: _run(scorer, capture, None), times)
        rows = [row for chunk in _read(capture).chunks() for row in chunk]
        figures = [
            Figure(
                "requests scored a second, a core", alone, "/s", Goal(10_000, at_most=False), 0, f"{count:,} requests"
            )
        ]
        if is_installed():
            figures += _beside(scorer, capture, rows, alone, times)
        else:
            figures.append(Figure("the same beside the engine", None, note="NOT RUN: adblock is not installed"))
        if Path("/proc/self/status").exists():
            once = _peak(capture, model)
            figures.append(Figure("peak memory of a process", once / 1e6, "MB"))
            if not quick:
                more = _peak(_capture(place / "longer.jsonl", LONGER)[0], model) - once
                figures.append(Figure("more of it for ten times the capture", more / 1e6, "MB", Goal(30)))
        return Section("score: a capture from file to groups", tuple(figures))


def _beside(scorer: Scorer, capture: Path, rows: list[Sighting], alone: float, times: int) -> list[Figure]:
    lists, which = _lists(rows)
    engine = Engine(lists)
    any_s = _cpu_s(lambda: [engine.label(row.page, row.url, row.type) for row in rows], times)
    each_s = _cpu_s(lambda: [engine.hits(row.page, row.url, row.type) for row in rows], times)
    with_lists = len(rows) / _cpu_s(lambda: _run(scorer, capture, engine), times)
    of_any, of_each = len(rows) / any_s, len(rows) / each_s
    return [
        Figure("the same, with which lists block each", with_lists, "/s", Goal(10_000, at_most=False), 0, which),
        Figure("the engine alone: blocked or not", of_any, "/s", digits=0),
        Figure("the engine alone: by which lists", of_each, "/s", digits=0),
        Figure("scoring, beside the engine: blocked or not", alone / of_any, "x", digits=2),
        Figure("scoring, beside the engine: by which lists", alone / of_each, "x", digits=2),
    ]


def _read(capture: Path) -> Captures:
    return Captures([capture])


def _run(scorer: Scorer, capture: Path, engine: RuleEngine | None) -> None:
    captures, summary, groups = _read(capture), Summary(), Groups()
    for chunk in scored(scorer, captures, engine):
        summary.add(chunk)
        for row in chunk:
            groups.add(row)
    groups.ordered(masked, top=20)
    assert summary.requests == captures.rows


def _cpu_s(run: Callable[[], object], times: int) -> float:
    run()
    taken = []
    for _ in range(times):
        begun = process_time()
        run()
        taken.append(process_time() - begun)
    return median(taken)


def _capture(path: Path, times: int) -> tuple[Path, int]:
    count = 0
    with gzip.open(DEMO_TABLE, "rt") as table, path.open("w") as out:
        rows = [json.loads(line) for line in table]
        for number in range(times):
            for row in rows:
                kept = {name: row[name] for name in ("page", "url", "type")}
                out.write(
                    json.dumps(kept | {"url": f"{row['url']}{'&' if '?' in row['url'] else '?'}n={number}"}) + "\n"
                )
                count += 1
    return path, count


def _model(path: Path) -> Path:
    spec = ModelSpec.parse(BUILTIN["filterlist"])
    theta = np.random.default_rng(1).standard_normal(spec.parameters).astype(np.float32)
    trained = Trained(
        sources=[], lists=[], labels={}, held_out=0, rounds=0, seed=0, generator="gossip", suffixes=suffixes()
    )
    write_model_file(path, ModelFile(spec, theta, Calibration(), trained))
    return path


def _lists(rows: list[Sighting]) -> tuple[list[ListText], str]:
    archive = SHARED_DATA / LISTS
    if not archive.is_file():
        hosts = sorted({row.domain for row in rows if row.party})
        text = "".join(f"||{host}^$third-party\n" for host in hosts)
        return [ListText("made", text)], f"one made list of {len(hosts):,} rules"
    lists = []
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getnames()):
            file = tar.extractfile(member) if "2026" in member.split("/")[1] and member.endswith(".txt") else None
            if file is not None:
                lists.append(ListText(Path(member).stem, file.read().decode("utf-8", "replace")))
    lines = sum(text.text.count("\n") for text in lists)
    return lists, f"{len(lists)} lists of {lines:,} lines"


def _peak(capture: Path, model: Path) -> float:
    command = [sys.executable, "-c", PEAK, "score", str(capture), "--model", str(model), "--json"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return float(done.stderr.splitlines()[-1])
