"""How good a model is on held-out rows, from its probabilities. Plain numpy, ties handled, no thresholds tuned.

With a negative class ("benign"), scores are about finding everything else: score = 1 - P(negative), found at
1/2 or more. Without one each class counts: PR-AUC is the mean over classes, and counts are of right and wrong
answers (then F1 is the accuracy). The accuracy is of single classes either way: the share of rows whose most probable
class is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Scored:
    """Results on one set of rows. `pr_auc` is 0 where there is nothing to find."""

    examples: int
    tp: int
    fp: int
    fn: int
    pr_auc: float
    right: int
    """Rows whose most probable class is theirs."""

    @property
    def accuracy(self) -> float:
        return self.right / max(1, self.examples)

    @property
    def f1(self) -> float:
        return 2 * self.tp / max(1, 2 * self.tp + self.fp + self.fn)


def average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve as a sum of steps; rows with equal scores are one step."""
    found = int(positive.sum())
    if not found:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))  # the end of each run of equal scores
    precision = hits[last] / (last + 1)
    return float((np.diff(hits[last], prepend=0) * precision).sum() / found)


def area_under_roc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """How often a row to be found ranks above one that is not; ties count half. 0 where one of the two is missing."""
    found = int(positive.sum())
    if not found or found == len(positive):
        return 0.0
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of each run of equal scores
    return float((ranks[place[positive]].sum() - found * (found + 1) / 2) / (found * (len(positive) - found)))


def judge(probabilities: NDArray[np.floating], labels: NDArray[np.integer], negative: int | None) -> Scored:
    """Score (rows, classes) probabilities against class indices."""
    right = int((probabilities.argmax(1) == labels).sum())
    if negative is None:
        areas = [average_precision(probabilities[:, c], labels == c) for c in np.unique(labels)]
        wrong = len(labels) - right
        return Scored(len(labels), right, wrong, wrong, float(np.mean(areas)) if areas else 0.0, right)
    score, positive = 1 - probabilities[:, negative], labels != negative
    found = score >= THRESHOLD
    counts = (found & positive, found & ~positive, ~found & positive)
    tp, fp, fn = (int(each.sum()) for each in counts)
    return Scored(len(labels), tp, fp, fn, average_precision(score, positive), right)
