"""Who came to this node's door of late, for its owner's eyes: the words to compare, and how many were cut off.

    notes (guest, knocked, refused) --> guests, own words, links cut --> status

Why it exists: notes pass by, and a guest may be a member within a blink; but words are for people, who take their time.

Rules kept here: guests and own words are shown for SHOWN_S from when they met, let in or not, and of guests MAX_GUESTS,
the newest. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.entry import PeerId
from ledger.replica import Replica

SHOWN_S: Final = 120.0  # to walk over and compare; the door keeps a guest's place for 60 (gossip/node/door.py)
MAX_GUESTS: Final = 8


class Visitors:
    """Of one run."""

    def __init__(self) -> None:
        self._guests: dict[str, tuple[float, dict[str, Any]]] = {}  # by key, the newest last
        self._words, self._met_at = "", 0.0
        self.cut = 0  # links ended by what the far end sent
        self.last_cut = ""  # why the last one was

    def saw(self, kind: str, fields: Mapping[str, Any], now: float) -> None:
        """A note of this node."""
        match kind:
            case "guest":
                key = str(fields["key"])
                self._guests.pop(key, None)
                facts = {name: str(fields[name]) for name in ("words", "role", "how")}
                self._guests[key] = (now, {**facts, "key": key, "member": False})
                while len(self._guests) > MAX_GUESTS:
                    del self._guests[next(iter(self._guests))]
            case "knocked":
                self._words, self._met_at = str(fields["words"]), now
            case "refused" if "log" not in fields and "peer" in fields:
                self.cut += 1
                self.last_cut = str(fields.get("text", ""))

    def seat(self, replica: Replica, own: PeerId, now: float) -> dict[str, Any]:
        """What `own` is in the swarm, and with whom words are to be compared: `member` is whether they are let in."""
        seat = replica.membership(own)
        out = replica.revoked_from(own)
        for key, (at, facts) in list(self._guests.items()):
            is_member = replica.member_by_key(bytes.fromhex(key)) is not None
            if now - at >= SHOWN_S or (facts["member"] and not is_member):  # or was put out meanwhile
                del self._guests[key]
            else:
                facts["member"] = is_member
        return {
            "role": seat.role if seat else "",
            "expires": seat.expires if seat else 0,
            "revoked_from": out,
            "guests": [dict(facts) for _, facts in self._guests.values()],
            "words": self._words if now - self._met_at < SHOWN_S and out is None else "",
            "cut": {"links": self.cut, "last": self.last_cut},
        }
