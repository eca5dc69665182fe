"""A peer is killed outright while it trains: the other goes on, and the killed one goes on in its own chain."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from cli import exits
from tests.e2e.machines import Machine, apart, history, own_size, requests, settle, status, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]


def test_killed_outright_it_goes_on_in_its_own_chain(machine: Callable[..., Machine]) -> None:
    anna, berta = machine("anna"), machine("berta")
    here, there = anna.swarms / "my-swarm", berta.home / "peer"
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    first = anna.start("run", "--json", "--every", "0", "--data", requests(anna.home / "mine.jsonl", 0, 600))
    first.event("ready")
    invite = anna.gossip("invite", "--json").document["ticket"]
    data = requests(berta.home / "theirs.jsonl", 8000, 400)
    second = berta.start("join", invite, "--json", "--dir", there, "--name", "berta", "--every", "0", "--data", data)
    first.event("merged", name="berta")
    second.event("merged", name="anna")
    peer = status(there)["id"]

    second.end(signal.SIGKILL)
    until(lambda: not berta.processes(), "its training process has ended with it")
    kept = history(there)
    made = own_size(here)
    until(lambda: own_size(here) > made + 2, "anna goes on alone", running=[first])

    again = berta.start("run", "--json", "--dir", there)  # with the data it was given before
    again.event("published")
    again.event("merged", name="anna")
    assert status(there)["id"] == peer
    assert again.event("published")["seq"] >= len(kept[peer])
    last = settle((here, first), (there, again))
    assert last[0]["model_hash"] == last[1]["model_hash"] != ""
    assert first.end(signal.SIGTERM) == again.end(signal.SIGTERM) == exits.OK

    now = history(there)
    assert len(now[peer]) > len(kept[peer])
    for log, entries in kept.items():  # nothing that was on disk was lost or written anew
        assert now[log][: len(entries)] == entries
    assert apart(now, history(here)) == []
    assert not [event for event in first.events + again.events if event["event"] == "refused"]
