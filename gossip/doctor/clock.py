"""Clocks: this machine's own, and what the times that others claim say of it.

Codes, tickets and memberships end by the clock of whoever holds the door, and the fold needs no clock at all: so a
clock that is minutes off changes nothing, and one that is hours off keeps people out. Pure.

How others' clocks are seen without asking them: entries carry the time that their author claims, and the store keeps
them in the order in which they came. What came before an own entry was written before it, so a later time is ahead by
that much at least; and of a peer even whose freshest entry was old when it came, the clock is behind, or its words
take as long. Both are bounds, and of many entries the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gossip.doctor.finding import Finding, fails, ok, warns

FAR_S: Final = 600.0  # a code's whole life
NEAR_S: Final = 60.0
JUMP_S: Final = 1.0
BUILT: Final = 1_767_225_600  # 2026-01-01: no clock that is right says less
ENOUGH: Final = 3  # entries of a peer, before one calls it behind
SET: Final = "have the system set its clock over the network (NTP), on both machines"


def judge_own(walls: tuple[float, float], steadies: tuple[float, float]) -> Finding:
    """The wall clock against the steady one, from the beginning of the examination to its end."""
    jumped = (walls[1] - walls[0]) - (steadies[1] - steadies[0])
    if walls[1] < BUILT:
        return fails("clock", "this machine's clock stands years in the past", SET, unix_s=int(walls[1]))
    if abs(jumped) > JUMP_S:
        way = "ahead" if jumped > 0 else "back"
        text = f"the clock was set {way} by {span(abs(jumped))} while we looked"
        return warns("clock", text, "look who sets it: two programs may, or a virtual machine", jumped_s=jumped)
    return ok("clock", "keeps its pace", jumped_s=round(jumped, 3))


def judge_other(ahead_s: float, where: str) -> Finding:
    """The clock of the machine at the other end of a link, which has just told it; positive: it is ahead of ours."""
    way, facts = "ahead of" if ahead_s > 0 else "behind", {"ahead_s": round(ahead_s, 1)}
    if abs(ahead_s) < NEAR_S:
        return ok("their clock", f"within {span(max(1.0, abs(ahead_s)))} of ours", where, **facts)
    text = f"{span(abs(ahead_s))} {way} ours: codes, tickets and memberships end at another time there"
    return (fails if abs(ahead_s) >= FAR_S else warns)("their clock", text, SET, where, **facts)


def differences(arrivals: Iterable[tuple[str, int]], own: str) -> dict[str, float]:
    """By how much the clock of each log's author is ahead (behind: negative) at least, from (log, claimed time) in the
    order of arrival."""
    ahead: dict[str, float] = {}
    late: dict[str, list[float]] = {}
    before: dict[str, int] = {}  # the latest time of each log since the last own entry
    for log, time in arrivals:
        if log != own:
            before[log] = max(time, before.get(log, 0))
            continue
        for other, claimed in before.items():
            ahead[other] = max(claimed - time, ahead.get(other, 0.0))
            late.setdefault(other, []).append(time - claimed)
        before.clear()
    return {other: most if most > NEAR_S else _behind(late[other]) for other, most in ahead.items()}


def _behind(late: Sequence[float]) -> float:
    """Of somebody whose entries were so old when they came: how far its clock is behind, as a negative number."""
    return -max(0.0, min(late)) if len(late) >= ENOUGH else 0.0


def judge_claims(found: Mapping[str, float], names: Mapping[str, str]) -> Finding | None:
    """What the times of a swarm's entries say; None if nobody else has written enough."""
    if not found:
        return None
    far = {log: by for log, by in found.items() if abs(by) >= FAR_S}
    if not far:
        worst = max(abs(by) for by in found.values())
        return ok("clock", f"agrees with what {len(found)} other peers claim", "entries", most_s=round(worst, 1))
    told = ", ".join(
        f"{names.get(log) or log[:8]} {span(abs(by))} {'ahead' if by > 0 else 'behind'}" for log, by in far.items()
    )
    facts = {"ahead_s": {log: round(by, 1) for log, by in far.items()}}
    if 2 * len(far) >= len(found):  # most of the others are wrong, or we are
        return fails("clock", f"not that of the others: {told}", SET, "entries", **facts)
    how = "tell them: codes, tickets and memberships end by it"
    return warns("clock", f"not everybody's: {told}", how, "entries", **facts)


def span(seconds: float) -> str:
    """A length of time in words, one unit."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{max(1, round(seconds))} s"
