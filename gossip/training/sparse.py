"""Rounds of a table of n-grams that touch only the rows of each batch: what plain SGD allows, and no other optimiser.

    table, the rest --[gather, forward, gradient of the sums]--> rows of the batch moved in place, the rest moved

With neither momentum nor decay a row without a gradient stays where it is, so this is the function of the dense step
(learner.py), added up in another order; a gradient as long as the table is never laid out. It gains where tables are
wider than a few units (docs/benchmarks.md). Adam goes on moving every row that it has touched, and decay moves all: for
them there is no such step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

from gossip.training.scoring import MARK_SCALE, forward
from gossip.training.spec import EmbeddingBag, ModelSpec, Sgd
from gossip.training.stepping import Batches, over

MeanLoss = Callable[[jax.Array, jax.Array], jax.Array]  # logits (rows, classes), labels (rows,)
Run = Callable[..., Any]  # (weights, memory), arrays of batches, how many of them -> (weights, memory)


def allows(spec: ModelSpec) -> bool:
    """Whether rows that no batch names stay where they are."""
    chosen = spec.optimiser
    return (
        isinstance(spec.layers[0], EmbeddingBag)
        and isinstance(chosen, Sgd)
        and chosen.momentum == 0
        and chosen.decay == 0
    )


def run_of(spec: ModelSpec, mean_loss: MeanLoss) -> Run:
    """Rounds of a model for which `allows` is true."""
    rate = spec.optimiser.rate
    shapes = [tuple(tensor.shape) for tensor in spec.layout()]
    ends = [0]
    for shape in shapes:
        ends.append(ends[-1] + math.prod(shape))

    def loss(first: jax.Array, rest: list[jax.Array], labels: jax.Array) -> jax.Array:
        return mean_loss(forward(jnp, spec, [None, *rest], first), labels)

    def step(tensors: list[jax.Array], batch: tuple[jax.Array, ...]) -> tuple[list[jax.Array], None]:
        table, *rest = tensors
        buckets, (scales, marks, labels) = batch[0].astype(jnp.int32), batch[1:]
        grams = jnp.take(table, buckets, axis=0, mode="fill", fill_value=0.0)  # those that fill up a row lie outside
        first = grams.sum(1) * scales[:, None] + MARK_SCALE * table[marks].sum(1)
        of_first, of_rest = jax.grad(loss, argnums=(0, 1))(first, rest, labels)
        moves = -rate * of_first
        table = table.at[buckets].add((moves * scales[:, None])[:, None, :], mode="drop")
        table = table.at[marks].add((MARK_SCALE * moves)[:, None, :])
        return [table, *(tensor - rate * slope for tensor, slope in zip(rest, of_rest, strict=True))], None

    def run(state: tuple[jax.Array, Any], batches: Batches, count: Any = None) -> tuple[jax.Array, Any]:
        weights, memory = state
        tensors = [weights[a:b].reshape(shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)]
        tensors = over(step, tensors, batches, count)
        return jnp.concatenate([tensor.reshape(-1) for tensor in tensors]), memory

    return run
