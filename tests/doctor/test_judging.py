"""What the doctor says of what it found: values in, findings out."""

from __future__ import annotations

import errno
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.doctor import clock, machine, node, way
from gossip.doctor.finding import HOPS, Finding, Report, State, ok, warns
from gossip.doctor.interfaces import Interface, better, find, judge, judge_loopback
from gossip.doctor.multicast import Heard, judge_others

LO = Interface("lo", ("127.0.0.1/8",), flags=frozenset({"up", "loopback", "running"}))
WLAN = Interface("wlan0", ("192.168.1.7/24",))
VPN = Interface("wg0", ("10.8.0.2/24",), flags=frozenset({"up", "pointopoint", "running"}))
MANY = (LO, WLAN, VPN)


def test_a_hop_that_fails_says_what_to_do() -> None:
    for state in get_args(State):
        if state in ("fails", "warns"):
            with pytest.raises(ValueError, match="nothing can be done"):
                Finding("disk", state, "it does")
        else:
            Finding("disk", state, "it does")


def test_a_report_says_where_to_begin_and_a_warning_is_not_a_failure() -> None:
    report = Report.of([ok("disk", "fine"), warns("clock", "odd", "look", jumped_s=3.0)])
    assert report.is_well
    assert report.as_json()["warns"] == ["clock"]
    assert report.as_json()["findings"][1]["facts"] == {"jumped_s": 3.0}
    assert len(set(HOPS)) == len(HOPS)


def test_local_networks_are_named_before_tunnels_and_loopback_never() -> None:
    assert [each.name for each in better((VPN, LO, WLAN, Interface("eth0", ())))] == ["wlan0", "wg0"]
    assert find("192.168.1.7", MANY) is WLAN
    assert find("lo", (WLAN, Interface("lo0", ("127.0.0.1/8",)))) is not None  # as macOS calls it
    assert judge_loopback((WLAN, LO)) is None


def test_an_address_that_the_machine_made_up_is_told() -> None:
    found = judge("eth0", (Interface("eth0", ("169.254.3.4/16",)),))
    assert (found.state, "router" in found.text) == ("warns", True)


def test_a_system_that_says_no_flags_is_not_accused() -> None:
    silent = Interface("Ethernet", ("192.168.1.7/24",), flags=frozenset())
    assert judge("Ethernet", (silent,)).state == "ok"
    assert silent.may_multicast


@pytest.mark.parametrize(
    ("address", "source", "state", "word"),
    [
        ("192.168.1.9", "192.168.1.7", "ok", "leaves by wlan0"),
        ("192.168.1.9", "10.8.0.2", "warns", "VPN"),
        ("127.0.0.1", "127.0.0.1", "fails", "loopback"),
    ],
)
def test_the_route_is_that_of_the_interface_or_is_told(address: str, source: str, state: str, word: str) -> None:
    found = way.judge_route(way.Way(WLAN, ("192.168.1.7",), address, 4000), source, MANY)
    assert (found.state, word in found.text) == (state, True)


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPERM, errno.EIO])
def test_each_refusal_has_its_own_advice(number: int) -> None:
    found = way.judge_refusal(OSError(number, "no"), way.Way(WLAN, ("192.168.1.7",), "192.168.1.9", 4000))
    assert found.facts["errno"] == errno.errorcode[number]
    assert found.next_step


def test_another_network_is_no_fault_of_mdns() -> None:
    path = way.Way(WLAN, ("192.168.1.7",), "192.168.2.9", 4000)
    assert way.judge_heard(path, []).state == "skipped"


def test_peers_of_other_swarms_are_counted_and_not_named() -> None:
    heard = Heard(itself=True, peers={("192.168.1.9", 4000): "aa", ("192.168.1.8", 4001): "bb"})
    assert judge_others(heard, WLAN).facts["peers"] == ["192.168.1.9:4000", "192.168.1.8:4001"]
    found = judge_others(heard, WLAN, "aa")
    assert (found.facts["peers"], found.facts["other_swarms"]) == (["192.168.1.9:4000"], 1)
    assert judge_others(Heard(peers={("192.168.1.7", 4000): "aa"}), WLAN).state == "warns"  # a peer of this machine
    near = Heard(peers={("127.0.0.1", 4000): "aa", ("127.0.0.1", 4001): "aa"})
    assert judge_others(near, LO, node="127.0.0.1:4000").facts["peers"] == ["127.0.0.1:4001"]
    assert judge_others(Heard(strangers={"192.168.1.3": None}), WLAN).state == "ok"


# ------------------------------------------------------------------ clocks

NOW = 1_780_000_000


def test_a_clock_that_is_set_while_we_look_or_stands_years_back() -> None:
    assert clock.judge_own((NOW, NOW + 5.0), (10.0, 15.0)).state == "ok"
    assert "back by 1 hour" in clock.judge_own((NOW, NOW - 3595.0), (10.0, 15.0)).text
    assert "ahead by 2 hours" in clock.judge_own((NOW, NOW + 7205.0), (10.0, 15.0)).text
    assert clock.judge_own((5.0, 6.0), (10.0, 11.0)).state == "fails"


@pytest.mark.parametrize(("ahead_s", "state"), [(0.4, "ok"), (-59.0, "ok"), (90.0, "warns"), (-3600.0, "fails")])
def test_the_clock_at_the_other_end(ahead_s: float, state: str) -> None:
    found = clock.judge_other(ahead_s, "there")
    assert found.state == state
    assert ("behind" in found.text) == (ahead_s < -59)


def arrivals(skews: dict[str, int], delays: list[int], rounds: int) -> list[tuple[str, int]]:
    """The true story: each round everybody writes, and the others' entries come before our own next one."""
    found = []
    for number in range(rounds):
        true = NOW + 60 * number
        found += [(log, true - delays[number % len(delays)] + skew) for log, skew in skews.items()]
        found.append(("own", true))
    return found


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(-90_000, 90_000), min_size=1),
    st.lists(st.integers(1, 59), min_size=1),
    st.integers(clock.ENOUGH, 9),
)
def test_a_difference_is_found_to_within_what_entries_take(
    skews: dict[str, int], delays: list[int], rounds: int
) -> None:
    found = clock.differences(arrivals(skews, delays, rounds), "own")
    for log, skew in skews.items():
        if abs(found[log]) > 2 * clock.NEAR_S:
            assert found[log] * skew > 0
            assert abs(found[log] - skew) <= max(delays)
        else:
            assert abs(skew) <= 3 * clock.NEAR_S


def test_one_entry_that_came_late_accuses_nobody() -> None:
    late = [("a", NOW - 9_000), ("own", NOW), *arrivals({"a": 0}, [3], 5)]
    assert clock.differences(late, "own")["a"] == -3.0
    assert clock.differences([("a", NOW - 9_000), ("own", NOW)], "own") == {"a": 0.0}  # too little to say


def test_the_own_clock_is_wrong_if_it_is_that_of_nobody_else() -> None:
    found = clock.judge_claims({"a" * 64: -7_200.0, "b" * 64: -7_190.0, "c" * 64: 0.0}, {"a" * 64: "ann"})
    assert found is not None
    assert (found.state, "ann 2 hours behind" in found.text) == ("fails", True)
    other = clock.judge_claims({"a" * 64: 7_200.0, "b" * 64: 1.0, "c" * 64: 0.0}, {})
    assert other is not None
    assert other.state == "warns"
    assert clock.judge_claims({}, {}) is None


# ------------------------------------------------------------------ nodes and machines

STATUS = {"address": "192.168.1.7:4000", "members": 3, "state": "training", "links": [], "dials": []}
DIAL = {"address": "192.168.1.9:4100", "text": "cannot reach it", "at": NOW - 7, "tries": 3}


def test_a_node_that_has_links_is_well_and_one_that_has_none_is_not() -> None:
    (linked,) = node.judge({**STATUS, "links": [{"name": "ann", "key": "aa"}]}, NOW)
    assert (linked.hop, linked.state, "ann" in linked.text) == ("node", "ok", True)
    alone, dials = node.judge({**STATUS, "dials": [DIAL]}, NOW)
    assert (alone.state, dials.hop, dials.state) == ("fails", "dials", "fails")
    assert "7 s ago: cannot reach it" in dials.text
    assert dials.next_step.endswith("--peer 192.168.1.9:4100")
    far = {**DIAL, "address": "/p2p/12D3KooWFy8B"}
    beyond = node.judge({**STATUS, "wide": {"relays": [{}], "bootstrap": []}, "dials": [far]}, NOW)
    assert [each.next_step.rpartition(" gossip")[2] for each in beyond] == [" doctor --wide"] * 2
    assert node.judge({**STATUS, "links": [{"name": "ann"}], "dials": [DIAL]}, NOW)[1].state == "warns"
    assert node.judge({**STATUS, "members": 1}, NOW)[0].state == "warns"
    assert node.judge({**STATUS, "members": 0, "turned_away": "used up"}, NOW)[0].state == "fails"
    assert node.judge(None, NOW)[0].state == "skipped"


def test_one_library_is_enough_and_none_is_a_failure() -> None:
    assert machine.judge_backends({"aiortc": "1.16", "aiolibdatachannel": "!none"}).state == "ok"
    found = machine.judge_backends({"aiortc": "!no module", "aiolibdatachannel": "!none"})
    assert (found.hop, found.state, "no module" in found.text) == ("backends", "fails", True)
    assert machine.imported(("no_such_library_at_all",))["no_such_library_at_all"].startswith("!")


def test_an_empty_battery_and_a_busy_machine_are_told() -> None:
    assert machine.judge(4, 1.0, 10**9, None, plugged=True).state == "ok"
    assert "--duty" in machine.judge(4, 1.0, 10**9, 9, plugged=False).next_step
    assert machine.judge(4, 1.0, 10**9, 9, plugged=True).state == "ok"
    assert machine.judge(2, 9.0, 10**9, None, plugged=True).state == "warns"
