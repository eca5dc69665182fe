"""The message of a lender, as bytes: what of its public data is whose; codec.py has all others, and the rules.

   19 Lease      root 32 | epoch u64 | count u8 | count x peer 32 | count u8 | count x (number u8, hash 32, bytes u32)

"Of 5d5d... nothing is lent any more, since 1,790,000,000 s" is

    13 5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d 803bb16a00000000 00 00

Rules kept here: those of codec.py; peers and numbers strictly rise, and no shard is longer than one can be. It refuses
to know who may have a shard (gossip/egress.py) and whether it is worth anything.
"""

from __future__ import annotations

import struct
from typing import Final

from gossip.wire.frames import MAX_BORROWERS, MAX_TIME, Lease
from gossip.wire.reader import Reader, require
from ledger.entry import Hash, PeerId
from ledger.opening import MAX_SHARD_BYTES, SHARDS

TAG: Final = 19


def spelled(frame: Lease) -> bytes:
    """The bytes of a frame; codec.encode sees to it that they read back."""
    parts = [b"\x13", bytes.fromhex(frame.root), struct.pack("<QB", frame.epoch, len(frame.among))]
    parts += [bytes.fromhex(peer) for peer in frame.among]
    parts.append(struct.pack("<B", len(frame.shards)))
    for number, digest, size_bytes in frame.shards:
        parts += [struct.pack("<B", number), bytes.fromhex(digest), struct.pack("<I", size_bytes)]
    return b"".join(parts)


def read(reader: Reader) -> Lease:
    """What stands behind TAG. RemoteError on anything but the one spelling."""
    root, epoch, count = reader.hash(), reader.number("<Q"), reader.number("<B")
    require(epoch <= MAX_TIME, "a lease is from beyond all time")
    require(count <= MAX_BORROWERS, "a lease is among too many")
    among: list[PeerId] = []
    for _ in range(count):
        peer = reader.hash()
        require(not among or peer > among[-1], "who shares a lease is out of order")
        among.append(peer)
    count = reader.number("<B")
    require(count <= SHARDS and (count == 0 or bool(among)), "a lease is of more shards than there are, or of nobody")
    shards: list[tuple[int, Hash, int]] = []
    for _ in range(count):
        shard = (reader.number("<B"), reader.hash(), reader.number("<I"))
        require(shard[0] < SHARDS and 1 <= shard[2] <= MAX_SHARD_BYTES, "a shard is none, empty or too long")
        require(not shards or shard[0] > shards[-1][0], "the shards of a lease are out of order")
        shards.append(shard)
    return Lease(root, epoch, tuple(among), tuple(shards))
