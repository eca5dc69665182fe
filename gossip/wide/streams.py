"""A link's stream, both ends of the bridge: bytes both ways, with back-pressure.

    loop:  send() -> waiting, at most WAITING_BYTES -> writer -> Yamux's window      far end
           receive() <- read ahead, about AHEAD_BYTES <- reader <- Yamux's window

No lock: each total is written by one thread and read by the other (handed and taken by the loop, written and arrived
by trio), and queues are deques, whose ends are safe. The writer sends no more than Yamux's window takes, as
py-libp2p's own write gives up when a far end is busy for 5 s. A write that is begun is ended, or has FLUSH_S more when
all of it is cancelled: half a Noise message would cost the connection, and the other streams in it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from gossip.wide.bridge import Bridge
from gossip.wide.config import AHEAD_BYTES, FLUSH_S, PIECE_BYTES, WAITING_BYTES
from ledger.errors import LinkError


class LinkStream:
    """A Stream of gossip/transport/road.py. `pump` runs over there, all else here."""

    def __init__(self, bridge: Bridge, key: bytes) -> None:
        self._bridge, self._key = bridge, key
        self._out: deque[bytes] = deque()
        self._handed = self._written = 0
        self._in: deque[bytes] = deque()
        self._arrived = self._taken = 0
        self._readable, self._finished = asyncio.Event(), asyncio.Event()
        self._ended = self._closed = False
        self._lost: str | None = None
        self._poked = self._starved = False
        self._trio: Any = None
        self._work: Any = None  # trio events: something to write, or to end
        self._room: Any = None  # to read ahead
        self._scope: Any = None
        self._write_scope: Any = None  # of the write that is under way

    @property
    def key(self) -> bytes:
        return self._key

    def send(self, data: bytes) -> None:
        if self._closed or self._lost is not None:
            raise LinkError("the stream to the peer is closed", why=self._lost or "we closed it")
        self._out.append(bytes(data))
        self._handed += len(data)
        if self._handed - self._written > WAITING_BYTES:
            self._lose("the far end does not read")
            self._bridge.wake(self._abort)
            raise LinkError("the stream to the peer is closed", why="the far end does not read")
        self._poke()

    async def receive(self) -> bytes:
        while not self._in:
            if self._lost is not None:
                raise LinkError("the stream to the peer is lost", why=self._lost)
            if self._ended:
                return b""
            if self._closed:
                raise LinkError("the stream to the peer is closed", why="we closed it")
            self._readable.clear()
            await self._readable.wait()
        data = self._in.popleft()
        self._taken += len(data)
        if self._starved and self._arrived - self._taken <= AHEAD_BYTES // 2:
            self._starved = False
            self._bridge.wake(self._more)
        return data

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._readable.set()
            if self._poke(again=True):
                try:
                    async with asyncio.timeout(FLUSH_S):
                        await self._finished.wait()
                except TimeoutError:
                    pass
                finally:  # also if nobody waits for it any longer
                    if not self._finished.is_set():
                        self._bridge.wake(self._abort)
            self._out.clear()

    def _poke(self, again: bool = False) -> bool:
        if self._lost is not None:
            return False
        if self._poked and not again:
            return True
        self._poked = True
        return self._bridge.wake(self._on_poke)

    def _deliver(self, data: bytes) -> None:
        if not self._closed:
            self._in.append(data)
        self._readable.set()

    def _end(self) -> None:
        self._ended = True
        self._readable.set()

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = why
        self._readable.set()

    def _finish(self) -> None:
        self._finished.set()

    # From here on in trio.

    def _on_poke(self) -> None:
        self._poked = False
        if self._work is not None:
            self._work.set()

    def _more(self) -> None:
        if self._room is not None:
            self._room.set()

    def _abort(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def pump(self, stream: Any, trio: Any) -> None:
        """Move bytes until both sides have ended, or one is lost. Resets the libp2p stream at last."""
        self._trio, self._work, self._room = trio, trio.Event(), trio.Event()
        why = "libp2p was stopped"
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._hurry)
                async with trio.open_nursery() as both:
                    both.start_soon(self._read, stream)
                    await self._write(stream)
                nursery.cancel_scope.cancel()
            why = "" if self._closed else "it was cut"
        except Exception as error:  # whatever libp2p raises of a stream that is gone
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            why = type(error).__name__
        finally:
            self._bridge.deliver(self._lose, why or "we closed it")
            self._bridge.deliver(self._finish)
            with trio.CancelScope(shield=True), trio.move_on_after(FLUSH_S):
                await stream.reset()

    async def _hurry(self) -> None:
        try:
            await self._trio.sleep_forever()
        finally:
            if self._write_scope is not None:
                self._write_scope.deadline = self._trio.current_time() + FLUSH_S

    async def _write(self, stream: Any) -> None:
        """Until we have closed and all is written; then say so to the far end."""
        while True:
            if self._work.is_set():
                self._work = self._trio.Event()
            while self._out:
                data = self._out.popleft()
                while len(data) < PIECE_BYTES and self._out:
                    data += self._out.popleft()
                await self._send(stream, data)
            if self._closed and not self._out:
                await stream.close()
                return
            await self._work.wait()

    async def _send(self, stream: Any, data: bytes) -> None:
        view, pause_s = memoryview(data), 0.002
        muxed = stream.muxed_stream
        while view:
            size = min(len(view), PIECE_BYTES, muxed.send_window)
            if size <= 0 and not (muxed.closed or muxed.send_closed):
                await self._trio.sleep(pause_s)  # py-libp2p says nothing when a window opens; it looks itself
                pause_s = min(pause_s * 2, 0.1)
                continue
            pause_s = 0.002
            with self._trio.CancelScope(shield=True) as self._write_scope:
                await stream.write(bytes(view[: max(size, 1)]))
            self._write_scope = None
            view = view[max(size, 1) :]
            self._written += max(size, 1)

    async def _read(self, stream: Any) -> None:
        """Until the far end has ended."""
        while True:
            while self._arrived - self._taken > AHEAD_BYTES and not self._closed:
                if self._room.is_set():
                    self._room = self._trio.Event()
                self._starved = True
                if self._arrived - self._taken > AHEAD_BYTES and not self._closed:
                    await self._room.wait()
            try:
                data = await stream.read(PIECE_BYTES)
            except Exception as error:
                if type(error).__name__ != "StreamEOF" or stream.muxed_conn.event_shutting_down.is_set():
                    raise  # (Yamux calls the end of a connection the end of the stream)
                data = b""
            if not data:
                self._bridge.deliver(self._end)
                return
            self._arrived += len(data)
            self._bridge.deliver(self._deliver, data)
