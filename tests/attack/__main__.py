"""`make attack`: what hostile members cost, with the setting beside it.

    python -m tests.attack [--quick] [--only SECTION ...] [--json FILE]

It never fails on a figure; it prints, with the goal beside it. What each row means: docs/byzantine.md. A section is one
line in SECTIONS: a name, and a function that measures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: matrices of 32 rows gain nothing by threads

from cli.bench import machine
from cli.bench.figures import Section, rows_of
from tests.attack import cost, floods, links, look, setting, table

SECTIONS: Final[Mapping[str, Callable[..., Section]]] = {
    "control": table.control,
    "fold": table.fold,
    "machines": table.machines,
    "judges": table.judges,
    "unsolved": table.unsolved,
    "clip": table.clip,
    "look": look.measure,
    "cost": cost.measure,
    "links": lambda *, quick: links.measure(),
    "floods": floods.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="What hostile members cost.")
    parser.add_argument("--quick", action="store_true", help="one seed, and two swarms of real machines: two minutes")
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same facts to FILE")
    given = parser.parse_args()
    begun, when, about = perf_counter(), datetime.now(UTC), machine.describe()
    command = " ".join(["python -m tests.attack", *sys.argv[1:]])
    for line in (f"command   {command}", f"date      {when:%Y-%m-%d %H:%M} UTC", *machine.lines(about)):
        print(line)
    print(
        f"setting   digits, MLP 64-32-10, eta {setting.ETA}, {setting.DENSITY:.0%} of a delta kept, clip "
        f"{setting.KAPPA / 65536:g} middle norms, verdicts at {setting.LIMIT_MILLI} thousandths of a nat"
    )
    sections: list[Section] = []
    wanted = [name for name in SECTIONS if given.only is None or name in given.only]
    try:
        for number, name in enumerate(wanted, 1):
            begun_here = perf_counter()
            print(f"\n{number} of {len(wanted)}: {name} ...", file=sys.stderr, flush=True)
            sections.append(SECTIONS[name](quick=given.quick))
            print("\n".join(sections[-1].lines()), flush=True)
            print(f"{name} took {perf_counter() - begun_here:.0f} s", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print(f"\nstopped after {perf_counter() - begun:.0f} s; what stands above is whole", file=sys.stderr)
        sys.exit(130)
    print(f"\n{perf_counter() - begun:.0f} s in all, load {machine.load()} after")
    if given.json is not None:
        document = {"command": command, "date": when.isoformat(timespec="seconds"), "machine": about}
        given.json.write_text(json.dumps({**document, "figures": rows_of(sections)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
