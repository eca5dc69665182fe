"""Scored requests in groups: by registrable domain, and there by the pattern of the path.

    https://cdn.ads.example/b/1234/x9f3c1d2e4a5b6.js?u=7     ads.example     /b/*/x*.js

Order: first what nobody blocks, the model is sure of, and several sites show.

    open on several sites   to block at the threshold, no list has a word on it, SEVERAL sites or more show it
    open                    the same, on fewer, or of a capture without pages
    known                   to block, and a list blocks it or has an exception for it
    quiet                   nothing there is to block
    within each: more sites first, then higher p_block, then more requests, then by name

Of a group with open requests it is those that say where it stands: their sites, and the highest p_block among them.

Rules kept here: memory is bounded however long the capture is. Groups, patterns and sites beyond the limits below are
counted with others and not told apart. It refuses to know models, lists and terminals, and how URLs are masked: samples
are as they were seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from msgspec import structs

from gossip.advisor.scored import Scored

SEVERAL: Final = 2  # sites: what only one shows may be its own business
MAX_DOMAINS: Final = 1 << 16
MAX_PATTERNS: Final = 64  # of one domain
MAX_ALL_PATTERNS: Final = 1 << 17  # about 100 MB with what is kept of each
MAX_SITES: Final = 1 << 8  # of one pattern or domain
MAX_ALL_SITES: Final = 1 << 20
MAX_LISTS: Final = 1 << 8
REST: Final = "…"  # in place of a domain or pattern beyond the limits
MAX_PATTERN_CHARS: Final = 80
MAX_SAMPLE_CHARS: Final = 1_000  # of a URL or page that is kept to be shown; what is cut off ends between two words
_VARIES: Final = re.compile(r"[\w~=%+-]{32,}|(?=[a-f]*[0-9])[0-9a-f]{8,}|[0-9]+", re.I | re.A)

Band = Literal["open on several sites", "open", "known", "quiet"]
BANDS: Final[tuple[Band, ...]] = ("open on several sites", "open", "known", "quiet")


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some requests of one domain."""

    requests: int
    to_block: int  # at the threshold, pages themselves left out
    open: int  # of those: no list has a word on them
    listed: int  # requests that a list blocks, whatever the model says
    sites: int  # that show them; of the open ones, if there are any. At most MAX_SITES are told apart
    best: Scored  # highest p_block; among the open ones, if there are any
    lists: tuple[str, ...]  # that block some of them, most first

    @property
    def band(self) -> Band:
        if self.open:
            return "open on several sites" if self.sites >= SEVERAL else "open"
        return "known" if self.to_block else "quiet"


@dataclass(frozen=True, slots=True)
class Pattern:
    path: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Group:
    domain: str  # "" of requests without a host
    figures: Figures
    patterns: tuple[Pattern, ...]  # in the same order; () of groups that are not looked at closer


class Groups:
    """Filled by `add`, read by `ordered`."""

    def __init__(self) -> None:
        self._domains: dict[str, tuple[_Count, dict[str, _Count]]] = {}
        self._patterns = 0
        self._sites = 0

    def add(self, row: Scored) -> None:
        """Count one request."""
        domain, site = row.seen.domain, row.seen.site
        row = _short(row)
        seen = row.seen
        if domain not in self._domains and len(self._domains) >= MAX_DOMAINS:
            domain = REST
        whole, patterns = self._domains.setdefault(domain, (_Count(row), {}))
        path = pattern_of(seen.url)
        count = patterns.get(path)
        if count is None:
            if len(patterns) >= MAX_PATTERNS or self._patterns >= MAX_ALL_PATTERNS:
                path = REST
            if (count := patterns.get(path)) is None:
                count = patterns[path] = _Count(row)
                self._patterns += 1
        room = self._sites < MAX_ALL_SITES
        self._sites += whole.add(row, site if room else "") + count.add(row, site if room else "")

    def ordered(self, shown: Callable[[str], str] = lambda url: url, *, top: int = MAX_DOMAINS) -> list[Group]:
        """All groups, the first comes first; of the first `top` also the patterns. `shown` gives what of a URL may be
        seen: patterns are made of that."""
        found = [(whole.figures(), domain, patterns) for domain, (whole, patterns) in self._domains.items()]
        found.sort(key=lambda each: _place(each[0], each[1]))
        return [
            Group(_shown(domain, shown), figures, _patterns(patterns, shown) if place < top else ())
            for place, (figures, domain, patterns) in enumerate(found)
        ]


def grouped(rows: Iterable[Scored]) -> list[Group]:
    """The groups of all of them."""
    groups = Groups()
    for row in rows:
        groups.add(row)
    return groups.ordered()


def _shown(domain: str, shown: Callable[[str], str]) -> str:
    """Where no public suffix is known a domain is a whole host, and a token may stand in it."""
    return domain if domain in ("", REST) else shown(f"https://{domain}/")[len("https://") : -1]


def _patterns(counts: Mapping[str, _Count], shown: Callable[[str], str]) -> tuple[Pattern, ...]:
    found = [
        Pattern(path if path == REST else pattern_of(shown(count.best.seen.url)), count.figures())
        for path, count in counts.items()
    ]
    return tuple(sorted(found, key=lambda part: _place(part.figures, part.path)))


def pattern_of(url: str) -> str:
    """The path of a URL with what differs from request to request as `*`: numbers, hex and long tokens. No query."""
    rest = url.partition("#")[0].partition("?")[0]
    path = "/" + rest.partition("://")[2].partition("/")[2]
    if len(path) > 4 * MAX_PATTERN_CHARS:
        path = path[: 4 * MAX_PATTERN_CHARS] + REST
    found = _VARIES.sub("*", path)
    return found if len(found) <= MAX_PATTERN_CHARS else found[: MAX_PATTERN_CHARS - 1] + REST


class _Count:
    """Figures under way. `best` and sites are of all requests, and beside them of the open ones alone."""

    __slots__ = ("best_open", "best_row", "listed", "lists", "open", "open_sites", "requests", "sites", "to_block")

    def __init__(self, row: Scored) -> None:
        self.requests = self.to_block = self.open = self.listed = 0
        self.sites: set[str] = set()
        self.open_sites: set[str] = set()
        self.lists: dict[str, int] = {}  # (a Counter takes longer to make than all else here)
        self.best_row = row
        self.best_open: Scored | None = None

    @property
    def best(self) -> Scored:
        return self.best_open or self.best_row

    def add(self, row: Scored, site: str) -> int:
        """How many sites more are held now. A site of "" is not counted."""
        self.requests += 1
        self.to_block += row.to_block
        if row.listed_by:
            self.listed += 1
            for name in row.listed_by:
                if name in self.lists or len(self.lists) < MAX_LISTS:
                    self.lists[name] = self.lists.get(name, 0) + 1
        if _is_better(row, self.best_row):
            self.best_row = row
        before = len(self.sites) + len(self.open_sites)
        if site and len(self.sites) < MAX_SITES:
            self.sites.add(site)
        if row.is_open:
            self.open += 1
            if self.best_open is None or _is_better(row, self.best_open):
                self.best_open = row
            if site and len(self.open_sites) < MAX_SITES:
                self.open_sites.add(site)
        return len(self.sites) + len(self.open_sites) - before

    def figures(self) -> Figures:
        sites = self.open_sites if self.open else self.sites
        names = tuple(name for name, _ in sorted(self.lists.items(), key=lambda pair: (-pair[1], pair[0])))
        return Figures(self.requests, self.to_block, self.open, self.listed, len(sites), self.best, names)


def _short(row: Scored) -> Scored:
    """As it is kept: an advertiser's URLs of 32 KiB would be gigabytes."""
    seen = row.seen
    if len(seen.url) <= MAX_SAMPLE_CHARS and len(seen.page) <= MAX_SAMPLE_CHARS:
        return row
    short = structs.replace(seen, url=_cut(seen.url), page=_cut(seen.page))
    return Scored(short, row.p_ad, row.p_tracker, row.p_block, row.block, row.listed_by, row.excepted_by)


def _cut(url: str) -> str:
    """Half a token might not be masked as the whole is."""
    if len(url) <= MAX_SAMPLE_CHARS:
        return url
    begin = url[:MAX_SAMPLE_CHARS]
    return begin[: max(begin.rfind("/"), begin.rfind("?"), begin.rfind("&")) + 1] + REST


def _is_better(row: Scored, than: Scored) -> bool:
    """To stand for its group; of equal ones the same, in whatever order they come."""
    if row.p_block != than.p_block:
        return row.p_block > than.p_block
    return (row.seen.url, row.seen.page) < (than.seen.url, than.seen.page)


def _place(figures: Figures, name: str) -> tuple[int, int, float, int, str]:
    return (BANDS.index(figures.band), -figures.sites, -figures.best.p_block, -figures.requests, name)
