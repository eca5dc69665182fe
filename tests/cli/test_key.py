"""`gossip key` as it is typed: what it prints, what it asks, what it leaves behind, and what it keeps to itself."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits, running
from cli.app import app
from gossip import backup as backups
from gossip import directory as places
from gossip.identity import stored_promise
from gossip.node import NodeConfig
from gossip.peer_ids import key_of
from gossip.transport.tickets import Ticket
from ledger.canonical import decode_entry
from ledger.entry import Enrol, Recover
from ledger.keys import PrivateKey
from ledger.note import parse_verifier_key
from ledger.private_files import Passphrase
from ledger.store import Store
from tests.node.test_identity import let_in

SECRET = "correct horse battery"
OTHER = "another secret of ours"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("ledger.private_files.ROUNDS", 4096)  # how long a guess takes is measured in test_keys.py
    monkeypatch.setitem(backups._COST, "n", 1024)
    return tmp_path / "home"


def gossip(*words: str, told: str | None = None, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, list(words), input=told)
    assert done.exit_code == code, done.output
    return done.stdout if code == exits.OK else done.stderr


def facts(*words: str, told: str | None = None) -> dict[str, Any]:
    value = json.loads(gossip(*words, "--json", told=told))
    assert isinstance(value, dict)
    return value


def secret_file(path: Path, text: str = SECRET) -> str:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return str(path)


def entries(place: Path) -> list[Any]:
    with Store.open_readonly(places.store_path(place)) as store:
        return [decode_entry(data) for data in store.entries(store.meta("self").decode())]


def test_show_needs_no_passphrase_and_follows_the_log(home: Path, tmp_path: Path) -> None:
    gossip("new", "lists", "--passphrase-file", secret_file(tmp_path / "pw"))
    before = facts("key", "show")
    assert before["locked"] is True
    assert before["since"] == 1
    enrol = entries(home / "lists")[1]
    assert (before["key"], before["next"]) == (enrol.key, enrol.next)
    verifier = parse_verifier_key(before["verifier"])
    assert verifier.public.hex() == before["key"]
    assert verifier.name.startswith("gossip.invalid/")
    done = facts("key", "rotate", "--passphrase-file", str(tmp_path / "pw"))
    after = facts("key", "show", "lists")
    assert (done["old"], done["new"], done["pending"]) == (before["key"], after["key"], False)
    assert after["peer"] == before["peer"]
    assert after["verifier"] != before["verifier"]
    assert [key_of(one["libp2p"]).hex() for one in (before, after)] == [before["key"], after["key"]]
    assert before["libp2p"] != after["libp2p"]
    assert [Path(file).name for file in after["files"]] == ["current", "next"]
    text = gossip("key", "show")
    assert all(str(after[field]) in text for field in ("peer", "words", "key", "libp2p", "next", "verifier", "swarm"))
    assert "it changes with the key; the peer's id above stays" in text
    for path in (home / "lists" / "keys").iterdir():
        path.unlink()
    assert facts("key", "show")["key"] == after["key"]
    assert "a backup brings its keys back" in gossip("key", "show")


def test_with_other_members_and_no_node_it_says_what_to_start(home: Path) -> None:
    gossip("new", "lists")
    let_in(home / "lists")
    told = gossip("key", "rotate", code=exits.USAGE)
    assert told.count("\n") == 1
    assert "start the node with gossip run, then type this again; or --offline if nobody else is up" in told
    facts("key", "rotate", "--offline")


def test_where_nobody_can_type_one_line_says_what_to_do(tmp_path: Path) -> None:
    gossip("new", "lists", "--passphrase-file", secret_file(tmp_path / "pw"))
    told = gossip("key", "rotate", code=exits.USAGE)
    assert told.count("\n") == 1
    assert "no terminal to type it at; use --passphrase-file FILE" in told
    told = gossip("key", "rotate", "--passphrase-file", secret_file(tmp_path / "bad", OTHER), code=exits.USAGE)
    assert told.count("\n") == 1
    assert "wrong passphrase for" in told
    assert "type it" not in told
    # Each prompt names the option that answers it.
    told = gossip("key", "passphrase", "--passphrase-file", str(tmp_path / "pw"), code=exits.USAGE)
    assert "use --new-passphrase-file FILE" in told
    copy = str(tmp_path / "copy")
    told = gossip("key", "backup", copy, "--passphrase-file", str(tmp_path / "pw"), code=exits.USAGE)
    assert "use --backup-passphrase-file FILE" in told
    gossip("key", "backup", copy, "--passphrase-file", str(tmp_path / "pw"), "--backup-passphrase-file", "-",
           told=SECRET + "\n")  # fmt: skip
    assert "use --backup-passphrase-file FILE" in gossip("key", "recover", copy, code=exits.USAGE)
    (tmp_path / "pw").chmod(0o644)
    assert "chmod 600" in gossip("key", "rotate", "--passphrase-file", str(tmp_path / "pw"), code=exits.USAGE)
    gossip("key", "rotate", "--passphrase-file", "-", told=SECRET + "\n")


def test_what_is_not_locked_is_not_opened_with_a_passphrase(tmp_path: Path) -> None:
    gossip("new", "lists")
    told = gossip("key", "rotate", "--passphrase-file", secret_file(tmp_path / "pw"), code=exits.USAGE)
    assert "are not locked" in told


def test_a_passphrase_is_set_changed_and_removed(home: Path, tmp_path: Path) -> None:
    gossip("new", "lists")
    one, two = secret_file(tmp_path / "one"), secret_file(tmp_path / "two", OTHER)
    assert "at least 8" in gossip(
        "key", "passphrase", "--new-passphrase-file", secret_file(tmp_path / "short", "short"), code=exits.USAGE
    )
    assert len(facts("key", "passphrase", "--new-passphrase-file", one)["files"]) == 2
    gossip("key", "passphrase", "--passphrase-file", one, "--new-passphrase-file", two)
    assert "wrong passphrase" in gossip("key", "rotate", "--passphrase-file", one, code=exits.USAGE)
    gossip("key", "rotate", "--passphrase-file", two)
    with places.lock(home / "lists"):  # a node holds the old one
        assert "already runs" in gossip("key", "passphrase", "--passphrase-file", two, "--remove", code=exits.USAGE)
    gossip("key", "passphrase", "--passphrase-file", two, "--remove")
    gossip("key", "rotate")


def test_typed_twice_or_not_at_all(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """At a terminal; what is typed is not shown."""
    answers: list[str] = []

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: answers.pop(0))
    from cli import passphrase

    monkeypatch.setattr(passphrase.sys, "stdin", Terminal())
    answers[:] = [SECRET, OTHER] * 3
    with pytest.raises(passphrase.LocalError, match="two different"):
        passphrase.chosen(None, "the keys")
    assert answers == []  # asked three times
    answers[:] = ["short"] * 3 + [SECRET, SECRET]
    with pytest.raises(passphrase.LocalError, match="at least 8"):
        passphrase.chosen(None, "the keys")
    answers[:] = ["short", SECRET, OTHER, SECRET, SECRET]
    assert passphrase.chosen(None, "the keys") == Passphrase(SECRET)
    answers[:] = [SECRET, SECRET]
    assert passphrase.chosen(None, "the keys") == Passphrase(SECRET)
    answers[:] = ["e\u0301tude en si"]  # typed with a composed letter elsewhere
    assert passphrase.required(None, "the keys") == Passphrase("\u00e9tude en si")


def test_a_key_made_beforehand_is_the_one_a_peer_enrols_with(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_node", lambda *_, **__: exits.OK)
    made = facts("key", "new", "--out", str(tmp_path / "witness.key"))
    assert (tmp_path / "witness.key").stat().st_mode & 0o777 == 0o600
    assert "never overwritten" in gossip("key", "new", "--out", str(tmp_path / "witness.key"), code=exits.USAGE)
    gossip("new", "lists")
    ticket = facts("invite")["ticket"]
    gossip("join", ticket, "--dir", str(tmp_path / "peer"), "--key", str(tmp_path / "witness.key"))
    (enrol,) = entries(tmp_path / "peer")
    assert isinstance(enrol, Enrol)
    assert enrol.key == made["key"]
    assert PrivateKey.load(places.current_key_path(tmp_path / "peer")).public.hex() == made["key"]


def test_a_locked_key_made_beforehand_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[NodeConfig] = []
    monkeypatch.setattr(running, "run_node", lambda config, *_, **__: seen.append(config) or exits.OK)
    file, secret = str(tmp_path / "witness.key"), secret_file(tmp_path / "pw")
    gossip("key", "new", "--out", file, "--passphrase-file", secret)
    gossip("new", "lists")
    ticket = facts("invite")["ticket"]
    place = tmp_path / "peer"
    gossip("join", ticket, "--dir", str(place), "--key", file, "--passphrase-file", secret)
    for path in places.keys_path(place).iterdir():
        assert b"ENCRYPTED" in path.read_bytes()
    assert seen[0].passphrase == Passphrase(SECRET)
    assert "correct" not in repr(seen[0])


def test_an_invite_names_the_key_in_force(home: Path) -> None:
    gossip("new", "lists")
    new = facts("key", "rotate")["new"]
    assert Ticket.parse(facts("invite")["ticket"]).key.hex() == new


# ------------------------------------------------------------------ backups


def test_a_backup_is_locked_private_and_never_overwrites(home: Path, tmp_path: Path) -> None:
    gossip("new", "lists")
    secret, file = secret_file(tmp_path / "pw"), tmp_path / "backup"
    old_mask = os.umask(0)
    try:
        gossip("key", "backup", str(file), "--backup-passphrase-file", secret)
    finally:
        os.umask(old_mask)
    assert file.stat().st_mode & 0o777 == 0o600
    kept = file.read_bytes()
    assert "never overwritten" in gossip("key", "backup", str(file), code=exits.USAGE)
    assert file.read_bytes() == kept
    opened = backups.read(file, Passphrase(SECRET))
    assert opened.next.public != opened.current.public
    for key in (opened.current, opened.next):
        assert key.seed() not in kept
        assert key.seed().hex().encode() not in kept
    file.chmod(0o640)
    assert "can be read by others" in gossip(
        "key", "recover", str(file), "--backup-passphrase-file", secret, code=exits.USAGE
    )
    file.chmod(0o600)
    wrong = secret_file(tmp_path / "wrong", OTHER)
    assert "does not open" in gossip("key", "recover", str(file), "--backup-passphrase-file", wrong, code=exits.USAGE)


def test_every_changed_byte_of_a_backup_is_noticed(tmp_path: Path) -> None:
    gossip("new", "lists")
    file = tmp_path / "backup"
    gossip("key", "backup", str(file), "--backup-passphrase-file", secret_file(tmp_path / "pw"))
    data = file.read_bytes()
    for at in [*range(20), *range(20, len(data), 97), len(data) - 2]:
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(backups.LocalError):
            backups.read(file, Passphrase(SECRET))
    for cut in (0, 10, 40, len(data) // 2, len(data) - 5):
        file.write_bytes(data[:cut])
        with pytest.raises(backups.LocalError):
            backups.read(file, Passphrase(SECRET))


def test_a_peer_is_taken_back_from_a_thief(home: Path, tmp_path: Path) -> None:
    """The key in force is out; the promised one is used, and updates since then are taken back."""
    gossip("new", "lists")
    place, secret, file = home / "lists", secret_file(tmp_path / "pw"), str(tmp_path / "backup")
    gossip("key", "backup", file, "--backup-passphrase-file", secret)
    places.next_key_path(place).unlink()  # kept on the other disk alone
    assert "gossip key recover FILE" in gossip("key", "rotate", code=exits.USAGE)
    words = ("key", "recover", file, "--backup-passphrase-file", secret)
    assert "there is no entry 2 in this peer's log: the last one here is 1" in gossip(
        *words, "--since", "2", "--yes", code=exits.USAGE
    )
    told = gossip(*words, "--since", "1", code=exits.USAGE)
    assert "withdraws 0 updates, entries 1 to 1: nothing was changed" in told
    assert "add --yes" in told
    assert len(entries(place)) == 2
    done = facts(*words, "--since", "1", "--yes")
    assert done["pending"] is False
    entry = entries(place)[-1]
    assert isinstance(entry, Recover)
    assert (entry.since, entry.key) == (1, done["new"])
    # The same backup once more: its keys are spent, whether those that were promised since are here or not.
    size = len(entries(place))
    for _ in range(2):
        told = gossip("key", "recover", file, "--backup-passphrase-file", secret, code=exits.USAGE)
        assert "this backup is older than the last change of keys: the log changed them at entry 2" in told
        assert told.count("\n") == 1
        places.next_key_path(place).unlink(missing_ok=True)
    assert len(entries(place)) == size


def test_at_a_terminal_the_owner_is_asked_before_updates_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    from cli import asking

    monkeypatch.setattr(asking.sys, "stdin", Terminal("n\ny\n"))
    with pytest.raises(asking.typer.Abort):
        asking.confirm("withdraws 2 updates, entries 4 to 9", yes=False)
    asking.confirm("withdraws 2 updates, entries 4 to 9", yes=False)


def test_a_lost_peer_is_set_up_again_to_fetch_its_log_first(home: Path, tmp_path: Path) -> None:
    gossip("new", "lists")
    gossip("key", "rotate")
    kept = facts("key", "show")
    secret, file = secret_file(tmp_path / "pw"), str(tmp_path / "backup")
    gossip("key", "backup", file, "--backup-passphrase-file", secret)
    for path in sorted((home / "lists").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (home / "lists").rmdir()

    words = ("key", "recover", file, "--backup-passphrase-file", secret, "--passphrase-file", secret)
    assert "withdraws every update from entry 2 on" in gossip(*words, "--since", "2", code=exits.USAGE)
    done = facts(*words, "--since", "2", "--yes")
    place = Path(done["dir"])
    shown = facts("key", "show", "--dir", str(place))
    assert (shown["key"], shown["next"], shown["since"]) == (
        kept["key"],
        kept["next"],
        None,
    )  # not the log's first ones
    assert "(as of the backup; the log is not here yet)" in gossip("key", "show", "--dir", str(place))
    assert (done["peer"], done["pending"]) == (kept["peer"], True)
    assert place.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in places.keys_path(place).iterdir()} == {0o600}
    with Store.open_readonly(places.store_path(place)) as store:
        assert backups.recover_since(store) == (True, 2)
        assert backups.is_restored(store)
        promise = stored_promise(store)
    assert promise is not None
    assert len(entries(place)) == 2
    # Nothing may be written here before others have told how the log went on.
    told = gossip("key", "rotate", "--passphrase-file", secret, code=exits.USAGE)
    assert "lacks entries of its own log" in told


def test_who_recovers_without_a_passphrase_is_told_that_the_keys_are_not_locked(home: Path, tmp_path: Path) -> None:
    secret, file, place = secret_file(tmp_path / "pw"), str(tmp_path / "backup"), str(tmp_path / "again")
    gossip("new", "lists", "--passphrase-file", secret)
    gossip("key", "backup", file, "--passphrase-file", secret, "--backup-passphrase-file", secret)
    told = gossip("key", "recover", file, "--dir", place, "--backup-passphrase-file", secret)
    assert f"The keys are not locked here. Lock them with: gossip key passphrase --dir {place}" in told
    told = gossip("key", "recover", file, "--dir", place + "2", "--backup-passphrase-file", secret,
                  "--passphrase-file", secret)  # fmt: skip
    assert "not locked" not in told


def test_a_backup_of_another_peer_is_refused(home: Path, tmp_path: Path) -> None:
    gossip("new", "lists")
    gossip("new", "other")
    secret, file = secret_file(tmp_path / "pw"), str(tmp_path / "backup")
    gossip("key", "backup", file, "lists", "--backup-passphrase-file", secret)
    told = gossip("key", "recover", file, "other", "--backup-passphrase-file", secret, code=exits.USAGE)
    assert "holds another peer than the backup" in told


def test_a_change_of_keys_says_how_many_invitations_end_with_the_old_one(home: Path) -> None:
    """Tickets name the key that lets their bearers in."""
    gossip("new", "lists")
    for _ in range(2):
        gossip("invite", "lists", "--ticket")
    assert "2 open invitations end with the old key" in gossip("key", "rotate", "lists")
    with Store.open_readonly(places.store_path(home / "lists")) as store:
        assert store.open_tickets(0.0) == 0
    assert "open invitation" not in gossip("key", "rotate", "lists")
    gossip("invite", "lists", "--ticket")
    assert facts("key", "rotate", "lists")["invitations_ended"] == 1
