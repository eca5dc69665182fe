"""The sections about training, entries, stalls and a large model, end to end at tiny sizes: figures, and of what."""

from __future__ import annotations

import asyncio
from time import thread_time

import pytest

from cli.bench import codec, large, logbook, stall, training
from cli.bench.figures import Section
from cli.bench.made_up import mlp
from cli.bench.probe import Probe, spread


def values(section: Section) -> dict[str, float]:
    found = {figure.name.strip(): figure.value for figure in section.figures}
    assert all(value is not None for value in found.values())
    return {name: value or 0.0 for name, value in found.items()}


def test_what_a_loop_keeps_waiting_is_more_than_the_timer_that_was_set() -> None:
    """One stall of 100 ms among 980 ms without: a tenth of those who come at any moment wait, up to all of it."""
    middle, rare, worst = spread([0.1] + [0.0] * 179)
    assert (middle, worst) == (0.0, 100.0)
    assert 80 < rare < 100
    assert spread([]) == [0.0, 0.0, 0.0]


async def test_work_that_holds_a_loop_up_is_late_and_its_own() -> None:
    probe = Probe()
    probe.start()
    until = thread_time() + 0.2
    while thread_time() < until:  # nothing else of this loop runs meanwhile
        pass
    while not probe.report()["looks"]:
        await asyncio.sleep(0)
    told = probe.report()
    assert told["late_ms"][2] >= 190
    assert told["held_ms"][2] >= 190, "all of it was this loop's own work"


def test_an_update_is_made_signed_and_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "TIMES", 2)
    assert values(codec.measure())["encode + sign"] > 0


def test_entries_are_made_stored_and_audited() -> None:
    found = values(logbook.measure(entries=20))
    assert found["made, hashed, in the tree, signed"] > 0
    assert 0 < found["signatures and hashes, of all computed"] < 1


@pytest.mark.e2e
def test_a_round_stands_beside_what_is_bare() -> None:
    assert min(values(training.measure(quick=True)).values()) > 0


@pytest.mark.e2e
def test_the_loops_of_two_real_nodes_are_watched() -> None:
    found = values(stall.measure(quick=True, seconds=1.0))
    assert found["the worst"] >= found["MLP 784-128-10: p99 of the lateness"] >= 0


@pytest.mark.e2e
def test_a_large_model_goes_from_node_to_node() -> None:
    section = large.measure(model=mlp(32, steps=2))
    assert section.title.endswith(("aiortc", "aiolibdatachannel"))
    assert values(section)["from trained at one to merged at the other"] > 0
