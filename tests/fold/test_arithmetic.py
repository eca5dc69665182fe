"""The fold's arithmetic: plain Python and NumPy give the same bits, at the edges of int64, too."""

from __future__ import annotations

from array import array
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.merging.arithmetic import STRIP, NumpyArithmetic
from ledger.delta import Delta, blocks, encode
from ledger.entry import GRID_ONE, MODEL_ONE, Tensor
from ledger.fold import CLAMP, Fold, PlainArithmetic, model_hash
from ledger.genesis import MAX_BOUND
from tests import plain_fold
from tests.fold.test_delta import deltas

SEED = "5e" * 32
PLAIN, FAST = PlainArithmetic(), NumpyArithmetic()
edge = st.sampled_from([0, 1, -1, CLAMP, -CLAMP, CLAMP + 1, -CLAMP - 1, 2**63 - 1, -(2**63)])
anywhere = st.integers(-(2**63), 2**63 - 1)


@given(
    delta=deltas(), weight=st.integers(0, GRID_ONE), cells=st.lists(edge | anywhere, min_size=1), again=st.booleans()
)
@settings(max_examples=100)
def test_both_arithmetics_give_the_same_bits_from_any_start(delta: Delta, weight: int, cells: list[int], again: bool):
    begin = [cells[at % len(cells)] for at in range(delta.parameters)]
    blob = encode(delta)
    plain, fast = array("q", begin), np.array(begin, dtype=np.int64)
    for _ in range(1 + again):
        PLAIN.add(plain, PLAIN.decode(blob, delta.parameters), weight)
        FAST.add(fast, FAST.decode(blob, delta.parameters), weight)
    assert plain.tolist() == fast.tolist()
    assert PLAIN.model_bytes(plain) == FAST.model_bytes(fast)
    for _ in range(1 + again):
        PLAIN.subtract(plain, PLAIN.decode(blob, delta.parameters), weight)
        FAST.subtract(fast, FAST.decode(blob, delta.parameters), weight)
    assert plain.tolist() == fast.tolist() == begin


@pytest.mark.parametrize("bound", [0, 1, 1 << 20, MAX_BOUND])
def test_starting_weights_are_the_same_everywhere_and_fill_their_range(bound: int):
    layout = [Tensor(name="a", shape=[3, 5], bound=bound), Tensor(name="b", shape=[1001], bound=bound)]
    plain = PLAIN.start(layout, SEED).tolist()
    assert plain == FAST.start(layout, SEED).tolist()
    literal = [{"name": tensor.name, "shape": tensor.shape, "bound": tensor.bound} for tensor in layout]
    assert plain == plain_fold.start(literal, SEED)
    assert all(abs(value) <= bound << 16 for value in plain)
    if bound > 1:
        assert max(plain) > bound << 15
        assert min(plain) < -(bound << 15)
        assert abs(sum(plain) / len(plain)) < (bound << 16) / 10


def test_a_dense_delta_larger_than_one_strip_is_applied_whole():
    parameters = STRIP + 300
    luck = Random(1)
    values = tuple(luck.randint(-127, 127) for _ in range(parameters))
    exponents = tuple(luck.randint(-24, -4) for _ in range(blocks(parameters)))
    delta = Delta(parameters, None, exponents, values)
    fast = np.zeros(parameters, dtype=np.int64)
    FAST.add(fast, FAST.decode(encode(delta), parameters), 3)
    assert fast.tolist() == [3 * worth for _, worth in delta.terms()]
    assert FAST.norm(FAST.decode(encode(delta), parameters)) == PLAIN.norm(delta)
    assert FAST.model_bytes(fast) == PLAIN.model_bytes(array("q", fast.tolist()))
    assert model_hash([], FAST.model_parts(fast)) == model_hash([], FAST.model_bytes(fast))


def test_float32_is_rounded_once_and_clamped():
    exact = [0, 1, MODEL_ONE, -MODEL_ONE * 3 // 7, MODEL_ONE + (1 << 16) + 1, 2**63 - 1, -(2**63)]
    rounded = FAST.to_float32(np.array(exact, dtype=np.int64))
    assert rounded.tolist() == [float(np.float32(max(-CLAMP, min(CLAMP, value)) / MODEL_ONE)) for value in exact]
    assert rounded[1] == 2.0**-40
    assert rounded[-1] == -8192.0


def test_the_room_in_int64_is_as_large_as_the_page_says():
    largest_term = GRID_ONE * (127 << 20)
    room = (2**63 - 1 - (MAX_BOUND << 16)) // largest_term
    assert f"{room:,}" == "1,056,816"


def test_the_model_hash_covers_names_shapes_and_every_bit():
    layout = [Tensor(name="w", shape=[2], bound=0)]
    fold = Fold(layout, SEED, PLAIN)
    first = fold.model_hash()
    fold.theta[1] = 1
    assert fold.model_hash() != first
    fold.theta[1] = 0
    assert fold.model_hash() == first == plain_fold.model_hash([{"name": "w", "shape": [2], "bound": 0}], [0, 0])
    for edge in (2**53 - 1, 2**53, 2**63 - 1, -(2**53), -(2**63)):  # where the clamp begins, and far beyond
        fold.theta[1] = edge
        assert fold.model_hash() == plain_fold.model_hash([{"name": "w", "shape": [2], "bound": 0}], [0, edge])
    for other in (Tensor(name="v", shape=[2], bound=0), Tensor(name="w", shape=[1, 2], bound=0)):
        assert model_hash([other], bytes(16)) != first
