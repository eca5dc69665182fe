"""Whole swarms in virtual time (swarm.py): `simulate(load_scenario("churn", seed=7))`."""

from gossip.sim.report import Broken, Sample, SimReport
from gossip.sim.scenario import BadDisk, Crash, Cut, NewKeyAt, NewPolicyAt, Scenario, Twin
from gossip.sim.scenario_file import about_scenario, load_scenario, scenario_names
from gossip.sim.simulating import simulate
from gossip.sim.swarm import SimSwarm
from gossip.sim.toy import ToyTrainer, Trainer

__all__ = [
    "BadDisk", "Broken", "Crash", "Cut", "NewKeyAt", "NewPolicyAt", "Sample", "Scenario", "SimReport", "SimSwarm",
    "ToyTrainer", "Trainer", "Twin", "about_scenario", "load_scenario", "scenario_names", "simulate",
]  # fmt: skip
