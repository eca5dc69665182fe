"""What a node takes of its machine, and when it lets go."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest

from cli import remembered
from cli.machine import machine
from gossip.node import power
from gossip.node.power import Battery, Power, battery, choose, reason, usable_cores
from gossip.training.worker_client import TrainerProcess
from ledger.errors import LocalError


def test_half_of_the_cores_at_most_and_never_none() -> None:
    luck = random.Random(1)
    for usable, count in ((1, 1), (2, 1), (3, 1), (4, 2), (7, 3), (16, 8)):
        chosen = choose(0, list(range(usable)), luck)
        assert len(chosen) == count
        assert set(chosen) <= set(range(usable))


def test_as_many_as_the_user_names_but_no_more_than_there_are() -> None:
    luck = random.Random(1)
    assert len(choose(3, [4, 5, 6, 7], luck)) == 3
    assert choose(9, [4, 5], luck) == [4, 5]


def test_peers_on_one_machine_do_not_all_sit_on_the_same_core() -> None:
    taken = Counter(choose(0, [0, 1, 2, 3], random.Random(seed))[0] for seed in range(100))
    assert len(taken) > 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells which cores a process keeps to")
@pytest.mark.parametrize("trains", [True, False])
async def test_both_processes_of_a_node_keep_to_its_cores_in_every_thread(trains: bool) -> None:
    core = usable_cores()[-1]
    async with TrainerProcess(trains=trains, cores=[core]) as started, asyncio.timeout(60):
        with pytest.raises(LocalError, match="nothing is loaded"):
            await started.evaluate(np.zeros(3, np.float32))  # it answers: numpy and its threads are there
        tasks = Path(f"/proc/{started.pid}/task").glob("*/status")
        lines = [line for task in tasks for line in task.read_text().splitlines()]
        assert {line.split()[1] for line in lines if line.startswith("Cpus_allowed_list")} == {str(core)}


class Laptop:
    """A machine whose plug is pulled."""

    def __init__(self) -> None:
        self.found: Battery | None = Battery(80.0, True)

    def __call__(self) -> Battery | None:
        return self.found


async def test_off_the_mains_no_round_begins_and_back_on_them_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = Laptop()
    monkeypatch.setattr(power, "battery", laptop)  # the system's sensor
    monkeypatch.setattr(power, "LOOK_EVERY_S", 0.0)
    told: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(Power(0, random.Random(1)).watch(told.put))
    laptop.found = Battery(43.2, False)
    assert await told.get() == "on battery, 43%"
    laptop.found = Battery(42.0, False)  # told once
    await asyncio.sleep(0)
    laptop.found = Battery(42.0, True)
    assert await told.get() == ""
    laptop.found = None  # docked without its battery
    for _ in range(5):
        await asyncio.sleep(0)
    assert told.empty()
    watching.cancel()


def test_a_machine_that_has_no_battery_or_says_nothing_never_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason(None) == ""
    assert reason(Battery(1.0, True)) == ""

    def unreadable() -> None:
        raise OSError("the driver is gone")

    monkeypatch.setattr(psutil, "sensors_battery", unreadable, raising=False)
    assert battery() is None
    monkeypatch.delattr(psutil, "sensors_battery")
    assert battery() is None


def test_the_status_has_the_machine_and_the_view_a_line_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Power(1, random.Random(1)).report()
    assert facts.keys() == {"cpu_mhz", "load", "battery_percent", "plugged", "cores", "of_cores"}
    assert (facts["cores"], facts["of_cores"]) == (1, len(usable_cores()))
    monkeypatch.setattr(power, "battery", lambda: Battery(43.4, False))
    shown = {**Power(1, random.Random(1)).report(), "cpu_mhz": 2600, "load": 1.26, "of_cores": 4}
    assert machine({"machine": shown}) == ["machine: 1 of 4 cores, load 1.3, 2,600 MHz, battery 43%, not plugged in"]
    assert machine({"machine": {**shown, "battery_percent": None, "plugged": None, "cpu_mhz": None}}) == [
        "machine: 1 of 4 cores, load 1.3"
    ]
    assert machine({}) == []


def test_what_was_said_of_cores_and_battery_holds_for_the_next_run_until_something_else_is_said() -> None:
    first = remembered._merged(remembered.Wishes(cores=2, pause_on_battery=True), remembered.Remembered())
    assert (first.cores, first.pause_on_battery) == (2, True)
    second = remembered._merged(remembered.Wishes(), first)
    assert (second.cores, second.pause_on_battery) == (2, True)
    third = remembered._merged(remembered.Wishes(cores=1, pause_on_battery=False), second)
    assert (third.cores, third.pause_on_battery) == (1, False)
