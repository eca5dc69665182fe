"""Whom we let into a handshake: every offer's way from its signature to a place, whatever it came by.

    offer --swarm, addressee--> gate --new?--> budget of its key --> place --> handshake

The gate decides who may enter: a member, whoever proves a ticket, or a guest who may enter without. All refusals look
alike to whoever asks.

Bounds: as many handshakes as the limits say of a key lately, and places for so many keys in all. A key has one place,
and in it one handshake of each kind: its dialler may try a data channel and a stream side by side, and neither ends
the other; a newer one of the same kind ends the older. Guests, who can make as many keys as they like, have a share of
the places together and never all, and with one ticket no more than it lets in: so a crowd of them keeps no member out.
What came by a road has no address that could be counted, so all of it is counted as from one: beyond its offers, only
those are read that name who may enter.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, Protocol

from gossip.bucket import Buckets
from gossip.limits import Limits
from gossip.transport.offers import AnyOffer, Offer, digest, read_offer, read_stream_offer
from gossip.transport.tickets import Ticket, is_proof
from ledger.entry import Hash
from ledger.errors import LinkError

KEYS_REMEMBERED = 4_096  # with how many handshakes each has had lately; only of those that may enter
OFFERS_REMEMBERED = 4_096  # against replay: an offer is good once

Kind = Literal["channel", "stream"]


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """A ticket that can still be used, as the gate holds it."""

    secret: bytes
    role: str
    places: int = 1  # how many may still come in with it, side by side


@dataclass(frozen=True, slots=True)
class Admitted:
    """As what an offer is let in. A member has no role; a guest without a ticket no ticket."""

    role: str = ""
    ticket: bytes = b""
    places: int = 0  # of that ticket


@dataclass(frozen=True, slots=True)
class Handshake:
    """One under way, as the answerer."""

    task: asyncio.Task[None]
    admitted: Admitted


class Gate(Protocol):
    """Who may have a link with us. Asked on every handshake; must answer at once."""

    def admits(self, key: bytes) -> bool: ...

    def seeks(self) -> bool:
        """Whether we may have forgotten members: then whoever lets us in will do, where we are the one to dial."""
        ...

    def ticket(self, ticket_id: bytes, key: bytes) -> OpenTicket | None: ...

    def expects(self, key: bytes) -> bool:
        """Whether that very key was named as one that may enter."""
        ...

    def guest(self, key: bytes) -> str:
        """The role in which a stranger with that key may enter without a ticket; "" for none."""
        ...


class Admission:
    """The handshakes under way of one peer. `limits` say how many."""

    def __init__(self, swarm: Hash, gate: Gate, limits: Limits) -> None:
        self.gate = gate
        self.budget = Buckets(limits.handshakes_burst, limits.handshakes_per_min / 60, KEYS_REMEMBERED)
        self._by_road = Buckets(limits.offers_burst, limits.offers_per_min / 60, 1)
        self._swarm = swarm
        self._limits = limits
        self._under_way: dict[tuple[bytes, Kind], Handshake] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._closed = False

    async def close(self) -> None:
        """End the handshakes under way; nobody is let in any more."""
        self._closed = True
        tasks = [one.task for one in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------- answer

    def admit(self, offer: AnyOffer, data: bytes, own: bytes) -> Admitted | None:
        """As what whoever signed this offer, `data` as it came, may begin a handshake with us; None: silence. Ends
        the older one of its kind."""
        key = bytes.fromhex(offer.key)
        if self._closed or offer.swarm != self._swarm or offer.to not in ("", own.hex()) or key == own:
            return None
        admitted = self._asked(offer, key)
        if admitted is None or not self._is_new(digest(data)):
            return None
        if not self.budget.take(key, asyncio.get_running_loop().time()):
            return None  # its owner has signed all of these offers: nobody else can use up its share
        if (older := self._under_way.pop((key, kind_of(offer)), None)) is not None:
            older.task.cancel()
        return admitted if self.has_room(key, admitted) else None

    def begin(self, key: bytes, kind: Kind, admitted: Admitted, task: asyncio.Task[None]) -> None:
        """Take a place for a handshake, until its task ends."""
        self._under_way[key, kind] = Handshake(task, admitted)
        task.add_done_callback(lambda done: self._forget(key, kind, done))

    def settle(self, key: bytes, kind: Kind) -> None:
        """That key has its link, by a handshake of this kind: its dialler has let go of the other, which would not
        hear of it before its time is over (aiortc says nothing of a connection that never opened)."""
        other: Kind = "stream" if kind == "channel" else "channel"
        if (lost := self._under_way.get((key, other))) is not None:
            lost.task.cancel()

    def has_room(self, key: bytes, admitted: Admitted) -> bool:
        """Whether one of that key may begin. Keys cost a guest nothing, so guests share a part of the places."""
        others = {of: one.admitted for (of, _), one in self._under_way.items() if of != key}.values()
        most = self._limits.handshakes_open
        if len(others) >= most or not admitted.role:
            return len(others) < most
        with_it = sum(bool(one.ticket) and one.ticket == admitted.ticket for one in others)
        is_free = sum(bool(one.role) for one in others) < self.guest_places
        return is_free and (not admitted.ticket or with_it < admitted.places)

    @property
    def guest_places(self) -> int:
        most = self._limits.handshakes_open
        return max(1, min(most - 1, most * self._limits.guest_percent // 100))

    def may_ask(self, data: bytes, kind: Kind) -> bool:
        """Whether an offer that came by a road is looked at."""
        return self._by_road.take("road", asyncio.get_running_loop().time()) or self.is_known(data, kind)

    def is_known(self, data: bytes, kind: Kind = "channel") -> bool:
        """Whether an offer names somebody who may enter, if it is by whom it says. RemoteError: it is none."""
        offer = read_offer(data) if kind == "channel" else read_stream_offer(data)
        try:
            key, ticket = bytes.fromhex(offer.key), bytes.fromhex(offer.ticket)
        except ValueError:
            return False
        return self.gate.admits(key) or self.gate.expects(key) or bool(ticket and self.gate.ticket(ticket, key))

    # --------------------------------------------------------------- dial

    def require_trust(self, key: bytes | None, own: bytes, ticket: Ticket | None) -> None:
        """LinkError unless we may have a link with that key, as the one who dials. None: whoever is there."""
        if key == own:
            raise LinkError("that peer is ourselves")
        is_trusted = key is None or self.gate.admits(key) or (ticket is not None and ticket.key == key)
        if not is_trusted and not self.gate.seeks():
            raise LinkError("that peer is no member we know of yet")

    # ------------------------------------------------------------ private

    def _asked(self, offer: AnyOffer, key: bytes) -> Admitted | None:
        """None for a stranger."""
        if self.gate.admits(key):
            return Admitted()
        if offer.ticket:
            named = bytes.fromhex(offer.ticket)
            ticket = self.gate.ticket(named, key)
            if ticket is not None and is_proof(ticket.secret, offer.unproven(), bytes.fromhex(offer.proof)):
                return Admitted(ticket.role, named, ticket.places)
        role = self.gate.guest(key)
        return Admitted(role) if role else None

    def _is_new(self, offer: str) -> bool:
        if offer in self._seen:
            return False
        self._seen[offer] = None
        while len(self._seen) > OFFERS_REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _forget(self, key: bytes, kind: Kind, task: asyncio.Task[None]) -> None:
        if (current := self._under_way.get((key, kind))) is not None and current.task is task:
            del self._under_way[key, kind]


def kind_of(offer: AnyOffer) -> Kind:
    return "channel" if isinstance(offer, Offer) else "stream"
