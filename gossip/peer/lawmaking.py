"""What an admin's owner wants said, on its way into the own log: another policy, a membership renewed or taken away.

    NewPolicy --may we, does it read?--> waits for the own log --> PolicyChange, number in force + 1
    Admit -----is that a member, and does it say anything new?---> Member
    Revoking --is that a member, and does it say anything new?---> Revoke

Rules kept here: what everybody would refuse is not written, and the person who asked is told why. What is in force
already, or was said by us before, is not said again. When enough admins have said the same is the replica's to know.
Guests are let in elsewhere (welcome.py).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final, assert_never

from gossip.events import Admit, NewPolicy, Revoking
from gossip.peer.author import Author, chain
from gossip.peer.book import Book
from gossip.peer.outbox import Outbox
from ledger.entry import PolicyChange, Revoke
from ledger.errors import LocalError, RemoteError
from ledger.membership import Membership
from ledger.policy import Policy
from ledger.replica import Replica

MAX_WAITING: Final = 8  # wishes before the own log may be written

Wish = NewPolicy | Admit | Revoking


class Lawmaking:
    """What this peer's owner wants said, and is not written yet. `catch_up` has the own log see more, where there is
    too much that is new for one entry."""

    def __init__(self, book: Book, author: Author, out: Outbox, catch_up: Callable[[float], object]) -> None:
        self._replica = book.replica
        self._author = author
        self._out = out
        self._catch_up = catch_up
        self._waiting: list[Wish] = []

    def asked(self, event: Wish) -> None:
        if isinstance(event, NewPolicy):
            try:
                Policy.from_blob(event.text)
            except RemoteError as error:
                self._out.note("trouble", text=f"this policy was not put forward: {error}")
                return
        self._waiting = [*self._waiting, event][-MAX_WAITING:]

    def tick(self, now: float) -> None:
        if not self._waiting or not self._author.may_write or not self._author.role:
            return
        waiting, self._waiting = self._waiting, []
        for wish in waiting:
            match wish:
                case NewPolicy():
                    self._put_forward(wish, now)
                case Admit():
                    self._renew(wish, now)
                case Revoking():
                    self._revoke(wish, now)
                case _:
                    assert_never(wish)

    def _put_forward(self, wish: NewPolicy, now: float) -> None:
        own, replica = self._author.own, self._replica
        if replica.enrol_key_of(own).hex() not in replica.genesis.admins:
            self._out.note("trouble", text="only an admin of this swarm can put a policy forward: nothing was written")
            return
        fields = self._author.draft()
        digest = sha256(wish.text).hexdigest()
        if replica.policy_in_force(own, fields).hash == digest:
            self._out.note("trouble", text="this policy is in force already: nothing was written")
            return
        number = replica.next_policy(own, fields)
        body = PolicyChange(**chain(fields), number=number, policy=digest, policy_bytes=len(wish.text))
        self._author.write(fields, body, now, wish.text)

    def _renew(self, wish: Admit, now: float) -> None:
        if (why := why_no_renewal(self._replica, wish)) or not self._can_cite(wish.peer, now):
            self._nothing(why)
            return
        try:
            self._author.admit_member(wish.peer, wish.role, now, wish.expires)
        except LocalError as error:  # the rules say no: nothing was written
            self._nothing(error.why or str(error))

    def _revoke(self, wish: Revoking, now: float) -> None:
        if (why := why_no_revocation(self._replica, self._author.own, wish)) or not self._can_cite(wish.peer, now):
            self._nothing(why)
            return
        fields = self._author.draft()
        try:
            self._author.write(fields, Revoke(**chain(fields), peer=wish.peer, since=wish.since), now)
        except LocalError as error:
            self._nothing(error.why or str(error))

    def _can_cite(self, peer: str, now: float) -> bool:
        if not self._author.can_cite(peer):
            self._catch_up(now)
        return self._author.can_cite(peer)

    def _nothing(self, why: str) -> None:
        self._out.note("trouble", text=f"nothing was written: {why or 'there is too much that is new for one entry'}")


def why_no_renewal(replica: Replica, wish: Admit) -> str:
    """Why saying this of a member would say nothing, or be refused by everybody; "" if it is worth saying."""
    seat = replica.membership(wish.peer)
    if replica.is_revoked(wish.peer):
        return "that peer was revoked, and stays out; it can join again with a new key"
    if seat is None:
        return "that peer is no member: invite it, or allow its key"
    if Membership(wish.role, wish.expires).join(seat) == seat:
        return "its membership is as good, and lasts as long, already; what a member has only admins can take away"
    return ""


def why_no_revocation(replica: Replica, own: str, wish: Revoking) -> str:
    """Why a wish to revoke somebody would come to nothing; "" if it may be said."""
    if replica.role_of(own) != "admin":
        return "only an admin of this swarm can revoke somebody"
    if wish.peer == own:
        return "that is this peer itself; another admin can revoke it"
    if replica.membership(wish.peer) is None and not replica.is_revoked(wish.peer):
        return "that peer is no member"
    admin = replica.enrol_key_of(own).hex()
    if any(word.admin == admin and word.since <= wish.since for word in replica.words(wish.peer)):
        return "this peer has said so already; it counts once enough admins have"
    return ""
