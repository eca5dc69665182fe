"""The open links of a node, by number: what the machine says goes out, what peers say comes in as events.

    Send --> outbox (bounded) --> link.send      link.receive --> Received --> the node's queue (bounded)

Each link has one reader and one writer per channel, so that a blob never delays a word on ctl. A peer that
takes nothing while what waits for it grows beyond `outbox_bytes` is too slow and loses its link; a peer that sends
faster than we decide waits, because its credits return only as its messages are taken.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gossip.events import LinkDown, LinkId, LinkUp, Received
from gossip.limits import DEFAULT, Limits
from gossip.transport.dials import Dials
from gossip.transport.link import Link
from ledger.errors import LinkError, RemoteError

Post = Callable[[LinkUp | LinkDown | Received], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class _Outbox:
    messages: deque[bytes] = field(default_factory=deque)
    size_bytes: int = 0
    filled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Open:
    link: Link
    up_at: float  # loop time
    outboxes: tuple[_Outbox, _Outbox]  # ctl, bulk
    task: asyncio.Task[None] | None = None


class LinkPool:
    """All open links. `post` hands an event to the machine and waits while its queue is full."""

    def __init__(self, tasks: asyncio.TaskGroup, post: Post, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._tasks = tasks
        self._post = post
        self._numbers = itertools.count(1)
        self._open: dict[LinkId, _Open] = {}
        self.dials = Dials(time.time)
        self._past_sent = 0
        self._past_received = 0

    def add(self, link: Link, role: str, expires: int = 0, *, ended: Callable[[], None] | None = None) -> None:
        """Serve a link until it ends; LinkUp is posted first and LinkDown last; then `ended` is called. `role` and
        `expires`: what a guest may become, and until when."""
        number = next(self._numbers)
        held = _Open(link, asyncio.get_running_loop().time(), (_Outbox(), _Outbox()))
        self._open[number] = held
        held.task = self._tasks.create_task(self._serve(number, held, role, expires, ended), name=f"link {number}")

    def failed_dials(self) -> list[dict[str, Any]]:
        """For people: one row each; of none to a peer that is linked now."""
        return self.dials.rows({held.link.key for held in self._open.values()})

    def has(self, key: bytes) -> bool:
        """Whether the holder of that key is linked now."""
        return any(held.link.key == key for held in self._open.values())

    def number_of(self, link: Link) -> LinkId | None:
        """By which number an open link goes."""
        return next((number for number, held in self._open.items() if held.link is link), None)

    def send(self, number: LinkId, message: bytes, *, bulk: bool) -> None:
        """Queue a message; nothing happens if the link has ended meanwhile."""
        held = self._open.get(number)
        if held is None:
            return
        outbox = held.outboxes[bulk]
        if sum(one.size_bytes for one in held.outboxes) + len(message) > self._limits.outbox_bytes:
            self.drop(number, "takes too little of what it asked for")
            return
        outbox.messages.append(message)
        outbox.size_bytes += len(message)
        outbox.filled.set()

    def drop(self, number: LinkId, reason: str) -> None:
        """End a link; what was said before still leaves, if the far end takes it."""
        held = self._open.get(number)
        if held is not None:
            self._tasks.create_task(held.link.close(reason), name=f"close link {number}")

    async def close(self) -> None:
        """End every link."""
        await asyncio.gather(*(held.link.close("stopping") for held in self._open.values()), return_exceptions=True)

    @property
    def bytes_sent(self) -> int:
        return self._past_sent + sum(held.link.bytes_sent for held in self._open.values())

    @property
    def bytes_received(self) -> int:
        return self._past_received + sum(held.link.bytes_received for held in self._open.values())

    def rows(self) -> list[dict[str, Any]]:
        """For people: one row a link."""
        now = asyncio.get_running_loop().time()
        return [
            {
                "key": held.link.key.hex(),
                "backend": held.link.backend,
                "up_s": round(now - held.up_at, 1),
                "bytes_sent": held.link.bytes_sent,
                "bytes_received": held.link.bytes_received,
            }
            for held in self._open.values()
        ]

    async def _serve(
        self, number: LinkId, held: _Open, role: str, expires: int, ended: Callable[[], None] | None
    ) -> None:  # fmt: skip
        link, reason = held.link, ""
        writers = [
            self._tasks.create_task(self._write(link, outbox, bulk=bool(bulk)))
            for bulk, outbox in enumerate(held.outboxes)
        ]
        try:
            await self._post(LinkUp(number, link.key, link.dialled, role, expires=expires))
            while True:
                await self._post(Received(number, await link.receive()))
        except (LinkError, RemoteError) as error:
            reason = str(error)
        finally:  # a cancelled link stays in the list, for close()
            for writer in writers:
                writer.cancel()
        await link.close(reason)
        self._past_sent += link.bytes_sent
        self._past_received += link.bytes_received
        del self._open[number]
        await self._post(LinkDown(number, reason))
        if ended is not None:
            ended()

    async def _write(self, link: Link, outbox: _Outbox, *, bulk: bool) -> None:
        with suppress(LinkError, RemoteError):  # the reader of this link sees the same end and tells it
            while True:
                await outbox.filled.wait()
                while outbox.messages:
                    message = outbox.messages.popleft()
                    outbox.size_bytes -= len(message)
                    await link.send(message, bulk=bulk)
                outbox.filled.clear()
