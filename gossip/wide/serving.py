"""What others ask of this node over libp2p: offers, streams for links, and circuits that come through our relays.

Served is whom the gate serves (members, and strangers while an invite is open); all others' streams are reset unread.
Whatever a stream brings about ends that stream. Runs in the trio thread.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import trio

from gossip.peer_ids import key_of
from gossip.wide import offers, relays
from gossip.wide.bridge import Bridge
from gossip.wide.config import LINK_PROTOCOL, OFFER_PROTOCOL
from gossip.wide.gate import Gate
from gossip.wide.state import State
from gossip.wide.streams import LinkStream
from ledger.errors import LinkError, LocalError

LINKS: Final = 4  # streams for links, of one key
ALL_LINKS: Final = 64  # of members; nothing of strangers is counted against them
STRANGERS_LINKS: Final = ALL_LINKS // 4


class Serving:
    """On one host."""

    def __init__(self, host: Any, gate: Gate, state: State, bridge: Bridge, listener: Any) -> None:
        self._host, self._gate, self._state, self._bridge, self._listener = host, gate, state, bridge, listener
        self._answering = offers.Answering(self._answer)
        self._links: Counter[bytes] = Counter()
        self._strangers_links = 0
        host.set_stream_handler(OFFER_PROTOCOL, self._on_offer)
        host.set_stream_handler(LINK_PROTOCOL, self._on_link)
        host.set_stream_handler(relays.STOP, self._on_circuit)

    def check(self, key: bytes) -> None:
        """LinkError: there are streams enough with that key."""
        if self._links[key] >= LINKS:
            raise LinkError("too many streams to one peer", why=f"{LINKS} are open")

    async def pump(self, key: bytes, link: LinkStream, stream: Any) -> None:
        """Move a link's bytes until it is over."""
        self._links[key] += 1
        try:
            await link.pump(stream, trio)
        finally:
            self._links[key] -= 1
            if not self._links[key]:
                del self._links[key]

    async def _on_offer(self, stream: Any) -> None:
        key = self._served(stream)
        try:
            if key is not None:
                await self._answering.handle(key, stream, self._is_members(stream))
                await stream.close()
                with trio.move_on_after(1.0):  # so that the answer is read before the stream is gone
                    await stream.read(1)
        except Exception:  # its stream's trouble, which ends here
            return
        finally:
            await reset(stream)

    async def _on_link(self, stream: Any) -> None:
        key = self._served(stream)
        of_stranger = key is not None and not self._is_members(stream)
        if key is None or self._links[key] >= LINKS or self._is_full(of_stranger):
            await reset(stream)
            return
        self._strangers_links += of_stranger
        try:
            link = LinkStream(self._bridge, key)
            self._bridge.deliver(self._hand_over, link)
            await self.pump(key, link, stream)
        finally:
            self._strangers_links -= of_stranger

    def _is_full(self, of_stranger: bool) -> bool:
        if of_stranger:
            return self._strangers_links >= STRANGERS_LINKS
        return self._links.total() - self._strangers_links >= ALL_LINKS

    def _is_members(self, stream: Any) -> bool:
        return self._gate.is_member(stream.muxed_conn.peer_id.to_string())

    def _hand_over(self, link: LinkStream) -> None:
        if not self._bridge.is_closing:
            self._listener.streamed(link)

    async def _on_circuit(self, stream: Any) -> None:
        told = {each.peer for each in self._state.told if each.reserved}
        try:
            if stream.muxed_conn.peer_id.to_string() in told:
                await relays.accept(self._host, stream, self._gate.would_admit)
        except Exception:  # the handshake of whoever came through the relay
            return
        finally:
            await reset(stream)

    async def _answer(self, key: bytes, offer: bytes) -> bytes | None:
        answer: bytes | None = await self._bridge.ask(self._listener.offered, key, offer)
        return answer

    def _served(self, stream: Any) -> bytes | None:
        peer = stream.muxed_conn.peer_id.to_string()
        try:
            return key_of(peer) if self._gate.serves(peer) else None
        except LocalError:
            return None


async def reset(stream: Any) -> None:
    """End a stream both ways, within a second, whatever is being cancelled."""
    with trio.CancelScope(shield=True), trio.move_on_after(1.0):
        await stream.reset()
