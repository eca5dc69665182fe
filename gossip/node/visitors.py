"""Who came to this node's door of late, for its owner's eyes: the words to compare, and how many were cut off.

    notes (guest, knocked, admitted, refused) --> guests that wait, own words, links cut --> status

Why it exists: notes pass by, and whoever types `gossip status` a moment later wants to see the words still.

Rules kept here: a guest is shown until it is a member, WAITING_S at most, and MAX_GUESTS of them, the newest; own words
until this peer is a member. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.entry import PeerId
from ledger.replica import Replica

WAITING_S: Final = 60.0  # as long as the door keeps a place (gossip/node/door.py)
MAX_GUESTS: Final = 8


class Visitors:
    """Of one run."""

    def __init__(self) -> None:
        self._guests: dict[str, tuple[float, dict[str, str]]] = {}  # by key, the newest last
        self._words = ""
        self.cut = 0  # links ended by what the far end sent
        self.last_cut = ""  # why the last one was

    def saw(self, kind: str, fields: Mapping[str, Any], now: float) -> None:
        """A note of this node."""
        match kind:
            case "guest":
                key = str(fields["key"])
                self._guests.pop(key, None)
                self._guests[key] = (now, {name: str(fields[name]) for name in ("words", "role", "how")} | {"key": key})
                while len(self._guests) > MAX_GUESTS:
                    del self._guests[next(iter(self._guests))]
            case "knocked":
                self._words = str(fields["words"])
            case "refused" if "log" not in fields and "peer" in fields:
                self.cut += 1
                self.last_cut = str(fields.get("text", ""))

    def seat(self, replica: Replica, own: PeerId, now: float) -> dict[str, Any]:
        """What `own` is in the swarm, and who waits at its door: those that nobody has let in yet."""
        seat = replica.membership(own)
        self._guests = {
            key: (at, facts)
            for key, (at, facts) in self._guests.items()
            if now - at < WAITING_S and replica.member_by_key(bytes.fromhex(key)) is None
        }
        return {
            "role": seat.role if seat else "",
            "expires": seat.expires if seat else 0,
            "revoked_from": replica.revoked_from(own),
            "guests": [facts for _, facts in self._guests.values()],
            "words": "" if seat else self._words,
            "cut": {"links": self.cut, "last": self.last_cut},
        }
