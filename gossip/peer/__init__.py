"""The peer machine: what one member does, without a socket, a clock or a disk (peer.py has the drawing)."""

from gossip.peer.book import Book, PeerArithmetic, Shelf, restore
from gossip.peer.peer import Peer
from gossip.peer.status import LinkStatus, PeerStatus, TailLine

__all__ = ["Book", "LinkStatus", "Peer", "PeerArithmetic", "PeerStatus", "Shelf", "TailLine", "restore"]
