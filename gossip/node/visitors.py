"""Who came to this node's door of late, for its owner's eyes: the words to compare, how many were cut off, and why
this peer itself was not let in.

    notes (guest, knocked, refused, link_down) --> guests, own words, links cut, turned away --> status

Why it exists: notes pass by, and a guest may be a member within a blink; but words are for people, who take their time.

Rules kept here: guests and own words are shown for SHOWN_S from when they met, let in or not, and of guests MAX_GUESTS,
the newest. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gossip.peer.welcome import TURNED_AWAY
from ledger.entry import Enrol, PeerId
from ledger.replica import Replica

SHOWN_S: Final = 120.0  # to walk over and compare; the door keeps a guest's place for 60 (gossip/node/door.py)
MAX_GUESTS: Final = 8
MAX_REASON: Final = 400  # characters


class Visitors:
    """Of one run."""

    def __init__(self) -> None:
        self._guests: dict[str, tuple[float, dict[str, Any]]] = {}  # by key, the newest last
        self._words, self._met_at = "", 0.0
        self.cut = 0  # links ended by what the far end sent
        self.last_cut = ""  # whose the last one was, and why
        self._turned_away = ""  # why the link to who may let us in ended

    def saw(self, kind: str, fields: Mapping[str, Any], now: float) -> None:
        """A note of this node."""
        match kind:
            case "guest":
                key = str(fields["key"])
                self._guests.pop(key, None)
                facts = {name: str(fields[name]) for name in ("words", "role", "how")}
                self._guests[key] = (now, {**facts, "key": key, "member": False, "peer": "", "name": ""})
                while len(self._guests) > MAX_GUESTS:
                    del self._guests[next(iter(self._guests))]
            case "knocked":
                self._words, self._met_at = str(fields["words"]), now
            case "refused" if "log" not in fields and "peer" in fields:
                self.cut += 1
                name, text = str(fields.get("name", "")), str(fields.get("text", ""))
                self.last_cut = f"{name}: {text}" if name else text
            case "link_down" if TURNED_AWAY in str(fields.get("reason", "")):
                self._turned_away = str(fields["reason"])[:MAX_REASON]

    def seat(self, replica: Replica, own: PeerId, now: float) -> dict[str, Any]:
        """What `own` is in the swarm, and with whom words are to be compared: `member` is whether they are let in."""
        seat = replica.membership(own)
        out = replica.revoked_from(own)
        for key, (at, facts) in list(self._guests.items()):
            peer = replica.member_by_key(bytes.fromhex(key))
            if now - at >= SHOWN_S or (facts["member"] and peer is None):  # or was put out meanwhile
                del self._guests[key]
            elif peer is not None:
                facts |= {"member": True, "peer": peer, "name": name_of(replica, peer), "role": replica.role_of(peer)}
        return {
            "role": seat.role if seat else "",
            "expires": seat.expires if seat else 0,
            "revoked_from": out,
            "guests": [dict(facts) for _, facts in self._guests.values()],
            "words": self._words if now - self._met_at < SHOWN_S and out is None else "",
            "cut": {"links": self.cut, "last": self.last_cut},
            "turned_away": self._turned_away if seat is None and out is None else "",
            "wanted_out": wanted_out(replica, own),
        }


def name_of(replica: Replica, peer: PeerId) -> str:
    """What a peer calls itself; "" before it has said so."""
    for seq in range(min(2, replica.size(peer))):  # the founder's log begins with the genesis
        entry = replica.entry(peer, seq)
        if isinstance(entry, Enrol):
            return entry.name
    return ""


def wanted_out(replica: Replica, own: PeerId) -> list[dict[str, Any]]:
    """Members whom other admins want out, and for whom the word of `own`, an admin, is missing."""
    seat = replica.membership(own)
    if seat is None or seat.role != "admin":
        return []
    key = replica.enrol_key_of(own).hex()
    found = []
    for peer, said in replica.pending():
        if not any(word.admin == key for word in said):
            found.append({
                "peer": peer, "name": name_of(replica, peer), "since": min(word.since for word in said),
                "by": sorted(name_of(replica, one) for one in replica.wanted_out_by(peer)),
            })  # fmt: skip
    return found
