"""A node's times: what ends on a day ends while the machine sleeps, and nobody was silent meanwhile."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.node.clock import CATCH_UP, Clock
from gossip.transport.open_codes import OpenCodes

START = 1_800_000_000.0


class Machine:
    """Two clocks as an operating system has them."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 77.0
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def sleep(self, seconds: float) -> None:
        self.wall += seconds


def test_a_code_for_ten_minutes_is_over_when_the_lid_opens_after_three_days() -> None:
    machine, codes = Machine(), OpenCodes()
    codes.open("a ticket", uses=1, until=machine.clock.date() + 600, now=machine.clock.date())
    machine.run(10)
    codes.expire(machine.clock.date())
    assert len(list(codes)) == 1
    machine.sleep(3 * 86_400)
    codes.expire(machine.clock.date())
    assert list(codes) == []


def test_after_a_night_nobody_was_silent_for_eight_hours_and_time_is_made_up_for() -> None:
    machine = Machine()
    machine.run(100)
    asked = machine.clock.now()
    machine.sleep(8 * 3_600)
    assert machine.clock.now() == asked
    machine.run(60)
    assert machine.clock.now() == asked + 60 * (1 + CATCH_UP)
    assert machine.clock.date() == START + 160 + 8 * 3_600
    machine.run(8 * 3_600 / CATCH_UP)
    assert machine.clock.now() == machine.clock.date() == machine.wall


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    machine = Machine()
    machine.wall -= 3_600
    machine.run(5)
    assert machine.clock.now() == machine.clock.date() == START + 5


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["run", "set"]), st.floats(0, 1e6), st.booleans()), max_size=30))
def test_neither_goes_back_and_deadlines_come_a_fifth_too_early_at_most(
    steps: list[tuple[str, float, bool]],
) -> None:
    machine = Machine()
    now, date = machine.clock.now(), machine.clock.date()
    for kind, seconds, back in steps:
        if kind == "run":
            machine.run(seconds)
        else:
            machine.wall += -seconds if back else seconds
        passed = seconds if kind == "run" else 0.0
        later, day = machine.clock.now(), machine.clock.date()
        assert later - now >= passed - 1e-3
        assert later - now <= passed * (1 + CATCH_UP) + 1e-3
        assert day >= max(date, later, machine.wall)
        now, date = later, day
