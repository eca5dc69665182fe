"""Codes: two machines that know the same two words get a ticket across, and nobody else learns a thing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.transport import words
from gossip.transport.code import (
    MAX_SEALED_CHARS,
    Answer,
    Answering,
    Ask,
    Asking,
    Box,
    Code,
    Confirm,
    looks_like_code,
    read,
)
from ledger import canonical
from ledger.errors import LocalError, RemoteError

CODE = Code.parse("7-crossover-clockwork")
TEXT = "gossip2-made-up"
VECTOR = Path(__file__).resolve().parents[1] / "vectors" / "code.json"

SMALL_ORDER = [  # every point of order 1, 2, 4 and 8, as Ed25519 spells them; the last two are second spellings
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000080",
    )
]


def luck(seed: str) -> Callable[[int], bytes]:
    """Bytes that are the same each time."""
    drawn = 0

    def draw(size: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(f"{seed} {drawn}".encode()).digest(size)

    return draw


def answered(joiner: Asking, code: Code = CODE, seed: str = "inviter") -> Answering:
    return Answering(code, read(joiner.ask(), Ask), luck(seed))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 999), st.binary(min_size=2, max_size=2), st.integers(0, 2**32))
def test_who_knows_the_words_gets_the_ticket(number: int, secret: bytes, seed: int) -> None:
    code = Code(number, secret)
    joiner = Asking(Code.parse(code.text), luck(f"joiner {seed}"))
    inviter = answered(joiner, code, f"inviter {seed}")
    confirm = read(joiner.confirm(inviter.answer), Confirm)
    assert inviter.is_proof(bytes.fromhex(confirm.proof))
    assert confirm.session == inviter.session.hex()
    assert joiner.open(inviter.box(TEXT)) == TEXT


def test_each_exchange_has_keys_of_its_own() -> None:
    """A recorded exchange is of no use in the next, also where one end is as lucky as before."""
    boxes, proofs = set(), set()
    for seed in ("one", "two", "three"):
        joiner = Asking(CODE, luck("joiner"))
        inviter = answered(joiner, seed=seed)
        proofs.add(joiner.confirm(inviter.answer))
        boxes.add(inviter.box(TEXT))
    assert len(boxes) == len(proofs) == 3


@pytest.mark.parametrize("typed", ["7-crossover-clamshell", "7-crucifix-clockwork", "7-consensus-cobra"])
def test_with_other_words_neither_end_believes_the_other(typed: str) -> None:
    joiner = Asking(Code.parse(typed), luck("joiner"))
    inviter = answered(joiner)
    confirm = read(joiner.confirm(inviter.answer), Confirm)
    assert not inviter.is_proof(bytes.fromhex(confirm.proof))
    with pytest.raises(RemoteError, match="does not know the words"):
        joiner.open(inviter.box(TEXT))  # not even if an inviter gave it out unproven


def test_another_number_is_another_secret() -> None:
    joiner = Asking(Code(8, CODE.secret), luck("joiner"))
    inviter = answered(joiner)
    assert not inviter.is_proof(bytes.fromhex(read(joiner.confirm(inviter.answer), Confirm).proof))


def test_somebody_in_between_who_changes_an_element_or_the_session_is_noticed() -> None:
    joiner, other = Asking(CODE, luck("joiner")), Asking(CODE, luck("other"))
    inviter, elsewhere = answered(joiner), answered(other, seed="elsewhere")
    honest, swapped = read(inviter.answer, Answer), read(elsewhere.answer, Answer)
    for answer in (Answer(swapped.element, honest.session), Answer(honest.element, "00" * 16)):
        joiner = Asking(CODE, luck("joiner"))
        said = read(joiner.confirm(canonical.encode(answer)), Confirm)
        assert not inviter.is_proof(bytes.fromhex(said.proof))


def test_a_box_with_a_byte_changed_or_from_another_exchange_does_not_open() -> None:
    joiner, other = Asking(CODE, luck("joiner")), Asking(CODE, luck("other"))
    inviter, elsewhere = answered(joiner), answered(other, seed="elsewhere")
    joiner.confirm(inviter.answer)
    box = bytes.fromhex(read(inviter.box(TEXT), Box).box)
    for at in range(len(box)):
        wrong = box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :]
        with pytest.raises(RemoteError):
            joiner.open(canonical.encode(Box(wrong.hex())))
    for empty in (b"", box[:15], box[:-1]):
        with pytest.raises(RemoteError):
            joiner.open(canonical.encode(Box(empty.hex())))
    with pytest.raises(RemoteError):
        joiner.open(elsewhere.box(TEXT))
    assert joiner.open(inviter.box(TEXT)) == TEXT


def mixed_order() -> bytes:
    """An honest element plus a point of order 8: on the curve, and not in the group."""
    from spake2 import ed25519_basic as curve

    honest = curve.bytes_to_element(bytes.fromhex(read(Asking(CODE, luck("joiner")).ask(), Ask).element))
    return bytes(honest.add(curve.bytes_to_unknown_group_element(SMALL_ORDER[4])).to_bytes())


def off_curve() -> bytes:
    return (2).to_bytes(32, "little")


@pytest.mark.parametrize("element", [*SMALL_ORDER, mixed_order(), off_curve()], ids=lambda element: element.hex()[:8])
def test_an_element_that_would_fix_the_key_is_refused_by_either_end(element: bytes) -> None:
    """With the identity, or a point of small order, whoever sends it would know the key without any word."""
    with pytest.raises(RemoteError):
        Answering(CODE, Ask(element.hex(), CODE.number), luck("inviter"))
    with pytest.raises(RemoteError):
        Asking(CODE, luck("joiner")).confirm(canonical.encode(Answer(element.hex(), "11" * 16)))


def test_our_own_element_sent_back_is_refused() -> None:
    joiner = Asking(CODE, luck("joiner"))
    with pytest.raises(RemoteError):
        joiner.confirm(canonical.encode(Answer(read(joiner.ask(), Ask).element, "11" * 16)))


def test_one_exchange_only() -> None:
    joiner = Asking(CODE, luck("joiner"))
    with pytest.raises(LocalError):
        joiner.open(canonical.encode(Box("00" * 20)))
    inviter = answered(joiner)
    joiner.confirm(inviter.answer)
    with pytest.raises(RemoteError):
        joiner.confirm(answered(Asking(CODE, luck("other"))).answer)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (Ask, {"element": "00" * 32, "number": 0}), (Ask, {"element": "00" * 32, "number": 1000}),
        (Ask, {"element": "00" * 31, "number": 7}), (Ask, {"element": "AB" * 32, "number": 7}),
        (Ask, {"element": "00" * 32}), (Ask, {"element": "00" * 32, "number": 7, "more": 1}),
        (Answer, {"element": "00" * 33, "session": "11" * 16}), (Answer, {"element": "00" * 32, "session": "11" * 15}),
        (Confirm, {"proof": "0", "session": "11" * 16}), (Confirm, {"proof": "00" * 32, "session": ""}),
        (Box, {"box": "0"}), (Box, {"box": "zz"}), (Box, {"box": 7}),
    ],
)  # fmt: skip
def test_messages_have_one_spelling(kind: Any, bad: dict[str, Any]) -> None:
    for data in (canonical.encode(bad), json.dumps(bad).encode(), b"x" * 5_000):
        with pytest.raises(RemoteError):
            read(data, kind)


def test_a_ticket_too_long_for_a_body_is_not_begun() -> None:
    inviter = answered(Asking(CODE, luck("joiner")))
    assert len(inviter.box("x" * MAX_SEALED_CHARS)) < 4_096
    with pytest.raises(LocalError, match="fewer addresses"):
        inviter.box("x" * (MAX_SEALED_CHARS + 1))


# ------------------------------------------------------------------ what people type


@pytest.mark.parametrize("typed", ["7-crossover-clockwork", " 7 CROSSOVER Clockwork ", "7-Crossover clockwork\n"])
def test_a_code_may_be_typed_as_people_type(typed: str) -> None:
    assert Code.parse(typed) == CODE
    assert looks_like_code(typed)
    assert Code.parse(typed).text == "7-crossover-clockwork"


@pytest.mark.parametrize(
    "typed",
    ["", "7", "7-", "7-crossover", "07-crossover-clockwork", "1000-crossover-clockwork", "0-crossover-clockwork",
     "7-clockwork-crossover", "7-crossover-clockwrk", "7-crossover-clockwork-more", "x-crossover-clockwork",
     "gossip2-abc", "\u0667-crossover-clockwork"],
)  # fmt: skip
def test_what_is_no_code_is_refused_with_advice(typed: str) -> None:
    with pytest.raises(LocalError) as caught:
        Code.parse(typed)
    assert caught.value.next_step


def test_what_is_no_code_is_not_taken_for_one() -> None:
    assert not any(looks_like_code(text) for text in ("gossip2-abc", "lists", "", "7", "-7-a"))


def test_a_code_never_shows_its_words() -> None:
    assert "clockwork" not in repr(CODE)


def test_every_byte_has_a_word_of_its_own_in_each_place() -> None:
    for data in (bytes([first, second]) for first in range(256) for second in (first, 255 - first)):
        assert words.read(words.say(data)) == data
    with pytest.raises(LocalError, match="wrong place"):
        words.read("clockwork-crossover")
    pairs = [words.say(bytes([byte, byte])).split("-") for byte in range(256)]
    assert len({word for pair in pairs for word in pair}) == 512


# ------------------------------------------------------------------ vectors


def vector() -> dict[str, Any]:
    joiner = Asking(CODE, luck("joiner"))
    inviter = answered(joiner)
    ask, confirm, box = joiner.ask(), joiner.confirm(inviter.answer), inviter.box(TEXT)
    return {
        "format": "gossip code exchange, version 1",
        "code": CODE.text,
        "ticket": TEXT,
        "joiner's scalar from": luck("joiner")(64).hex(),
        "inviter's scalar from": luck("inviter")(64).hex(),
        "ask": ask.decode(),
        "answer": inviter.answer.decode(),
        "confirm": confirm.decode(),
        "box": box.decode(),
        "refused elements": [element.hex() for element in (*SMALL_ORDER, mixed_order(), off_curve())],
    }


def test_the_vector_is_what_the_code_makes() -> None:
    assert VECTOR.read_text() == json.dumps(vector(), indent=2) + "\n"
