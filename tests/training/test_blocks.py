"""Rows on disk and random batches of them: everything once, nothing held that need not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from gossip.training.blocks import (
    WINDOW_ROWS,
    Bags,
    BagSpool,
    Block,
    Numbers,
    NumberSpool,
    Sampler,
    Spool,
    join,
    thinned,
)


def numbers(begin: int, end: int) -> Numbers:
    inputs = np.arange(begin, end, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
    return Numbers(inputs, (np.arange(begin, end) % 5).astype(np.uint8))


def bags(begin: int, end: int) -> Bags:
    """Row i has i % 7 n-grams, all in bucket i."""
    counts = np.arange(begin, end) % 7
    return Bags(
        np.repeat(np.arange(begin, end), counts).astype(np.uint16),
        np.concatenate(([0], np.cumsum(counts))),
        np.repeat(np.arange(begin, end), 5).reshape(-1, 5).astype(np.uint16),
        (np.arange(begin, end) % 5).astype(np.uint8),
    )


@pytest.fixture(params=["bags", "numbers"])
def spool(request: pytest.FixtureRequest) -> Iterator[Spool]:
    made: Spool = BagSpool(None) if request.param == "bags" else NumberSpool(None, 3)
    make = bags if request.param == "bags" else numbers
    for begin in range(0, 100, 30):
        made.append(make(begin, min(begin + 30, 100)))
    yield made
    made.close()


def test_any_range_reads_back_as_it_was_written(spool: Spool) -> None:
    make = bags if isinstance(spool, BagSpool) else numbers
    for begin, end in ((0, 100), (0, 1), (29, 31), (95, 100), (50, 50)):
        assert_equal(spool.read(begin, end), make(begin, end))


def test_each_row_comes_once_before_any_comes_twice(spool: Spool) -> None:
    sampler = Sampler(spool, width=8, padding=1 << 10, seed=3)
    seen = np.concatenate([identity(sampler.take(32)) for _ in range(25)])  # 800 rows: eight times all of them
    for epoch in range(8):
        assert sorted(seen[epoch * 100 : epoch * 100 + 100]) == list(range(100))
    assert seen[:100].tolist() != seen[100:200].tolist()


def test_a_set_larger_than_the_window_is_never_held_whole() -> None:
    class Watched(NumberSpool):
        largest = 0

        def read(self, begin: int, end: int) -> Numbers:
            self.largest = max(self.largest, end - begin)
            return super().read(begin, end)

    rows = 3 * WINDOW_ROWS + 100
    spool = Watched(None, 3)
    for begin in range(0, rows, 10_000):
        spool.append(numbers(begin, min(begin + 10_000, rows)))
    sampler = Sampler(spool, width=0, padding=0, seed=1)
    seen = Counter(identity(sampler.take(rows)).tolist())
    assert len(seen) == rows
    assert set(seen.values()) == {1}
    assert spool.largest <= WINDOW_ROWS // 16
    assert sampler._window is not None
    assert len(sampler._window) <= WINDOW_ROWS
    spool.close()


@pytest.mark.parametrize("buckets", [1 << 10, (1 << 16) - 1, 1 << 16])
def test_short_rows_are_filled_up_with_a_bucket_beyond_the_table(buckets: int) -> None:
    """Not with the first one: that is a mark, and would be trained as whatever short URLs are."""
    rows = Bags(np.full(3, 9, np.uint16), np.array([0, 0, 3]), np.zeros((2, 5), np.uint16), np.zeros(2, np.uint8))
    taken, *_ = rows.take(np.arange(2), 4, buckets, np.random.default_rng(0))
    assert taken.tolist() == [[buckets] * 4, [9, 9, 9, buckets]]


def test_a_long_row_shows_an_even_sample_that_sums_right_on_average() -> None:
    tokens, marks = np.arange(1_000, dtype=np.uint16), np.zeros((1, 5), np.uint16)
    row = Bags(tokens, np.array([0, 1_000]), marks, np.zeros(1, np.uint8))
    luck = np.random.default_rng(0)
    values = np.arange(1_000) % 13
    sums = []
    for _ in range(300):
        buckets, scales, _, _ = row.take(np.zeros(1, np.int64), 100, 5_000, luck)
        assert len(set(buckets[0].tolist())) == 100
        assert np.all(np.diff(buckets[0]) <= 11)  # type: ignore[arg-type]
        sums.append(values[buckets[0]].sum() * scales[0])  # type: ignore[index]
    assert np.isclose(np.mean(sums), values.sum() / np.sqrt(1_000), rtol=0.01)


def test_a_short_row_is_filled_with_what_lies_outside_the_table() -> None:
    buckets, scales, _, _ = bags(0, 7).take(np.array([3, 0]), 5, 1 << 10, np.random.default_rng(0))
    assert buckets.tolist() == [[3, 3, 3, 1024, 1024], [1024] * 5]
    assert np.allclose(scales.astype(float), [1 / np.sqrt(3), 0])


def test_thinning_keeps_every_second_row() -> None:
    assert_equal(thinned(bags(0, 10)), join([bags(i, i + 1) for i in range(0, 10, 2)]))
    assert_equal(thinned(numbers(0, 9)), join([numbers(i, i + 1) for i in range(0, 9, 2)]))


def identity(taken: tuple[np.ndarray, ...]) -> np.ndarray:
    """The numbers of the rows: their marks, or their inputs."""
    return taken[2][:, 0] if len(taken) == 4 else taken[0][:, 0].astype(np.int64)


def assert_equal(a: Block, b: Block) -> None:
    assert type(a) is type(b)
    for name in a.__slots__:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
