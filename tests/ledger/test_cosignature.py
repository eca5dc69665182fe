"""Cosignatures: laid out as the specification says, refused in every other form, and one note in whatever order."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, author_only, open_note, origin, sign
from ledger.cosignature import (
    MAX_TIME,
    add_cosignatures,
    cosign,
    cosignature,
    cosignatures,
    raw,
    verify_cosignature,
)
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey, verify
from ledger.note import MAX_SIGNATURES, Signature, SignedNote, parse_note, print_note
from tests.ledger.c2sp_vectors import rows

KEYS = {number: PrivateKey.from_seed(bytes([number]) * 32) for number in range(1, 70)}
NAMES = {number: origin("ab" * 32, f"{number:02x}" * 32) for number in range(1, 70)}
BARE, COSIGNED = (row.values[0]["text"].encode() for row in rows("accept", "checkpoint"))
CHECKPOINT = open_note(BARE, KEYS[1].public)
TIME = 1_767_225_600


def by(number: int, time: int = TIME) -> Signature:
    return cosign(CHECKPOINT, NAMES[number], KEYS[number], time)


def test_it_is_the_note_that_was_put_together_by_hand() -> None:
    """tests/ledger/c2sp_vectors.py writes it from the specification, with nothing of ours."""
    assert add_cosignatures(BARE, [by(4), by(2), by(3)]) == COSIGNED
    for number, line in zip((2, 3, 4), cosignatures(COSIGNED), strict=True):
        assert verify_cosignature(CHECKPOINT, line, NAMES[number], KEYS[number].public) == TIME


def test_the_signed_text_is_the_specifications() -> None:
    time, signature = raw(by(2, 1679315147))
    text = b"cosignature/v1\ntime 1679315147\n" + CHECKPOINT.body()
    assert time == 1679315147
    assert verify(KEYS[2].public, signature, text)
    line = by(2, 1679315147).line().split(" ")[2]
    assert base64.b64decode(line)[4:12] == (1679315147).to_bytes(8, "big")


@pytest.mark.parametrize("row", rows("false", "cosignature"))
def test_a_false_cosignature_is_refused_and_the_note_still_opens(row: Any) -> None:
    note = row["text"].encode()
    assert open_note(note, KEYS[1].public) == CHECKPOINT
    line = parse_note(note).signatures[1]
    with pytest.raises(RemoteError):
        verify_cosignature(CHECKPOINT, line, NAMES[2], KEYS[2].public)


def test_every_flipped_bit_is_caught() -> None:
    good = by(2)
    for part in ("key_id", "value"):
        for at in range(len(getattr(good, part)) * 8):
            flipped = int.from_bytes(getattr(good, part)) ^ 1 << at
            value = flipped.to_bytes(len(getattr(good, part)))
            bad = Signature(
                good.name, value if part == "key_id" else good.key_id, value if part == "value" else good.value
            )
            with pytest.raises(RemoteError):
                verify_cosignature(CHECKPOINT, bad, NAMES[2], KEYS[2].public)


def test_a_cosignature_is_of_one_checkpoint_one_name_and_one_key() -> None:
    good = by(2)
    for checkpoint, name, key in (
        (Checkpoint(CHECKPOINT.origin, 15, CHECKPOINT.root), NAMES[2], KEYS[2]),
        (Checkpoint(NAMES[5], 14, CHECKPOINT.root), NAMES[2], KEYS[2]),
        (CHECKPOINT, NAMES[3], KEYS[2]),
        (CHECKPOINT, NAMES[2], KEYS[3]),
    ):
        with pytest.raises(RemoteError):
            verify_cosignature(checkpoint, good, name, key.public)


def test_a_key_id_is_only_a_hint() -> None:
    """Four bytes: anybody finds a name or a key with the same. Both are compared whole."""
    with pytest.raises(RemoteError):
        verify_cosignature(CHECKPOINT, replace(by(2), name=NAMES[3]), NAMES[2], KEYS[2].public)
    with pytest.raises(RemoteError):
        verify_cosignature(CHECKPOINT, replace(by(3), name=NAMES[2], key_id=by(2).key_id), NAMES[2], KEYS[2].public)


def test_it_travels_as_a_time_and_64_bytes() -> None:
    good = by(2)
    time, signature = raw(good)
    assert cosignature(NAMES[2], KEYS[2].public, time, signature) == good
    for bad_time, bad in ((-1, signature), (MAX_TIME + 1, signature), (time, signature[:-1])):
        with pytest.raises(LocalError):
            cosignature(NAMES[2], KEYS[2].public, bad_time, bad)
    assert verify_cosignature(CHECKPOINT, by(2, MAX_TIME), NAMES[2], KEYS[2].public) == MAX_TIME
    with pytest.raises(LocalError):
        by(2, MAX_TIME + 1)


def test_the_author_may_witness_itself_and_its_own_signature_stays() -> None:
    note = add_cosignatures(BARE, [by(1)])
    assert [len(line.value) for line in parse_note(note).signatures] == [64, 72]
    assert author_only(note) == BARE
    author = parse_note(BARE).signatures[0]
    forged = Signature(author.name, author.key_id, bytes(64))
    assert add_cosignatures(BARE, [forged]) == BARE  # nothing that is added can take its place


def test_signatures_of_other_kinds_are_carried_and_left_out() -> None:
    foreign = Signature("other.example", b"abcd", bytes(100))
    note = add_cosignatures(BARE, [foreign, by(2)])
    assert cosignatures(note) == (by(2),)
    assert foreign in parse_note(note).signatures


def test_a_note_has_room_for_64_witnesses_and_no_more() -> None:
    full = add_cosignatures(BARE, [by(number) for number in range(2, MAX_SIGNATURES + 1)])
    assert open_note(full, KEYS[1].public) == CHECKPOINT
    assert len(full) == 15_108
    assert add_cosignatures(full, [by(2)]) == full
    with pytest.raises(RemoteError, match="too many"):
        add_cosignatures(full, [by(MAX_SIGNATURES + 1)])


BATCHES = st.lists(
    st.lists(st.builds(by, st.integers(2, 6), st.integers(TIME, TIME + 2)), max_size=4), min_size=1, max_size=4
)


@settings(max_examples=60)
@given(BATCHES, st.randoms(use_true_random=False))
def test_a_note_grows_to_the_same_bytes_in_any_order(batches: list[list[Signature]], rng: Any) -> None:
    """Union: commutative, associative, idempotent; each key once, with its earliest time."""

    def grown(order: list[list[Signature]]) -> bytes:
        note = BARE
        for batch in order:
            note = add_cosignatures(note, batch)
        return note

    shuffled = [rng.sample(batch, len(batch)) for batch in rng.sample(batches, len(batches))]
    note = grown(batches)
    assert note == grown(shuffled) == grown(batches * 2)
    assert add_cosignatures(grown(batches[:1]), cosignatures(grown(batches[1:]))) == note
    for line in cosignatures(note):
        times = [raw(other)[0] for batch in batches for other in batch if other.name == line.name]
        assert raw(line)[0] == min(times)


def test_lines_that_stood_in_another_order_are_sorted() -> None:
    signed = parse_note(COSIGNED)
    backwards = print_note(SignedNote(signed.text, (signed.signatures[0], *signed.signatures[:0:-1])))
    assert backwards != COSIGNED
    assert open_note(backwards, KEYS[1].public) == CHECKPOINT
    assert add_cosignatures(backwards, ()) == COSIGNED


def test_what_is_no_checkpoint_is_not_cosigned() -> None:
    for bad in (b"", BARE[:-1], sign(CHECKPOINT, KEYS[1]).replace(b"\n14\n", b"\n014\n")):
        with pytest.raises(RemoteError):
            add_cosignatures(bad, [by(2)])
