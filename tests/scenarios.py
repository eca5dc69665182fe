"""`make scenarios`: every scenario of `gossip simulate --list` once, and what changed since the figures in the tree.

    python -m tests.scenarios [NAME ...] [--peers N] [--seed K] [--jobs N] [--write]

CI runs it after the tests. What must hold and did not ends with status 1, and with the command that shows it again; a
figure that changed is printed and fails nothing, for most changes of a protocol change some. `--write` puts the new
figures into docs/simulated.json. Figures follow from scenario and seed on one kind of processor; accuracies may differ
in the last digits on another one, and with them traces.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from cli.bench.machine import ROOT, children_cpu_s, describe, lines
from gossip.sim import simulate
from gossip.sim.scenario_file import load_scenario, scenario_names

KEPT: Final = ROOT / "docs" / "simulated.json"
PEERS: Final = 8
JOBS: Final = 2
FIGURES: Final = {  # by their names in the report: how each is printed
    "updates": ",.0f", "accuracy_mean": ".4f", "accuracy_worst": ".4f", "accuracy_spread": ".6f",
    "bytes_per_peer": ",.0f", "virtual_s": ".2f", "events": ",.0f",
}  # fmt: skip

Figures = dict[str, Any]


def run_one(name: str, peers: int, seed: int) -> dict[str, Any]:
    """The report of one scenario, and the command that shows it again."""
    report = simulate(load_scenario(name, peers=peers, seed=seed))
    again = ["gossip", "simulate", name, "--peers", str(peers), "--seed", str(seed)]
    return {**report.as_json(), "wrong": report.wrong, "scenario": name, "again": shlex.join(again)}


def figures(report: Mapping[str, Any]) -> Figures:
    """What is kept of it."""
    return {"trace": report["trace"], **{name: report[name] for name in FIGURES}}


def broken(report: Mapping[str, Any]) -> list[str]:
    """What must hold and did not, in lines; none if all held."""
    return [*report["wrong"], f"see it again with: {report['again']}"] if report["wrong"] else []


def changes(before: Mapping[str, Any] | None, now: Figures) -> list[str]:
    """What is otherwise than in the figures kept before."""
    if before is None:
        return ["no figures of it were kept"]
    said = []
    for name, spelled in FIGURES.items():
        old, new = before.get(name), now[name]
        if old != new:
            said.append(f"{name} {_spell(old, spelled)} -> {_spell(new, spelled)}{_percent(old, new)}")
    return said or (["another trace, the same figures"] if before.get("trace") != now["trace"] else [])


def _spell(value: Any, spelled: str) -> str:
    return format(value, spelled) if isinstance(value, int | float) else "none"


def _percent(old: Any, new: Any) -> str:
    if not isinstance(old, int | float) or not isinstance(new, int | float) or not old:
        return ""
    return f" ({100 * (new - old) / old:+.1f}%)"


def told(report: Mapping[str, Any], kept: Mapping[str, Any]) -> Iterator[str]:
    """A scenario in a line, and below it what changed and what broke."""
    now, name = figures(report), report["scenario"]
    shown = [f"{key} {_spell(now[key], spelled)}" for key, spelled in FIGURES.items() if key != "events"]
    yield f"{name:<12} {', '.join(shown)}  ({report['wall_s']:.1f} s)"
    if changed := changes(kept.get(name), now):
        yield f"{'':<12} changed: {'; '.join(changed)}"
    yield from (f"{'':<12} BROKEN: {line}" for line in broken(report))


def kept_figures() -> dict[str, Any]:
    """As they are in the tree; of a swarm of `peers` peers and one seed."""
    value: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    return value


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description="Every scenario once.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these, or .toml files")
    parser.add_argument("--peers", type=int, default=PEERS, metavar="N", help=f"in each ({PEERS})")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="of all chance (0)")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help=f"at once ({JOBS})")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {KEPT.relative_to(ROOT)}")
    asked = parser.parse_args(words)
    kept = kept_figures()
    same = (kept.get("peers"), kept.get("seed")) == (asked.peers, asked.seed)
    before = kept.get("scenarios", {}) if same else {}
    for line in lines(describe()):
        print(line)
    began, cpu, failed, found = perf_counter(), children_cpu_s(), 0, {}
    names = asked.names or scenario_names()
    with ExitStack() as stack:
        run_all = map if asked.jobs == 1 else stack.enter_context(ProcessPoolExecutor(asked.jobs)).map
        for report in run_all(partial(run_one, peers=asked.peers, seed=asked.seed), names):
            found[report["scenario"]] = figures(report)
            failed += bool(broken(report))
            for line in told(report, before):
                print(line, flush=True)
    if asked.write:
        write(KEPT, asked.peers, asked.seed, {**before, **found})
    took = f"{perf_counter() - began:.0f} s, {children_cpu_s() - cpu:.0f} s of processor time"
    print(f"{len(found)} scenarios of {asked.peers} peers in {took}, {failed} broken")
    return 1 if failed else 0


def write(path: Path, peers: int, seed: int, scenarios: Mapping[str, Figures]) -> None:
    value = {"peers": peers, "seed": seed, "scenarios": dict(sorted(scenarios.items()))}
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
