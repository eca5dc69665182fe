"""The weight of an update: how much of it enters the model, fixed for ever when it is published.

Why it exists: members publish at different rates, from views of different age, and some are hostile. The weight
shares the step among those who are active (n), discounts work done on an old view (s), bounds what one delta may
do (clip) and what one origin may spend (q), and it depends on nothing but what the update's own chain shows:

    W = floor(65536 * min(1, eta / n * s * clip * q) / m)

Rules kept here: integers only, every rounding stated; a row is one origin's state after its last folded update
and is never changed in place. T (`progress`) is how far the others got as this origin saw it; x (`spent`) is
quota that leaks with T.

Members whom an admin let in stand alone. All whom one of them has let in are a *house*, and a house is one member here,
however many it has (and not of it is who let them in): n counts it once, its growth is one growth, the middle one of
its norms is one norm, and what one member would weigh is divided by its members (m). What the origin's own house does
is no growth of others: otherwise a house could feed its own quota. Two things are stricter than they would have to be
if everybody showed what it saw; but one person who holds all keys of a house decides what each of them shows:
- m counts those of the house who were admitted in the past, active or not. The last one's past cannot lack the others'
  admissions, for they are in one log; that they are silent it could simulate (it publishes to nobody, and so do they,
  and at the end all comes out at once: fifty guests weighed as much as 43 members).
- a member of a house is never alone in the world, so its quota is spent from its first update on.

In a crowd, which is when as many others are active as a panel has places (`panel` of genesis), only some publish
(docs/adr/0004). Who has been admitted and published nothing is no publisher there, n is never below `panel`, and
progress is counted against a panel, not against all who were heard in the last `window` of it: else T would stand still
for an origin that meets a thousand others of whom a hundred publish, and with it the quota (measured: docs/scale.md).

The clip is against the middle norm of this update and of the active others. An even number has no middle, so norm0
joins it, and of two neither sets the limit: a zero or tiny norm of the other must not silence an honest peer, and
an own huge norm must not be its own measure.

This file refuses to know entries, logs and bytes: replica.py reads them and hands over a Sight.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from itertools import compress
from typing import Final

from ledger.entry import GRID_ONE, FoldConstants, PeerId
from ledger.errors import RemoteError

MAX_ACTIVE: Final = 4096  # n above this: more publish than a panel can have places
ROW_DOMAIN: Final = b"gossip/row/1\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One origin's state after its last folded update. The columns run along `peers`, sorted."""

    peers: tuple[PeerId, ...] = ()  # the other trainers this origin has met
    seen: tuple[int, ...] = ()  # their counts at the last update
    credited: tuple[int, ...] = ()  # their counts when progress was last credited
    grown_at: tuple[int, ...] = ()  # T when they were last seen to grow, grid 2^-16
    progress: int = 0  # T, grid 2^-16
    spent: int = 0  # x, grid 2^-16


@dataclass(frozen=True, slots=True)
class Sight:
    """What an update's past shows of the other trainers. The columns run along `peers`, sorted."""

    peers: tuple[PeerId, ...]
    counts: tuple[int, ...]  # 1 for the admission, and 1 for each folded update
    norms: tuple[int, ...]  # of the latest folded update, norm0 where there is none; grid 2^-24
    unviewed: int  # total weight of folded updates seen, but not in the view trained from
    houses: tuple[PeerId, ...] = ()  # who answers for each of them; "" if it stands alone. (): all of them do
    house: PeerId = ""  # of the origin


@dataclass(frozen=True, slots=True)
class Weighed:
    """A weight, the row it leaves, and the factors that made it (for people and tests)."""

    weight: int  # 0..65536
    row: Row
    active: int  # n
    quota: int  # q, grid 2^-16
    staleness: int  # s, grid 2^-16


START: Final = Row()


def weigh(constants: FoldConstants, row: Row, sight: Sight, norm: int) -> Weighed:
    """Weigh one update of an origin that is at `row`. RemoteError if more than MAX_ACTIVE are active."""
    counts = sight.counts
    seen, credited, grown_at = _columns(row, sight.peers)
    progress, spent = row.progress, row.spent

    oldest = progress - constants.window
    active = [c > s or g >= oldest for c, s, g in zip(counts, seen, grown_at, strict=True)]
    grown = [a and c > k for a, c, k in zip(active, counts, credited, strict=True)]
    others, new, norms = _tally(sight, active, grown)
    rest = constants.panel - 1
    if others > rest:
        active = [a and c > 1 for a, c in zip(active, counts, strict=True)]
        grown = [a and g for a, g in zip(active, grown, strict=True)]
        others, new, norms = _tally(sight, active, grown)
        others = max(others, rest)
    if others >= MAX_ACTIVE:
        raise RemoteError("too many trainers are active at once", why=f"{others + 1}, the limit is {MAX_ACTIVE}")

    measure = min(others, rest)  # of progress
    if new and 3 * new >= measure:
        gained = min(GRID_ONE, GRID_ONE * new // measure)
        progress += gained
        spent = max(0, spent - (constants.leak * gained >> 16))
        credited = counts
    if counts != seen:
        grown_at = tuple([progress if c > s else g for c, s, g in zip(counts, seen, grown_at, strict=True)])

    quota = GRID_ONE
    if sight.house or (counts and max(counts) > 1):  # somebody else has published: from now on quota is spent
        if spent > constants.burst:
            quota = (constants.burst * constants.burst << 16) // (spent * spent)
        spent += quota

    table = constants.staleness
    staleness = table[min(4 * sight.unviewed // constants.eta, len(table) - 1)]

    heard = [norm, *norms]
    if len(heard) % 2 == 0:  # there must be a middle one
        heard.append(constants.norm0)
    limit = constants.kappa * sorted(heard)[len(heard) // 2]
    numerator = constants.eta * staleness * quota
    denominator = (1 + others) << 32
    if norm << 16 > limit:
        numerator *= limit
        denominator *= norm << 16
    weight = min(GRID_ONE, numerator // denominator)
    if sight.house:  # after the minimum, so that fifty times a fiftieth is never more than one
        weight //= 1 + sight.houses.count(sight.house)
    return Weighed(weight, Row(sight.peers, counts, credited, grown_at, progress, spent), 1 + others, quota, staleness)


def _tally(sight: Sight, active: list[bool], grown: list[bool]) -> tuple[int, int, list[int]]:
    """How many others are active, how many of them have grown, and the norm of each."""
    if sight.houses:
        return _by_house(sight, active, grown)
    return sum(active), sum(grown), list(compress(sight.norms, active))


def _by_house(sight: Sight, active: list[bool], grown: list[bool]) -> tuple[int, int, list[int]]:
    """How many groups are active, how many of them have grown, and the norm of each; the origin's own left out."""
    others = new = 0
    norms: list[int] = []
    heard: dict[PeerId, list[int]] = {}
    moved: set[PeerId] = set()
    for house, is_active, has_grown, norm in zip(sight.houses, active, grown, sight.norms, strict=True):
        if not is_active or (house and house == sight.house):
            continue
        if house:
            heard.setdefault(house, []).append(norm)
            if has_grown:
                moved.add(house)
        else:
            others += 1
            new += has_grown
            norms.append(norm)
    middle = [sorted(known)[(len(known) - 1) // 2] for known in heard.values()]  # of two the lower
    return others + len(heard), new + len(moved), norms + middle


def row_hash(row: Row) -> bytes:
    """32 bytes that name a row: T, x, the number of peers, the peers, and the three columns, big-endian."""
    count = len(row.peers)
    head = struct.pack(">QQI", row.progress, row.spent, count)
    peers = bytes.fromhex("".join(row.peers))
    columns = struct.pack(f">{3 * count}Q", *row.seen, *row.credited, *row.grown_at)
    return sha256(b"".join((ROW_DOMAIN, head, peers, columns))).digest()


def _columns(row: Row, peers: tuple[PeerId, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The row's columns along `peers`: the same, until another trainer is met (all zero, so it counts as grown)."""
    if row.peers == peers:
        return row.seen, row.credited, row.grown_at
    known = dict(zip(row.peers, zip(row.seen, row.credited, row.grown_at, strict=True), strict=True))
    aligned = [known.get(peer, (0, 0, 0)) for peer in peers]
    return tuple(a[0] for a in aligned), tuple(a[1] for a in aligned), tuple(a[2] for a in aligned)
