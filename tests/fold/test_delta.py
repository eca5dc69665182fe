"""The delta blob: three readers (plain, NumPy, and the one written from the page) agree on every byte string."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import encode_update
from ledger import delta as delta_format
from ledger.delta import BLOCK, Delta, blocks, decode, encode, max_blob_bytes, norm
from ledger.errors import RemoteError
from tests import plain_fold


@st.composite
def deltas(draw: st.DrawFn) -> Delta:
    parameters = draw(st.integers(1, 2000))
    luck = Random(draw(st.integers(0, 2**32)))
    indices = None
    kept = parameters
    if draw(st.booleans()):
        kept = draw(st.integers(0, parameters - 1))
        indices = tuple(sorted(luck.sample(range(parameters), kept)))
    exponents = tuple(luck.randint(-24, -4) for _ in range(blocks(kept)))
    largest = draw(st.sampled_from([0, 1, 127]))
    return Delta(parameters, indices, exponents, tuple(luck.randint(-largest, largest) for _ in range(kept)))


@given(delta=deltas())
@settings(max_examples=100)
def test_a_delta_has_one_spelling_that_every_reader_reads_alike(delta: Delta):
    blob = encode(delta)
    assert decode(blob, delta.parameters) == delta
    assert len(blob) <= max_blob_bytes(delta.parameters)
    worths = plain_fold.worths(blob)
    assert worths == dict(delta.terms())
    fast = NumpyArithmetic().decode(blob, delta.parameters)
    places = range(delta.parameters) if fast.indices is None else fast.indices.tolist()
    assert dict(zip(places, fast.fixed().tolist(), strict=True)) == worths
    assert norm(delta) == NumpyArithmetic().norm(fast) == plain_fold.norm(blob)


def read_all(blob: bytes, parameters: int) -> list[object]:
    """What each reader makes of a blob: its norm, or None if it is refused (with the right kind of error)."""
    answers: list[object] = []
    for reader in (lambda: norm(decode(blob, parameters)),
                   lambda: NumpyArithmetic().norm(NumpyArithmetic().decode(blob, parameters))):  # fmt: skip
        try:
            answers.append(reader())
        except RemoteError:
            answers.append(None)
    try:
        stated = int.from_bytes(blob[5:9], "little")
        answers.append(plain_fold.norm(blob) if stated == parameters else None)
    except Exception:  # the literal reader has no manners
        answers.append(None)
    return answers


@given(delta=deltas(), seed=st.integers(0, 2**32))
@settings(max_examples=150)
def test_damaged_blobs_are_refused_or_read_by_all_readers_alike(delta: Delta, seed: int):
    luck = Random(seed)
    blob = bytearray(encode(delta))
    for _ in range(luck.randint(1, 3)):
        match luck.randrange(4):
            case 0 if len(blob) > 1:
                del blob[luck.randrange(len(blob))]
            case 1:
                blob.insert(luck.randrange(len(blob) + 1), luck.randrange(256))
            case 2 if len(blob) > 13:
                blob[luck.randrange(13, len(blob))] = luck.choice([0, 0x7F, 0x80, 0xFF])
            case _:
                blob[luck.randrange(min(len(blob), 40))] ^= 1 << luck.randrange(8)
    plain, fast, literal = read_all(bytes(blob), delta.parameters)
    assert plain == fast == literal


def test_a_long_gap_travels_and_a_padded_one_does_not():
    parameters = 1 << 22
    far = Delta(parameters, (5, 300, parameters - 1), (-10,), (1, 2, 3))
    blob = encode(far)
    assert decode(blob, parameters) == far
    assert NumpyArithmetic().decode(blob, parameters).indices.tolist() == [5, 300, parameters - 1]
    padded = blob[:13] + b"\x85\x00" + blob[14:]
    assert read_all(padded, parameters) == [None, None, None]


def test_lengths_are_refused_before_anything_is_allocated():
    huge = b"GSD1\x01" + (1 << 28).to_bytes(4, "little") + ((1 << 28) - 1).to_bytes(4, "little") + bytes(100)
    for reader in (decode, NumpyArithmetic().decode):
        with pytest.raises(RemoteError, match="do not fit"):
            reader(huge, 1 << 28)


def test_a_blob_for_another_model_is_refused():
    blob = encode(Delta(4, None, (-10,), (1, 2, 3, 4)))
    assert read_all(blob, 5) == [None, None, None]


def test_the_longest_blob_is_as_long_as_announced():
    for parameters in (1, 2, 255, 256, 257, 1000):
        last = Delta(parameters, tuple(range(1, parameters)), (-4,) * blocks(parameters - 1), (1,) * (parameters - 1))
        dense = encode_update(np.ones(parameters, dtype=np.float32), 1.0)[0]
        assert len(encode(last)) <= max_blob_bytes(parameters)
        assert len(dense) <= max_blob_bytes(parameters)
    assert BLOCK == delta_format.BLOCK == 256
