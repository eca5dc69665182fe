"""The key files: locked or not, changed step by step, cut off at every one of them."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gossip import directory as places
from gossip import events as ev
from gossip.config import PeerConfig
from gossip.identity import KeyFiles, stored_promise
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node.alone import change_key
from gossip.node.kept_model import StoreAlone
from gossip.peer import Book, Peer, restore
from gossip.peer.homecoming import ALONE_S
from gossip.setup import create_swarm
from gossip.wire.codec import encode
from ledger.entry import Recover, Rotate
from ledger.errors import LocalError
from ledger.keys import PrivateKey, key_digest
from ledger.mark import SignedMark
from ledger.private_files import Passphrase
from ledger.promise import Promise
from ledger.store import PutCheckpoint, PutEntry, Store
from tests.peer.test_bad_member import Author

MODEL = (Path(__file__).resolve().parents[2] / "examples" / "own_model.json").read_text()
SECRET = Passphrase("correct horse battery")


class Crash(BaseException):
    """The machine went off here."""


@contextmanager
def power_fails(monkeypatch: pytest.MonkeyPatch, at: int) -> Iterator[Callable[[], int]]:
    """Before file operation `at` of those that make, sync or rename files, nothing more happens. Gives their count."""
    count = 0

    def failing(real: Callable[..., object]) -> Callable[..., object]:
        def act(*what: object, **how: object) -> object:
            nonlocal count
            if real is os.open and not int(what[1]) & os.O_CREAT:  # type: ignore[call-overload]
                return real(*what, **how)
            if count >= at:
                raise Crash
            count += 1
            return real(*what, **how)

        return act

    with monkeypatch.context() as patch:
        for name in ("open", "fsync", "replace"):
            patch.setattr(os, name, failing(getattr(os, name)))
        yield lambda: count


def founder(place: Path, passphrase: Passphrase | None = None) -> Path:
    create_swarm(place, name="keys", task="table", model_text=MODEL, peer_name="ann", seed=1, passphrase=passphrase)
    return place


def let_in(place: Path) -> None:
    """Another member: from now on there is somebody to ask."""
    with Store(places.store_path(place)) as store:
        own, swarm = store.meta("self").decode(), store.meta("swarm").decode()
        book = restore(swarm, own, store.history(), store.blob, NumpyArithmetic())
        last = SignedMark(places.mark_path(place)).read()
        peer = Peer(PeerConfig(), key=KeyFiles(place).settle(promise_of(place)), self_id=own, book=book,
                    shelf=StoreAlone(store), luck=random.Random(1),
                    mark=(last.size, last.root) if last is not None else None)  # fmt: skip
        guest, now = Author(swarm, 7), time.time()
        events: list[ev.Event] = [
            ev.Started(), ev.Timer("home"), ev.LinkUp(1, guest.key.public, dialled=False, role="trainer"),
            ev.Received(1, encode(guest.frame())),
        ]  # fmt: skip
        while events:
            now += ALONE_S
            for effect in peer.handle(events.pop(0), now):
                match effect:
                    case ev.Append(seq, entry, _):
                        store.commit([PutEntry(own, seq, entry)])
                        events.append(ev.Stored(seq))
                    case ev.Keep(log, seq, entry, _):
                        store.commit([PutEntry(log, seq, entry)])
                    case ev.KeepCheckpoint(log, size, note, held, proof):
                        store.commit([PutCheckpoint(log, size, note, held, proof)])
                        if log == own:
                            SignedMark(places.mark_path(place)).write(size, book.replica.root(own, size).hex())
                    case _:
                        pass
        assert book.replica.role_of(guest.log) == "trainer"


def promise_of(place: Path) -> Promise:
    with Store.open_readonly(places.store_path(place)) as store:
        promise = stored_promise(store)
    assert promise is not None
    return promise


def book_of(place: Path) -> tuple[Book, str]:
    """What the store gives back; every rule is checked again on the way."""
    with Store.open_readonly(places.store_path(place)) as store:
        own = store.meta("self").decode()
        return restore(store.meta("swarm").decode(), own, store.history(), store.blob, NumpyArithmetic()), own


def book_size(place: Path) -> int:
    book, own = book_of(place)
    return book.replica.size(own)


def test_the_promised_key_comes_into_force_and_another_is_promised(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer")
    before = promise_of(place)
    following = PrivateKey.load(places.next_key_path(place))
    done = change_key(place)
    after = promise_of(place)
    assert (done.old, done.new, done.seq) == (before.key, following.public, 2)
    assert after.key == following.public == PrivateKey.load(places.current_key_path(place)).public
    assert key_digest(PrivateKey.load(places.next_key_path(place)).public) == after.next != before.next
    assert not places.after_key_path(place).exists()
    book, own = book_of(place)
    assert isinstance(book.replica.entry(own, 2), Rotate)
    mark = SignedMark(places.mark_path(place)).read()
    assert mark is not None
    assert mark.size == 3


@pytest.mark.parametrize("recover", [False, True], ids=["rotate", "recover"])
def test_where_there_are_others_to_ask_no_key_is_changed_without_asking(tmp_path: Path, recover: bool) -> None:
    """The whole directory may be an old copy: then only the others know how the log went on."""
    place = founder(tmp_path / "peer")
    change_key(place)  # a swarm of one asks nobody
    let_in(place)
    size, before = book_size(place), promise_of(place)
    with pytest.raises(LocalError, match="gossip run, then type this again; or --offline if nobody else is up"):
        change_key(place, recover=recover)
    assert (book_size(place), promise_of(place)) == (size, before)
    assert change_key(place, recover=recover, offline=True).seq == size


def test_a_recovery_names_the_entry_from_which_updates_are_taken_back(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer")
    change_key(place)
    assert change_key(place, recover=True, since=2).seq == 3
    change_key(place, recover=True, since=99)  # more than there is: none
    book, own = book_of(place)
    found = [book.replica.entry(own, seq) for seq in (3, 4)]
    assert [entry.since for entry in found if isinstance(entry, Recover)] == [2, 4]


@pytest.mark.parametrize("secret", [None, SECRET], ids=["open", "locked"])
def test_cut_off_before_any_step_it_has_its_key_and_can_change_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: Passphrase | None
) -> None:
    monkeypatch.setattr("ledger.private_files.ROUNDS", 4096)  # the order is looked at here, not the lock
    at, ended = 0, False
    states = set()
    while not ended:
        place = founder(tmp_path / str(at), secret)
        before = promise_of(place)
        with power_fails(monkeypatch, at):
            try:
                change_key(place, secret)
                ended = True
            except Crash:
                pass
        there = tuple(sorted(path.name for path in places.keys_path(place).iterdir()))
        promise = promise_of(place)
        states.add((promise.since, there))
        key = KeyFiles(place, secret).settle(promise)  # what every start does
        assert key.public == promise.key
        assert places.next_key_path(place).exists()
        if promise == before:  # the change was never written: the old key is here still
            assert not ended
        change_key(place, secret)  # another try, or the next change
        book, own = book_of(place)
        assert book.replica.size(own) == (3 if promise == before else 4)
        assert PrivateKey.load(places.current_key_path(place), secret).public == promise_of(place).key
        at += 1
    assert at > 10
    assert {(1, ("current", "next")), (1, ("after", "current", "next")), (2, ("after", "current", "next")),
            (2, ("after", "current")), (2, ("current", "next"))} <= states  # fmt: skip


def test_an_interrupted_change_is_taken_up_with_the_key_it_had_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest may be in an entry that others hold, whatever this store says."""
    place = founder(tmp_path / "peer")
    with power_fails(monkeypatch, 3), pytest.raises(Crash):
        change_key(place)
    made = PrivateKey.load(places.after_key_path(place)).public
    change_key(place)
    assert promise_of(place).next == key_digest(made)


def test_without_the_promised_key_nothing_is_written(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer")
    places.next_key_path(place).rename(tmp_path / "elsewhere")
    with pytest.raises(LocalError, match=r"is not here; with a backup: gossip key recover FILE"):
        change_key(place)
    PrivateKey.generate().save(places.next_key_path(place))
    with pytest.raises(LocalError, match="not the key that the log promises"):
        change_key(place)
    assert promise_of(place).since == 1
    assert KeyFiles(place).settle(promise_of(place)).public == promise_of(place).key


def test_a_strangers_key_in_place_of_ours_is_refused(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer")
    places.current_key_path(place).unlink()
    PrivateKey.generate().save(places.current_key_path(place))
    with pytest.raises(LocalError, match="is not the key of this peer"):
        KeyFiles(place).settle(promise_of(place))


def test_keys_newer_than_the_store_are_kept(tmp_path: Path) -> None:
    """A store that was put back from a copy: its log still names the old key, which is gone."""
    place = founder(tmp_path / "peer")
    old = promise_of(place)
    change_key(place)
    key = KeyFiles(place).settle(old)
    assert key_digest(key.public) == old.next
    assert places.next_key_path(place).exists()


def test_who_lacks_entries_of_its_own_log_asks_others_first(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer")
    SignedMark(places.mark_path(place)).write(7, "ab" * 32)
    with pytest.raises(LocalError, match="lacks entries of its own log"):
        change_key(place)
    assert promise_of(place).since == 1


# ------------------------------------------------------------------ modes and passphrases


def test_keys_are_their_owners_alone_at_every_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_mask = os.umask(0)
    try:
        place = founder(tmp_path / "peer")
        with power_fails(monkeypatch, 3), pytest.raises(Crash):
            change_key(place)
    finally:
        os.umask(old_mask)
    assert places.after_key_path(place).exists()
    assert {path.stat().st_mode & 0o777 for path in places.keys_path(place).iterdir()} == {0o600}
    assert places.keys_path(place).stat().st_mode & 0o777 == 0o700


def test_a_folder_of_keys_that_others_can_look_into_is_refused(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer")
    places.keys_path(place).chmod(0o755)
    with pytest.raises(LocalError, match="chmod 700"):
        KeyFiles(place)
    places.keys_path(place).chmod(0o700)
    places.next_key_path(place).chmod(0o640)
    with pytest.raises(LocalError, match="chmod 600"):
        change_key(place)


@pytest.mark.skipif(os.getuid() != 0, reason="NOT RUN: only root can give a file to somebody else")
def test_another_users_keys_are_refused(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer")
    os.chown(places.current_key_path(place), 12345, 12345)
    with pytest.raises(LocalError, match="belongs to another user"):
        KeyFiles(place).settle(promise_of(place))


def test_a_locked_peer_opens_with_its_passphrase_and_with_nothing_else(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer", SECRET)
    assert KeyFiles(place).is_locked
    with pytest.raises(LocalError, match="is locked with a passphrase"):
        change_key(place)
    with pytest.raises(LocalError, match="wrong passphrase"):
        change_key(place, Passphrase("correct horse batterie"))
    assert promise_of(place).since == 1
    change_key(place, SECRET)
    for path in places.keys_path(place).iterdir():
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_openssl_reads_a_locked_key(tmp_path: Path) -> None:
    place = founder(tmp_path / "peer", SECRET)
    file = tmp_path / "passphrase"
    file.write_bytes(SECRET.reveal())
    words = ["openssl", "pkey", "-in", places.current_key_path(place), "-passin", f"file:{file}"]
    done = subprocess.run([*words, "-pubout", "-outform", "DER"], capture_output=True, check=True)
    assert done.stdout[-32:] == promise_of(place).key


def test_a_passphrase_is_changed_and_removed_and_a_cut_between_two_files_is_healed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.private_files.ROUNDS", 4096)
    other = Passphrase("a second passphrase")
    at, ended = 0, False
    place = founder(tmp_path / "peer")
    KeyFiles(place).relock(SECRET)
    while not ended:
        with power_fails(monkeypatch, at):
            try:
                KeyFiles(place, SECRET).relock(other)
                ended = True
            except Crash:
                pass
        if not ended:
            KeyFiles(place, other).relock(SECRET)  # whatever state each is in, back to the first
        at += 1
    assert at > 6
    assert KeyFiles(place, other).settle(promise_of(place)).public == promise_of(place).key
    KeyFiles(place, other).relock(None)
    assert not KeyFiles(place).is_locked
    change_key(place)


def test_a_passphrase_does_not_show_itself() -> None:
    assert repr(SECRET) == "Passphrase(...)"
    assert "correct" not in f"{SECRET} {SECRET!r} {[SECRET]}"
    for bad in ("", "two\nlines", "x" * 2000):
        with pytest.raises(LocalError):
            Passphrase(bad)
    with pytest.raises(LocalError, match="at least 8"):
        Passphrase("short").require_strength()
