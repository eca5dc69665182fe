"""A request with what the model and the lists say of it: what every command of the bench works on.

Probabilities are calibrated on the rows that their owner holds out; `block` is `p_block` at the threshold chosen there.
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
    def is_open(self) -> bool:
        """Whether it is to be blocked and no list asked has a word on it: neither a rule nor an exception."""
        return self.block and not self.listed_by and not self.excepted_by
