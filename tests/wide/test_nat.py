"""One swarm in two homes: four peers behind two routers join with one invite, found and reached over libp2p.

Outside stand a relay of ours (`gossip relay`) and a js-libp2p node; nobody at home can be reached from there but
through them, and nobody in one home from the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.machines import Machine, machine_park
from tests.net.lan import ETH
from tests.net.nodes import Node, data, equal, found, runs, stop, until
from tests.wide.conftest import NO_LIBP2P
from tests.wide.nat import HOMES, TwoNats, two_nats
from tests.wide.outsiders import Outsider, js_command, outsider, relay_command, stun_command

pytest.importorskip("libp2p", reason=NO_LIBP2P)
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("nat")]

CIRCUIT_S = 20  # of js-libp2p's own two minutes
TRAINERS = ("anna", "cleo")  # one in each home
EVERY = ("--every", "0.5")
HOME_OF = {name: home for home, people in HOMES.items() for name in people}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    with machine_park(tmp_path) as park:
        yield park


def join(machine: Machine, ticket: str, *words: object) -> Node:
    """On its way in, with an invite and nothing else."""
    named = ["--name", machine.home.name, "--dir", machine.home / "peer"]
    running = machine.start("join", ticket, *named, "--json", "--interface", ETH, *words)
    return Node(machine, machine.home / "peer", running)


def settle(make: Callable[..., Machine], net: TwoNats, there: Sequence[str], *words: object) -> list[Node]:
    """anna founds, at home, knowing addresses outside; berta, cleo and dora come in with her one invite. In each home
    one trains, and the other has no data."""
    people = {name: make(name, inside=net[name].enter) for name in HOME_OF}
    places = [word for each in there for word in ("--bootstrap", each, "--relay", each)]
    nodes = [found(people["anna"], *data(people["anna"]), *EVERY, *places, *words)]
    until(lambda: is_reachable(nodes[0]), "anna can be reached", running=runs(nodes))
    ticket = nodes[0].ask("invite", role="trainer", uses=3)["ticket"]
    begun = time.time()
    for name in ("berta", "cleo", "dora"):
        rows = data(people[name]) if name in TRAINERS else []
        nodes.append(join(people[name], ticket, *rows, *EVERY, *words))
    until(lambda: all(len(linked(node)) == 3 for node in nodes), "all are linked with all", running=runs(nodes))
    print(f"all are linked with all after {time.time() - begun:.1f} s; cleo, in seconds: {timeline(nodes[2], begun)}")
    return nodes


def timeline(node: Node, begun: float) -> dict[str, float]:
    """When each thing first happened, from the start of the program on. For the figures: pytest -s shows it."""
    first: dict[str, float] = {}
    for event in node.running.events:
        first.setdefault(event["event"], round(event["time"] - begun, 2))
    return first


def is_reachable(node: Node) -> bool:
    wide = node.status().get("wide") or {}
    return bool(wide) and all(each["reserved"] for each in wide["relays"])


def linked(node: Node) -> dict[str, str]:
    """By what it is linked with whom."""
    return {link["name"]: link["backend"] for link in node.status().get("links", []) if link["name"]}


def across(node: Node) -> set[str]:
    """By what it is linked with those of the other home."""
    own = HOME_OF[node.machine.home.name]
    return {backend for name, backend in linked(node).items() if HOME_OF[name] != own}


def at_home(node: Node) -> set[str]:
    """By what it is linked with who is at home with it."""
    own = HOME_OF[node.machine.home.name]
    return {backend for name, backend in linked(node).items() if HOME_OF[name] == own}


def oldest(node: Node) -> float:
    """When the oldest of its links to those of the other home came up; 0 if one of them is missing."""
    own = HOME_OF[node.machine.home.name]
    now, links = time.time(), node.status()["links"]
    up = [now - link["up_s"] for link in links if HOME_OF.get(link["name"], own) != own]
    return min(up) if len(up) == 2 else 0


def learns(nodes: Sequence[Node], what: str) -> None:
    """Whoever trains writes two more entries, and all get them."""
    logs = [node.status()["id"] for node in nodes if node.machine.home.name in TRAINERS]
    goal = {log: int(nodes[0].status()["heads"].get(log, 0)) + 2 for log in logs}

    def all_have_all() -> bool:
        return all(node.status()["heads"].get(log, 0) >= size for node in nodes for log, size in goal.items())

    until(all_have_all, what, running=runs(nodes))


def agree(nodes: Sequence[Node]) -> str:
    """All finish their rounds and hold the same entries: the hash of the model that all have."""
    for node in nodes:
        node.ask("drain")
    last: list[dict[str, Any]] = []

    def settled() -> bool:
        last[:] = equal(nodes) or []
        return bool(last) and all(one["drained"] for one in last)

    until(settled, "all hold the same", running=runs(nodes))
    (model,) = {one["model_hash"] for one in last}
    return str(model)


def outside(net: TwoNats, stack: ExitStack, make: Callable[..., Machine]) -> tuple[Outsider, Outsider]:
    """Our relay and a js node, in this order."""
    js = stack.enter_context(outsider(js_command(net.address("js"), "--unlimited"), net["js"].enter))
    home = make("relay").home
    relay = stack.enter_context(outsider(relay_command(net.address("relay"), home), net["relay"].enter))
    return relay, js


def test_data_channels_between_two_homes_outlive_the_relays_that_made_them_and_come_back_after_a_router_restarts(
    make: Callable[..., Machine],
) -> None:
    with ExitStack() as stack:
        net = stack.enter_context(two_nats())
        relay, js = outside(net, stack, make)
        stun = stack.enter_context(outsider(stun_command(net.address("stun")), net["stun"].enter))
        nodes = settle(make, net, [relay.address, js.address], "--ice", stun.address)
        until(lambda: all(across(node) == {"aiortc"} for node in nodes), "data channels", running=runs(nodes))

        relay.kill()
        js.kill()
        until(lambda: not any(is_reachable(node) for node in nodes), "they notice", running=runs(nodes))
        learns(nodes, "they go on learning from each other while nobody is outside")
        assert all(across(node) == {"aiortc"} for node in nodes)

        relay.again()
        js.again()
        until(lambda: all(is_reachable(node) for node in nodes), "they find them again", running=runs(nodes))
        begun = time.time()
        net.restart("north")
        until(lambda: all(oldest(node) > begun for node in nodes), "every link is made anew", running=runs(nodes))
        print(f"every link between the homes is made anew {time.time() - begun:.1f} s after the restart")
        learns(nodes, "they go on learning from each other after the restart")
        print("model", agree(nodes))
        stop(nodes)


@pytest.mark.long
def test_without_ice_links_between_homes_go_through_a_js_relay_as_streams_which_are_made_anew_when_it_ends_them(
    make: Callable[..., Machine],
) -> None:
    with ExitStack() as stack:
        net = stack.enter_context(two_nats())
        js = stack.enter_context(outsider(js_command(net.address("js"), "--seconds", CIRCUIT_S), net["js"].enter))
        nodes = settle(make, net, [js.address])
        until(lambda: all(across(node) == {"libp2p"} for node in nodes), "streams", running=runs(nodes))
        assert all(at_home(node) == {"aiortc"} for node in nodes), "there they need nobody"
        begun = time.time()
        until(lambda: any(oldest(node) > begun for node in nodes), "made anew", running=runs(nodes))
        learns(nodes, "they learn from each other")
        print("model", agree(nodes))
        stop(nodes)
