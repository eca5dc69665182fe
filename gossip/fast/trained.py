"""Any problem of the simulator as one to compare rules on: its Trainer, a peer at a time, without JAX of our own.

simulate(Scenario(peers=8), rule=my_rule)           the toy problem of gossip/sim/toy.py
simulate(tasks=[...], model=..., rule="average")    tasks of one's own, trained as a node would
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gossip.fast.compare import run_rule
from gossip.fast.setting import Job, Outcome, Theta
from gossip.fast.study import study_of
from gossip.merging.pairwise import Rule
from gossip.sim.scenario import Scenario
from gossip.sim.toy import Trainer
from ledger.entry import VALUE_ONE
from ledger.errors import LocalError


class Trained:
    """gossip.fast.setting.Work over a Trainer. Everybody counts alike; all are judged as the trainer judges a model."""

    def __init__(self, trainer: Trainer, peers: int) -> None:
        self.layout = trainer.layout
        self.sizes = [1] * peers
        self._trainer = trainer

    def train(self, jobs: Sequence[Job]) -> list[Theta]:
        with np.errstate(over="ignore", invalid="ignore"):  # a rule that diverges is a finding, not a fault
            return [np.asarray(self._trainer.train(theta, peer, number)[0]) for peer, number, theta in jobs]

    def accuracies(self, models: NDArray[np.float32]) -> NDArray[np.floating]:
        with np.errstate(over="ignore", invalid="ignore"):
            found = [self._trainer.accuracy(theta) for theta in models]
        if any(value is None for value in found):
            raise LocalError("nobody can tell how good a model is", next_step="give the tasks rows to be judged by")
        return np.array(found, dtype=np.float64)


def simulate_rule(scenario: Scenario, trainer: Trainer, rule: str | Rule) -> Outcome:
    """What came of a rule under a scenario of whole machines. LocalError if it asks for what only machines have."""
    setting = replace(study_of(scenario, "this scenario").setting, norm0=scenario.norm0 / VALUE_ONE)
    return run_rule(rule, setting, Trained(trainer, scenario.peers))
