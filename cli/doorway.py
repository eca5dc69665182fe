"""The door as a peer's status tells of it: who waits there, with the words that both machines show, and as what this
peer itself is in.

    at the door, to be trainer (code): crumpled-backwater-...        one line a guest
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
MAX_WORDS: Final = 60


def door(status: Mapping[str, Any], width: int) -> list[str]:
    """Lines of at most `width`; none if nobody waits."""
    said = [
        f"at the door, to be {plain(guest.get('role', ''), 12)} ({plain(guest.get('how', ''), 8)}): "
        f"{plain(guest.get('words', ''), MAX_WORDS)}"
        for guest in list(status.get("guests") or ())[-SHOWN:]
    ]
    if status.get("words"):
        said.append(f"at their door: {plain(status['words'], MAX_WORDS)} (they see the same words)")
    return [line for text in said for line in textwrap.wrap(text, width, subsequent_indent="  ")]


def seat(status: Mapping[str, Any]) -> str:
    """The role, and until when; "" before there is one."""
    role = plain(status.get("role") or "", 12)
    expires = int(status.get("expires") or 0)
    return f"{role} until {end(expires)}" if role and expires else role
