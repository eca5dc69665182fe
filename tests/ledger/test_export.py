"""Exported models: one spelling, lengths first, and every parameter rounded once."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import encode
from ledger.entry import Tensor
from ledger.errors import LocalError, RemoteError
from ledger.export import FORMAT, Header, differences, float32_bytes, read_model, write_model
from ledger.fold import CLAMP

HEADER = Header(
    format=FORMAT, swarm="ab" * 32, snapshot=("cd" * 32, 7, "ef" * 32), heads=[("cd" * 32, 8, "01" * 32)],
    model_hash="23" * 32, layout=[Tensor(name="w", shape=[2, 3], bound=4)], model="{}", updates=3,
)  # fmt: skip
VALUES = float32_bytes(struct.pack("<6q", 0, 1 << 40, -(1 << 40), 1, CLAMP, -CLAMP))


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    write_model(tmp_path / "model", HEADER, VALUES)
    found = read_model(tmp_path / "model")
    assert (found.header, found.values) == (HEADER, VALUES)
    line, _, rest = (tmp_path / "model").read_bytes().partition(b"\n")
    assert (line, rest) == (encode(HEADER), VALUES)
    assert struct.unpack("<6f", VALUES)[:3] == (0.0, 1.0, -1.0)


def test_a_model_is_never_written_over_anything(tmp_path: Path) -> None:
    write_model(tmp_path / "model", HEADER, VALUES)
    with pytest.raises(LocalError, match="cannot write"):
        write_model(tmp_path / "model", HEADER, VALUES)
    with pytest.raises(LocalError, match="not the parameters"):
        write_model(tmp_path / "other", HEADER, VALUES[:-4])


@given(st.lists(st.integers(-CLAMP, CLAMP), max_size=50))
def test_each_parameter_is_the_float32_nearest_to_it_ties_to_even(thetas: list[int]) -> None:
    found = struct.unpack(f"<{len(thetas)}f", float32_bytes(struct.pack(f"<{len(thetas)}q", *thetas)))
    for theta, value in zip(thetas, found, strict=True):
        exact = Fraction(theta, 1 << 40)
        bits = struct.unpack("<I", struct.pack("<f", value))[0]
        neighbours = (bits - 1, bits + 1) if bits & 0x7FFFFFFF else (1, 0x80000001)
        error = abs(Fraction(value) - exact)
        for at in neighbours:
            rival = abs(Fraction(struct.unpack("<f", struct.pack("<I", at))[0]) - exact)
            assert error < rival or (error == rival and bits % 2 == 0)


@pytest.mark.parametrize(
    "header",
    [
        b"", b"{}", b"null", encode(HEADER).replace(b":", b": ", 1), encode(HEADER)[:-1],
        encode(msgspec.structs.replace(HEADER, format="gossip-model/2")),
        encode(msgspec.structs.replace(HEADER, layout=[])),
        encode(msgspec.structs.replace(HEADER, layout=[Tensor(name="w", shape=[-2, -3], bound=4)])),
        encode(msgspec.structs.replace(HEADER, layout=[Tensor(name="w", shape=[1] * 9, bound=4)])),
        encode(msgspec.structs.replace(HEADER, layout=[Tensor(name="w", shape=[1 << 50, 1 << 50], bound=4)])),
        b"x" * (5 << 20),
    ],
)  # fmt: skip
def test_a_header_that_is_not_ours_is_refused_before_anything_is_made(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "model").write_bytes(header + b"\n" + VALUES)
    with pytest.raises(RemoteError):
        read_model(tmp_path / "model")


@pytest.mark.parametrize("rest", [VALUES[:-1], VALUES + b"\0", b""])
def test_other_lengths_are_refused(tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "model").write_bytes(encode(HEADER) + b"\n" + rest)
    with pytest.raises(RemoteError, match="bytes of parameters"):
        read_model(tmp_path / "model")


def test_no_such_file_is_our_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot read"):
        read_model(tmp_path / "nowhere")


def test_differences_are_told_by_parameter() -> None:
    other = bytearray(VALUES)
    other[9] ^= 1
    other[20] ^= 1
    assert differences(VALUES, bytes(other)) == [2, 5]
    assert differences(VALUES, VALUES) == []
