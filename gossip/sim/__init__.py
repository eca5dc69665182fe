"""Whole swarms in virtual time (swarm.py): `simulate(Scenario(peers=20, loss=0.1, churn=0.1))`."""

from gossip.sim.report import Crash, Cut, NewKeyAt, NewPolicyAt, Scenario, SimReport, Twin
from gossip.sim.swarm import SimSwarm, simulate
from gossip.sim.toy import ToyTrainer, Trainer

__all__ = [
    "Crash", "Cut", "NewKeyAt", "NewPolicyAt", "Scenario", "SimReport", "SimSwarm", "ToyTrainer", "Trainer", "Twin",
    "simulate",
]  # fmt: skip
