"""Rules of lists whose hits the model holds for benign: likely false positives, and what may break a page.

    capture, lists --each blocked request asks for its rule--> rules with their hits --> flags, ranked
                                                                                    '-> exceptions, tried

A rule is flagged if some of its hits score below 1/2; a rule that blocks both is flagged for the benign ones. Ranked by
how sure the model is of these, by the root of the number of their sites, and by their share of all hits of the rule: a
rule whose other hits all score high was probably meant.

Fonts, styles and frames come first, since a page without them is seen to be broken. Of the hits that one site has in
itself, of one type, PER_SITE rules are shown and the others counted: what a site calls its banners is one question.

Rules kept here: an exception frees in the engine all that it is said to free and nothing that is scored as to be
blocked. No model knows whether a page breaks: this is an order to look in. Pure; it changes no list.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gossip.advisor.evidence import LIKELY, is_page, mean_odds, sites_of, sureness
from gossip.advisor.exceptions import exceptions_for, is_of_site, text_of
from gossip.advisor.propose import Trials
from gossip.advisor.scored import Scored
from gossip.filterlists.engine import Hit
from gossip.filterlists.sighting import Sighting

PER_SITE: Final = 3
FIRST: Final = frozenset({"font", "stylesheet", "subdocument", "document"})  # what a page is seen to lack
MAX_RULES: Final = 100_000  # told apart; a list has as many, a capture never hits so many

Hits = Callable[[Sighting], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Exempt:
    """A suggested exception, and what it frees."""

    text: str
    frees: int


@dataclass(frozen=True, slots=True)
class Flag:
    """One rule of one list."""

    list: str
    rule: str
    hits: int  # requests of the capture that it blocks
    benign: tuple[Scored, ...]  # of them
    sites: tuple[str, ...]  # that show the benign ones
    sure: float  # that these are benign
    strength: float
    exceptions: tuple[Exempt, ...]
    left: int  # benign hits that no suggested exception frees
    left_own: int  # of them: of a site in itself, where only its whole host could be named

    @property
    def sample(self) -> Scored:
        """The surest."""
        return min(self.benign, key=lambda row: (row.p_block, row.seen.url, row.seen.page))

    @property
    def is_first(self) -> bool:
        """Whether at least half of it is what a page is seen to lack."""
        return 2 * sum(row.seen.type in FIRST for row in self.benign) >= len(self.benign)

    @property
    def alike(self) -> tuple[str, str] | None:
        """The site and type of what one site has in itself; None of all else."""
        kinds = {row.seen.type for row in self.benign}
        own = len(self.sites) == 1 and len(kinds) == 1 and all(map(is_of_site, self.benign))
        return (self.sites[0], min(kinds)) if own else None


@dataclass(frozen=True, slots=True)
class Flagged:
    """All that a capture comes to."""

    flags: tuple[Flag, ...]
    alike: int  # rules beyond PER_SITE
    more: int  # rules beyond the number that was asked for


def flag(
    rows: Iterable[Scored], hits: Hits, trials: Trials, *, min_sites: int = 1, at_most: int | None = None,
    per_site: int = PER_SITE,
) -> Flagged:  # fmt: skip
    """The rules to look at, most likely wrong first."""
    found: dict[tuple[str, str], list[Scored]] = {}
    kept: list[Scored] = []
    for row in rows:
        if not row.listed_by:
            continue
        if row.block:
            kept.append(row)
        for hit in hits(row.seen):
            key = (hit.list, hit.rule)
            if hit.blocks and (key in found or len(found) < MAX_RULES):
                found.setdefault(key, []).append(row)
    flags = [
        _flag(name, rule, hit, benign)
        for (name, rule), hit in found.items()
        if (benign := [row for row in hit if is_benign(row)]) and max(1, len(sites_of(benign))) >= min_sites
    ]
    flags.sort(key=lambda each: (not each.is_first, -each.strength, each.list, each.rule))
    shown: list[Flag] = []
    seen: Counter[tuple[str, str]] = Counter()
    for each in flags:
        if (alike := each.alike) is not None:
            seen[alike] += 1
        if alike is None or seen[alike] <= per_site:
            shown.append(each)
    chosen = tuple(_with_exceptions(each, kept, trials) for each in shown[:at_most])
    return Flagged(chosen, len(flags) - len(shown), len(shown) - len(chosen))


def is_benign(row: Scored) -> bool:
    """Whether the model holds it for benign. A page is: blocking one is a different matter, and no list is wrong."""
    return not row.block and row.p_block < LIKELY and not is_page(row.seen)


def _flag(name: str, rule: str, hit: Sequence[Scored], benign: Sequence[Scored]) -> Flag:
    benign = sorted(benign, key=lambda row: (row.seen.url, row.seen.page, row.seen.type))
    sites = sites_of(benign)
    strength = -mean_odds(benign) * math.sqrt(max(1, len(sites))) * len(benign) / len(hit)
    return Flag(name, rule, len(hit), tuple(benign), sites, 1 - sureness(benign), strength, (), len(benign), 0)


def _with_exceptions(flag: Flag, kept: Sequence[Scored], trials: Trials) -> Flag:
    exempt, left = tried_exceptions(flag.benign, kept, trials)
    return replace(flag, exceptions=exempt, left=len(left), left_own=sum(map(is_of_site, left)))


def tried_exceptions(
    freed: Sequence[Scored], kept: Sequence[Scored], trials: Trials
) -> tuple[tuple[Exempt, ...], list[Scored]]:
    """Exceptions that the engine reads and takes as they are meant, and what of `freed` none of them frees."""
    rules = exceptions_for(freed, kept)
    tried = trials([text_of(rule) for rule in rules]) if rules else None
    found: list[Exempt] = []
    free: set[int] = set()
    for index, rule in enumerate(rules):
        assert tried is not None
        frees = {id(row) for row in freed if tried.blocks(index, row.seen.page, row.seen.url, row.seen.type)}
        wrong = any(tried.blocks(index, row.seen.page, row.seen.url, row.seen.type) for row in kept)
        if tried.read[index] and frees and not wrong:
            found.append(Exempt(text_of(rule), len(frees)))
            free |= frees
    return tuple(found), [row for row in freed if id(row) not in free]
