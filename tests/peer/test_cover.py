"""Proofs out of a checkpoint that signs more than one holds."""

from __future__ import annotations

import pytest

from gossip.peer.tape import Tape
from ledger.cover import cover, grown_root, kept
from ledger.kept import StoredCheckpoint
from ledger.merkle import Tree, leaf_hash, verify_consistency, verify_inclusion

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


@pytest.mark.parametrize("size", [1, 2, 7, 8, 21, 33, 40])
def test_what_the_store_kept_proves_as_much_as_before_though_the_author_never_shows_the_rest(size: int) -> None:
    whole = Tree(LEAVES[:size])
    for held in range(1, size + 1):
        part = Tree(LEAVES[:held])
        again = kept(size, b"note", held, whole.consistency(held, size), part)
        assert again.root == whole.root()
        for first in range(1, held + 1):
            verify_consistency(first, size, part.root(first), whole.root(), again.proof(part, first))
        for index in range(held):
            verify_inclusion(LEAVES[index], index, size, again.inclusion(part, index), whole.root())


def test_entries_beyond_the_proof_that_was_kept_are_not_given_out() -> None:
    """A crash between the entries and their checkpoint: what cannot be proven stays here until a new note comes."""
    whole = Tree(LEAVES)
    stored = StoredCheckpoint(40, b"note", 10, tuple(whole.consistency(10, 40)))
    assert Tape.restored("aa" * 32, Tree(LEAVES[:10]), (), lambda name: stored).servable == 10
    assert Tape.restored("aa" * 32, Tree(LEAVES[:12]), (), lambda name: stored).servable == 10
    assert Tape.restored("aa" * 32, Tree(LEAVES[:9]), (), lambda name: stored).servable == 0
    assert Tape.restored("aa" * 32, Tree(LEAVES[:9]), (), lambda name: None).servable == 0


def test_a_tree_grows_to_the_root_it_was_said_to_grow_to() -> None:
    for size in range(1, len(LEAVES) + 1):
        tree = Tree(LEAVES[:size])
        for first in range(1, size + 1):
            assert grown_root(Tree(LEAVES[:first]), LEAVES[first:size]) == tree.root()
