"""Who trains on whose rows, as two values for people. They decide nothing."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.entry import PeerId


@dataclass(frozen=True, slots=True)
class Holding:
    """What one borrower has of ours, or may have."""

    peer: PeerId
    name: str
    shards: int


@dataclass(frozen=True, slots=True)
class Held:
    """What this peer trains on of one lender's."""

    peer: PeerId
    name: str
    shards: int
    records: int
