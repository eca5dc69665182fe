"""Commitments to data sets: fixed, hiding, counted, and cheap in memory."""

from __future__ import annotations

import hmac
import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LocalError
from ledger.merkle import Tree, leaf_hash, verify_inclusion
from ledger.provenance import Commitment, commit_records, record_commitment

SALT = b"salt of this peer, kept private."
ROWS = [(b"https://a.example/ad.js", b"ad"), (b"https://b.example/", b"benign"), (b"https://c.example/px", b"tracker")]


def plain(records: list[tuple[bytes, bytes]], salt: bytes) -> Commitment:
    """The definition, without regard for memory."""

    def mac(message: bytes) -> bytes:
        return hmac.new(salt, message, sha256).digest()

    leaves = []
    for index, (key, record) in enumerate(records):
        occurrence = [other for other, _ in records[:index]].count(key)
        nonce = mac(b"nonce" + mac(key) + occurrence.to_bytes(4, "little"))
        leaves.append(mac(key) + sha256(nonce + record).digest())
    duplicates = sum(1 for index, row in enumerate(records) if row in records[:index])
    return Commitment(Tree(leaf_hash(leaf) for leaf in sorted(leaves)).root().hex(), len(records), duplicates)


row = st.tuples(st.sampled_from([b"a", b"b", b"", b"c"]), st.sampled_from([b"ad", b"benign", b""]))


@settings(max_examples=200)
@given(st.lists(row, max_size=14))
def test_it_is_what_the_definition_says(records: list[tuple[bytes, bytes]]) -> None:
    assert commit_records(iter(records), SALT) == plain(records, SALT)


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
    assert (commitment.records, commitment.duplicates) == (7, 3)


def test_one_record_opens_against_the_root() -> None:
    """What a later opening will show: nonce and record lead to the leaf, the leaf to the root."""
    keyed = {key: hmac.new(SALT, key, sha256).digest() for key, _ in ROWS}
    leaves = sorted(keyed[key] + record_commitment(SALT, keyed[key], 0, record) for key, record in ROWS)
    tree = Tree(leaf_hash(leaf) for leaf in leaves)
    for index, leaf in enumerate(leaves):
        root = bytes.fromhex(commit_records(ROWS, SALT).root)
        verify_inclusion(leaf_hash(leaf), index, len(leaves), tree.inclusion(index), root)


def test_an_empty_data_set_and_a_short_salt() -> None:
    assert commit_records([], SALT) == Commitment(sha256(b"").hexdigest(), 0, 0)
    with pytest.raises(LocalError, match="too short"):
        commit_records(ROWS, b"salt")


def test_memory_is_little_more_than_64_bytes_per_record() -> None:
    count = 30_000
    records = ((b"%d" % (index % (count - 100)), b"record %d" % index) for index in range(count))
    tracemalloc.start()
    try:
        assert commit_records(records, SALT).records == count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Up to a million records the 65,536 buckets weigh as much again as what they hold: 15 MB at most.
    assert peak < 64 * count + 12_000_000


def test_a_table_of_one_row_copied_stays_fast() -> None:
    commitment = commit_records(((b"key", b"row") for _ in range(20_000)), SALT)
    assert commitment.duplicates == 19_999
