"""The same model on the same rows in one process, with nothing but JAX: what a swarm of processes is measured against.

    python -m cli.bench.bare ROUNDS CACHE model.json test.npz peer1.npz peer2.npz ...

0 rounds: until it is ended. CACHE is where compiled programs are kept ("": nowhere).

All rows in one place, in memory; the declared steps, batches and optimiser, as one compiled scan a round; after each
round the accuracy on the test rows, told as a peer tells it. No ledger, no signatures, no network, no process beside.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gossip.training.blocks import Numbers
from gossip.training.spec import ModelSpec, UrlGrams


def main(arguments: Sequence[str]) -> None:
    from gossip.training.worker import XLA_FLAGS

    os.environ.update(XLA_FLAGS=XLA_FLAGS, JAX_PLATFORMS="cpu")  # read by jax when it is imported
    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.training.learner import Learner

    rounds, cache = int(arguments[0]), Path(arguments[1]) if arguments[1] else None
    model, test, *shares = map(Path, arguments[2:])
    spec = ModelSpec.parse(model.read_text("utf-8"))
    held, rows = _rows(spec, [test]), _rows(spec, shares)
    learner, arithmetic = Learner(spec, cache=cache), NumpyArithmetic()
    theta = arithmetic.to_float32(arithmetic.start(spec.layout(), "0" * 64))
    luck, taken = np.random.default_rng(0), spec.local_steps * spec.batch
    order = np.empty(0, np.int64)
    parent, done = os.getppid(), 0
    while os.getppid() == parent and not done == rounds > 0:  # as long as whoever measures is there
        while len(order) < taken:
            order = np.concatenate([order, luck.permutation(len(rows))])
        now, order = order[:taken], order[taken:]
        batches = (
            rows.inputs[now].reshape(spec.local_steps, spec.batch, -1),
            rows.labels[now].astype(np.int32).reshape(spec.local_steps, spec.batch),
        )
        theta, done = learner.round(theta, batches), done + 1
        told = {"swarm": {"accuracy": round(learner.score(theta, held).accuracy, 6)}}
        print(json.dumps({"event": "scores", "time": round(time.time(), 3), **told}), flush=True)  # noqa: T201


def _rows(spec: ModelSpec, files: Sequence[Path]) -> Numbers:
    """All rows of some tables, as the model sees them."""
    seen, numbers = spec.features, {name: number for number, name in enumerate(spec.classes)}
    assert not isinstance(seen, UrlGrams)
    tables = [np.load(file) for file in files]
    inputs = np.concatenate([table["x"] for table in tables]).astype(np.float32)
    labels = [numbers[str(label)] for table in tables for label in table["y"]]
    return Numbers((inputs - np.float32(seen.shift)) * np.float32(seen.scale), np.array(labels, np.uint8))


if __name__ == "__main__":
    main(sys.argv[1:])
