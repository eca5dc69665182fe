"""The inner product of two deltas, exactly: what it takes to say how alike they are (ledger/likeness.py).

Values are below 2^27 on the grid of 2^-24, so 512 products fit int64; row sums are added up in two halves, which fit
for any model, and joined as Python integers. It refuses to know whose deltas they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gossip.merging.arithmetic import ArrayDelta

_ROW: Final = 512  # products of less than 2^54 each: their sum is below 2^63
_HALF_BITS: Final = 32


def product(one: ArrayDelta, other: ArrayDelta) -> int:
    """a.b on the grid of 2^-48."""
    a, b = _common(one, other)
    products = a * b
    spare = -len(products) % _ROW
    if spare:
        products = np.concatenate((products, np.zeros(spare, dtype=np.int64)))
    sums = products.reshape(-1, _ROW).sum(axis=1)
    high, low = sums >> _HALF_BITS, sums & ((1 << _HALF_BITS) - 1)
    return (int(high.sum()) << _HALF_BITS) + int(low.sum())


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
