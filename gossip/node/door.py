"""Who may have a link with this node: members, and guests, who have to become members while they are here.

    strangers --a ticket's proof, an allowed key, an open door--> guests --member entry--> (a use of it is taken)

A use is taken when its bearer has become a member, so that a broken connection or a restart burns nothing; until
then a guest holds its place for GUEST_S, so that a ticket for one lets in one at a time, also of several who knock
at once. At an open door MAX_CROWD guests may stand at a time.

Rules kept here: a key that a member once had, and has changed, enters no more, nor does one whose owner is out: no
ticket, list or open door undoes a rotation or a revocation. Guests come in only as what this peer may make of them.
This file refuses to know what a link is for, and decides nothing that the ledger's rules decide (ledger/roles.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from gossip.invites import inviter_of
from gossip.transport.link import Link
from gossip.transport.webrtc import OpenTicket
from ledger.chain import peer_of
from ledger.entry import PeerId
from ledger.errors import LocalError
from ledger.replica import Replica
from ledger.store import Store, StoredAllowed

GUEST_S: Final = 60.0  # the machine keeps a guest's link no longer
MAX_CROWD: Final = 8  # guests of an open door at once

How = Literal["code", "ticket", "allowed", "open"]


@dataclass(frozen=True, slots=True)
class Visit:
    """How somebody came in."""

    role: str = ""  # "": a member
    how: How | Literal[""] = ""
    expires: int = 0  # of the membership to come; 0: never


@dataclass(frozen=True, slots=True)
class _Guest:
    ticket: bytes  # b"": none
    how: How
    since: float


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

    def admits(self, key: bytes) -> bool:
        peer = self._replica.member_by_key(key)
        if peer is None:  # (of a key in a backup the ledger may know by now that its owner is out)
            return key in self._known and not self._is_spent(key)
        seat = self._replica.membership(peer)
        return seat is None or not seat.has_expired(int(self._today()))

    def seeks(self) -> bool:
        return self.is_seeking

    def allow(self, allowed: Iterable[StoredAllowed]) -> None:
        """The keys that may enter from now on; of two words on one key the last counts."""
        self._allowed = {one.key: one for one in allowed}

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
        now = self._clock()
        crowd = [one for one, guest in self._guests.items() if guest.how == "open" and now - guest.since < GUEST_S]
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
                replica.genesis, replica.swarm, replica.founder,
                enrol_key=replica.enrol_key_of(self._own).hex(), seat=replica.membership(self._own),
            )  # fmt: skip
        except LocalError:
            return False
        return role in inviter.roles

    def _is_spent(self, key: bytes) -> bool:
        """Whether a peer has left this key behind, or is out: the ledger would take no entry by it."""
        replica = self._replica
        had = (log for log in replica.heads() if replica.enrolled(log) and key in replica.keys_of(log))
        return any(replica.is_revoked(peer_of(log)) or key != replica.key_of(log) for log in had)

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
            self._guests[link.key] = _Guest(link.ticket, visit.how, self._clock())
        return visit

    def _guests_of(self, ticket_id: bytes, key: bytes) -> int:
        """How many others hold a place by this ticket."""
        now = self._clock()
        return sum(
            guest.ticket == ticket_id and now - guest.since < GUEST_S and other != key
            for other, guest in self._guests.items()
        )

    def settle(self) -> None:
        """Take a use for each guest that has become a member; forget those that never did."""
        for key, guest in list(self._guests.items()):
            if self.admits(key):
                if guest.ticket:
                    self._store.use_ticket(guest.ticket)
                del self._guests[key]
            elif self._clock() - guest.since > GUEST_S:
                del self._guests[key]
