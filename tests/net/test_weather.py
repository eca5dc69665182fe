"""What a way does to frames, by itself: no clock, no socket."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.net.weather import CLEAN, HELD_BACK_S, QUEUE_S, Way, Weather

SHARES = st.floats(0, 0.5)


def sent(weather: Weather, count: int = 1_000, every_s: float = 0.001, seed: int = 1) -> list[list[float]]:
    way = Way(Random(seed))
    return [way.arrivals(1_000, weather, number * every_s) for number in range(count)]


def test_a_clean_way_hands_over_at_once() -> None:
    assert sent(CLEAN, 3) == [[0.0], [0.001], [0.002]]
    assert str(CLEAN) == "clean"


def test_of_what_is_sent_the_share_is_lost_or_comes_twice() -> None:
    came = sent(Weather(loss=0.1, duplicate=0.2))
    assert 60 < came.count([]) < 140  # of 1,000: four standard deviations
    assert 130 < sum(len(times) == 2 for times in came) < 230
    assert str(Weather(loss=0.1, delay_s=0.05)) == "10% loss, 50 ms"


def test_frames_that_jitter_keep_their_order_and_those_held_back_lose_theirs() -> None:
    jittered = [due for (due,) in sent(Weather(delay_s=0.05, jitter_s=0.03))]
    assert jittered == sorted(jittered)
    mixed = [due for (due,) in sent(Weather(delay_s=0.05, reorder=0.1))]
    overtaken = sum(due - 0.001 * number > 0.05 + HELD_BACK_S / 2 for number, due in enumerate(mixed))
    assert 60 < overtaken < 140
    assert mixed != sorted(mixed)


def test_a_narrow_line_carries_what_it_can_and_drops_what_would_wait_too_long() -> None:
    came = sent(Weather(bytes_per_s=100_000))  # a kilobyte each millisecond: ten times as much as passes
    passed = [times[0] for times in came if times]
    assert 140 < len(passed) < 160  # of a second and half a second's queue
    assert max(passed) <= 1.0 + QUEUE_S + 0.02


@given(SHARES, st.floats(0, 0.2), st.floats(0, 0.1), SHARES, SHARES, st.integers(0, 100))
def test_nothing_arrives_before_its_delay_and_the_same_luck_does_the_same(
    loss: float, delay_s: float, jitter_s: float, duplicate: float, reorder: float, seed: int
) -> None:
    weather = Weather(loss, delay_s, jitter_s, duplicate, reorder)
    came = sent(weather, 50, 0.0, seed)
    assert all(delay_s <= due <= delay_s + jitter_s + HELD_BACK_S + 1e-9 for times in came for due in times)
    assert came == sent(weather, 50, 0.0, seed)
