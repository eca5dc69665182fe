"""The weights of docs/fold.md for many origins at once: rows of all peers as arrays in place of objects.

The same integers as ledger/weights.py, to the last bit (tests/fast/test_weights.py holds one against the other), for
swarms whose members are all there from the start and stand alone. Where a peer meets 30 others both take about as
long; at 1,000 this is ten times faster. It refuses to know logs, and who told whom.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ledger.entry import GRID_ONE, FoldConstants
from ledger.errors import LocalError
from ledger.weights import MAX_ACTIVE

Counts = NDArray[np.int64]


class Weights:
    """The rows of all origins, each after its last update."""

    def __init__(self, constants: FoldConstants, peers: int) -> None:
        if peers > MAX_ACTIVE:
            raise LocalError(
                f"{peers} peers publish", next_step=f"at most {MAX_ACTIVE} do; for more there is the crowd (crowd.py)"
            )
        self.constants = constants
        self._seen = np.zeros((peers, peers), dtype=np.int64)
        self._credited = np.zeros((peers, peers), dtype=np.int64)
        self._grown_at = np.zeros((peers, peers), dtype=np.int64)
        self._progress = [0] * peers
        self._spent = [0] * peers
        self._everybody = np.ones((peers, peers), dtype=bool)
        np.fill_diagonal(self._everybody, False)

    def weigh(self, origin: int, updates: Counts, norms: Counts, unviewed: int, norm: int) -> int:
        """W of the next update of `origin`, 0..65536; its row moves on.

        `updates`: of each peer, as the origin has seen. `norms`: each one's latest, norm0 if it has none; grid 2^-24.
        `unviewed`: the weight of what others published that it has seen but not trained from. `norm`: its delta's.
        """
        constants = self.constants
        others = self._everybody[origin]
        counts = updates + 1  # the admission is one
        seen, credited, grown_at = self._seen[origin], self._credited[origin], self._grown_at[origin]
        progress, spent = self._progress[origin], self._spent[origin]

        active = ((counts > seen) | (grown_at >= progress - constants.window)) & others
        known, rest = int(active.sum()), constants.panel - 1
        if known > rest:
            active &= counts > 1
            known = max(int(active.sum()), rest)
        new, measure = int((active & (counts > credited)).sum()), min(known, rest)
        if new and 3 * new >= measure:
            gained = min(GRID_ONE, GRID_ONE * new // measure)
            progress += gained
            spent = max(0, spent - (constants.leak * gained >> 16))
            credited[:] = counts
        grown_at[counts > seen] = progress
        seen[:] = counts

        quota = GRID_ONE
        if int(np.max(counts, where=others, initial=0)) > 1:
            if spent > constants.burst:
                quota = (constants.burst * constants.burst << 16) // (spent * spent)
            spent += quota
        self._progress[origin], self._spent[origin] = progress, spent

        table = constants.staleness
        staleness = table[min(4 * unviewed // constants.eta, len(table) - 1)]
        heard = [norm, *norms[active].tolist()]
        if len(heard) % 2 == 0:
            heard.append(constants.norm0)
        limit = constants.kappa * sorted(heard)[len(heard) // 2]
        numerator, denominator = constants.eta * staleness * quota, (1 + known) << 32
        if norm << 16 > limit:
            numerator, denominator = numerator * limit, denominator * (norm << 16)
        return min(GRID_ONE, numerator // denominator)
