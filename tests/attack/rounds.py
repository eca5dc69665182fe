"""The fold alone, in rounds: a second's work for what takes the real machines a minute.

    all train from one model -> deltas -> weights (ledger/weights.py) -> sum -> votes on own rows -> a quorum? out

What is real: digits, deltas in the published form, hostile programs, weights, the measure of verdicts and their quorum.
What is not: messages, time, signatures, views of different age; the whole sum is in floats; a verdict takes LAG rounds,
all twelve honest peers vote, and a condemned peer is out for good. It is here to tune by and to see the whole table
soon; `make attack` prints the machines' own figures beside it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

import msgspec
import numpy as np

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import ErrorFeedback
from gossip.peer.inspection.holdout import BATCH, FIRST
from gossip.quality.leaning import loss_milli
from gossip.setup import fold_constants
from ledger.condemned import quorum
from ledger.entry import GRID_ONE, FoldConstants
from ledger.weights import START, Row, Sight, weigh
from tests.attack import setting
from tests.attack.hostile import PROGRAMS, dense, spoken
from tests.attack.hostile import Sight as HostileSight
from tests.attack.setting import ETA, LIMIT_MILLI, PEERS, Outcome
from tests.attack.vectors import Vector

LAG: Final = 8  # rounds, from the last update of a batch until a quorum has taken all of that peer's out


class Rounds:
    """One swarm. `run` is the door."""

    def __init__(
        self, attack: str, split: str, seed: int, *, judged: bool, constants: dict[str, int] | None = None,
        hostile: tuple[int, ...] | None = None, burst: int = 1,
    ) -> None:  # fmt: skip
        self.arithmetic = NumpyArithmetic()
        usual = fold_constants(eta=ETA, norm0=setting.NORM0)
        self.constants: FoldConstants = msgspec.structs.replace(usual, **{"kappa": setting.KAPPA, **(constants or {})})
        self.attack, self.seed, self.judged, self.burst = attack, seed, judged, burst
        self.hostile = setting.hostile_of(attack) if hostile is None else hostile
        self.digits = setting.digits(attack, split, seed)
        start = self.arithmetic.start(self.digits.layout, setting.start_seed(seed))
        self.theta = self.arithmetic.to_float32(start).astype(np.float64)
        self.feedback = [ErrorFeedback(len(self.theta), setting.DENSITY) for _ in range(PEERS)]
        self.latest: dict[int, Vector] = {}
        self.published: list[list[tuple[Vector, int, float]]] = [[] for _ in range(PEERS)]  # delta, weight, alone
        self.rows: list[Row] = [START] * PEERS
        self.norms = [setting.NORM0] * PEERS
        self.out: set[int] = set()
        self.votes: dict[int, int] = {}  # the most that one batch of a peer got
        self.number = 0

    def run(self, rounds: int = setting.ROUNDS) -> Outcome:
        ends = set(accumulate(FIRST)) | {BATCH * number for number in range(1, rounds // BATCH + 1)}
        due: dict[int, list[int]] = {}
        for number in range(1, rounds + 1):
            self.one()
            for peer in range(PEERS) if self.judged and number in ends else ():
                if self.are_against(peer, max(size for size in (*FIRST, BATCH) if size <= number)):
                    due.setdefault(number + LAG, []).append(peer)
            for peer in due.pop(number, []):
                self.condemn(peer)
        out = sum(peer in self.out for peer in self.hostile)
        lost = sum(len(self.published[peer]) for peer in self.out - set(self.hostile))
        return Outcome(self.digits.accuracy(self.theta.astype(np.float32)), out, lost)

    def one(self) -> None:
        """A round: everybody sees what everybody published in the one before."""
        theta = self.theta.astype(np.float32)
        counts = [1 + len(mine) for mine in self.published]
        norms = list(self.norms)
        new: list[tuple[int, Vector]] = []
        for peer in range(PEERS):
            step = self.digits.train(theta, peer, self.number)[0] - theta
            for _ in range(self.burst if peer in self.hostile else 1):
                blob = (
                    self.hostile_blob(theta, step, peer) if peer in self.hostile else self.feedback[peer].compress(step)
                )
                delta = self.arithmetic.decode(blob, len(theta))
                others = tuple(other for other in range(PEERS) if other != peer)
                sight = Sight(
                    tuple(f"{other:02}" for other in others), tuple(counts[other] for other in others),
                    tuple(norms[other] for other in others), 0,
                )  # fmt: skip
                norm = self.arithmetic.norm(delta)
                weighed = weigh(self.constants, self.rows[peer], sight, norm)
                self.rows[peer], self.norms[peer] = weighed.row, norm
                alone = min(GRID_ONE, weighed.weight * weighed.active * GRID_ONE // self.constants.eta) / GRID_ONE
                vector = dense(delta)
                self.published[peer].append((vector, weighed.weight, alone))
                if peer not in self.out:
                    self.theta += vector * (weighed.weight / GRID_ONE)
                new.append((peer, vector))
        self.latest.update(new)
        self.number += 1

    def hostile_blob(self, theta: Vector, step: Vector, peer: int) -> bytes:
        honest = [self.latest[other] for other in range(PEERS) if other not in self.hostile and other in self.latest]
        sight = HostileSight(
            theta=theta, own=step, honest=np.array(honest) if honest else step[np.newaxis],
            wanted=setting.wanted(self.seed), friends=len(self.hostile), peers=PEERS, eta=ETA,
            luck=np.random.default_rng([self.seed, peer, self.number]),
        )  # fmt: skip
        return spoken(PROGRAMS[self.attack], sight)

    def are_against(self, peer: int, size: int) -> bool:
        """Whether a quorum finds the newest updates of a peer harmful."""
        batch = self.published[peer][-size:]
        mean = sum((vector * alone for vector, _, alone in batch), start=np.zeros_like(self.theta)) / len(batch)
        models = [(self.theta + sign * mean).astype(np.float32) for sign in (1, -1)]
        claimed = self.digits.labels(peer)
        votes = 0
        for judge in range(PEERS):
            if judge == peer or judge in self.hostile:
                continue
            (further, labels), (back, _) = (self.digits.losses(model, judge) for model in models)
            found = loss_milli(further, back, labels, claimed)
            votes += found is not None and found > LIMIT_MILLI
        self.votes[peer] = max(votes, self.votes.get(peer, 0))
        return votes >= quorum(PEERS)

    def condemn(self, peer: int) -> None:
        """All that it has published leaves the sum, and what it will publish does not get in."""
        if peer not in self.out:
            self.out.add(peer)
            for vector, weight, _ in self.published[peer]:
                self.theta -= vector * (weight / GRID_ONE)
