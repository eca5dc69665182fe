"""What a model gives away about the rows it was trained on: measured, not promised.

    attack   the loss-threshold attack of Yeom et al. (2018): "its loss is low, so it was trained on"  --> AUC
    audit    canaries, one run (Steinke et al. 2023): rows with wrong labels, each put in or left out by a coin, then
             guessed from the model --> a lower bound on epsilon that a true claim is not below

An AUC of 0.5 is a coin. What is held out differs from what was trained on by more than membership (other sites), so
the AUC here is rather too high than too low; a cleverer attack may do better than either. It refuses to know files and
peers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gossip.training.blocks import Block, Spool, join
from gossip.training.budget import Plan, epsilon_of
from gossip.training.scoring import Theta, probabilities
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError

CANARIES: Final = 400
SIGNIFICANCE: Final = 0.05  # the bound holds in 19 of 20 audits of a true claim
_LEAST: Final = 1e-12  # a probability that numpy rounds to 0
_FALSE_ALARMS: Final = 0.01
_ROWS_AT_ONCE: Final = 1 << 14  # of members: their losses alone stay in memory


@dataclass(frozen=True, slots=True)
class Attack:
    """How well losses tell members from others. `caught` is the share of members found at 1% false alarms."""

    members: int
    others: int
    auc: float
    caught: float


def attack(spec: ModelSpec, theta: Theta, members: Block, others: Block) -> Attack:
    """LocalError if there is nobody to tell apart."""
    if not len(members) or not len(others):
        raise LocalError(
            "there is nothing to tell apart", why=f"{len(members)} rows trained on, {len(others)} held out",
            next_step="give more data, or name a held-out file with --validation",
        )  # fmt: skip
    return compare(-losses(spec, theta, members), -losses(spec, theta, others))


def attack_all(spec: ModelSpec, theta: Theta, members: Spool, others: Block) -> Attack:
    """The attack on rows that lie on disk: as `attack`, in 8 bytes of memory a row."""
    ends = range(0, len(members), _ROWS_AT_ONCE)
    found = [losses(spec, theta, members.read(at, min(at + _ROWS_AT_ONCE, len(members)))) for at in ends]
    return compare(-np.concatenate(found), -losses(spec, theta, others))


def compare(members: NDArray[np.float64], others: NDArray[np.float64]) -> Attack:
    """The attack on scores that are higher for members. Ties count half."""
    below = np.searchsorted(np.sort(others), members, side="left")
    upto = np.searchsorted(np.sort(others), members, side="right")
    auc = float((below + upto).sum() / (2 * len(members) * len(others)))
    allowed = int(_FALSE_ALARMS * len(others))
    threshold = np.sort(others)[::-1][allowed] if allowed < len(others) else -np.inf
    return Attack(len(members), len(others), auc, float((members > threshold).mean()))


def losses(spec: ModelSpec, theta: Theta, rows: Block) -> NDArray[np.float64]:
    """-log of the probability of each row's label."""
    found = probabilities(spec, theta, rows)[np.arange(len(rows)), rows.labels]
    return -np.log(np.maximum(found.astype(np.float64), _LEAST))


@dataclass(frozen=True, slots=True)
class Audit:
    """`bound` is what the canaries show; the account says `claimed` of as many steps, and is wrong if that is less."""

    canaries: int
    rounds: int
    claimed: float
    bound: float

    @property
    def holds(self) -> bool:
        return self.bound <= self.claimed


def audit(
    spec: ModelSpec,
    rows: Block,
    plan: Plan,
    start: Theta,
    *,
    rounds: int,
    luck: np.random.Generator,
    on_round: Callable[[int], None] = lambda done: None,
) -> Audit:
    """Train afresh on `rows` and canaries as a private peer would, for so many rounds, and attack what comes out.

    Nothing of it is published, and no budget is charged.
    """
    from jax_privacy.auditing import CanaryScoreAuditor  # the extra `private`

    from gossip.training.private import PrivateLearner

    chosen = luck.choice(len(rows), min(CANARIES, len(rows)), replace=False)
    canaries = _mislabelled(rows, np.sort(chosen), len(spec.classes), luck)
    inside = luck.random(len(canaries)) < 0.5
    if inside.all() or not inside.any():
        raise LocalError("too few rows to audit with", why=f"{len(canaries)} canaries", next_step="give more data")
    learner = PrivateLearner(spec, join([rows, canaries.only(inside)]), plan)
    theta = start
    for done in range(rounds):
        theta = learner.round(theta, learner.draw())
        on_round(done + 1)
    scores = -losses(spec, theta, canaries)
    found: Any = CanaryScoreAuditor(scores[inside], scores[~inside])
    delta = 1 / plan.claim.delta
    claimed = epsilon_of([(plan.rate, plan.noise, rounds * spec.local_steps)], plan.claim.delta)
    return Audit(len(canaries), rounds, claimed, float(found.epsilon_one_run(SIGNIFICANCE, delta)))


def _mislabelled(rows: Block, chosen: NDArray[np.int64], classes: int, luck: np.random.Generator) -> Block:
    """These rows with another label each: what no model knows unless it was shown."""
    picked = rows.only(np.isin(np.arange(len(rows)), chosen))
    moved = (picked.labels + luck.integers(1, classes, len(picked))) % classes
    return replace(picked, labels=moved.astype(np.uint8))
