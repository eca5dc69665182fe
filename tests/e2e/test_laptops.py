"""Laptops: one is carried into another network, one is put to sleep. Their links come back by themselves.

The networks are one bare namespace with two interfaces that lead nowhere (tun): between its own addresses the kernel
carries everything, and an address that is taken away is as dead as one that was left behind.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from cli import exits
from tests.e2e.machines import Machine, Network, networks, requests, status, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

DESK, LAP = ("desk0", "10.77.1.1/24"), ("lap0", "10.77.0.1/24")


@pytest.fixture
def air() -> Iterator[Network]:
    with networks(1) as (network,):
        for name, address in (DESK, LAP):
            try:
                network.ip("tuntap", "add", "dev", name, "mode", "tun")
            except subprocess.CalledProcessError as error:
                pytest.skip(f"NOT RUN: no tun device can be made here: {error.stderr.strip()}")
            network.ip("address", "add", address, "dev", name)
            network.ip("link", "set", name, "up")
        yield network


def test_a_laptop_that_changes_its_address_is_back_and_trains_on(machine: Callable[..., Machine], air: Network) -> None:
    anna, berta = machine("anna", inside=air.enter), machine("berta", inside=air.enter)
    there = berta.home / "peer"
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    desk = anna.start("run", "--json", "--interface", DESK[0])
    desk.event("ready")
    invite = anna.gossip("invite", "--json").document["ticket"]
    data = requests(berta.home / "theirs.jsonl", 8000, 200)
    words = ("--json", "--dir", there, "--interface", LAP[0], "--every", "0", "--data", data)
    lap = berta.start("join", invite, "--name", "berta", *words)
    assert lap.event("ready")["address"].startswith("10.77.0.1:")
    desk.event("merged", name="berta")

    air.ip("address", "del", LAP[1], "dev", LAP[0])
    lap.event("trouble", text="there is no address on lap0 for now; links come back when there is one")
    air.ip("address", "add", "10.77.2.9/24", "dev", LAP[0])
    woke = lap.event("woke", moved=True)
    assert woke["address"].startswith("10.77.2.9:")
    back = until(
        lambda: [e for e in lap.events if e["event"] == "link_up" and e["time"] >= woke["time"]],
        "linked again, without a word from anybody", running=[lap, desk],
    )  # fmt: skip
    print(f"linked again {back[0]['time'] - woke['time']:.1f} s after the address was there")
    assert status(there)["address"] == woke["address"]
    before = sum(e["event"] == "merged" for e in desk.events)
    until(
        lambda: sum(e["event"] == "merged" for e in desk.events) > before + 1, "what it trains arrives", running=[lap]
    )
    assert [e["reason"] for e in lap.events if e["event"] == "link_down"][:1] == ["our address changed"]
    assert lap.end(signal.SIGTERM) == desk.end(signal.SIGTERM) == exits.OK


def test_a_process_that_stood_still_notices_and_goes_on(machine: Callable[..., Machine]) -> None:
    anna, berta = machine("anna"), machine("berta")
    there = berta.home / "peer"
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    desk = anna.start("run", "--json")
    desk.event("ready")
    invite = anna.gossip("invite", "--json").document["ticket"]
    lap = berta.start("join", invite, "--json", "--dir", there, "--name", "berta")
    desk.event("link_up", name="berta")
    desk.event("admitted", name="berta")
    lap.event("admitted", name="berta")

    lap.process.send_signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        lap.process.wait(6.0)  # a lid that is closed for six seconds is all there is to wait for
    lap.process.send_signal(signal.SIGCONT)
    woke = lap.event("woke")
    assert woke["slept_s"] >= 4
    assert woke["moved"] is False
    until(lambda: status(there).get("links"), "it has a link", running=[lap])
    card = machine("clara")
    third = anna.gossip("invite", "--json").document["ticket"]
    guest = card.start("join", third, "--json", "--dir", card.home / "peer", "--name", "clara")
    lap.event("admitted", name="clara")  # news arrive
    for node in (lap, desk, guest):
        assert node.end(signal.SIGTERM) == exits.OK
