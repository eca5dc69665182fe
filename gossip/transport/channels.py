"""A Link over any RawPeer: two flows, the waiting, and the orderly end.

    open --close()--> saying bye --far end leaves, or 1 s--> closed
    open --bye on both channels, or gone--> ended (what arrived can still be received) --> closed
    open --violation--> broken (RemoteError for everyone who waits) --> closed

Why bye: closing a peer connection throws away what is still in its buffers. The side that closes says bye
behind its last piece on both channels; the other side, having seen both, has everything, and closes.

Before bind.py has proven who is there, UNBOUND_BYTES may come: more breaks the link. Nobody reads them yet but for the
first message on ctl, the proof; an honest far end has nothing else to say until it has ours.

All state belongs to the event loop that made it; there is no lock and, while open, no task.
"""

from __future__ import annotations

import asyncio
import contextlib

from gossip.transport.flow import Flow
from gossip.transport.rawpeer import BULK, CTL, RawPeer
from ledger.errors import GossipError, LinkError, RemoteError

BYE_WAIT_S = 1.0  # for the far end to take what was sent and leave; a dead one costs this much
UNBOUND_BYTES = (
    64 * 1024
)  # before the proof; a bind is 69. Later the credits bound what waits (flow.py): 4 MiB a channel


class ChannelLink:
    """The one implementation of Link (link.py). It is handed out only after bind.py has proven `key`."""

    def __init__(self, raw: RawPeer, *, key: bytes, dialled: bool, role: str = "", ticket: bytes = b"") -> None:
        self.key = key
        self.dialled = dialled
        self.role = role
        self.ticket = ticket
        self.session = b""  # until bind.py has set it, before anybody else has the link
        self.backend = raw.backend
        self.bytes_sent = 0
        self.bytes_received = 0
        self._raw = raw
        self._flows = (Flow(), Flow())
        self._senders: dict[tuple[int, int], asyncio.Future[None]] = {}
        self._reader: asyncio.Future[None] | None = None
        self._over: GossipError | None = None
        self._left = asyncio.Event()  # the far end is gone
        self._shutting: asyncio.Task[None] | None = None
        raw.attach(self)

    # --------------------------------------------------------------- Link

    async def send(self, message: bytes, *, bulk: bool = False) -> None:
        channel = BULK if bulk else CTL
        flow = self._flows[channel]
        self._check_open()
        number = flow.offer(message)
        self._flush(channel)
        if flow.out < number and self._over is None:
            waiter = self._senders[channel, number] = asyncio.get_running_loop().create_future()
            try:
                await waiter
            except asyncio.CancelledError:
                flow.withdraw(number)
                raise
            finally:
                self._senders.pop((channel, number), None)
        if flow.out < number:
            self._check_open()

    async def receive(self, *, ctl_only: bool = False) -> bytes:
        """Link.receive; `ctl_only` for bind.py, whose first message on ctl a bulk message may overtake."""
        while True:
            if not isinstance(self._over, RemoteError):
                for channel, flow in enumerate(self._flows[:1] if ctl_only else self._flows):
                    message = flow.take()
                    if message is not None:
                        if self._over is None:
                            self._flush(channel)
                        return message
            self._check_open()
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None

    async def close(self, reason: str = "") -> None:
        if self._over is None:
            for channel in (CTL, BULK):
                self._push(channel, Flow.bye(reason))
            self._end(LinkError("the link is closed", why=reason))
        if self._shutting is not None:
            await asyncio.shield(self._shutting)

    # --------------------------------------------------------------- Ears

    def arrived(self, channel: int, frame: bytes) -> None:
        if self._left.is_set():
            return
        self.bytes_received += len(frame)
        try:
            self._flows[channel].arrived(frame)
            if not self.session and self.bytes_received > UNBOUND_BYTES and not self._flows[CTL].has_come:
                raise RemoteError("so much before a proof of who it is", why=f"{UNBOUND_BYTES} bytes are allowed")
        except RemoteError as error:
            self.broke(error)
            return
        if all(flow.ended for flow in self._flows):  # also when we said bye first: then nobody waits for anything
            self._left.set()
            self._end(LinkError("the other peer closed the link", why=self._flows[CTL].reason))
        elif self._over is None:
            self._flush(channel)
            self._wake_reader()

    def broke(self, error: RemoteError) -> None:
        self._left.set()  # nothing of ours is worth waiting for
        self._end(error)

    def gone(self, reason: str) -> None:
        self._left.set()
        self._end(LinkError("the link is lost", why=reason))

    # ------------------------------------------------------------ private

    def _check_open(self) -> None:
        if self._over is not None:
            # A fresh one each time: several tasks may raise it, and a raised exception grows a traceback.
            raise type(self._over)(self._over.what, why=self._over.why, next_step=self._over.next_step)

    def _flush(self, channel: int) -> None:
        flow = self._flows[channel]
        for frame in flow.outgoing():
            self._push(channel, frame)
        for (of, number), waiter in self._senders.items():
            if of == channel and number <= flow.out and not waiter.done():
                waiter.set_result(None)

    def _push(self, channel: int, frame: bytes) -> None:
        if self._over is not None:
            return
        try:
            self._raw.send(channel, frame)
        except LinkError as error:
            self.gone(error.what)
        else:
            self.bytes_sent += len(frame)

    def _end(self, how: GossipError) -> None:
        if self._over is not None:
            return
        self._over = how
        for waiter in self._senders.values():
            if not waiter.done():
                waiter.set_result(None)
        self._wake_reader()
        self._shutting = asyncio.get_running_loop().create_task(self._shut())

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _shut(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._left.wait(), BYE_WAIT_S)
        await self._raw.close()
