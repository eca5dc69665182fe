"""Frames: one spelling, every length checked, nothing foreign raised."""

from __future__ import annotations

import random
import re
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.config import PeerConfig
from gossip.events import KeepRendezvous, NewRendezvous
from gossip.wire import codec, frames
from gossip.wire.codec import decode, encode
from gossip.wire.frames import (
    MAX_HAVE,
    MAX_MESSAGE_BYTES,
    NO_HASH,
    PIECE_BYTES,
    Bundled,
    Differs,
    Digest,
    Entries,
    Frame,
    Have,
    Lacks,
    Latest,
    Lead,
    Lease,
    Parts,
    Piece,
    Rendezvous,
    Rows,
    Trace,
    Want,
    WantBlob,
    WantParts,
)
from ledger.errors import LocalError, RemoteError
from ledger.opening import MAX_SHARD_BYTES, SHARDS

A, B = "aa" * 32, "bb" * 32
B8 = b"\xbb" * 8
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
u32 = st.integers(0, (1 << 32) - 2)


def _want(log: str, start: int, length: int, prev: str, root: str) -> Want:
    after = prev if start and prev != NO_HASH else ("11" * 32 if start else NO_HASH)
    return Want(log, start, start + length, after, root)


EVERY_FRAME: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Digest, hashes, st.booleans()),
    st.sets(
        st.tuples(hashes, st.integers(1, (1 << 32) - 1), st.binary(min_size=8, max_size=8)), min_size=1, max_size=20
    ).map(lambda rows: Have(tuple(sorted(rows)))),
    st.builds(_want, hashes, st.integers(0, 1 << 31), st.integers(1, 1 << 30), hashes, hashes),
    st.builds(
        Entries,
        hashes,
        st.integers(0, 1 << 31),
        st.binary(max_size=500),
        st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple),
        st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=8).map(tuple),
    ),
    st.builds(WantBlob, hashes, st.integers(0, 1 << 31), st.integers(1, frames.MAX_WINDOW_BYTES)),
    st.builds(lambda h, o, d: Piece(h, o + len(d) + 7, o, d), hashes, st.integers(0, 1 << 31), st.binary(min_size=1)),
    st.builds(Lacks, hashes),
    st.builds(
        Differs,
        hashes,
        st.integers(1, 1 << 31),
        st.binary(max_size=500),
        st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple),
        st.binary(min_size=1, max_size=900),
    ),
    st.builds(Trace, hashes, u32, hashes, st.integers(0, frames.MAX_CITED - 1)),
    st.sets(
        st.tuples(hashes, st.integers(1, (1 << 32) - 1), st.binary(min_size=32, max_size=32)), min_size=1, max_size=20
    ).map(lambda rows: Rows(A, 7, B, 3, 3 + len(rows), tuple(sorted(rows)))),
    st.builds(Rows, hashes, u32, hashes, st.just(0), st.just(0), st.just(())),
    st.builds(
        Latest,
        hashes,
        st.binary(max_size=2000),
        st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple),
        st.binary(min_size=1, max_size=900),
    ),
    st.builds(WantParts, hashes.filter(lambda model: model != NO_HASH), u32),
    st.just(WantParts(NO_HASH, 0)),
    st.builds(
        Parts,
        hashes.filter(lambda model: model != NO_HASH),
        st.integers(0, 1 << 31),
        st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=9).map(tuple),
    ),
    st.builds(Lead, st.integers(0, frames.MAX_PACE), st.booleans()),
    st.builds(
        lambda digest, size, rows: Bundled(
            digest, size, len(rows) + 7, tuple((log, min(a, b), max(a, b)) for log, (a, b) in sorted(rows.items()))
        ),
        hashes,
        st.integers(1, frames.MAX_BUNDLED_BYTES),
        st.dictionaries(st.binary(min_size=8, max_size=8).map(bytes.hex), st.tuples(u32, u32), min_size=1, max_size=9),
    ),
    st.builds(
        lambda root, epoch, among, shards: Lease(
            root, epoch, tuple(sorted(among)), tuple((number, *shards[number]) for number in sorted(shards))
        ),
        hashes,
        st.integers(0, frames.MAX_TIME),
        st.sets(hashes, min_size=1, max_size=9),
        st.dictionaries(
            st.integers(0, SHARDS - 1), st.tuples(hashes, st.integers(1, MAX_SHARD_BYTES)), max_size=SHARDS
        ),
    ),
    st.builds(Lease, hashes, st.integers(0, frames.MAX_TIME), st.just(()), st.just(())),
    st.builds(
        lambda epoch, secret, author, others, size, signature: Rendezvous(
            epoch, secret, author, tuple(sorted({**others, author: size}.items())), signature
        ),
        st.integers(1, (1 << 32) - 1),
        st.binary(min_size=32, max_size=32),
        hashes,
        st.dictionaries(hashes, st.integers(1, (1 << 32) - 1), max_size=frames.MAX_SPEAKERS - 1),
        st.integers(1, (1 << 32) - 1),
        st.binary(min_size=64, max_size=64),
    ),
)


@given(EVERY_FRAME)
@settings(max_examples=150)
def test_every_frame_reads_back_as_it_was_written(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


def test_the_digest_drawn_in_the_docstring() -> None:
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert encode(Digest(nothing, ask=True)).hex() == "0101" + nothing
    assert encode(WantParts(NO_HASH, 0)).hex() == "0f" + 36 * "00"
    assert encode(Lead(20, bundles=True)).hex() == "111401"
    assert encode(Lease("5d" * 32, 1_790_000_000, (), ())).hex() == "13" + "5d" * 32 + "803bb16a00000000" + "0000"


LED = "12" + A + "63000000"
WRONG_LEADS = {
    "a pace beyond any line's": "112901",
    "a flag of 2": "111402",
    "a sum of no bytes": "12" + A + "00000000 0100 0100" + "ab" * 8 + "0300000003000000",
    "a sum of too many bytes": "12" + A + "01008000 0100 0100" + "ab" * 8 + "0300000003000000",
    "no updates": LED + "0000 0100" + "ab" * 8 + "0300000003000000",
    "too many updates": LED + "0104 0100" + "ab" * 8 + "0300000003000000",
    "fewer updates than logs": LED + "0100 0200" + ("aa" * 8 + "0300000003000000") + ("ab" * 8 + "0300000003000000"),
    "no log": LED + "0100 0000",
    "a stretch that ends before it begins": LED + "0100 0100" + "ab" * 8 + "0400000003000000",
    "logs out of order": LED + "0200 0200" + ("ab" * 8 + "0300000003000000") + ("aa" * 8 + "0300000003000000"),
    "a log twice": LED + "0200 0200" + ("ab" * 8 + "0300000003000000") + ("ab" * 8 + "0400000005000000"),
    "a row less than it says": LED + "0200 0200" + "ab" * 8 + "0300000003000000",
}


@pytest.mark.parametrize("wrong", WRONG_LEADS)
def test_what_a_leader_must_not_say(wrong: str) -> None:
    assert decode(bytes.fromhex(LED + "0100 0100" + "ab" * 8 + "0300000003000000")) == Bundled(
        A, 99, 1, (("ab" * 8, 3, 3),)
    )
    with pytest.raises(RemoteError):
        decode(bytes.fromhex(WRONG_LEADS[wrong]))


SHARED = "13" + A + "0700000000000000"
WRONG_LEASES = {
    "a time beyond all": "13" + A + "ff" * 8 + "0000",
    "too many borrowers": SHARED + "41" + "".join(f"{number:064x}" for number in range(65)) + "00",
    "borrowers out of order": SHARED + "02" + B + A + "00",
    "a borrower twice": SHARED + "02" + A + A + "00",
    "shards of nobody": SHARED + "00 01 03" + B + "63000000",
    "a shard that there is none": SHARED + "01" + A + "01 10" + B + "63000000",
    "an empty shard": SHARED + "01" + A + "01 03" + B + "00000000",
    "a shard too long": SHARED + "01" + A + "01 03" + B + "01002000",
    "a shard twice": SHARED + "01" + A + "02" + ("03" + B + "63000000") * 2,
    "more shards than there are": SHARED + "01" + A + "11" + "".join(f"{n:02x}" + B + "63000000" for n in range(17)),
    "fewer than it says": SHARED + "01" + A + "02 03" + B + "63000000",
    "something behind it": SHARED + "01" + A + "01 03" + B + "63000000 00",
}


@pytest.mark.parametrize("wrong", WRONG_LEASES)
def test_what_a_lender_must_not_say(wrong: str) -> None:
    assert decode(bytes.fromhex(SHARED + "01" + A + "01 03" + B + "63000000")) == Lease(A, 7, (A,), ((3, B, 99),))
    with pytest.raises(RemoteError):
        decode(bytes.fromhex(WRONG_LEASES[wrong]))


MET = "14 01000000" + "c3" * 32 + A
WRONG_MEETINGS = {
    "before the first": "14 00000000" + "c3" * 32 + A + "01" + A + "03000000" + "d4" * 64,
    "of nobody": MET + "00" + "d4" * 64,
    "not of its author": MET + "01" + B + "03000000" + "d4" * 64,
    "of an empty log": MET + "01" + A + "00000000" + "d4" * 64,
    "a log twice": MET + "02" + (A + "03000000") * 2 + "d4" * 64,
    "logs out of order": MET + "02" + B + "03000000" + A + "03000000" + "d4" * 64,
    "fewer than it says": MET + "02" + A + "03000000" + "d4" * 64,
    "more than it says": MET + "01" + A + "03000000" + B + "03000000" + "d4" * 64,
    "of too many": MET + "41" + "".join(f"{number:064x}01000000" for number in range(170 - 64, 171)) + "d4" * 64,
    "a short signature": MET + "01" + A + "03000000" + "d4" * 63,
    "something behind it": MET + "01" + A + "03000000" + "d4" * 64 + "00",
}


@pytest.mark.parametrize("wrong", WRONG_MEETINGS)
def test_what_nobody_says_of_where_members_meet(wrong: str) -> None:
    right = Rendezvous(1, b"\xc3" * 32, A, ((A, 3),), b"\xd4" * 64)
    assert decode(bytes.fromhex(MET + "01" + A + "03000000" + "d4" * 64)) == right
    with pytest.raises(RemoteError):
        decode(bytes.fromhex(WRONG_MEETINGS[wrong]))


def test_as_many_admins_as_a_swarm_can_have_fit_and_no_more() -> None:
    logs = [f"{number:064x}" for number in range(frames.MAX_SPEAKERS + 1)]
    full = Rendezvous(1, bytes(32), logs[0], tuple((log, 1) for log in logs[:-1]), bytes(64))
    assert decode(encode(full)) == full
    with pytest.raises(LocalError):
        encode(Rendezvous(1, bytes(32), logs[0], tuple((log, 1) for log in logs), bytes(64)))


def test_a_secret_is_not_shown_where_values_are() -> None:
    frame = Rendezvous(1, b"\xc3" * 32, A, ((A, 3),), b"\xd4" * 64)
    event, effect = NewRendezvous(b"\xc3" * 32), KeepRendezvous(encode(frame))
    config = PeerConfig(rendezvous=encode(frame))
    for value in (frame, event, effect, config):
        assert "\\xc3" not in repr(value)


WRONG = {
    "nothing at all": b"",
    "a type that does not exist": b"\x08" + bytes(32),
    "type 0": b"\x00",
    "a flag of 2": b"\x01\x02" + bytes(32),
    "a short hash": b"\x07" + bytes(31),
    "a byte behind the end": b"\x07" + bytes(33),
    "an empty list of logs": b"\x02\x00\x00",
    "a list longer than the message": b"\x02\xff\xff" + bytes(44),
    "an empty log announced": b"\x02\x01\x00" + bytes(32) + bytes(4) + bytes(8),
    "logs out of order": b"\x02\x02\x00"
    + b"\x02" * 32
    + b"\x01\0\0\0"
    + bytes(8)
    + b"\x01" * 32
    + b"\x01\0\0\0"
    + bytes(8),
    "a log announced twice": b"\x02\x02\x00" + (b"\x02" * 32 + b"\x01\0\0\0" + bytes(8)) * 2,
    "an empty stretch": b"\x03" + bytes(32) + b"\x05\0\0\0\x05\0\0\0" + b"\x01" * 64,
    "a stretch that runs backwards": b"\x03" + bytes(32) + b"\x05\0\0\0\x04\0\0\0" + b"\x01" * 64,
    "something before the first entry": b"\x03" + bytes(32) + b"\0\0\0\0\x04\0\0\0" + b"\x01" * 64,
    "nothing before the fifth": b"\x03" + bytes(32) + b"\x05\0\0\0\x06\0\0\0" + bytes(64),
    "a stretch without a branch": b"\x03" + bytes(32) + b"\x05\0\0\0\x06\0\0\0" + b"\x01" * 32,
    "another entry before the first": b"\x09" + bytes(32) + bytes(4) + b"\0\0" + b"\0" + b"x",
    "another entry that is empty": b"\x09" + bytes(32) + b"\x01\0\0\0" + b"\0\0" + b"\0",
    "rows beyond any entry": b"\x0a" + bytes(32) + bytes(4) + bytes(32) + b"\0\0\x01\0",
    "no rows of some": b"\x0b" + bytes(32) + bytes(4) + bytes(32) + bytes(4) + b"\x01\0\0\0" + b"\0\0",
    "a row of nothing": b"\x0b" + bytes(32) + bytes(4) + bytes(32) + bytes(4) + b"\x01\0\0\0" + b"\x01\0" + bytes(68),
    "more rows than in all": b"\x0b" + bytes(72) + b"\x01\0\0\0" + b"\x02\0" + (b"\x01" * 68 + b"\x02" * 68),
    "a batch of no entries": b"\x04" + bytes(32) + bytes(4) + b"\0\0" + b"\0" + b"\0\0",
    "an empty entry": b"\x04" + bytes(32) + bytes(4) + b"\0\0" + b"\0" + b"\x01\0" + b"\0\0",
    "a note longer than its message": b"\x04" + bytes(32) + bytes(4) + b"\xff\x03" + b"x" * 9,
    "a note longer than any": b"\x04" + bytes(32) + bytes(4) + b"\x01\x04" + b"x" * 1025 + b"\0\x01\0\x01\0x",
    "a proof longer than any": b"\x04" + bytes(32) + bytes(4) + b"\0\0" + b"\x41" + bytes(65 * 32) + b"\x01\0\x01\0x",
    "an entry longer than any": b"\x04" + bytes(32) + bytes(4) + b"\0\0\0\x01\0" + b"\x01\xfc" + b"x" * 0xFC01,
    "an empty window": b"\x05" + bytes(32) + bytes(8),
    "a window wider than allowed": b"\x05" + bytes(32) + bytes(4) + b"\x01\0\x04\0",
    "a piece of nothing": b"\x06" + bytes(32) + b"\x09\0\0\0" + bytes(4),
    "a piece beyond its blob": b"\x06" + bytes(32) + b"\x03\0\0\0" + b"\x01\0\0\0" + b"xyz",
    "a piece larger than allowed": b"\x06" + bytes(32) + b"\xff\xff\xff\0" + bytes(4) + bytes(PIECE_BYTES + 1),
    "a final snapshot without its entry": b"\x0e" + bytes(32) + b"\0\0" + b"\0",
    "a cosigned note longer than any": b"\x0e" + bytes(32) + b"\x01\x40" + b"x" * 0x4001 + b"\0x",
    "a part of no model": b"\x0f" + bytes(32) + b"\x01\0\0\0",
    "parts of no model": b"\x10" + bytes(32) + bytes(4) + b"\x01\0" + bytes(32),
    "no parts at all": b"\x10" + b"\x01" * 32 + bytes(4) + b"\0\0",
    "fewer parts than it says": b"\x10" + b"\x01" * 32 + bytes(4) + b"\x02\0" + bytes(32),
    "a part beyond any model": b"\x10" + b"\x01" * 32 + b"\xff" * 4 + b"\x01\0" + bytes(32),
    "a message larger than allowed": b"\x01\x01" + bytes(MAX_MESSAGE_BYTES),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_bytes_are_the_senders_fault(name: str) -> None:
    with pytest.raises(RemoteError, match="malformed"):
        decode(WRONG[name])


def test_mutated_frames_are_refused_or_mean_exactly_what_they_spell() -> None:
    """A second spelling of the same frame would let two peers disagree about what was sent."""
    luck = random.Random(5)
    real = [
        encode(frame)
        for frame in (
            Digest(A, ask=False), Have(((A, 3, B8), (B, 9, B8))), Want(A, 4, 9, B, A), WantBlob(A, 0, 4096), Lacks(B),
            Differs(A, 3, b"note\n", (bytes(32),), b"entry"), Trace(A, 5, B, 0),
            Rows(A, 5, B, 0, 1, ((B, 3, bytes(32)),)),
            Entries(A, 2, b"note\n", (bytes(32), bytes(32)), (b"one", b"twotwo")), Piece(A, 1000, 10, b"some bytes"),
        )
    ]  # fmt: skip
    refused = 0
    for _ in range(20_000):
        message = bytearray(luck.choice(real))
        for _ in range(luck.randint(1, 3)):
            at = luck.randrange(len(message))
            match luck.randrange(3):
                case 0:
                    message[at] = luck.randrange(256)
                case 1:
                    del message[at:]
                case _:
                    message[at:at] = luck.randbytes(luck.randint(1, 4))
            if not message:
                message = bytearray(b"\x01")
        try:
            frame = decode(bytes(message))
        except RemoteError:
            refused += 1
        else:
            assert encode(frame) == message
    assert 2_000 < refused < 20_000  # both happen, or this test tests nothing


def test_the_longest_list_of_logs_fits_and_one_more_does_not() -> None:
    logs = [f"{number:064x}" for number in range(MAX_HAVE + 1)]
    assert len(encode(Have(tuple((log, 1, B8) for log in logs[:-1])))) <= MAX_MESSAGE_BYTES
    with pytest.raises(LocalError):
        encode(Have(tuple((log, 1, B8) for log in logs)))


def test_what_nobody_would_accept_is_not_sent() -> None:
    with pytest.raises(LocalError):
        encode(Want(A, 5, 5, B))
    with pytest.raises(LocalError):
        encode(Have(((B, 1, B8), (A, 1, B8))))
    with pytest.raises(LocalError):
        encode(Piece("not hex", 1, 0, b"x"))


def test_room_for_entries_is_exact() -> None:
    note, proof = b"n" * 400, (bytes(32),) * 3
    room = frames.entries_room(note, proof)
    noise = random.Random(1).randbytes(room)
    fits = Entries(A, 0, note, proof, (noise[: room // 2 - 2], noise[room // 2 + 2 :]))
    assert len(encode(fits)) == MAX_MESSAGE_BYTES


# ------------------------------------------------------------------ packed

BATCH = Entries(A, 4, b"n" * 300, (bytes(32),) * 3, (b'{"kind":"update"}' * 40, b'{"kind":"data"}' * 40))


def deflated(message: bytes, length: int | None = None, *, tail: bytes = b"", end: bool = True) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(message) + packer.flush(zlib.Z_FINISH if end else zlib.Z_SYNC_FLUSH)
    return frames.PACKED_TAG + struct.pack("<H", len(message) if length is None else length) + packed + tail


def plain(frame: Entries) -> bytes:
    return codec._encode(frame)


def test_entries_travel_packed_where_that_is_shorter() -> None:
    assert encode(BATCH)[:1] == frames.PACKED_TAG
    assert len(encode(BATCH)) < len(plain(BATCH)) / 3
    assert decode(encode(BATCH)) == decode(plain(BATCH)) == BATCH
    small = Entries(A, 0, b"note", (), (b"one",))
    assert encode(small) == plain(small)


def test_what_is_packed_wrongly_is_refused() -> None:
    message = plain(BATCH)
    bomb = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    wrong = {
        "says less": deflated(message, len(message) - 1),
        "says more": deflated(message, len(message) + 1),
        "a byte behind": deflated(message, tail=b"x"),
        "no end": deflated(message, end=False),
        "cut": deflated(message)[:-3],
        "no deflate": frames.PACKED_TAG + b"\x00\x04" + b"\xff" * 300,
        "nothing": frames.PACKED_TAG,
        "too little": deflated(plain(Entries(A, 0, b"note", (), (b"one",)))),
        "packed twice": deflated(deflated(random.Random(2).randbytes(4096))),
        "other than entries": deflated(b"\x01\x01" + bytes(300)),
        "a bomb": frames.PACKED_TAG + b"\xff\xff" + bomb.compress(bytes(50_000_000)) + bomb.flush(),
    }
    for name, bad in wrong.items():
        with pytest.raises(RemoteError):
            print(name, decode(bad))


def test_the_frames_in_the_documentation_are_real() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "frames.md").read_text()
    shown = re.findall(r"^    ([A-Z]\w+) +([0-9a-f]{60,})$", text, re.MULTILINE)
    here = "Digest Have Want Entries WantBlob Piece Lacks Differs Trace Rows Latest WantParts Parts Bundled Lease"
    assert "Rendezvous" in {name for name, _ in shown}
    assert set(here.split()) <= {name for name, _ in shown}
    for name, spelled in shown:
        frame = decode(bytes.fromhex(spelled))
        assert type(frame).__name__ == name
        assert encode(frame).hex() == spelled
