"""Letting others in, while the node runs: its owner's commands, the codes that are open, and what strangers may ask.

    control --invite, allow, open, members--> Inviting --> store (tickets, keys), open codes --shout--> mDNS
    strangers --/gossip/1/code, confirm, card--> hatches --> a sealed ticket, a card, or silence
    a file of keys --AllowFile--> door

Rules kept here: a code is in memory only, its number is called out by mDNS while it is open and no longer, and its
ticket outlives it by GRACE_S, so that who was given it has time to come; a peer that may let nobody in opens nothing.
It refuses to know how a guest becomes a member (gossip/peer/welcome.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from gossip import ids, invites
from gossip.node.allowlist import AllowFile
from gossip.node.door import Door
from gossip.node.visitors import name_of
from gossip.transport import card
from gossip.transport.code import ASK_PATH, CONFIRM_PATH, MAX_SEALED_CHARS, Code
from gossip.transport.discovery import Discovery
from gossip.transport.open_codes import Ended, OpenCodes, Wrong
from gossip.transport.signalling import Hatch
from gossip.transport.tickets import MAX_TEXT_CHARS, MAX_TIME, Ticket
from ledger.entry import PeerId
from ledger.errors import GossipError, LocalError
from ledger.keys import PrivateKey
from ledger.replica import Replica
from ledger.roster import roster
from ledger.store import PutMeta, Store

CODE_TTL_S: Final = 600.0
MAX_CODE_TTL_S: Final = 86_400.0
GRACE_S: Final = 60.0  # from a code's end to its ticket's
LOOK_EVERY_S: Final = 1.0  # at the file of keys


class Inviting:
    """One node's. `key` is the one in force, `now` Unix time, `tell` for people, `online` the keys of those linked."""

    def __init__(
        self, store: Store, replica: Replica, own: PeerId, door: Door, *, allowlist: Path | None,
        key: Callable[[], PrivateKey], now: Callable[[], float], tell: Callable[..., None],
        online: Callable[[], set[str]], beyond: Callable[[], invites.Beyond] = invites.Beyond,
    ) -> None:  # fmt: skip
        self._store, self._replica, self._own, self._door = store, replica, own, door
        self._key, self._now, self._tell, self._online = key, now, tell, online
        self._beyond = beyond  # how this node is found from other networks, as of now
        self._file = AllowFile(allowlist) if allowlist is not None else None
        self._codes = OpenCodes()
        self._tickets: dict[Code, bytes] = {}  # the ids of open codes' tickets; two may have one number, one by one
        self._card: Ticket | None = None
        self._changed = asyncio.Event()
        self._address = ""
        self._spoiled: dict[str, Any] | None = None  # what strangers have done to the last code
        door.is_open = invites.is_open(store)
        if self._file is not None:
            self._file.refresh()  # a list that cannot be read stops the node before it listens
        self._take_list()
        self.hatches: Mapping[str, Hatch] = {
            ASK_PATH: self._ask,
            CONFIRM_PATH: self._confirm,
            card.PATH: self._give_card,
        }

    async def run(self, discovery: Discovery, address: str) -> None:
        """Keep what others can find in step with what is open, for ever. `address`: where this node answers."""
        self._address = address
        shouted: list[tuple[str, str]] = []
        while True:
            self._changed.clear()
            self._look_at_file()
            self._codes.expire(self._now())
            self._tell_news()
            wanted = self._wanted()
            if wanted != shouted:
                try:
                    await discovery.shout(int(self._address.rpartition(":")[2]), wanted)
                except (GossipError, OSError) as error:  # codes work without: --address
                    self._tell("trouble", text=str(error))
                shouted = wanted
            await self._wait()

    def moved(self, address: str) -> None:
        """This node answers there from now on: tickets and cards made from now on name it."""
        self._address, self._card = address, None

    async def _wait(self) -> None:
        """Until something changes, a code has had its time, or the file is to be looked at."""
        end = self._codes.next_end
        waits = [max(0.01, end - self._now())] if end is not None else []
        if self._file is not None:
            waits.append(LOOK_EVERY_S)
        try:
            async with asyncio.timeout(min(waits, default=None)):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _wanted(self) -> list[tuple[str, str]]:
        found = [("code", str(waiting.code.number)) for waiting in self._codes]
        if self._is_open():
            found.append(("open", card.called(self._replica.genesis.name)))
        return found

    def _is_open(self) -> bool:
        return self._door.is_open and self._replica.has_genesis

    # -------------------------------------------------------------- strangers

    def _ask(self, data: bytes, host: str) -> bytes | None:
        return self._codes.ask(data, host, self._now())

    def _confirm(self, data: bytes, host: str) -> bytes | None:
        box = self._codes.confirm(data, host, self._now())
        if self._codes.news:
            self._changed.set()
        return box

    def _give_card(self, data: bytes, host: str) -> bytes | None:
        if not self._is_open():
            return None
        try:
            text = self._make_card("trainer").text
        except LocalError:  # this peer may let nobody in (any more)
            return None
        return card.answer(data, self._replica.genesis.name, text)

    def _make_card(self, role: str) -> Ticket:
        key = self._key()
        if self._card is None or (self._card.key, self._card.role) != (key.public, role):
            inviter = self._inviter()
            self._card = invites.new_card(
                key, inviter, role=inviter.give(role), addresses=(self._address,), beyond=self._beyond()
            )
        return self._card

    # -------------------------------------------------------------- the owner

    async def command(self, command: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """What docs/status.md says of "invite", "allow", "open" and "members"."""
        match command:
            case "invite":
                return self._invite(request)
            case "allow":
                return self._allow(request)
            case "open":
                return self._set_open(request.get("open"))
            case _:
                return self._members()

    def _invite(self, request: Mapping[str, Any]) -> dict[str, Any]:
        inviter, now, with_code = self._inviter(), self._now(), bool(request.get("code", False))
        role, uses, ttl_s = str(request.get("role", "trainer")), request.get("uses", 1), request.get("ttl_s", 0)
        until = invites.until(ttl_s or (CODE_TTL_S if with_code else 0), now)
        if with_code and until > now + MAX_CODE_TTL_S + 1:
            raise LocalError(
                f"a code for {ttl_s} s", why="it is short, and open to guesses meanwhile",
                next_step=f"choose at most {MAX_CODE_TTL_S:,.0f} seconds, or make a ticket",
            )  # fmt: skip
        left = invites.places_left(self._replica.genesis, inviter, self._let_in())
        uses = uses if left is None or not isinstance(uses, int) else min(uses, left)
        ticket = invites.new_ticket(
            self._store, self._key(), inviter, role=role, uses=uses, addresses=(self._address,), beyond=self._beyond(),
            expires=until + int(GRACE_S) if with_code else until,
            longest=MAX_SEALED_CHARS if with_code else MAX_TEXT_CHARS,
        )  # fmt: skip
        told = {
            "ticket": ticket.text, "address": self._address, "role": role, "uses": uses, "expires": until,
            "bootstrap": list(ticket.bootstraps()), "relays": list(ticket.relays()),
        }  # fmt: skip
        if not with_code:
            return told
        try:
            code = self._codes.open(ticket.text, uses=uses, until=until, now=now)
        except LocalError:
            self._store.close_ticket(ticket.ticket_id)
            raise
        self._spoiled = None
        self._tickets[code] = ticket.ticket_id
        self._door.coded.add(ticket.ticket_id)
        self._changed.set()
        return {**told, "code": code.text, "number": code.number}

    def _allow(self, request: Mapping[str, Any]) -> dict[str, Any]:
        digits = ids.read(str(request.get("key", "")), "key")
        if self._replica.enrolled(digits):  # asked first: of two ids one is no point on the curve, either
            raise invites.is_an_id(digits)
        key = invites.checked_key(digits)
        if request.get("remove"):
            removed = self._store.disallow(key)
            self._take_list()
            return {"key": key.hex(), "removed": removed}
        inviter, expires = self._inviter(), request.get("expires", 0)
        role = inviter.give(str(request.get("role", "trainer")))
        invites.places_left(self._replica.genesis, inviter, self._let_in())
        if not isinstance(expires, int) or not (expires == 0 or self._now() < expires <= MAX_TIME):
            raise LocalError("a membership that ends at no time to come", next_step="name a time after now, or none")
        self._store.allow(key, role, expires)
        self._take_list()
        return {
            "key": key.hex(), "role": role, "expires": expires, "card": self._make_card(role).text,
            "address": self._address,
        }  # fmt: skip

    def _set_open(self, wanted: object) -> dict[str, Any]:
        if not isinstance(wanted, bool):
            raise LocalError("open, or not?", next_step="say true or false")
        self._inviter().give("trainer")
        self._store.commit([PutMeta(invites.OPEN, b"1" if wanted else b"")])
        self._door.is_open = wanted
        self._changed.set()
        return {"open": wanted, "name": self._replica.genesis.name, "address": self._address}

    def _members(self) -> dict[str, Any]:
        replica, online = self._replica, self._online()
        members = []
        for peer in sorted(log for log in replica.heads() if "~" not in log):
            seat = replica.membership(peer)
            if seat is None:
                continue
            key = replica.key_of(peer).hex()
            members.append({
                "peer": peer, "name": name_of(replica, peer), "role": seat.role, "key": key, "expires": seat.expires,
                "house": seat.house, "online": key in online, "own": peer == self._own,
            })  # fmt: skip
        filed = {one.key for one in self._file.keys} if self._file is not None else set()
        return {
            "members": members,
            "roster": [asdict(row) for row in roster(replica, int(self._now()))],
            "threshold": replica.genesis.threshold if replica.has_genesis else 0,
            "allowed": [
                {"key": one.key.hex(), "role": one.role, "expires": one.expires,
                 "source": "file" if one.key in filed else "store"}
                for one in self._door.allowed
            ],
            "codes": self._open_codes(),
            "open": self._door.is_open,
        }  # fmt: skip

    def doorway(self) -> dict[str, Any]:
        """Which ways in are open now, for a status; `spoiled`: the last code that somebody tried wrong words at."""
        return {"open": self._is_open(), "codes": self._open_codes(), "spoiled": self._spoiled}

    def _open_codes(self) -> list[dict[str, Any]]:
        return [
            {"number": one.code.number, "uses": one.uses, "given": one.given, "tries": one.tries,
             "expires": int(one.until)}
            for one in self._codes
        ]  # fmt: skip

    def _let_in(self) -> list[str]:
        """The names of those who came in by this peer."""
        logs = (log for log in self._replica.branches.logs.values() if log.peer == self._own)
        return [name_of(self._replica, peer) for peer in sorted({one.peer for log in logs for one in log.admissions})]

    def _inviter(self) -> invites.Inviter:
        """What this peer may do now; LocalError: nothing."""
        replica, own = self._replica, self._own
        if not replica.has_genesis or not replica.enrolled(own):
            raise LocalError("this peer is no member yet", next_step="wait until it was let in")
        return invites.inviter_of(
            replica.genesis, replica.swarm, replica.founder, own=own, enrol_key=replica.enrol_key_of(own).hex(),
            seat=replica.membership(own), now=self._now(),
        )  # fmt: skip

    # -------------------------------------------------------------- what changed

    def key_changed(self) -> None:
        """Every ticket names the key before this one, so nobody can enter with it: not by a code either."""
        self._codes.close()
        self._store.close_tickets()
        self._changed.set()

    def _look_at_file(self) -> None:
        if self._file is None:
            return
        try:
            if self._file.refresh():
                self._take_list()
        except LocalError as error:
            self._tell("trouble", text=f"{error}; the keys read before stay in force")

    def _take_list(self) -> None:
        """The store's keys and the file's; the file has the last word on a key."""
        filed = self._file.keys if self._file is not None else ()
        self._door.allow((*self._store.allowed(), *filed))

    def _tell_news(self) -> None:
        news, self._codes.news = self._codes.news, []
        for item in news:
            match item:
                case Wrong(number, host, left):
                    text = f"somebody at {host} typed code number {number} with wrong words; tries left: {left}"
                    self._spoiled = {"number": number, "left": left}
                    self._tell("trouble", text=text)
                case Ended(code, why, given):
                    ticket = self._tickets.pop(code, b"")
                    if why != "burnt" and self._spoiled is not None and self._spoiled["number"] == code.number:
                        self._spoiled = None
                    if not given:  # nobody has its ticket
                        self._store.close_ticket(ticket)
                        self._door.coded.discard(ticket)
                    self._tell("code", number=code.number, why=why, given=given)
