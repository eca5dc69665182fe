"""The local step: a declared model, its gradient, and a round of optimiser steps as one compiled program.

    theta (float32, flat) --split--> tensors --[forward, gradient, optimiser] x local_steps--> theta

One `lax.scan` over the batches of a round, compiled once for the declared number of steps; its arguments are the only
thing that changes. A round of any other length is made of stretches of at most as many steps, between which the
optimiser's memory is handed on, by a second program that is told how many of its batches count: 87 of 62 declared are
62 + 25. The forward pass and the scores are scoring.py's.

Nothing that comes out of here is bit-exact between machines, and nothing needs to be: what is published is a
delta, and everybody folds the same bytes. This file refuses to know files, peers and the fold.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gossip.training import sparse
from gossip.training.blocks import Block, Inputs, Sampler
from gossip.training.coverage import Coverage
from gossip.training.metrics import Scored
from gossip.training.scoring import MARK_SCALE, Theta, forward, score, split
from gossip.training.spec import Adam, ModelSpec, UrlGrams
from gossip.training.stepping import Batches, over

State = tuple[Any, optax.OptState]  # weights, in one piece or as tensors, and the optimiser's memory
Step = Callable[[State, tuple[jax.Array, ...]], tuple[State, None]]


class Learner:
    """Rounds of training for one declared model."""

    def __init__(self, spec: ModelSpec, *, cache: Path | None = None, coverage: Coverage | None = None) -> None:
        """`coverage`: of each class how much the labels know (coverage.py); None: all of it."""
        self.spec = spec
        if cache is not None:
            settings: Any = jax.config  # its methods carry no types
            settings.update("jax_compilation_cache_dir", str(cache))
            settings.update("jax_persistent_cache_min_compile_time_secs", 0.0)
            settings.update("jax_persistent_cache_min_entry_size_bytes", 0)
            settings.update("jax_persistent_cache_enable_xla_caches", "")  # (of GPUs) would put the path into each key
        if sparse.allows(spec):
            self._use_run(sparse.run_of(spec, mean_of(coverage)))
        else:
            self._use_apart(step_of(spec, coverage))

    def _use(self, step: Step) -> None:
        """Make rounds of this step over weights in one piece."""

        def run(state: State, batches: Batches, count: Any = None) -> State:
            return over(step, state, batches, count)

        self._use_run(run)

    def _use_apart(self, step: Step) -> None:
        """The same of a step over tensors: to cut weights and to join slopes in each step took a fifth of a round."""

        def run(state: State, batches: Batches, count: Any = None) -> State:
            tensors, memory = over(step, (split(state[0], self.spec), state[1]), batches, count)
            return jnp.concatenate([tensor.reshape(-1) for tensor in tensors]), memory

        self._use_run(run, lambda theta: split(theta, self.spec))

    def _use_run(self, run: sparse.Run, shown: Callable[[jax.Array], Any] = lambda theta: theta) -> None:
        """Make rounds that run so through their batches; the optimiser remembers what is `shown` of weights."""
        optimiser = optimiser_of(self.spec)

        def begin(theta: jax.Array) -> optax.OptState:
            return optimiser.init(shown(theta))

        def whole(theta: jax.Array, *batches: jax.Array) -> jax.Array:
            theta, _ = run((theta, begin(theta)), batches)
            return theta

        def stretch(state: State, count: int, *batches: jax.Array) -> State:
            return cast(State, run(state, batches, count))

        self._jitted = jax.jit(whole)
        self._round: Callable[..., jax.Array] = self._jitted
        self._begin = jax.jit(begin)
        self._stretch = jax.jit(stretch)
        self._has_stretch = False  # whether that is compiled

    def sample(self, sampler: Sampler, steps: int = 0) -> Inputs:
        """The batches of one round: every array (steps, batch, ...); 0 steps: as many as declared."""
        steps, batch = steps or self.spec.local_steps, self.spec.batch
        return tuple(array.reshape(steps, batch, *array.shape[1:]) for array in sampler.take(steps * batch))

    def compile(self, sampler: Sampler) -> None:
        """Compile for batches of this shape, and hold none meanwhile: 17 MB less at the peak of a filter-list peer."""
        shape: Any = jax.ShapeDtypeStruct  # it carries no types
        shapes = [shape(array.shape, array.dtype) for array in self.sample(sampler)]
        theta = shape((self.spec.parameters,), np.float32)
        self._round = self._jitted.lower(theta, *shapes).compile()

    def is_ready(self, steps: int) -> bool:
        """Whether a round of so many steps has nothing to compile."""
        return steps == self.spec.local_steps or self._has_stretch

    def prepare(self, theta: Theta, batches: Inputs) -> None:
        """Compile what a round over batches of this shape needs. One of another length than declared serves for all."""
        self.round(theta, batches)
        self._has_stretch |= len(batches[0]) != self.spec.local_steps

    def round(self, theta: Theta, batches: Inputs) -> Theta:
        """The weights after one optimiser step from `theta` for each of the batches."""
        steps, most = len(batches[0]), self.spec.local_steps
        if steps == most:
            return np.asarray(self._round(theta, *batches))
        state: State = (jnp.asarray(theta), self._begin(theta))
        for done in range(0, steps, most):
            count = min(most, steps - done)
            state = self._stretch(state, count, *(_filled(array[done : done + count], most) for array in batches))
        return np.asarray(state[0])

    def score(self, theta: Theta, rows: Block) -> Scored:
        """How `theta` does on `rows`."""
        return score(self.spec, theta, rows)


def _filled(array: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    """As long as the program wants it; nobody looks at what fills it up."""
    if len(array) == length:
        return array
    filled = np.zeros((length, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled


def padding_of(spec: ModelSpec) -> int:
    """A bucket outside the table: what it gathers is zero, and it has no gradient."""
    return spec.features.buckets if isinstance(spec.features, UrlGrams) else 0


def width_of(spec: ModelSpec) -> int:
    return spec.features.grams_per_row if isinstance(spec.features, UrlGrams) else 0


def optimiser_of(spec: ModelSpec) -> optax.GradientTransformation:
    """As declared; its memory begins anew in each round."""
    chosen = spec.optimiser
    if isinstance(chosen, Adam):
        return optax.adamw(
            chosen.rate, b1=chosen.first, b2=chosen.second, eps=chosen.epsilon, weight_decay=chosen.decay
        )
    decayed = optax.add_decayed_weights(chosen.decay)
    return optax.chain(decayed, optax.sgd(chosen.rate, momentum=chosen.momentum or None))


def loss_of(
    spec: ModelSpec, coverage: Coverage | None = None
) -> Callable[[jax.Array, tuple[jax.Array, ...]], jax.Array]:
    """The mean loss of weights in one piece over a batch as Sampler.take gives it."""
    loss = loss_of_tensors(spec, coverage)
    return lambda theta, batch: loss(split(theta, spec), batch)


def loss_of_tensors(
    spec: ModelSpec, coverage: Coverage | None
) -> Callable[[list[jax.Array], tuple[jax.Array, ...]], jax.Array]:
    mean_loss = mean_of(coverage)

    def loss(tensors: list[jax.Array], batch: tuple[jax.Array, ...]) -> jax.Array:
        *inputs, labels = batch
        if isinstance(spec.features, UrlGrams):
            buckets, scales, marks = inputs[0].astype(jnp.int32), *inputs[1:]
            grams = jnp.take(tensors[0], buckets, axis=0, mode="fill", fill_value=0.0)
            first = grams.sum(1) * scales[:, None] + MARK_SCALE * tensors[0][marks].sum(1)
        else:
            (first,) = inputs
        return mean_loss(forward(jnp, spec, tensors, first), labels)

    return loss


def mean_of(coverage: Coverage | None) -> sparse.MeanLoss:
    """The mean loss of logits and labels; with `coverage` a label beyond the classes says: none."""

    def mean_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        mean: jax.Array
        if coverage is None:
            mean = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        else:  # a row beyond the classes: the label is benign, or its list does not know it
            known = jax.nn.log_softmax(logits)
            silent = jax.nn.logsumexp(known, axis=1, b=1 - jnp.array(coverage), keepdims=True)
            mean = -jnp.take_along_axis(jnp.concatenate([known, silent], axis=1), labels[:, None], axis=1).mean()
        return mean

    return mean_loss


def step_of(spec: ModelSpec, coverage: Coverage | None = None) -> Step:
    """One optimiser step of tensors over one batch, as `lax.scan` wants it."""
    optimiser, loss = optimiser_of(spec), loss_of_tensors(spec, coverage)

    def step(state: State, batch: tuple[jax.Array, ...]) -> tuple[State, None]:
        weights, memory = state
        change, memory = optimiser.update(jax.grad(loss)(weights, batch), memory, weights)
        return (optax.apply_updates(weights, change), memory), None

    return step
