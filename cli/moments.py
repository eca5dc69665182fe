"""Times that people type: how long something lasts, and until when.

    10m   2h   30d            a whole number and its unit
    2027-01-31                until the end of that day, in UTC

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


def end_of_day(text: str, now: float, option: str = "--until") -> int:
    """Unix time at which a day is over, in UTC. LocalError if there is no such day, or it is past."""
    from datetime import UTC, datetime, timedelta

    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
        found = int((day + timedelta(days=1)).timestamp())
    except (ValueError, OverflowError):
        raise LocalError(
            f"{text[:20]!r} is no date for {option}", next_step="write it as YYYY-MM-DD, such as 2027-01-31"
        ) from None
    if found <= now:
        raise LocalError(f"{option} {text} is past", next_step="name a day to come")
    return found


def day(unix: int) -> str:
    """The last day that an end at `unix` still covers: what `end_of_day` was told. 0: never ends."""
    from cli.render import moment

    return "" if not unix else moment(unix - 1)[:10]
