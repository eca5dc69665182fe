"""Letting guests in: who has a link with a role to come, and has enrolled, gets its `member` entry.

    guest's link (LinkUp.role, .expires) + its enrol entry --tick--> Member in the own log

Why it exists: the door (gossip/node/door.py) says as what somebody may come in, and its links tell this machine; what
becomes of it is an entry that everybody checks. Rules kept here: an admin lets in as told, and keys that genesis names
as admins, as such; a trainer, where genesis allows guests, does what the rules let it (ledger/rules.py), what they do
not ends in words for people, never in an entry; who is a member, or out, is passed over. It refuses to know tickets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gossip.events import LinkId
from gossip.peer.author import Author
from gossip.peer.book import Book
from gossip.peer.chronicle import Chronicle
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from ledger.entry import PeerId, Role
from ledger.errors import LocalError
from ledger.membership import guest_until

TURNED_AWAY: Final = "cannot be let in as"  # how the reason begins that the guest's person reads, too
GIVEN: Final[dict[str, Role]] = {
    "trainer": "trainer", "observer": "observer", "auditor": "auditor", "relay": "relay"
}  # fmt: skip


class Welcome:
    """`catch_up` has the own log see more, where there is too much that is new for one entry."""

    def __init__(
        self, author: Author, book: Book, links: Links, chronicle: Chronicle, out: Outbox,
        catch_up: Callable[[float], object],
    ) -> None:  # fmt: skip
        self._author, self._replica, self._links = author, book.replica, links
        self._chronicle, self._out, self._catch_up = chronicle, out, catch_up
        self._refused: set[LinkId] = set()  # of guests whom we may not let in; asked, never iterated
        self._told: set[PeerId] = set()  # of whom our person has heard so; asked, never iterated

    def tick(self, now: float) -> None:
        """Admit whom we can."""
        if not self._author.may_write or not self._replica.may_let_in(self._author.own):
            return
        if self._refused:
            self._refused &= {live.link for live in self._links}
        for live in self._links:
            peer = self._chronicle.keys.get(live.key)
            if live.peer is None and peer is not None and self._is_wanted(live, peer, now):
                if not self._author.can_cite(peer):  # too much that is new for one entry
                    self._catch_up(now)
                if self._author.can_cite(peer):
                    self._admit(live, peer, now)

    def _is_wanted(self, live: Live, peer: PeerId, now: float) -> bool:
        is_over = 0 < live.expires <= now
        is_known = self._replica.membership(peer) is not None or self._replica.is_revoked(peer)
        return live.role in GIVEN and not is_over and not is_known and live.link not in self._refused

    def _admit(self, live: Live, peer: PeerId, now: float) -> None:
        role, expires = GIVEN[live.role], live.expires
        if self._author.role == "admin":
            if self._replica.enrol_key_of(peer).hex() in self._replica.genesis.admins:
                role = "admin"
        elif (seat := self._replica.membership(self._author.own)) is not None:
            expires = guest_until(seat, expires)
        try:
            self._author.admit_member(peer, role, now, expires)
        except LocalError as error:  # the rules say no: nothing was written
            self._refused.add(live.link)
            why = f"{TURNED_AWAY} {role}: {error.why or error}"
            if peer not in self._told:
                self._told.add(peer)
                name = self._chronicle.name(peer) or peer[:8]
                self._out.note("trouble", text=f"{name} ({peer[:8]}) {why}")
            self._links.drop(live.link, why, now)  # the other end's person reads why
