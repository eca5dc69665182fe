"""How a model does on rows, in numpy alone: what a peer's scores and an auditor's comparisons are made of.

The forward pass is written once, for numpy and for jax (learner.py). Scoring uses numpy, so that no second program
is compiled (half a second and 40 MB per peer), and an auditor who wants to score two models loads no jax at all.

Rules kept here: nothing learns. It refuses to know files, peers and the fold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gossip.training.blocks import Bags, Block
from gossip.training.metrics import Scored, judge
from gossip.training.spec import Dense, EmbeddingBag, ModelSpec, Relu, Tanh

Theta = NDArray[np.float32]
MARK_SCALE: Final = 0.5
SCORED_ROWS: Final = 512  # scored at once: a megabyte of gathered n-grams


def score(spec: ModelSpec, theta: Theta, rows: Block) -> Scored:
    """How `theta` does on `rows`."""
    return judge(probabilities(spec, theta, rows), rows.labels, spec.negative_class)


def probabilities(spec: ModelSpec, theta: Theta, rows: Block) -> NDArray[np.float32]:
    """(rows, classes)."""
    logits = logits_of(spec, theta, rows)
    powers = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


def logits_of(spec: ModelSpec, theta: Theta, rows: Block) -> NDArray[np.float32]:
    """(rows, classes): what `probabilities` is the softmax of."""
    tensors = split(theta, spec)
    parts = []
    for begin in range(0, len(rows), SCORED_ROWS):
        first = (
            whole_bags(tensors[0], rows, begin) if isinstance(rows, Bags) else rows.inputs[begin : begin + SCORED_ROWS]
        )
        parts.append(forward(np, spec, tensors, first))
    return np.concatenate(parts) if parts else np.empty((0, len(spec.classes)), np.float32)


def split(theta: Any, spec: ModelSpec) -> list[Any]:
    """The tensors of the layout as views into the flat weights."""
    tensors, begin = [], 0
    for tensor in spec.layout():
        end = begin + math.prod(tensor.shape)
        tensors.append(theta[begin:end].reshape(tensor.shape))
        begin = end
    return tensors


def forward(xp: Any, spec: ModelSpec, tensors: Sequence[Any], first: Any) -> Any:
    """Logits, with numpy or jax.numpy as `xp`. `first` is the sum of the embedding bag, or the numbers themselves."""
    weights = iter(tensors)
    hidden = first
    for layer in spec.layers:
        match layer:
            case EmbeddingBag():
                next(weights)  # already summed into `first`: that is the part that differs between numpy and jax
            case Dense():
                hidden = hidden @ next(weights) + next(weights)
            case Relu():
                hidden = xp.maximum(hidden, 0)
            case Tanh():
                hidden = xp.tanh(hidden)
    return hidden


def whole_bags(table: Theta, rows: Bags, begin: int) -> Theta:
    """The embedding bag over all n-grams of the rows from `begin` on."""
    end = min(begin + SCORED_ROWS, len(rows))
    bounds = rows.offsets[begin : end + 1]
    counts = np.diff(bounds)
    gathered = table[rows.tokens[bounds[0] : bounds[-1]]]
    bags = np.zeros((end - begin, table.shape[1]), np.float32)
    some = counts > 0  # reduceat would give an empty row its neighbour's first n-gram
    if some.any():
        bags[some] = np.add.reduceat(gathered, (bounds[:-1] - bounds[0])[some], axis=0)
    bags /= np.sqrt(np.maximum(counts, 1))[:, None].astype(np.float32)
    bags += MARK_SCALE * table[rows.marks[begin:end]].sum(1)
    return bags
