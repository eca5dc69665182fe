"""How anybody comes to the card of a swarm that is open, and asked for by its name.

    joiner -- {"name": "lists"} --> inviter     POST /gossip/1/card
           <-- {"card": "gossip2-..."} --

Where the swarm is not open, or has another name, there is silence. What the card says its own signature proves; whose
key that is nothing does: who joins an open swarm trusts whoever answers to its name on this network. It refuses to know
who may enter: the door asks that (gossip/node/door.py).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from gossip.transport.tickets import MAX_TEXT_CHARS
from ledger import canonical
from ledger.errors import RemoteError
from ledger.wellformed import MAX_NAME_CHARS

PATH: Final = "/gossip/1/card"
MAX_BODY_BYTES: Final = 4_096
MAX_CALLED_BYTES: Final = 240  # of a TXT property, which has 255 with its key


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str  # of the swarm


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    card: str


def called(name: str) -> str:
    """What mDNS says of an open swarm: its name; of one that is too long for a property its SHA-256."""
    return name if len(name.encode()) <= MAX_CALLED_BYTES else sha256(name.encode()).hexdigest()


def ask(name: str) -> bytes:
    return canonical.encode(Asked(str(name)))


def answer(data: bytes, name: str, card: str) -> bytes | None:
    """What to say to whoever sent this, if the swarm called `name` is open; None: silence."""
    try:
        asked = canonical.decode(data, Asked, limit=MAX_BODY_BYTES, what="a question for a card")
    except RemoteError:
        return None
    if len(asked.name) > MAX_NAME_CHARS or asked.name != name:
        return None
    return canonical.encode(Given(card))


def read(data: bytes) -> str:
    """The card's text, unread; RemoteError."""
    text = canonical.decode(data, Given, limit=MAX_BODY_BYTES, what="a card").card
    if len(text) > MAX_TEXT_CHARS:
        raise RemoteError("a card that is too long")
    return text
