"""Another way to a peer than its address: by its key, through whatever stands between (gossip/wide).

    ("/p2p/12D3KooW...", 0)  --dial-->  exchange(key, offer) -> answer        signalling, in place of HTTP
                                        open(key) -> Stream                   a link, where no data channel can be made

The machine, hints and dials know places as (host, port). A place by road has a host that no machine can have: the
PeerId of the key, and port 0. What carries it has proven the far end's key, and that proves nothing else: who may
enter is asked as for an offer from anywhere.
"""

from __future__ import annotations

from typing import Final, Protocol

from gossip.peer_ids import key_of, peer_id_of
from ledger.errors import LocalError

MAX_ANNOUNCEMENT_BYTES: Final = 512  # what a member says of itself to all others at once
_PREFIX: Final = "/p2p/"

Place = tuple[str, int]


def place_by_road(key: bytes) -> Place:
    """The place at which a road leads to the holder of `key`."""
    return _PREFIX + peer_id_of(key), 0


def key_by_road(place: Place) -> bytes | None:
    """The key that a place stands for; None for an address."""
    host, port = place
    if port or not host.startswith(_PREFIX):
        return None
    try:
        return key_of(host.removeprefix(_PREFIX))
    except LocalError:
        return None


class Stream(Protocol):
    """Bytes both ways to a peer whose key the carrier has proven. All calls on the event loop's own thread."""

    @property
    def key(self) -> bytes:
        """The far end's Ed25519 public key, 32 raw bytes."""
        ...

    def send(self, data: bytes) -> None:
        """Hand over bytes; never blocks (the caller bounds what is under way). LinkError: it is closed."""
        ...

    async def receive(self) -> bytes:
        """The next bytes, as they came, at most 64 KiB; b"" when the far end has ended. LinkError: it is lost."""
        ...

    async def close(self) -> None:
        """Let what was sent leave, for a moment, then release everything. Safe in any state, and twice."""
        ...


class Road(Protocol):
    """What reaches peers by their keys. All calls on the event loop's own thread."""

    async def exchange(self, key: bytes, offer: bytes) -> bytes:
        """The answer of the holder of `key` to an offer, unread. Each at most MAX_BODY_BYTES (signalling.py).

        LinkError: it cannot be reached; Unheard: it can, and does not answer us; RemoteError: it answers too much.
        """
        ...

    async def open(self, key: bytes) -> Stream:
        """A stream to the holder of `key`, for a link. LinkError: it cannot be reached."""
        ...
