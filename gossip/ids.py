"""Ids and keys as people carry them: 64 hex digits, with four more by which a slip is noticed.

    5d1c...9e-a3f0     the id of a peer       (the last four: of a SHA-256 over its kind and itself)
    5d1c...9e-71c4     the same digits as a public key: another ending, so one is not taken for the other

Rule kept here: what was typed with its check digits must fit them; without, it is taken as it is, for programs. The
digits are against slips of the hand, not against anybody: who can make an id can make its check digits.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, Literal

from ledger.errors import LocalError

Kind = Literal["peer", "key"]

CALLED: Final[dict[Kind, str]] = {"peer": "peer id", "key": "public key"}
_TYPED: Final = re.compile("([0-9a-f]{64})(?:-([0-9a-f]{4}))?")


def checked(value: str, kind: Kind) -> str:
    """64 hex digits with their check digits."""
    return f"{value}-{_check(value, kind)}"


def _check(value: str, kind: Kind) -> str:
    return sha256(f"gossip/{kind}/1\n{value}".encode()).hexdigest()[:4]


def is_one(text: str) -> bool:
    """Whether this looks like an id or a key, whole or not: hex, and far too long for a name."""
    return re.fullmatch("[0-9a-f]{40,}(-[0-9a-f]*)?", text.strip().lower()) is not None


def read(text: str, kind: Kind) -> str:
    """The 64 digits of what was typed, with check digits or without. LocalError if they do not fit."""
    match = _TYPED.fullmatch(text.strip().lower())
    advice = "copy it whole, with the four characters behind the dash, as gossip key show prints it"
    if match is None:
        raise LocalError(
            f"{text.strip()[:80]!r} is no {CALLED[kind]}", why="one has 64 hex digits, and four behind a dash",
            next_step=advice,
        )  # fmt: skip
    value, check = match[1], match[2]
    if check in (None, _check(value, kind)):
        return value
    other: Kind = "key" if kind == "peer" else "peer"
    if check == _check(value, other):
        raise LocalError(
            f"this is a {CALLED[other]}, and a {CALLED[kind]} is wanted", next_step="gossip key show prints both"
        )
    raise LocalError(
        f"this {CALLED[kind]} has a slip in it", why="its last four characters do not fit the others", next_step=advice
    )


def read_either(text: str) -> tuple[str, Kind | None]:
    """The digits, and what they are if check digits say so. LocalError if those fit neither."""
    value, _, check = text.strip().lower().partition("-")
    if check and check == _check(value, "key"):
        return read(text, "key"), "key"
    return read(text, "peer"), "peer" if check else None
