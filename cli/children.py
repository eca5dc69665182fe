"""Processes that the demo and the bench start, and that never outlive them.

Three ways out, all without orphans: a child ends by itself; we end it (SIGTERM, a bounded wait, then
kill); or we are killed outright, and then its standard input closes, which it watches
(`--until-stdin-closes`). Children have a session of their own, so that Ctrl-C in the terminal reaches
us alone and we end them in order. What a child prints goes to a log file beside its directory.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from cli.plain import plain
from ledger.errors import LinkError

POLITE_S: Final = 10.0  # a node finishes its commit and closes its links in well under a second when idle
TAIL_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ends: bool  # by itself, when its work is done


def own_program(*arguments: str) -> list[str]:
    """The command line that runs this same program again."""
    return [sys.executable, "-P", "-m", "cli", *arguments]


def own_environment(home: Path | None = None) -> dict[str, str]:
    """Ours, plus where this program was loaded from, so that a checkout runs its own code and no other; and the folder
    of all swarms, if that is to be another one."""
    import cli

    root = str(Path(cli.__file__).resolve().parent.parent)
    before = os.environ.get("PYTHONPATH", "")
    path = f"{root}{os.pathsep}{before}" if before else root
    elsewhere = {} if home is None else {"GOSSIP_HOME": str(home)}
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **elsewhere}


class Children:
    """Use as a context manager: leaving it ends every child."""

    def __init__(self) -> None:
        self.all: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except KeyboardInterrupt:  # asked twice: no more patience
            self.kill()
            raise

    def start(
        self, name: str, command: Sequence[str], log: Path, *, ends: bool = False, home: Path | None = None
    ) -> Child:  # fmt: skip
        """Run `command`, its output in `log`, its standard input open for as long as we live.

        A child that `ends` by itself does its work behind the others: they are being watched, it is not.
        """
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=own_environment(home),
                start_new_session=True,
            )
        if ends and hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, process.pid, 15)
        child = Child(name, process, log, ends)
        self.all.append(child)
        return child

    def check(self) -> None:
        """Raise LinkError, with the last line of its log, if a child ended too early."""
        for child in self.all:
            code = child.process.poll()
            if code is None or (child.ends and code == 0):
                continue
            raise LinkError(
                f"{child.name} ended early (exit {code})",
                why=last_line(child.log),
                next_step=f"its whole log is {child.log}",
            )

    def wait(self, child: Child, timeout_s: float) -> int | None:
        """Its exit code, or None if it still runs when the time is up."""
        try:
            return child.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, patience_s: float = POLITE_S) -> None:
        """Ask all to end, wait together, kill who stays."""
        for child in self.all:
            if child.process.poll() is None:
                child.process.terminate()
        until = time.monotonic() + patience_s
        for child in self.all:
            self.wait(child, max(0.0, until - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        for child in self.all:
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait()
            if child.process.stdin is not None:
                child.process.stdin.close()
        self.all.clear()


def last_line(log: Path) -> str:
    """What a log ends with, for an error message of one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = [plain(line) for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return "it left no log"
    told = [line for line in lines if line.startswith("gossip:")] or [line for line in lines if line]
    return told[-1].removeprefix("gossip: ")[:300] if told else "it said nothing"


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM ends us as Ctrl-C does: children first."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
