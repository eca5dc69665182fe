"""Labels of one's own list alone: what is not on it may be an ad or a tracker that somebody else's list knows.

    labels of the rows --coverage_of--> of each class, the share that the list is taken to know --> loss (learner.py)

With a share c of class k on the list, a request that it says nothing of has the likelihood

    P(benign) + sum over k of (1 - c_k) * P(k)

(the forward correction of Patrini et al., Making deep neural networks robust to label noise, CVPR 2017; what is
missing is the only noise here). So whoever keeps a list of ads teaches next to nothing against trackers, a request
that others are sure of costs a bounded loss, and what comes out are the probabilities of the thing itself, not of being
on a list. Rows that the owner judged benign are benign, not unlabelled.

KNOWN is an assumption, and so is SILENT: nobody can tell from one list how much it misses. Eight peers with one of
five lists each, one split: F1 at 1/2 .71 without and .80 with it, PR-AUC .92 and .93; non-negative PU loss (Kiryo et
al., NeurIPS 2017) ranked far worse (docs/features.md).

It refuses to know rows and models: what the swarm thinks of a request is no label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from gossip.training.blocks import Block
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError

KNOWN: Final = 0.8  # of a class that the list is about
SILENT: Final = 0.02  # of one that it is not about
ABOUT: Final = 0.05  # of all rows that are on the list, so many of a class say that the list is about it

Coverage = tuple[float, ...]  # one share for each class, 0 for the negative one


def coverage_of(spec: ModelSpec, labels: Mapping[str, int]) -> Coverage:
    """Of each class how much the list knows, by how many rows have it as their label. LocalError if the model names no
    class for what is not looked for."""
    if not spec.negative:
        raise LocalError(
            "this model has no rows without a label", why="it declares no `negative` class",
            next_step="leave --unlabelled out, or name the class in the model",
        )  # fmt: skip
    listed = sum(count for name, count in labels.items() if name != spec.negative)

    def share(name: str) -> float:
        if name == spec.negative:
            return 0.0
        return KNOWN if labels.get(name, 0) > ABOUT * listed else SILENT

    return tuple(map(share, spec.classes))


def unlabelled(spec: ModelSpec, block: Block, judged: tuple[int, ...]) -> Block:
    """The rows to train on: one that the list says nothing of, and its owner neither, has the label that is one beyond
    the classes."""
    assert spec.negative_class is not None
    silent = block.labels == spec.negative_class
    if judged:
        silent &= np.array(judged) < 0
    return block.labelled(np.where(silent, len(spec.classes), block.labels).astype(np.uint8))
