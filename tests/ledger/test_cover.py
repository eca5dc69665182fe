"""Proofs out of a log of which only a beginning is here: the same, hash for hash, as out of the whole log."""

from __future__ import annotations

import pytest

from ledger.cover import Cover, cover, from_last
from ledger.merkle import Tree, leaf_hash

LEAVES = [leaf_hash(b"%d" % number) for number in range(40)]


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_what_is_proved_with_less_is_what_is_proved_with_all(size: int) -> None:
    whole = Tree(LEAVES[:size])
    for held in range(1, size + 1):
        here = Tree(LEAVES[:held])
        by_consistency = cover(size, whole.root(), b"", held, whole.consistency(held))
        by_last = from_last(size, whole.root(), b"", held, whole.inclusion(held - 1))
        for index in range(held):
            assert by_consistency.inclusion(here, index) == tuple(whole.inclusion(index))
            assert by_last.inclusion(here, index) == tuple(whole.inclusion(index))
        assert by_consistency.reach == by_last.reach == held


def test_a_proof_of_another_length_makes_no_cover() -> None:
    whole = Tree(LEAVES)
    with pytest.raises(ValueError, match="zip"):
        from_last(40, whole.root(), b"", 5, whole.inclusion(4)[1:])


def test_of_a_whole_log_nothing_is_beyond() -> None:
    whole = Tree(LEAVES)
    assert Cover(40, whole.root(), b"", reach=40).inclusion(whole, 7) == tuple(whole.inclusion(7))
