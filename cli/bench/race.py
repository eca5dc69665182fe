"""A few peers as processes of this machine, from the start of their commands until all are good enough.

    found     `gossip new`, `gossip invite --ticket`: one person, once, before anybody starts        (not counted)
    warm up   one round by itself, so that its program is compiled and kept, unless it is to be cold  (not counted)
    start     `gossip run` and for each other peer `gossip join`, one right after the other          (time begins)
    watch     their events, from their logs; their processes, from outside; their status, when a target is reached
    end       everybody at the last target, or the time is up: all are asked to stop

Nothing of a peer is special to being measured: the same commands, encryption, signatures and ledger. What it costs
to watch is counted nowhere. Whatever happens, nothing that was started is left, but for this: if we are killed outright
while a slowed peer is stopped, it stays so, until somebody continues it (`kill -CONT`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cli import control, exits
from cli.bench.mnist import Shares
from cli.bench.processes import Watched
from cli.bench.told import Event, first, longest_gap, reached, read_events
from cli.children import Child, Children, own_environment, own_program
from cli.plain import plain
from gossip.directory import control_path, shared_cache
from ledger.errors import GossipError, LinkError

HOME: Final = "home"  # of all swarms of this user: where what is compiled is kept
TARGETS: Final = (0.85, 0.90)
LOOK_EVERY_S: Final = 0.05  # at what peers say
WEIGH_EVERY_S: Final = 0.25  # their processes, which takes longer
ASK_WITHIN_S: Final = 2.0
END_WITHIN_S: Final = 20.0  # usually nothing is left to wait for
STEP_WITHIN_S: Final = 60.0
SLICE_S: Final = 0.02  # that long a slowed peer runs at a time


@dataclass(frozen=True, slots=True)
class Setting:
    shares: Shares
    model: str
    seed: int
    bound_s: float
    slow: float = 1.0  # so many times slower is the second peer
    kill: bool = False  # the last one, some seconds after all have reached the first target
    cold: bool = False  # nobody has compiled this model before
    around_s: float = 4.0  # before and after that the others are looked at
    system: str = "gossip"


@dataclass
class Runner:
    """One command that runs, and what is known of it."""

    place: Path
    child: Child
    begun: float
    watched: Watched
    told: list[Event] = field(default_factory=list)
    received: int = 0  # bytes, as last asked
    _read: int = 0

    def follow(self) -> None:
        """Read what it has said since."""
        with self.child.log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        whole = text.rfind(b"\n") + 1
        self._read += whole
        self.told += read_events(text[:whole].decode(errors="replace"))

    def ask(self) -> None:
        """How much it has received. Nothing new if it does not answer."""
        with suppress(GossipError):
            answer = control.ask(self.place, "status", timeout_s=ASK_WITHIN_S)
            if answer is not None:
                self.received = int(answer["status"]["bytes_received"])


@dataclass(frozen=True, slots=True)
class Moment:
    """What had been spent when a target was reached, or at the end. `at` is Unix time."""

    at: float
    cpu_s: float | None
    received: tuple[int, ...]  # by peer


@dataclass(frozen=True, slots=True)
class Race:
    """What came of it. Peers by number; `targets` has None for what nobody saw all of them reach."""

    setting: Setting
    begun: tuple[float, ...]
    told: tuple[tuple[Event, ...], ...]
    targets: tuple[Moment | None, ...]
    end: Moment
    over: float  # when the last process had ended
    peak_mb: tuple[float | None, ...]
    gone: Mapping[int, float]
    left: int  # processes that had to be killed in the end

    def stalls(self) -> tuple[float, float] | None:
        """The longest time that one of the others made nothing of, after one was killed, and before. None: none was."""
        if not self.gone:
            return None
        (at,) = self.gone.values()
        others = [told for number, told in enumerate(self.told) if number not in self.gone]
        around_s = self.setting.around_s
        after = max(longest_gap(told, at, min(self.end.at, at + around_s)) for told in others)
        return after, max(longest_gap(told, at - around_s, at) for told in others)


def run(setting: Setting, place: Path) -> Race:
    """One race, in a folder of its own. LinkError if a peer ends before it should."""
    runners: list[Runner] = []
    (place / "model.json").write_text(setting.model, encoding="utf-8")
    if not setting.cold:
        _ended(place, _bare_command(setting, place, rounds=1), "the round to warm up with")
    try:
        with Children() as children:
            (_start_bare if setting.system == "jax" else _start_swarm)(setting, place, children, runners)
            with _stopped_mostly(runners[min(1, len(runners) - 1)].watched, setting.slow):
                targets, gone = _watch(setting, children, runners)
            end = _moment(runners)
    finally:
        left = _clear(runners)
    return Race(
        setting=setting, begun=tuple(one.begun for one in runners), told=tuple(tuple(one.told) for one in runners),
        targets=targets, end=end, over=time.time(), peak_mb=tuple(one.watched.peak_mb for one in runners),
        gone=gone, left=left,
    )  # fmt: skip


# ------------------------------------------------------------------ start


def _start_swarm(setting: Setting, place: Path, children: Children, runners: list[Runner]) -> None:
    model = place / "model.json"
    folders = [place / f"peer{number}" for number in range(1, len(setting.shares.training) + 1)]
    _step(place, "new", "bench", "--dir", folders[0], "--task", "table", "--model", model, "--seed", setting.seed)
    uses = max(1, len(folders) - 1)
    ticket = _step(place, "invite", "--ticket", "--uses", uses, "--dir", folders[0], "--json")["ticket"]
    for folder, data in zip(folders, setting.shares.training, strict=True):
        words = ["run"] if folder == folders[0] else ["join", ticket, "--name", folder.name]
        words += ["--dir", str(folder), "--data", str(data), "--validation", str(setting.shares.test)]
        words += ["--interface", "lo", "--every", "0", "--json", "--until-stdin-closes"]
        words += ["--cores", str(os.cpu_count() or 1)]  # they share this machine, and the system shares it out
        runners.append(_start(children, place, folder.name, own_program(*words)))


def _start_bare(setting: Setting, place: Path, children: Children, runners: list[Runner]) -> None:
    runners.append(_start(children, place, "jax", _bare_command(setting, place)))


def _start(children: Children, place: Path, name: str, command: Sequence[str]) -> Runner:
    begun = time.time()
    child = children.start(name, command, place / f"{name}.log", home=place / HOME)
    return Runner(place / name, child, begun, Watched(child.process.pid))


def _bare_command(setting: Setting, place: Path, *, rounds: int = 0) -> list[str]:
    cache = shared_cache(place / HOME)
    files = [place / "model.json", setting.shares.test, *setting.shares.training]
    return [sys.executable, "-P", "-m", "cli.bench.bare", str(rounds), str(cache or ""), *map(str, files)]


def _step(place: Path, *words: object) -> dict[str, Any]:
    """One command of ours to its end, with what it says in JSON; without --json nothing."""
    done = _ended(place, own_program(*map(str, words)), f"gossip {words[0]}")
    return dict(json.loads(done)) if "--json" in words else {}


def _ended(place: Path, command: Sequence[str], name: str) -> bytes:
    """What a command printed, when it has ended. LinkError if it failed."""
    done = subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, timeout=STEP_WITHIN_S,
        env=own_environment(place / HOME), check=False,
    )  # fmt: skip
    if done.returncode != exits.OK:
        raise LinkError(f"{name} failed", why=plain(done.stderr.decode(errors="replace")).removeprefix("gossip: "))
    return done.stdout


# ------------------------------------------------------------------ watch


def _watch(
    setting: Setting, children: Children, runners: Sequence[Runner]
) -> tuple[tuple[Moment | None, ...], dict[int, float]]:
    """Until all have reached the last target, met another, and what follows a kill was seen; or the time is up."""
    found: list[Moment | None] = [None for _ in TARGETS]
    gone: dict[int, float] = {}
    until, weigh_at = runners[0].begun + setting.bound_s, 0.0
    while (now := time.time()) < until:
        children.check()
        for runner in runners:
            runner.follow()
        if now >= weigh_at:
            weigh_at = now + WEIGH_EVERY_S
            for runner in runners:
                runner.watched.look()
        for number, target in enumerate(TARGETS):
            at = None if found[number] else reached([runner.told for runner in runners], target, gone)
            if at is not None:
                found[number] = _moment(runners, at)
        if setting.kill and not gone and found[0] is not None and now >= found[0].at + setting.around_s:
            gone[len(runners) - 1] = _kill(children, runners[-1])
        watched_long = not setting.kill or any(now > at + setting.around_s for at in gone.values())
        met = len(runners) == 1 or all(first(runner.told, "merged") for runner in runners)  # an easy task needs nobody
        if found[-1] is not None and watched_long and met:
            break
        time.sleep(LOOK_EVERY_S)
    return tuple(found), gone


def _moment(runners: Sequence[Runner], at: float = 0.0) -> Moment:
    """What has been spent by now."""
    for runner in runners:
        runner.watched.look()
    spent = [runner.watched.cpu_s for runner in runners]
    known = [one for one in spent if one is not None]
    for runner in runners:
        runner.ask()
    return Moment(at or time.time(), sum(known) if known else None, tuple(runner.received for runner in runners))


def _kill(children: Children, runner: Runner) -> float:
    """End a peer as `kill -9` does: the process of its command. What that had started is to notice by itself."""
    runner.ask()
    runner.watched.look()
    at = time.time()
    runner.child.process.kill()
    runner.child.process.wait()
    children.all.remove(runner.child)
    if runner.child.process.stdin is not None:
        runner.child.process.stdin.close()
    return at


@contextmanager
def _stopped_mostly(watched: Watched, times: float) -> Iterator[None]:
    """Let a peer run one part in so many of the time, all its processes; 1: always."""
    over = threading.Event()

    def halt() -> None:
        while not over.is_set():
            watched.send(signal.SIGSTOP)
            over.wait(SLICE_S * (times - 1))
            watched.send(signal.SIGCONT)
            over.wait(SLICE_S)

    thread = threading.Thread(target=halt, daemon=True)
    if times > 1:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if times > 1:
            thread.join()
            watched.send(signal.SIGCONT)


# ------------------------------------------------------------------ end


def _clear(runners: Sequence[Runner]) -> int:
    """Wait for what killed peers had started, and end what stays: how many had to be."""
    until = time.monotonic() + END_WITHIN_S
    while (left := [pid for one in runners for pid in one.watched.running()]) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
    for pid in left:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for one in runners:
        control_path(one.place).unlink(missing_ok=True)  # one that was killed could not
    return len(left)
