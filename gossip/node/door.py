"""Who may have a link with this node: members, and whoever proves an open ticket.

    strangers --proof--> asked --link--> guests --member entry--> a use of the ticket is taken

A use is taken when its bearer has become a member, so that a broken connection or a restart burns nothing; until
then a guest holds its place for GUEST_S, so that a ticket for one lets in one at a time. This file refuses to
know what a link is for.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

from gossip.transport.link import Link
from gossip.transport.webrtc import OpenTicket
from ledger.replica import Replica
from ledger.store import Store

GUEST_S: Final = 60.0  # the machine keeps a guest's link no longer
MAX_ASKED: Final = 256  # keys that named a ticket and have not shown yet that they know its secret


class Door:
    """The transport's gate (transport/webrtc.py), over the membership as it stands now."""

    def __init__(self, replica: Replica, store: Store) -> None:
        self._replica = replica
        self._store = store
        self._asked: OrderedDict[bytes, bytes] = OrderedDict()  # key -> ticket
        self._guests: dict[bytes, tuple[bytes, float]] = {}  # key -> (ticket, monotonic time of entry)

    def admits(self, key: bytes) -> bool:
        return self._replica.member_by_key(key) is not None

    def ticket(self, ticket_id: bytes, key: bytes) -> OpenTicket | None:
        """The ticket, if `key` may enter with it: somebody else's visit must not have taken the last use."""
        kept = self._store.ticket(ticket_id)
        now = time.monotonic()
        others = sum(
            ticket == ticket_id and now - since < GUEST_S and guest != key
            for guest, (ticket, since) in self._guests.items()
        )
        if kept is None or kept.uses <= others:
            return None
        self._asked[key] = ticket_id
        while len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)
        return OpenTicket(kept.secret, kept.role)

    def entered(self, link: Link) -> None:
        """A link came in; if it proved a ticket, its bearer is a guest now."""
        ticket = self._asked.pop(link.key, None)
        if link.role and ticket is not None:
            self._guests[link.key] = (ticket, time.monotonic())

    def settle(self) -> None:
        """Take a use for each guest that has become a member; forget those that never did."""
        for key, (ticket, since) in list(self._guests.items()):
            if self.admits(key):
                self._store.use_ticket(ticket)
                del self._guests[key]
            elif time.monotonic() - since > GUEST_S:
                del self._guests[key]
