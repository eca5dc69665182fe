"""Which addresses are kept: pure choices over the table of candidates."""

from __future__ import annotations

import random

import pytest

from gossip.peer.candidates import HINTED_PLACES, Candidate, Room, is_worth_more, room_among, room_of

MEMBER, OTHER, NOBODY, INVENTED = b"m" * 32, b"o" * 32, b"n" * 32, b"i" * 32
LUCK = random.Random(5)


def is_members(key: bytes | None) -> bool:
    return key in (MEMBER, OTHER)


def at(
    port: int, key: bytes | None = NOBODY, *, given: bool = False, failures: int = 0, dialling: bool = False,
    led_to: bytes | None = None,
) -> Candidate:  # fmt: skip
    return Candidate(
        "10.0.0.1", port, key, given, 0.0, failures=failures, dialling_since=1.0 if dialling else None, led_to=led_to
    )


@pytest.mark.parametrize(
    ("known", "hinted", "stays"),
    [
        pytest.param(at(1), MEMBER, False, id="a stranger's place is anybody's to rename"),
        pytest.param(at(1, led_to=NOBODY), MEMBER, True, id="it has answered"),
        pytest.param(at(1, led_to=NOBODY, failures=1), MEMBER, False, id="it has answered, and does no more"),
        pytest.param(at(1, MEMBER), INVENTED, True, id="a member's, not tried yet"),
        pytest.param(at(1, MEMBER), OTHER, True, id="a member's, though another member's is hinted"),
        pytest.param(at(1, MEMBER, failures=1), INVENTED, True, id="a member's that failed, against an invention"),
        pytest.param(at(1, MEMBER, failures=1), None, True, id="a member's that failed, against no key"),
        pytest.param(at(1, MEMBER, failures=1), OTHER, False, id="a member's that failed, against another member's"),
        pytest.param(at(1, MEMBER, failures=1, led_to=MEMBER), OTHER, False, id="the same, though it answered once"),
    ],
)
def test_a_hint_takes_a_place_only_from_what_is_worth_less(known: Candidate, hinted: bytes, stays: bool) -> None:
    assert is_worth_more(known, hinted, is_members) is stays


FULL = [at(port) for port in range(HINTED_PLACES)]


@pytest.mark.parametrize(
    ("table", "room"),
    [
        pytest.param([], Room(True), id="the first"),
        pytest.param(FULL[1:], Room(True), id="one less than there may be"),
        pytest.param(FULL, Room(False), id="all untried"),
        pytest.param([*FULL[1:], at(9, OTHER)], Room(True), id="another key's does not count"),
        pytest.param([*FULL[1:], at(9, given=True)], Room(True), id="what the user gave does not count"),
        pytest.param([*FULL[1:], at(9, failures=1)], Room(True, at(9, failures=1)), id="one that failed goes"),
        pytest.param(
            [*FULL[2:], at(8, failures=2), at(9, failures=3)], Room(True, at(9, failures=3)), id="the worst of two",
        ),
        pytest.param(
            [*FULL[2:], at(8, failures=3), at(9, failures=3)], Room(True, at(9, failures=3)), id="of equals always one",
        ),
        pytest.param([*FULL[1:], at(9, failures=1, led_to=NOBODY)], Room(False), id="what has answered stays"),
        pytest.param([*FULL[1:], at(9, failures=1, dialling=True)], Room(False), id="what is being dialled stays"),
    ],
)  # fmt: skip
def test_of_one_key_a_few_places_are_kept(table: list[Candidate], room: Room) -> None:
    assert room_of(table, NOBODY) == room


@pytest.mark.parametrize(
    ("table", "key", "given", "room"),
    [
        pytest.param([at(1), at(2, MEMBER)], INVENTED, False, Room(True, at(1)), id="a stranger goes for a stranger"),
        pytest.param([at(1), at(2, MEMBER)], OTHER, False, Room(True, at(1)), id="and for a member's"),
        pytest.param([at(1, None), at(2, MEMBER)], OTHER, False, Room(True, at(1, None)), id="no key is a stranger's"),
        pytest.param([at(1, MEMBER)], INVENTED, False, Room(False), id="no member's goes for a stranger"),
        pytest.param([at(1, MEMBER)], OTHER, False, Room(False), id="none goes for another, untried"),
        pytest.param(
            [at(1, MEMBER, failures=1), at(2, MEMBER)], OTHER, False, Room(True, at(1, MEMBER, failures=1)),
            id="one that failed goes for another member's",
        ),
        pytest.param([at(1, MEMBER, failures=9)], INVENTED, False, Room(False), id="but for no stranger"),
        pytest.param([at(1, MEMBER)], None, True, Room(True, at(1, MEMBER)), id="what the user gave has room"),
        pytest.param([at(1, given=True)], MEMBER, False, Room(False), id="and keeps it"),
        pytest.param([at(1, given=True)], MEMBER, True, Room(False), id="also against its like"),
        pytest.param([at(1, led_to=NOBODY)], MEMBER, True, Room(False), id="what has answered stays"),
        pytest.param([at(1, dialling=True)], MEMBER, True, Room(False), id="what is being dialled stays"),
    ],
)  # fmt: skip
def test_when_all_places_are_taken_somebody_of_less_worth_goes(
    table: list[Candidate], key: bytes | None, given: bool, room: Room
) -> None:
    assert room_among(table, key, given, is_members, LUCK) == room


def test_which_stranger_goes_nobody_can_choose() -> None:
    table = [at(port) for port in range(8)]
    gone = {room.goes.port for _ in range(200) if (room := room_among(table, INVENTED, False, is_members, LUCK)).goes}
    assert gone == set(range(8))
