"""All that a machine begins with, but for its key and what its store holds: a value that can be kept, and used again.

It refuses to know where any of it comes from (gossip/node/shell.py, or a recording).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from gossip.config import PeerConfig
from gossip.peer import Book, Peer
from gossip.peer.book import Shelf
from ledger.entry import Hash, PeerId
from ledger.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class Start:
    """How a machine begins."""

    config: PeerConfig
    luck: int  # seed of its chance, 64 bits
    mark: tuple[int, Hash] | None = None  # size and root of the own log when it was last signed

    def machine(self, key: PrivateKey, own: PeerId, book: Book, shelf: Shelf) -> Peer:
        """The machine itself."""
        luck = random.Random(self.luck)
        return Peer(self.config, key=key, self_id=own, book=book, shelf=shelf, luck=luck, mark=self.mark)
