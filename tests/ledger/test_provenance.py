"""Commitments to data sets: fixed, hiding, counted, and cheap in memory."""

from __future__ import annotations

import hmac
import struct
import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import provenance
from ledger.errors import LocalError
from ledger.merkle import Tree, leaf_hash, verify_inclusion
from ledger.provenance import Commitment, commit_records, leaf_of, record_digest

SALT = b"salt of this peer, kept private."
ROWS = [(b"https://a.example/ad.js", b"ad"), (b"https://b.example/", b"benign"), (b"https://c.example/px", b"tracker")]


def plain(records: list[tuple[bytes, bytes]], salt: bytes) -> tuple[Commitment, list[bytes]]:
    """The definition, without regard for memory."""

    def mac(message: bytes) -> bytes:
        return hmac.new(salt, message, sha256).digest()

    leaves = []
    duplicates = conflicts = 0
    for index, (key, value) in enumerate(records):
        d = sha256(struct.pack("<I", len(key)) + key + value).digest()
        occurrence = records[:index].count((key, value))
        nonce = mac(b"nonce" + mac(key) + d + struct.pack("<I", occurrence))
        leaves.append(mac(key) + sha256(nonce + d).digest())
        duplicates += occurrence > 0
        conflicts += occurrence == 0 and key in [other for other, _ in records[:index]]
    leaves.sort()
    root = Tree(leaf_hash(leaf) for leaf in leaves).root().hex()
    return Commitment(root, len(records), duplicates, conflicts), leaves


row = st.tuples(st.sampled_from([b"a", b"b", b"", b"c"]), st.sampled_from([b"ad", b"benign", b""]))


@settings(max_examples=200)
@given(st.lists(row, max_size=14))
def test_it_is_what_the_definition_says(records: list[tuple[bytes, bytes]]) -> None:
    kept = bytearray()
    commitment, leaves = plain(records, SALT)
    assert commit_records(iter(records), SALT, keep=kept.extend) == commitment
    assert bytes(kept) == b"".join(leaves)
    assert commitment.records - commitment.duplicates - commitment.conflicts == len({key for key, _ in records})


def test_order_does_not_matter_and_everything_else_does() -> None:
    whole = commit_records(ROWS, SALT)
    assert commit_records(reversed(ROWS), SALT) == whole
    others = [
        commit_records(ROWS[:2], SALT),
        commit_records([*ROWS[:2], (ROWS[2][0], b"benign")], SALT),
        commit_records([*ROWS[:2], (b"https://d.example/px", b"tracker")], SALT),
        commit_records([*ROWS, ROWS[0]], SALT),
        commit_records(ROWS, SALT[::-1]),
    ]
    assert len({other.root for other in others} | {whole.root}) == 6


def test_copies_are_counted_and_contradictions_are_not_copies() -> None:
    again = [*ROWS, ROWS[0], ROWS[0], (ROWS[0][0], b"benign"), (ROWS[0][0], b"benign")]
    commitment = commit_records(again, SALT)
    assert (commitment.records, commitment.duplicates, commitment.conflicts) == (7, 3, 1)


def test_one_record_opens_against_the_root() -> None:
    """What an opening shows: the record leads to the leaf, the leaf to the root."""
    leaves = sorted(leaf_of(SALT, key, value) for key, value in ROWS)
    tree = Tree(leaf_hash(leaf) for leaf in leaves)
    for index, leaf in enumerate(leaves):
        root = bytes.fromhex(commit_records(ROWS, SALT).root)
        verify_inclusion(leaf_hash(leaf), index, len(leaves), tree.inclusion(index), root)


def test_a_byte_does_not_move_between_key_and_value() -> None:
    assert leaf_of(SALT, b"ab", b"c")[32:] != leaf_of(SALT, b"a", b"bc")[32:]
    assert record_digest(b"ab", b"c") != record_digest(b"a", b"bc")


def test_nothing_of_a_record_shows_without_the_salt() -> None:
    """Copies, and equal values of other keys, look like anything else."""
    kept = bytearray()
    commit_records([(b"a", b"ad"), (b"b", b"ad"), (b"a", b"ad")], SALT, keep=kept.extend)
    halves = {bytes(kept[at : at + 32]) for at in range(0, len(kept), 32)}
    assert len(halves) == 5  # two k, of which one twice, and three c
    assert sha256(b"ad").digest() not in halves | {record_digest(b"a", b"ad"), record_digest(b"b", b"ad")} & halves


def test_an_empty_data_set_and_a_short_salt() -> None:
    assert commit_records([], SALT) == Commitment(sha256(b"").hexdigest(), 0, 0)
    with pytest.raises(LocalError, match="too short"):
        commit_records(ROWS, b"salt")


@pytest.mark.parametrize("keys", [30_000, 29_000, 7, 1])
def test_runs_on_disk_give_what_memory_would(keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of runs, and if all records of one key fill many of them."""
    records = [(b"%d" % (index % keys), b"%d" % (index % 5)) for index in range(3_000)]
    held, spilled = bytearray(), bytearray()
    whole = commit_records(records, SALT, keep=held.extend)
    monkeypatch.setattr(provenance, "RUN_ROWS", 256)
    assert commit_records(records, SALT, keep=spilled.extend) == whole
    assert spilled == held


@pytest.mark.parametrize("keys", [1 << 30, 3])
def test_memory_does_not_grow_with_the_data(keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor with the records of one key."""
    monkeypatch.setattr(provenance, "RUN_ROWS", 1_024)
    monkeypatch.setattr(provenance, "_READ_ROWS", 16)

    def peak(count: int) -> int:
        records = ((b"%d" % (index % keys), b"record %d" % index) for index in range(count))
        tracemalloc.start()
        try:
            assert commit_records(records, SALT).records == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(32_768) < peak(4_096) + 400_000  # rows read ahead, of 28 runs more; their leaves are 1.8 MB


def test_a_table_of_one_row_copied_stays_fast() -> None:
    commitment = commit_records(((b"key", b"row") for _ in range(20_000)), SALT)
    assert commitment.duplicates == 19_999
