"""Proofs out of a checkpoint that signs more than one holds."""

from __future__ import annotations

import pytest

from gossip.peer.cover import cover, grown_root
from ledger.merkle import Tree, leaf_hash, verify_consistency

LEAVES = [leaf_hash(bytes([number])) for number in range(40)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 21, 32, 33, 40])
def test_whoever_holds_a_part_proves_every_part_of_it(size: int) -> None:
    whole = Tree(LEAVES[:size])
    for held in range(1, size + 1):
        part = Tree(LEAVES[:held])
        given = cover(size, whole.root(), b"note", held, whole.consistency(held, size))
        for first in range(1, held + 1):
            proof = given.proof(part, first)
            assert list(proof) == whole.consistency(first, size)
            verify_consistency(first, size, part.root(first), whole.root(), proof)


def test_a_tree_grows_to_the_root_it_was_said_to_grow_to() -> None:
    for size in range(1, len(LEAVES) + 1):
        tree = Tree(LEAVES[:size])
        for first in range(1, size + 1):
            assert grown_root(Tree(LEAVES[:first]), LEAVES[first:size]) == tree.root()
