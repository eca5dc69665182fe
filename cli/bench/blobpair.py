"""Two ends of the blob path of a node: from `want` to stored, over a real link.

    want -> WantBlob ==link==> asked of the shelf, let through the gate, cut in pieces
            pieces <==link== in order, hashed -> whole -> one transaction of the store, synced

What runs is a node's own: blobs.py and pace.py, the codec, the pool with its outboxes, the link, the store in a
directory. What decides which blob is wanted (admission, entries) is not: a blob of 64 MB is no update of anybody's.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Final

from cli.bench.carriers import Carrier, links
from gossip.egress import Ledger, Receiver, Released, Withheld, ZoneSetting, release
from gossip.events import LinkDown, LinkUp, Received, Send, SetTimer
from gossip.limits import DEFAULT
from gossip.peer.blobs import Blobs
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.transport.channels import ChannelLink
from gossip.transport.pool import LinkPool
from gossip.wire.codec import decode
from gossip.wire.frames import Lacks, Piece, WantBlob
from ledger.store import PutBlob, Store

LINK: Final = 1
LOG: Final = "00" * 32
REQUEST_S: Final = 10.0


class Side:
    """One end."""

    def __init__(self, tasks: asyncio.TaskGroup, link: ChannelLink, store: Store) -> None:
        self._store, self._out = store, Outbox()
        self._pool = LinkPool(tasks, self._heard, DEFAULT)
        self._pool.add(link, "")
        self._blobs = Blobs(Pace(REQUEST_S), self._out, self, lambda log, seq: [LINK])
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._count = 0

    def blob(self, digest: str, /) -> bytes | None:
        return self._store.blob(digest)

    def hold(self, blob: bytes) -> str:
        digest = sha256(blob).hexdigest()
        self._store.commit([PutBlob(digest, blob)])
        return digest

    async def fetch(self, digest: str, total: int) -> None:
        """Have it on disk."""
        self._count += 1
        self._wanted[digest] = asyncio.get_running_loop().create_future()
        self._blobs.want(digest, limit=total, total=total, log=LOG, seq=self._count, urgent=True)
        self._act()
        await self._wanted[digest]

    async def _heard(self, event: LinkUp | LinkDown | Received) -> None:
        if not isinstance(event, Received):
            return
        match decode(event.message):
            case WantBlob() as want:
                self._blobs.on_want(LINK, want, lambda blob: _leave(want.hash))
            case Piece() as piece:
                self._blobs.on_piece(LINK, piece, monotonic())
                if piece.hash in self._wanted and not len(self._blobs):
                    self._keep(piece.hash)
            case Lacks() as lacks:
                self._blobs.on_lacks(LINK, lacks, monotonic())
            case other:
                raise AssertionError(other)
        self._act()

    def _keep(self, digest: str) -> None:
        blob = self._blobs.find(digest)
        assert blob is not None
        self._store.commit([PutBlob(digest, blob)])
        self._blobs.used(digest, blob)
        self._wanted.pop(digest).set_result(None)

    def _act(self) -> None:
        self._blobs.pump(monotonic())
        for effect in self._out.take():
            match effect:
                case Send(link, message, bulk):
                    self._pool.send(link, message, bulk=bulk)
                case SetTimer():
                    pass  # loopback loses nothing: no deadline passes
                case other:
                    raise AssertionError(other)


def _leave(digest: str) -> Released[Ledger] | Withheld:
    return release(ZoneSetting(), Ledger, of=digest, to=Receiver("", ""))


@asynccontextmanager
async def blobs(one: str, two: str) -> AsyncIterator[Carrier]:
    """Blobs between two stores. Each is another one: what is held already is not fetched."""
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gossip-bench-")))
        stores = [stack.enter_context(Store(root / f"{name}.db")) for name in ("one", "two")]
        ends = await stack.enter_async_context(links(one, two))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        sides = [Side(tasks, end, store) for end, store in zip(ends, stores, strict=True)]
        named: list[str] = []  # the last is wanted next

        def ready(size: int, *, back: bool) -> None:
            number = len(named)
            named.append(sides[back].hold(number.to_bytes(8, "little") + bytes(size - 8)))

        async def carry(size: int, *, back: bool) -> None:
            await sides[not back].fetch(named[-1], size)

        yield Carrier(carry, ready)
        await asyncio.gather(*(end.close() for end in ends))
