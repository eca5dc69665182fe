"""Real nodes on such networks: `gossip run` in a namespace each, with a small table to learn.

The first founds, the others join by a ticket of hers. Nothing here knows what the weather is.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from cli import control, exits
from tests.e2e.machines import PATIENCE_S, Machine, Running, status, until
from tests.net.lan import ETH, Lan
from tests.training.small import MODEL, table

ROWS = 400


@dataclass
class Node:
    """One machine of the swarm, its directory, and the process that runs on it."""

    machine: Machine
    place: Path
    running: Running

    def status(self) -> dict[str, Any]:
        return status(self.place)

    def ask(self, command: str, **more: Any) -> dict[str, Any]:
        return dict(control.ask(self.place, command, timeout_s=PATIENCE_S, **more) or {})

    def again(self) -> None:
        """Start it again, with what it was given before."""
        self.running = self.machine.start("run", "--json", "--dir", self.place)
        self.running.event("ready")


def data(machine: Machine) -> list[object]:
    """Rows that nobody else has."""
    return ["--data", table(machine.home / "rows.csv", ROWS, crc32(machine.home.name.encode()))]


def found(machine: Machine, *words: object) -> Node:
    """The founder, running."""
    (machine.home / "model.json").write_text(MODEL)
    model = ["--task", "table", "--model", machine.home / "model.json"]
    assert machine.gossip("new", "field", "--name", machine.home.name, *model).code == exits.OK
    running = machine.start("run", "--json", "--interface", ETH, *words)
    running.event("ready")
    return Node(machine, machine.swarms / "field", running)


def join(machine: Machine, founder: Node, *words: object) -> Node:
    """Another, on its way in: it is running, and not yet admitted."""
    ticket = founder.ask("invite", role="trainer")["ticket"]
    named = ["--name", machine.home.name, "--dir", machine.home / "peer"]
    running = machine.start("join", ticket, *named, "--json", "--interface", ETH, *words)
    return Node(machine, machine.home / "peer", running)


def runs(nodes: Sequence[Node]) -> list[Running]:
    return [node.running for node in nodes]


def folded(node: Node) -> int:
    """How many updates of others this process has folded."""
    return sum(event["event"] == "merged" for event in node.running.events)


def equal(nodes: Sequence[Node]) -> list[dict[str, Any]] | None:
    """Their statuses, if all hold the same entries."""
    now = [node.status() for node in nodes]
    same = all(one and not one["missing"] and one["heads"] == now[0]["heads"] for one in now)
    return now if same else None


def stop(nodes: Sequence[Node]) -> None:
    for node in nodes:
        node.running.process.send_signal(signal.SIGTERM)
    assert [node.running.end() for node in nodes] == [exits.OK] * len(nodes)


Maker = Callable[..., Machine]


def machines(make: Maker, net: Lan, *names: str) -> dict[str, Machine]:
    """Machines of these names, or one for each of the networks."""
    return {name: make(name, inside=net[name].enter) for name in names or net.places}


__all__ = ["Node", "data", "equal", "folded", "found", "join", "machines", "runs", "stop", "until"]
