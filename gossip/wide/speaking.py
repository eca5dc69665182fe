"""Which protocols are spoken with whom: told by Identify and by multistream, and taken, alike.

    a member                          all
    a stranger whom an invite admits  /gossip/offer/1, /gossip/link/1, and what follows
    anyone else                       whatever is not ours: ping, Identify, circuits (a relay: its hop and DHT)

So a bootstrap that we asked for peers cannot tell by asking back that a swarm is here. Runs in the trio thread;
imports libp2p.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from libp2p.protocol_muxer.multiselect import Multiselect

from gossip.wide.config import LINK_PROTOCOL, OFFER_PROTOCOL

OURS: Final = ("/gossip/", "/meshsub/", "/floodsub/")
FOR_STRANGERS: Final = (OFFER_PROTOCOL, LINK_PROTOCOL)

Whether = Callable[[str], bool]


class Speaking:
    """By PeerIds in words."""

    def __init__(self, is_member: Whether, is_served: Whether) -> None:
        self._is_member, self._is_served = is_member, is_served

    def with_(self, peer: str, protocol: str | None) -> bool:
        """Whether that protocol is spoken with it."""
        if not str(protocol).startswith(OURS) or self._is_member(peer):
            return True
        return protocol in FOR_STRANGERS and self._is_served(peer)


class Choosing(Multiselect):  # type: ignore[misc]
    """As Multiselect, of the protocols that are spoken with whoever asks."""

    def __init__(self, handlers: dict[Any, Any], speaking: Speaking) -> None:
        super().__init__(handlers)
        self._speaking = speaking

    async def negotiate(self, communicator: Any, *args: Any) -> tuple[Any, Any]:
        peer = communicator.read_writer.muxed_conn.peer_id.to_string()
        spoken = {name: handler for name, handler in self.handlers.items() if self._speaking.with_(peer, name)}
        chosen: tuple[Any, Any] = await Multiselect(spoken).negotiate(communicator, *args)
        return chosen
