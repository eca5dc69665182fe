"""Swarms of light peers as processes, all on this machine: on their LAN path, or each alone with a relay for all.

    relay    `gossip relay` on loopback, if they are apart
    found    `gossip new`, `gossip run`; once it is there and its relay has kept it a place, `gossip invite --ticket`
    join     `gossip join`, each a process; those that are apart run under elsewhere.py
    wait     for what they say of themselves, in their logs

Nobody but the founder may train, on a few made-up rows; the others hold, check and fold: 20 of them fit on two cores.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cli import control
from cli.bench.processes import Watched
from cli.bench.race import HOME, LOOK_EVERY_S, Runner, _ended
from cli.bench.told import Event
from cli.children import Children, own_program
from ledger.errors import LinkError

BOUND_S: Final = 180.0
WEIGH_EVERY_S: Final = 0.25
ROWS: Final = 200
COLUMNS: Final = 8
EVERY_S: Final = 2.0  # the founder's rounds: each update is checked and folded by all, on the same few cores
MODEL: Final = {
    "model": 1,
    "features": {"kind": "numbers/1", "columns": COLUMNS, "scale": 1.0},
    "classes": ["0", "1"],
    "layers": [{"kind": "dense", "units": 16}, {"kind": "relu"}, {"kind": "dense", "units": 2}],
    "loss": "softmax",
    "optimiser": {"kind": "sgd", "rate": 0.1},
    "batch": 32,
    "local_steps": 8,
    "metrics": ["accuracy"],
}


class Swarm:
    """One. `relay`: the multiaddress that all are told of, and if they are apart, all that they meet by; "": one
    network for all."""

    def __init__(self, place: Path, children: Children, relay: str = "", *, is_apart: bool = True) -> None:
        self.place, self.relay, self._is_apart = place, relay, is_apart and bool(relay)
        self._children = children
        self.peers: list[Runner] = []
        self.kept_at = 0.0  # when the founder's place at its relay was seen
        self._ask_at = 0.0
        place.mkdir(parents=True, exist_ok=True)

    def found(self, *, trains: bool = False, flags: Sequence[str] = ()) -> Runner:
        """The first, once it listens (and others can reach it). `flags` are Python's."""
        folder = self.place / "peer1"
        words = [*self._wide(), "--interface", "lo", "--json", "--until-stdin-closes"]
        new = ["new", "bench", "--dir", str(folder)]
        if trains:
            (self.place / "model.json").write_text(json.dumps(MODEL), encoding="utf-8")
            new += ["--task", "table", "--model", str(self.place / "model.json"), "--seed", "1"]
            words += ["--data", str(_rows(self.place)), "--every", str(EVERY_S)]
        _ended(self.place, own_program(*new), "gossip new")
        own = self._start(folder, ["run", "--dir", str(folder), *words], flags)
        self.wait(lambda: first(own, "ready") is not None)
        if self.relay and not self.wait(lambda: self._is_kept(own)):
            raise LinkError("the relay keeps the founder no place", next_step="look with: gossip doctor --wide")
        return own

    def invite(self, uses: int) -> str:
        words = ["invite", "--ticket", "--uses", str(uses), "--dir", str(self.place / "peer1"), "--json"]
        return str(json.loads(_ended(self.place, own_program(*words), "gossip invite"))["ticket"])

    def join(self, ticket: str) -> Runner:
        folder = self.place / f"peer{len(self.peers) + 1}"
        words = ["join", ticket, "--name", folder.name, "--dir", str(folder), "--interface", "lo", "--json"]
        return self._start(folder, [*words, "--until-stdin-closes"], ())

    def wait(self, fact: Callable[[], bool], bound_s: float = BOUND_S) -> bool:
        """Until it is so, or the time is up: whether it is."""
        until, weigh_at = time.monotonic() + bound_s, 0.0
        while not fact():
            self._children.check()
            now = time.monotonic()
            if now > until:
                return False
            if now >= weigh_at:
                weigh_at = now + WEIGH_EVERY_S
                for one in self.peers:
                    one.watched.look()
            time.sleep(LOOK_EVERY_S)
            for one in self.peers:
                one.follow()
        return True

    def status(self, runner: Runner) -> dict[str, Any]:
        """LinkError: it does not say."""
        answer = control.ask(runner.place, "status")
        if answer is None:
            raise LinkError(f"{runner.place.name} has ended")
        return dict(answer["status"])

    def _is_kept(self, own: Runner) -> bool:
        """Whether others can reach it. Asking costs it little, and it is not asked all the time."""
        if time.monotonic() < self._ask_at:
            return False
        self._ask_at = time.monotonic() + WEIGH_EVERY_S
        relays = (self.status(own)["wide"] or {"relays": []})["relays"]
        self.kept_at = time.time()
        return any(one["reserved"] for one in relays)

    def _wide(self) -> list[str]:
        return ["--bootstrap", self.relay, "--relay", self.relay] if self.relay else []

    def _start(self, folder: Path, words: Sequence[str], flags: Sequence[str]) -> Runner:
        module = "cli.bench.elsewhere" if self._is_apart else "cli"
        begun = time.time()
        command = [sys.executable, "-P", *flags, "-m", module, *words]
        child = self._children.start(folder.name, command, self.place / f"{folder.name}.log", home=self.place / HOME)
        self.peers.append(Runner(folder, child, begun, Watched(child.process.pid)))
        return self.peers[-1]


def first(runner: Runner, kind: str) -> Event | None:
    """What it said first of this kind."""
    return next((one for one in runner.told if one["event"] == kind), None)


def hears(runner: Runner, peer: str) -> float | None:
    """When it admitted an entry of that peer's log first: checked, chained, signed."""
    return next((one["time"] for one in runner.told if one["event"] == "entry" and one["peer"] == peer), None)


def converged(peers: Sequence[Runner], updates: int) -> float | None:
    """When each held entries of all, and each but the first had merged so many updates: the last moment of these."""
    ids = [ready["peer"] for one in peers if (ready := first(one, "ready")) is not None]
    if len(ids) < len(peers):
        return None
    moments: list[float] = []
    for one, own in zip(peers, ids, strict=True):
        heard = [hears(one, other) for other in ids if other != own]
        merged = [told["time"] for told in one.told if told["event"] == "merged"]
        if None in heard or (one is not peers[0] and len(merged) < updates):
            return None
        moments += [at for at in heard if at is not None]
        moments += merged[:updates][-1:] if one is not peers[0] else []
    return max(moments)


@contextmanager
def relay(place: Path, children: Children) -> Iterator[str]:
    """The multiaddress of a `gossip relay` on loopback."""
    place.mkdir(parents=True, exist_ok=True)
    log = place / "relay.log"
    words = ["relay", "--listen", "127.0.0.1:0", "--key", str(place / "relay.key"), "--json"]
    words += ["--reservations", "256", "--circuits", "64"]
    child = children.start("relay", own_program(*words), log, home=place / HOME)
    until = time.monotonic() + BOUND_S
    while not log.read_text("utf-8").count("\n"):
        children.check()
        if time.monotonic() > until:
            raise LinkError("gossip relay does not start")
        time.sleep(LOOK_EVERY_S)
    yield str(json.loads(log.read_text("utf-8").splitlines()[0])["addresses"][0])
    child.process.terminate()
    children.wait(child, BOUND_S)
    children.all.remove(child)
    if child.process.stdin is not None:
        child.process.stdin.close()


def resident_mb(pid: int) -> float | None:
    """10^6 bytes that a process has in memory now. Linux; elsewhere None."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _rows(place: Path) -> Path:
    import numpy as np

    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    np.savez(place / "rows.npz", x=inputs, y=(inputs[:, 0] > 0).astype(np.int64))
    return place / "rows.npz"
