"""How alike two deltas are: the cosine of the angle between them, in permille, exactly.

    floor(1000 * a.b / (|a| |b|)) = isqrt(10^6 (a.b)^2 // (a.a * b.b)),  0 if a.b is not positive

Why exact: an opinion that somebody else is to check must not depend on a processor. Values are below 2^27 on the grid
of 2^-24, so 512 products fit int64; row sums are added up in two halves, which fit for any model, and joined as Python
integers.

It refuses to know whose deltas they are.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gossip.merging.arithmetic import ArrayDelta

_ROW: Final = 512  # products of less than 2^54 each: their sum is below 2^63
_HALF_BITS: Final = 32


def cosine_permille(one: ArrayDelta, other: ArrayDelta) -> int:
    """0..1000, rounded down; 0 for what is orthogonal, opposite, or nothing at all."""
    product = _dot(*_common(one, other))
    if product <= 0:
        return 0
    return isqrt(1_000_000 * product * product // (_square(one) * _square(other)))


def _common(one: ArrayDelta, other: ArrayDelta) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values of both where both have one."""
    a, b = one.fixed(), other.fixed()
    match one.indices, other.indices:
        case None, None:
            return a, b
        case None, places:
            return a[places], b
        case places, None:
            return a, b[places]
        case ours, theirs:
            _, at, there = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
            return a[at], b[there]


def _square(delta: ArrayDelta) -> int:
    values = delta.fixed()
    return _dot(values, values)


def _dot(a: NDArray[np.int64], b: NDArray[np.int64]) -> int:
    products = a * b
    spare = -len(products) % _ROW
    if spare:
        products = np.concatenate((products, np.zeros(spare, dtype=np.int64)))
    sums = products.reshape(-1, _ROW).sum(axis=1)
    high, low = sums >> _HALF_BITS, sums & ((1 << _HALF_BITS) - 1)
    return (int(high.sum()) << _HALF_BITS) + int(low.sum())
