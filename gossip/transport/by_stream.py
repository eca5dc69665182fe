"""Handshakes on a stream, where no data channel can be made: the stream is there already, and that decides nothing.

    dialler                                 answerer
       | -- stream (road.py) ----------------> |   its carrier proves both keys, and nothing else
       | -- StreamOffer ---------------------> |   FIRST_S; admission as for any offer
       | <------------------- StreamAnswer --- |   or the end of the stream: silence
       | <== frames (streamed.py) ===========> |   bind, then the link

The keys in both messages must be those that the carrier proved. There is no certificate to name, so what the bind signs
in its place is made of the key (`fingerprint_of`): a signature made for a stream fits no data channel, and the reverse.

Streams that have said nothing yet cost no handshake: one of a key (a newer one ends the older), those of strangers
together as many as guests have places, all together as many as there are places; the oldest goes, a stranger's first.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from gossip.limits import Limits
from gossip.transport.admission import Admission
from gossip.transport.bind import NONCE_BYTES, Meeting, Party
from gossip.transport.channels import ChannelLink
from gossip.transport.handshake import Caller, Opened, deadline, in_time
from gossip.transport.link import Link
from gossip.transport.offers import StreamAnswer, digest, open_stream_answer, open_stream_offer, seal
from gossip.transport.road import Road, Stream
from gossip.transport.streamed import StreamPeer, hear, letter
from ledger.entry import Hash
from ledger.errors import GossipError, RemoteError
from ledger.keys import PrivateKey

FIRST_S: Final = 10.0  # for the first message on a stream, and for its answer
STREAM_DOMAIN: Final = b"gossip/stream/1\n"


def fingerprint_of(key: bytes) -> bytes:
    """What stands for a certificate's fingerprint where a stream has none."""
    return hashlib.sha256(STREAM_DOMAIN + key).digest()


async def open_stream(road: Road, caller: Caller) -> Opened:
    """A stream to the key that `caller` expects, answered. LinkError: there is none; Unheard: no answer."""
    assert caller.expected is not None
    async with in_time(deadline(), "nothing leads to it, or what stands between is slow"):
        stream = await road.open(caller.expected)
    try:
        if stream.key != caller.expected:
            raise RemoteError("a stream to another peer than the one that we meant")
        sent = caller.offer(None)
        stream.send(letter(sent))
        async with in_time(deadline(), "the other peer says nothing on its stream"):
            data, rest = await hear(stream)
        answer = open_stream_answer(data)
        prints = fingerprint_of(caller.key.public), fingerprint_of(stream.key)
        meeting = caller.meeting(sent, answer, *prints)
    except BaseException:
        await stream.close()
        raise
    raw = StreamPeer(stream, rest)
    return Opened(raw, ChannelLink(raw, key=stream.key, dialled=True), meeting, deadline())


class StreamDoor:
    """Streams that others opened. `own`: our key now; `hand_over` gets each link that was bound."""

    def __init__(
        self, swarm: Hash, admission: Admission, limits: Limits, own: Callable[[], PrivateKey],
        hand_over: Callable[[Link], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._swarm, self._admission, self._most = swarm, admission, limits.handshakes_open
        self._own, self._hand_over = own, hand_over
        self._silent: dict[bytes, asyncio.Task[None]] = {}  # in the order they came; by key
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def answer(self, stream: Stream) -> None:
        """Take a stream that somebody opened: it becomes a link, or it ends."""
        task = asyncio.get_running_loop().create_task(self._meet(stream))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(stream, done))
        if self._closed:
            task.cancel()
            return
        if (older := self._silent.pop(stream.key, None)) is not None:
            older.cancel()
        self._silent[stream.key] = task
        self._make_room()

    async def close(self) -> None:
        """End all that have not become links."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # what is to be done at their end is done in a later turn of the loop

    def _ended(self, stream: Stream, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():  # perhaps before its first step: then nothing of it ran
            closing = asyncio.get_running_loop().create_task(stream.close())
            self._tasks.add(closing)
            closing.add_done_callback(self._tasks.discard)

    def _make_room(self) -> None:
        strangers = [key for key in self._silent if not self._admission.gate.admits(key)]
        if len(strangers) > self._admission.guest_places or (strangers and len(self._silent) > self._most):
            self._silent.pop(strangers[0]).cancel()
        elif len(self._silent) > self._most:
            self._silent.pop(next(iter(self._silent))).cancel()

    async def _meet(self, stream: Stream) -> None:
        try:
            link = await self._try(stream)
        except (GossipError, TimeoutError):
            link = None  # whoever opened it sees the end of it, and no reason
        if link is None:
            await stream.close()
        else:
            await self._hand_over(link)

    async def _try(self, stream: Stream) -> Link | None:
        """A bound link; None for whoever may not enter."""
        task = asyncio.current_task()
        assert task is not None
        try:
            async with asyncio.timeout(FIRST_S):
                data, rest = await hear(stream)
        finally:
            if self._silent.get(stream.key) is task:
                del self._silent[stream.key]
        if not self._admission.may_ask(data, "stream"):
            return None
        offer, own = open_stream_offer(data), self._own()
        key = bytes.fromhex(offer.key)
        if rest or key != stream.key:  # an honest dialler has nothing to say before the answer
            return None
        admitted = self._admission.admit(offer, data, own.public)
        if admitted is None:
            return None
        self._admission.begin(key, "stream", admitted, task)
        nonce = secrets.token_bytes(NONCE_BYTES)
        answer = StreamAnswer(swarm=self._swarm, key=own.public.hex(), nonce=nonce.hex(), offer=digest(data))
        meeting = Meeting(
            self._swarm,
            Party(key, bytes.fromhex(offer.nonce), fingerprint_of(key)),
            Party(own.public, nonce, fingerprint_of(own.public)),
        )
        stream.send(letter(seal(answer, own)))
        raw = StreamPeer(stream)
        link = ChannelLink(raw, key=key, dialled=False, role=admitted.role, ticket=admitted.ticket)
        try:
            await Opened(raw, link, meeting, deadline()).bind("a", own)
        except BaseException:
            await raw.close()
            raise
        return link
