"""Updates of one log, as an author makes them: canonical bytes, the log's tree, and a signed checkpoint for each.

The shortest that a ledger takes: nothing is checked, for nobody is there to be wrong. Each entry cites nineteen other
logs, as in a swarm of twenty of which all have grown.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from ledger.canonical import encode_entry
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import FORMAT_VERSION, Scores, Update
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash

OTHERS: Final = 19
SWARM: Final = "5a" * 32
PEER: Final = "a5" * 32
BEFORE: Final = (b"where its enrol entry would be", b"where its data entry would be")


class Author:
    """The writer of one log."""

    def __init__(self) -> None:
        self._key = PrivateKey.from_seed(b"b" * 32)
        self._origin = origin(SWARM, PEER)
        self._tree = Tree(map(leaf_hash, BEFORE))
        self._prev = sha256(BEFORE[-1]).hexdigest()

    @property
    def public(self) -> bytes:
        return self._key.public

    def entry(self, blob: bytes) -> bytes:
        """The canonical bytes of the next update."""
        seq = self._tree.size
        seen = [(slot, seq + 17 * slot) for slot in range(1, 1 + OTHERS)]
        update = Update(
            v=FORMAT_VERSION, swarm=SWARM, seq=seq, prev=self._prev, time=1_763_000_000 + seq, meets=[], seen=seen,
            heads="0f" * 32, delta=sha256(blob).hexdigest(), bytes=len(blob), codec="gossip-delta/1", view=[], data=1,
            steps=64, examples=8_192, scores=Scores(examples=1_000, tp=400, fp=20, fn=30), norm=1 << 22, weight=40_000,
        )  # fmt: skip
        return encode_entry(update)

    def sign(self, data: bytes) -> bytes:
        """Take the entry into the log, and sign what the log is then."""
        self._prev = sha256(data).hexdigest()
        self._tree.append(leaf_hash(data))
        return sign(Checkpoint(self._origin, self._tree.size, self._tree.root()), self._key)
