"""The real node: the peer machine with real links, a real trainer and a real store around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gossip.node.config import NodeConfig

if TYPE_CHECKING:
    from gossip.node.shell import Node

__all__ = ["Node", "NodeConfig"]


def __getattr__(name: str) -> Any:
    """`Node` is imported when it is asked for: with all that it needs half a second, beside which jax can load."""
    if name != "Node":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gossip.node.shell import Node

    return Node
