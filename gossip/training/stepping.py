"""Steps over batches, one after the other: as many as there are, or as many as are asked for when they begin.

The second is one program for every length up to that of its arrays, so a round of another length than declared costs
one compilation in a process's life, whatever the lengths are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

T = TypeVar("T")
Batches = tuple[jax.Array, ...]  # every array (steps, ...)


def over(step: Callable[[T, Batches], tuple[T, None]], state: T, batches: Batches, count: Any = None) -> T:
    """The state after `step` over the first `count` batches (None: all of them)."""
    if count is None:
        return jax.lax.scan(step, state, batches)[0]

    def nth(number: jax.Array, state: T) -> T:
        return step(state, tuple(jax.lax.dynamic_index_in_dim(array, number, keepdims=False) for array in batches))[0]

    return cast(T, jax.lax.fori_loop(0, count, nth, state))
