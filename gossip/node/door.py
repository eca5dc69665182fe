"""Who may have a link with this node: members, and whoever proves an open ticket.

    strangers --proof, link--> guests --member entry--> a use of the ticket is taken

A use is taken when its bearer has become a member, so that a broken connection or a restart burns nothing; until
then a guest holds its place for GUEST_S, so that a ticket for one lets in one at a time, also of several who knock
at once. This file refuses to know what a link is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gossip.transport.link import Link
from gossip.transport.webrtc import OpenTicket
from ledger.replica import Replica
from ledger.store import Store

GUEST_S: Final = 60.0  # the machine keeps a guest's link no longer


class Door:
    """The transport's gate (transport/webrtc.py), over the membership as it stands now."""

    def __init__(
        self, replica: Replica, store: Store, clock: Callable[[], float] = time.monotonic, known: tuple[bytes, ...] = ()
    ) -> None:
        self._replica = replica
        self._store = store
        self._clock = clock
        self._known = frozenset(known)  # members by a backup's word: a peer set up from it holds no log that names one
        self.is_seeking = False  # this peer may have forgotten members (gossip/peer/homecoming.py)
        self._guests: dict[bytes, tuple[bytes, float]] = {}  # key -> (ticket, time of entry)

    def admits(self, key: bytes) -> bool:
        return self._replica.member_by_key(key) is not None or key in self._known

    def seeks(self) -> bool:
        return self.is_seeking

    def ticket(self, ticket_id: bytes, key: bytes) -> OpenTicket | None:
        """The ticket, if `key` may enter with it: somebody else's visit must not have taken the last use."""
        kept = self._store.ticket(ticket_id)
        if kept is None or kept.uses <= self._guests_of(ticket_id, key):
            return None
        return OpenTicket(kept.secret, kept.role)

    def entered(self, link: Link) -> bool:
        """A link came in; if it proved a ticket, its bearer is a guest now. False if others were faster with it."""
        if not link.role or self.admits(link.key):
            return True
        if self.ticket(link.ticket, link.key) is None:
            return False
        self._guests[link.key] = (link.ticket, self._clock())
        return True

    def _guests_of(self, ticket_id: bytes, key: bytes) -> int:
        """How many others hold a place by this ticket."""
        now = self._clock()
        return sum(
            ticket == ticket_id and now - since < GUEST_S and guest != key
            for guest, (ticket, since) in self._guests.items()
        )

    def settle(self) -> None:
        """Take a use for each guest that has become a member; forget those that never did."""
        for key, (ticket, since) in list(self._guests.items()):
            if self.admits(key):
                self._store.use_ticket(ticket)
                del self._guests[key]
            elif self._clock() - since > GUEST_S:
                del self._guests[key]
