"""A request with what the model and the lists say of it: what every command of the bench works on.

Probabilities are calibrated on the rows that their owner holds out; `block` is `p_block` at the threshold chosen there.
A page itself may reach that, and is never to block: who blocks it has lost the site.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossip.filterlists.sighting import Sighting


@dataclass(frozen=True, slots=True)
class Scored:
    """One request of a capture."""

    seen: Sighting
    p_ad: float
    p_tracker: float
    p_block: float  # that it is either
    block: bool
    listed_by: tuple[str, ...] = ()  # names of the lists that block it on its page
    excepted_by: tuple[str, ...] = ()  # and of those that have an exception for it

    @property
    def to_block(self) -> bool:
        """Whether it reaches the threshold, and is no page."""
        return self.block and not is_page(self.seen)

    @property
    def is_open(self) -> bool:
        """Whether it is to be blocked and no list asked has a word on it: neither a rule nor an exception."""
        return self.to_block and not self.listed_by and not self.excepted_by


def is_page(seen: Sighting) -> bool:
    """Whether a request is for a page itself: for the main document, or for what its own page is."""
    return seen.type == "document" or (bool(seen.page) and seen.url.partition("#")[0] == seen.page.partition("#")[0])
