"""The door as a peer's status tells of it: who waits there, with the words that both machines show, and as what this
peer itself is in.

    at the door, to be trainer (code): crumpled-backwater-...        one line a guest, who may be in already
    trainer until 2027-01-31                                         said beside what witnesses have signed

It decides nothing. What came from other machines is cleaned here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

from cli.moments import end
from cli.plain import plain

SHOWN: Final = 3  # guests, the newest: the other lines of the view must stay
MAX_WORDS: Final = 80  # six words have 65 at most


def door(status: Mapping[str, Any], width: int) -> list[str]:
    """Lines of at most `width`; none if nobody waits."""
    said = []
    for guest in list(status.get("guests") or ())[-SHOWN:]:
        where = "let in as" if guest.get("member") else "at the door, to be"
        how = f"{where} {plain(guest.get('role', ''), 12)} ({plain(guest.get('how', ''), 8)})"
        said.append(f"{how}: {plain(guest.get('words', ''), MAX_WORDS)}")
    if status.get("words"):
        where = "let in" if status.get("role") else "at their door"
        said.append(f"{where}: {plain(status['words'], MAX_WORDS)}")
    if said:
        said.append("Compare them: the other machine must show the same words.")
    return [line for text in said for line in textwrap.wrap(text, width, subsequent_indent="  ")]


def seat(status: Mapping[str, Any]) -> str:
    """The role, and until when; "" before there is one."""
    role = plain(status.get("role") or "", 12)
    expires = int(status.get("expires") or 0)
    return f"{role} until {end(expires)}" if role and expires else role
