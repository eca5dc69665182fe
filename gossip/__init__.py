"""A swarm of peers that co-train one model with no server, and a ledger from which anyone can recompute it.

    from gossip import Task, Examples     your own data
    from gossip import Node, NodeConfig   a real peer
    from gossip import simulate           a whole swarm in virtual time

Names load on first use: the command line must not pay for numpy, let alone for jax.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gossip.node import Node, NodeConfig
    from gossip.sim import Scenario, SimReport, simulate
    from gossip.training.task import Examples, Task

_HOMES: Final = {
    "Node": "gossip.node",
    "NodeConfig": "gossip.node",
    "Task": "gossip.training.task",
    "Examples": "gossip.training.task",
    "Scenario": "gossip.sim",
    "SimReport": "gossip.sim",
    "simulate": "gossip.sim",
}

__all__ = ["Examples", "Node", "NodeConfig", "Scenario", "SimReport", "Task", "simulate"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gossip' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
