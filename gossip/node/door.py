"""Who may have a link with this node: members, and guests, who have to become members while they are here.

    strangers --a ticket's proof, an allowed key, an open door--> guests --member entry--> (a use of it is taken)

A use is taken when its bearer has become a member, so that a broken connection or a restart burns nothing; until
then a guest holds its place as long as its link, and GUEST_S in any case, so that a ticket for one lets in one at a
time, also of several who knock at once. Of several tickets that one key has come with, the one pays whose role it got.
At an open door MAX_CROWD guests may stand at a time, each as long as it has its link.

Rules kept here: a key that a member once had, and has changed, enters no more, nor does one whose owner is out, or
whose time is over: no ticket, list or open door undoes a rotation or a revocation, or stands in place of a renewal.
Guests come in only as what this peer may make of them, and go when the right by which they came is gone (`unwelcome`).
This file refuses to know what a link is for, and decides nothing that the ledger's rules decide (ledger/roles.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from gossip.invites import inviter_of
from gossip.peer.links import WAITING_S
from gossip.transport.link import Link
from gossip.transport.webrtc import OpenTicket
from ledger.chain import peer_of
from ledger.entry import PeerId
from ledger.errors import LocalError
from ledger.replica import Replica
from ledger.store import Store, StoredAllowed

GUEST_S: Final = WAITING_S + 10.0  # the machine keeps a guest's link no longer, by its own clock, which starts later
LOOK_EVERY_S: Final = 1.0  # at whether those who are here still may be
MAX_CROWD: Final = 8  # guests of an open door at once

How = Literal["code", "ticket", "allowed", "open"]


@dataclass(frozen=True, slots=True)
class Visit:
    """How somebody came in."""

    role: str = ""  # "": a member
    how: How | Literal[""] = ""
    expires: int = 0  # of the membership to come; 0: never


@dataclass(slots=True)
class _Guest:
    since: float
    ways: dict[bytes, Visit] = field(default_factory=dict)  # by ticket, b"": none; in the order in which it used them
    links: list[Link] = field(default_factory=list)


class Door:
    """The transport's gate (transport/webrtc.py), over the membership as it stands now.

    `clock` measures waiting, `today` is Unix time. Once `own` is set, only who this peer may let in comes in.
    """

    def __init__(
        self, replica: Replica, store: Store, clock: Callable[[], float] = time.monotonic,
        known: tuple[bytes, ...] = (), *, own: PeerId = "", today: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._replica = replica
        self._store = store
        self._clock = clock
        self._today = today
        self._own = own
        self._known = frozenset(known)  # members by a backup's word: a peer set up from it holds no log that names one
        self.is_seeking = False  # this peer may have forgotten members (gossip/peer/homecoming.py)
        self.is_open = False  # anybody may enter, as trainer
        self.coded: set[bytes] = set()  # the ids of tickets that codes stand for
        self._allowed: dict[bytes, StoredAllowed] = {}
        self._guests: dict[bytes, _Guest] = {}  # by key
        self._look_at = 0.0

    def admits(self, key: bytes) -> bool:
        peer = self._replica.member_by_key(key)
        if peer is None:  # (of a key in a backup the ledger may know by now that its owner is out)
            return key in self._known and not self._is_spent(key)
        seat = self._replica.membership(peer)
        return seat is None or not seat.has_expired(int(self._today()))

    def seeks(self) -> bool:
        return self.is_seeking

    def members(self) -> frozenset[bytes]:
        """The keys in force of all who are members now, and those that a backup names."""
        replica, today, found = self._replica, int(self._today()), set()
        for peer in replica.heads():
            seat = replica.membership(peer) if peer == peer_of(peer) and replica.enrolled(peer) else None
            if seat is not None and not seat.has_expired(today):
                found.add(replica.key_of(peer))
        return frozenset(found | {key for key in self._known if self.admits(key)})

    def awaits(self) -> bool:
        """Whether somebody who is no member yet may come in: with a ticket, as a key on the list, or as anybody."""
        if self.is_open or any(not self._is_over(one.expires) for one in self._allowed.values()):
            return True
        return self._store.open_tickets(self._today()) > 0

    def allow(self, allowed: Iterable[StoredAllowed]) -> None:
        """The keys that may enter from now on; of two words on one key the last counts."""
        self._allowed = {one.key: one for one in allowed}
        self._look_at = 0.0

    @property
    def allowed(self) -> tuple[StoredAllowed, ...]:
        return tuple(self._allowed.values())

    # -------------------------------------------------------------- who may enter

    def ticket(self, ticket_id: bytes, key: bytes) -> OpenTicket | None:
        """The ticket, if `key` may enter with it: somebody else's visit must not have taken the last use."""
        kept = self._store.ticket(ticket_id)
        if kept is None or self._is_over(kept.expires):
            return None
        places = kept.uses - self._guests_of(ticket_id, key)
        if places <= 0:
            return None
        if not self._may_give(kept.role) or self._is_spent(key):
            return None
        return OpenTicket(kept.secret, kept.role, places)

    def expects(self, key: bytes) -> bool:
        """Whether that very key may enter; an open door expects nobody."""
        allowed = self._allowed.get(key)
        return allowed is not None and not self._is_over(allowed.expires)

    def guest(self, key: bytes) -> str:
        """The role in which the holder of `key` may enter without a ticket; "" for none."""
        visit = self._without_ticket(key)
        return visit.role if visit is not None else ""

    def _without_ticket(self, key: bytes) -> Visit | None:
        allowed = self._allowed.get(key)
        if allowed is not None and not self._is_over(allowed.expires) and self._may_give(allowed.role):
            return None if self._is_spent(key) else Visit(allowed.role, "allowed", allowed.expires)
        if not self.is_open or not self._may_give("trainer") or self._is_spent(key):
            return None
        crowd = [one for one, guest in self._guests.items() if guest.links and _how(guest, b"") == "open"]
        return Visit("trainer", "open") if key in crowd or len(crowd) < MAX_CROWD else None

    def _is_over(self, expires: int) -> bool:
        return 0 < expires <= self._today()

    def _may_give(self, role: str) -> bool:
        """Whether this peer, as it stands in the ledger now, may let somebody in so."""
        if not self._own:
            return True
        replica = self._replica
        if not replica.has_genesis or not replica.enrolled(self._own):
            return False
        try:
            inviter = inviter_of(
                replica.genesis, replica.swarm, replica.founder, own=self._own,
                enrol_key=replica.enrol_key_of(self._own).hex(), seat=replica.membership(self._own),
                now=self._today(),
            )  # fmt: skip
        except LocalError:
            return False
        return role in inviter.roles

    def _is_spent(self, key: bytes) -> bool:
        """Whether a peer has left this key behind, or is out: the ledger would take no entry by it; or its time is
        over: an admin gives it more, not a ticket."""
        replica = self._replica
        had = (log for log in replica.heads() if replica.enrolled(log) and key in replica.keys_of(log))
        return any(key != replica.key_of(log) or self._is_out(peer_of(log)) for log in had)

    def _is_out(self, peer: PeerId) -> bool:
        seat = self._replica.membership(peer)
        return self._replica.is_revoked(peer) or (seat is not None and seat.has_expired(int(self._today())))

    # -------------------------------------------------------------- who is here

    def entered(self, link: Link) -> Visit | None:
        """A link came in: how. None if whoever it is must go: others were faster with its ticket."""
        if not link.role or self.admits(link.key):
            return Visit()
        if link.ticket:
            if self.ticket(link.ticket, link.key) is None:
                return None
            visit: Visit | None = Visit(link.role, "code" if link.ticket in self.coded else "ticket")
        else:
            visit = self._without_ticket(link.key)
        if visit is not None and visit.how:
            guest = self._guests.setdefault(link.key, _Guest(0.0))
            guest.since = self._clock()
            guest.ways[link.ticket] = visit
            guest.links.append(link)
        return visit

    def left(self, link: Link) -> None:
        """A link has ended. What it came with is kept a while: its last words may still be on their way."""
        guest = self._guests.get(link.key)
        if guest is not None:
            guest.links = [one for one in guest.links if one is not link]

    def unwelcome(self) -> list[Link]:
        """Links of guests who may not be here any more: their ticket or code has ended, their key was taken off the
        list, the door was closed."""
        now = self._clock()
        if self._look_at and now < self._look_at:
            return []
        self._look_at = now + LOOK_EVERY_S
        return [
            link for key, guest in self._guests.items() for link in guest.links
            if self._replica.member_by_key(key) is None and not self._still_may(key, link, guest.ways[link.ticket])
        ]  # fmt: skip

    def _still_may(self, key: bytes, link: Link, visit: Visit) -> bool:
        return self.ticket(link.ticket, key) is not None if link.ticket else self._without_ticket(key) == visit

    def _guests_of(self, ticket_id: bytes, key: bytes) -> int:
        """How many others hold a place by this ticket."""
        return sum(
            ticket_id in guest.ways and other != key and not self._is_past(guest)
            for other, guest in self._guests.items()
        )

    def _is_past(self, guest: _Guest) -> bool:
        """Whether nothing can come of a visit any more. Without a ticket nothing is to be remembered of it."""
        return not guest.links and (not any(guest.ways) or self._clock() - guest.since > GUEST_S)

    def settle(self) -> None:
        """Take a use for each guest that has become a member; forget those that never did."""
        for key, guest in list(self._guests.items()):
            peer = self._replica.member_by_key(key)
            if peer is not None:
                if ticket := self._paying(guest, peer):
                    self._store.use_ticket(ticket)
                del self._guests[key]
            elif self._is_past(guest):
                del self._guests[key]

    def _paying(self, guest: _Guest, peer: PeerId) -> bytes:
        """The ticket by which it has become what it is; b"": none. If others have let it in as well, as something
        better, the first one it came with."""
        seat = self._replica.membership(peer)
        given = [ticket for ticket, visit in guest.ways.items() if seat is not None and visit.role == seat.role]
        return given[0] if given else next(iter(guest.ways))


def _how(guest: _Guest, ticket: bytes) -> str:
    return guest.ways[ticket].how if ticket in guest.ways else ""
