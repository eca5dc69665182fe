"""The learning problem of a comparison, in JAX: a network of dense layers, many peers' rounds in one call.

    jobs of several peers --batches drawn by (seed, peer, round)--> one compiled program --> new weights

Batches depend on the peer and the number of its round alone, so every rule trains on the same ones. Jobs go in groups
of a fixed width: one program is compiled, whatever is under way at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import sqrt
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from gossip.fast.data import Rows
from gossip.fast.setting import Job, Theta
from ledger.entry import Tensor

WIDTH: Final = 8  # jobs in one call
_BOUND_ONE: Final = 1 << 24  # of starting weights, grid 2^-24


class Networks:
    """gossip.fast.setting.Work: dense layers with ReLU between them, softmax on top, plain SGD."""

    def __init__(
        self,
        rows: Rows,
        shares: Sequence[NDArray[np.int64]],
        *,
        hidden: Sequence[int] = (32,),
        steps: int = 16,
        batch: int = 16,
        rate: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.sides = (rows.inputs.shape[1], *hidden, rows.classes)
        self.layout = layout_of(self.sides)
        self.sizes = [len(share) for share in shares]
        self._shares = [np.asarray(share) for share in shares]
        self._steps, self._batch, self._seed = steps, batch, seed
        self._inputs, self._labels = jnp.asarray(rows.inputs), jnp.asarray(rows.labels)
        self._held = jnp.asarray(rows.held_inputs), jnp.asarray(rows.held_labels)
        self._rounds: Any = jax.jit(partial(_rounds, self.sides, rate))
        self._score: Any = jax.jit(partial(_score, self.sides))

    def train(self, jobs: Sequence[Job]) -> list[Theta]:
        found: list[Theta] = []
        width = min(WIDTH, len(self._shares))
        for begin in range(0, len(jobs), width):
            part = list(jobs[begin : begin + width])
            filled = part + [part[0]] * (width - len(part))
            thetas = np.stack([theta for _, _, theta in filled])
            picked = np.stack([self._picked(peer, number) for peer, number, _ in filled])
            new = np.asarray(self._rounds(thetas, picked, self._inputs, self._labels))
            found += list(new[: len(part)])
        return found

    def accuracies(self, models: NDArray[np.float32]) -> NDArray[np.floating]:
        return np.array([float(self._score(theta, *self._held)) for theta in models])

    def _picked(self, peer: int, number: int) -> NDArray[np.int64]:
        luck = np.random.default_rng([self._seed, 6, peer, number])
        return luck.choice(self._shares[peer], (self._steps, self._batch))


def layout_of(sides: Sequence[int]) -> list[Tensor]:
    """Weights drawn within sqrt(6 / (ins + outs)), biases zero."""
    tensors: list[Tensor] = []
    for number, (ins, outs) in enumerate(pairwise(sides)):
        bound = round(sqrt(6 / (ins + outs)) * _BOUND_ONE)
        tensors += [
            Tensor(name=f"w{number}", shape=[ins, outs], bound=bound), Tensor(name=f"b{number}", shape=[outs], bound=0)
        ]  # fmt: skip
    return tensors


def _logits(sides: Sequence[int], theta: jax.Array, inputs: jax.Array) -> jax.Array:
    begin, last = 0, len(sides) - 2
    for number, (ins, outs) in enumerate(pairwise(sides)):
        weights = theta[begin : begin + ins * outs].reshape(ins, outs)
        begin += ins * outs
        inputs = inputs @ weights + theta[begin : begin + outs]
        begin += outs
        inputs = inputs if number == last else jax.nn.relu(inputs)
    return inputs


def _rounds(
    sides: Sequence[int], rate: float, thetas: jax.Array, picked: jax.Array, inputs: jax.Array, labels: jax.Array
) -> jax.Array:
    def loss(theta: jax.Array, rows: jax.Array) -> jax.Array:
        logits = _logits(sides, theta, inputs[rows])
        mean: jax.Array = optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows]).mean()
        return mean

    def step(state: jax.Array, rows: jax.Array) -> tuple[jax.Array, None]:
        return state - rate * jax.vmap(jax.grad(loss))(state, rows), None

    thetas, _ = jax.lax.scan(step, thetas, picked.transpose(1, 0, 2))
    return thetas


def _score(sides: Sequence[int], theta: jax.Array, inputs: jax.Array, labels: jax.Array) -> jax.Array:
    return (_logits(sides, theta, inputs).argmax(axis=1) == labels).mean()
