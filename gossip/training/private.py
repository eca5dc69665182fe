"""The local step under differential privacy: DP-SGD as Abadi et al. (2016) give it, out of jax_privacy's parts.

    rows --each with probability `rate`--> batch --gradient of each row, clipped--> sum + noise --optimiser--> theta

What is published is a function of these noisy sums and of what others published, so the promise covers every delta of
this peer, whatever compression and folding do to them later. It covers the rows trained on, one at a time: not the
counts in the data entry, not the held-out rows whose scores are published, and not a site with many rows.

Rules kept here: a row is in a batch by a coin of its own, and the divisor is the expected size of a batch, never the
real one; coins and noise come from the operating system's entropy, drawn anew for each round (threefry, which is no
cryptographic generator, spreads them). All rows are held in memory. It refuses to know the budget (budget.py): whoever
calls has charged it for the steps of each round before it draws them.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from gossip.training.blocks import Block, Inputs, Sampler
from gossip.training.budget import Plan
from gossip.training.coverage import Coverage
from gossip.training.learner import Learner, State, Step, loss_of, optimiser_of, padding_of, width_of
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError

CLIP_NORM: Final = 1.0  # of one row's gradient; a row of the filter-list model has about 0.5 to 2 at the start
# Rows whose gradients exist at once. On a CPU 1 is 13 times as fast as 16: 0.5 s and 6.5 s a round of filter lists.
MICROBATCH: Final = 1
ROOM_STEP: Final = 16  # batches are filled up to a multiple of it
SLACK: Final = 6.0  # standard deviations of room for a batch that comes out large


class PrivateLearner(Learner):
    """Rounds of DP-SGD over one data set. `round` ignores what others put in its batches: rows are its own."""

    def __init__(
        self, spec: ModelSpec, rows: Block, plan: Plan, *, cache: Path | None = None, coverage: Coverage | None = None
    ) -> None:
        super().__init__(spec, cache=cache, coverage=coverage)
        self._plan = plan
        self._rows = rows
        spread = SLACK * math.sqrt(len(rows) * plan.rate * (1 - plan.rate))
        room = math.ceil(len(rows) * plan.rate + spread)
        self._room = ROOM_STEP * math.ceil(room / ROOM_STEP)
        self._use(_private_step_of(spec, plan, coverage))

    def sample(self, sampler: Sampler, steps: int = 0) -> Inputs:
        """The sampler's own order plays no part."""
        return self.draw(steps)

    def draw(self, steps: int = 0) -> Inputs:
        """Noise keys, masks and batches of one round; 0 steps: as many as declared."""
        luck = np.random.default_rng(int.from_bytes(os.urandom(32), "little"))
        drawn = [self._batch(luck) for _ in range(steps or self.spec.local_steps)]
        keys = np.frombuffer(os.urandom(8 * len(drawn)), np.uint32).reshape(len(drawn), 2)
        return keys, *(np.stack(columns) for columns in zip(*drawn, strict=True))

    def _batch(self, luck: np.random.Generator) -> tuple[np.ndarray[Any, Any], ...]:
        """One Poisson sample, filled up to a fixed number of rows: the mask says which are real."""
        chosen = np.flatnonzero(luck.random(len(self._rows)) < self._plan.rate)
        if len(chosen) > self._room:  # once in 10^9 batches; dropping rows would break the analysis
            raise LocalError("a private batch came out larger than there is room for", next_step="start again")
        mask = np.arange(self._room) < len(chosen)
        rows = np.zeros(self._room, np.int64)
        rows[: len(chosen)] = chosen
        inputs = self._rows.take(rows, width_of(self.spec), padding_of(self.spec), luck)
        return mask.astype(np.float32), *inputs


def _private_step_of(spec: ModelSpec, plan: Plan, coverage: Coverage | None) -> Step:
    from jax_privacy import clipping  # the extra `private`

    loss, optimiser = loss_of(spec, coverage), optimiser_of(spec)

    def of_row(theta: jax.Array, mask: jax.Array, batch: tuple[jax.Array, ...]) -> jax.Array:
        return mask.sum() * loss(theta, batch)  # a row that only fills up has no gradient

    gradient: Any = clipping.clipped_grad(
        of_row, l2_clip_norm=CLIP_NORM, batch_argnums=(1, 2), normalize_by=plan.batch, microbatch_size=MICROBATCH
    )
    deviation = plan.noise * CLIP_NORM / plan.batch

    def step(state: State, drawn: tuple[jax.Array, ...]) -> tuple[State, None]:
        weights, memory = state
        key, mask, *batch = drawn
        noise = deviation * jax.random.normal(jax.random.wrap_key_data(key), weights.shape, jnp.float32)
        change, memory = optimiser.update(gradient(weights, mask, tuple(batch)) + noise, memory, weights)
        return (weights + change, memory), None

    return step
