"""Many power cuts in a row, and what was found wrong after each."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Final, Literal

from cli.bench.machine import ROOT
from ledger.store import Store
from tests.power.disk import Acknowledged, Disk, Mood, Operation, Sync
from tests.power.mounted import mounted
from tests.power.vfs import watching
from tests.power.workload import MARK, STORE, check, check_mark, written

CUT_NOTHING: Final = (
    "Python's sqlite3 is linked so that its file operations cannot be watched here (tests/power/vfs.py)"
)
COMMITS: Final = 40
Kind = Literal["store", "mark"]


@dataclass
class Seen:
    """What came of it. `promised` counts the entries that had been acknowledged when the power went, over all cuts."""

    cuts: int = 0
    promised: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, promised: int, fault: str, what: str) -> None:
        self.cuts += 1
        self.promised += promised
        if fault:
            self.faults.append(f"{what}: {fault}")


def forgetting(
    place: Path, *, cuts: int, seed: int, synchronous: str = "FULL", commits: int = COMMITS, syncs_lie: bool = False
) -> Seen:
    """Write on a disk that forgets, and cut the power at places drawn by `seed`."""
    operations = _recorded(place / "written", synchronous, commits)
    if syncs_lie:
        operations = [step for step in operations if not isinstance(step, Sync) or step.name == STORE]
    luck, seen = Random(seed), Seen()
    places = sorted(luck.choice(range(len(operations) + 1)) for _ in range(cuts))
    disk, at = Disk(), 0
    disk.do(Sync(STORE))  # ledger/database.py makes it and syncs its name before SQLite sees it
    for number, upto in enumerate(places):
        for step in operations[at:upto]:
            disk.do(step)
        at = upto
        mood = list(Mood)[number % len(Mood)]
        left = place / f"cut-{number}"
        disk.cut(mood, luck, left)
        seen.add(
            disk.acknowledged,
            check(left / STORE, disk.acknowledged),
            f"seed {seed}, cut {number} after {upto} of {len(operations)} operations, {mood.name}",
        )
        rmtree(left)
    return seen


def _recorded(directory: Path, synchronous: str, commits: int) -> list[Operation]:
    directory.mkdir()
    operations: list[Operation] = []

    def tell(step: Operation) -> None:
        if isinstance(step, Acknowledged) or not step.name.endswith("-shm"):  # that one is made anew at every start
            operations.append(step)

    with watching(tell):
        for _ in range(2):  # the second time, it is found as the first left it
            with Store(directory / STORE) as store:
                for size in islice(written(store, synchronous=synchronous), commits // 2):
                    tell(Acknowledged(size))
    return operations


def mounted_cut(place: Path, kind: Kind, *, cuts: int, seed: int, synchronous: str = "FULL") -> Seen:
    """A process writes to a mounted file system, which is cut off after a number of promises drawn by `seed`."""
    luck, seen = Random(seed), Seen()
    with mounted(place) as disk:
        for number in range(cuts):
            directory = disk.path / str(number)
            directory.mkdir()
            _sync_names(disk.path)
            words: list[str | Path] = [sys.executable, "-m", "tests.power.workload", kind, directory, synchronous]
            with subprocess.Popen(
                words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            ) as writer:
                assert writer.stdout is not None
                try:
                    told = [next(writer.stdout) for _ in range(luck.randint(1, 60))]
                    disk.cut()
                    # It must fail, for its disk is gone. What it promises until then does not count: a sync that is
                    # under way in a file that grows may end well while the file system shuts down, and where the
                    # power goes nobody hears of that.
                    writer.stdout.read()
                finally:
                    writer.kill()
            promised = int([line for line in told if line.endswith("\n")][-1])
            disk.power_on()
            fault = check(directory / STORE, promised) if kind == "store" else check_mark(directory / MARK, promised)
            seen.add(promised, fault, f"seed {seed}, cut {number}")
            rmtree(directory, ignore_errors=True)
    return seen


def _sync_names(directory: Path) -> None:
    """A new directory's name is whoever made it's to sync, and not what is tested here."""
    subprocess.run(["sync", "-f", directory], check=True)
