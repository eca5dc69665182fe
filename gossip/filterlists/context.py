"""What a whole capture says of a request beyond its URL: who else asks for that domain, and what else a page asks for.

    every (page, url) --add--> Census --reach("ads.example")--> 17      sites of the capture that ask for it

A model may use it wherever it is scored, for it comes from the rows themselves: from a peer's own data in training,
from the capture in scoring. Two passes then: one for the census, one for the rows.

Rules kept here: memory is bounded whatever the capture, `MAX_PAIRS` pairs of domain and site; beyond that further
pairs are not counted, which leaves every figure a lower bound. It refuses to know labels, models and files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from gossip.filterlists.split import host_of as host_of
from gossip.filterlists.split import registrable

MAX_PAIRS: Final = 1 << 20  # about 100 MB; a year of one person's browsing has a tenth of it


class Row(Protocol):
    """A request of a page: a Request or a Sighting."""

    @property
    def page(self) -> str: ...

    @property
    def url(self) -> str: ...


class Census:
    """Counts over the requests added so far."""

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()
        self._reach: dict[str, int] = {}

    def add(self, page: str, url: str) -> None:
        """Count one request. One without a page, or without a host, says nothing of reach."""
        site, domain = registrable(host_of(page)), registrable(host_of(url))
        if not site or not domain or site == domain or len(self._pairs) >= MAX_PAIRS:
            return
        if (domain, site) not in self._pairs:
            self._pairs.add((domain, site))
            self._reach[domain] = self._reach.get(domain, 0) + 1

    def reach(self, domain: str) -> int:
        """How many other sites ask for it."""
        return self._reach.get(domain, 0)


def census_of(rows: Iterable[Row]) -> Census:
    """The census of all of them."""
    census = Census()
    for row in rows:
        census.add(row.page, row.url)
    return census
