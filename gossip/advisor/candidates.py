"""Rules that could cover what was seen, each as narrow as its kind can be.

    seen  https://cdn.example.com/ads/v3/8f31c2aa90de4b17/unit.js?s=41

    domain   ||example.com^                   everything of an owner
    host     ||cdn.example.com^               everything of a host
    folder   ||cdn.example.com/ads/v3/        and, shorter, ||cdn.example.com/ads/
    file     ||cdn.example.com/ads/v3/*/unit.js
    name     ||cdn.example.com/*/unit.js      one name, whatever folder

All are anchored at a host, so nothing outside its zone can be hit. A query is never part of a pattern, a segment that
could be somebody's (long, a number, hexadecimal) stands as "*". Words that every web server knows ("js", "static",
"main.js") say nothing: a folder or a name of these alone is no candidate. This file refuses to know scores and engines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from gossip.advisor.hosts import (
    host_of,
    is_suffix,
    is_third_party,
    is_token,
    named_host,
    owner_of,
    page_owner,
    path_of,
    site_of,
)
from gossip.filterlists.sighting import Sighting

Kind = Literal["domain", "host", "folder", "file", "name"]

MAX_FOLDERS: Final = 6  # of one path: what lies deeper is told apart by its name
MAX_PATTERN_CHARS: Final = 120  # people read rules
COMMON: Final = frozenset(
    word
    for words in (
        "js css img images image assets asset static lib libs npm gh scripts script dist media files file public cdn",
        "content common ajax uploads upload sdk src build www web api rest data v1 v2 v3 v4 1 2 3 latest prod stable",
        "wp-content wp-includes plugins themes modules sites default all resources resource res vendor bundles chunks",
        "index.js main.js app.js bundle.js script.js scripts.js common.js init.js loader.js core.js all.js vendor.js",
        "index.html index.php main.css style.css jquery.js jquery.min.js p.gif blank.gif spacer.gif 1x1.gif x.gif",
    )
    for word in words.split()
)
_PLAIN: Final = re.compile(r"[\w.~@!+-]+", re.ASCII)  # no letter of the syntax of rules among these


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A rule that blocks. Equal ones have equal texts."""

    pattern: str
    kind: Kind = "host"
    types: tuple[str, ...] = ()  # sorted; () for any
    third_party: bool = False
    sites: tuple[str, ...] = ()  # sorted; () for all

    @property
    def text(self) -> str:
        """As lists in the syntax of Adblock Plus have it: options sorted, domains last."""
        options = sorted([*self.types, *(["third-party"] if self.third_party else [])])
        if self.sites:
            options.append("domain=" + "|".join(self.sites))
        return self.pattern + ("$" + ",".join(options) if options else "")

    @property
    def width(self) -> tuple[int, int]:
        """Smaller is narrower: fewer fixed characters are wider, fewer options as well."""
        options = len(self.types) + self.third_party + len(self.sites)
        return -len(self.pattern.replace("*", "")), -options

    def covers(self, seen: Sighting) -> bool:
        """What an engine says, but for its speed; the engine has the last word on what is proposed."""
        return self.allows(seen) and _matches(self.pattern, seen.url)

    def allows(self, seen: Sighting) -> bool:
        """Whether the options hold for it, whatever its URL."""
        if self.types and seen.type not in self.types:
            return False
        if self.third_party and not is_third_party(seen):
            return False
        return not self.sites or page_owner(seen) in self.sites or site_of(seen) in self.sites

    def only(self, *, types: tuple[str, ...] = (), third_party: bool = False, sites: tuple[str, ...] = ()) -> Candidate:
        """The same with options."""
        return replace(self, types=tuple(sorted(types)), third_party=third_party, sites=tuple(sorted(sites)))


def _matches(pattern: str, url: str) -> bool:
    """Piece by piece between the "*", each where it comes first: takes as long as the URL is, whatever it repeats."""
    begin, rest = _pieces(pattern)
    found = begin.match(url)
    if found is None:
        return False
    text, at = url[found.end() :].lower() if rest else "", 0
    for piece in rest:
        place = text.find(piece, at)
        if place < 0:
            return False
        at = place + len(piece)
    return True


@lru_cache(maxsize=1 << 14)
def _pieces(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """What a URL begins with, and what comes after that in this order."""
    begin, *rest = pattern.removeprefix("||").split("*")
    body = re.escape(begin).replace(r"\^", r"(?:[^\w.%-]|$)")
    expression = re.compile(r"[\w-]+://(?:[^/?#]*\.)?" + body, re.IGNORECASE | re.ASCII)
    return expression, tuple(piece.lower() for piece in rest)


def whole_host(host: str) -> Candidate:
    return Candidate(f"||{host}^")


def whole_domain(owner: str) -> Candidate:
    return Candidate(f"||{owner}^", "domain")


def parts_of_host(seen: Sighting) -> frozenset[Candidate]:
    """All candidates of one request that cover less than its host, for this host and for its whole owner."""
    host = host_of(seen.url)
    if not host:
        return frozenset()
    places = {place for place in (named_host(host), owner_of(host)) if not is_suffix(place)}  # of strangers, all of it
    return frozenset().union(*(_parts(place, path_of(seen.url)) for place in places))


@lru_cache(maxsize=1 << 14)
def _parts(place: str, path: str) -> frozenset[Candidate]:
    *folders, name = [_safe(each) for each in path.split("/")[1:]]
    found: set[Candidate] = set()
    begin = f"||{place}/"
    for depth in range(1, min(len(folders), MAX_FOLDERS) + 1):
        if any(map(_says_something, folders[:depth])) and folders[depth - 1] != "*":
            found.add(Candidate(begin + _joined([*folders[:depth], ""]), "folder"))
    if name != "*" and name:
        if len(folders) <= MAX_FOLDERS:
            found.add(Candidate(begin + _joined([*folders, name]), "file"))
        if folders and _says_something(name):
            found.add(Candidate(f"{begin}*/{name}", "name"))
    return frozenset(each for each in found if len(each.pattern) <= MAX_PATTERN_CHARS)


def _joined(segments: list[str]) -> str:
    """Several unknown folders in a row are one "*"."""
    return re.sub(r"\*(?:/\*)+", "*", "/".join(segments))


def _safe(segment: str) -> str:
    return "*" if is_token(segment) or (segment and not _PLAIN.fullmatch(segment)) else segment


def _says_something(segment: str) -> bool:
    return segment not in {"*", ""} and segment.lower() not in COMMON
