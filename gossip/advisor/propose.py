"""Rules for what no list blocks: the narrowest that cover the evidence, each tried, each with its evidence.

    capture --zone by zone, covering.py--> rules --engine--> proposals, ranked
                                                     |-----> left: evidence that no rule fits

Rules kept here: a proposal blocks in the engine all that it was made for, and what else it hits is counted with it;
one that hits something to be spared is only shown if asked for, and comes last; nothing that a list blocks is evidence.
What a list has commented out comes behind all others, and what lists have exceptions for lower (precedents.py).
The result depends on the rows, never on their order. Pure; it writes no list.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from gossip.advisor.candidates import Candidate
from gossip.advisor.covering import rules_for
from gossip.advisor.evidence import Capture, Zone, look_at, mean_odds, sites_of, sureness
from gossip.advisor.hosts import host_of, owner_of
from gossip.advisor.precedents import NOTHING, Precedents, precedents
from gossip.advisor.scored import Scored
from gossip.filterlists.engine import ListText

KNOWN: Final = 1.3  # how much surer an owner is of whom lists block other requests (measured: docs/suggest.md)
EXCEPTED: Final = (
    0.5  # what is left of the strength of a rule for what lists have exceptions for (chosen, not measured)
)
ALONE: Final = 0.95  # how sure evidence must be that only one site shows


class Tried(Protocol):
    """Single rules in an engine; gossip/filterlists/trial.py is one."""

    @property
    def read(self) -> tuple[bool, ...]: ...

    def blocks(self, index: int, page: str, url: str, kind: str) -> bool: ...


Trials = Callable[[Sequence[str]], Tried]


@dataclass(frozen=True, slots=True)
class Near:
    """A list blocks other requests of the same zone: perhaps its rule wants widening."""

    list: str
    requests: int
    sample: Scored


@dataclass(frozen=True, slots=True)
class Proposal:
    """One rule, and why."""

    rule: Candidate
    label: Literal["ad", "tracker"]
    evidence: tuple[Scored, ...]  # newly blocked, and sure
    unsure: int  # newly blocked, and not sure
    sites: tuple[str, ...]
    sure: float  # of evidence and unsure together
    strength: float  # what proposals are ranked by
    coverage: tuple[tuple[str, int], ...]  # lists that are not the user's own, and how much of the evidence they block
    near: tuple[Near, ...]
    collateral: tuple[Scored, ...]  # spared, and yet hit
    against: Precedents = NOTHING  # what lists have commented out or excepted of it

    @property
    def text(self) -> str:
        return self.rule.text

    @property
    def sample(self) -> Scored:
        """The surest."""
        return max(self.evidence, key=lambda row: (row.p_block, row.seen.url, row.seen.page))


@dataclass(frozen=True, slots=True)
class Suggested:
    """All that a capture comes to."""

    capture: Capture
    proposals: tuple[Proposal, ...]  # without collateral first, then what no list has commented out; then by strength
    more: int  # proposals beyond the number that was asked for
    weak: int  # requests of rules that too few sites show, or one site not surely enough
    left: int  # requests that no rule fits, or only one with collateral that was not asked for


def suggest(
    rows: Iterable[Scored], trials: Trials, *, mine: frozenset[str] | None = None, min_sites: int = 1,
    collateral: bool = False, at_most: int | None = None, alone: float = ALONE, lists: Iterable[ListText] = (),
) -> Suggested:  # fmt: skip
    """Rules for what none of the lists `mine` (None: none at all) blocks. `lists`: whose texts are asked what speaks
    against a rule."""
    capture = look_at(rows, mine)
    found: list[Proposal] = []
    weak = left = 0
    for zone in capture.zones.values():
        if not zone.sure:
            continue
        proposals = [_proposal(rule, zone, trials) for rule in rules_for(zone, capture.sites)]
        covered: set[int] = set()
        for proposal in proposals:
            if proposal is None or (proposal.collateral and not collateral):
                continue
            covered.update(map(id, proposal.evidence))
            if is_enough(proposal, min_sites, alone):
                found.append(proposal)
            else:
                weak += len(proposal.evidence)
        left += sum(id(row) not in covered for row in zone.sure)
    found = _weighed(found, lists)
    found.sort(key=lambda each: (bool(each.collateral), bool(each.against.commented), -each.strength, each.text))
    shown = tuple(found[:at_most])
    return Suggested(capture, shown, len(found) - len(shown), weak, left)


def _weighed(found: Sequence[Proposal], lists: Iterable[ListText]) -> list[Proposal]:
    """The same with what the lists say against each."""
    said = precedents([(each.rule.pattern, each.sites) for each in found], lists)
    return [
        replace(each, against=against, strength=each.strength * (EXCEPTED if against.excepted else 1))
        for each, against in zip(found, said, strict=True)
    ]


def is_enough(proposal: Proposal, min_sites: int, alone: float = ALONE) -> bool:
    """Whether this much evidence is worth a person's time."""
    sites = max(1, len(proposal.sites))
    return sites >= min_sites and (sites > 1 or proposal.sure >= alone)


def _proposal(rule: Candidate, zone: Zone, trials: Trials) -> Proposal | None:
    """The rule as an engine takes it; None if the engine does not read it, or not as it was meant."""
    tried = trials([rule.text])

    def hit(rows: Iterable[Scored]) -> tuple[Scored, ...]:
        return tuple(row for row in rows if tried.blocks(0, row.seen.page, row.seen.url, row.seen.type))

    evidence = hit(zone.sure)
    meant = [row for row in zone.sure if rule.covers(row.seen)]
    if not tried.read[0] or not evidence or not {id(row) for row in meant} <= {id(row) for row in evidence}:
        return None
    unsure, sites, near = hit(zone.unsure), sites_of(evidence), _near(rule, zone)
    everything = [*evidence, *unsure]
    coverage = Counter(name for row in evidence for name in row.listed_by)
    return Proposal(
        rule,
        "ad" if sum(row.p_ad for row in evidence) >= sum(row.p_tracker for row in evidence) else "tracker",
        evidence,
        len(unsure),
        sites,
        sureness(everything),
        mean_odds(everything) * math.sqrt(max(1, len(sites))) * (KNOWN if near else 1),
        tuple(sorted(coverage.items())),
        near,
        hit(zone.spared),
    )


def _near(rule: Candidate, zone: Zone) -> tuple[Near, ...]:
    owner = owner_of(rule.pattern.removeprefix("||").partition("/")[0].removesuffix("^"))
    siblings = [row for row in zone.listed if owner_of(host_of(row.seen.url)) == owner]
    names = sorted({name for row in siblings for name in row.listed_by})
    blocked = {name: [row for row in siblings if name in row.listed_by] for name in names}
    return tuple(Near(name, len(rows), rows[0]) for name, rows in blocked.items())
