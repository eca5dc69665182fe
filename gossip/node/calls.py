"""Links, out and in: dial whom the machine names, take in who dialled us, and say what keeps a joiner waiting.

    Dial --dial--> transport --link--> pool          (a failure --DialFailed--> machine)
    transport.incoming --welcome--> door --> pool    (or turned away: the invite was used up meanwhile)
                          guests --words--^

Whoever comes to be let in, and whoever lets it in, have one meeting (transport/bind.py) and so the same words:
both are told, before any entry is written. Making them is slow on purpose (transport/words.py): it is done in a
thread, for one guest at a time, and members do not wait for it. A guest whose words are another's is not the one that
was invited. It refuses to know what a link is used for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from gossip.events import Dial, DialFailed, LinkDown
from gossip.node.door import Door
from gossip.transport import words
from gossip.transport.link import Link
from gossip.transport.pool import LinkPool
from gossip.transport.signalling import Unheard
from gossip.transport.tickets import Ticket
from gossip.transport.webrtc import WebRTCTransport
from ledger.errors import LinkError, RemoteError

NO_RIGHT: Final = "what it came with lets nobody in any more"
LONG_S: Final = 30.0  # of silence at a door; then the likely cause is said
LIKELY: Final = (
    "the invite was probably used by another, or is over; ask for a new one, or give this attempt up with: gossip leave"
)
FAR_S: Final = 20.0  # an address on another network leads nowhere, and that is no trouble if another way does
ROAD_S: Final = 3.0  # a first dial beyond the network may come before the door has heard of its own invite
TELL_EVERY_S: Final = 10.0  # between two complaints about the same wait
GUESTS_WAITING: Final = 16  # for their words, a tenth of a second each; an open door has room for 8


async def words_of(link: Link) -> str:
    """What both ends can read to each other; some 50 ms of another thread, and 16 MiB.

    The link is nobody's yet: if this is cancelled, it ends.
    """
    try:
        return await asyncio.to_thread(words.of_meeting, link.session)
    except BaseException:
        await link.close("stopping")
        raise


class Calls:
    """The links of one node. `is_member` says whether this peer was let in; `trouble` is for people."""

    def __init__(
        self, transport: WebRTCTransport, pool: LinkPool, door: Door, ticket: Ticket | None, *,
        tasks: asyncio.TaskGroup, post: Callable[[DialFailed], Coroutine[Any, Any, None]],
        is_member: Callable[[], bool], tell: Callable[..., None], now: Callable[[], float], far: bool = False,
    ) -> None:  # fmt: skip
        """`far`: who let us come may be on another network, and is looked for beyond this one, too."""
        self._far = far
        self._transport, self._pool, self._door, self._ticket = transport, pool, door, ticket
        self._tasks, self._post, self._is_member, self._tell, self._now = tasks, post, is_member, tell, now
        self._told_at, self._since = 0.0, now()
        self._dials: dict[asyncio.Task[None], Dial] = {}
        self._guests: asyncio.Queue[Link] = asyncio.Queue(GUESTS_WAITING)

    def dial(self, effect: Dial) -> None:
        task = self._tasks.create_task(self._dial(effect), name=f"dial {effect.host}:{effect.port}")
        self._dials[task] = effect
        task.add_done_callback(lambda done: self._dials.pop(done, None))

    async def give_up(self, reason: str) -> None:
        """End the dials under way: what they wait for will not come, and the next may begin."""
        for task, effect in tuple(self._dials.items()):
            if task.cancel():
                await self._post(DialFailed(effect.host, effect.port, effect.key, reason))

    async def welcome(self) -> None:
        """Take in the links that others dialled, for ever."""
        while True:
            link = await self._transport.incoming.get()
            if not link.role or self._door.admits(link.key):
                self._enter(link, "")
            elif self._guests.full():
                self._tasks.create_task(link.close("too many wait at this door"), name="turn a guest away")
            else:
                self._guests.put_nowait(link)

    async def welcome_guests(self) -> None:
        """The same for who is no member, one at a time, for ever."""
        while True:
            link = await self._guests.get()
            self._enter(link, await words_of(link))

    def _enter(self, link: Link, said: str) -> None:
        visit = self._door.entered(link)
        if visit is None:
            self._tasks.create_task(link.close("this invite was used up meanwhile"), name="turn a guest away")
            return
        if visit.how:
            self._tell("guest", words=said, role=visit.role, key=link.key.hex(), how=visit.how)
        self._pool.add(link, visit.role, visit.expires, ended=partial(self._door.left, link))

    def turn_out(self) -> list[LinkDown]:
        """End the links of guests who have lost the right to be here. The machine is to hear of it before it hears
        more of them."""
        gone = []
        for link in self._door.unwelcome():
            number = self._pool.number_of(link)
            if number is not None:
                self._pool.drop(number, NO_RIGHT)
                gone.append(LinkDown(number, NO_RIGHT))
        return gone

    def nobody_yet(self, where: str) -> None:
        """A joiner that has heard of nobody for a while is told what to try."""
        if not self._is_member() and self._told_at <= 0 and not self._pool.rows():
            self._tell_waiting(
                f"nobody of this swarm was found on {where}{' or over libp2p' if self._far else ''}: "
                "check that the inviting peer runs on the same network, or name it with --address HOST:PORT"
            )

    async def _dial(self, effect: Dial) -> None:
        ticket = self._ticket
        if ticket is not None and (self._is_member() or effect.key not in (None, ticket.key)):
            ticket = None
        try:
            link = await self._transport.dial(effect.host, effect.port, key=effect.key, ticket=ticket)
        except (LinkError, RemoteError) as error:
            waits_s = self._now() - self._since
            is_trouble = ticket is not None and not self._pool.has(ticket.key)  # it may be here by another way by now
            if is_trouble and (not self._far or waits_s >= (FAR_S if effect.port else ROAD_S)):
                is_long = isinstance(error, Unheard) and waits_s >= LONG_S
                self._tell_waiting(f"{error.what}: {LIKELY}" if is_long else str(error))
            self._pool.dials.failed(effect.host, effect.port, str(error), effect.key)
            await self._post(DialFailed(effect.host, effect.port, effect.key, str(error)))
            return
        self._pool.dials.succeeded(effect.host, effect.port)
        if ticket is not None:
            self._tell("knocked", words=await words_of(link), key=link.key.hex())
        self._pool.add(link, link.role)

    def _tell_waiting(self, text: str) -> None:
        """Somebody waits to be let in: say what stands in the way, now and then."""
        if self._now() >= self._told_at + TELL_EVERY_S:
            self._told_at = self._now()
            self._tell("trouble", text=text)
