"""The door as a peer's status tells of it: which ways in are open, who waits there, with the words that both machines
show, and as what this peer itself is in.

    open: anybody near may enter by the name lists                   while it is
    code 7: open for 1 peer until 2026-01-01 12:00:00Z               its words only whoever made it knows
    at the door, to be trainer (code): crumpled-backwater-...        one line a guest
    let in: rae 33c68ad9 (code, trainer): crumpled-backwater-...     the same, once it is in
    trainer until 2027-01-31                                         said beside what witnesses have signed

It decides nothing. What came from other machines is cleaned here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

from cli.moments import end
from cli.plain import name as plain_name
from cli.plain import plain
from cli.render import many, moment

SHOWN: Final = 3  # guests, the newest: the other lines of the view must stay
CODES: Final = 2  # the newest
MAX_WORDS: Final = 80  # six words have 65 at most


def door(status: Mapping[str, Any], width: int) -> list[str]:
    """Lines of at most `width`; none if nothing is open and nobody waits."""
    said = []
    for guest in list(status.get("guests") or ())[-SHOWN:]:
        role, how = plain(guest.get("role", ""), 12), plain(guest.get("how", ""), 8)
        if guest.get("member"):
            who = f"{plain_name(guest.get('name', ''), 16)} {plain(guest.get('peer', ''))[:8]}"
            head = f"let in: {who} ({how}, {role})"
        else:
            head = f"at the door, to be {role} ({how})"
        said.append(f"{head}: {plain(guest.get('words', ''), MAX_WORDS)}")
    if status.get("words"):
        where = "let in" if status.get("role") else "at their door"
        said.append(f"{where}: {plain(status['words'], MAX_WORDS)}")
    if said:
        said.append("Compare this meeting's words: the other machine must show the same.")
    said = ways_in(status) + said
    return [line for text in said for line in textwrap.wrap(text, width, subsequent_indent="  ")]


def ways_in(status: Mapping[str, Any]) -> list[str]:
    """What is open: a line each, as long as it is."""
    said = []
    if status.get("open"):
        called = plain(status.get("swarm_name", ""), 40)
        said.append(f"open: anybody near may enter by the name {called}; close it: gossip members open --close")
    for one in list(status.get("codes") or ())[-CODES:]:
        left = int(one.get("uses", 1)) - int(one.get("given", 0))
        until = moment(int(one.get("expires", 0)))
        said.append(f"code {int(one.get('number', 0))}: open for {many(left, 'peer')} until {until}")
    spoiled = status.get("spoiled")
    if spoiled:
        number, left = int(spoiled.get("number", 0)), int(spoiled.get("left", 0))
        tries = "1 try is" if left == 1 else f"{left} tries are"
        said.append(
            f"! somebody typed wrong words for code {number}: {tries} left" if left
            else f"! code {number} is burnt after three wrong tries: make another with: gossip invite"
        )  # fmt: skip
    return said


def seat(status: Mapping[str, Any]) -> str:
    """The role, and until when; "" before there is one."""
    role = plain(status.get("role") or "", 12)
    expires = int(status.get("expires") or 0)
    return f"{role} until {end(expires)}" if role and expires else role
