"""Machines for the stories: a home directory of its own, a network of its own if wanted, commands typed as people do.

A command is always `python -m cli` in a process of its own, so that nothing of this test process leaks in.
Everything that is started carries its machine's HOME in its environment, which is how what is left of it is found
and ended. Nothing here knows what a command means.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import pytest

from cli import control
from gossip.directory import control_path, store_path
from ledger.store import Store

ROOT: Final = Path(__file__).resolve().parents[2]
TABLE: Final = ROOT / "gossip" / "data" / "sitelist-2015.jsonl.gz"
PATIENCE_S: Final = 240.0  # importing JAX takes 3 s on a quiet machine; on a crowded one all takes many times as long
LOOK_EVERY_S: Final = 0.1

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, *, within_s: float = PATIENCE_S, running: Sequence[Running] = ()) -> T:
    """The first true answer of `condition`, asked again whenever one of `running` says something, and ten times a
    second. Fails with everything said when the time is up, or when one of `running` ends first."""
    deadline = time.monotonic() + within_s
    news = running[0].news if running else threading.Event()
    while True:
        ended = any(command.process.poll() is not None for command in running)  # before we ask: last words count
        answer = condition()
        if answer:
            return answer
        late = time.monotonic() > deadline
        if ended or late:
            why = f"not within {within_s:.0f} s" if late else "ended too early"
            pytest.fail(f"{why}: {what}\n" + "\n".join(command.said() for command in running))
        news.wait(LOOK_EVERY_S)
        news.clear()


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """All of stdout as the one JSON document it must be."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


class Running:
    """A command that runs; its lines as they come."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self.command = command
        self.news = threading.Event()  # set at every line and at the end
        self.out: list[str] = []
        self.err: list[str] = []
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, into), daemon=True)
            for pipe, into in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: IO[str], into: list[str]) -> None:
        with pipe:
            for line in pipe:
                into.append(line)
                self.news.set()
        self.news.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of `run --json`, so far; every line must be a JSON object."""
        return [json.loads(line) for line in list(self.out)]

    def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event of this kind with these fields."""
        return until(
            lambda: next((e for e in self.events if e["event"] == kind and fields.items() <= e.items()), None) or {},
            f"an event {kind} {fields or ''}",
            running=[self],
        )

    def end(self, number: signal.Signals | None = None, within_s: float = PATIENCE_S) -> int:
        """Send a signal if one is named, and wait for the end: the exit code."""
        if number is not None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"did not end within {within_s:.0f} s\n{self.said()}")
        for reader in self._readers:
            reader.join(within_s)
        return code

    def said(self) -> str:
        code = self.process.poll()
        lines = "".join([*self.out[-30:], *self.err[-30:]])
        return f"--- {' '.join(self.command[-8:])} ({'runs' if code is None else f'exit {code}'})\n{lines}"


@dataclass
class Machine:
    """One person's machine: `home` is all it has; `inside` enters its network."""

    home: Path
    inside: tuple[str, ...] = ()
    started: list[Running] = field(default_factory=list)

    @property
    def swarms(self) -> Path:
        return self.home / "share" / "gossip"

    def command(self, *words: object) -> list[str]:
        return [*self.inside, sys.executable, "-P", "-m", "cli", *map(str, words)]

    def environment(self) -> dict[str, str]:
        ours = {"HOME": str(self.home), "XDG_DATA_HOME": str(self.home / "share"), "PYTHONPATH": str(ROOT)}
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GOSSIP_", "PYTEST_", "COV_"))
        }
        return {**kept, **ours, "PYTHONUNBUFFERED": "1", "TERM": "dumb"}

    def start(self, *words: object) -> Running:
        """Type a command that goes on, such as `run`."""
        return self._start(self.command(*words))

    def gossip(self, *words: object, within_s: float = PATIENCE_S) -> Done:
        """Type a command and wait for its end."""
        return self.typed(self.command(*words), within_s=within_s)

    def typed(self, command: list[str], *, within_s: float = PATIENCE_S) -> Done:
        """The same, for a command line that is not ours alone."""
        running = self._start(command)
        code = running.end(within_s=within_s)
        self.started.remove(running)
        return Done(code, "".join(running.out), "".join(running.err))

    def _start(self, command: list[str]) -> Running:
        running = Running(command, self.environment(), self.home)
        self.started.append(running)
        return running

    def processes(self) -> dict[int, str]:
        """Every process that was started from here, by its own doing or another's: pid -> command line."""
        mark = f"HOME={self.home}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def end(self) -> None:
        """Whatever still runs here is ended. What was said is printed: pytest shows it if the story failed."""
        for running in self.started:
            print(running.said())
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for store in self.home.rglob("peer.db"):  # a killed node cannot remove its socket
            control_path(store.parent).unlink(missing_ok=True)


@contextmanager
def machine_park(folder: Path) -> Iterator[Callable[..., Machine]]:
    """A maker of machines, whose processes are ended when the block is left."""
    with ExitStack() as stack:

        def make(name: str, inside: tuple[str, ...] = ()) -> Machine:
            home = folder / name
            home.mkdir()
            made = Machine(home, inside)
            stack.callback(made.end)
            return made

        yield make


def status(place: Path) -> dict[str, Any]:
    """The status of the node that runs on a directory; {} if none answers yet."""
    answer = control.ask(place, "status", timeout_s=PATIENCE_S)
    return dict(answer["status"]) if answer else {}


def own_size(place: Path) -> int:
    """How long the node's own log is; 0 if no node answers."""
    now = status(place)
    return int(now["heads"].get(now["id"], 0)) if now else 0


def settle(*nodes: tuple[Path, Running]) -> list[dict[str, Any]]:
    """Have all nodes finish, and wait until they hold the same entries: their last statuses."""
    for place, _ in nodes:
        control.ask(place, "drain", timeout_s=PATIENCE_S)
    last: list[dict[str, Any]] = []

    def settled() -> bool:
        last[:] = [status(place) for place, _ in nodes]
        return all(s.get("drained") and not s["missing"] and s["heads"] == last[0]["heads"] for s in last)

    until(settled, "all are drained and hold the same entries", running=[running for _, running in nodes])
    return last


def history(place: Path) -> dict[str, list[bytes]]:
    """Every entry in a store, log by log."""
    with Store.open_readonly(store_path(place)) as store:
        return {log: list(store.entries(log)) for log in store.logs()}


def apart(one: dict[str, list[bytes]], other: dict[str, list[bytes]]) -> list[str]:
    """Logs of which two stores do not hold the same, one line each.

    Of two nodes that have drained, one may still write, or hear, a `final` (its witnesses have signed) or a `verdict`
    (a judge has measured the last updates) after the other was told to stop: those may be lacking at an end.
    """
    found = []
    for log in sorted({*one, *other}):
        short, long = sorted((one.get(log, []), other.get(log, [])), key=len)
        more = {json.loads(data)["kind"] for data in long[len(short) :]}
        if long[: len(short)] != short or not more <= {"final", "verdict"}:
            found.append(f"{log}: {len(short)} and {len(long)} entries, the longer with {more or 'others'}")
    return found


def requests(path: Path, first: int, count: int) -> Path:
    """Write `count` of the packaged labelled requests as a file of one's own."""
    with gzip.open(TABLE, "rt", encoding="utf-8") as table:
        path.write_text("".join(itertools.islice(table, first, first + count)), encoding="utf-8")
    return path


# ------------------------------------------------------------------ networks


@dataclass(frozen=True)
class Network:
    """A network namespace without a name: it lasts as long as the process that holds it, and no longer."""

    pid: int
    enter: tuple[str, ...]  # what runs a command in it

    def ip(self, *words: str) -> None:
        subprocess.run([*self.enter, "ip", *words], check=True, capture_output=True, text=True, timeout=20)

    def write(self, path: str, text: str) -> None:
        """Set a switch of this network's, such as one under /proc/sys/net."""
        subprocess.run([*self.enter, "tee", path], input=text, check=True, capture_output=True, text=True, timeout=20)


@contextmanager
def networks(count: int) -> Iterator[list[Network]]:
    """Bare networks with `lo` up. Skips, loudly, where the system does not let us make them."""
    with ExitStack() as stack:
        made: list[Network] = []
        options = _rights()
        for _ in range(count):
            if "-r" not in options:
                command = ["unshare", "-n"]
            elif not made:
                command = ["unshare", "-r", "-n"]
            else:  # in the first one's user namespace, so that we may join them
                command = [*made[0].enter[:-1], "unshare", "-n"]
            holder = subprocess.Popen(
                [*command, "sh", "-c", "echo $$; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.callback(_release, holder)
            assert holder.stdout is not None
            pid = int(holder.stdout.readline())
            user = ("-U", "--preserve-credentials") if "-r" in options else ()
            made.append(Network(pid, ("nsenter", "-t", str(pid), *user, "-n")))
            made[-1].ip("link", "set", "lo", "up")
        yield made


def _rights() -> list[str]:
    if all(shutil.which(program) for program in ("unshare", "nsenter", "ip")):
        for options in (["-n"], ["-r", "-n"]):
            if subprocess.run(["unshare", *options, "true"], capture_output=True).returncode == 0:
                return options
    pytest.skip("NOT RUN: network namespaces cannot be made here (root, or user namespaces, and iproute2 are needed)")


def _release(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.communicate()


def cable(one: Network, two: Network, *, names: tuple[str, str], addresses: tuple[str, str]) -> None:
    """Join two networks with a cable: an interface at each end, with its name and address."""
    one.ip("link", "add", names[0], "type", "veth", "peer", "name", names[1], "netns", str(two.pid))
    for network, name, address in zip((one, two), names, addresses, strict=True):
        network.ip("address", "add", address, "dev", name)
        network.ip("link", "set", name, "up")
