"""What a training round begins with beyond the fold, and what its view is then.

    a final snapshot's model (arrival.py)  |  the fold, and bundled sums of leaders (following.py)  |  the fold

Whatever is borrowed has an outcome. A round that began with it is published when that is "true", and never if it is
anything but "open" or "true". Only one of the two is used at a time, the one that more updates are in: sums may be of
updates that are in a snapshot's model, too, so they cannot be added to it.

It refuses to know where either comes from, and how it is found out whether it is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.peer.arrival import Arrival, Borrowed
from gossip.peer.following import Following, Loan
from ledger.chain import LogId


class Debt(Protocol):
    """Something borrowed."""

    @property
    def outcome(self) -> str: ...


class Beginnings:
    """What one peer has borrowed, of either kind."""

    def __init__(self, arrival: Arrival, following: Following) -> None:
        self._arrival = arrival
        self._following = following

    @property
    def is_ahead(self) -> bool:
        """Whether there is a model here that our own fold has not got to."""
        return self._snapshot is not None

    @property
    def _snapshot(self) -> Borrowed | None:
        """A snapshot's model, unless fold and sums hold more."""
        borrowed = self._arrival.borrowed
        if borrowed is not None and self._following.lent and self._following.shown >= borrowed.offer.updates:
            return None
        return borrowed

    @property
    def lent(self) -> tuple[Debt, ...]:
        """What a round that begins now begins with."""
        borrowed = self._snapshot
        return (borrowed,) if borrowed is not None else self._following.lent

    def is_from(self, debts: tuple[Debt, ...], log: LogId, seq: int) -> bool:
        """Whether a sum among these names that update: it was trained from, folded or not."""
        return any(isinstance(debt, Loan) and debt.bundled.has(log, seq) for debt in debts)

    def theta(self) -> NDArray[np.float32]:
        """The best model here, rounded once; nobody changes it."""
        return self._following.theta() if self._snapshot is None else self._arrival.theta()

    def view(self, heads: Mapping[LogId, int], debts: tuple[Debt, ...]) -> dict[LogId, int]:
        """What a round was trained from that began with `heads` folded and these, all of them true by now."""
        for debt in debts:
            if isinstance(debt, Borrowed):
                return self._arrival.past(debt.offer) or dict(heads)
        return self._following.view(heads, tuple(debt for debt in debts if isinstance(debt, Loan)))
