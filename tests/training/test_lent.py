"""Rows that others lend, from the lender's files to the borrower's data set: what is cut, read, counted and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gossip.egress import Receiver, ZoneSetting
from gossip.training.dataset import DataSet, cut_own, read_data
from gossip.training.lent_rows import write_rows
from gossip.training.protocol import BorrowedRows
from gossip.training.spec import ModelSpec
from ledger.entry import Hash
from ledger.errors import LocalError
from ledger.opening import SHARDS, verify_shard
from tests.training.test_data import FLOWERS, REQUESTS, SALT, requests
from tests.training.test_public_data import BOB, SWARM, public, read

ANN = "aa" * 32


def cut(files: Sequence[Path], setting: ZoneSetting, root: Hash, *to: Receiver) -> tuple[bytes, ...]:
    leaves = files[0].with_name("leaves")
    return cut_own(REQUESTS, files, None, setting=setting, swarm=SWARM, leaves=leaves, root=root, to=to)


def borrow(files: Sequence[Path], lent: Sequence[BorrowedRows], spec: ModelSpec = REQUESTS) -> DataSet:
    return read_data(spec, files, None, salt=SALT, borrowed=lent)


def test_what_is_lent_is_trained_on_beside_own_rows_and_its_owner_is_named(tmp_path: Path) -> None:
    theirs = [requests(tmp_path / "theirs.jsonl", 600)]
    data = read(theirs)
    setting = replace(public(theirs), lends=(BOB.peer,))
    shards = cut(theirs, setting, data.commitment.root, BOB)
    assert len(shards) == SHARDS
    data.rows.close()
    proven = verify_shard(shards[3], data.commitment, SWARM, 3).records
    path, rows = write_rows(REQUESTS, tmp_path, "5d", [(each.key, each.value) for each in proven])
    assert rows == len(proven) == data.commitment.records * 4 // 16 - data.commitment.records * 3 // 16
    mine = [requests(tmp_path / "mine.jsonl", 90)]
    alone, both = borrow(mine, []), borrow(mine, [BorrowedRows(ANN, data.commitment.root, "MIT", [str(path)])])
    assert both.commitment.records == alone.commitment.records + rows
    assert sum(both.labels.values()) == both.commitment.records == len(both.rows)
    assert (both.sources[-1].name, both.sources[-1].sha256) == (f"lent by {ANN}", data.commitment.root)
    assert (both.sources[:-1], both.sources[-1].licence) == (alone.sources, "MIT")
    assert alone.held_out is not None
    assert both.held_out is not None
    assert len(both.held_out) == len(alone.held_out)  # who judges does so by rows of its own
    for each in (alone, both):
        each.rows.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"zone": "private"}, "its zone is private"),
        ({"lends": ()}, "its owner lends nothing to that peer"),
        ({"opens": ("auditor",)}, "its owner named others"),
    ],
)
def test_shards_are_cut_for_nobody_to_whom_the_gate_gives_none(tmp_path: Path, change: object, why: str) -> None:
    theirs = [requests(tmp_path / "theirs.jsonl", 200)]
    data = read(theirs)
    data.rows.close()
    setting = replace(public(theirs), lends=(BOB.peer,))
    assert cut(theirs, setting, data.commitment.root, Receiver("ee" * 32, "admin"), BOB)
    with pytest.raises(LocalError, match=why):
        cut(theirs, replace(setting, **change), data.commitment.root, BOB)  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="nobody is named"):
        cut(theirs, setting, data.commitment.root)
    with pytest.raises(LocalError, match="something else would leave"):
        cut(theirs, setting, "ab" * 32, BOB)
    requests(theirs[0], 201)
    with pytest.raises(LocalError, match="not those that were made public"):
        cut(theirs, setting, data.commitment.root, BOB)


def test_what_is_no_row_is_left_out_and_never_stops_the_reading(tmp_path: Path) -> None:
    """A proof says that records are the lender's, not that they are records: it may have committed to anything."""
    good = (b"https://a.example/\0https://b.example/x.js\0script", b'["ad",true]')
    bad = [
        (b"\xff\xfe", b""), (b"", b""), (good[0], b"[" * 100_000), (good[0], b'["perhaps",true]'),
        (good[0], b'["ad", true]'), (good[0].replace(b"script", b"xhr"), good[1]), (b"a\0b\0script", good[1]),
        (b"https://a.example/" + b"x" * 70_000 + b"\0https://b.example/\0script", good[1]),
        (b"https://a.example/\n{}\0https://[b\0script", good[1]),
    ]  # fmt: skip
    path, rows = write_rows(REQUESTS, tmp_path, "5d", [*bad, good, *bad])
    assert rows == 1
    mine = [requests(tmp_path / "mine.jsonl", 90)]
    alone, both = borrow(mine, []), borrow(mine, [BorrowedRows(ANN, "ab" * 32, "", [str(path)])])
    assert both.commitment.records in (
        alone.commitment.records,
        alone.commitment.records + 1,
    )  # its site may be held out
    alone.rows.close()
    both.rows.close()


def test_numbers_come_back_as_they_were_and_none_is_held_out(tmp_path: Path) -> None:
    keys = [np.array([number, number / 2], "<f4").tobytes() for number in range(40)]
    odd = [np.array([np.nan, 1], "<f4").tobytes(), b"", b"1234"]
    odd += [np.array([1, huge], "<f4").tobytes() for huge in (3e38, -2e30, np.inf)]  # what no csv of ours may hold
    records = [(key, b"rose") for key in keys] + [(key, b"rose") for key in odd] + [(keys[0], b"thistle")]
    path, rows = write_rows(FLOWERS, tmp_path, "5d", records)
    assert rows == 40
    own = tmp_path / "own.npz"
    np.savez(own, x=np.ones((10, 2), np.float32), y=np.array(["aster"] * 10))
    alone = borrow([own], [], FLOWERS)
    both = borrow([own], [BorrowedRows(ANN, "ab" * 32, "", [str(path)])], FLOWERS)
    assert both.commitment.records == alone.commitment.records + 40
    assert both.labels["rose"] == 40
    assert write_rows(FLOWERS, tmp_path, "none", [])[1] == 0
    alone.rows.close()
    both.rows.close()


def test_others_rows_are_never_part_of_what_is_public(tmp_path: Path) -> None:
    mine = [requests(tmp_path / "mine.jsonl", 90)]
    with pytest.raises(LocalError, match="never made public"):
        read(mine, REQUESTS, borrowed=[BorrowedRows(ANN, "ab" * 32, "", [])])
