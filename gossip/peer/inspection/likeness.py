"""How alike two deltas are, as the auditor computes it (ledger/likeness.py), in numpy."""

from __future__ import annotations

from gossip.merging import product
from gossip.merging.arithmetic import ArrayDelta
from ledger import likeness


def cosine_permille(one: ArrayDelta, other: ArrayDelta) -> int:
    """0..1000, rounded down; 0 for what is orthogonal, opposite, or nothing at all."""
    return likeness.cosine_permille(product.product, one, other)
