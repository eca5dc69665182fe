"""Which rules cover the evidence of a zone: few of them, each as narrow as it can be.

In this order, for what is still uncovered:
    1. a whole host    where all that was seen of it is sure to be blocked, and it is neither shared nor a site of the
                       capture; of two such hosts of one owner, with nothing else seen of it, the owner's whole domain
    2. part of one     folder, file or name: the one that covers most first, of equal ones the narrowest
    3. types of one    where only these are to be blocked, and two sites show it
    4. spoiled ones    the best of part and whole that hits something to be spared, and less of it than evidence
Options are added where they spare something and only then; a rule for part of a host that one site alone shows is
bound to that site by `domain=`. Of a site's own requests only parts are proposed, never a host, and only where two
files or two pages show them.

No rule covers more that is unsure than sure. Requests that differ in their query alone are one here. Everything is
sorted before it is chosen from, so the order of a capture decides nothing. This file refuses to know engines; whether a
rule does what is meant is propose.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from gossip.advisor.candidates import Candidate, parts_of_host, whole_domain, whole_host
from gossip.advisor.evidence import Zone, bound_to, is_own, sites_of
from gossip.advisor.hosts import host_of, is_shared, is_suffix, is_third_party, named_host, owner_of, page_owner
from gossip.advisor.scored import Scored

MAX_TYPES: Final = 2  # of a rule for types
MAX_ROWS: Final = 500  # of a zone's evidence, told apart by more than the query: beyond, more of it says the same
MAX_RULES: Final = 20  # of one zone: nobody reads more, and a host with so many needs another idea
_SAYS_NOTHING: Final = frozenset({"other", "document"})


def rules_for(zone: Zone, visited: frozenset[str]) -> list[Candidate]:
    """Rules for the evidence of a zone; what none of them covers fits no rule. `visited`: sites of the capture."""
    return _Covering(zone, visited).rules()


class _Covering:
    def __init__(self, zone: Zone, visited: frozenset[str]) -> None:
        self.zone, self.visited = zone.name, visited
        self.sure, self.unsure, self.spared = (_distinct(rows) for rows in (zone.sure, zone.unsure, zone.spared))
        self.hosts = {host_of(row.seen.url) for row in zone.rows}
        self.sure = self.sure[:MAX_ROWS]
        self._spares: dict[Candidate, bool] = {}
        self._alike: dict[Candidate, list[Scored]] = {}  # what is to be spared, by its own candidates
        for row in self.spared if self.sure else ():
            for part in (*parts_of_host(row.seen), whole_host(named(row))):
                self._alike.setdefault(part, []).append(row)
        self._firm: dict[Candidate, bool] = {}

    def rules(self) -> list[Candidate]:
        chosen: list[Candidate] = []
        left = self.sure
        for make in (self._whole, self._parts, self._typed, self._spoiled):
            for rule in make(left) if left and len(chosen) < MAX_RULES else ():
                if len(chosen) < MAX_RULES and any(rule.covers(row.seen) for row in left):
                    chosen.append(rule)
                    left = [row for row in left if not rule.covers(row.seen)]
        return chosen

    def spoils(self, rule: Candidate, limit: int) -> int:
        """How much to be spared it hits at least, of what has the same part in its own path; no further than `limit`,
        or a folder of thousands would be counted for each rule that is refused for its first."""
        alike = self._alike.get(rule.only(), ())
        return len(list(islice((row for row in alike if rule.allows(row.seen)), limit)))

    def spares(self, rule: Candidate) -> bool:
        """Whether it hits nothing that is to be spared. Every one is asked, unless one that is alike says no."""
        if rule not in self._spares:
            wrong = self.spoils(rule, 1) or any(rule.covers(row.seen) for row in self.spared)
            self._spares[rule] = not wrong
        return self._spares[rule]

    def is_firm(self, rule: Candidate) -> bool:
        """Whether no more of what it covers is unsure than sure."""
        if rule not in self._firm:
            unsure = sum(rule.covers(row.seen) for row in self.unsure)
            self._firm[rule] = not unsure or unsure <= sum(rule.covers(row.seen) for row in self.sure)
        return self._firm[rule]

    def _is_clean(self, rule: Candidate) -> bool:
        return self.spares(rule) and self.is_firm(rule)

    def _whole(self, left: Sequence[Scored]) -> list[Candidate]:
        """Hosts that are for nothing else; where there are two of an owner that is for nothing else, the owner."""
        if self.zone in self.visited:
            return []
        found: dict[str, Candidate] = {}
        for host in sorted({named(row) for row in left}, key=lambda host: (host.count("."), host)):
            if not is_shared(host) and (rule := self._clean(whole_host(host))):
                found[host] = rule
        rules: list[Candidate] = []
        for owner in sorted({owner_of(host) for host in found}):
            hosts = [host for host in found if owner_of(host) == owner]
            wider = self._widened(owner) if len(hosts) > 1 and owner not in hosts else None
            rules += [found[host] for host in hosts] if wider is None else [wider]
        return rules

    def _widened(self, owner: str) -> Candidate | None:
        others = [host for host in self.hosts if host == owner or host.endswith("." + owner)]
        return None if is_suffix(owner) or any(map(is_shared, others)) else self._clean(whole_domain(owner))

    def _clean(self, rule: Candidate) -> Candidate | None:
        """With `third-party` if that is what it needs."""
        for each in (rule, rule.only(third_party=True)):
            if self._is_clean(each):
                return each
        return None

    def _parts(self, left: Sequence[Scored], *, spoiled: bool = False) -> list[Candidate]:
        """Again and again the part that covers most of what is left."""
        rules: list[Candidate] = []
        for own in (False, True):
            rows = [row for row in left if is_own(row) is own]
            while rows and len(rules) < MAX_RULES:
                best = self._best(rows, own, spoiled)
                if best is None:
                    break
                rules.append(best)
                rows = [row for row in rows if not best.covers(row.seen)]
        return rules

    def _best(self, rows: Sequence[Scored], own: bool, spoiled: bool) -> Candidate | None:
        covered: dict[Candidate, list[Scored]] = {}
        for row in rows:
            parts = set(parts_of_host(row.seen))
            if spoiled and not own and not is_shared(named(row)) and self.zone not in self.visited:
                parts.add(whole_host(named(row)))
            for part in parts:
                covered.setdefault(part, []).append(row)
        best: tuple[float, int, tuple[int, int], str] | None = None
        chosen = None
        for part in sorted(covered, key=lambda each: (-len(covered[each]), each.width, each.text)):
            if own and not _twice(covered[part]):
                continue
            fitted = self._fitted(part, covered[part], spoiled)
            if fitted is None:
                continue
            if not spoiled:
                return fitted
            hits, gain = self.spoils(fitted, len(covered[part])), len(covered[part])
            worth = (hits / gain, -gain, fitted.width, fitted.text)
            if hits < gain and self.is_firm(fitted) and (best is None or worth < best):
                best, chosen = worth, fitted
        return chosen

    def _fitted(self, rule: Candidate, covered: Sequence[Scored], spoiled: bool) -> Candidate | None:
        """With the options that it needs; None if none of them spares what is to be spared."""
        bound = () if is_own(covered[0]) else bound_to(covered, 1)
        types = tuple(sorted({row.seen.type for row in covered}))
        ways = [rule.only(sites=bound)]
        if all(is_third_party(row.seen) for row in covered) and not bound:
            ways.append(rule.only(third_party=True))
        if len(types) <= MAX_TYPES and not _SAYS_NOTHING & set(types):
            ways += [each.only(types=types, third_party=each.third_party, sites=bound) for each in ways]
        return next((each for each in ways if self._is_clean(each)), ways[0] if spoiled else None)

    def _typed(self, left: Sequence[Scored]) -> list[Candidate]:
        if self.zone in self.visited:
            return []
        rules: list[Candidate] = []
        for host in sorted({named(row) for row in left}):
            rows = [row for row in left if named(row) == host]
            types = tuple(sorted({row.seen.type for row in rows}))
            usable = len(types) <= MAX_TYPES and not _SAYS_NOTHING & set(types) and not is_shared(host)
            if usable and len(sites_of(rows)) > 1 and self._is_clean(rule := whole_host(host).only(types=types)):
                rules.append(rule)
        return rules

    def _spoiled(self, left: Sequence[Scored]) -> list[Candidate]:
        return self._parts(left, spoiled=True)


def named(row: Scored) -> str:
    return named_host(host_of(row.seen.url))


def _distinct(rows: Iterable[Scored]) -> list[Scored]:
    """One of those that differ in their query alone."""
    found: dict[tuple[str, str, str, bool], Scored] = {}
    for row in rows:
        seen = row.seen
        key = (seen.url.partition("#")[0].partition("?")[0], seen.type, page_owner(seen), is_third_party(seen))
        found.setdefault(key if not is_own(row) else (*key[:2], seen.page, False), row)
    return list(found.values())


def _twice(rows: Sequence[Scored]) -> bool:
    """Whether a site's own requests show it in two files or on two pages."""
    urls = {row.seen.url.partition("?")[0] for row in rows}
    return len(urls) > 1 or len({row.seen.page for row in rows}) > 1
