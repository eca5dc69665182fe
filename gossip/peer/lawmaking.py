"""An admin's wish for another policy, on its way into the own log.

    NewPolicy --may we, does it read?--> waits for the own log --> PolicyChange, number in force + 1

Rules kept here: what everybody would refuse is not written, and the person who asked is told why. What is in force
already, or was said by us before, is not said again. When enough admins have said the same is the replica's to know.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from gossip.events import NewPolicy
from gossip.peer.author import Author, chain
from gossip.peer.book import Book
from gossip.peer.outbox import Outbox
from ledger.entry import PolicyChange
from ledger.errors import RemoteError
from ledger.policy import Policy

MAX_WAITING: Final = 8  # wishes before the own log may be written


class Lawmaking:
    """The policies that this peer's owner wants, and that are not written yet."""

    def __init__(self, book: Book, author: Author, out: Outbox) -> None:
        self._replica = book.replica
        self._author = author
        self._out = out
        self._waiting: list[bytes] = []

    def asked(self, event: NewPolicy) -> None:
        try:
            Policy.from_blob(event.text)
        except RemoteError as error:
            self._out.note("trouble", text=f"this policy was not put forward: {error}")
            return
        self._waiting = [*self._waiting, event.text][-MAX_WAITING:]

    def tick(self, now: float) -> None:
        if not self._waiting or not self._author.may_write or not self._author.role:
            return
        waiting, self._waiting = self._waiting, []
        own, replica = self._author.own, self._replica
        if replica.enrol_key_of(own).hex() not in replica.genesis.admins:
            self._out.note("trouble", text="only an admin of this swarm can put a policy forward: nothing was written")
            return
        for text in waiting:
            fields = self._author.draft()
            digest = sha256(text).hexdigest()
            if replica.policy_in_force(own, fields).hash == digest:
                self._out.note("trouble", text="this policy is in force already: nothing was written")
                continue
            number = replica.next_policy(own, fields)
            body = PolicyChange(**chain(fields), number=number, policy=digest, policy_bytes=len(text))
            self._author.write(fields, body, now, text)
