"""The local round: compiled once, one scan over its batches, and what surrounds it.

Beside a round of ours stand, in turn and in one run: the same steps called one by one from Python, and a scan that
knows nothing of flat weights, declarations and scores (bare JAX, the perceptron only). One thread and one processor, as
a training process has on two; times are of processor. Programs are compiled in processes of their own, with a cache on
disk that is empty for the first, and the first one's for the second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

import numpy as np

from cli.bench.figures import Figure, Goal, Section
from cli.bench.machine import ROOT
from cli.bench.made_up import mlp
from gossip.training.blocks import Bags, Block, Numbers, Sampler
from gossip.training.boot import keep_to
from gossip.training.spec import FILTERLIST, ModelSpec
from gossip.training.worker import XLA_FLAGS

ROWS: Final = 4_000
TIMES: Final = 9
WIDE: Final = FILTERLIST.replace('"units": 3}', '"units": 64}, {"kind": "relu"}, {"kind": "dense", "units": 3}')
SHARE: Final = Goal(0.05)


def measure(*, quick: bool = False) -> Section:
    """In a process of its own, since jax reads its flags once, and one that has imported it stays large."""
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as cache:
        cold, warm = (_asked(("compile", cache)) for _ in range(2))
        rows = dict(zip(NAMES, _asked(("rounds", "quick" if quick else "")), strict=True))
    return Section(
        "training: one round, of processor time, one thread",
        (
            Figure("MLP 784-128-10, 31 steps: a round", rows["mlp"], "ms"),
            Figure("  a scan / steps one by one from Python", rows["mlp"] / rows["mlp_steps"], "x", digits=2),
            Figure("  a round / a bare JAX scan of the same", rows["mlp"] / rows["mlp_bare"], "x", digits=2),
            Figure("  laying out its batches / a round", rows["mlp_sample"] / rows["mlp"], "%", SHARE),
            Figure("filter lists, 64 steps: a round", rows["bag"], "ms"),
            Figure("  a scan / steps one by one from Python", rows["bag"] / rows["bag_steps"], "x", digits=2),
            Figure("  laying out its batches / a round", rows["bag_sample"] / rows["bag"], "%",
                   note="when the answer is out"),
            Figure("65,536 x 64 table: sparse / dense step of SGD", rows["sparse"] / rows["dense"], "x", digits=2,
                   note=f"{rows['sparse']:.2f} ms a step"),
            Figure("  dense step of Adam", rows["adam"], "ms"),
            Figure("compiling all that a start needs, empty cache", sum(cold), "s", digits=2),
            Figure("  ... from the cache on disk", sum(warm), "s", digits=2),
        ),
    )  # fmt: skip


NAMES: Final = (
    "mlp", "mlp_steps", "mlp_bare", "mlp_sample", "bag", "bag_steps", "bag_sample", "sparse", "dense", "adam",
)  # fmt: skip


def _asked(words: tuple[str, str]) -> list[float]:
    """The numbers that a process of our own prints."""
    environment = {**os.environ, "XLA_FLAGS": XLA_FLAGS, "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "cli.bench.training", *words], cwd=ROOT, env=environment, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return [float(number) for number in done.stdout.split()]


# ------------------------------------------------------------------ in that process


class Rows:
    """A spool in memory."""

    def __init__(self, block: Block) -> None:
        self._block = block

    def __len__(self) -> int:
        return len(self._block)

    def append(self, block: Block) -> None:
        raise NotImplementedError

    def read(self, begin: int, end: int) -> Block:
        return self._block

    def close(self) -> None:
        pass


def numbers() -> Numbers:
    luck = np.random.default_rng(0)
    return Numbers(luck.random((ROWS, 784), np.float32), luck.integers(0, 10, ROWS).astype(np.uint8))


def bags(buckets: int = 65_536) -> Bags:
    """Rows of 100 to 400 n-grams, some of them in most rows, as in real URLs."""
    luck = np.random.default_rng(0)
    counts = luck.integers(100, 400, ROWS)
    tokens = luck.zipf(1.3, int(counts.sum())) * 2_654_435_761 % buckets
    marks, labels = luck.integers(0, buckets, (ROWS, 5)), luck.integers(0, 3, ROWS)
    ends = np.concatenate(([0], np.cumsum(counts)))
    return Bags(tokens.astype(np.uint16), ends, marks.astype(np.uint16), labels.astype(np.uint8))


def rounds(quick: bool) -> Iterator[float]:
    """As NAMES has it, milliseconds."""
    from gossip.training.learner import Learner, step_of

    times = 3 if quick else TIMES
    for text, block in ((mlp(128), numbers()), (FILTERLIST, bags())):
        spec = ModelSpec.parse(text)
        learner, single = Learner(spec), Learner(ModelSpec.parse(_changed(text, steps=1)))
        sampler = _sampler(spec, block)
        batches = learner.sample(sampler)
        one_by_one = [tuple(array[at : at + 1] for array in batches) for at in range(spec.local_steps)]
        start = np.full(spec.parameters, 0.01, np.float32)

        def steps(single: Learner = single, start: Any = start, each: Any = one_by_one) -> None:
            theta = start
            for batch in each:
                theta = single.round(theta, batch)

        runs: list[Callable[[], object]] = [lambda: learner.round(start, batches), steps]  # noqa: B023 - run now
        if isinstance(block, Numbers):
            runs.append(_bare(batches, spec))
        runs.append(lambda: learner.sample(sampler))  # noqa: B023 - run now
        yield from _in_turn(runs, times)
    plain = _changed(WIDE, steps=16, optimiser='{"kind": "sgd", "rate": 0.1}')
    adam = Learner(ModelSpec.parse(_changed(WIDE, steps=16)))
    spec = ModelSpec.parse(plain)
    sparse, dense = Learner(spec), Learner(spec)
    dense._use_apart(step_of(spec))
    batches, start = sparse.sample(_sampler(spec, bags())), np.full(spec.parameters, 0.01, np.float32)
    runs = [lambda each=each: each.round(start, batches) for each in (sparse, dense, adam)]  # type: ignore[misc]
    yield from (taken / 16 for taken in _in_turn(runs, 1 if quick else 3))


def _sampler(spec: ModelSpec, block: Block) -> Sampler:
    from gossip.training.learner import padding_of, width_of

    return Sampler(Rows(block), width=width_of(spec), padding=padding_of(spec), seed=1)


def _changed(text: str, *, steps: int, optimiser: str = "") -> str:
    declared = json.loads(text)
    declared["local_steps"] = steps
    if optimiser:
        declared["optimiser"] = json.loads(optimiser)
    if len(declared["layers"]) > 1 and declared["layers"][0].get("units") == 64:
        declared["batch"] = 32
    return json.dumps(declared)


def _bare(batches: tuple[Any, ...], spec: ModelSpec) -> Callable[[], object]:
    """The same perceptron, batches and optimiser, as one would write them without us."""
    import jax
    import jax.numpy as jnp
    import optax

    optimiser = optax.adam(0.001, b1=0.9, b2=0.99)
    luck = np.random.default_rng(1)
    weights = [luck.normal(0, 0.05, shape).astype(np.float32) for shape in ((784, 128), (128,), (128, 10), (10,))]

    def loss(weights: Any, inputs: Any, labels: Any) -> Any:
        a, b, c, d = weights
        logits = jnp.maximum(inputs @ a + b, 0) @ c + d
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def step(state: Any, batch: Any) -> Any:
        weights, memory = state
        moves, memory = optimiser.update(jax.grad(loss)(weights, *batch), memory, weights)
        return (optax.apply_updates(weights, moves), memory), None

    @jax.jit
    def whole(weights: Any, *batches: Any) -> Any:
        return jax.lax.scan(step, (weights, optimiser.init(weights)), batches)[0][0]

    return lambda: [np.asarray(tensor) for tensor in whole(weights, *batches)]


def _in_turn(runs: list[Callable[[], object]], times: int) -> list[float]:
    """Milliseconds of processor of each, the middle of so many turns after one that does not count."""
    taken: list[list[float]] = []
    for _ in range(times + 1):
        row = []
        for run in runs:
            begun = process_time()
            run()
            row.append(1e3 * (process_time() - begun))
        taken.append(row)
    return [median(column) for column in zip(*taken[1:], strict=True)]


def compiled(cache: Path) -> Iterator[float]:
    """Seconds of processor for the declared round, and for one of another length (its begin, its stretch)."""
    from gossip.training.learner import Learner

    spec, block = ModelSpec.parse(FILTERLIST), bags()
    learner, sampler = Learner(spec, cache=cache), _sampler(spec, block)
    start = np.zeros(spec.parameters, np.float32)
    begun = process_time()
    learner.compile(sampler)
    yield process_time() - begun
    batches = learner.sample(sampler, 5)
    begun = process_time()
    learner.prepare(start, batches)
    yield process_time() - begun


if __name__ == "__main__":
    keep_to([min(os.sched_getaffinity(0))] if hasattr(os, "sched_getaffinity") else [])
    kind, word = sys.argv[1:]
    found = compiled(Path(word)) if kind == "compile" else rounds(word == "quick")
    sys.stdout.write(" ".join(map(str, found)))
