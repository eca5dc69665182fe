"""The two frames of cosigning: one spelling, every length checked."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.wire.codec import decode, encode
from gossip.wire.frames import MAX_MESSAGE_BYTES, MAX_TALLY, MAX_TIME, MAX_VOUCHERS, Tally, Vouch, Voucher, short_name
from ledger.errors import LocalError, RemoteError

hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
signatures = st.binary(min_size=64, max_size=64)
sizes = st.integers(1, (1 << 32) - 1)
vouchers = st.lists(
    st.builds(Voucher, hashes, st.integers(0, MAX_TIME), signatures),
    max_size=MAX_VOUCHERS,
    unique_by=lambda v: v.witness,
).map(lambda found: tuple(sorted(found, key=lambda v: v.witness)))
rows = st.dictionaries(
    st.tuples(st.binary(min_size=8, max_size=8).map(bytes.hex), sizes), st.integers(0, MAX_VOUCHERS + 1), min_size=1
).map(lambda found: tuple(sorted((name, size, count) for (name, size), count in found.items())))
FRAMES: st.SearchStrategy[Vouch | Tally] = st.one_of(
    st.builds(Vouch, hashes, sizes, st.binary(min_size=32, max_size=32), signatures, vouchers), st.builds(Tally, rows)
)

HEAD = b"\x08" + bytes(32) + b"\x10\0\0\0" + bytes(32) + bytes(64)
ONE = bytes(32) + bytes(8) + bytes(64)
ROW = bytes(8) + b"\x10\0\0\0" + b"\x04"
WRONG = {
    "a checkpoint of nothing": b"\x08" + bytes(32) + bytes(4) + bytes(32) + bytes(64) + b"\0",
    "no count": HEAD,
    "fewer cosignatures than it says": HEAD + b"\x02" + ONE,
    "more cosignatures than it says": HEAD + b"\x00" + ONE,
    "more cosignatures than witnesses": HEAD + b"\x41" + b"".join(bytes([n]) + ONE[1:] for n in range(65)),
    "a witness twice": HEAD + b"\x02" + ONE + ONE,
    "witnesses out of order": HEAD + b"\x02" + b"\x01" + ONE[1:] + ONE,
    "a time that no note can hold": HEAD + b"\x01" + bytes(32) + b"\xff" * 8 + bytes(64),
    "a byte behind the end": HEAD + b"\x00" + b"\x00",
    "an empty tally": b"\x0c\0\0",
    "a tally longer than its message": b"\x0c\xff\xff" + ROW,
    "a row of nothing": b"\x0c\x01\0" + bytes(8) + bytes(4) + b"\x01",
    "more signatures than a note holds": b"\x0c\x01\0" + bytes(8) + b"\x10\0\0\0" + b"\x42",
    "a row twice": b"\x0c\x02\0" + ROW + ROW,
    "rows out of order": b"\x0c\x02\0" + b"\x01" + ROW[1:] + ROW,
}  # fmt: skip


@given(FRAMES)
@settings(max_examples=100)
def test_what_is_written_reads_back(frame: Vouch | Tally) -> None:
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize("name", WRONG)
def test_wrong_bytes_are_the_senders_fault(name: str) -> None:
    with pytest.raises(RemoteError, match="malformed"):
        decode(WRONG[name])


def test_mutated_frames_are_refused_or_mean_exactly_what_they_spell() -> None:
    luck = random.Random(8)
    real = [HEAD + b"\x01" + ONE, HEAD + b"\x00", b"\x0c\x02\0" + ROW + b"\x01" + ROW[1:]]
    refused = 0
    for _ in range(5_000):
        message = bytearray(luck.choice(real))
        at = luck.randrange(1, len(message))
        if luck.random() < 0.5:
            message[at] = luck.randrange(256)
        else:
            message[at:at] = luck.randbytes(luck.randint(1, 4))
        try:
            frame = decode(bytes(message))
        except RemoteError:
            refused += 1
        else:
            assert encode(frame) == message
    assert 500 < refused < 5_000


def test_the_largest_of_each_fit_one_message() -> None:
    many = tuple(Voucher(f"{n:064x}", n, bytes(64)) for n in range(MAX_VOUCHERS))
    assert len(encode(Vouch("aa" * 32, 1, bytes(32), bytes(64), many))) < MAX_MESSAGE_BYTES
    assert len(encode(Tally(tuple((f"{n:016x}", 1, 1) for n in range(MAX_TALLY))))) <= MAX_MESSAGE_BYTES
    with pytest.raises(LocalError):
        encode(Tally(tuple((f"{n:016x}", 1, 1) for n in range(MAX_TALLY + 1))))


def test_what_nobody_would_accept_is_not_sent() -> None:
    one = Voucher("aa" * 32, 1, bytes(64))
    for wrong in (
        Vouch("aa" * 32, 0, bytes(32), bytes(64), ()),
        Vouch("aa" * 32, 1, bytes(31), bytes(64), ()),
        Vouch("aa" * 32, 1, bytes(32), bytes(64), (one, one)),
        Tally(()),
        Tally((("aa" * 32, 1, 1),)),
    ):
        with pytest.raises(LocalError):
            encode(wrong)


def test_the_frames_in_the_documentation_are_real() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "frames.md").read_text()
    shown = dict(re.findall(r"^    (Vouch|Tally) +([0-9a-f]+)$", text, re.MULTILINE))
    assert decode(bytes.fromhex(shown["Tally"])) == Tally(((short_name("a1" * 32), 16, 4),))
    vouch = decode(bytes.fromhex(shown["Vouch"]))
    assert vouch == Vouch(
        "a1" * 32, 16, b"\xc3" * 32, b"\xd4" * 64, (Voucher("b2" * 32, 1767208960, b"\xe5" * 64),)
    )  # fmt: skip
