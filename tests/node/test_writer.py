"""The hand that writes the store: what it acknowledges is on disk, and what it has not written yet can be read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from gossip.events import Append, Keep, KeepCheckpoint, KeepCosigned, KeepVote, KeepWitnessed
from gossip.node.kept_model import KeptModel
from gossip.node.writer import MAX_PENDING, Writer
from ledger.errors import LocalError
from ledger.mark import WitnessMark
from ledger.store import Store, StoredCheckpoint, StoredVote

OWN, OTHER = "aa" * 32, "bb" * 32
BLOB = b"a delta"
NAME = sha256(BLOB).hexdigest()
CHECKPOINT = StoredCheckpoint(1, b"note", 1, ())


class Disk:
    """A store, what a stranger reads in it, and a note of what that was at each acknowledgement."""

    def __init__(self, path: Path) -> None:
        self.store, self.reader = Store(path), Store.open_readonly(path)
        self.mark = path.with_name("witnessed")
        self.acknowledged: list[tuple[int, int]] = []  # (seq, size of the own log on disk then)
        self.promised: list[tuple[str, int, object]] = []  # (log, size, what was on disk about it then)
        self.remembered: list[object] = []  # and in the file beside the store
        self.kept = KeptModel(path.with_name("final.model"))
        self.writer = Writer(
            self.store, self.reader, WitnessMark(self.mark), OWN, self.hear, self.hear_witnessed, self.kept
        )

    async def hear(self, seq: int) -> None:
        self.acknowledged.append((seq, self.reader.logs().get(OWN, 0)))

    async def hear_witnessed(self, log: str, size: int) -> None:
        self.promised.append((log, size, self.reader.witnessed(log) or self.reader.vote()))
        kept = WitnessMark(self.mark)
        self.remembered.append(kept.witnessed(log) or kept.vote())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "peer.db")
    yield made
    made.store.close()
    made.reader.close()


async def test_what_is_acknowledged_is_on_disk(disk: Disk) -> None:
    for seq in range(3):
        disk.writer.put(Append(seq, b"entry %d" % seq, None))
    await disk.writer.close()
    assert disk.acknowledged == [(2, 3)]  # one transaction, one answer for all of it


async def test_others_entries_are_kept_and_not_acknowledged(disk: Disk) -> None:
    disk.writer.put(Keep(OTHER, 0, b"entry", None))
    await disk.writer.close()
    assert (disk.acknowledged, disk.reader.logs()) == ([], {OTHER: 1})


async def test_what_is_not_written_yet_can_be_read(disk: Disk) -> None:
    disk.writer.put(Append(0, b"entry", BLOB))
    disk.writer.put(KeepCheckpoint(OWN, 1, b"note"))
    assert (disk.writer.blob(NAME), disk.writer.checkpoint(OWN)) == (BLOB, CHECKPOINT)
    assert disk.reader.blob(NAME) is None
    await disk.writer.close()
    assert (disk.writer.blob(NAME), disk.writer.checkpoint(OWN)) == (BLOB, CHECKPOINT)
    assert (disk.reader.blob(NAME), disk.reader.checkpoint(OWN)) == (BLOB, CHECKPOINT)


async def test_whoever_writes_faster_than_the_disk_waits_for_it(disk: Disk) -> None:
    for seq in range(MAX_PENDING):
        disk.writer.put(Append(seq, b"entry %d" % seq, None))
    waiting = asyncio.create_task(disk.writer.room())
    running = asyncio.create_task(disk.writer.run())
    assert not waiting.done()
    await asyncio.wait_for(waiting, 60)
    assert disk.reader.logs() == {OWN: MAX_PENDING}
    running.cancel()
    await disk.writer.close()


async def test_a_promise_of_a_witness_is_acknowledged_once_it_is_on_disk(disk: Disk) -> None:
    root = b"r" * 32
    disk.writer.put(KeepWitnessed(OTHER, 16, root))
    disk.writer.put(KeepVote(OWN, 18, NAME))
    assert disk.promised == []
    await disk.writer.close()
    assert disk.promised == [(OTHER, 16, (16, root)), (OWN, 18, StoredVote(OWN, 18, NAME))]
    assert disk.remembered == [(16, root), StoredVote(OWN, 18, NAME)]
    assert disk.writer.witnessed(OTHER) == (16, root)
    assert disk.writer.vote() == StoredVote(OWN, 18, NAME)


async def test_a_store_from_a_backup_takes_no_promise_back(disk: Disk, tmp_path: Path) -> None:
    """peer.db is an older copy, in which neither promise is yet; the file beside it stayed."""
    root = b"r" * 32
    disk.writer.put(KeepWitnessed(OTHER, 16, root))
    disk.writer.put(KeepVote(OWN, 18, NAME))
    await disk.writer.close()
    again = Disk(tmp_path / "older.db")
    assert (again.reader.witnessed(OTHER), again.reader.vote()) == (None, None)
    assert again.writer.witnessed(OTHER) == (16, root)
    assert again.writer.vote() == StoredVote(OWN, 18, NAME)
    again.writer.put(KeepWitnessed(OTHER, 16, b"another root".ljust(32)))
    with pytest.raises(LocalError, match="will not witness"):
        await again.writer.close()
    assert again.promised == []  # so nothing was signed
    again.store.close()
    again.reader.close()


async def test_a_note_with_cosignatures_can_be_read_before_and_after_it_is_on_disk(disk: Disk) -> None:
    disk.writer.put(KeepCosigned(OTHER, 16, b"note"))
    assert disk.writer.cosigned(OTHER) == (16, b"note")
    await disk.writer.close()
    assert disk.reader.cosigned(OTHER) == (16, b"note")


async def test_who_stops_while_a_batch_waits_for_the_thread_leaves_no_gap(disk: Disk) -> None:
    may_go = threading.Event()
    disk.writer._thread.submit(may_go.wait)
    disk.writer.put(Append(0, b"first", None))
    running = asyncio.create_task(disk.writer.run())
    while disk.writer._pending:
        await asyncio.sleep(0)
    running.cancel()
    disk.writer.put(Append(1, b"second", None))
    may_go.set()
    await disk.writer.close()
    assert disk.reader.logs() == {OWN: 2}
