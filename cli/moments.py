"""Times that people type: how long something lasts, and until when.

    10m   2h   30d            a whole number and its unit
    2027-01-31                until that day begins, in UTC, as a list of keys has it (gossip/node/allowlist.py)

It reads no clock: `now` comes from who asks.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.errors import LocalError

UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
LONGEST_S: Final = 366 * 86_400
_SPAN: Final = re.compile("([1-9][0-9]{0,7})([smhd])")


def seconds(text: str, option: str = "--ttl") -> int:
    """How many seconds `10m` is. LocalError if it is no time, or longer than a year."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise LocalError(f"{text[:20]!r} is no time for {option}", next_step="write it as 10m, 2h or 30d")
    found = int(match[1]) * UNITS[match[2]]
    if found > LONGEST_S:
        raise LocalError(f"{option} {text[:20]} is too long", next_step=f"choose at most {LONGEST_S // 86_400}d")
    return found


def lasting(whole_s: int) -> str:
    """The same for people: 10 minutes, 2 hours, 30 days; what does not come out even in the next smaller unit."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if whole_s >= size and whole_s % size == 0:
            count = whole_s // size
            return f"{count} {unit}" + ("s" if count > 1 else "")
    return f"{whole_s} second" + ("s" if whole_s != 1 else "")


def start_of(text: str, now: float, option: str = "--until") -> int:
    """Unix time at which a day begins, in UTC. LocalError if there is no such day, or it has begun."""
    from datetime import UTC, datetime

    try:
        found = int(datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise LocalError(
            f"{text[:20]!r} is no date for {option}", next_step="write it as YYYY-MM-DD, such as 2027-01-31"
        ) from None
    if found <= now:
        raise LocalError(f"{option} {text} is past", why="it ends when that day begins", next_step="name a later day")
    return found


def end(unix: int) -> str:
    """When something ends, for people: the day where it is when that begins, else day and time."""
    from cli.render import moment

    return moment(unix).removesuffix(" 00:00:00Z")
