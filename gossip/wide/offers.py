"""/gossip/offer/1: one signed offer in, one signed answer out, over a libp2p stream (docs/wire.md, part one).

    dialler   length u16 LE | offer          answerer   length u16 LE | answer, or the stream's end: silence

The bytes are those of the HTTP exchange, and are read elsewhere. Here are the sizes, the time, and how often: who asks
has proven its key, so what is too much is counted by key. Strangers, whom an open invite lets ask, have places of their
own, and of too many the one goes whose offer is the longest in coming. Runs in the trio thread.
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
ALL_AT_ONCE: Final = 32  # of members; nothing of strangers is counted against them
STRANGERS_AT_ONCE: Final = ALL_AT_ONCE // 4
HEAD_S: Final = 2.0  # for an offer's first bytes
WHOLE_S: Final = 5.0  # for all of it


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
        self._members = self._strangers = 0  # under way
        self._coming: dict[trio.CancelScope, None] = {}  # of strangers, not read yet; oldest first

    async def handle(self, key: bytes, stream: Any, is_member: bool) -> None:
        """Read one offer by the holder of `key`, and answer or be silent. Raises what its stream brings about."""
        if self._running[key] >= AT_ONCE or not self._buckets.take(key, trio.current_time()):
            return
        if is_member and self._members >= ALL_AT_ONCE:
            return
        if not is_member and self._strangers >= STRANGERS_AT_ONCE and not self._make_room():
            return
        self._running[key] += 1
        self._members, self._strangers = self._members + is_member, self._strangers + (not is_member)
        with trio.CancelScope() as scope:
            if not is_member:
                self._coming[scope] = None
            try:
                with trio.move_on_after(OFFER_S):
                    await self._read_and_answer(key, stream, scope)
            finally:
                self._coming.pop(scope, None)
                self._members, self._strangers = self._members - is_member, self._strangers - (not is_member)
                self._running[key] -= 1
                if not self._running[key]:
                    del self._running[key]

    async def _read_and_answer(self, key: bytes, stream: Any, scope: trio.CancelScope) -> None:
        head = offer = b""
        length = 0
        with trio.move_on_after(WHOLE_S):
            with trio.move_on_after(HEAD_S):
                head = await _exactly(stream, 2)
            length = int.from_bytes(head, "little")
            if len(head) < 2 or not 0 < length <= MAX_OFFER_BYTES:
                return
            offer = await _exactly(stream, length)
        if len(offer) < length:
            return
        self._coming.pop(scope, None)
        answer = await self._answer(key, offer)
        if answer is not None and len(answer) <= MAX_OFFER_BYTES:
            await stream.write(len(answer).to_bytes(2, "little") + answer)

    def _make_room(self) -> bool:
        for scope in self._coming:
            if not scope.cancel_called:
                scope.cancel()
                return True
        return False


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
