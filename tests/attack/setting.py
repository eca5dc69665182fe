"""The setting of every figure of `make attack`: who is in the swarm, how it learns, and what its policy says.

Plain values, and the model that a replacing peer would like to see. It refuses to know how a swarm is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Final

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.setup import fold_constants
from gossip.sim.toy import Weights
from ledger.entry import GRID_ONE
from tests.attack.digits import Digits

PEERS: Final = 16
HOSTILE: Final = (12, 13, 14, 15)  # a quarter; the founder is honest
ROUNDS: Final = 30
ROUND_S: Final = 6.0  # of virtual time: a verdict is said at most every 15 s
ETA: Final = 1.5
DENSITY: Final = 0.1  # of the honest; a hostile delta is dense
NORM0: Final = 1 << 23  # 0.5, about a first round
KAPPA: Final = fold_constants(eta=ETA, norm0=NORM0).kappa  # the clip, as in every swarm
CHANCE: Final = 0.15  # a tenth, and luck
CONTROL_GAP: Final = 0.20  # that a plain mean must lose more than clip and quota do, under the same attack: ten times
# what an attack may cost with verdicts. A kit that sees less than that between a fold and none at all sees nothing.
SEEDS: Final = (2, 3, 4)  # not those by which limit, measure and early batches were chosen: these were 0 and 1
SPLITS: Final[Mapping[str, float | None]] = {"IID": None, "Dirichlet 1.0": 1.0, "Dirichlet 0.3": 0.3}
LIMIT_MILLI: Final = 50
OPEN: Final = "policy = 1\n"
JUDGED: Final = f"{OPEN}[holdout.loss_milli]\nmax = {LIMIT_MILLI}\n"
PLAIN_MEAN: Final = {"kappa": 1024 * GRID_ONE, "burst": 1024 * GRID_ONE}  # nothing is clipped, nothing has a quota


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a swarm."""

    accuracy: float
    hostile_out: int = 0  # hostile peers of whom no update counts at the end
    innocent: int = 0  # updates of honest peers that do not count
    out_from: tuple[int, ...] = ()  # of hostile peers, in what round the first of their updates left the model


def hostile_of(attack: str) -> tuple[int, ...]:
    """Who attacks; nobody if it is ""."""
    return HOSTILE if attack else ()


def digits(attack: str, split: str, seed: int) -> Digits:
    return Digits(PEERS, SPLITS[split], seed, HOSTILE if attack == "label flip" else ())


def start_seed(seed: int) -> str:
    return sha256(f"start {seed}".encode()).hexdigest()


@cache
def wanted(seed: int) -> Weights:
    """A model that takes every y for 9 - y: what a replacing peer works for."""
    liar = Digits(1, None, seed, (0,))
    theta = NumpyArithmetic().to_float32(NumpyArithmetic().start(liar.layout, start_seed(seed + 1000)))
    for number in range(20):
        theta = liar.train(theta, 0, number)[0]
    return theta
