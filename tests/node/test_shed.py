"""Letting go of deltas, as the store, the node and its owner's words have it."""

from __future__ import annotations

import asyncio
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest

from cli import remembered
from gossip.config import PeerConfig
from gossip.events import DropBlobs, Keep, KeepBase
from gossip.node import shed
from gossip.node.kept_model import KeptModel
from gossip.node.report import blobs_of
from gossip.node.writer import Writer
from gossip.peer.status import Pruned
from ledger import store as stores
from ledger.errors import LocalError
from ledger.kept import DropBlobs as Drop
from ledger.kept import PutBase, PutBlob, PutEntry, StoredBase
from ledger.mark import WitnessMark
from ledger.schema import SCHEMA_VERSION
from ledger.store import Store

OWN, ANN = "aa" * 32, "bb" * 32
ONE, TWO = b"one delta" * 9, b"another" * 9


def name(data: bytes) -> str:
    return sha256(data).hexdigest()


def test_what_was_said_of_pruning_holds_for_the_next_run_until_something_else_is_said() -> None:
    first = remembered._merged(remembered.Wishes(prune=True), remembered.Remembered())
    second = remembered._merged(remembered.Wishes(), first)
    third = remembered._merged(remembered.Wishes(prune=False), second)
    assert [run.prune for run in (remembered.Remembered(), first, second, third)] == [False, True, True, False]


@pytest.mark.parametrize("wrong", [{"keep_updates": -1}, {"prune_step": 0}])
def test_nobody_keeps_fewer_than_none(wrong: dict[str, int]) -> None:
    with pytest.raises(LocalError, match="fewer updates than none"):
        PeerConfig(**wrong)  # type: ignore[arg-type]


def test_a_base_comes_back_in_parts_and_a_smaller_one_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PART_BYTES", 100)
    path, long = tmp_path / "peer.db", bytes(range(256)) * 2
    with Store(path) as store:
        assert store.base() is None
        assert store.base_place() is None
        store.commit([PutBase(ANN, 7, long)])
        assert store.base() == StoredBase(ANN, 7, long)
        assert store._row("SELECT count(*) FROM base_part") == (6,)
        store.commit([PutBase(OWN, 9, long[:150])])
    with Store.open_readonly(path) as store:
        assert store.base() == StoredBase(OWN, 9, long[:150])
        assert store.base_place() == (OWN, 9)


def test_base_and_deltas_change_together_or_not_at_all(tmp_path: Path) -> None:
    with Store(tmp_path / "peer.db") as store:
        store.commit([PutBlob(name(ONE), ONE), PutBlob(name(TWO), TWO)])
        assert store.grown_by == (2, len(ONE) + len(TWO))
        with pytest.raises(LocalError, match="does not have the hash"):
            store.commit([PutBase(ANN, 7, b"sums"), Drop((name(ONE),)), PutBlob(name(ONE), TWO)])
        assert store.base() is None
        assert store.blob(name(ONE)) == ONE
        store.commit([PutBase(ANN, 7, b"sums"), Drop((name(ONE), "00" * 32))])
        assert store.blob(name(ONE)) is None
        assert store.blob(name(TWO)) == TWO
        assert store.grown_by == (1, len(TWO))
        assert store.blob_sizes() == (1, len(TWO))
        assert store.sizes_of([name(ONE), name(TWO)]) == (1, len(TWO))


def test_a_store_of_the_version_before_gets_a_place_for_its_base(tmp_path: Path) -> None:
    """Version 3: as this one, but nothing could be let go of."""
    path = tmp_path / "peer.db"
    with Store(path) as store:
        store.commit([PutEntry(ANN, 0, b"entry"), PutBlob(name(ONE), ONE)])
        store.allow(b"k" * 32, "relay", 9)
    other = sqlite3.connect(path)
    for table in ("base", "base_part"):
        other.execute(f"DROP TABLE {table}")
    other.execute("PRAGMA user_version = 3")
    other.commit()
    other.close()
    with Store.open_readonly(path) as store:
        assert store.base() is None
        assert store.base_place() is None
        assert store.allowed()
        assert store._row("PRAGMA user_version") == (3,)
    with Store(path) as store:
        assert store._row("PRAGMA user_version") == (SCHEMA_VERSION,)
        store.commit([PutBase(ANN, 0, b"sums"), Drop((name(ONE),))])
        assert list(store.history()) == [(ANN, 0, b"entry")]
        assert store.blob(name(ONE)) is None
        assert store.allowed()


async def test_a_node_writes_the_base_before_it_lets_go_and_forgets_what_is_on_its_way(tmp_path: Path) -> None:
    async def hear(*about: object) -> None:
        raise AssertionError(about)

    with Store(tmp_path / "peer.db") as store, Store.open_readonly(tmp_path / "peer.db") as reader:
        kept = KeptModel(tmp_path / "final.model")
        writer = Writer(store, reader, WitnessMark(tmp_path / "witnessed"), OWN, hear, hear, kept)
        writer.put(Keep(ANN, 0, b"entry", ONE))
        writer.put(Keep(ANN, 1, b"entry 1", TWO))
        assert writer.blob(name(ONE)) == ONE
        writer.put(KeepBase(ANN, 1, b"sums"))
        writer.put(DropBlobs((name(ONE),)))
        assert writer.blob(name(ONE)) is None
        assert writer.blob(name(TWO)) == TWO
        await asyncio.gather(writer.close())
        assert reader.base() == StoredBase(ANN, 1, b"sums")
        assert reader.blob(name(ONE)) is None
        assert reader.blob(name(TWO)) == TWO


def test_a_file_is_written_anew_at_a_start_once_most_of_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shed, "WORTH_BYTES", 1 << 18)
    blobs = [bytes([number]) * 8_000 for number in range(100)]
    with Store(tmp_path / "peer.db") as store:
        store.commit([PutBase(ANN, 0, b"sums"), *(PutBlob(name(data), data) for data in blobs)])
        full = store.spare_bytes()[1]
        store.commit([Drop(tuple(map(name, blobs[:40])))])
        shed.compact(store)
        assert store.spare_bytes()[1] == full, "less than half of it is free"
        store.commit([Drop(tuple(map(name, blobs[40:90])))])
        shed.compact(store)
        assert store.spare_bytes()[0] == 0
        assert store.spare_bytes()[1] < full / 4
        assert store.blob(name(blobs[95])) == blobs[95]


def test_the_status_says_who_is_an_archive_and_what_is_lacking() -> None:
    assert blobs_of((3, 99), None)["archive"] is True
    said = blobs_of((1, 9), Pruned(ANN, 7, 500, 2), lacking=4)
    assert said == {
        "archive": False, "count": 1, "bytes": 9, "base": {"peer": ANN, "seq": 7, "updates": 500}, "owed": 2,
        "lacking": 4,
    }  # fmt: skip
