"""Exceptions: the narrowest that free some requests and none that is to stay blocked.

    blocked, scored benign   https://news.example/ads/team.json  xmlhttprequest, on news.example
                          -> @@||news.example/ads/team.json$xmlhttprequest,domain=news.example

Always with types where there are at most MAX_TYPES, and bound to the sites that show it where they are at most
MAX_SITES: an exception is a hole, and should be as small as what it is for. Of what a site asked of itself only files
are excepted, never a folder or a host: `@@||news.example^$image` would free every banner of the site. This file refuses
to know engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gossip.advisor.candidates import Candidate, parts_of_host, whole_host
from gossip.advisor.evidence import bound_to, is_own
from gossip.advisor.hosts import host_of, is_nameable, is_suffix, named_host, site_of, zone_of
from gossip.advisor.scored import Scored

MAX_TYPES: Final = 2
MAX_SITES: Final = 8
MAX_EXCEPTIONS: Final = 5  # for one rule: beyond, the rule itself wants another look
MAX_ROWS: Final = 200  # looked at: more of them say the same


def exceptions_for(freed: Sequence[Scored], kept: Sequence[Scored]) -> list[Candidate]:
    """Rules to be written with `@@` that free `freed` and nothing of `kept`; what no narrow one frees stays blocked."""
    left = sorted(freed, key=lambda row: (row.seen.url, row.seen.page, row.seen.type))[:MAX_ROWS]
    left = [row for row in left if (host := host_of(row.seen.url)) and is_nameable(host)]  # @@||com^ frees all of .com
    rules: list[Candidate] = []
    while left and len(rules) < MAX_EXCEPTIONS:
        best = _best(left, kept)
        if best is None:
            break
        rules.append(best)
        left = [row for row in left if not best.covers(row.seen)]
    return rules


def is_of_site(row: Scored) -> bool:
    """Whether a site asked its own name, whatever the capture says of the party."""
    return is_own(row) or site_of(row.seen) == zone_of(host_of(row.seen.url))


def text_of(rule: Candidate) -> str:
    return f"@@{rule.text}"


def _best(left: Sequence[Scored], kept: Sequence[Scored]) -> Candidate | None:
    covered: dict[Candidate, list[Scored]] = {}
    for row in left:
        host = named_host(host_of(row.seen.url))
        parts = set(parts_of_host(row.seen))
        if is_of_site(row):
            parts = {part for part in parts if part.kind == "file" and part.pattern.startswith(f"||{host}/")}
        elif not is_suffix(host):
            parts.add(whole_host(host))
        for part in parts:
            covered.setdefault(part, []).append(row)
    for part in sorted(covered, key=lambda each: (-len(covered[each]), each.width, each.text)):
        rule = _bound(part, covered[part])
        near = zone_of(host_of(covered[part][0].seen.url))
        if not any(rule.covers(row.seen) for row in kept if zone_of(host_of(row.seen.url)) == near):
            return rule
    return None


def _bound(part: Candidate, rows: Sequence[Scored]) -> Candidate:
    types = tuple(sorted({row.seen.type for row in rows}))
    typed = len(types) <= MAX_TYPES and "other" not in types
    return part.only(types=types if typed else (), sites=bound_to(rows, MAX_SITES))
