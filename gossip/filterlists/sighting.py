"""One request as a browser made it: what every reader of captures gives, and everything after it takes.

    Sighting(url="https://ads.example/x.js", page="https://news.example/", type="script", time=1767225600.0)

No header, cookie or body has a place here, so none can be kept by mistake. This file refuses to know formats and
models.
"""

from __future__ import annotations

import msgspec

from gossip.filterlists.engine import Label
from gossip.filterlists.split import host_of, registrable


class Sighting(msgspec.Struct, frozen=True):
    """A request of a capture."""

    url: str
    page: str = ""  # that made it; "" where the capture has no pages
    type: str = "other"  # one of features.TYPES
    time: float | None = None  # Unix seconds, as the capture says
    label: Label | None = None  # as the capture says, where it is a labelled table
    third_party: bool | None = None  # as the capture says; None: see `party`

    @property
    def domain(self) -> str:
        """The registrable domain that it goes to; "" if it has no host."""
        return registrable(host_of(self.url))

    @property
    def site(self) -> str:
        """The site that makes it; "" where the capture has no pages."""
        return registrable(host_of(self.page))

    @property
    def party(self) -> bool:
        """Whether it leaves the site of its page; one without a page does not."""
        if self.third_party is not None:
            return self.third_party
        return bool(self.site) and self.domain != self.site
