"""Real nodes on networks with weather: `gossip run` in namespaces of their own, joined by a switch in user space.

They wait for facts, so a slow machine is slow and nothing else. How long all of it takes: python -m tests.bench --only
net.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gossip.directory import store_path
from ledger.store import Store
from tests.e2e.machines import Machine, machine_park
from tests.net.lan import Lan, lan
from tests.net.nodes import Node, data, equal, folded, found, join, machines, runs, stop, until
from tests.net.weather import Weather

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

ROUGH = Weather(loss=0.1, delay_s=0.05, jitter_s=0.01, duplicate=0.02, reorder=0.02)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    with machine_park(tmp_path) as park:
        yield park


@pytest.fixture
def net() -> Iterator[Lan]:
    with lan("anna", "berta", "cleo") as made:
        yield made


def own_log(node: Node) -> list[bytes]:
    with Store.open_readonly(store_path(node.place)) as store:
        return list(store.entries(store.meta("self").decode()))


def size(node: Node, log: str) -> int:
    """How much of a log a node has."""
    return int(node.status()["heads"].get(log, 0))


def agree(nodes: list[Node]) -> None:
    """All finish their rounds, and hold the same model."""
    for node in nodes:
        node.ask("drain")
    last: list[dict[str, Any]] = []

    def settled() -> bool:
        last[:] = equal(nodes) or []
        return bool(last) and all(one["drained"] for one in last)

    until(settled, "all hold the same", running=runs(nodes))
    assert len({one["model_hash"] for one in last}) == 1


def test_where_a_tenth_is_lost_a_swarm_learns_takes_in_a_late_one_and_one_that_was_killed(
    make: Callable[..., Machine], net: Lan
) -> None:
    people = machines(make, net)
    net.switch.weather = ROUGH
    anna = found(people["anna"], *data(people["anna"]), "--every", "0.5")
    berta = join(people["berta"], anna, *data(people["berta"]), "--every", "0.5")
    until(lambda: min(folded(anna), folded(berta)) >= 3, "they learn from each other", running=runs([anna, berta]))

    cleo = join(people["cleo"], anna)  # late, and only to look
    berta.running.end(signal.SIGKILL)
    before = own_log(berta)
    berta.again()
    until(lambda: folded(cleo) >= 3, "the late one folds what was learned before her", running=runs([cleo, anna]))
    seq = berta.running.event("published")["seq"]
    assert seq >= len(before)
    anna.running.event("merged", name="berta", seq=seq)
    assert own_log(berta)[: len(before)] == before
    nodes = [anna, berta, cleo]
    agree(nodes)
    assert not [event for node in nodes for event in node.running.events if event["event"] == "refused"]
    stop(nodes)


def test_two_sides_of_a_cut_go_on_alone_and_hold_the_same_when_it_heals_and_one_that_moved_is_back(
    make: Callable[..., Machine], net: Lan
) -> None:
    people = machines(make, net)
    anna = found(people["anna"], *data(people["anna"]), "--every", "0.5")
    berta, cleo = join(people["berta"], anna), join(people["cleo"], anna, *data(people["cleo"]), "--every", "0.5")
    nodes = [anna, berta, cleo]
    until(lambda: all(len(node.status().get("links", [])) == 2 for node in nodes), "all linked", running=runs(nodes))
    until(lambda: folded(anna) and folded(cleo), "both learn", running=runs(nodes))

    net.switch.part(["anna", "berta"], ["cleo"])
    net.switch.drain()
    a, c = (node.status()["id"] for node in (anna, cleo))
    cut = {a: size(anna, a), c: size(cleo, c)}
    goal = {log: length + 3 for log, length in cut.items()}
    until(lambda: size(berta, a) >= goal[a] and size(cleo, c) >= goal[c], "both sides go on", running=runs(nodes))
    assert size(cleo, a) <= cut[a], "nothing comes over"
    assert size(berta, c) <= cut[c], "nothing comes over"
    net.switch.heal()
    until(
        lambda: all(size(node, log) >= goal[log] for node in nodes for log in goal), "all have all",
        running=runs(nodes),
    )  # fmt: skip

    net.readdress("cleo", "10.80.0.77")
    woke = cleo.running.event("woke", moved=True)
    assert woke["address"].startswith("10.80.0.77:")
    until(
        lambda: [e for e in cleo.running.events if e["event"] == "link_up" and e["time"] >= woke["time"]],
        "linked again", running=runs(nodes),
    )  # fmt: skip
    goal[c] = size(cleo, c) + 2
    until(lambda: size(berta, c) >= goal[c], "what she writes there arrives", running=runs(nodes))
    agree(nodes)
    stop(nodes)
