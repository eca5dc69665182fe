"""A peer's own scorer: the swarm's model and the one of own data alone, mixed as own held-out sites say.

    mine  =  (1 - share) * swarm  +  share * alone          logits; of a linear model the weights, which is the same

Why: a model of everybody's data can be worse for somebody (one region in 14 went from .946 to .901), and one's own
data are few. `share` is chosen by log loss over own held-out rows, drawn towards .2 by as much as 60 rows are worth at
the other end of the scale: with some hundred rows of a few sites, what fits them best is luck. Over 14 regions with at
most 1,500 requests each and 3 seeds, mean PR-AUC on held-out sites: alone .873, swarm .948, mine .947; worst against
alone: swarm -.039, mine -.001; left free, the choice was as good on average and -.011 at worst.

What is said of the mix is said honestly: own held-out sites are cut in two halves, the share (and the threshold) is
chosen on one and judged on the other, both ways. Should the mix come out more than .01 below alone even so, alone it
is: `share` 1. A calibration of all held-out rows goes with it (calibration.py).

`own list` labels: rows outside the owner's list count as benign here, as nobody knows better. Choosing a share and
comparing models survive that, since what is missing is missing for all of them; precision is understated.

Rules kept here: values in, values out, no luck (the bootstrap's seed is a constant), numpy only. It refuses to know
files, rounds and peers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from gossip.training.calibration import Against, Calibration, calibrate, log_odds, recall_at
from gossip.training.metrics import average_precision

PRIOR_SHARE: Final = 0.2  # .1 to .3 alike: means of .947 to .944, none worse than alone by .01
PRIOR_ROWS: Final = 60.0
SHARES: Final = np.linspace(0, 1, 21)
TOLERANCE: Final = 0.01  # of PR-AUC: below alone by more than that, alone it is
MIN_SITES: Final = 5  # fewer say nothing of how sites differ, so no interval is given
RESAMPLES: Final = 400
_SEED: Final = 7

Logits = NDArray[np.floating]  # (rows, 3): benign, ad, tracker
_Share = Annotated[float, Meta(ge=0, le=1)]
_Count = Annotated[int, Meta(ge=0, lt=1 << 53)]


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model on own held-out rows."""

    pr_auc: _Share
    low: _Share | None  # 95% of bootstraps over sites lie within; None with fewer than MIN_SITES
    high: _Share | None
    f1: _Share  # at a threshold chosen on the other half
    recall: _Share  # the most that can be found at 99% precision on these rows
    new_pr_auc: _Share | None  # on requests to third parties that no own training row knows; None if none is positive


class Gains(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the swarm gave."""

    alone: Figures | None  # None: there is no model of own data alone
    swarm: Figures
    mine: Figures
    rows: _Count
    positives: _Count
    sites: _Count
    new_rows: _Count
    new_positives: _Count
    against: Against


class Personal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    share: _Share  # of the alone model
    calibration: Calibration  # of the mix
    gains: Gains


@dataclass(frozen=True, slots=True)
class Judges:
    """Own held-out rows, without their features."""

    labels: NDArray[np.integer]  # 0 benign, 1 ad, 2 tracker
    sites: NDArray[np.integer]
    new: NDArray[np.bool_]


def personal(swarm: Logits, alone: Logits | None, rows: Judges, against: Against = "labels") -> Personal:
    """A peer's own scorer from what both models say of its held-out rows."""
    half = halves(rows.sites)

    def fitted(chosen: NDArray[np.bool_]) -> float:
        return 0.0 if alone is None else choose_share(swarm[chosen], alone[chosen], rows.labels[chosen])

    crossed = np.array(swarm, np.float64)
    if alone is not None:
        for here in (half, ~half):
            crossed[here] = blend(swarm[here], alone[here], fitted(~here))
    figures = _judge_of(rows, half, against)
    of_swarm, of_mine = figures(swarm), figures(crossed)
    of_alone = figures(alone) if alone is not None else None
    share = fitted(np.ones(len(half), np.bool_))
    if of_alone is not None and of_mine.pr_auc < of_alone.pr_auc - TOLERANCE:
        share, of_mine = 1.0, of_alone
    mixed = swarm if alone is None else blend(swarm, alone, share)
    positive = rows.labels != 0
    return Personal(
        share,
        calibrate(mixed, rows.labels, groups=rows.sites, against=against),
        Gains(
            alone=of_alone, swarm=of_swarm, mine=of_mine, rows=len(positive), positives=int(positive.sum()),
            sites=len(np.unique(rows.sites)), new_rows=int(rows.new.sum()),
            new_positives=int((rows.new & positive).sum()), against=against,
        ),
    )  # fmt: skip


def blend(swarm: Logits, alone: Logits, share: float) -> NDArray[np.float64]:
    """Of logits, or of the weights of a linear model."""
    return (1 - share) * np.asarray(swarm, np.float64) + share * np.asarray(alone, np.float64)


def choose_share(swarm: Logits, alone: Logits, labels: NDArray[np.integer]) -> float:
    """The share under which `labels` are likeliest, drawn towards PRIOR_SHARE. Ties: the smaller one."""
    sign = np.where(labels != 0, -1, 1)
    losses = [
        float(np.logaddexp(0, sign * log_odds(blend(swarm, alone, share))[0]).sum())
        + PRIOR_ROWS * (share - PRIOR_SHARE) ** 2
        for share in SHARES.tolist()
    ]
    return float(SHARES[int(np.argmin(losses))])


def halves(sites: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Rows of the first half: whole sites, dealt from the largest on to whichever half has fewer rows."""
    found, at, sizes = np.unique(sites, return_inverse=True, return_counts=True)
    first = np.zeros(len(found), np.bool_)
    balance = 0
    for site in np.argsort(-sizes, kind="stable"):
        first[site] = balance <= 0
        balance += int(sizes[site]) if first[site] else -int(sizes[site])
    return np.asarray(first[at], np.bool_)


def _judge_of(rows: Judges, half: NDArray[np.bool_], against: Against) -> Callable[[Logits], Figures]:
    positive = rows.labels != 0
    draws = _draws(rows.sites)

    def judge(logits: Logits) -> Figures:
        score = log_odds(logits)[0]
        found = np.zeros(len(score), np.bool_)
        for here in (half, ~half):
            if here.any():
                line = calibrate(logits[~here], rows.labels[~here], groups=rows.sites[~here], against=against)
                found[here] = line.apply(logits[here])[:, 2] >= line.threshold
        right = int((found & positive).sum())
        low, high = _interval(score, positive, rows.sites, draws)
        fresh = positive & rows.new
        return Figures(
            pr_auc=average_precision(score, positive),
            low=low,
            high=high,
            f1=2 * right / max(1, int(found.sum()) + int(positive.sum())),
            recall=recall_at(score, positive),
            new_pr_auc=average_precision(score[rows.new], positive[rows.new]) if fresh.any() else None,
        )

    return judge


def _draws(sites: NDArray[np.integer]) -> NDArray[np.int64] | None:
    """How often each site is drawn, in each resample: (resamples, sites). The same for all models, so they compare."""
    count = len(np.unique(sites))
    if count < MIN_SITES:
        return None
    return np.random.default_rng(_SEED).multinomial(count, [1 / count] * count, size=RESAMPLES)


def _interval(
    score: NDArray[np.float64],
    positive: NDArray[np.bool_],
    sites: NDArray[np.integer],
    draws: NDArray[np.int64] | None,
) -> tuple[float | None, float | None]:
    if draws is None:
        return None, None
    order = np.argsort(-score, kind="stable")
    _, at = np.unique(sites, return_inverse=True)
    ranked, place, hit = score[order], at[order], positive[order]
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    areas = []
    for times in draws[:, place]:  # average_precision, each row as often as its site was drawn
        hits, rows = np.cumsum(times * hit)[last], np.cumsum(times)[last]
        if hits[-1]:
            precision = hits / np.maximum(rows, 1)
            areas.append(float((np.diff(hits, prepend=0) * precision).sum() / hits[-1]))
    if not areas:
        return None, None
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(min(high, 1.0))
