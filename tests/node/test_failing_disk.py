"""A disk that fails under a running writer: nothing is acknowledged from then on, and nothing that was is lost.

The disk is SQLite's own file layer with a fault in it (tests/power/vfs.py), so that every single write and sync of a
store can be the one that fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest

from gossip.events import Append, KeepCheckpoint, KeepWitnessed
from gossip.node.kept_model import KeptModel
from gossip.node.writer import Writer
from ledger.errors import LocalError
from ledger.mark import SignedMark, WitnessMark
from ledger.store import Store
from tests.power.disk import Sync, Truncate, Write
from tests.power.vfs import is_possible, watching
from tests.power.workload import BATCH, STORE, check, written

OWN, OTHER = "aa" * 32, "bb" * 32
ROOT = b"r" * 32

Step = Write | Truncate | Sync

needs_layer = pytest.mark.skipif(not is_possible(), reason="Python's sqlite3 is linked so that no fault can be put in")


class Broken:
    """Works until told otherwise; from then on what `kind` picks fails, once or for ever."""

    def __init__(self, picks: Callable[[Step], bool], *, after: int = 0, times: int = 1 << 30) -> None:
        self._picks, self._left, self._times = picks, after, times
        self.is_armed = False
        self.failed = 0

    def __call__(self, step: Step) -> bool:
        if not self.is_armed or not self._picks(step) or self.failed >= self._times:
            return False
        self._left -= 1
        if self._left >= 0:
            return False
        self.failed += 1
        return True


def wal_sync(step: Step) -> bool:
    return isinstance(step, Sync) and step.name.endswith("-wal")


def wal_write(step: Step) -> bool:
    return isinstance(step, Write) and step.name.endswith("-wal")


def into_the_file(step: Step) -> bool:
    return isinstance(step, Write | Sync) and step.name == STORE


def anything(step: Step) -> bool:
    return not step.name.endswith("-shm")


class Machine:
    """A store, a writer, and what the machine above it was told is safe."""

    def __init__(self, place: Path) -> None:
        self.store = Store(place / STORE)
        self.reader = Store.open_readonly(place / STORE)
        self.stored: list[int] = []
        self.witnessed: list[tuple[str, int]] = []
        self.writer = Writer(
            self.store,
            self.reader,
            WitnessMark(place / "witnessed"),
            OWN,
            self.hear,
            self.hear_witnessed,
            KeptModel(place / "final.model"),
        )

    async def hear(self, seq: int) -> None:
        self.stored.append(seq)

    async def hear_witnessed(self, log: str, size: int) -> None:
        self.witnessed.append((log, size))

    def close(self) -> None:
        self.reader.close()
        self.store.close()


@needs_layer
@pytest.mark.parametrize("picks", [wal_write, wal_sync])
async def test_after_a_write_that_failed_nothing_is_acknowledged_even_when_the_disk_works_again(
    tmp_path: Path, picks: Callable[[Step], bool]
) -> None:
    disk = Broken(picks, times=1)  # a moment later the disk says that all is well, as kernels do
    with watching(lambda step: None, disk):
        machine = Machine(tmp_path)
        running = asyncio.create_task(machine.writer.run())
        machine.writer.put(Append(0, b"entry 0", None))
        while not machine.stored:
            await asyncio.sleep(0)
        disk.is_armed = True
        machine.writer.put(Append(1, b"entry 1", None))
        with pytest.raises(LocalError, match="cannot write") as told:
            await running
        assert "nothing acknowledged is lost" in str(told.value)
        assert disk.failed == 1
        machine.writer.put(KeepCheckpoint(OWN, 2, b"note"))  # what the machine asked for before it heard
        machine.writer.put(KeepWitnessed(OTHER, 16, ROOT))
        await machine.writer.close()  # an end like any other: that the disk failed was said
        assert (machine.stored, machine.witnessed) == ([0], [])
        machine.close()

    with Store(tmp_path / STORE) as store:  # made space, started again
        store.settle()
        assert store.logs()[OWN] in (1, 2)  # the entry that was not acknowledged may be there, whole
        assert store.checkpoint(OWN) is None
        assert store.witnessed(OTHER) is None


@needs_layer
async def test_a_batch_that_fails_while_the_node_ends_takes_the_later_ones_with_it(tmp_path: Path) -> None:
    """The task that waited for the first was cancelled, so nobody saw its error: close() does."""
    disk = Broken(wal_sync, times=1)
    with watching(lambda step: None, disk):
        machine = Machine(tmp_path)
        disk.is_armed = True
        machine.writer.put(Append(0, b"entry 0", None))
        running = asyncio.create_task(machine.writer.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # its batch is on the other thread
        running.cancel()
        machine.writer.put(KeepWitnessed(OTHER, 16, ROOT))
        with suppress(LocalError):  # whichever of the two noticed first
            await machine.writer.close()
        assert (machine.stored, machine.witnessed) == ([], [])
        assert machine.reader.witnessed(OTHER) is None
        machine.close()


@needs_layer
def test_every_single_failure_of_a_disk_is_told_and_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    """The n-th write, truncation or sync fails, for every n there is, the carrying over of the log included."""
    met = number = 0
    while True:
        place = tmp_path / str(number)
        place.mkdir()
        disk = Broken(anything, after=number)
        promised, told = 0, False
        with watching(lambda step: None, disk):
            store = Store(place / STORE)
            disk.is_armed = True
            try:
                for promised in written(store):
                    if promised >= 4 * BATCH:
                        break
            except LocalError as error:
                told = "cannot write" in str(error)
            store.close()
        if not disk.failed:
            break
        met += 1
        if promised < 4 * BATCH:
            assert told, f"operation {number} failed and nobody heard of it"
        assert check(place / STORE, promised) == "", f"operation {number} failed"
        number += 1
    assert met > 20


@needs_layer
def test_a_log_that_cannot_be_carried_over_into_the_file_stops_the_next_commit(tmp_path: Path) -> None:
    """SQLite alone would say nothing, and let its log grow until the disk is full."""
    disk = Broken(into_the_file)
    promises: list[int] = []
    with watching(lambda step: None, disk):
        store = Store(tmp_path / STORE)
        disk.is_armed = True
        with pytest.raises(LocalError, match="cannot write"):
            promises.extend(islice(written(store), 50))
        store.close()
    assert disk.failed
    assert check(tmp_path / STORE, promises[-1]) == ""


@needs_layer
def test_a_start_writes_once_more_what_a_failed_sync_may_have_left_in_memory_only(tmp_path: Path) -> None:
    """After it the store needs no write-ahead log: all is in the file, and synced."""
    seen: list[object] = []
    with watching(seen.append):
        first = Store(tmp_path / STORE)
        store = Store(tmp_path / STORE)
        promised = next(written(store))
        seen.clear()
        first.settle()
        assert seen.index(Sync(STORE)) > max(
            number for number, step in enumerate(seen) if isinstance(step, Write) and step.name == STORE
        )
        assert (tmp_path / f"{STORE}-wal").stat().st_size == 0
        first.close()
        store.close()
    assert check(tmp_path / STORE, promised) == ""
    assert promised == BATCH


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("mark", ["signed", "witnessed"])
def test_a_mark_that_cannot_be_written_is_an_error_and_the_old_one_stays(tmp_path: Path, mark: str) -> None:
    def write(size: int) -> None:
        if mark == "signed":
            SignedMark(tmp_path / mark).write(size, ROOT.hex())
        else:
            WitnessMark(tmp_path / mark).write([(OTHER, size, ROOT)])

    write(1)
    before = (tmp_path / mark).read_bytes()
    (tmp_path / f"{mark}.new").symlink_to("/dev/full")  # what is written there finds no space, ever
    with pytest.raises(LocalError, match="No space left") as told:
        write(2)
    assert "free some space" in str(told.value)
    assert (tmp_path / mark).read_bytes() == before
    (tmp_path / f"{mark}.new").unlink()
    write(2)
    assert (tmp_path / mark).read_bytes() != before
    assert Path("/dev/full").is_char_device()  # nothing was ever put in its place
