"""Networks of their own for machines, joined by a switch in user space: the kernel need know no netem.

    with lan("anna", "berta") as net:
        anna = machine("anna", inside=net["anna"].enter)      her interface is eth0, her address net.address("anna")
        net.switch.weather = Weather(loss=0.1, delay_s=0.05)

Linux, as root, with /dev/net/tun; elsewhere whoever asks is skipped, loudly.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import pytest

from tests.e2e.machines import Network, networks
from tests.net.interfaces import Tap
from tests.net.switch import Switch

ETH: Final = "eth0"
_NET_NAMESPACE: Final = 0x40000000  # CLONE_NEWNET

T = TypeVar("T")


def inside(network: Network, work: Callable[[], T]) -> T:
    """Do something in another network, in a thread that ends with it: sockets stay where they were made."""
    libc = ctypes.CDLL(None, use_errno=True)
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            place = os.open(f"/proc/{network.pid}/ns/net", os.O_RDONLY)
            try:
                if libc.setns(place, _NET_NAMESPACE):
                    raise OSError(ctypes.get_errno(), "setns")
                done.append(work())
            finally:
                os.close(place)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def require_taps() -> None:
    if os.geteuid() or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("NOT RUN: networks are joined by taps here, which take root and /dev/net/tun")


@contextmanager
def tap(network: Network, name: str, address: str) -> Iterator[Tap]:
    """An interface in that network, with its address (of 256: a mask of 24 bits), as long as the block lasts."""
    require_taps()
    network.write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")  # its own chatter would only be in the way
    with inside(network, lambda: Tap(name, address)) as made:
        yield made


@dataclass(frozen=True)
class Lan:
    """Networks by name, each with one interface, ETH."""

    switch: Switch
    places: dict[str, Network]

    def __getitem__(self, name: str) -> Network:
        return self.places[name]

    def address(self, name: str) -> str:
        return f"10.80.0.{1 + list(self.places).index(name)}"

    def readdress(self, name: str, address: str) -> None:
        """Take an interface's address away and give it another, as another network does."""
        self[name].ip("address", "flush", "dev", ETH)
        self[name].ip("address", "add", f"{address}/24", "dev", ETH)


@contextmanager
def lan(*names: str, seed: int = 0) -> Iterator[Lan]:
    require_taps()
    with ExitStack() as stack:
        made = stack.enter_context(networks(len(names)))
        net = Lan(Switch(seed), dict(zip(names, made, strict=True)))
        taps = [(name, stack.enter_context(tap(net[name], ETH, net.address(name)))) for name in names]
        stack.callback(net.switch.close)  # before the taps
        for name, end in taps:
            net.switch.plug(name, end.fd)
        yield net
