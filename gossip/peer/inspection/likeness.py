"""How alike two deltas are, as the auditor computes it (ledger/likeness.py), in numpy."""

from __future__ import annotations

from gossip.merging.arithmetic import ArrayDelta
from gossip.merging.product import product
from ledger import likeness


def square(one: ArrayDelta) -> int:
    """The product of a delta with itself: who compares it with many works that out once."""
    return product(one, one)


def cosine_permille(one: ArrayDelta, other: ArrayDelta, squares: tuple[int, int] | None = None) -> int:
    """0..1000, rounded down; 0 for what is orthogonal, opposite, or nothing at all. `squares`: theirs, if known."""
    if squares is None:
        return likeness.cosine_permille(product, one, other)
    return likeness.permille(product(one, other), *squares)
