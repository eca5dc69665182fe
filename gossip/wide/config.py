"""What a node that goes beyond its network was told: by whom to be found, through whom to be reached.

    WideConfig(bootstrap=("/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW...",), relays=(), host="0.0.0.0")

Addresses are spelled and checked by gossip/transport/multiaddresses.py before they come here. Nothing here imports
libp2p: the limits below are what the rest of this room keeps, each with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

INSTALL: Final = "pipx install --force '.[peer,wide]' in the checkout, or make wide there"  # (of no index)
FLOOR: Final = (0, 8, 1)  # of libp2p: the first whose relay client was measured against js-libp2p
OFFER_PROTOCOL: Final = "/gossip/offer/1"
LINK_PROTOCOL: Final = "/gossip/link/1"

MAX_OFFER_BYTES: Final = 4_096  # as over HTTP (gossip/transport/signalling.py)
OFFER_S: Final = 10.0  # an offer and its answer, once there is a connection
ATTEMPT_S: Final = 5.0  # one way to a key: one address, one circuit
DIAL_S: Final = 12.0  # all ways to a key
WAITING_BYTES: Final = 16 << 20  # of one stream that the far end does not read: then it is closed
AHEAD_BYTES: Final = 256 << 10  # read of one stream before anybody asked for it
PIECE_BYTES: Final = 64 << 10
FLUSH_S: Final = 1.0  # what was sent, when a stream is closed
STRANGERS: Final = 32  # connections of no member, while an invite is open: a class that comes in at once
STRANGER_S: Final = 60.0
ADDRESSES_LEARNED: Final = 8  # of one key
KEYS_LEARNED: Final = 1_024
RETRY_FIRST_S: Final = 1.0
RETRY_LAST_S: Final = 60.0
PING_EVERY_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class WideConfig:
    """Addresses as libp2p spells them; the IPv4 address and port that direct connections come in on (0: any)."""

    bootstrap: tuple[str, ...]  # DHT servers, as "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW..."
    relays: tuple[str, ...]  # the same, with or without "/p2p-circuit" at the end
    host: str  # "0.0.0.0": all; a loopback address: this machine alone
    port: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the node wants of libp2p, as one value: set on the loop's thread, read by every life of the other.
    The newest of each call of gossip/wide/wide.py."""

    members: frozenset[bytes] = frozenset()
    strangers: bool = False
    namespaces: tuple[bytes, ...] = ()
    publish: int = 0
    announcement: bytes | None = None
