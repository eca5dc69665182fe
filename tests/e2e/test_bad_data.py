"""A data file with a row that makes no sense: the row, the reason, what to do; and nothing has been begun."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli import exits
from tests.e2e.machines import Done, Machine, requests

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

GOOD_ROWS = 40


@pytest.fixture
def anna(machine: Callable[..., Machine]) -> Machine:
    """Has founded a swarm, and has a file whose row 41 is bad."""
    made = machine("anna")
    assert made.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    return made


def damaged(folder: Path) -> Path:
    file = requests(folder / "mine.jsonl", 0, GOOD_ROWS)
    with file.open("a", encoding="utf-8") as rows:
        rows.write('{"page":"http://a.example/","url":"http://b.example/x.js","type":"script","label":"perhaps"}\n')
    requests(folder / "more.jsonl", GOOD_ROWS, 10)
    return file


def names_the_row(done: Done) -> None:
    assert done.code == exits.USAGE
    assert len(done.err.splitlines()) == 1, done.err
    assert "mine.jsonl" in done.err
    assert f"row {GOOD_ROWS + 1}" in done.err
    assert "its label is none of" in done.err  # the reason
    assert "correct or remove that row" in done.err  # and what to do
    assert "Traceback" not in done.err


def test_run_names_the_row_and_publishes_nothing(anna: Machine) -> None:
    done = anna.gossip("run", "--json", "--data", damaged(anna.home), anna.home / "more.jsonl")
    names_the_row(done)
    left = anna.gossip("status", "--json").document
    assert (left["running"], left["entries"]) == (False, 2)  # genesis and enrol, as `new` made them
    assert anna.processes() == {}


def test_join_names_the_row_before_it_makes_anything(anna: Machine, machine: Callable[..., Machine]) -> None:
    invite = anna.gossip("invite", "--json").document["ticket"]
    berta = machine("berta")
    done = berta.gossip("join", invite, "--json", "--data", damaged(berta.home))
    names_the_row(done)
    assert not list(berta.swarms.glob("*"))
    assert berta.processes() == {}
