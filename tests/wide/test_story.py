"""The whole story with real programs and libp2p, on loopback: a relay, and three who see only that.

    relay (gossip relay)    anna founds, told of the relay    berta, cleo join by one invite, told of nothing else

What is no part of it: two NATs (test_nat.py).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from cli import control, exits
from gossip.directory import store_path
from gossip.node.namespaces import Secrets
from gossip.node.wide import SECRETS
from gossip.transport.tickets import Ticket
from ledger.store import Store
from tests.e2e.machines import PATIENCE_S, Machine, Running, machine_park, settle, status, until
from tests.training.small import MODEL, table
from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]


@dataclass
class Relay:
    """`gossip relay`, which can be killed and comes back as itself."""

    machine: Machine
    port: int
    running: Running

    @classmethod
    def at(cls, machine: Machine, port: int) -> Relay:
        relay = cls(machine, port, machine.start("relay", "--listen", f"127.0.0.1:{port}", "--json"))
        relay.running.event("started")
        return relay

    @property
    def address(self) -> str:
        (address,) = self.running.event("started")["addresses"]
        return str(address)

    def kill(self) -> None:
        self.running.end(signal.SIGKILL)

    def back(self) -> None:
        self.running = Relay.at(self.machine, self.port).running


@dataclass
class Far:
    """One person's node, which sees the relay and nobody else."""

    machine: Machine
    place: Path
    running: Running

    def status(self) -> dict[str, Any]:
        return status(self.place)

    def wide(self) -> dict[str, Any]:
        return self.status().get("wide") or {}

    def links(self) -> set[str]:
        return {link["name"] for link in self.status().get("links", [])}

    def is_reserved(self) -> bool:
        return any(relay["reserved"] for relay in self.wide().get("relays", []))

    def ask(self, command: str, **more: Any) -> dict[str, Any]:
        return dict(control.ask(self.place, command, timeout_s=PATIENCE_S, **more) or {})

    def secret(self) -> bytes:
        with Store.open_readonly(store_path(self.place)) as store:
            return Secrets.kept(store.find_meta(SECRETS)).newest

    def size(self, log: str) -> int:
        return int(self.status().get("heads", {}).get(log, 0))


def start(machine: Machine, *words: object) -> Running:
    """Type `gossip WORDS` on a machine that is far from all others."""
    command = machine.command(*words)
    command[command.index("cli")] = "tests.wide.far"
    return machine._start(command)


def found(machine: Machine, *words: object) -> Far:
    (machine.home / "model.json").write_text(MODEL)
    model = ["--task", "table", "--model", machine.home / "model.json"]
    assert machine.gossip("new", "field", "--name", machine.home.name, *model).code == exits.OK
    rows = table(machine.home / "rows.csv", 200, crc32(machine.home.name.encode()))
    running = start(machine, "run", "--json", "--interface", "lo", "--data", rows, "--every", "0.5", *words)
    return Far(machine, machine.swarms / "field", running)


def join(machine: Machine, ticket: str, *words: object) -> Far:
    place = machine.home / "peer"
    named = ["--name", machine.home.name, "--dir", place, "--json", "--interface", "lo"]
    return Far(machine, place, start(machine, "join", ticket, *named, *words))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    with machine_park(tmp_path) as park:
        yield park


def runs(nodes: Sequence[Far]) -> list[Running]:
    return [node.running for node in nodes]


def test_three_that_see_only_a_relay_join_by_one_invite_survive_it_and_put_one_out(
    make: Callable[..., Machine], free_port: Callable[[], int]
) -> None:
    relay = Relay.at(make("relay"), free_port())
    anna = found(make("anna"), "--bootstrap", relay.address, "--relay", relay.address)
    until(anna.is_reserved, "anna can be reached through the relay", running=runs([anna]))
    until(lambda: anna.secret(), "anna has a secret for those who are to find her", running=runs([anna]))
    text = anna.ask("invite", uses=2)["ticket"]
    ticket = Ticket.parse(text)
    assert (ticket.bootstraps(), ticket.relays()) == ((relay.address,), (relay.address,))
    assert ticket.rendezvous == anna.secret()

    rows = table(anna.machine.home / "hers.csv", 200, 5)
    berta, cleo = join(make("berta"), text, "--data", rows, "--every", "0.5"), join(make("cleo"), text)
    nodes = [anna, berta, cleo]
    until(lambda: all(len(node.links()) == 2 for node in nodes), "each is linked to both others", running=runs(nodes))
    until(lambda: all(node.is_reserved() for node in nodes), "all keep a place at the relay", running=runs(nodes))
    assert {node.wide()["state"] for node in nodes} == {"ready"}
    assert all("no route to host" in row["text"] for row in cleo.status()["dials"] if "/p2p/" not in row["address"])

    relay.kill()
    until(lambda: not any(node.is_reserved() for node in nodes), "all miss the relay", running=runs(nodes))
    logs = [node.status()["id"] for node in (anna, berta)]
    goal = {log: cleo.size(log) + 3 for log in logs}
    until(lambda: all(cleo.size(log) >= goal[log] for log in logs), "they go on without it", running=runs(nodes))
    relay.back()
    until(lambda: all(node.is_reserved() for node in nodes), "all are back at the relay", running=runs(nodes))

    before = anna.secret()
    anna.ask("revoke", peer=cleo.status()["id"])  # (who is out has a second to hear why: a slow machine may not)
    until(lambda: anna.secret() == berta.secret() != before, "the others meet elsewhere", running=runs(nodes))
    assert cleo.secret() == before
    until(lambda: anna.links() == {"berta"} and not cleo.links(), "cleo is linked to nobody", running=runs(nodes))
    cleo.running.end(signal.SIGTERM)
    cleo.running = start(cleo.machine, "run", "--json", "--dir", cleo.place)
    cleo.running.event("wide", state="ready")
    last = settle(*((node.place, node.running) for node in (anna, berta)))
    assert last[0]["model_hash"] == last[1]["model_hash"]
    assert last[1]["merged"]
    assert not cleo.links()
    assert [node.links() for node in (anna, berta)] == [{"berta"}, {"anna"}]
    until(lambda: all(node.wide()["connected"] == 1 for node in (anna, berta)), "nor connected", running=runs(nodes))
    assert not [event for node in (anna, berta) for event in node.running.events if event["event"] == "refused"]
    assert not [line for node in (*nodes, relay) for line in node.running.err if "Traceback" in line]
