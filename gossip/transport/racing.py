"""A data channel or a stream: which of the two ways to one peer becomes its link.

    the channel opens in time                       --> bind it
    patience_s after its answer, or it fails        --> open a stream, too; whichever is open first is bound
    no channel to that key came about lately        --> the stream at once; a channel only if there is none

A data channel is the better link: it goes straight from one to the other, and takes nothing of a relay's. So it has the
first word. Only one of them is ever bound: the far end hands out no link whose dialler has not signed the bind, so it
never sees two, and the other way ends there as one that came to nothing.

It refuses to know how either is opened.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from gossip.transport.handshake import Opened
from ledger.errors import LinkError

STREAM_AFTER_S = 2.0  # a channel on a free machine is open after 0.1 s; through TURN and a busy one after a second
STREAM_SOON_S = 0.5  # where next to nothing speaks for a channel: only a route between the two private networks
BLOCKED_S: Final = 600.0
KEYS_REMEMBERED: Final = 4_096

Bind = Callable[[Opened], Awaitable[None]]
Opening = Coroutine[Any, Any, Opened]


class OutOfReach(LinkError):
    """Not even signalling reaches that peer: then nothing will."""


class Blocked:
    """To which keys no data channel came about lately. Only of keys that we dialled; the oldest is forgotten."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def note(self, key: bytes, now: float) -> None:
        self._until.pop(key, None)
        self._until[key] = now + BLOCKED_S
        if len(self._until) > KEYS_REMEMBERED:
            self._until.popitem(last=False)

    def forget(self, key: bytes) -> None:
        self._until.pop(key, None)

    def clear(self) -> None:
        """Our own addresses are others: what was blocked may be open."""
        self._until.clear()

    def is_blocked(self, key: bytes, now: float) -> bool:
        return self._until.get(key, 0.0) > now


def patience_s(theirs: Iterable[str], ours: Iterable[str], *, has_servers: bool) -> float:
    """How long a channel has the first word, by both sides' addresses. Without a server of ours no hole is punched to
    us; if then no address of theirs is in a network of ours, or public, what we send is most likely lost."""
    near = [IPv4Network(f"{each}/24", strict=False) for each in ours]
    remote = [IPv4Address(each) for each in theirs]
    is_likely = has_servers or any(not one.is_private or any(one in network for network in near) for one in remote)
    return STREAM_AFTER_S if is_likely else STREAM_SOON_S


async def race(channel: Opening, answered: asyncio.Future[float], stream: Callable[[], Opening], bind: Bind) -> Opened:
    """The one that is bound; the other is closed. `answered` comes with the channel's answer: how long to wait then.

    LinkError: neither came about (the channel's reason). RemoteError: the peer is there, and dishonest.
    """
    by_channel = asyncio.ensure_future(channel)
    patience = asyncio.ensure_future(_wait(answered))
    by_stream: asyncio.Future[Opened] | None = None
    waiting: set[asyncio.Future[Any]] = {by_channel, patience}
    bound, reasons = None, []
    try:
        while bound is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in (by_channel, by_stream):
                if one is None or one not in done:
                    continue
                try:
                    opened = one.result()
                    await bind(opened)
                except OutOfReach:
                    raise
                except LinkError as error:
                    reasons.append(error)
                else:
                    bound = opened
                    break
            if bound is None and by_stream is None:  # the time is over, or the channel failed
                patience.cancel()
                waiting.discard(patience)
                by_stream = asyncio.ensure_future(stream())
                waiting.add(by_stream)
            elif bound is None and not waiting:
                raise reasons[0]
        return bound
    finally:
        ending = asyncio.ensure_future(_end([one for one in (patience, by_channel, by_stream) if one], bound))
        try:
            await asyncio.shield(ending)  # a dial that is given up right now leaves nothing open, either
        except asyncio.CancelledError:
            if bound is not None:
                await bound.raw.close()
            raise


async def _wait(answered: asyncio.Future[float]) -> None:
    await asyncio.sleep(await answered)


async def _end(openings: list[asyncio.Future[Any]], bound: Opened | None) -> None:
    """Close whatever was opened and is not the one."""
    for one in openings:
        one.cancel()
    for result in await asyncio.gather(*openings, return_exceptions=True):
        if isinstance(result, Opened) and result is not bound:
            await result.raw.close()
