"""The kit does what it says: each trouble is looked for from inside the networks, and is there."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

import pytest

from tests.net.lan import Lan, inside, lan
from tests.net.weather import CLEAN, Weather

pytestmark = pytest.mark.e2e
PORT = 4000
COUNT = 400
LONG_S = 60.0  # for what comes; waited for in full only if the kit is wrong


class Ends:
    """A socket in each of three networks, here."""

    def __init__(self, net: Lan, sockets: dict[str, socket.socket]) -> None:
        self.net, self.sockets = net, sockets

    def send(self, source: str, to: str, text: bytes) -> None:
        self.sockets[source].sendto(text, (self.net.address(to), PORT))

    def receive(self, at: str) -> bytes:
        end = self.sockets[at]
        assert select.select([end], [], [], LONG_S)[0], "nothing came"
        return end.recv(100)

    def through(self, source: str, to: str, count: int = COUNT) -> list[int]:
        """Numbers sent one way, as they come. What closes the row comes for certain: it is sent on a clean way."""
        for number in range(count):
            self.send(source, to, b"%d" % number)
        self.net.switch.drain()
        self.net.switch.weather = CLEAN
        self.send(source, to, b"end")
        came = []
        while (text := self.receive(to)) != b"end":
            came.append(int(text))
        return came


@pytest.fixture(scope="module")
def ends() -> Iterator[Ends]:
    with ExitStack() as stack:
        net = stack.enter_context(lan("anna", "berta", "cleo"))
        sockets = {}
        for name in net.places:
            made = inside(net[name], lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sockets[name] = stack.enter_context(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            made.bind((net.address(name), PORT))
        ends = Ends(net, sockets)
        for one in sockets:  # each learns where the others are, on a clean way
            for two in sockets:
                if one != two:
                    ends.send(one, two, b"hello")
                    assert ends.receive(two) == b"hello"
        yield ends


@pytest.fixture
def between(ends: Ends) -> Iterator[Ends]:
    yield ends
    ends.net.switch.weather = CLEAN
    ends.net.switch.heal()


def test_a_clean_network_carries_everything_in_order(between: Ends) -> None:
    assert between.through("anna", "berta") == list(range(COUNT))


def test_a_tenth_is_lost(between: Ends) -> None:
    between.net.switch.weather = Weather(loss=0.1)
    came = between.through("anna", "berta")
    assert COUNT * 0.82 < len(came) < COUNT * 0.98  # five standard deviations
    assert came == sorted(set(came))


def test_a_tenth_comes_twice_and_a_tenth_is_overtaken(between: Ends) -> None:
    between.net.switch.weather = Weather(duplicate=0.1, reorder=0.1)
    came = between.through("anna", "berta")
    assert sorted(set(came)) == list(range(COUNT))
    assert COUNT * 1.02 < len(came) < COUNT * 1.18
    assert came != sorted(came)


def test_there_and_back_takes_twice_the_delay_and_only_where_the_weather_is(between: Ends) -> None:
    switch = between.net.switch
    switch.weather_at("berta", Weather(delay_s=0.15))
    try:
        begun = monotonic()
        between.send("anna", "berta", b"ping")
        assert between.receive("berta") == b"ping"
        between.send("berta", "anna", b"pong")
        assert between.receive("anna") == b"pong"
        assert monotonic() - begun >= 0.3
        between.send("anna", "berta", b"late")
        between.send("anna", "cleo", b"soon")
        assert between.receive("cleo") == b"soon"
        assert between.receive("berta") == b"late"
    finally:
        switch.weather_at("berta", None)


def test_a_narrow_line_takes_its_time(between: Ends) -> None:
    between.net.switch.weather = Weather(bytes_per_s=10_000)
    begun = monotonic()
    for number in range(4):
        between.send("anna", "berta", b"%d" % number + bytes(958))  # a kilobyte with its headers
    for _ in range(4):
        between.receive("berta")
    assert monotonic() - begun >= 0.38


def test_nothing_passes_between_two_sides_and_all_does_within_one_and_after_it_heals(between: Ends) -> None:
    switch = between.net.switch
    switch.part(["anna", "cleo"], ["berta"])
    before = switch.carried["anna", "berta"]
    between.send("anna", "berta", b"lost")
    between.send("anna", "cleo", b"heard")
    assert between.receive("cleo") == b"heard"  # what was sent before was looked at before
    assert switch.carried["anna", "berta"] == before
    switch.heal()
    between.send("anna", "berta", b"now")
    assert between.receive("berta") == b"now"


def test_a_group_is_heard_by_all_of_it(between: Ends) -> None:
    """mDNS, on this network as on any."""
    group = socket.inet_aton("224.0.0.251")
    for name in ("berta", "cleo"):
        own = socket.inet_aton(between.net.address(name))
        between.sockets[name].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + own)
    sender = between.sockets["anna"]
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(between.net.address("anna")))
    with ExitStack() as stack:
        ears = []
        for name in ("berta", "cleo"):
            ear = stack.enter_context(
                inside(between.net[name], lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            )
            ear.bind(("224.0.0.251", PORT))
            ears.append(ear)
        sender.sendto(b"who is here?", ("224.0.0.251", PORT))
        for ear in ears:
            assert select.select([ear], [], [], LONG_S)[0]
            assert ear.recv(100) == b"who is here?"
