"""/gossip/offer/1: one signed offer in, one signed answer out, over a libp2p stream (docs/wire.md, part one).

    dialler   length u16 LE | offer          answerer   length u16 LE | answer, or the stream's end: silence

The bytes are those of the HTTP exchange, and are read elsewhere. Here are the sizes, the time, and how often: who asks
has proven its key, so what is too much is counted by key. Runs in the trio thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from gossip.bucket import Buckets
from gossip.transport.signalling import Unheard
from gossip.wide.config import KEYS_LEARNED, MAX_OFFER_BYTES, OFFER_S
from ledger.errors import LinkError, RemoteError

OFFERS: Final = 20.0  # of one key before it has to wait
OFFERS_PER_S: Final = 0.5
AT_ONCE: Final = 2  # of one key
ALL_AT_ONCE: Final = 32


async def ask(stream: Any, offer: bytes) -> bytes:
    """Send an offer; the answer, unread. LinkError: lost or too slow; Unheard: silence; RemoteError: too long."""
    try:
        with trio.fail_after(OFFER_S):
            await stream.write(len(offer).to_bytes(2, "little") + offer)
            head = await _exactly(stream, 2)
            if not head:
                raise Unheard("the peer does not answer us over libp2p", why="it knows us not, or does not want us")
            length = int.from_bytes(head, "little")
            if len(head) < 2 or not 0 < length <= MAX_OFFER_BYTES:
                raise RemoteError("an answer over libp2p has a wrong size", why=f"{length} bytes")
            answer = await _exactly(stream, length)
    except trio.TooSlowError:
        raise LinkError("the peer did not answer over libp2p", why=f"waited {OFFER_S:.0f} s") from None
    if len(answer) < length:
        raise LinkError("the peer's answer over libp2p broke off", next_step="try again")
    return answer


class Answering:
    """The other side of it, for all who ask."""

    def __init__(self, answer: Callable[[bytes, bytes], Awaitable[bytes | None]]) -> None:
        self._answer = answer
        self._buckets = Buckets(OFFERS, OFFERS_PER_S, KEYS_LEARNED)
        self._running: Counter[bytes] = Counter()

    async def handle(self, key: bytes, stream: Any) -> None:
        """Read one offer by the holder of `key`, and answer or be silent. Raises what its stream brings about."""
        now = trio.current_time()
        if self._running[key] >= AT_ONCE or self._running.total() >= ALL_AT_ONCE or not self._buckets.take(key, now):
            return
        self._running[key] += 1
        try:
            with trio.move_on_after(OFFER_S):
                head = await _exactly(stream, 2)
                length = int.from_bytes(head, "little")
                if len(head) < 2 or not 0 < length <= MAX_OFFER_BYTES:
                    return
                offer = await _exactly(stream, length)
                if len(offer) < length:
                    return
                answer = await self._answer(key, offer)
                if answer is not None and len(answer) <= MAX_OFFER_BYTES:
                    await stream.write(len(answer).to_bytes(2, "little") + answer)
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]


async def _exactly(stream: Any, size: int) -> bytes:
    """So many bytes, or what came before the end."""
    data = b""
    while len(data) < size:
        try:
            more = await stream.read(size - len(data))
        except Exception as error:
            if type(error).__name__ not in ("StreamEOF", "StreamReset"):
                raise
            more = b""
        if not more:
            break
        data += more
    return data
