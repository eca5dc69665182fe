"""The algorithm alone, no protocol: who learns what, by which rule, from whose data (docs/comparison.md).

    Setting, Work --compare(rules)--> Outcome of each        32 peers, asynchronous, coming and going (compare.py)
    Crowd --run_crowd--> Outcome                             100,000 linear peers, in windows of time (crowd.py)

A simulated swarm of gossip.sim runs the whole peer machine: signatures, logs, links. Here nothing is signed and nobody
lies, so a thousand rounds take seconds. JAX is loaded by learner.py and crowd.py alone; import those when needed.
"""

from gossip.fast.compare import ALL_RULES, compare, run_rule
from gossip.fast.setting import Outcome, Sample, Setting, Work

__all__ = ["ALL_RULES", "Outcome", "Sample", "Setting", "Work", "compare", "run_rule"]
