"""Proofs of single entries: true ones at every size, and every way to be false or spelled otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, origin, sign
from ledger.cosignature import add_cosignatures, cosign
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from ledger.proof import (
    MAX_EXTRA_BYTES,
    MAX_HASHES,
    MAX_PROOF_BYTES,
    TlogProof,
    make_proof,
    parse_proof,
    print_proof,
    verify_prefix,
    verify_proof,
)
from tests.ledger.c2sp_vectors import published, rows

FILE = published()
KEYS = [PrivateKey.from_seed(bytes([number]) * 32) for number in range(1, 5)]
NAMES = [origin("ab" * 32, f"{number:02x}" * 32) for number in range(1, 5)]
AUTHOR = bytes.fromhex(FILE["keys"]["1"])
ENTRIES = [b"entry %d" % index for index in range(130)]
TREE = Tree(map(leaf_hash, ENTRIES))


def note(size: int, tree: Tree = TREE) -> bytes:
    return sign(Checkpoint(NAMES[0], size, tree.root(size)), KEYS[0])


def test_every_entry_of_every_small_log_is_proved() -> None:
    for size in (*range(1, 20), 64, 65, 130):
        signed = note(size)
        for index in range(size):
            proof = parse_proof(print_proof(make_proof(TREE, index, signed)))
            assert verify_proof(proof, ENTRIES[index], NAMES[0], AUTHOR).size == size
            with pytest.raises(RemoteError):
                verify_proof(proof, ENTRIES[index] + b"x", NAMES[0], AUTHOR)


def test_the_form_is_that_of_the_specification() -> None:
    """Put together by hand, with nothing of ours: tests/ledger/c2sp_vectors.py."""
    text = rows("accept", "proof")[0].values[0]["text"]
    proof = parse_proof(text.encode())
    assert make_proof(TREE, 11, note(14)) == proof
    assert print_proof(proof) == text.encode()
    assert verify_proof(proof, b"entry 11", FILE["origin"], AUTHOR) == Checkpoint(NAMES[0], 14, TREE.root(14))


@pytest.mark.parametrize("row", rows("refuse", "proof"))
def test_a_proof_has_one_spelling(row: Any) -> None:
    with pytest.raises(RemoteError) as refused:
        parse_proof(row["text"].encode())
    assert "signed by" not in str(refused.value)


@pytest.mark.parametrize("row", rows("false", "proof"))
def test_a_false_proof_reads_and_proves_nothing(row: Any) -> None:
    proof = parse_proof(row["text"].encode())
    with pytest.raises(RemoteError):
        verify_proof(proof, b"entry 11", FILE["origin"], AUTHOR)


def test_every_flipped_bit_is_caught() -> None:
    data = print_proof(make_proof(TREE, 11, note(14)))
    for at in range(len(data)):
        for bit in range(8):
            bad = bytearray(data)
            bad[at] ^= 1 << bit
            with pytest.raises(RemoteError):
                verify_proof(parse_proof(bytes(bad)), b"entry 11", NAMES[0], AUTHOR)


def test_extra_data_and_cosignatures_are_carried_and_not_believed() -> None:
    checkpoint = Checkpoint(NAMES[0], 130, TREE.root())
    cosigned = add_cosignatures(note(130), (cosign(checkpoint, NAMES[n], KEYS[n], 5) for n in (1, 2, 3)))
    for extra in (b"x", bytes(MAX_EXTRA_BYTES)):
        proof = replace(make_proof(TREE, 129, cosigned), extra=extra)
        assert parse_proof(print_proof(proof)) == proof
        assert verify_proof(proof, ENTRIES[129], NAMES[0], AUTHOR) == checkpoint
    with pytest.raises(RemoteError, match="too long"):
        parse_proof(print_proof(proof) + bytes(MAX_PROOF_BYTES))


def test_the_proof_of_an_update_in_a_log_of_a_million_has_at_most_2_kb() -> None:
    """20 hashes, three cosignatures. The tree is not built: its size alone fixes the length."""
    checkpoint = Checkpoint(NAMES[0], 1_000_000, bytes(32))
    cosigned = add_cosignatures(
        sign(checkpoint, KEYS[0]), (cosign(checkpoint, NAMES[n], KEYS[n], 1_767_225_600) for n in (1, 2, 3))
    )
    data = print_proof(TlogProof(999_000, (bytes(32),) * 20, cosigned))
    assert parse_proof(data).index == 999_000
    assert len(data) == 2020


def test_a_proof_of_the_last_entry_proves_the_whole_prefix() -> None:
    """Against every larger checkpoint, with no proof of consistency."""
    for held in range(1, 34):
        ours = Tree(map(leaf_hash, ENTRIES[:held]))
        for size in range(held, 67):
            proof = make_proof(TREE, held - 1, note(size))
            assert verify_prefix(proof, ours, NAMES[0], AUTHOR).size == size


def test_a_prefix_that_differs_anywhere_is_of_another_history() -> None:
    for held in (2, 3, 7, 8, 9, 21):
        proof = make_proof(TREE, held - 1, note(held + 13))
        for at in range(held):
            other = [*ENTRIES[:at], b"forged", *ENTRIES[at + 1 : held]]
            with pytest.raises(RemoteError):
                verify_prefix(proof, Tree(map(leaf_hash, other)), NAMES[0], AUTHOR)
        # Entries before it could only be left out at a place that the proof would name.
        with pytest.raises(RemoteError, match="not of the last entry"):
            verify_prefix(proof, Tree(map(leaf_hash, ENTRIES[: held - 1])), NAMES[0], AUTHOR)


def test_a_prefix_is_judged_by_what_stands_to_its_left() -> None:
    """The attack: a true proof of the last leaf, held against a tree that ends in it and begins otherwise."""
    proof = make_proof(TREE, 4, note(9))
    other = Tree(map(leaf_hash, [b"forged", *ENTRIES[1:5]]))
    verify_proof(proof, ENTRIES[4], NAMES[0], AUTHOR)
    with pytest.raises(RemoteError, match="another history"):
        verify_prefix(proof, other, NAMES[0], AUTHOR)


def test_no_proof_is_made_under_a_checkpoint_of_another_log() -> None:
    other = Tree(leaf_hash(b"other %d" % index) for index in range(9))
    for bad in (note(9, other), sign(Checkpoint(NAMES[0], 131, bytes(32)), KEYS[0])):
        with pytest.raises(LocalError, match="not of this log"):
            make_proof(TREE, 3, bad)
    with pytest.raises(LocalError):
        make_proof(TREE, 14, note(14))


@settings(max_examples=60)
@given(
    st.integers(0, (1 << 53) - 2),
    st.lists(st.binary(min_size=32, max_size=32), max_size=MAX_HASHES),
    st.binary(max_size=40),
)
def test_what_is_written_is_read(index: int, hashes: list[bytes], extra: bytes) -> None:
    proof = TlogProof(index, tuple(hashes), note(14), extra)
    assert parse_proof(print_proof(proof)) == proof


@given(st.binary(max_size=300))
def test_noise_is_refused(data: bytes) -> None:
    for candidate in (data, b"c2sp.org/tlog-proof@v1\nindex 0\n" + data):
        with pytest.raises(RemoteError):
            parse_proof(candidate)
