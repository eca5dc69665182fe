"""`make soak`: kills and power cuts by the hundred, and what they cost: nothing, or it says what was lost.

    python -m tests.soak [--kills N] [--cuts N] [--seed N] [--quick]

(Memory over a long run: tests/soak_memory.py. Swarms with random troubles: tests/soak_seeds.py. `make soak` runs both
after this.)

A few of each run in `make test`. Here, 1,000 kill -9 at any moment, the kill between any two steps of append, sign and
send, and 200 power cuts of each sort; then the positive controls, which must lose something. A few minutes; ends with
status 1 if a promise was broken or a control was not caught.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Final

from cli.bench.machine import ROOT
from tests.power.cuts import CUT_NOTHING, Kind, Seen, forgetting, mounted_cut
from tests.power.mounted import why_not
from tests.power.vfs import is_possible
from tests.power.workload import STORE, check

KILLS: Final = 1_000
CUTS: Final = 200
QUICK_KILLS: Final = 20
QUICK_CUTS: Final = 12  # a store that does not sync each commit loses something in every third
KINDS: Final[tuple[Kind, ...]] = ("store", "mark")
FEW: Final = 5  # for a control, one loss is proof


def killed(place: Path, *, kills: int, seed: int) -> Seen:
    """SIGKILL at a random moment; each life goes on with the store that the one before left."""
    luck, seen = Random(seed), Seen()
    words: list[str | Path] = [sys.executable, "-m", "tests.power.workload", "store", place, "FULL"]
    for number in range(kills):
        if number % 25 == 0:
            (place / STORE).unlink(missing_ok=True)  # checking reads all of it
        writer = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        told = [next(writer.stdout) for _ in range(luck.randint(1, 20))]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout
        writer.stdout.close()
        writer.wait()
        promised = int([line for line in told if line.endswith("\n")][-1])
        seen.add(promised, check(place / STORE, promised), f"seed {seed}, kill {number}")
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Kills and power cuts by the hundred.")
    parser.add_argument("--kills", type=int, metavar="N", help=f"kill -9 so often ({KILLS:,})")
    parser.add_argument("--cuts", type=int, metavar="N", help=f"power cuts of each sort ({CUTS})")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_KILLS} kills and {QUICK_CUTS} cuts, a minute")
    given = parser.parse_args()
    usual = (QUICK_KILLS, QUICK_CUTS) if given.quick else (KILLS, CUTS)
    kills, cuts = (usual[0] if given.kills is None else given.kills), (usual[1] if given.cuts is None else given.cuts)
    ok = True

    def row(name: str, run: Callable[[Path], Seen], *, control: bool = False) -> None:
        nonlocal ok
        begun = perf_counter()
        with tempfile.TemporaryDirectory() as place:
            seen = run(Path(place))
        held = bool(seen.faults) if control else not seen.faults
        ok = ok and held
        word = ("caught" if held else "NOT CAUGHT") if control else ("nothing lost" if held else "BROKEN")
        acknowledged = f"{seen.promised:,} acknowledged" if seen.promised else ""
        faults = f"{len(seen.faults):,} of {seen.cuts:,}"
        print(f"{name:<52}{faults:>16}  {word:<13}{perf_counter() - begun:>5.0f} s  {acknowledged}".rstrip())
        if seen.faults and not control:
            print(*(f"    {fault}" for fault in seen.faults[:5]), sep="\n")
        sys.stdout.flush()

    seed = given.seed
    row("kill -9 at any moment", partial(killed, kills=kills, seed=seed))
    row("kill -9 between any two steps of append, sign, send", partial(_stepped, order="right"))
    row("  control: signed before stored", partial(_stepped, order="sign-first"), control=True)
    if is_possible():
        row("power cut, disk that forgets", partial(forgetting, cuts=cuts, seed=seed))
        for level in ("NORMAL", "OFF"):
            run = partial(forgetting, cuts=cuts, seed=seed, synchronous=level)
            row(f"  control: synchronous = {level}", run, control=True)
    else:
        print(f"NOT RUN: power cuts on a disk that forgets: {CUT_NOTHING}")
    with tempfile.TemporaryDirectory() as place:
        reason = why_not(Path(place))
    if reason:
        print(f"NOT RUN: power cuts on a mounted file system: {reason}")
    else:
        for kind in KINDS:
            row(f"power cut, mounted file system, {kind}", partial(mounted_cut, kind=kind, cuts=cuts, seed=seed))
            run = partial(mounted_cut, kind=kind, cuts=FEW, seed=seed, synchronous="OFF")
            row(f"  control: {kind} without sync", run, control=True)
    sys.exit(0 if ok else 1)


def _stepped(place: Path, order: str) -> Seen:
    words: list[str | Path] = [sys.executable, "-m", "tests.power.steps", place, order]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    steps, *faults = done.stdout.splitlines()
    return Seen(int(steps.removesuffix(" steps")), 0, faults)


if __name__ == "__main__":
    main()
