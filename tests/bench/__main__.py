"""`make bench`: figures, ratios and goals in one table.

    python -m tests.bench [--seeds N | --quick] [--only SECTION ...] [--json FILE]

It never fails on a slow figure; it prints. What each row means: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

from tests.bench import (
    catchup,
    codec,
    data,
    demo,
    filterlists,
    fuzz,
    houses,
    ledger,
    machine,
    million,
    net,
    pace,
    poison,
    policy,
    replay,
    rules,
    score,
    simulator,
    startup,
    store,
    traffic,
    transport,
)
from tests.bench.figures import Section, rows_of

SEEDS: Final = 5
SECTIONS: Final = (
    "codec",
    "startup",
    "ledger",
    "long",
    "replay",
    "data",
    "score",
    "store",
    "traffic",
    "catchup",
    "transport",
    "simulator",
    "policy",
    "houses",
    "poison",
    "pace",
    "net",
    "filterlists",
    "rules",
    "fuzz",
    "demo",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Figures, ratios and goals.")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help="demos to run, a minute each")
    parser.add_argument("--quick", action="store_true", help="one demo, a shorter ledger, and no swarm of 100 peers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same facts to FILE")
    parser.add_argument("--only", nargs="+", choices=SECTIONS)
    given = parser.parse_args()
    seeds = 1 if given.quick else given.seeds
    parts: dict[str, Callable[[], Section]] = {
        "codec": codec.measure,
        "startup": startup.measure,
        "ledger": ledger.measure,
        "long": lambda: million.measure(quick=given.quick),
        "replay": replay.measure,
        "data": lambda: data.measure(quick=given.quick),
        "score": lambda: score.measure(quick=given.quick),
        "store": store.measure,
        "catchup": lambda: catchup.measure(quick=given.quick),
        "traffic": lambda: traffic.measure(quick=given.quick),
        "transport": transport.measure,
        "simulator": lambda: simulator.measure(quick=given.quick),
        "policy": lambda: policy.measure(quick=given.quick),
        "houses": lambda: houses.measure(quick=given.quick),
        "poison": lambda: poison.measure(quick=given.quick),
        "pace": lambda: pace.measure(quick=given.quick),
        "net": lambda: net.measure(quick=given.quick),
        "filterlists": lambda: filterlists.measure(quick=given.quick),
        "rules": lambda: rules.measure(quick=given.quick),
        "fuzz": lambda: fuzz.measure(quick=given.quick),
        "demo": lambda: demo.measure(seeds, _progress),
    }
    begun, when = perf_counter(), datetime.now(UTC)
    about = machine.describe()
    sections: list[Section] = []
    for name, measure in parts.items():
        if given.only is None or name in given.only:
            _progress(name)
            sections.append(measure())
    _progress("")
    command = " ".join(["python -m tests.bench", *sys.argv[1:]])
    for line in (f"command   {command}", f"date      {when:%Y-%m-%d %H:%M} UTC", *machine.lines(about)):
        print(line)
    for section in sections:
        print("\n".join(section.lines()))
    print(f"\n{perf_counter() - begun:.0f} s in all, load {machine.load()} after")
    if given.json is not None:
        document = {"command": command, "date": when.isoformat(timespec="seconds"), "machine": about}
        given.json.write_text(json.dumps({**document, "figures": rows_of(sections)}, indent=2) + "\n")


def _progress(text: str) -> None:
    """What runs now, on a terminal only, on a line that goes away again."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
