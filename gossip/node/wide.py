"""Beyond the network: where the node and gossip/wide meet.

    ledger, door  --who may come-------> allow       offered, streamed --> transport --> links
    secrets       --where to meet------> meet        found, heard -------> Found --> machine (a hint, paced)
    heads         --what is held here--> announce    tell ---------------> people
    machine       <--NewRendezvous-- an admin who has no secret for it yet

Rules kept here: libp2p is not even imported unless a bootstrap or a relay is named, and not before the node is ready;
whatever is wrong out there is a line for people, and the LAN goes on without. What is pushed is pushed when it changes:
the ledger is asked when it has grown, and every few seconds for what ends by itself. A new key, or a new
network, is a new host: links that do not go over libp2p stay.

It refuses to know what carries all that, and who may enter: the door says whom to keep, the transport asks it again
about every offer.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any, Final

from gossip.events import Event, Found, NewRendezvous
from gossip.invites import Beyond
from gossip.node import announced
from gossip.node.carrier import Links, Machine, Open, Wide, in_words, not_there
from gossip.node.config import NodeConfig
from gossip.node.door import Door
from gossip.node.hearsay import Hearsay
from gossip.node.namespaces import KEPT_S, SECRET_BYTES, Secrets
from gossip.transport.road import Stream, place_by_road
from ledger.entry import PeerId
from ledger.errors import GossipError, LinkError, LocalError
from ledger.keys import PrivateKey
from ledger.replica import Replica
from ledger.store import PutMeta, Store

LOOK_EVERY_S: Final = 1.0  # at what changes by itself: an invite that was made, or is over
PACE_S: Final = 0.2  # between two looks, however much comes in
ANNOUNCE_S: Final = 1.0  # between two announcements for each member: everybody hears one a second of all together
AGAIN_S: Final = 5.0  # the members are read again after so long, for memberships end by the calendar
BEGIN_S: Final = 8.0  # how long a dial waits for the host to be there
LEAVING_S: Final = 5.0  # of a connection to who is out
LEAVE_S: Final = 1.0  # what was said by the old key leaves first
CLOSE_S: Final = 2.0  # when the node stops
OVER_S: Final = 6.0  # when another host follows, that wants the port: more than gossip/wide/bridge.py takes
RETRY_S: Final = (1.0, 60.0)  # until it is begun anew: the first time, doubling up to the last
LASTED_S: Final = 60.0  # a host of that age was no failure to begin with
ALONE_S: Final = 5.0  # without a bootstrap or relay, until a person is told
ASK_EVERY_S: Final = 10.0  # for a new secret, if the machine did not make it of the last
OUTLIVED_S: Final = 25.0  # after so long a sleep no connection is alive (gossip/peer/links.py)
SAME_TEXT_S: Final = 60.0  # before people hear the same again
TEXTS_KEPT: Final = 32
MAX_TEXT_CHARS: Final = 300
SECRETS: Final = "wide"  # the key in the store: node/namespaces.py


class _Off(Exception):
    """libp2p cannot be used on this machine: it is missing, too old, or does not load. No other try would do better."""


class Abroad:
    """One node's. It is a Road that waits for its host, and the Listener of what comes in.

    `key` is the one in force, `linked` those of all links, `tell` is for people, `host` the address to listen on.
    """

    def __init__(
        self, config: NodeConfig, own: PeerId, replica: Replica, door: Door, store: Store, *, host: str,
        key: Callable[[], PrivateKey], linked: Callable[[], Collection[str]], transport: Links, machine: Machine,
        post: Callable[[Event], Coroutine[Any, Any, None]], post_soon: Callable[[Event], None],
        tell: Callable[..., None], today: Callable[[], float], open_: Open,
    ) -> None:  # fmt: skip
        self._config, self._own, self._replica, self._door, self._store = config, own, replica, door, store
        self._key, self._linked, self._transport, self._machine = key, linked, transport, machine
        self._post, self._post_soon, self._tell, self._today = post, post_soon, tell, today
        self._open, self._host = open_, host
        ticket = self._ticket = config.ticket
        self.bootstrap = _joined(config.bootstrap, ticket.bootstraps() if ticket else ())
        self.relays = _joined(config.relays, ticket.relays() if ticket else ())
        self._secrets = Secrets.kept(store.find_meta(SECRETS))
        self._wide: Wide | None = None
        self._begun = asyncio.Event()  # the host answers, or it never will
        self._changed, self._anew = asyncio.Event(), asyncio.Event()
        self._refused = ""  # why libp2p cannot be used on this machine
        self._hearsay = Hearsay(door, self._knows, linked, post_soon)
        self.found, self.heard = self._hearsay.found, self._hearsay.heard
        self._told: dict[str, float] = {}
        self._forget()

    @property
    def is_used(self) -> bool:
        """Whether this node was told of anything beyond its network."""
        return bool(self.bootstrap or self.relays)

    @property
    def beyond(self) -> Beyond:
        """For invites: how this node is found from other networks."""
        if not self.is_used:
            return Beyond()
        rendezvous = self._machine.rendezvous
        secret = rendezvous.secret if rendezvous is not None else self._secrets.newest
        return Beyond(self.bootstrap, self.relays, secret)

    # -------------------------------------------------------------- its life

    async def run(self) -> None:
        """Be there, and keep what it was told in step with the node, for ever. Whatever fails is begun anew, and costs
        this alone."""
        wait_s = RETRY_S[0]
        while self.is_used:
            began = time.monotonic()
            try:
                await self._once()
            except _Off as error:
                self._refused = str(error)
                await self.close(OVER_S)
                self._begun.set()
                self._tell("trouble", text=f"{self._refused}; meanwhile this peer meets those of its own network only")
                return
            except Exception as error:  # of a library that changes: the swarm on this network goes on
                await self.close(OVER_S)
                wait_s = RETRY_S[0] if time.monotonic() - began > LASTED_S else wait_s
                what = " ".join(f"libp2p has failed: {type(error).__name__}: {error}".split())[:MAX_TEXT_CHARS]
                self.tell(f"{what}; it is begun anew, and meanwhile this peer meets those of its own network only")
                await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))
                wait_s = min(wait_s * 2, RETRY_S[1])

    async def _once(self) -> None:
        """From one host to the next."""
        from gossip.wide.config import WideConfig

        self._anew.clear()
        self._forget()
        key = self._key()
        self._hearsay.own = key.public
        where = WideConfig(self.bootstrap, self.relays, self._host, self._config.wide_port)
        try:
            wide = self._open(key, where, self)
            await wide.start()
        except LocalError as error:  # it is missing, or too old
            raise _Off(str(error)) from error
        self._wide = wide
        await self._follow(wide)
        await self.close(OVER_S)

    def changed(self) -> None:
        """Something was decided here: look whether libp2p is to know."""
        if self._wide is not None and self._standing() != self._stood:
            self._changed.set()

    def invited(self) -> None:
        """The owner said who may come in: whoever was told so may be here at once."""
        self._changed.set()

    def key_changed(self) -> None:
        """Be there as the holder of the key that is in force now. What is on its way over libp2p leaves first."""
        self._leave_s = LEAVE_S
        self._anew.set()
        self._changed.set()

    def woke(self, slept_s: float, host: str, *, moved: bool) -> None:
        """This machine slept, or stands at another address."""
        self._host = host
        if moved or slept_s >= OUTLIVED_S:
            self._anew.set()
            self._changed.set()

    async def close(self, within_s: float | None = None) -> None:
        """End it, in CLOSE_S or the time that is given. Safe in any state."""
        wide, self._wide = self._wide, None
        self._begun.clear()
        if wide is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S if within_s is None else within_s):
                    await wide.close()

    async def _follow(self, wide: Wide) -> None:
        """Until it is to begin anew."""
        while not self._anew.is_set():
            self._changed.clear()
            await self._look(wide)
            await asyncio.sleep(PACE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S if self._begun.is_set() else 0):
                    await self._changed.wait()
        await asyncio.sleep(self._leave_s)

    def _forget(self) -> None:
        """What the next host has not been told yet."""
        self._leave_s = 0.0
        self._allowed: tuple[frozenset[bytes], bool] | None = None
        self._members: frozenset[bytes] = frozenset()
        self._leaving: dict[bytes, float] = {}
        self._read_at = -AGAIN_S
        self._stood: tuple[object, ...] = ()
        self._meeting: tuple[tuple[bytes, ...], int] | None = None
        self._announced_of, self._announce_at = -1, 0.0
        self._asked_at = -ASK_EVERY_S
        self._state = ""
        self._alone_at = time.monotonic() + ALONE_S

    # -------------------------------------------------------------- what it is told

    def _standing(self) -> tuple[object, ...]:
        """What decides what libp2p is told, in numbers that cost nothing."""
        rendezvous, promised = self._machine.rendezvous, len(self._hearsay.promised)
        return (self._replica.admitted, self._door.is_seeking, rendezvous, promised)

    async def _look(self, wide: Wide) -> None:
        standing, at = self._standing(), time.monotonic()
        if standing != self._stood or self._leaving or at - self._read_at >= AGAIN_S:
            grown = self._stood[:1] != standing[:1]
            self._stood, self._read_at = standing, at
            self._allow(at)
            if grown:
                self._hearsay.digest = announced.digest_of(self._replica.heads())
        self._announce(wide, at)
        strangers = self._door.awaits()
        if self._allowed != (self._members, strangers):
            self._allowed = self._members, strangers
            wide.allow(*self._allowed)
        self._meet(wide)
        await self._ask_for_secret(at)
        self._say_state(wide)

    def _allow(self, at: float) -> None:
        """The members as they are now; who is one no more keeps its connection for a moment, as long as it has a link:
        the machine still tells it so."""
        members = self._door.members()
        self._hearsay.settle(members)
        members = members.union(self._hearsay.promised)
        if self._ticket is not None and not self._is_member():
            members |= {self._ticket.key}
        for key in self._members - members:
            self._leaving.setdefault(key, at + LEAVING_S)
        online = self._linked()
        leaving = {key for key, until in self._leaving.items() if at < until and key.hex() in online}
        self._leaving = {key: until for key, until in self._leaving.items() if key in leaving and key not in members}
        self._members = members.union(self._leaving) - {self._hearsay.own}

    def _announce(self, wide: Wide, at: float) -> None:
        """Something new: soon in a small swarm. In one that trains, each entry is news to each member, who would say so
        to all others; so the more they are the less often each speaks."""
        if self._announced_of == self._replica.admitted or at < self._announce_at or not self._is_member():
            return
        self._announced_of, self._announce_at = self._replica.admitted, at + ANNOUNCE_S * len(self._members)
        heads = self._replica.heads()
        wide.announce(announced.announcement(heads.get(self._own, 0), heads))

    def _meet(self, wide: Wide) -> None:
        rendezvous = self._machine.rendezvous
        secrets_now = self._secrets.follow(rendezvous.secret if rendezvous is not None else b"", self._today())
        if secrets_now != self._secrets:
            try:
                self._store.commit([PutMeta(SECRETS, secrets_now.data)])
                self._secrets = secrets_now
            except GossipError as error:  # what is not kept is not met under: it is tried at the next look
                self.tell(str(error))
        meeting = self._secrets.meeting(self._invited(), is_member=self._is_member())
        if meeting != self._meeting:
            self._meeting = meeting
            wide.meet(*meeting)

    def _invited(self) -> bytes:
        """Where the invite says that members meet: one that was away for long is back by a new one, and an old one ends
        to be looked at as an old secret does."""
        ticket = self._ticket
        if ticket is None or (self._is_member() and 0 < ticket.expires <= self._today() - KEPT_S):
            return b""
        return ticket.rendezvous

    async def _ask_for_secret(self, at: float) -> None:
        if at - self._asked_at >= ASK_EVERY_S and self._machine.wants_rendezvous:
            self._asked_at = at
            await self._post(NewRendezvous(secrets.token_bytes(SECRET_BYTES)))

    def _say_state(self, wide: Wide) -> None:
        now, at = wide.report(), time.monotonic()
        if now["state"] == "starting":
            return
        if now["state"] == "off":
            raise _Off(str(now["text"]))
        if now["state"] != "alone":
            self._alone_at = at + ALONE_S
        elif at < self._alone_at:  # a first connection takes a moment; a dial before it would find no way
            return
        self._begun.set()
        if now["state"] == self._state:
            return
        self._state = now["state"]
        relays = sum(bool(relay["reserved"]) for relay in now["relays"])
        self._tell("wide", state=self._state, peer_id=now["peer_id"], relays=relays)
        if self._ticket is not None and not self._is_member():
            self._post_soon(Found(*place_by_road(self._ticket.key), self._ticket.key))

    def _is_member(self) -> bool:
        return bool(self._replica.role_of(self._own))

    # -------------------------------------------------------------- the road

    async def exchange(self, key: bytes, offer: bytes) -> bytes:
        """As Road has it."""
        try:
            return await (await self._host_of(key)).exchange(key, offer)
        except LinkError as error:
            raise self._in_words(key, error) from error

    async def open(self, key: bytes) -> Stream:
        """As Road has it."""
        try:
            return await (await self._host_of(key)).open(key)
        except LinkError as error:
            raise self._in_words(key, error) from error

    def _in_words(self, key: bytes, error: LinkError) -> LinkError:
        invited = self._ticket is not None and self._ticket.key == key and not self._is_member()
        relays = self._wide.report()["relays"] if invited and self._wide is not None else ()
        return in_words(key, error, invited=invited, relays=relays)

    async def _host_of(self, key: bytes) -> Wide:
        """The host, as soon as it is there: whoever starts first waits for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGIN_S if self.is_used else 0):
                await self._begun.wait()
        if self._wide is None:
            why = self._refused or ("it is starting" if self.is_used else "this node was told of no bootstrap or relay")
            raise LinkError("no way over libp2p", why=why)
        return self._wide

    # -------------------------------------------------------------- what it hears

    async def offered(self, key: bytes, offer: bytes) -> bytes | None:
        """Signalling came in."""
        try:
            return await self._transport.answer_offer(key, offer)
        except GossipError:
            return None  # silence, as over HTTP

    def streamed(self, stream: Stream) -> None:
        """A link wants to be one over libp2p itself."""
        self._transport.answer_stream(stream)

    def tell(self, text: str) -> None:
        """Trouble out there, for people; the same not too often."""
        at = time.monotonic()
        if at - self._told.get(text, at - SAME_TEXT_S) < SAME_TEXT_S:
            return
        self._told.pop(text, None)
        self._told[text] = at
        while len(self._told) > TEXTS_KEPT:
            del self._told[next(iter(self._told))]
        self._tell("trouble", text=text)

    def _knows(self, key: bytes) -> bool:
        is_inviter = self._ticket is not None and self._ticket.key == key and not self._is_member()
        return is_inviter or self._door.admits(key)

    # -------------------------------------------------------------- for people

    def report(self) -> dict[str, Any] | None:
        """The status field `wide` (docs/status.md); None if this node does not go beyond its network."""
        if not self.is_used:
            return None
        if self._wide is not None:
            return {**self._wide.report(), "unread": self._hearsay.unread, "text": ""}
        nowhere = not_there(self._key().public, self.bootstrap, self.relays, self._refused)
        return {**nowhere, "unread": self._hearsay.unread, "text": self._refused}


def _joined(own: tuple[str, ...], invited: tuple[str, ...]) -> tuple[str, ...]:
    """What the user named, then what the invite did; each once."""
    return tuple(dict.fromkeys((*own, *invited)))
