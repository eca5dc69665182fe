"""How alike two deltas are: the cosine of the angle between them, in permille, exactly.

    floor(1000 * a.b / (|a| |b|)) = isqrt(10^6 (a.b)^2 // (a.a * b.b)),  0 if a.b is not positive

Why exact: an opinion that somebody else is to check must not depend on a processor. Products are those of values on the
grid of 2^-24, as Python integers. It refuses to know vectors: `product` comes from whichever arithmetic there is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from ledger.fold import D


def cosine_permille(product: Callable[[D, D], int], one: D, other: D) -> int:
    """0..1000, rounded down; 0 for what is orthogonal, opposite, or nothing at all."""
    return permille(product(one, other), product(one, one), product(other, other))


def permille(product: int, one: int, other: int) -> int:
    """The same, of the product of two deltas, and of each with itself."""
    return isqrt(1_000_000 * product * product // (one * other)) if product > 0 else 0
