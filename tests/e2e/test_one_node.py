"""One node alone: what it prints, how it stops, and what it refuses. No training, so that each takes a moment."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli import exits
from tests.e2e.machines import Machine, settle, status, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-one")]


@pytest.fixture
def anna(machine: Callable[..., Machine]) -> Machine:
    """Has founded a swarm."""
    made = machine("anna")
    assert made.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    return made


def test_a_node_tells_events_one_json_object_a_line_and_ends_cleanly_on_sigterm(anna: Machine) -> None:
    node = anna.start("run", "--json")
    ready = node.event("ready")  # seen while it runs: every line leaves at once
    assert ready["address"].startswith("127.0.0.1:")
    now = status(anna.swarms / "my-swarm")
    assert (now["state"], now["pid"]) == ("observing", node.process.pid)
    assert node.end(signal.SIGTERM) == exits.OK
    assert node.err == []
    events = node.events
    assert all({"event", "time"} <= event.keys() for event in events)
    assert all("\n" not in line[:-1] and line.endswith("}\n") for line in node.out)
    times = [event["time"] for event in events]
    assert times == sorted(times)
    assert [event["event"] for event in events[-2:]] == ["stopped", "attendance"]
    assert [(one["name"], one["word"]) for one in events[-1]["peers"]] == [("anna", "quiet")]
    assert events[-1]["summary"] == ["0 of 0 trainers took part."]  # she has no data here: nothing is claimed
    assert anna.processes() == {}


def test_gossip_stop_ends_the_node_and_says_so_once(anna: Machine) -> None:
    node = anna.start("run", "--json")
    node.event("ready")
    assert anna.gossip("stop", "--json").document["stopped"] is True
    assert node.end() == exits.OK
    assert anna.gossip("stop", "--json").document["stopped"] is False
    assert anna.gossip("status", "--json").document["running"] is False


def test_a_second_node_on_the_same_directory_is_refused_with_the_pid_of_the_first(anna: Machine) -> None:
    first = anna.start("run", "--json")
    first.event("ready")
    second = anna.gossip("run", "my-swarm", "--json")
    assert second.code == exits.USAGE
    assert second.out == ""
    assert len(second.err.splitlines()) == 1
    assert "already runs" in second.err
    assert f"pid {first.process.pid}" in second.err
    assert status(anna.swarms / "my-swarm")["pid"] == first.process.pid  # and the first one does not mind


def test_a_restored_old_backup_fetches_its_own_entries_before_it_can_fork_its_log(
    anna: Machine, machine: Callable[..., Machine]
) -> None:
    place, backup = anna.swarms / "my-swarm", anna.home / "backup.db"
    node = anna.start("run", "--json")
    node.event("ready")
    shutil.copy(copy_of(place / "peer.db", anna.home), backup)
    invite = anna.gossip("invite", "--json").document["ticket"]
    berta = machine("berta")
    guest = berta.start("join", invite, "--dir", berta.home / "peer", "--json")
    node.event("admitted", by=status(place)["id"])  # an entry in anna's log that is signed and not in the backup
    guest.event("admitted")
    assert node.end(signal.SIGTERM) == guest.end(signal.SIGTERM) == exits.OK

    for name in ("peer.db", "peer.db-wal", "peer.db-shm"):
        (place / name).unlink(missing_ok=True)
    shutil.copy(backup, place / "peer.db")
    again = anna.start("run", "--json")
    said = again.event("trouble")
    assert "own entries are here and it signed for" in said["text"]
    held = status(place)["heads"]
    back = berta.start("run", "--dir", berta.home / "peer", "--json")
    again.event("link_up")  # to somebody whose membership it has forgotten
    again.event("admitted")
    until(lambda: status(place)["heads"] != held, "it fetches what others hold of its log", running=[again, back])
    last = settle((place, again), (berta.home / "peer", back))
    assert last[0]["heads"] == last[1]["heads"]
    assert again.end(signal.SIGTERM) == back.end(signal.SIGTERM) == exits.OK
    assert not [event for event in again.events + back.events if event["event"] in ("refused", "forked")]


def copy_of(database: Path, folder: Path) -> Path:
    """A backup as SQLite makes it, while the node runs."""
    target = folder / "copy.db"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target
