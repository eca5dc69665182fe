"""Signed notes and verifier keys: what Go's own documentation shows, and every way to spell one otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import GossipError, LocalError, RemoteError
from ledger.keys import PrivateKey
from ledger.note import (
    COSIGNATURE,
    MAX_SIGNATURES,
    MAX_SIGNED_BYTES,
    Signature,
    SignedNote,
    VerifierKey,
    decimal,
    key_id,
    parse_note,
    parse_verifier_key,
    print_note,
    sign_text,
    unbase64,
    verifier_key,
    verify_text,
)
from tests.ledger import c2sp_vectors
from tests.ledger.c2sp_vectors import rows

KEY = PrivateKey.from_seed(b"\x07" * 32)
FILE = c2sp_vectors.published()


def test_the_vectors_are_made_anew_byte_for_byte() -> None:
    assert c2sp_vectors.spelled() == c2sp_vectors.VECTORS.read_text("utf-8")


# The example in the documentation of golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    GO_TEXT.decode()
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6Ryy"
    "BwJnAM=\n"
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
).encode()


def test_the_example_of_sumdb_note_reads_and_verifies() -> None:
    key = parse_verifier_key(GO_KEY)
    note = parse_note(GO_NOTE)
    assert str(key) == GO_KEY == verifier_key(key.name, key.public)
    assert note.text == GO_TEXT
    assert [signature.name for signature in note.signatures] == ["PeterNeumann", "EnochRoot"]
    assert verify_text(note.text, note.signatures[0], key.name, key.public)
    assert not verify_text(note.text, note.signatures[1], key.name, key.public)
    assert not verify_text(note.text + b"\n", note.signatures[0], key.name, key.public)
    assert print_note(note) == GO_NOTE


def test_the_example_of_signed_note_reads_with_its_empty_line() -> None:
    text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
    line = (
        "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQ"
        "waqP3ZekRwNtIc=\n"
    )
    note = parse_note(f"{text}\n{line}".encode())
    assert note.text.decode() == text
    assert note.signatures[0].line() == line


@pytest.mark.parametrize("row", rows("accept", "key"))
def test_a_verifier_key_reads_back(row: Any) -> None:
    key = parse_verifier_key(row["text"])
    assert str(key) == row["text"]
    assert key.public.hex() in FILE["keys"].values()


@pytest.mark.parametrize("row", rows("refuse", "key"))
def test_a_verifier_key_has_one_spelling(row: Any) -> None:
    with pytest.raises(RemoteError):
        parse_verifier_key(row["text"])


def test_the_two_kinds_of_key_never_share_an_id() -> None:
    plain, witness = VerifierKey("a", KEY.public), VerifierKey("a", KEY.public, COSIGNATURE)
    assert plain.key_id != witness.key_id
    assert parse_verifier_key(str(witness)) == witness
    with pytest.raises(LocalError):
        key_id("a", 1, b"short")


def test_limits_hold_on_both_sides() -> None:
    body = b"x\n"
    most = tuple(Signature(f"w{number}", bytes(4), b"s") for number in range(MAX_SIGNATURES))
    assert parse_note(print_note(SignedNote(body, most))).signatures == most
    with pytest.raises(RemoteError, match="66 signatures"):
        parse_note(print_note(SignedNote(body, (*most, Signature("w", bytes(4), b"s")))))
    overhead = len(print_note(SignedNote(b"\n", (most[0],)))) - 1
    assert parse_note(print_note(SignedNote(b"x" * (MAX_SIGNED_BYTES - overhead - 1) + b"\n", (most[0],))))
    with pytest.raises(RemoteError, match="too long"):
        parse_note(print_note(SignedNote(b"x" * (MAX_SIGNED_BYTES - overhead) + b"\n", (most[0],))))
    with pytest.raises(RemoteError, match="malformed"):
        parse_note(b"\xff" + GO_NOTE)


@given(st.binary(max_size=200) | st.text(alphabet="a\n— =A0+\r", max_size=60).map(str.encode))
def test_whatever_is_read_is_written_the_same_and_nothing_foreign_is_raised(data: bytes) -> None:
    for candidate in (data, GO_TEXT + b"\n" + data, data + GO_NOTE[len(GO_TEXT) :]):
        try:
            note = parse_note(candidate)
        except RemoteError:
            continue
        assert print_note(note) == candidate


@given(st.text(max_size=80))
def test_a_key_of_noise_is_refused_or_spelled_so(text: str) -> None:
    for candidate in (text, "a+" + text, GO_KEY + text):
        try:
            key = parse_verifier_key(candidate)
        except RemoteError:
            continue
        assert str(key) == candidate


@pytest.mark.parametrize("text", [*c2sp_vectors.NUMBERS.values(), "00", "01", "0_1", "١"])
def test_a_number_has_no_other_spelling(text: str) -> None:
    with pytest.raises(RemoteError):
        decimal(text, (1 << 53) - 1)


@pytest.mark.parametrize("character", [*map(chr, range(0x20))])
def test_no_control_character_but_the_line_end_is_in_a_note(character: str) -> None:
    text = f"one{character}two\n"
    note = text.encode() + b"\n" + sign_text(text.encode(), "me.example", KEY).line().encode()
    if character == "\n":
        assert parse_note(note).text == text.encode()
    else:
        with pytest.raises(RemoteError, match="control character"):
            parse_note(note)


@given(st.integers(0, 1 << 64), st.text("0123456789+-_ .e١²", max_size=20))
def test_numbers_and_bytes_have_one_spelling(number: int, text: str) -> None:
    for spelled in (str(number), text):
        try:
            assert str(decimal(spelled, 1 << 53)) == spelled
        except GossipError as error:
            assert isinstance(error, RemoteError)  # noqa: PT017  either outcome is right; a third is not
    if number <= 1 << 53:
        assert decimal(str(number), 1 << 53) == number
    with pytest.raises(RemoteError):
        unbase64(text + "!")


def test_a_text_is_its_signers_alone() -> None:
    signature = sign_text(GO_TEXT, "me.example", KEY)
    assert verify_text(GO_TEXT, signature, "me.example", KEY.public)
    assert not verify_text(GO_TEXT, signature, "you.example", KEY.public)
    assert not verify_text(GO_TEXT, signature, "me.example", PrivateKey.from_seed(bytes(32)).public)
