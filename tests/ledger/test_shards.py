"""Shards: a data set in sixteen parts, each of which proves that it is of that data set and of no other."""

from __future__ import annotations

import pytest

from ledger import opening
from ledger.entry import Data
from ledger.errors import LocalError, RemoteError
from ledger.opening import SHARDS, make_shards, public_salt, shard_of, verify_shard
from ledger.provenance import commit_records

SWARM = "2a" * 32


def made(records: int) -> tuple[list[tuple[bytes, bytes]], bytes, Data]:
    rows = [(b"page %d" % (number // 2 * 2), b"ad") for number in range(records)]  # each row twice
    leaves = bytearray()
    found = commit_records(rows, public_salt(SWARM), keep=leaves.extend)
    data = Data(
        v=1, swarm=SWARM, seq=0, prev="", time=0, meets=[], seen=[], heads="", root=found.root, records=found.records,
        labels={}, duplicates=found.duplicates, features="", zone="public", sources=[], conflicts=found.conflicts,
    )  # fmt: skip
    return rows, bytes(leaves), data


@pytest.mark.parametrize("records", [1, 2, 15, 16, 17, 100, 333])
def test_the_shards_of_a_data_set_are_all_of_its_records_and_each_once(records: int) -> None:
    rows, leaves, data = made(records)
    shards = make_shards(leaves, rows, SWARM)
    assert [bool(shard) for shard in shards] == [bool(shard_of(records, number)) for number in range(SHARDS)]
    found = [
        (record.index, record.key, record.value)
        for number, shard in enumerate(shards)
        if shard
        for record in verify_shard(shard, data, SWARM, number).records
    ]
    assert [index for index, *_ in found] == list(range(records))
    assert sorted((key, value) for _, key, value in found) == sorted(rows)


def test_a_shard_of_other_records_another_place_or_another_data_set_is_false() -> None:
    rows, leaves, data = made(100)
    shard = make_shards(leaves, rows, SWARM)[3]
    verify_shard(shard, data, SWARM, 3)
    other = made(99)[2]
    for at in range(0, len(shard), 7):
        with pytest.raises(RemoteError):
            verify_shard(shard[:at] + bytes([shard[at] ^ 1]) + shard[at + 1 :], data, SWARM, 3)
    for blob, of, swarm, number in (
        (shard, data, SWARM, 4),
        (shard, data, SWARM, 16),
        (shard, data, "3b" * 32, 3),
        (shard, other, SWARM, 3),
        (shard[:-1], data, SWARM, 3),
        (shard + b"\0", data, SWARM, 3),
        (b"", data, SWARM, 3),
    ):
        with pytest.raises(RemoteError):
            verify_shard(blob, of, swarm, number)


def test_an_empty_shard_proves_nothing_and_a_huge_claim_costs_nothing() -> None:
    rows, leaves, data = made(2)
    with pytest.raises(RemoteError, match="no records"):
        verify_shard(b"x", data, SWARM, 0)
    rows, leaves, data = made(100)
    claimed = Data(**{name: getattr(data, name) for name in data.__struct_fields__} | {"records": 1 << 50})
    with pytest.raises(RemoteError, match="cut short"):
        verify_shard(make_shards(leaves, rows, SWARM)[0], claimed, SWARM, 0)


def test_records_that_changed_or_are_too_many_are_not_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, leaves, _ = made(100)
    with pytest.raises(LocalError, match="no longer those"):
        make_shards(leaves, [*rows[:-1], (b"another", b"ad")], SWARM)
    monkeypatch.setattr(opening, "MAX_SHARD_BYTES", 400)
    with pytest.raises(LocalError, match="too long to be lent"):
        make_shards(leaves, rows, SWARM)
    monkeypatch.setattr(opening, "MAX_SHARD_BYTES", 100)
    with pytest.raises(LocalError, match="all shards have at most"):
        make_shards(leaves, rows, SWARM)


def test_a_shard_that_takes_long_to_prove_is_neither_cut_nor_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, leaves, data = made(100)
    blob = make_shards(leaves, rows, SWARM)[0]
    monkeypatch.setattr(opening, "MAX_SHARD_RECORDS", 6)  # 100 records are up to 7 in a shard
    with pytest.raises(LocalError, match="at most 96 are lent"):
        make_shards(leaves, rows, SWARM)
    with pytest.raises(RemoteError, match="too many records"):
        verify_shard(blob, data, SWARM, 15)
