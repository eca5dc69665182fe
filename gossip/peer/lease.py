"""Who gets which shard: a function of the data set and of those who share it, the same for all of them.

    shard i of the data set R belongs to the peer with the lowest SHA-256("gossip/lease/1\\n" || R || i || peer)

So nobody chooses, everybody named can check what it is told, and when one leaves only its own shards move (rendezvous
hashing, Thaler and Ravishankar 1998). It refuses to know who is there: lending.py does.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from ledger.entry import Hash, PeerId
from ledger.opening import SHARDS


def holder(root: Hash, shard: int, among: Sequence[PeerId]) -> PeerId:
    """Whose a shard is; "" if nobody shares."""
    begin = b"gossip/lease/1\n" + bytes.fromhex(root) + bytes([shard])
    return min(among, key=lambda peer: sha256(begin + bytes.fromhex(peer)).digest(), default="")


def shards_of(root: Hash, peer: PeerId, among: Sequence[PeerId]) -> tuple[int, ...]:
    """The numbers of a peer's shards; they rise."""
    return tuple(number for number in range(SHARDS) if holder(root, number, among) == peer)
