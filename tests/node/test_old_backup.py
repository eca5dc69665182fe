"""A backup from before a change of keys, used on a new machine: one line says so once the log is back, no entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossip import backup as backups
from gossip import directory as places
from gossip.identity import stored_promise
from gossip.node.alone import change_key
from gossip.node.rekeying import Rekeying
from gossip.setup import create_swarm
from ledger.errors import LocalError
from ledger.private_files import Passphrase
from ledger.store import PutEntry, SignedMark, Store

MODEL = (Path(__file__).resolve().parents[2] / "examples" / "own_model.json").read_text()


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, backups.Backup]:
    """A peer, and a backup of it."""
    monkeypatch.setitem(backups._COST, "n", 1024)
    create_swarm(tmp_path / "peer", name="keys", task="table", model_text=MODEL, peer_name="ann", seed=1)
    secret = Passphrase("correct horse battery")
    backups.write(tmp_path / "backup", backups.make(tmp_path / "peer", None, ()), secret)
    return tmp_path / "peer", backups.read(tmp_path / "backup", secret)


def came_home(kept: backups.Backup, log: Path, place: Path) -> bool:
    """Set up from the backup, and the log fetched: what the node makes of it, once it knows that this is all."""
    kept.restore(place, None, None)
    with Store.open_readonly(places.store_path(log)) as store:
        own = store.meta("self").decode()
        data = list(store.entries(own))
    with Store(places.store_path(place)) as store:
        keys = Rekeying(place, None, store, SignedMark(places.mark_path(place)))
        store.commit([PutEntry(own, seq, entry) for seq, entry in enumerate(data)])
        promise = stored_promise(store)
    assert not keys.follow(promise, is_home=False, may_write=False)  # there may be more to come
    return keys.follow(promise, is_home=True, may_write=False)


@pytest.mark.parametrize("changes", [1, 2])
def test_an_old_backup_takes_nothing_back(lost: tuple[Path, backups.Backup], tmp_path: Path, changes: int) -> None:
    peer, kept = lost
    for _ in range(changes):
        last = change_key(peer)
    with pytest.raises(LocalError, match="this backup is older than the last change of keys") as caught:
        came_home(kept, peer, tmp_path / "new")
    assert f"the log changed them at entry {last.seq}" in str(caught.value)


def test_a_backup_of_the_keys_that_the_log_names_does(lost: tuple[Path, backups.Backup], tmp_path: Path) -> None:
    peer, kept = lost
    assert not came_home(kept, peer, tmp_path / "new")  # no complaint, and nothing changed: the keys are the log's
    assert (tmp_path / "new" / "keys" / "next").read_bytes()
