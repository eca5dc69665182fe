"""The real node: the peer machine with real links, a real trainer and a real store around it."""

from gossip.node.config import NodeConfig
from gossip.node.shell import Node

__all__ = ["Node", "NodeConfig"]
