"""A node notices that it slept and that it stands somewhere else, and nothing in between."""

from __future__ import annotations

import asyncio

import pytest

from gossip.node import waking
from gossip.node.waking import LOOK_EVERY_S, Place, Sleep, beyond_sleep, watch
from ledger.errors import LinkError, LocalError


class Clocks:
    """A steady clock, which a suspended machine stops, and one that goes on."""

    def __init__(self) -> None:
        self.steady, self.beyond = 100.0, 5_000.0

    def pass_(self, awake_s: float, asleep_s: float = 0.0) -> None:
        self.steady += awake_s
        self.beyond += awake_s + asleep_s


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def sleep(clocks: Clocks) -> Sleep:
    return Sleep(lambda: clocks.steady, lambda: clocks.beyond)


def test_a_machine_that_is_awake_has_not_slept_even_if_it_is_late(clocks: Clocks, sleep: Sleep) -> None:
    for late_s in (0.0, 0.5, 3.0, 0.0):
        clocks.pass_(LOOK_EVERY_S + late_s)
        assert sleep.look() == 0.0


def test_a_suspended_machine_slept_for_as_long_as_its_steady_clock_missed(clocks: Clocks, sleep: Sleep) -> None:
    clocks.pass_(LOOK_EVERY_S, asleep_s=8 * 3600.0)
    assert sleep.look() == 8 * 3600.0
    clocks.pass_(LOOK_EVERY_S)
    assert sleep.look() == 0.0  # told once


def test_a_process_that_was_stopped_slept_too_though_both_clocks_went_on(clocks: Clocks, sleep: Sleep) -> None:
    clocks.pass_(LOOK_EVERY_S + 12.0)
    assert sleep.look() == 12.0


def test_a_clock_that_is_set_back_is_no_sleep(clocks: Clocks, sleep: Sleep) -> None:
    clocks.pass_(LOOK_EVERY_S, asleep_s=-3600.0)
    assert sleep.look() == 0.0


def test_the_clock_that_goes_on_does_so() -> None:
    assert beyond_sleep() <= beyond_sleep()


class Interface:
    """An interface whose addresses change."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def __call__(self, interface: str) -> tuple[str, ...]:
        if not self.addresses:
            raise LocalError(f"there is no interface {interface!r} with an IPv4 address here")
        return self.addresses


@pytest.fixture
def wifi(monkeypatch: pytest.MonkeyPatch) -> Interface:
    made = Interface("192.168.1.7")
    monkeypatch.setattr(waking, "addresses_of", made)  # the system's list of interfaces
    return made


def test_other_addresses_are_told_once(wifi: Interface) -> None:
    place = Place("wlan0", wifi.addresses)
    assert place.look() is None
    wifi.addresses = ("10.0.0.4",)
    assert place.look() == ("10.0.0.4",)
    assert place.look() is None


def test_a_network_that_was_away_is_told_even_if_it_is_the_same_again(wifi: Interface) -> None:
    place = Place("wlan0", wifi.addresses)
    wifi.addresses = ()
    assert place.look() is None
    assert not place.is_there
    wifi.addresses = ("192.168.1.7",)
    assert place.look() == ("192.168.1.7",)
    assert place.is_there


async def test_a_place_where_nothing_can_listen_yet_is_tried_again_and_told_of_once(
    wifi: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that is there is not always ready at once."""
    monkeypatch.setattr(waking, "LOOK_EVERY_S", 0.0)
    tried: list[tuple[str, ...] | None] = []
    troubles: list[str] = []
    done = asyncio.Event()

    async def woke(slept_s: float, addresses: tuple[str, ...] | None) -> None:
        tried.append(addresses)
        if len(tried) < 4:
            raise LinkError("cannot listen on 10.0.0.4:4000", why="Cannot assign requested address")
        done.set()

    place = Place("wlan0", wifi.addresses)
    wifi.addresses = ("10.0.0.4",)
    watching = asyncio.create_task(watch(place, woke, troubles.append))
    await done.wait()
    watching.cancel()
    assert tried == [("10.0.0.4",)] * 4
    assert troubles == ["cannot listen on 10.0.0.4:4000: Cannot assign requested address"]
