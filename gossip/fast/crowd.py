"""A hundred thousand peers, each with a linear model of 57 features and eight rows, in windows of time, in JAX.

    window: who is there? --> one local round of each --> merged by a rule, or folded --> the next window

What compare.py does event by event is done here for all peers at once, so some things are coarser: whoever is there
in a window trains once in it; a model sent to another arrives in the next one; updates of the fold are as old as `lag`
windows when they are published, everybody's alike. The fold's weight is that of docs/fold.md for this case: eta / n,
times s(lag), times the clip at kappa middle norms; nobody publishes often enough to spend more than its quota.

`fold` draws at most 4,096 publishers in a window, which is what weights allow; the others only receive. `fold-bundled`
lets everybody publish and sums all of it in one bundle for each window: what a swarm of this size would need.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from gossip.fast.data import FEATURES, Rows
from gossip.fast.setting import Outcome, Sample
from gossip.merging.pairwise import RULES, Rule
from gossip.setup import KAPPA, staleness_table
from ledger.delta import HEADER_BYTES, MAX_EXPONENT, MAX_VALUE, MIN_EXPONENT
from ledger.entry import GRID_ONE
from ledger.errors import LocalError
from ledger.weights import MAX_ACTIVE

CROWD_RULES: Final = ("fold", "fold-bundled", *RULES, "none")
_JUDGED: Final = 2_000  # peers whose models are scored
_HELD_OUT: Final = 4_000  # rows that they are scored on
_BUNDLE_VALUE_BYTES: Final = 8  # a sum of many deltas, int64
_POINTS: Final = 16


@dataclass(frozen=True)
class Crowd:
    """Who they are. Times in windows."""

    peers: int = 100_000
    windows: int = 40
    seed: int = 0
    away: float = 0.3
    session: float = 20.0
    rows: int = 8
    """Of each peer."""
    alpha: float = 0.3
    """A peer's share of one label is drawn from Beta(alpha, alpha)."""
    rate: float = 0.5
    lag: int = 1
    eta: float = 1.0

    def __post_init__(self) -> None:
        if min(self.peers - 1, self.windows, self.rows, self.session, self.alpha) <= 0 or self.lag < 0:
            raise LocalError("nothing to simulate", next_step="ask for two peers, one window and one row at least")
        if not 0 <= self.away < 1:
            raise LocalError("a crowd is impossible", next_step="`away` is a share, 0..1")


@dataclass(frozen=True, slots=True)
class Pace:
    """What a run took, its first window (which compiles) not counted."""

    node_rounds: int
    seconds: float
    core_seconds: float  # of this process: what a busy machine changes less

    @property
    def per_second(self) -> float:
        return self.node_rounds / self.seconds

    @property
    def per_core_second(self) -> float:
        return self.node_rounds / self.core_seconds


def clouds(seed: int = 0, rows: int = 40_000) -> Rows:
    """Rows where no data are given: two clouds of 57 numbers, the last always 1."""
    luck = np.random.default_rng([seed, 7])
    labels = luck.integers(0, 2, rows)
    inputs = luck.normal(size=(rows, FEATURES)) + np.outer(2 * labels - 1, luck.normal(size=FEATURES) * 0.2)
    inputs[:, -1] = 1
    return Rows.of(inputs, labels, seed)


def run_crowd(rule: str | Rule, crowd: Crowd, rows: Rows | None = None) -> tuple[Outcome, Pace]:
    """What came of a rule, and how fast. `rows` have two classes. LocalError if not, or if there is no such rule."""
    rows = clouds(crowd.seed) if rows is None else rows
    if rows.classes > 2:
        raise LocalError("a linear peer tells two classes apart", next_step="give data of two classes")
    merge = rule if not isinstance(rule, str) else RULES.get(rule)
    name = rule if isinstance(rule, str) else getattr(rule, "__name__", "own")
    if isinstance(rule, str) and rule not in CROWD_RULES:
        raise LocalError(f"there is no rule {rule!r} for a crowd", next_step="choose: " + ", ".join(CROWD_RULES))
    dealt = _deal(rows, crowd)
    if name in ("fold", "fold-bundled"):
        return _folding(name, crowd, rows, dealt)
    return _merging(name, merge, crowd, rows, dealt)


# -------------------------------------------------------------- what all rules share


def _deal(rows: Rows, crowd: Crowd) -> tuple[jax.Array, jax.Array]:
    """Of each peer the inputs (peers, rows, features) and labels (peers, rows)."""
    luck = np.random.default_rng([crowd.seed, 8])
    by_label = [np.flatnonzero(rows.labels == label) for label in (0, 1)]
    if not all(map(len, by_label)):
        raise LocalError("all rows are of one class", next_step="give data of two classes")
    wanted = luck.random((crowd.peers, crowd.rows)) < luck.beta(crowd.alpha, crowd.alpha, crowd.peers)[:, None]
    picked = np.where(wanted, *(luck.choice(by_label[label], wanted.shape) for label in (1, 0)))
    return jnp.asarray(rows.inputs[picked]), jnp.asarray(wanted, dtype=jnp.float32)


def _local(rate: float, thetas: jax.Array, inputs: jax.Array, labels: jax.Array) -> jax.Array:
    """One round: a gradient step of logistic regression over all rows of each peer."""
    gap = jax.nn.sigmoid((inputs * thetas[:, None, :]).sum(axis=-1)) - labels
    return thetas - rate * (gap[:, :, None] * inputs).sum(axis=1) / inputs.shape[1]


class _Presence:
    """Who is there, window by window: the same for every rule."""

    def __init__(self, crowd: Crowd) -> None:
        self._luck = np.random.default_rng([crowd.seed, 9])
        self._leave = 1 / crowd.session
        self._back = 1.0 if crowd.away == 0 else min(1.0, self._leave * (1 - crowd.away) / crowd.away)
        self._leave *= crowd.away > 0
        self.is_there = self._luck.random(crowd.peers) >= crowd.away

    def next(self) -> NDArray[np.bool_]:
        luck = self._luck.random(len(self.is_there), dtype=np.float32)
        self.is_there = np.where(self.is_there, luck >= self._leave, luck < self._back)
        return self.is_there


def _accuracies(rows: Rows, models: NDArray[np.float32]) -> NDArray[np.float64]:
    held, labels = rows.held_inputs[:_HELD_OUT], rows.held_labels[:_HELD_OUT]
    right = (models @ held.T > 0) == (labels == 1)
    return np.asarray(right.mean(axis=1))


def _judged(crowd: Crowd) -> NDArray[np.int64]:
    return np.random.default_rng([crowd.seed, 10]).permutation(crowd.peers)[:_JUDGED]


def _run(
    name: str,
    crowd: Crowd,
    window: Callable[[int, NDArray[np.bool_]], tuple[NDArray[np.bool_], float]],
    models: Callable[[], NDArray[np.float32]],
    rows: Rows,
    settled: Callable[[], object],
) -> tuple[Outcome, Pace]:
    """`window` gives who has trained in it and the bytes that each peer received; `models` those that are judged."""
    presence, curve = _Presence(crowd), []
    rounds = np.zeros(crowd.peers, dtype=np.int64)  # that each has trained
    timed, received, seconds, busy = 0, 0.0, 0.0, 0.0
    for number in range(crowd.windows):
        began, idle = time.perf_counter(), time.process_time()
        trained, size = window(number, presence.next())
        settled()
        if number or crowd.windows == 1:
            timed, seconds = timed + int(trained.sum()), seconds + time.perf_counter() - began
            busy += time.process_time() - idle
        rounds += trained
        received += size
        if (number + 1) * _POINTS // crowd.windows > number * _POINTS // crowd.windows:
            found = _accuracies(rows, models())
            curve.append(Sample.of(number + 1, found, received))
    found = _accuracies(rows, models())
    each = tuple(rounds[_judged(crowd)].tolist())
    outcome = Outcome(name, tuple(found.tolist()), (round(received),) * len(found), each, tuple(curve))
    return outcome, Pace(timed, seconds, busy)


# -------------------------------------------------------------- whole models, pairwise


def _merging(
    name: str, rule: Rule | None, crowd: Crowd, rows: Rows, dealt: tuple[jax.Array, jax.Array]
) -> tuple[Outcome, Pace]:
    luck = np.random.default_rng([crowd.seed, 11])
    state = jnp.zeros((crowd.peers, FEATURES), jnp.float32), jnp.zeros((crowd.peers,), jnp.float32)
    if rows.inputs.shape[1] != FEATURES:
        state = jnp.zeros((crowd.peers, rows.inputs.shape[1]), jnp.float32), state[1]
    step: Any = jax.jit(partial(_meet, rule, crowd.rate), donate_argnums=(0,))
    judged = _judged(crowd)

    def window(number: int, is_there: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float]:
        nonlocal state
        shift = int(luck.integers(1, crowd.peers))  # each sends to one other, each hears one
        state = step(state, jnp.asarray(is_there), shift, *dealt)
        heard = int((is_there & np.roll(is_there, shift)).sum()) if rule is not None else 0
        return is_there, 4.0 * state[0].shape[1] * heard / crowd.peers

    return _run(
        name, crowd, window, lambda: np.asarray(state[0][judged]), rows, lambda: state[0].block_until_ready()
    )  # fmt: skip


def _meet(
    rule: Rule | None,
    rate: float,
    state: tuple[jax.Array, jax.Array],
    is_there: jax.Array,
    shift: jax.Array,
    inputs: jax.Array,
    labels: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    thetas, ages = state
    merged = thetas
    if rule is not None:
        theirs, their_ages = jnp.roll(thetas, shift, axis=0), jnp.roll(ages, shift)
        hears = is_there & jnp.roll(is_there, shift)
        merged = jnp.where(hears[:, None], rule(thetas, ages[:, None], theirs, their_ages[:, None]), thetas)
        ages = jnp.where(hears, jnp.maximum(ages, their_ages), ages)
    new = _local(rate, merged, inputs, labels)
    return jnp.where(is_there[:, None], new, thetas), ages + is_there


# -------------------------------------------------------------- the fold


def _folding(name: str, crowd: Crowd, rows: Rows, dealt: tuple[jax.Array, jax.Array]) -> tuple[Outcome, Pace]:
    luck = np.random.default_rng([crowd.seed, 12])
    features = rows.inputs.shape[1]
    history = [np.zeros(features, dtype=np.float32)]  # the model after each window
    waiting = jnp.zeros((crowd.peers, features), jnp.float32)
    last = np.zeros(crowd.peers, dtype=np.int64)  # the window that each peer has last seen
    staleness = staleness_table()[4 * crowd.lag] / GRID_ONE
    everybody = name == "fold-bundled"
    drawn = crowd.peers if everybody else min(crowd.peers, MAX_ACTIVE)
    step: Any = jax.jit(partial(_publish, crowd.rate, crowd.eta * staleness, everybody), donate_argnums=(1,))
    judged = _judged(crowd)

    def window(number: int, is_there: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float]:
        nonlocal waiting
        last[is_there] = number + 1
        who = np.arange(crowd.peers) if everybody else luck.permutation(crowd.peers)[:drawn]
        view = history[max(0, len(history) - 1 - crowd.lag)]
        change, waiting = step(jnp.asarray(view), waiting, jnp.asarray(who), jnp.asarray(is_there[who]), *dealt)
        history.append(history[-1] + np.asarray(change))
        count = int(is_there[who].sum())
        size = features * _BUNDLE_VALUE_BYTES if everybody else count * (HEADER_BYTES + 1 + features)
        trained = np.zeros(crowd.peers, dtype=np.bool_)
        trained[who] = is_there[who]
        return trained, float(size * is_there.mean())

    return _run(
        name, crowd, window, lambda: np.stack([history[last[peer]] for peer in judged]), rows,
        lambda: waiting.block_until_ready(),
    )  # fmt: skip


def _publish(
    rate: float,
    step: float,
    everybody: bool,
    view: jax.Array,
    waiting: jax.Array,
    who: jax.Array,
    is_there: jax.Array,
    inputs: jax.Array,
    labels: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """What the window adds to the model, and what each has not sent yet. A model this small is sent whole, in int8."""
    rows, marks, kept = (inputs, labels, waiting) if everybody else (inputs[who], labels[who], waiting[who])
    before = jnp.broadcast_to(view, (len(who), len(view)))
    change = kept + _local(rate, before, rows, marks) - before
    peak = jnp.abs(change).max(axis=1, keepdims=True)
    exponent = jnp.clip(jnp.ceil(jnp.log2(jnp.maximum(peak, 1e-30) / MAX_VALUE)), MIN_EXPONENT, MAX_EXPONENT)
    grain = jnp.exp2(exponent)
    scaled = change / grain
    sent = jnp.clip(jnp.trunc(scaled + jnp.copysign(0.5, scaled)), -MAX_VALUE, MAX_VALUE) * grain
    left = jnp.where(is_there[:, None], change - sent, kept)
    norms = jnp.sqrt((sent * sent).sum(axis=1))
    middle = jnp.nanmedian(jnp.where(is_there, norms, jnp.nan))
    clip = jnp.minimum(1.0, KAPPA / GRID_ONE * middle / jnp.maximum(norms, 1e-30))
    weights = jnp.minimum(1.0, step / jnp.maximum(is_there.sum(), 1) * clip) * is_there
    return weights @ sent, left if everybody else waiting.at[who].set(left)
