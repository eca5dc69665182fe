"""The Merkle tree: every small tree against the definition in RFC 6962, every bit flipped, and foreign vectors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.errors import LocalError, RemoteError
from ledger.merkle import (
    EMPTY_ROOT,
    Tree,
    inclusion_sides,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LARGEST = 130
LEAVES = [leaf_hash(str(index).encode()) for index in range(LARGEST)]
TREE = Tree(LEAVES)


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(plain_root(leaves[:split]), plain_root(leaves[split:]))


ROOTS = [plain_root(LEAVES[:size]) for size in range(LARGEST + 1)]


def test_root_of_every_past_size_is_the_definition() -> None:
    growing = Tree()
    for size in range(LARGEST + 1):
        assert growing.root() == ROOTS[size] == TREE.root(size) == root_of(LEAVES[:size])
        if size < LARGEST:
            growing.append(LEAVES[size])
    assert Tree().root() == EMPTY_ROOT


def test_frontier_folds_to_the_root() -> None:
    for size in range(1, LARGEST + 1):
        nodes = TREE.frontier(size)
        assert len(nodes) == size.bit_count()
        root = nodes.pop()
        while nodes:
            root = node_hash(nodes.pop(), root)
        assert root == ROOTS[size]


def test_every_inclusion_proof_verifies_and_for_no_other_place() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = TREE.inclusion(index, size)
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
            with pytest.raises(RemoteError):
                verify_inclusion(LEAVES[index], index ^ 1, size, proof, ROOTS[size] if size > 1 else ROOTS[2])


def test_every_consistency_proof_verifies() -> None:
    for second in range(1, LARGEST + 1):
        for first in range(1, second + 1):
            proof = TREE.consistency(first, second)
            verify_consistency(first, second, ROOTS[first], ROOTS[second], proof)


@pytest.mark.parametrize("size", [2, 3, 7, 8, 9, 64, 65, LARGEST])
def test_any_flipped_bit_of_an_inclusion_proof_is_caught(size: int) -> None:
    index = size * 2 // 3
    proof, root = TREE.inclusion(index, size), ROOTS[size]
    for which in range(len(proof) + 2):
        for bit in range(256):
            parts = [LEAVES[index], root, *proof]
            parts[which] = flipped(parts[which], bit)
            with pytest.raises(RemoteError):
                verify_inclusion(parts[0], index, size, parts[2:], parts[1])


@pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 7), (4, 7), (6, 8), (64, 65), (65, 128), (77, LARGEST)])
def test_any_flipped_bit_of_a_consistency_proof_is_caught(first: int, second: int) -> None:
    parts = [ROOTS[first], ROOTS[second], *TREE.consistency(first, second)]
    for which in range(len(parts)):
        for bit in range(256):
            bad = list(parts)
            bad[which] = flipped(bad[which], bit)
            with pytest.raises(RemoteError):
                verify_consistency(first, second, bad[0], bad[1], bad[2:])


def test_every_hash_of_every_proof_matters() -> None:
    """Every tree up to 130, every proof, every hash with a bit flipped: another each time, all 256 in turn."""
    bit = 0
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = TREE.inclusion(index, size)
            for which in range(len(proof)):
                bit = (bit + 1) % 256
                bad = [*proof[:which], flipped(proof[which], bit), *proof[which + 1 :]]
                assert refuses(verify_inclusion, LEAVES[index], index, size, bad, ROOTS[size])
        for first in range(1, size + 1):
            proof = TREE.consistency(first, size)
            for which in range(len(proof)):
                bit = (bit + 1) % 256
                bad = [*proof[:which], flipped(proof[which], bit), *proof[which + 1 :]]
                assert refuses(verify_consistency, first, size, ROOTS[first], ROOTS[size], bad)


def refuses(verify: Callable[..., None], *arguments: object) -> bool:
    try:
        verify(*arguments)
    except RemoteError:
        return True
    return False


def test_a_proofs_sides_say_which_hashes_stand_to_the_left() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof, sides = TREE.inclusion(index, size), inclusion_sides(index, size)
            root = LEAVES[index]
            for value, is_left in zip(proof, sides, strict=True):
                root = node_hash(value, root) if is_left else node_hash(root, value)
            assert root == ROOTS[size]
            left = [value for value, is_left in zip(proof, sides, strict=True) if is_left]
            assert left == TREE.frontier(index)[::-1]


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=80), st.data())
def test_roots_and_proofs_are_those_of_pymerkle(entries: list[bytes], data: st.DataObject) -> None:
    """Somebody else's RFC 6962: its roots and proofs are ours, and it takes our proofs as we take its."""
    theirs = InmemoryTree(algorithm="sha256")
    for entry in entries:
        theirs.append_entry(entry)
    ours = Tree(map(leaf_hash, entries))
    size = data.draw(st.integers(1, len(entries)))
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert ours.root(size) == theirs.get_root(size)
    assert ours.leaf(index) == theirs.get_leaf(index + 1)
    inclusion = theirs.prove_inclusion(index + 1, size)
    assert inclusion.path == [ours.leaf(index), *ours.inclusion(index, size)]
    inclusion.verify(ours.leaf(index), ours.root(size), index + 1, size)
    verify_inclusion(leaf_hash(entries[index]), index, size, inclusion.path[1:], theirs.get_root(size))
    # Its proofs of consistency are laid out otherwise than RFC 6962 has it: each is held against the other's roots.
    theirs.prove_consistency(first, size).verify(ours.root(first), ours.root(size), first, size)
    roots = theirs.get_root(first), theirs.get_root(size)
    verify_consistency(first, size, *roots, ours.consistency(first, size))


def test_proofs_of_other_lengths_are_refused() -> None:
    for size in range(1, 40):
        for index in range(size):
            proof = TREE.inclusion(index, size)
            for bad in other_lengths(proof):
                with pytest.raises(RemoteError):
                    verify_inclusion(LEAVES[index], index, size, bad, ROOTS[size])
        for first in range(1, size + 1):
            proof = TREE.consistency(first, size)
            for bad in other_lengths(proof):
                with pytest.raises(RemoteError):
                    verify_consistency(first, size, ROOTS[first], ROOTS[size], bad)


def test_empty_hashes_and_size_zero_prove_nothing() -> None:
    with pytest.raises(RemoteError):
        verify_inclusion(b"", 0, 1, [], b"")
    with pytest.raises(RemoteError):
        verify_consistency(0, 5, EMPTY_ROOT, ROOTS[5], [])
    with pytest.raises(RemoteError):
        verify_consistency(1, 1, b"", b"", [])
    with pytest.raises(RemoteError):
        verify_consistency(5, 4, ROOTS[5], ROOTS[4], [])


def test_asking_a_tree_for_what_it_never_was_is_our_own_mistake() -> None:
    for ask in (
        lambda: TREE.root(LARGEST + 1),
        lambda: TREE.inclusion(5, 5),
        lambda: TREE.consistency(0, 5),
        lambda: TREE.consistency(6, 5),
        lambda: TREE.leaf(LARGEST),
        lambda: Tree().append(b"not a hash"),
    ):
        with pytest.raises(LocalError):
            ask()


@pytest.mark.shared
def test_vectors_of_transparency_dev(shared_data: Path) -> None:
    files = sorted((shared_data / "merkle-vectors").rglob("*.json"))
    assert len(files) == 196
    for path in files:
        vector = json.loads(path.read_text())
        proof = [base64.b64decode(node) for node in vector["proof"] or []]
        try:
            if "leafIdx" in vector:
                leaf, root = base64.b64decode(vector["leafHash"] or ""), base64.b64decode(vector["root"] or "")
                verify_inclusion(leaf, vector["leafIdx"], vector["treeSize"], proof, root)
            else:
                first, second = base64.b64decode(vector["root1"] or ""), base64.b64decode(vector["root2"] or "")
                verify_consistency(vector["size1"], vector["size2"], first, second, proof)
            refused = False
        except RemoteError:
            refused = True
        # One vector spells its roots "don't care 2", 12 bytes: a hash that is not 32 bytes is refused here, always.
        strict = vector.get("root1") == base64.b64encode(b"don't care 2").decode()
        assert refused == (vector["wantErr"] or strict), f"{path}: {vector['desc']}"


def other_lengths(proof: list[bytes]) -> list[list[bytes]]:
    longer = [[*proof, LEAVES[0]], [LEAVES[0], *proof]]
    return [*longer, proof[:-1], proof[1:]] if proof else longer


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value) ^ 1 << bit).to_bytes(len(value))
