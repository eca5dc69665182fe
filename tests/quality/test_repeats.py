"""Counting on disk gives what counting in memory gives, however the rows are cut into parts."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from gossip.quality.repeats import HELD_OUT, Counts, Repeats, Rows

# few different values, so that much repeats; a key decides what is near and what is held out, as in requests
row = st.tuples(st.integers(0, 12), st.integers(0, 2))


def near_of(key: int) -> int:
    return key // 3


def held(key: int) -> bool:
    return key % 4 == 0


def plainly(rows: list[tuple[int, int]]) -> Repeats:
    def counts(some: list[tuple[int, int]]) -> Counts:
        pairs, keys = len(set(some)), len({key for key, _ in some})
        return Counts(len(some), len(some) - pairs, pairs - keys)

    labels = defaultdict(set)
    for key, code in rows:
        labels[near_of(key)].add(code)
    return Repeats(
        counts(rows), counts([(key, code) for key, code in rows if not held(key)]),
        len({key for key, _ in rows}) - len(labels), sum(len(seen) > 1 for seen in labels.values()),
    )  # fmt: skip


@given(st.lists(row, max_size=60), st.integers(1, 70))
def test_it_counts_what_a_dictionary_counts(rows: list[tuple[int, int]], part_rows: int) -> None:
    with Rows(part_rows) as counted:
        for key, code in rows:
            counted.add(key * 0x9E3779B97F4A7C15 % 2**64, near_of(key), code | HELD_OUT if held(key) else code)
        assert counted.count(lambda codes: codes) == plainly(rows)


def test_more_rows_than_are_kept_in_memory_at_once() -> None:
    with Rows(part_rows=50_000) as counted:
        for number in range(140_000):
            counted.add(number % 70_000, number % 35_000, 0)
        found = counted.count(lambda codes: codes)
    assert found.all == Counts(140_000, 70_000, 0)
    assert (found.near, found.near_conflicts) == (35_000, 0)
