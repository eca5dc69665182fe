"""Two nodes train together; what one of them was told is told to a machine made anew, which answers the same."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cli import exits
from cli.app import app
from gossip.directory import current_key_path, next_key_path
from gossip.events import Received
from gossip.recording.records import (
    MAGIC,
    Record,
    Step,
    decode_event,
    encode_event,
    encode_record,
    read_records,
)
from ledger.keys import PrivateKey
from tests.e2e.machines import Machine, requests, settle

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-one")]


def test_a_recorded_run_is_replayed_to_the_same_effects(machine: Callable[..., Machine]) -> None:
    anna, berta = machine("anna"), machine("berta")
    here, there = anna.swarms / "my-swarm", berta.home / "peer"
    first_file, second_file = anna.home / "anna.rec", berta.home / "berta.rec"
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    data = requests(anna.home / "own.jsonl", 0, 200)
    first = anna.start("run", "--data", data, "--every", 1, "--json", "--record", first_file)
    first.event("ready")
    invite = anna.gossip("invite", "--json").document["ticket"]
    own = requests(berta.home / "own.jsonl", 200, 200)
    joined = ("--data", own, "--every", 1, "--dir", there, "--json", "--record", second_file)
    second = berta.start("join", invite, *joined)
    for node in (first, second):
        node.event("merged")
    settle((here, first), (there, second))
    assert first.end(signal.SIGTERM) == second.end(signal.SIGTERM) == exits.OK

    for place, file in ((here, first_file), (there, second_file)):
        told = json.loads(typed("simulate", "--replay", file, "--dir", place, "--json").stdout)
        assert (told["same"], told["differs"], told["ended"]) == (True, None, "the node stopped")
        kinds = [record.kind for record in records(file) if isinstance(record, Step)]
        assert told["events"] == len(kinds)
        assert {"Started", "LinkUp", "Received", "DataReady", "Trained", "Stored", "Timer"} <= set(kinds)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for path in (current_key_path(place), next_key_path(place)):
            secret = PrivateKey.load(path)._key.private_bytes_raw()
            assert secret not in file.read_bytes()
            assert secret.hex().encode() not in file.read_bytes()

    shown = anna.gossip(
        "simulate", "--replay", first_file, "--dir", here
    )  # in a process of its own, with its own hashes
    assert shown.code == exits.OK
    assert "answered: the same" in shown.out

    number = alter(second_file, berta.home / "altered.rec")  # the control
    wrong = typed("simulate", "--replay", berta.home / "altered.rec", "--dir", there, "--json", code=exits.FINDINGS)
    differs = json.loads(wrong.stdout)["differs"]
    assert differs["event"] == number
    assert differs["what"].startswith("Received on link")
    assert f"differs at event {number}" in wrong.stderr
    assert f"gossip simulate --replay {berta.home / 'altered.rec'} --dir {there}" in wrong.stderr

    crossed = typed("simulate", "--replay", first_file, "--dir", there, code=exits.USAGE)
    assert "another peer's" in crossed.stderr


def typed(*words: object, code: int = exits.OK) -> Result:
    """In this process, which saves an import."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done


def records(file: Path) -> list[Record]:
    with file.open("rb") as opened:
        return list(read_records(opened))


def alter(file: Path, out: Path) -> int:
    """Change one message in the middle to what is none; the number of that event."""
    rows = records(file)
    places = [at for at, row in enumerate(rows) if isinstance(row, Step) and row.kind == "Received"]
    place = places[len(places) // 2]
    step = rows[place]
    assert isinstance(step, Step)
    event = decode_event(step)
    assert isinstance(event, Received)
    changed = Received(event.link, b"\xff" + event.message[1:])
    rows[place] = msgspec.structs.replace(step, event=encode_event(changed)[1])
    out.write_bytes(MAGIC + b"".join(map(encode_record, rows)))
    return place - 1  # behind the head
