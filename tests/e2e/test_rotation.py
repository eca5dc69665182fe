"""Keys change while nodes run, behind a passphrase; a machine is lost, and its peer comes back with a backup."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cli import exits
from gossip.directory import current_key_path, store_path
from ledger.canonical import decode_entry
from ledger.entry import Recover, Rotate
from ledger.store import Store
from tests.e2e.machines import Machine, Running, requests, status, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

SECRET = "mauve-otter-41-lantern"


def changes(place: Path, peer: str) -> list[Rotate | Recover]:
    """The changes of keys that a store holds of one log."""
    with Store.open_readonly(store_path(place)) as store:
        entries = [decode_entry(data) for data in store.entries(peer)]
    return [entry for entry in entries if isinstance(entry, Rotate | Recover)]


def traces(text: str, machines: Iterable[Machine], said: Iterable[Running], but: Path) -> list[str]:
    """Wherever `text` shows: arguments and environment of every process, files, outputs."""
    found = []
    for machine in machines:
        for pid in machine.processes():
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    if text.encode() in Path(f"/proc/{pid}/{name}").read_bytes():
                        found.append(f"{name} of {pid}")
        for path in machine.home.rglob("*"):
            with suppress(FileNotFoundError):  # what a node writes under another name first may be gone by now
                if path != but and path.is_file() and text.encode() in path.read_bytes():
                    found.append(str(path))
    return found + [line for running in said for line in (*running.out, *running.err) if text in line]


def test_keys_change_under_way_and_a_lost_peer_comes_back(machine: Callable[..., Machine], tmp_path: Path) -> None:
    anna, berta = machine("anna"), machine("berta")
    here, there = anna.swarms / "my-swarm", berta.home / "peer"
    secret = berta.home / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    first = anna.start("run", "--json")
    first.event("ready")
    invite = anna.gossip("invite", "--json").document["ticket"]
    words: tuple[Any, ...] = ("--json", "--dir", there, "--passphrase-file", secret)
    second = berta.start("join", invite, *words, "--name", "berta")
    peer = second.event("admitted", name="berta")["peer"]

    # Both change keys; the link between them stands.
    for owner, where, other, log in ((anna, here, second, status(here)["id"]), (berta, there, first, peer)):
        if owner is berta:
            old = tmp_path / "old"
            assert berta.gossip("key", "backup", old, *words[1:], "--backup-passphrase-file", secret).code == exits.OK
        done = owner.gossip("key", "rotate", "--dir", where, "--json").document
        assert done["pending"] is False
        other.event("rotated", peer=log, key=done["new"])
        assert owner.gossip("key", "show", "--dir", where, "--json").document["key"] == done["new"]
    assert not [event for event in first.events + second.events if event["event"] in ("link_down", "refused")]
    assert not traces(SECRET, [anna, berta], [first, second], secret)
    assert b"ENCRYPTED" in current_key_path(there).read_bytes()

    # Killed outright and started again, berta is known by her new key. Now she trains; that process knows no secret.
    second.end(signal.SIGKILL)
    second = berta.start("run", *words, "--data", requests(berta.home / "mine.jsonl", 0, 200))
    second.event("link_up", name="anna")
    until(lambda: len(berta.processes()) > 1, "her training process has started", running=[second])
    assert not traces(SECRET, [berta], [second], secret)
    backup = tmp_path / "elsewhere"
    kept = berta.gossip(
        "key", "backup", backup, "--dir", there, "--passphrase-file", secret, "--backup-passphrase-file", secret
    )
    assert kept.code == exits.OK
    second.end(signal.SIGTERM)

    # The machine is gone. A backup of before the change says so itself, once the log is there, and writes nothing.
    address = status(here)["address"]
    again = (*words[:2], berta.home / "again", *words[3:])
    assert berta.gossip("key", "recover", old, *again, "--backup-passphrase-file", secret).code == exits.OK
    stale = berta.start("run", *again, "--address", address)
    assert stale.end() == exits.USAGE
    assert "this backup is older than the last change of keys" in "".join(stale.err)
    assert len(changes(here, peer)) == 1

    # On another machine, the same peer: it hears from anna how its log went on, then changes its key.
    shutil.rmtree(there)
    recovered = berta.gossip(
        "key", "recover", backup, "--dir", there, "--json", "--passphrase-file", secret,
        "--backup-passphrase-file", secret,
    )  # fmt: skip
    assert recovered.document["peer"] == peer
    third = berta.start("run", *words, "--address", address)
    third.event("rotated", peer=peer)
    until(lambda: len(changes(here, peer)) == 2, "anna holds the recovery", running=[first])
    assert [type(entry) for entry in changes(here, peer)] == [Rotate, Recover]
    shown = berta.gossip("key", "show", "--dir", there, "--json").document
    assert shown["key"] == changes(here, peer)[-1].key
    until(lambda: [Path(file).name for file in berta.gossip("key", "show", "--dir", there, "--json").document["files"]]
          == ["current", "next"], "the key files have followed", running=[third])  # fmt: skip
    assert not traces(SECRET, [anna, berta], [first, second, third], secret)
    assert third.end(signal.SIGTERM) == first.end(signal.SIGTERM) == exits.OK
