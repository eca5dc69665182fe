"""What the node wants of libp2p, as one value: set on the loop's thread, read by every life of the other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest of each call of gossip/wide/wide.py."""

    members: frozenset[bytes] = frozenset()
    strangers: bool = False
    namespaces: tuple[bytes, ...] = ()
    publish: int = 0
    announcement: bytes | None = None
