"""Ranges are sets of indices: whatever is done to them, the indices are those that sets would have."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger.ranges import Ranges, between, difference, merged, union, within

INDICES = st.sets(st.integers(0, 30))


def of(indices: set[int]) -> Ranges:
    return merged((index, index + 1) for index in indices)


def members(ranges: Ranges) -> set[int]:
    return {index for begin, end in ranges for index in range(begin, end)}


@given(INDICES, INDICES)
def test_they_are_the_sets_of_their_indices(one: set[int], other: set[int]):
    assert members(of(one)) == one
    assert union(of(one), of(other)) == of(one | other)
    assert difference(of(one), of(other)) == of(one - other)
    assert {index for index in range(31) if within(index, of(one))} == one


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_one_set_has_one_spelling(parts: list[tuple[int, int]]):
    found = merged(parts)
    assert found == of(members(tuple(parts)))
    assert all(begin < end for begin, end in found)
    assert all(before[1] < after[0] for before, after in pairwise(found))


def test_nothing_is_no_range():
    assert between(3, 3) == between(4, 3) == ()
    assert between(3, 4) == ((3, 4),)
