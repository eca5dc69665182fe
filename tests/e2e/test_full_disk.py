"""The disk under a peer fills up while it publishes: it ends in one line, had told nobody of what it could not keep,
and goes on in its own chain once there is room. A real file system with an end: a small tmpfs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli import exits
from tests.e2e.machines import Machine, apart, history, own_size, requests, settle, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-one")]

SMALL, LARGE = "24m", "64m"  # the first: more than a node writes while a busy machine does not look


class Small:
    """A file system of a size."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={SMALL}", "none")

    def fill(self, leave_bytes: int) -> None:
        free = os.statvfs(self.path).f_bavail * os.statvfs(self.path).f_frsize
        (self.path / "somebody's film").write_bytes(bytes(free - leave_bytes))

    def make_room(self) -> None:
        (self.path / "somebody's film").unlink()
        self._mount("-o", f"remount,size={LARGE}")

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, self.path], check=True, capture_output=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("NOT RUN: only root on Linux may mount a small file system")
    try:
        made = Small(tmp_path / "small")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"NOT RUN: no tmpfs can be mounted here: {error.stderr.decode(errors='replace').strip()}")
    yield made
    subprocess.run(["umount", "-l", made.path], check=True)


def test_a_disk_that_fills_up_ends_the_node_in_one_line_and_it_goes_on_when_there_is_room(
    machine: Callable[..., Machine], small: Small
) -> None:
    anna, berta = machine("anna"), machine("berta")
    here, there = anna.swarms / "my-swarm", small.path / "peer"
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    witness = anna.start("run", "--json")
    witness.event("ready")
    invite = anna.gossip("invite", "--json").document["ticket"]
    data = requests(berta.home / "theirs.jsonl", 8000, 200)
    node = berta.start("join", invite, "--json", "--dir", there, "--name", "berta", "--every", "0", "--data", data)
    peer = witness.event("merged", name="berta")["peer"]
    small.fill(leave_bytes=128 << 10)

    assert node.end() == exits.USAGE
    assert len(node.err) == 1, node.err
    assert "cannot write" in node.err[0]
    assert "nothing acknowledged is lost" in node.err[0] or "free some space" in node.err[0]
    until(lambda: not berta.processes(), "its training process has ended with it")
    told = history(here)[peer]  # all that others ever heard of it
    small.make_room()
    kept = history(there)
    assert kept[peer][: len(told)] == told  # is on its disk

    again = berta.start("run", "--json", "--dir", there)
    assert again.event("published")["seq"] >= len(kept[peer])
    until(lambda: own_size(there) > len(kept[peer]) + 2, "berta goes on", running=[again])
    last = settle((here, witness), (there, again))
    assert last[0]["model_hash"] == last[1]["model_hash"] != ""
    assert witness.end(signal.SIGTERM) == again.end(signal.SIGTERM) == exits.OK
    now = history(there)
    for log, entries in kept.items():
        assert now[log][: len(entries)] == entries
    assert apart(now, history(here)) == []
    assert not [event for event in witness.events + again.events if event["event"] == "refused"]


def test_a_start_on_a_full_disk_is_refused_in_one_line(machine: Callable[..., Machine], small: Small) -> None:
    anna = machine("anna")
    place = small.path / "peer"
    assert anna.gossip("new", "my-swarm", "--dir", place, "--name", "anna").code == exits.OK
    before = history(place)
    small.fill(leave_bytes=0)
    refused = anna.gossip("run", "--json", "--dir", place)
    assert (refused.code, refused.out) == (exits.USAGE, "")
    assert len(refused.err.splitlines()) == 1
    assert "the disk" in refused.err
    small.make_room()
    node = anna.start("run", "--json", "--dir", place)
    node.event("ready")
    assert node.end(signal.SIGTERM) == exits.OK
    assert history(place) == before
