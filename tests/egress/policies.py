"""Random zones, receivers and kinds, and what may leave at most, said a second time and in other words."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from gossip.egress import (
    KINDS,
    Delta,
    Facts,
    Kind,
    Ledger,
    Receiver,
    Records,
    Released,
    Shard,
    Sketch,
    ZoneSetting,
)

PEERS = [f"{number:x}" * 64 for number in range(10, 14)]
ROLES = ["admin", "trainer", "auditor", "observer", "relay"]
ZONES = ["public", "private", "Public", "public ", "", "PUBLIC", "publi", "restricted"]
Release = Callable[..., Any]


class Unheard(Kind):
    """A kind that somebody adds, and forgets to say anything of in the gate."""

    text = "something new"


def some_setting(luck: random.Random) -> ZoneSetting:
    words = luck.sample([*ROLES, *PEERS, "", "everybody", PEERS[0][:8]], luck.choice([0, 0, 1, 2, 5]))
    zone: Any = luck.choice(["public", "private", luck.choice(ZONES)])
    return ZoneSetting(zone, tuple(words), tuple(luck.sample([*PEERS, ""], luck.choice([0, 1, 3]))))


def some_receiver(luck: random.Random) -> Receiver:
    return Receiver(luck.choice([*PEERS, "", "ee" * 32]), luck.choice([*ROLES, "", "guest", "Admin"]))


def at_most(setting: ZoneSetting, kind: type[Kind], to: Receiver) -> bool:
    """The table of gossip/egress.py as one expression."""
    member = to.peer != "" and to.role in ROLES
    named = not setting.opens or any(word in (to.peer, to.role) for word in setting.opens)
    return {
        Ledger: True,
        Facts: True,
        Delta: True,
        Sketch: setting.zone == "public" and setting.opens == (),
        Records: setting.zone == "public" and member and named,
        Shard: setting.zone == "public"
        and member
        and named
        and to.role in ("admin", "trainer")
        and to.peer in setting.lends,
    }.get(kind, False)


def disagreements(release: Release, count: int, seed: int) -> tuple[list[str], int, int]:
    """(where a gate says other than the table, how much it released, how much it withheld)."""
    luck = random.Random(seed)
    wrong: list[str] = []
    released = 0
    for _ in range(count):
        setting, kind, to = some_setting(luck), luck.choice([*KINDS, Unheard]), some_receiver(luck)
        of = f"{luck.randrange(1 << 32):064x}"
        given = release(setting, kind, of=of, to=to)
        is_released = isinstance(given, Released)
        released += is_released
        if is_released and (given.kind, given.of, given.to) != (kind, of, to):
            wrong.append(f"{given.kind.__name__} to {given.to} in place of {kind.__name__} to {to}")
        if is_released is not at_most(setting, kind, to):
            wrong.append(f"{kind.__name__} of {setting} to {to}: {given}")
    return wrong, released, count - released
