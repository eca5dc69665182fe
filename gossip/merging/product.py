"""The inner product of two deltas, exactly: what it takes to say how alike they are (ledger/likeness.py).

Values are below 2^27 on the grid of 2^-24, so 512 products fit int64; row sums are added up in two halves, which fit
for any model, and joined as Python integers. It refuses to know whose deltas they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gossip.merging.arithmetic import ArrayDelta

_ROW: Final = 512  # products of less than 2^54 each: their sum is below 2^63
_HALF_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Factor:
    """A delta spread out for products: who needs several of one spreads it out once. `indices` is None when dense."""

    indices: NDArray[np.int64] | None
    values: NDArray[np.int64]  # on the grid of 2^-24


def factor(delta: ArrayDelta) -> Factor:
    return Factor(delta.indices, delta.fixed())


def product(one: ArrayDelta, other: ArrayDelta) -> int:
    """a.b on the grid of 2^-48."""
    return multiply(factor(one), factor(other))


def multiply(one: Factor, other: Factor) -> int:
    """The same."""
    a, b = _common(one, other)
    if len(a) <= _ROW:
        return int(np.dot(a, b))
    products = a * b
    spare = -len(products) % _ROW
    if spare:
        products = np.concatenate((products, np.zeros(spare, dtype=np.int64)))
    sums = products.reshape(-1, _ROW).sum(axis=1)
    high, low = sums >> _HALF_BITS, sums & ((1 << _HALF_BITS) - 1)
    return (int(high.sum()) << _HALF_BITS) + int(low.sum())


def _common(one: Factor, other: Factor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values of both where both have one."""
    a, b = one.values, other.values
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
