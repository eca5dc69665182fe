"""What of a capture speaks for a rule, and what against one.

    sure      the model would block it, and none of the lists does: evidence
    unsure    the model holds it for likelier than not, yet not at its threshold: neither
    spared    the model holds it for benign, or a list's exception lets it through: collateral, if a rule hits it
    listed    a list blocks it already

Told apart for each zone, since no rule here reaches beyond one. A page itself is never evidence, and spared whatever
its score: a rule that hits it takes a site away. Rows are sorted, so that nothing depends on the order of a capture.

How sure: each request has log-odds, cut at MAX_ODDS; a rule's are the mean of those it newly covers, unsure ones
with them. Requests of one site say much the same, so a rule is ranked by that mean times the root of its number of
sites. (Measured: docs/suggest.md.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from gossip.advisor.hosts import host_of, is_nameable, is_third_party, page_owner, site_of, zone_of
from gossip.advisor.scored import Scored
from gossip.advisor.scored import is_page as is_page  # (asked for here, too)

MAX_ODDS: Final = math.log(0.999 / 0.001)  # beyond, a figure says more of the model than of the request
LIKELY: Final = 0.5
MAX_OWNERS: Final = 8  # that a rule names

Standing = Literal["sure", "unsure", "spared", "listed"]


def standing_of(row: Scored, mine: frozenset[str] | None = None) -> Standing:
    """`mine`: the lists that count as covering it; None for all."""
    if any(mine is None or name in mine for name in row.listed_by):
        return "listed"
    if row.excepted_by or is_page(row.seen):
        return "spared"
    if row.block:
        return "sure"
    return "unsure" if row.p_block >= LIKELY else "spared"


@dataclass(slots=True)
class Zone:
    """The rows of one zone."""

    name: str
    sure: list[Scored] = field(default_factory=list)
    unsure: list[Scored] = field(default_factory=list)
    spared: list[Scored] = field(default_factory=list)
    listed: list[Scored] = field(default_factory=list)

    def add(self, row: Scored, standing: Standing) -> None:
        rows: list[Scored] = getattr(self, standing)
        rows.append(row)

    @property
    def rows(self) -> list[Scored]:
        return [*self.sure, *self.unsure, *self.spared, *self.listed]


@dataclass(frozen=True, slots=True)
class Capture:
    """All of it, ready to be asked."""

    zones: dict[str, Zone]  # by name, sorted
    sites: frozenset[str]  # whose pages were visited
    requests: int
    first: float | None  # Unix seconds of the earliest and the latest request, where the capture says
    last: float | None
    counts: dict[Standing, int]


def look_at(rows: Iterable[Scored], mine: frozenset[str] | None = None) -> Capture:
    """Rows with no host that a rule could name are counted and left out."""
    zones: dict[str, Zone] = {}
    counts: Counter[Standing] = Counter()
    ordered = sorted(rows, key=_order)
    for row in ordered:
        standing = standing_of(row, mine)
        counts[standing] += 1
        host = host_of(row.seen.url)
        if host and is_nameable(host):
            name = zone_of(host)
            zones.setdefault(name, Zone(name)).add(row, standing)
    times = [row.seen.time for row in ordered if row.seen.time is not None]
    return Capture(
        dict(sorted(zones.items())), frozenset(filter(None, (site_of(row.seen) for row in ordered))), len(ordered),
        min(times, default=None), max(times, default=None), dict(counts),
    )  # fmt: skip


def _order(row: Scored) -> tuple[str, str, str, float, float]:
    return row.seen.url, row.seen.page, row.seen.type, row.seen.time or 0.0, row.p_block


def odds(row: Scored) -> float:
    """Log-odds of being to block, within MAX_ODDS."""
    p = min(max(row.p_block, 1e-9), 1 - 1e-9)
    return max(-MAX_ODDS, min(MAX_ODDS, math.log(p / (1 - p))))


def mean_odds(rows: Sequence[Scored]) -> float:
    return sum(map(odds, rows)) / len(rows) if rows else 0.0


def sureness(rows: Sequence[Scored]) -> float:
    """One probability for several rows: of their mean log-odds."""
    return 1 / (1 + math.exp(-mean_odds(rows)))


def sites_of(rows: Iterable[Scored]) -> tuple[str, ...]:
    """Sorted; requests whose page nobody knows add none."""
    return tuple(sorted({site for row in rows if (site := site_of(row.seen))}))


def bound_to(rows: Sequence[Scored], at_most: int) -> tuple[str, ...]:
    """What `domain=` names so that a rule holds on the sites of these rows: their owners; where these are too many, the
    sites; where these are, or where a request has no page, nothing."""
    if not all(row.seen.page for row in rows):
        return ()
    sites, owners = sites_of(rows), tuple(sorted({page_owner(row.seen) for row in rows} - {""}))
    return () if len(sites) > at_most else owners if len(owners) <= MAX_OWNERS else sites


def is_own(row: Scored) -> bool:
    """Whether a site asked itself."""
    return not is_third_party(row.seen)
