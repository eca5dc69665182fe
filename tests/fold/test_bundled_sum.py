"""A bundled sum is a loan: fold + what is left of it is the fold of all, in every order; a false one leaves a rest."""

from __future__ import annotations

import tracemalloc
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.merging import bundled_sum
from gossip.merging.arithmetic import ArrayDelta, NumpyArithmetic
from gossip.merging.bundled_sum import (
    MAX_PARAMETERS,
    MAX_STEP,
    BundledSum,
    Remainder,
    decode,
    encode,
    join,
    most_bytes,
    sum_up,
)
from gossip.merging.codec import encode_update
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError

ARITHMETIC = NumpyArithmetic()
PARAMETERS = 300
Name = tuple[PeerId, int]


def peer(number: int) -> PeerId:
    return sha256(b"%d" % number).hexdigest()


def hash_of(name: Name) -> Hash:
    return sha256(repr(name).encode()).hexdigest()


def updates(count: int, seed: int, density: float = 0.1) -> dict[Name, tuple[ArrayDelta, int]]:
    """`count` updates of three peers, each as (delta, weight)."""
    luck = np.random.default_rng(seed)
    found: dict[Name, tuple[ArrayDelta, int]] = {}
    for number in range(count):
        change = (luck.standard_normal(PARAMETERS) * 10.0 ** luck.integers(-6, 2)).astype(np.float32)
        blob, _ = encode_update(change, density)
        name = (peer(number % 3), 2 + 3 * (number // 3) + int(luck.integers(0, 3)))
        found[name] = ARITHMETIC.decode(blob, PARAMETERS), int(luck.integers(0, 65_537))
    return found


def summed(named: dict[Name, tuple[ArrayDelta, int]]) -> BundledSum:
    return sum_up(PARAMETERS, named.values(), {name: hash_of(name) for name in named})


def folded(terms: list[tuple[ArrayDelta, int]]) -> np.ndarray:
    theta = np.arange(PARAMETERS, dtype=np.int64) << 40
    for delta, weight in terms:
        ARITHMETIC.add(theta, delta, weight)
    return theta


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 24), st.integers(0, 1000), st.sampled_from([0.01, 0.1, 1.0]))
def test_the_fold_and_what_is_left_of_the_sums_is_the_fold_of_all_whatever_comes_first(
    data: st.DataObject, count: int, seed: int, density: float
) -> None:
    """Two sums of different updates, some updates that none names; each comes when it comes."""
    all_of = updates(count, seed, density)
    names = list(all_of)
    side = {name: data.draw(st.integers(0, 2)) for name in names}  # 0: in no sum
    parts = [{name: all_of[name] for name in names if side[name] == which} for which in (1, 2)]
    events: list[Name | int] = [*names, *(n for n, part in enumerate(parts) if part)]
    theta = folded([])
    here: list[Remainder] = []
    done: dict[Name, None] = {}
    for event in data.draw(st.permutations(events)):
        if isinstance(event, int):
            left = Remainder(decode(encode(summed(parts[event])), PARAMETERS))
            for name in [name for name in done if name in left.left]:
                left.fold(*name, *all_of[name])
            here.append(left)
        else:
            done[event] = None
            ARITHMETIC.add(theta, *all_of[event])
            for left in here:
                if event in left.left:
                    left.fold(*event, *all_of[event])
        shown = theta.copy()
        for left in here:
            left.add_to(shown)
        known = {*done, *(name for name in names for left in here if name in left.left)}
        np.testing.assert_array_equal(shown, folded([all_of[name] for name in names if name in known]))
    assert all(left.is_zero and not left.left for left in here)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(0, 1000), st.data())
def test_sums_join_to_the_sum_of_all(count: int, seed: int, data: st.DataObject) -> None:
    all_of = updates(count, seed)
    cut = data.draw(st.integers(1, len(all_of) - 1))
    one, other = dict(list(all_of.items())[:cut]), dict(list(all_of.items())[cut:])
    joined = join(summed(one), summed(other), {name: hash_of(name) for name in all_of})
    assert encode(joined) == encode(summed(all_of))


def test_a_sum_at_the_edge_of_what_its_updates_can_move_is_spelled_and_one_step_beyond_is_refused() -> None:
    named = ((peer(1), (3, 4)),)
    for sign in (1, -1):
        edge = BundledSum(PARAMETERS, named, "ab" * 32, None, np.full(PARAMETERS, sign * 2 * MAX_STEP))
        assert decode(encode(edge), PARAMETERS).values.tolist() == edge.values.tolist()
        edge.values[7] += sign
        with pytest.raises(RemoteError, match="moves more than it can"):
            decode(encode(edge), PARAMETERS)
    blob, _ = encode_update(np.full(PARAMETERS, 7.9375, dtype=np.float32), 1.0)
    largest = ARITHMETIC.decode(blob, PARAMETERS).fixed() * 65_536  # the positive control: a real update is at the edge
    assert set(largest.tolist()) == {MAX_STEP}


def test_where_terms_cancel_nothing_is_spelled() -> None:
    """One who pads a sum with zeros makes its readers work for nothing."""
    blob, _ = encode_update(np.linspace(-1, 1, PARAMETERS, dtype=np.float32), 1.0)
    delta = ARITHMETIC.decode(blob, PARAMETERS)
    names = {(peer(1), 3): "aa" * 32, (peer(1), 4): "bb" * 32}
    both = sum_up(PARAMETERS, [(delta, 65_536), (delta, -65_536)], names)
    assert both.values.tolist() == []
    left = Remainder(decode(encode(both), PARAMETERS))
    assert left.is_zero
    left.fold(peer(1), 3, delta, 65_536)
    assert not left.is_zero
    left.fold(peer(1), 4, delta, -65_536)
    assert left.is_zero
    padded = BundledSum(PARAMETERS, both.named, both.entries, None, np.zeros(PARAMETERS, dtype=np.int64))
    with pytest.raises(RemoteError, match="spells zeros"):
        decode(encode(padded), PARAMETERS)


def test_reading_a_sum_takes_little_beside_what_it_spells_and_none_is_made_for_a_model_that_is_too_large() -> None:
    """A megabyte of numbers in a few kilobytes: the readers' memory is that of what is read, and some strips."""
    ones = BundledSum(MAX_PARAMETERS, ((peer(1), (3,)),), "ab" * 32, None, np.ones(MAX_PARAMETERS, dtype=np.int64))
    blob = encode(ones)
    assert len(blob) < MAX_PARAMETERS / 100
    tracemalloc.start()
    decode(blob, MAX_PARAMETERS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 8 * MAX_PARAMETERS
    large = MAX_PARAMETERS + 1
    assert most_bytes(large) == 0
    with pytest.raises(LocalError, match="too large"):
        encode(BundledSum(large, ones.named, ones.entries, None, np.ones(large, dtype=np.int64)))
    with pytest.raises(RemoteError, match="malformed"):
        decode(blob, large)


@pytest.mark.parametrize("wrong", ["one step", "an element more", "an element less", "another update"])
def test_a_false_sum_leaves_something(wrong: str) -> None:
    all_of = updates(5, 1)
    true = summed(all_of)
    assert true.indices is not None
    indices, values = true.indices, true.values.copy()
    if wrong == "one step":
        values[7] += 1
    elif wrong == "an element more":
        new = next(i for i in range(PARAMETERS) if i not in indices)
        at = int(np.searchsorted(indices, new))
        indices, values = np.insert(indices, at, new), np.insert(values, at, 1)
    elif wrong == "an element less":
        indices, values = indices[1:], values[1:]
    else:
        all_of[next(iter(all_of))] = updates(1, 99)[next(iter(updates(1, 99)))]
    left = Remainder(BundledSum(PARAMETERS, true.named, true.entries, indices, values))
    for name, term in all_of.items():
        left.fold(*name, *term)
    assert not left.is_zero
    honest = Remainder(true)  # the positive control
    for name, term in updates(5, 1).items():
        honest.fold(*name, *term)
    assert honest.is_zero


def packed(plain: bytes, length: int | None = None) -> bytes:
    import zlib

    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stated = len(plain) if length is None else length
    return bundled_sum.MAGIC + stated.to_bytes(4, "little") + packer.compress(plain) + packer.flush()


HEAD = "03000000 0100" + "a1" * 32 + "01 03" + "b2" * 32
REJECTED = {
    "another model": "04000000 0100" + "a1" * 32 + "01 03" + "b2" * 32 + "10 01000000 00 fe01",
    "no log": "03000000 0000" + "b2" * 32 + "10 01000000 00 fe01" + "00" * 20,
    "logs out of order": "03000000 0200" + "a2" * 32 + "0103" + "a1" * 32 + "0103" + "b2" * 32 + "10 01000000 00 fe01",
    "a log twice": "03000000 0200" + "a1" * 32 + "01 03" + "a1" * 32 + "01 05" + "b2" * 32 + "10 01000000 00 fe01",
    "no update of a log": "03000000 0100" + "a1" * 32 + "00" + "b2" * 32 + "10 01000000 00 fe01",
    "too many updates": "03000000 0100" + "a1" * 32 + "8108" + "00" * 1025 + "b2" * 32 + "10 01000000 00 fe01",
    "an entry beyond any log": "03000000 0100" + "a1" * 32 + "01 ffffffff1f" + "b2" * 32 + "10 01000000 00 fe01",
    "a number longer than it needs to be": HEAD.replace("01 03", "01 8300") + "10 01000000 00 fe01",
    "more values than there are parameters": HEAD + "10 04000000 02 02 02 02",
    "more values than bytes": HEAD + "10 03000000 02",
    "an index outside the model": HEAD + "10 01000000 03 fe01",
    "a value of more than 56 bits": HEAD + "00 01000000 00 ffffffffffffffff03",
    "a value that its shift pushes out": HEAD + "3f 01000000 00 04",
    "more than one update can move": HEAD + "24 01000000 00 8002",
    "a zero": HEAD + "10 02000000 00 00 fe01 00",
    "a shift of 64": HEAD + "40 01000000 00 02",
    "a shift that could be larger": HEAD + "0f 01000000 00 fc03",
    "a shift of nothing": HEAD + "01 01000000 00 00",
    "something behind it": HEAD + "10 01000000 00 fe01 00",
    "an end inside a field": HEAD + "10 01000000 00",
}  # fmt: skip


def test_the_real_one_is_read_and_spelled_the_same_again() -> None:
    plain = bytes.fromhex(HEAD + "10 01000000 00 fe01")
    found = decode(packed(plain), 3)
    assert (found.named, found.updates, found.values.tolist()) == (((("a1" * 32), (3,)),), 1, [127 << 16])
    assert bundled_sum._plain(found) == plain
    assert decode(encode(found), 3).values.tolist() == [127 << 16]


@pytest.mark.parametrize("wrong", REJECTED)
def test_one_way_to_be_wrong_each(wrong: str) -> None:
    with pytest.raises(RemoteError, match="bundled sum is malformed"):
        decode(packed(bytes.fromhex(REJECTED[wrong])), 3)


def test_no_more_is_inflated_than_the_model_allows() -> None:
    plain = bytes.fromhex(HEAD + "10 01000000 00 fe01")
    for blob in (
        packed(bytes(1 << 24)), packed(plain, most_bytes(3) + 1), packed(plain, len(plain) - 1),
        packed(plain, len(plain) + 1), packed(plain)[:-1], packed(plain) + b"\0", b"GSS2" + packed(plain)[4:], b"",
    ):  # fmt: skip
        with pytest.raises(RemoteError, match="bundled sum is malformed"):
            decode(blob, 3)


def test_what_no_peer_would_take_is_not_made() -> None:
    names = {(peer(1), seq): hash_of((peer(1), seq)) for seq in range(bundled_sum.MAX_NAMED + 1)}
    with pytest.raises(LocalError, match="1025 updates"):
        encode(sum_up(3, [], names))
    with pytest.raises(LocalError, match="0 updates"):
        encode(sum_up(3, [], {}))


def test_the_docs_show_a_real_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "bundles.md").read_text("utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("    47535331")]
    found = decode(bytes.fromhex(line.strip()), 3)
    assert (found.named, found.values.tolist()) == (((("a1" * 32), (3,)),), [127 << 16])
