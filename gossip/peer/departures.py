"""Who is in, and what follows when somebody is no more: its links end, and nothing of it is fetched for its own sake.

    revoke entries in force --> shown to the one they are about, with what it lacks of the ledger --LAST_WORD_S--> Drop
    own clock past `expires` --> Drop

Why it exists: that a member is out is a fact of the ledger, which has no clock; ending links, refusing keys and
forgetting what waits of a log is what this peer does about it, within LAST_WORD_S of hearing of it. Whoever is out is
told with the entries that say so, for nobody else will tell it, and is not listened to meanwhile.

Rules kept here: nothing of a log that is no member's is wanted but what others cite (rumour.py), so what waits of it is
given up; expiry goes by the own clock, and moves nothing in the model; a ticket stands in place of no renewal. Of
ourselves: our person is told, once, also before our time is over; author.py writes nothing then. It refuses to know why
somebody is out.
"""

from __future__ import annotations

from typing import Final, Literal

from gossip.events import LinkId
from gossip.peer.admission import Admission
from gossip.peer.author import Author
from gossip.peer.book import Book
from gossip.peer.chronicle import Chronicle
from gossip.peer.disk import Disk
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.rights import Standing
from gossip.peer.rumour import Rumour
from gossip.peer.tape import Tapes
from ledger.entry import PeerId

LAST_WORD_S: Final = 1.0  # for the entries that say so to arrive, before the link ends
WARN_S: Final = 7 * 86_400.0  # before the own membership ends: time to ask an admin
REVOKED: Final = "revoked"  # the reason of such an end, as the far end's person reads it
EXPIRED: Final = "its membership has expired"
TIMER: Final = "departures"
_ROLES: Final[dict[str, Standing]] = {
    "observer": "observer", "relay": "relay", "trainer": "trainer", "auditor": "auditor", "admin": "admin"
}  # fmt: skip


class Departures:
    """What one peer does about those that are out. `tapes` is shared with the rest of the machine."""

    def __init__(
        self, book: Book, tapes: Tapes, links: Links, rumour: Rumour, admission: Admission, author: Author,
        chronicle: Chronicle, disk: Disk, out: Outbox,
    ) -> None:  # fmt: skip
        self._disk = disk
        self._replica = book.replica
        self._tapes = tapes
        self._links = links
        self._rumour = rumour
        self._admission = admission
        self._author = author
        self._chronicle = chronicle
        self._out = out
        self._going: dict[LinkId, float] = {}  # links of those who are out, and when they end
        self._done: set[PeerId] = set()  # whose revocation was acted upon; asked, never iterated
        self._told: set[str] = set()  # what our person was told; asked, never iterated
        self._full: dict[PeerId, None] = {}  # who pays for what was just kept: is there room left?
        self.has_news = True  # membership may have changed

    def standing(self, live: Live, now: float) -> Standing:
        """What the far end of a link is, for rights.py."""
        if live.peer is None:
            if self._why_no_guest(live, now):
                return "out"
            if live.role:
                return "guest"
            return "inviter" if live.is_expected else "stranger"
        seat = self._replica.membership(live.peer)
        if seat is None or seat.has_expired(int(now)):
            return "out"
        return _ROLES.get(seat.role, "stranger")

    def _why_no_guest(self, live: Live, now: float) -> str:
        """Why a key that knocks with a ticket, or that we dialled, cannot enter: it is one of somebody who is out.

        Whom we dialled on our user's word may have been given more time since, and tell us so.
        """
        peer = self._chronicle.keys.get(live.key)
        if peer is None:
            return ""
        if self._replica.is_revoked(peer):
            return REVOKED
        return EXPIRED if live.role and self.is_out(peer, now) else ""

    def is_going(self, link: LinkId) -> bool:
        """Whether a link only waits for its far end to hear why it ends."""
        return link in self._going

    def is_out(self, peer: PeerId, now: float) -> bool:
        if self._replica.is_revoked(peer):
            return True
        seat = self._replica.membership(peer)
        return seat is not None and seat.has_expired(int(now))

    def member_by_key(self, key: bytes, now: float) -> PeerId | None:
        """The member whose key this is, if its time is not over."""
        peer = self._replica.member_by_key(key)
        return peer if peer is None or not self.is_out(peer, now) else None

    def link_down(self, link: LinkId) -> None:
        self._going.pop(link, None)

    # -------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        """End what is to end."""
        due: list[float] = []
        for live in self._links:
            if live.peer is None:
                self._out.heed(now)  # who is let in, or not any more, is looked at all the time
                if why := self._why_no_guest(live, now):
                    self._links.drop(live.link, why, now)
                continue
            seat = self._replica.membership(live.peer)
            if seat is None and self._replica.is_revoked(live.peer):
                self._see_off(live, now)
            elif seat is not None and seat.has_expired(int(now)):
                self._links.drop(live.link, EXPIRED, now)
            elif seat is not None and seat.expires:
                due.append(float(seat.expires))
        due += self._going.values()
        if self.has_news:
            self.has_news = False
            self._give_up()
        if self._full:
            self._out.heed(now)
            self._look_at_shares()
        due += self._look_at_ourselves(now)
        if due:
            self._out.timer(TIMER, max(now, min(due)))

    def _see_off(self, live: Live, now: float) -> None:
        """Show it what says that it is out; then end the link."""
        at = self._going.get(live.link)
        if at is None:
            self._rumour.push(live.link)
            self._going[live.link] = now + LAST_WORD_S
        elif now >= at:
            self._links.drop(live.link, REVOKED, now)

    def _give_up(self) -> None:
        """What waits of the log of somebody who is out now is not wanted for its own sake."""
        for peer in sorted(self._chronicle.revoked):
            if peer in self._done:
                continue
            self._done.add(peer)
            self._out.note("revoked", peer=peer, name=self._chronicle.name(peer), own=peer == self._author.own)
            if peer == self._author.own:
                continue
            for tape in self._tapes.branches(peer):
                if not tape.stopped and tape.log not in self._rumour.forked:
                    self._admission.release(tape)

    # -------------------------------------------------------------- shares of the disk

    def paid(self, peer: PeerId) -> None:
        """Something that was kept is on that peer's account."""
        if self._disk.is_nearly_over(peer):
            self._full[peer] = None

    def _look_at_shares(self) -> None:
        """Who has had its share is not fetched from any more; its owner, or ours, hears of it."""
        full, self._full = self._full, {}
        for peer in full:
            limit = f"{self._disk.limit_bytes / 1e6:.0f} MB"
            if peer == self._author.own:
                self._tell(
                    "share",
                    f"this peer's log and its deltas take nearly {limit}: others who allow a peer no more than that "
                    "will fetch nothing more of it; ask their owners to raise disk_bytes (docs/limits.md)",
                )
            elif self._disk.is_over(peer):
                name = self._chronicle.name(peer) or peer[:8]
                self._tell(
                    f"share {peer}",
                    f"what {name} has published, or made others keep, takes more than {limit} here: of its log only "
                    "what others cite is fetched from now on; disk_bytes allows it more (docs/limits.md)",
                )
                for tape in self._tapes.branches(peer):
                    if not tape.stopped and tape.log not in self._rumour.forked:
                        self._admission.release(tape)

    # -------------------------------------------------------------- ourselves

    def why_out(self, now: float) -> Literal["", "revoked", "expired"]:
        """In a word, why this peer is no member any more."""
        own = self._author.own
        if self._replica.is_revoked(own):
            return "revoked"
        return "expired" if self.is_out(own, now) else ""

    def _look_at_ourselves(self, now: float) -> list[float]:
        """Tell our person what it must know; when to look again."""
        own = self._author.own
        if self._replica.is_revoked(own):
            self._tell(
                "revoked",
                "this peer is no member any more: enough admins have revoked it. It writes nothing, and nobody "
                "listens: talk to an admin",
            )
            return []
        seat = self._replica.membership(own)
        if seat is None or not seat.expires:
            return []
        if seat.has_expired(int(now)):
            self._tell(
                f"over {seat.expires}",
                "this peer's membership has expired: it writes nothing until an admin renews it",
            )
            return []
        if now >= seat.expires - WARN_S:
            left = seat.expires - now
            days = f"{left / 86_400:.0f} days" if left > 2 * 86_400 else f"{left / 3600:.0f} hours"
            self._tell(
                f"soon {seat.expires}", f"this peer's membership expires in {days}: ask an admin to renew it",
            )  # fmt: skip
            return [float(seat.expires)]
        return [seat.expires - WARN_S]

    def _tell(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._out.note("trouble", text=text)
