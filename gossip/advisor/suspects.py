"""A user reports a page: what of it is to be looked at, in which order.

    page, capture --> missed    not blocked, and scored as an ad or tracker      a rule is proposed
                  --> broken    blocked, and scored as benign                    an exception is proposed
                  --> below .5  not blocked, and scored as benign: the next third parties, where few others are there
    each with the nearest rule that a list has

The page is looked for by its whole address; else by its address without query; else all pages of its site are taken,
and it is said which of these it was. Evidence for a rule is the whole capture, not the page alone. Surest first; here
even a single request counts, so what is proposed may rest on little: its evidence says on how much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gossip.advisor.evidence import LIKELY, is_page, odds, standing_of
from gossip.advisor.exceptions import is_of_site
from gossip.advisor.flags import Exempt, Hits, is_benign, tried_exceptions
from gossip.advisor.hosts import host_of, site_of, zone_of
from gossip.advisor.nearest import Nearest, nearest
from gossip.advisor.propose import Proposal, Trials, suggest
from gossip.advisor.scored import Scored
from gossip.filterlists.engine import Hit, ListText

Found = Literal["page", "address", "site", "none"]
Kind = Literal["missed", "broken", "below .5"]
MAX_SUSPECTS: Final = 100
FEW: Final = 3  # suspects above .5; with fewer, as many third parties below are shown


@dataclass(frozen=True, slots=True)
class Suspect:
    """One request of the page, or several that differ in their query alone."""

    kind: Kind
    row: Scored  # the surest of them
    requests: int
    blocked_by: tuple[Hit, ...]
    nearest: Nearest | None
    proposal: Proposal | None  # a rule, if it was missed
    exception: Exempt | None  # if it is broken

    @property
    def is_own(self) -> bool:
        """Whether the site asked itself: then only a file can be excepted."""
        return is_of_site(self.row)


@dataclass(frozen=True, slots=True)
class Triage:
    page: str
    found: Found
    requests: int  # of the page
    suspects: tuple[Suspect, ...]


def triage(
    page: str, rows: Sequence[Scored], hits: Hits, trials: Trials, lists: Iterable[ListText] = (), *,
    at_most: int = MAX_SUSPECTS,
) -> Triage:  # fmt: skip
    """`rows` are the whole capture."""
    found, own = _of_page(page, rows)
    missed = [row for row in own if standing_of(row) in {"sure", "unsure"} and row.p_block >= LIKELY]
    missed += [row for row in own if standing_of(row) == "sure" and row.p_block < LIKELY]  # a low threshold
    broken = [row for row in own if row.listed_by and is_benign(row)]
    several: list[tuple[Kind, Scored, int]] = [*_one_each("missed", missed), *_one_each("broken", broken)]
    several.sort(key=lambda each: (-abs(odds(each[1])), each[0], each[1].seen.url, each[1].seen.type))
    chosen = several[:at_most]
    if sum(row.p_block >= LIKELY for _, row, _ in chosen) < FEW:
        chosen += _below(own)[:FEW]
    rules = suggest(rows, trials, collateral=True, alone=0.0).proposals if missed else ()
    kept = [row for row in rows if row.listed_by and row.block]
    close = nearest([row.seen for _, row, _ in chosen], lists)
    suspects = []
    for (kind, row, count), near in zip(chosen, close, strict=True):
        proposal = next((each for each in rules if each.rule.covers(row.seen)), None)
        exempt: tuple[Exempt, ...] = ()
        if kind == "broken":
            exempt, _ = tried_exceptions([row], kept, trials)
        by = tuple(hit for hit in hits(row.seen) if hit.blocks) if row.listed_by else ()
        suspects.append(
            Suspect(kind, row, count, by, near, proposal if kind == "missed" else None, next(iter(exempt), None))
        )
    return Triage(page, found, len(own), tuple(suspects))


def _of_page(page: str, rows: Sequence[Scored]) -> tuple[Found, list[Scored]]:
    def address(url: str) -> str:
        return url.partition("#")[0].partition("?")[0].rstrip("/")

    whole = page.partition("#")[0]
    site = zone_of(host_of(page if "://" in page else f"https://{page}/"))
    ways: tuple[tuple[Found, list[Scored]], ...] = (
        ("page", [row for row in rows if row.seen.page.partition("#")[0] == whole]),
        ("address", [row for row in rows if row.seen.page and address(row.seen.page) == address(page)]),
        ("site", [row for row in rows if site and site_of(row.seen) == site]),
    )
    for found, own in ways:
        if own:
            return found, [row for row in own if not is_page(row.seen)]
    return "none", []


def _below(own: Iterable[Scored]) -> list[tuple[Kind, Scored, int]]:
    """Of each third party that no list has a word on, what scores highest; highest first."""
    rows = [row for row in own if standing_of(row) == "spared" and not row.excepted_by and not is_of_site(row)]
    best: dict[str, tuple[Kind, Scored, int]] = {}
    for each in sorted(_one_each("below .5", rows), key=lambda each: (-each[1].p_block, each[1].seen.url)):
        best.setdefault(zone_of(host_of(each[1].seen.url)), each)
    return list(best.values())


def _one_each(kind: Kind, rows: Iterable[Scored]) -> list[tuple[Kind, Scored, int]]:
    """One of those that differ in their query alone: the surest."""
    groups: dict[tuple[str, str], list[Scored]] = {}
    for row in rows:
        groups.setdefault((row.seen.url.partition("#")[0].partition("?")[0], row.seen.type), []).append(row)
    return [(kind, max(each, key=lambda row: (abs(odds(row)), row.seen.url)), len(each)) for each in groups.values()]
