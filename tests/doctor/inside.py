"""Each hop broken, and named. Runs in namespaces in which nothing else is (test_hops.py starts it)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gossip.doctor import multicast
from gossip.doctor.examine import Wanted, examine
from gossip.doctor.finding import HOPS, Finding, Hop, Patience, Report
from gossip.doctor.interfaces import Interface, find, here
from tests.doctor.other import HERE, PORT, THERE
from tests.net import interfaces as net
from tests.net.frames import MDNS, Frame
from tests.net.interfaces import Tap
from tests.net.switch import Switch

LONG_S = 100.0  # for what comes; waited for in full only if this program is wrong
SHORT_S = 0.3  # for what does not come
THERE_TOO = (THERE, PORT)


@pytest.fixture(autouse=True)
def _loopback() -> None:
    net.up("lo")


def look(folder: Path = Path("/tmp"), *interfaces: str, short: Mapping[Hop, float] = {}, **more: Any) -> Report:
    """`short`: the hops that will be silent, and for how long to wait for them."""
    more = {"listen_s": 0.0, "itself": "target" not in more, "patience": Patience(LONG_S, short), **more}
    wanted = Wanted(folder=folder, interfaces=interfaces or ("tap0",), **more)
    return examine(wanted)


def failing(report: Report) -> list[tuple[str, str]]:
    return [(finding.hop, finding.where) for finding in report.having("fails")]


def odd(report: Report) -> list[Finding]:
    """What is not as it should be, but for how busy this machine and its disk happen to be."""
    busy = [finding for finding in report.having("warns") if finding.hop in ("machine", "disk", "space")]
    return [finding for finding in report.findings if finding.state != "ok" and finding not in busy]


def of(report: Report, hop: str) -> Finding:
    (found,) = [finding for finding in report.findings if finding.hop == hop and finding.where != "entries"]
    return found


# ------------------------------------------------------------------ this machine's own hops


def test_a_machine_with_nothing_but_loopback_is_told_so_and_all_else_is_well() -> None:
    report = look(Path("/tmp"), "lo")
    assert report.is_well
    (only,) = odd(report)
    assert (only.hop, "no other interface" in only.text) == ("interface", True)


def test_loopback_where_there_is_another_network_is_the_likely_mistake() -> None:
    with Tap("tap0", HERE):
        report = look(Path("/tmp"), "lo")
        assert report.is_well
        (only,) = odd(report)
        assert (only.hop, f"tap0 ({HERE})" in only.next_step) == ("interface", True)


def test_loopback_that_is_down() -> None:
    net.down("lo")
    report = look(Path("/tmp"), "lo", short={"multicast": SHORT_S})
    assert failing(report) == [("interface", "lo"), ("interface", "lo")]
    assert "ip link set lo up" in report.having("fails")[0].next_step


def test_an_interface_that_is_not_there() -> None:
    with Tap("tap0", HERE):
        report = look(Path("/tmp"), "wlan7")
        assert failing(report) == [("interface", "wlan7")]
        assert "tap0" in of(report, "interface").next_step


def test_an_interface_that_is_down() -> None:
    with Tap("tap0", is_up=False):
        report = look()
        assert failing(report) == [("interface", "tap0")]
        assert "switched off" in of(report, "interface").text


def test_an_interface_without_a_cable() -> None:
    with Tap("tap0", HERE) as tap:
        tap.pull_the_cable()
        until = time.monotonic() + LONG_S
        while (found := find("tap0", here())) is not None and found.is_running and time.monotonic() < until:
            os.sched_yield()  # the system says so a moment later
        report = look()
        assert failing(report) == [("interface", "tap0")]
        assert "nothing is connected" in of(report, "interface").text


def test_an_interface_without_an_address() -> None:
    with Tap("tap0"):
        report = look()
        assert failing(report) == [("interface", "tap0")]
        assert "no IPv4 address" in of(report, "interface").text


def test_a_tunnel_is_named_as_one() -> None:
    with Tap("vpn9", "10.88.0.1", kind=net.TUN), Tap("tap0", HERE):
        found = of(look(Path("/tmp"), "vpn9"), "interface")
        assert (found.state, f"tap0 ({HERE})" in found.next_step) == ("warns", True)


def test_an_interface_that_may_not_multicast() -> None:
    with Tap("tap0", HERE) as tap:
        net.set_flag(tap.name, net.MULTICAST, False)
        report = look()
        assert failing(report) == [("multicast", "tap0")]
        assert "multicast on" in of(report, "multicast").next_step


def test_no_route_for_multicast_is_needed_where_the_interface_is_named() -> None:
    """Linux sends by the interface that we name even where its routes say that nothing leads there."""
    with Tap("tap0", HERE):
        net.reject("224.0.0.0", "240.0.0.0")
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out, pytest.raises(OSError, match="No route"):
                out.sendto(b"?", ("224.0.0.251", MDNS))
            assert failing(look()) == []
        finally:
            net.reject("224.0.0.0", "240.0.0.0", on=False)


def test_a_group_to_which_the_system_sends_nothing() -> None:
    """The address went away between our look and the sending, as it does on a network that is left."""
    gone = Interface("tap0", ("10.99.0.1/24",))
    own, others = asyncio.run(multicast.look(gone, gone.addresses, LONG_S))[0]
    assert (own.hop, own.state, others.hop, others.state) == ("multicast", "fails", "others", "skipped")
    assert "the system sends nothing" in own.text


def test_a_program_that_keeps_the_port_of_mdns_to_itself() -> None:
    with Tap("tap0", HERE), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone:
        alone.bind(("", MDNS))
        report = look()
        assert failing(report) == [("multicast", "tap0")]
        assert f"pid {os.getpid()}" in of(report, "multicast").next_step


def test_what_we_say_to_the_group_is_not_heard() -> None:
    """The system joins no group any more, and says nothing of it."""
    most = Path("/proc/sys/net/ipv4/igmp_max_memberships")
    before = most.read_text()
    with Tap("tap0", HERE):
        most.write_text("0")
        try:
            report = look(short={"multicast": SHORT_S})
        finally:
            most.write_text(before)
        assert ("multicast", "tap0") in failing(report)
        assert "not even here" in of(report, "multicast").text


def test_a_network_in_which_nobody_is_heard() -> None:
    with Tap("tap0", HERE):
        report = look()
        assert report.is_well
        assert [(finding.hop, "isolation" in finding.next_step) for finding in odd(report)] == [("others", True)]


def test_a_port_that_another_program_has() -> None:
    with Tap("tap0", HERE), socket.create_server((HERE, 4321)):
        report = look(port=4321)
        assert failing(report) == [("port", f"{HERE}:4321")]
        assert f"pid {os.getpid()}" in of(report, "port").text
    with Tap("tap0", HERE):
        assert look(port=4321).is_well


# ------------------------------------------------------------------ the disk


@contextlib.contextmanager
def mounted(at: Path, options: str) -> Iterator[Path]:
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def test_a_disk_that_can_only_be_read(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro,size=300m") as place:
        report = look(place, "lo")
        assert failing(report) == [("disk", str(place))]
        assert "only be read" in of(report, "disk").text


def test_a_disk_that_is_full_and_one_that_will_be_soon(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=4m") as place:
        (place / "much").write_bytes(bytes(2_000_000))
        report = look(place / "not" / "yet" / "made", "lo")
        assert failing(report) == [("space", str(place))]
        with (place / "all").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        report = look(place, "lo")
        assert failing(report) == [("disk", str(place)), ("space", str(place))]
        assert "full" in of(report, "disk").text
        assert [file.name for file in place.iterdir() if file.name.startswith(".doctor")] == []


# ------------------------------------------------------------------ the way to another machine


@pytest.fixture(scope="module")
def cable() -> Iterator[Switch]:
    """Another machine, with a doctor that answers, and the cable to it."""
    net.up("lo")
    ours, theirs = socket.socketpair()
    with Tap("tap0", HERE) as tap, ours:
        program = [sys.executable, "-m", "tests.doctor.other", str(theirs.fileno())]
        with subprocess.Popen(["unshare", "-n", *program], pass_fds=[theirs.fileno()], stdout=subprocess.PIPE) as other:
            theirs.close()
            _, (end,), _, _ = socket.recv_fds(ours, 16, 1)
            cable = Switch()
            cable.plug("here", tap.fd)
            cable.plug("there", end)
            assert other.stdout is not None
            assert json.loads(other.stdout.readline()) == ["waiting", {"address": f"{THERE}:{PORT}"}]
            try:
                yield cable
            finally:
                other.kill()
                cable.close()
                os.close(end)


@pytest.fixture
def way(cable: Switch) -> Iterator[Switch]:
    """The same, letting everything pass."""
    cable.passes = lambda frame: True
    yield cable
    cable.passes = lambda frame: True


def states(report: Report, hops: Sequence[str]) -> list[str]:
    return [f"{finding.hop} {finding.state}" for hop in hops for finding in report.findings if finding.hop == hop]


def test_two_machines_that_meet_are_well_in_every_hop(way: Switch) -> None:
    report = look(target=THERE_TOO, itself=True, listen_s=1.5)
    assert odd(report) == []
    looked_at = {finding.hop for finding in report.findings}
    beyond = {"libp2p", "bootstrap", "nat", "relay", "circuit", "ice"}  # nobody asked; libp2p is looked at where it is
    # An address was named, and no directory.
    assert looked_at - {"libp2p"} == set(HOPS) - {"name", "node", "dials"} - beyond


def test_no_way_leads_there(way: Switch) -> None:
    report = look(target=("203.0.113.9", PORT))
    assert failing(report) == [("route", f"203.0.113.9:{PORT}")]


def test_a_name_that_is_none(way: Switch) -> None:
    report = look(target=("nobody.invalid", PORT))
    assert failing(report) == [("name", "nobody.invalid")]


def test_a_peer_on_loopback_meets_nobody_elsewhere(way: Switch) -> None:
    report = look(Path("/tmp"), "lo", target=THERE_TOO)
    assert failing(report) == [("route", f"{THERE}:{PORT}")]
    assert "--interface tap0" in of(report, "route").next_step


def test_a_vpn_that_takes_the_way(way: Switch) -> None:
    """Its network is nearer to the other's address than ours."""
    with Tap("vpn9", "10.77.0.3", kind=net.TUN) as vpn:
        net.give_address(vpn.name, "10.77.0.3", "255.255.255.252")
        report = look(short={"reach": SHORT_S}, target=THERE_TOO)
    assert [hop for hop, _ in failing(report) if hop in ("route", "reach")] == ["route", "reach"]
    assert "vpn9, a VPN" in of(report, "route").text


def test_machines_that_are_kept_apart(way: Switch) -> None:
    way.passes = lambda frame: False
    report = look(short={"reach": SHORT_S}, target=THERE_TOO)
    assert ("reach", f"{THERE}:{PORT}") in failing(report)
    assert "isolation" in of(report, "reach").next_step


def test_nobody_listens_there(way: Switch) -> None:
    report = look(target=(THERE, PORT + 1))
    assert failing(report) == [("reach", f"{THERE}:{PORT + 1}")]
    assert "nobody listens" in of(report, "reach").text


def test_connections_through_which_nothing_comes(way: Switch) -> None:
    """Three frames of each open it; a firewall that looks into them drops those with something in them."""
    way.passes = lambda frame: not (frame.is_tcp and frame.size > 80)
    report = look(short={"answer": SHORT_S}, target=THERE_TOO)
    assert failing(report) == [("answer", f"{THERE}:{PORT}")]


def test_udp_that_does_not_pass_although_tcp_does(way: Switch) -> None:
    way.passes = lambda frame: not frame.is_udp or frame.is_mdns
    report = look(short={"udp": SHORT_S}, target=THERE_TOO)
    assert [hop for hop, _ in failing(report)] == ["udp"]
    assert states(report, ["reach", "answer", "heard"]) == ["reach ok", "answer ok", "heard ok"]


def test_only_small_datagrams_pass(way: Switch) -> None:
    way.passes = lambda frame: not frame.is_udp or frame.size < 1_200
    report = look(short={"size": SHORT_S}, target=THERE_TOO)
    assert [hop for hop, _ in failing(report)] == ["size"]
    assert "mtu" in of(report, "size").next_step


def test_multicast_that_does_not_pass(way: Switch) -> None:
    way.passes = lambda frame: not frame.is_mdns
    report = look(short={"heard": SHORT_S}, target=THERE_TOO)
    assert failing(report) == [("heard", f"{THERE}:{PORT}")]
    assert f"--address {THERE}:{PORT}" in of(report, "heard").next_step


def test_clocks_that_are_hours_apart(way: Switch) -> None:
    report = look(target=THERE_TOO, wall=lambda: time.time() - 7200)
    assert [hop for hop, _ in failing(report)] == ["their clock"]
    assert "2 hours ahead" in of(report, "their clock").text


class _Web(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def test_something_that_is_no_peer_answers(way: Switch) -> None:
    with HTTPServer((HERE, 0), _Web) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        report = look(target=(HERE, web.server_port))
        web.shutdown()
    assert failing(report) == [("answer", f"{HERE}:{web.server_port}")]


def test_frames_are_told_apart() -> None:
    """The cable's own eyes."""
    ip = b"\0" * 12 + b"\x08\0" + b"\x45" + bytes(8) + b"\x11" + bytes(10) + b"\x14\xe9\x14\xe9" + bytes(8)
    frame = Frame(ip)
    assert (frame.is_udp, frame.is_mdns, frame.is_tcp, frame.ports) == (True, True, False, (5353, 5353))
    assert not Frame(b"\0" * 12 + b"\x08\x06" + bytes(28)).is_ip
