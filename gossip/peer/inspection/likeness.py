"""How alike two deltas are, as the auditor computes it (ledger/likeness.py), in numpy.

Whoever compares one delta with many keeps what is the same each time: its values spread out, and its product with
itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossip.merging.arithmetic import ArrayDelta
from gossip.merging.product import Factor, factor, multiply
from ledger import likeness


@dataclass(frozen=True, slots=True)
class Spread:
    """A delta, ready to be compared."""

    factor: Factor
    square: int

    @property
    def elements(self) -> int:
        """Numbers of 8 bytes that it takes in memory."""
        return len(self.factor.values) * (1 if self.factor.indices is None else 2)


def spread(delta: ArrayDelta) -> Spread:
    values = factor(delta)
    return Spread(values, multiply(values, values))


def cosine_permille(one: Spread, other: Spread) -> int:
    """0..1000, rounded down; 0 for what is orthogonal, opposite, or nothing at all."""
    return likeness.permille(multiply(one.factor, other.factor), one.square, other.square)
