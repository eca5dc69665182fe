"""Two real nodes as processes of their own, over WebRTC on the loopback interface, and what they say of themselves.

    with Pair(model, rows) as (ann, bob):      founds a swarm, starts ann, starts bob with a ticket
        ann.wait("merged")                     the line that told it: {"at": 1763.2, "kind": "merged", "seq": 3, ...}
        ann.end()                              how late its loop was, memory and processor time of its processes

Everything is as `gossip run` has it: encryption, signatures, ledger, store with its fsyncs, training process. A node
is asked for nothing while it runs, so that asking costs it nothing; its probe (probe.py) begins when training does.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Final

from cli.bench.machine import ROOT
from gossip.events import Note

PATIENCE_S: Final = 180.0
Told = Mapping[str, Any]
ENDED: Final[Told] = {"kind": "process ended"}  # the last line of every node


@dataclass(frozen=True, slots=True)
class Plan:
    """What both peers are told."""

    model: str
    data: Path
    joins_when: str = ""  # the second starts when the first has told this so many times; "": as soon as it listens
    joins_after: int = 1
    min_round_s: float = 0.0
    seed: int = 1


class Side:
    """One of the two, as seen from outside."""

    def __init__(self, directory: Path, plan: Plan, ticket: str, dial: str) -> None:
        self.started_at = time.time()
        words = [str(directory), str(plan.data), ticket, dial, str(plan.min_round_s)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cli.bench.pair", *words], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.told: list[Told] = []
        self._lines: Queue[Told] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, kind: str, times: int = 1, **fields: object) -> Told:
        """The line that tells for the so manyth time what is asked; it may have been told already."""
        until = time.monotonic() + PATIENCE_S
        while True:
            found = self.all(kind, **fields)
            if len(found) >= times:
                return found[times - 1]
            if self.told and self.told[-1] is ENDED:
                raise RuntimeError(f"a node ended before it told `{kind}`; last: {self.told[-3:-1]}")
            try:
                self.told.append(self._lines.get(timeout=max(0.0, until - time.monotonic())))
            except Empty:
                raise RuntimeError(f"a node did not tell `{kind}` in time; last: {self.told[-3:]}") from None

    def all(self, kind: str, **fields: object) -> list[Told]:
        """What it has told of this so far."""
        return [line for line in self.told if line["kind"] == kind and fields.items() <= line.items()]

    def end(self) -> Told:
        """Stop it; what it says of itself at the end."""
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()
        found = self.wait("end")
        self._process.wait(PATIENCE_S)
        return found

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(ENDED)


class Pair:
    """Both, in folders that go with them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = ExitStack()

    def __enter__(self) -> tuple[Side, Side]:
        from gossip.setup import create_swarm, enrol, make_ticket

        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gossip-bench-")))
        ann, bob, plan = folder / "ann", folder / "bob", self._plan
        try:
            create_swarm(ann, name="bench", task="bench", model_text=plan.model, peer_name="ann", seed=plan.seed)
            ticket = make_ticket(ann)
            enrol(bob, ticket, "bob")
            first = self._begin(ann, "", "")
            address = first.wait("ready")["address"]
            if plan.joins_when:
                first.wait(plan.joins_when, plan.joins_after)
            return first, self._begin(bob, ticket.text, address)
        except BaseException:
            self._stack.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _begin(self, directory: Path, ticket: str, dial: str) -> Side:
        side = Side(directory, self._plan, ticket, dial)
        self._stack.callback(side.close)
        return side


# ------------------------------------------------------------------ in the process of a node


class Running:
    """One node under a probe, until stdin closes."""

    def __init__(self, directory: Path, data: Path, ticket: str, dial: str, min_round_s: float) -> None:
        from cli.bench.probe import Probe
        from gossip.node import Node, NodeConfig
        from gossip.transport.tickets import Ticket

        host, _, port = dial.rpartition(":")
        self._probe, self._probed = Probe(), False
        self._node = Node(
            NodeConfig(
                directory=directory, data=(data,), ticket=Ticket.parse(ticket) if ticket else None,
                dial=((host, int(port)),) if dial else (), min_round_s=min_round_s,
            ),
            self._note,
        )  # fmt: skip
        self._merged = 0

    @classmethod
    async def run(cls, words: list[str]) -> None:
        directory, data, ticket, dial, min_round_s = words
        own = cls(Path(directory), Path(data), ticket, dial, float(min_round_s))
        running = asyncio.create_task(own._node.run())
        asked = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), asked.set)  # nothing is ever written: it is closed
        end = asyncio.create_task(asked.wait())
        await asyncio.wait([running, end], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            say("end", {**own._probe.report(), **own._costs()})
            own._node.request_stop()
        await running

    def _note(self, note: Note) -> None:
        say(note.kind, note.fields)
        if note.kind == "merged" and not self._probed:
            self._probed = True
            self._probe.start()

    def _costs(self) -> dict[str, Any]:
        status, own = self._node.status(), os.times()
        children = children_of(os.getpid())
        return {
            "cpu_s": own.user + own.system, "children_cpu_s": [_cpu_s(pid) for pid in children],
            "peak_mb": peak_mb(os.getpid()), "children_peak_mb": [peak_mb(pid) for pid in children],
            "bytes_sent": status["bytes_sent"], "bytes_received": status["bytes_received"],
            "transport": status["transport"], "model": status["model_hash"],
        }  # fmt: skip


def say(kind: str, fields: Mapping[str, object]) -> None:
    print(json.dumps({**fields, "at": time.time(), "kind": kind}), flush=True)  # noqa: T201


def children_of(pid: int) -> list[int]:
    """Linux; elsewhere none is known."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def peak_mb(pid: int) -> float:
    """The most memory that a process had, 10^6 bytes. Linux; elsewhere 0."""
    try:
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(row.split()[1]) * 1024 / 1e6 for row in rows if row.startswith("VmHWM:")), 0.0)


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    asyncio.run(Running.run(sys.argv[1:]))
