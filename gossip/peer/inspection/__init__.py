"""What a peer does about the data-quality policy, beyond what everybody decides alike (see inspection.py)."""

from gossip.peer.inspection.inspection import Inspection

__all__ = ["Inspection"]
