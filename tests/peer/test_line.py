"""What a peer learns of its line from the pieces that come."""

from __future__ import annotations

import pytest

from gossip.peer.pace import Pace


def fetch(pace: Pace, *, times: int, seconds: float, every: float, size: int = 10_000, link: int = 1) -> None:
    for number in range(times):
        asked = 100.0 + number * every
        pace.came(link, asked, asked + seconds, size, is_answer=True)


def test_a_line_is_full_when_something_is_waited_for_half_of_the_time() -> None:
    busy, idle = Pace(1.0), Pace(1.0)
    fetch(busy, times=40, seconds=0.8, every=1.0)
    fetch(idle, times=40, seconds=0.2, every=1.0)
    assert busy.is_full
    assert not idle.is_full
    assert busy.bytes_s == pytest.approx(12_500, rel=0.01)


def test_a_round_trip_is_not_the_lines_fault() -> None:
    pace = Pace(1.0)
    pace.heard(1, 0.6)
    fetch(pace, times=40, seconds=0.8, every=1.0)
    assert not pace.is_full
    assert pace.round_trip_s(1) == pace.usual_trip_s == 0.6


def test_pieces_that_come_beside_one_another_share_the_line() -> None:
    pace = Pace(1.0)
    for link in (1, 2):
        pace.came(link, 100.0, 101.0, 10_000, is_answer=True)
    assert pace.link_bytes_s(1) == pace.link_bytes_s(2) == pytest.approx(10_000)
    assert pace.bytes_s == pytest.approx(20_000, rel=0.1)
    pace.link_down(1)
    assert pace.link_bytes_s(1) == 0.0


def test_one_slow_link_does_not_make_our_line_slow() -> None:
    pace = Pace(1.0)
    fetch(pace, times=10, seconds=0.9, every=1.0, size=1_000, link=1)
    fetch(pace, times=10, seconds=0.1, every=1.0, size=10_000, link=2)
    assert pace.bytes_s == pytest.approx(100_000, rel=0.01)
