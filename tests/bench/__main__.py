"""`make bench`: figures, ratios and goals in one table.

    python -m tests.bench [--seeds N | --quick] [--only SECTION ...] [--json FILE]

It never fails on a slow figure; it prints. What each row means: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli.bench.sections import SECTIONS, Measure, measured, progress
from tests.bench import (
    catchup,
    data,
    demo,
    filterlists,
    fuzz,
    houses,
    ledger,
    million,
    net,
    pace,
    poison,
    policy,
    rules,
    score,
    store,
    traffic,
)

SEEDS: Final = 5
OURS: Final[Mapping[str, Measure]] = {
    "ledger": lambda quick: ledger.measure(),
    "long": lambda quick: million.measure(quick=quick),
    "data": lambda quick: data.measure(quick=quick),
    "score": lambda quick: score.measure(quick=quick),
    "store": lambda quick: store.measure(),
    "catchup": lambda quick: catchup.measure(quick=quick),
    "traffic": lambda quick: traffic.measure(quick=quick),
    "policy": lambda quick: policy.measure(quick=quick),
    "houses": lambda quick: houses.measure(quick=quick),
    "poison": lambda quick: poison.measure(quick=quick),
    "pace": lambda quick: pace.measure(quick=quick),
    "net": lambda quick: net.measure(quick=quick),
    "filterlists": lambda quick: filterlists.measure(quick=quick),
    "rules": lambda quick: rules.measure(quick=quick),
    "fuzz": lambda quick: fuzz.measure(quick=quick),
}  # what needs a checkout: tests, shared data, root


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Figures, ratios and goals.")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help="demos to run, a minute each")
    parser.add_argument("--quick", action="store_true", help="one demo, a shorter ledger, and no swarm of 100 peers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same facts to FILE")
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS, *OURS, "demo"], default=())
    given = parser.parse_args()
    seeds = 1 if given.quick else given.seeds
    parts = {**SECTIONS, **OURS, "demo": lambda quick: demo.measure(seeds, progress)}
    command = " ".join(["python -m tests.bench", *sys.argv[1:]])
    document = measured(
        parts, given.only, quick=given.quick, command=command, tell=lambda text: print(text, flush=True)
    )
    if given.json is not None:
        given.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
