"""Laptops: one is carried into another network, one is put to sleep. Their links come back by themselves.

The networks are one bare namespace with two interfaces that lead nowhere (tun): between its own addresses the kernel
carries everything, and an address that is taken away is as dead as one that was left behind.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli import control, exits
from tests.e2e.machines import PATIENCE_S, Machine, Network, networks, requests, status, until

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


def test_a_laptop_that_naps_and_then_moves_is_back_by_itself_each_time(
    machine: Callable[..., Machine], air: Network
) -> None:
    anna, berta = machine("anna", inside=air.enter), machine("berta", inside=air.enter)
    here, there = anna.swarms / "my-swarm", berta.home / "peer"
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    desk = anna.start("run", "--json", "--interface", DESK[0])
    desk.event("ready")
    invite = (control.ask(here, "invite", timeout_s=PATIENCE_S, role="observer") or {})["ticket"]
    lap = berta.start("join", invite, "--name", "berta", "--json", "--dir", there, "--interface", LAP[0])
    assert lap.event("ready")["address"].startswith("10.77.0.1:")
    peer = lap.event("admitted", name="berta")["peer"]

    lap.process.send_signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        lap.process.wait(6.0)  # a lid that is closed for so long is all there is to wait for
    lap.process.send_signal(signal.SIGCONT)
    nap = lap.event("woke", moved=False)
    assert nap["slept_s"] >= 4
    control.ask(here, "renew", timeout_s=PATIENCE_S, peer=peer, role="auditor")
    lap.event("admitted", role="auditor")  # news arrive

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
    assert "our address changed" in [e["reason"] for e in lap.events if e["event"] == "link_down"]
    assert status(there)["address"] == woke["address"]
    control.ask(here, "renew", timeout_s=PATIENCE_S, peer=peer, role="trainer")
    lap.event("admitted", role="trainer")
    assert lap.end(signal.SIGTERM) == desk.end(signal.SIGTERM) == exits.OK


# What the kernel says of a battery, said by us: files in a folder that only this machine's processes see.
_BATTERY = (
    "mount -t tmpfs none /sys/class/power_supply && cd /sys/class/power_supply && mkdir BAT0 AC0 && "
    "echo Battery >BAT0/type && echo 43 >BAT0/capacity && echo 100 >BAT0/energy_full && echo 43 >BAT0/energy_now && "
    "echo 9 >BAT0/power_now && echo Discharging >BAT0/status && echo Mains >AC0/type && echo 0 >AC0/online && "
    'cd "$HOME" && exec "$0" "$@"'
)


def test_off_the_mains_a_peer_that_was_asked_to_trains_no_more_and_back_on_them_it_does(
    machine: Callable[..., Machine],
) -> None:
    inside = ("unshare", "-m", "sh", "-c", _BATTERY)
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("NOT RUN: a battery cannot be put into /sys here (only root on Linux may)")
    anna = machine("anna")
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    anna.inside = inside
    data = requests(anna.home / "mine.jsonl", 0, 200)
    node = anna.start("run", "--json", "--every", "0", "--data", data, "--pause-on-battery", "--cores", 1)
    node.event("paused", reason="on battery, 43%")
    place = anna.swarms / "my-swarm"
    facts = until(lambda: status(place), "it answers", running=[node])
    assert facts["paused"] == "on battery, 43%"
    assert (facts["machine"]["battery_percent"], facts["machine"]["plugged"]) == (43, False)
    assert facts["machine"]["cores"] == 1
    until(
        lambda: [e for e in node.events if e["event"] == "entry" and e["kind"] == "data"],
        "all is read, and nothing else keeps a round from beginning", running=[node],
    )  # fmt: skip
    before = [e for e in node.events if e["event"] == "trained"]

    mains = Path(f"/proc/{node.process.pid}/root/sys/class/power_supply")
    (mains / "AC0" / "online").write_text("1\n")
    (mains / "BAT0" / "status").write_text("Charging\n")
    node.event("paused", reason="")
    node.event("trained")
    assert before == []
    assert status(place)["machine"]["plugged"] is True
    assert node.end(signal.SIGTERM) == exits.OK
