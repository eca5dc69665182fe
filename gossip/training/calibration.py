"""From a model's logits to probabilities that mean what they say, and to the threshold from which to act.

    logits (benign, ad, tracker)
        block   log-odds of ad or tracker against benign    p_block = sigmoid(scale * it + offset)
        kind    log-odds of ad against tracker              p_ad = p_block * sigmoid(scale * it + offset)

Two lines, each fitted on rows that the model never saw (Platt 1999, with his smoothed targets), drawn towards "leave it
as it is" by as much as 30 rows weigh, or 4 where the labels are an own list's, whose models are far too shy. p_tracker
is the rest of p_block, so the three never contradict one another; a scale is never below 1/16, so no request overtakes
another by being calibrated. Rows of one site are alike: with `groups`, n rows of a site weigh n / (1 + (n - 1) / 20).
Without, 14 peers with some hundred rows of a few sites each fitted those sites: log loss of unseen sites .194 as it
was, .208 after, and .196 so (own-list labels, whose models were shy: .52, .42 and .39).

The threshold is the lowest p_block at which 99% of those rows that reach it are to be blocked; `recall` is the
share of the rows to be blocked that do. Beside it stands what that precision is at least, in 19 of 20 cases (the exact
bound of Clopper and Pearson, of as many rows as those weigh: 12 right out of 12 are "at least .78"). Where no threshold
is that precise, it is the one whose bound is best, and `precision` says what it is. With fewer than 30 rows to be
blocked, or not to be, nothing is measured: `measured` is false, the threshold .5, the figures 0, and whoever shows it
says so.

    {"block": {"scale": 1.08, "offset": -0.31}, "kind": {"scale": 0.9, "offset": 0.2}, "threshold": 0.971,
     "precision": 0.992, "precision_at_least": 0.976, "recall": 0.81, "rows": 402, "positives": 155,
     "measured": true, "against": "labels"}

`against` is "own list" where rows outside the owner's list count as not to be blocked: some of them are holes in that
list, so the precision is understated there and the threshold too high, never too low.
Rules kept here: numpy only, no luck, NaN refused. It refuses to know files, models and where rows come from.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ledger.errors import LocalError

PRECISION: Final = 0.99  # a maintainer's patience for being wrong
ENOUGH: Final = 30  # rows of each side: below, one row more or less moves everything by three points
CONFIDENCE: Final = 0.95  # one-sided
PRIOR_ROWS: Final = {"labels": 30.0, "own list": 4.0}  # what "leave it as it is" weighs
ALIKE: Final = 1 / 20  # how much two rows of one site are one: with 1/50 and 1/10 the same figures within .003
MIN_SCALE: Final = 1 / 16
MAX_SCALE: Final = 16.0
MAX_OFFSET: Final = 64.0
_STEPS: Final = 50

Logits = NDArray[np.floating]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Count = Annotated[int, Meta(ge=0, lt=1 << 53)]
Against = Literal["labels", "own list"]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done to a log-odds."""

    scale: Annotated[float, Meta(ge=MIN_SCALE, le=MAX_SCALE)] = 1.0
    offset: Annotated[float, Meta(ge=-MAX_OFFSET, le=MAX_OFFSET)] = 0.0

    def of(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        return _sigmoid(self.scale * log_odds + self.offset)


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Made by `calibrate`; JSON both ways with `json` and `parse`."""

    block: Line = Line()
    kind: Line = Line()
    threshold: _Share = 0.5  # of p_block: at it or above is to be blocked
    precision: _Share = 0.0  # there, on the rows it was measured on
    precision_at_least: _Share = 0.0  # in 19 of 20 cases
    recall: _Share = 0.0
    rows: _Count = 0
    positives: _Count = 0
    measured: bool = False
    against: Against = "labels"

    def apply(self, logits: Logits) -> NDArray[np.float32]:
        """(rows, 3): p_ad, p_tracker, p_block of logits (rows, 3) of benign, ad, tracker; log-probabilities do as
        well. LocalError if one of them is not a number."""
        block, kind = log_odds(logits)
        p_block = self.block.of(block)
        p_ad = p_block * self.kind.of(kind)
        return np.stack([p_ad, p_block - p_ad, p_block], axis=1).astype(np.float32)

    @property
    def json(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, text: bytes) -> Calibration:
        """Raises LocalError, and says which field is wrong."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (ValueError, RecursionError) as error:
            raise LocalError("this calibration cannot be used", why=str(error)) from None


UNCALIBRATED: Final = Calibration()


def calibrate(
    logits: Logits,
    labels: NDArray[np.integer],
    *,
    groups: NDArray[np.integer] | None = None,
    precision: float = PRECISION,
    against: Against = "labels",
) -> Calibration:
    """What makes `logits` (rows, 3) of benign, ad, tracker honest, from the labels 0, 1, 2 of rows not trained on.
    `groups` are numbers of their sites.

    LocalError if there is not one label of those for each row, or a logit that is not a number.
    """
    if len(labels) != len(logits) or (len(labels) and not (labels.min() >= 0 and labels.max() <= 2)):
        raise LocalError(f"{len(labels)} labels do not fit {len(logits)} rows", why="each row has one label of 0, 1, 2")
    block, kind = log_odds(logits)
    positive = labels != 0
    positives = int(positive.sum())
    found = Calibration(rows=len(labels), positives=positives, against=against)
    if min(positives, len(labels) - positives) < ENOUGH:
        return found
    weights, prior = weights_of(groups, len(labels)), PRIOR_ROWS[against]
    found = msgspec.structs.replace(
        found,
        block=fit_line(block, positive, weights, prior=prior),
        kind=fit_line(kind[positive], labels[positive] == 1, weights[positive], prior=prior),
        measured=True,
    )
    return _with_threshold(found, found.apply(logits)[:, 2], positive, weights, precision)


def _with_threshold(
    calibration: Calibration,
    p_block: NDArray[np.float32],
    positive: NDArray[np.bool_],
    weights: NDArray[np.float64],
    precision: float,
) -> Calibration:
    values, right, all_of = _steps(p_block, positive)
    reached = np.flatnonzero(right >= precision * all_of)
    if len(reached):
        at = int(reached[-1])
    else:
        at = int(np.argmax([at_least(int(r), int(n)) for r, n in zip(right, all_of, strict=True)]))
    below = float(values[at + 1]) if at + 1 < len(values) else 0.0
    threshold = float(np.float32((float(values[at]) + below) / 2))  # as far from the rows outside as from those inside
    weigh = max(1, round(float(weights[p_block >= values[at]].sum())))
    return msgspec.structs.replace(
        calibration,
        threshold=threshold if below < threshold else float(values[at]),  # neighbours: nothing lies between them
        precision=float(right[at] / all_of[at]),
        precision_at_least=at_least(int(right[at] * weigh // all_of[at]), weigh),
        recall=float(right[at] / max(1, positive.sum())),
    )


def recall_at(p_block: NDArray[np.floating], positive: NDArray[np.bool_], precision: float = PRECISION) -> float:
    """The most that can be found at this precision on these very rows; 0 where no threshold reaches it."""
    if not positive.any():
        return 0.0
    _, right, all_of = _steps(p_block, positive)
    reached = np.flatnonzero(right >= precision * all_of)
    return float(right[reached[-1]] / positive.sum()) if len(reached) else 0.0


def at_least(right: int, of: int, confidence: float = CONFIDENCE) -> float:
    """The exact lower bound of a share of which `right` out of `of` were seen (Clopper and Pearson 1934)."""
    if right == 0:
        return 0.0
    if right == of:
        return float((1 - confidence) ** (1 / of))
    count = np.arange(right, of + 1)
    logs = np.array([math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) for k in count])
    low, high = 0.0, right / of
    for _ in range(_STEPS):  # halving: 2^-50
        middle = (low + high) / 2
        tail = float(np.exp(logs + count * math.log(middle) + (of - count) * math.log1p(-middle)).sum())
        low, high = (middle, high) if tail < 1 - confidence else (low, middle)
    return low


def weights_of(groups: NDArray[np.integer] | None, rows: int) -> NDArray[np.float64]:
    """What each row weighs; 1 where nothing is known of sites."""
    if groups is None:
        return np.ones(rows)
    _, at, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1 / (1 + ALIKE * (sizes[at] - 1)), np.float64)


def fit_line(
    log_odds: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64], *, prior: float
) -> Line:
    """The line under which `positive` is likeliest; `Line()` if all rows are of one kind."""
    right, wrong = float(weights[positive].sum()), float(weights[~positive].sum())
    if not right or not wrong:
        return Line()
    target = np.where(positive, (right + 1) / (right + 2), 1 / (wrong + 2))
    line = _descend(log_odds, target, weights, prior, free_scale=True)
    if not MIN_SCALE <= line[0] <= MAX_SCALE:  # the best among those that keep the order lies at the bound: convex
        bound = min(max(float(line[0]), MIN_SCALE), MAX_SCALE)
        line = _descend(log_odds, target, weights, prior, free_scale=False, scale=bound)
    return Line(scale=float(line[0]), offset=float(np.clip(line[1], -MAX_OFFSET, MAX_OFFSET)))


def _descend(
    z: NDArray[np.float64],
    target: NDArray[np.float64],
    weights: NDArray[np.float64],
    prior: float,
    *,
    free_scale: bool,
    scale: float = 1.0,
) -> NDArray[np.float64]:
    """Newton's method on a convex loss of two numbers, halved where a whole step would not help."""
    spread = max(float(z.std()), 1e-6)  # the prior is about probabilities, not about the unit of the logits
    pull = np.array([prior * spread**2, prior]) / 4  # curvature of that many rows at even odds
    middle = np.array([1.0, 0.0])

    def loss(at: NDArray[np.float64]) -> float:
        x = at[0] * z + at[1]
        return float((weights * (np.logaddexp(0, x) - target * x)).sum() + (pull * (at - middle) ** 2).sum() / 2)

    at = np.array([scale, 0.0])
    for _ in range(_STEPS):
        p = _sigmoid(at[0] * z + at[1])
        off, curve = weights * (p - target), weights * p * (1 - p)
        slope = np.array([(off * z).sum(), off.sum()]) + pull * (at - middle)
        bend = np.array([[(curve * z * z).sum(), (curve * z).sum()], [(curve * z).sum(), curve.sum()]])
        bend += np.diag(pull)
        step = np.linalg.solve(bend, slope) if free_scale else np.array([0.0, slope[1] / bend[1, 1]])
        before, size = loss(at), 1.0
        while loss(at - size * step) > before and size > 1e-6:
            size /= 2
        at = at - size * step
        if np.abs(size * step).max() < 1e-10:
            break
    return at


def _steps(
    scores: NDArray[np.floating], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.int64]]:
    """For each distinct score, highest first: how many rows to be found, and how many in all, have it or more."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order], dtype=np.int64)
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    return ranked[last], hits[last], (last + 1).astype(np.int64)


def log_odds(logits: Logits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of ad or tracker against benign, and of ad against tracker."""
    wide = np.asarray(logits, np.float64)
    if wide.ndim != 2 or wide.shape[1] != 3:
        raise LocalError(f"logits of shape {wide.shape} cannot be calibrated", why="three of each row are expected")
    if not np.isfinite(wide).all():
        raise LocalError("a score is not a number", why="the model or its input is damaged")
    return np.logaddexp(wide[:, 1], wide[:, 2]) - wide[:, 0], wide[:, 1] - wide[:, 2]


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(x / 2))  # never overflows
