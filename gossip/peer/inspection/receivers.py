"""Who looks at an entry: three members, the same three for all who know the same members.

    receivers(author, seq, members)     the 3 with the smallest SHA-256(label || author || u64 seq || member)

Why three: if every member that receives an update said what it thinks of it, the ledger would grow with the square of
the swarm. The others look when one of the three has found something (concurring.py).

Why not the hash of the entry: its author chooses the bytes, and would try times and file names until three friends of
its own came out. Here it can only choose the place in its log, and each try is an entry that all can see.

It refuses to know what is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from ledger.entry import PeerId

RECEIVERS: Final = 3
RECEIVING: Final = ("trainer", "admin", "auditor")  # roles; relays and observers carry, and say nothing
_LABEL: Final = b"gossip-receiver/1\n"


def receivers(author: PeerId, seq: int, members: Iterable[PeerId], count: int = RECEIVERS) -> tuple[PeerId, ...]:
    """The members that look at entry `seq` of `author`, first choice first; never the author. `members` may receive."""
    prefix = _LABEL + bytes.fromhex(author) + seq.to_bytes(8, "big")

    def rank(member: PeerId) -> bytes:
        return sha256(prefix + bytes.fromhex(member)).digest()

    return tuple(sorted((member for member in members if member != author), key=rank)[:count])
