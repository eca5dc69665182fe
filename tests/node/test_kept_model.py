"""The model of a final snapshot on disk: whole or not there, whatever happened to its file."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from gossip.events import Append, KeepModel
from gossip.node.kept_model import KeptModel
from gossip.node.writer import Writer
from ledger.errors import LocalError
from ledger.mark import WitnessMark
from ledger.store import Store

OWN = "aa" * 32
OLD, NEW = b"old" * 50_000, b"new" * 70_000


def name(data: bytes) -> str:
    return sha256(data).hexdigest()


def kept(path: Path, data: bytes) -> KeptModel:
    model = KeptModel(path)
    model.put(name(data), data)
    model.write(data)
    model.written(data)
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "final.model"


def test_it_is_served_before_it_is_on_disk_and_after_and_at_the_next_start(path: Path) -> None:
    model = KeptModel(path)
    assert (model.name(), model.part(0, 1)) == ("", b"")
    model.put(name(OLD), OLD)
    assert (model.name(), model.part(3, 9)) == (name(OLD), OLD[3:9])
    assert not path.exists()
    model.write(OLD)
    model.written(OLD)
    for one in (model, KeptModel(path)):
        assert (one.name(), one.part(3, 9)) == (name(OLD), OLD[3:9])
        assert one.part(len(OLD) - 2, len(OLD)) == OLD[-2:]
        assert one.part(len(OLD) - 2, len(OLD) + 1) == b""


def test_a_newer_one_that_is_under_way_is_what_is_served_even_if_an_older_write_ends_behind_it(path: Path) -> None:
    model = KeptModel(path)
    model.put(name(OLD), OLD)
    model.write(OLD)
    model.put(name(NEW), NEW)
    model.written(OLD)
    assert (model.name(), model.part(0, 5)) == (name(NEW), NEW[:5])


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"x" + data[1:], lambda data: b""])
def test_a_damaged_file_is_another_model_that_nobody_asks_for(path: Path, damage: object) -> None:
    kept(path, OLD)
    path.write_bytes(damage(OLD))  # type: ignore[operator]
    assert KeptModel(path).name() != name(OLD)
    assert kept(path, OLD).name() == name(OLD)  # made again
    assert KeptModel(path).name() == name(OLD)


@pytest.mark.parametrize("ruin", [lambda path: path.unlink(), lambda path: path.write_bytes(OLD[:100])])
def test_a_file_that_goes_while_the_node_runs_is_as_good_as_none(path: Path, ruin: object) -> None:
    model = kept(path, OLD)
    ruin(path)  # type: ignore[operator]
    assert model.part(0, 200) == b""


def test_what_a_crash_left_half_written_is_not_looked_at(path: Path) -> None:
    kept(path, OLD)
    path.with_name("final.model.new").write_bytes(NEW[:1000])
    assert KeptModel(path).name() == name(OLD)
    assert kept(path, NEW).name() == KeptModel(path).name() == name(NEW)


def full(path: Path) -> None:
    """What is written next finds no space: the kernel's own full device stands where the draft goes."""
    path.with_name("final.model.new").symlink_to("/dev/full")


def test_on_a_full_disk_the_old_one_stays_and_nothing_half_written(path: Path) -> None:
    kept(path, OLD)
    full(path)
    with pytest.raises(LocalError, match="No space left") as told:
        kept(path, NEW)
    assert "make space" in str(told.value)
    assert [file.name for file in path.parent.iterdir()] == ["final.model"]
    assert KeptModel(path).name() == name(OLD)


async def test_a_full_disk_ends_the_writer_and_what_came_with_the_model_is_not_acknowledged(tmp_path: Path) -> None:
    path, stored = tmp_path / "final.model", []

    async def hear(seq: int) -> None:
        stored.append(seq)

    async def hear_witnessed(log: str, size: int) -> None:
        raise AssertionError

    with Store(tmp_path / "peer.db") as store, Store.open_readonly(tmp_path / "peer.db") as reader:
        mark = WitnessMark(tmp_path / "witnessed")
        writer = Writer(store, reader, mark, OWN, hear, hear_witnessed, KeptModel(path))
        running = asyncio.create_task(writer.run())
        writer.put(Append(0, b"entry 0", None))
        while not stored:
            await asyncio.sleep(0)
        full(path)
        writer.put(Append(1, b"entry 1", None))
        writer.put(KeepModel(name(NEW), NEW))
        with pytest.raises(LocalError, match="No space left"):
            await running
        await writer.close()
        assert stored == [0]
    with Store(tmp_path / "peer.db") as store:  # made space, started again
        assert store.logs()[OWN] in (1, 2)
    assert KeptModel(path).name() == ""
