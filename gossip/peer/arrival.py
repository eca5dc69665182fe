"""Arriving late: a final snapshot's model is in use at once, and held against one's own fold later.

    far behind --WantParts (zero)--> Latest --witnesses right--> fetching --whole--> in use --own fold there--> verified
        ^                                                            |                 `--another model--> thrown away
        `---- nobody has it any more --------------------------------+--the own fold there first--> not needed

Why it exists: what a peer of a year has folded takes a newcomer minutes to fetch and to fold. Meanwhile it can serve,
and train from, a model that a majority of the witnesses has recomputed. Nothing else changes: entries and deltas come
and are folded as ever, and nothing is published on top of a borrowed model before its past is folded and the hash is
right (rounds.py).

A snapshot that a majority of the witnesses made up may be in nobody's history, so nothing proves it wrong while the
swarm goes on. Whoever offers a model holds its past, so what links say to hold when it arrives is all that can be
needed. Once that is admitted, or nobody can show it, the snapshot has half a minute to turn up.

Rules kept here: pull only, and only when far behind; an offer is checked against genesis' witnesses before a byte is
fetched (offered.py), the bytes against their hash (fetch.py), the model against the own fold. Whoever signed a model
that does not follow from the logs is named, once, and nothing is borrowed again in this run. It refuses to know what
a model is good for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gossip.config import PeerConfig
from gossip.events import LinkId
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book
from gossip.peer.fetch import TIMER, Blame, Fetch
from gossip.peer.finals import Finals
from gossip.peer.links import Links, Live
from gossip.peer.offered import Offer, verify_offer
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.quota import Quota
from gossip.peer.rumour import Rumour
from gossip.peer.shifted import hash_of, shifted
from gossip.wire.frames import MAX_SIZE, NO_HASH, Have, Lacks, Latest, Parts, Piece, WantParts
from ledger.canonical import entry_hash
from ledger.chain import LogId, peer_of
from ledger.entry import PeerId
from ledger.errors import RemoteError
from ledger.fold import model_header
from ledger.replica import Checked

MAX_ASKED: Final = 4  # links asked what they offer, side by side: so many can serve one model
ASK_AGAIN_S: Final = 30.0  # a link that had nothing to offer, or did not say, may have later
LOOK_S: Final = 0.25  # between two looks at how far behind we are
DOUBT_S: Final = 30.0  # with all here that was announced when it arrived, so long the snapshot may still come
LONGEST_S: Final = 1800.0  # however much is still announced: what links send in crumbs must not hold us for ever
OTHER: Final = "has another entry in its place, in the log that reached this peer"

Theta = NDArray[np.float32]


@dataclass(slots=True)
class Borrowed:
    """A model in use that the own fold has not got to yet."""

    offer: Offer
    data: bytes  # whose SHA-256 is the model's hash
    theta: Theta  # read-only
    outcome: Literal["open", "true", "false"] = "open"
    lacking: dict[LogId, int] = field(default_factory=dict)  # sizes announced when it arrived, and not admitted since
    since: float | None = None  # when it arrived, as far as anybody has looked


class Arrival:
    """What a peer that is far behind does about it."""

    def __init__(
        self, config: PeerConfig, book: Book, links: Links, pace: Pace, out: Outbox, finals: Finals, blobs: Blobs,
        rumour: Rumour, blame: Blame, name: Callable[[PeerId], str],
    ) -> None:  # fmt: skip
        self._config = config
        self._book = book
        self._links = links
        self._pace = pace
        self._out = out
        self._finals = finals
        self._blobs = blobs
        self._rumour = rumour
        self._blame = blame
        self._name = name
        self._asked: dict[LinkId, tuple[float, float]] = {}  # since when, and until when others wait for its answer
        self._silent_until: dict[LinkId, float] = {}
        self._told: dict[LinkId, None] = {}  # links that have said to hold so much that we were far behind
        self._early: dict[LinkId, Latest] = {}  # before genesis was here
        self._offers: dict[LinkId, Offer] = {}
        self._fetch: Fetch | None = None
        self._offer: Offer | None = None  # what is fetched
        self._look_at = 0.0
        self._complete_since: float | None = None
        self.borrowed: Borrowed | None = None
        self.verified: Offer | None = None  # once one was borrowed, and right
        self.is_refused = False  # one was false

    # -------------------------------------------------------------- for the rest of the machine

    @property
    def state(self) -> str:
        """For people: what the model in use is."""
        if self._book.fold is None:
            return ""
        if self.borrowed is not None:
            return "from a snapshot, being verified"
        return "folded; fetching a snapshot" if self._fetch is not None else "folded"

    def past(self, offer: Offer) -> dict[LogId, int] | None:
        """What went into a snapshot's model; None while that is not all here."""
        log = self._find(offer)
        return self._book.replica.past(log, offer.seq + 1) if log is not None else None

    def _find(self, offer: Offer) -> LogId | None:
        replica = self._book.replica
        for log in replica.strands(offer.log):
            if replica.size(log) > offer.seq and entry_hash(replica.data(log, offer.seq)) == offer.entry:
                return log
        return None

    # -------------------------------------------------------------- links

    def link_down(self, link: LinkId) -> None:
        for kept in (self._asked, self._silent_until, self._told, self._early, self._offers):
            kept.pop(link, None)
        if self._fetch is not None:
            self._fetch.drop(link)

    def on_have(self, live: Live, frame: Have) -> None:
        """A link says how much it holds. The first word of so much that we are far behind is looked at now: on a fast
        line a hundred entries are folded by the next look, so who lacks 300 would not ask at all. Once a link: what it
        costs to look grows with all that was claimed, and a Have is cheap to send."""
        if live.is_guest or live.link in self._told:
            return
        size = self._book.replica.size
        if sum(max(0, claimed - size(peer)) for peer, claimed, _ in frame.rows) >= self._config.far_entries:
            self._told[live.link] = None
            self._look_at = 0.0

    def on_latest(self, live: Live, frame: Latest, quota: Quota, now: float) -> bool:
        """A final snapshot is offered. True if it was asked for."""
        if self._asked.pop(live.link, None) is None:
            return False
        if not self._book.replica.has_genesis:
            self._early[live.link] = frame
            return True
        quota.signatures(len(self._book.replica.genesis.witnesses))
        self._weigh(live.link, frame)
        return True

    def on_parts(self, link: LinkId, frame: Parts) -> bool:
        return self._fetch is not None and frame.model == self._fetch.model and self._fetch.on_parts(link, frame)

    def on_piece(self, link: LinkId, piece: Piece, now: float) -> bool:
        if self._fetch is None or piece.hash != self._fetch.model:
            return False
        return self._fetch.on_piece(link, piece, now)

    def on_lacks(self, link: LinkId, frame: Lacks, now: float) -> None:
        if frame.hash == NO_HASH and self._asked.pop(link, None) is not None:
            self._silent_until[link] = now + ASK_AGAIN_S
        elif self._fetch is not None and frame.hash == self._fetch.model:
            self._fetch.drop(link)
            self._offers.pop(link, None)

    def _weigh(self, link: LinkId, frame: Latest) -> None:
        """RemoteError if it is no final snapshot."""
        replica = self._book.replica
        offer = verify_offer(frame, replica.swarm, replica.genesis.witnesses, self._finals.keys)
        self._offers[link] = offer
        if self._fetch is not None and offer.model == self._fetch.model:
            self._fetch.add(link)
        self._look_at = 0.0  # on a fast line the whole history may be here in the quarter of a second between two looks

    # -------------------------------------------------------------- what is admitted

    def admitted(self, checked: Checked) -> None:
        """An entry, and all its past, is folded: if it is the snapshot, what was borrowed can be verified. With genesis
        here, what was offered before that can be looked at."""
        if self._early:
            self._founded()
        borrowed = self.borrowed
        if borrowed is None or checked.seq != borrowed.offer.seq:
            return
        log = self._find(borrowed.offer)
        if log == checked.log:
            self._verify(borrowed, log)
        elif log is None and peer_of(checked.log) == borrowed.offer.log:
            self._refuse(borrowed, OTHER)

    def _verify(self, borrowed: Borrowed, log: LogId) -> None:
        replica, offer = self._book.replica, borrowed.offer
        change = replica.change(replica.heads(), replica.past(log, offer.seq + 1))
        # Once in an arrival, and nobody but who is held already decides how much it is: no bound.
        theta = shifted(self._book, change, self._blobs.find, terms=MAX_SIZE, size=MAX_SIZE)
        self.borrowed = None
        if theta is None and self._book.owed:
            borrowed.outcome = "false"  # nobody can say yet: a round that began with it is thrown away
        elif theta is not None and hash_of(self._book, theta) == offer.model:
            self.verified, borrowed.outcome = offer, "true"
            self._finals.verified(offer, borrowed.data)
            self._out.note("verified", peer=offer.log, seq=offer.seq, model=offer.model, updates=offer.updates)
        else:
            self._refuse(borrowed, "does not follow from the logs")

    def _refuse(self, borrowed: Borrowed, why: str) -> None:
        self.borrowed, self.is_refused = None, True
        borrowed.outcome, offer = "false", borrowed.offer
        signers = ", ".join(self._name(peer) or peer[:8] for peer in offer.by)
        self._out.note(
            "trouble",
            text=f"the model of snapshot {offer.seq} of {self._name(offer.log) or offer.log[:8]}, which {signers} "
            f"signed as final, {why}: it is thrown away, and nothing was published on top of it",
            by=list(offer.by),
        )

    # -------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self.is_refused:
            return
        if self.borrowed is not None:
            self._doubt(self.borrowed, now)
        elif self._fetch is not None and self._offer is not None:
            self._go_on(self._fetch, self._offer, now)
        elif now >= self._look_at and len(self._links):
            self._look(now)

    def _look(self, now: float) -> None:
        self._look_at = now + LOOK_S
        if self._rumour.said() < self._config.far_entries:
            return
        self._out.timer(TIMER, self._look_at)
        if not self._begin(now):
            self._ask(now)

    def _ask(self, now: float) -> None:
        # On a slow line an answer stands behind all else that was asked for. It counts whenever it comes: to ask again
        # each second cost a sixteenth of such a line, measured, for the same few hundred bytes ten times.
        for link in [link for link, (since, _) in self._asked.items() if now >= since + ASK_AGAIN_S]:
            del self._asked[link]
        waiting = sum(now < until for _, until in self._asked.values())
        able = [
            live.link
            for live in self._links
            if not live.is_guest
            and live.link not in self._asked
            and live.link not in self._offers
            and self._silent_until.get(live.link, 0.0) <= now
        ]
        for link in able[: max(0, MAX_ASKED - waiting - len(self._offers))]:
            self._asked[link] = (now, now + self._pace.wait_s(link, 0))
            self._out.send(link, WantParts(NO_HASH, 0))

    def _begin(self, now: float) -> bool:
        """Fetch the newest snapshot that is offered, if one is that we have not got to ourselves."""
        own = sum(1 for _ in self._book.replica.updates) if self._offers else 0
        fit = [offer for offer in self._offers.values() if offer.updates > own and self._find(offer) is None]
        fold = self._book.fold
        if not fit or fold is None:
            return False
        offer = max(fit, key=lambda offer: (offer.updates, offer.model))
        size_bytes = len(model_header(fold.layout)) + 8 * fold.parameters
        if size_bytes > MAX_SIZE:
            return False
        self._offer = offer
        self._fetch = Fetch(offer.model, size_bytes, self._pace, self._out, self._key_of, self._blame)
        for link, other in self._offers.items():
            if other.model == offer.model:
                self._fetch.add(link)
        self._fetch.pump(now)
        return True

    def _key_of(self, link: LinkId) -> bytes:
        live = self._links.get(link)
        return live.key if live is not None else b""

    def _go_on(self, fetch: Fetch, offer: Offer, now: float) -> None:
        data = fetch.take()
        if data is not None:
            self._use(offer, data)
        elif self._find(offer) is not None or not fetch.sources:
            self._fetch = self._offer = None  # not needed any more, or nobody has it: perhaps a newer one
            self._offers = {link: other for link, other in self._offers.items() if other.model != offer.model}
            self._out.timer(TIMER, now + LOOK_S)
        else:
            self._ask(now)
            fetch.pump(now)

    def _use(self, offer: Offer, data: bytes) -> None:
        fold, replica = self._book.require_fold(), self._book.replica
        body = data[len(model_header(fold.layout)) :]
        theta: Theta = self._book.arithmetic.to_float32(self._book.arithmetic.read_model(body))
        theta.flags.writeable = False
        sources = len(self._fetch.sources) if self._fetch is not None else 0
        self._fetch = self._offer = None
        self._offers.clear()
        self._complete_since = None
        self.borrowed = borrowed = Borrowed(offer, data, theta, lacking=self._rumour.announced())
        self._out.note(
            "arrived", peer=offer.log, seq=offer.seq, model=offer.model, updates=offer.updates, bytes=len(data),
            links=sources,
        )  # fmt: skip
        log = self._find(offer)
        if log is not None:
            self._verify(borrowed, log)
        elif any(replica.size(log) > offer.seq for log in replica.strands(offer.log)):
            self._refuse(borrowed, OTHER)

    def _doubt(self, borrowed: Borrowed, now: float) -> None:
        """All that was known of when it arrived is here, and for long: then the snapshot is in nobody's history."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        self._out.timer(TIMER, self._look_at)
        since = borrowed.since = now if borrowed.since is None else borrowed.since
        replica, rumour = self._book.replica, self._rumour
        borrowed.lacking = {log: size for log, size in borrowed.lacking.items() if replica.size(log) < size}
        if self._blobs.lacking():
            borrowed.since = now  # nobody here can tell: its witnesses are not to blame that others let go of deltas
            self._complete_since = None
        elif now - since >= LONGEST_S:
            self._refuse(borrowed, "could not be verified in half an hour")
        elif not len(self._links) or any(rumour.lacks(log, size) for log, size in borrowed.lacking.items()):
            self._complete_since = None
        elif self._complete_since is None:
            self._complete_since = now
        elif now - self._complete_since >= DOUBT_S:
            self._refuse(borrowed, "is in no history that reached this peer")

    def _founded(self) -> None:
        early, self._early = self._early, {}
        for link, frame in early.items():
            try:
                self._weigh(link, frame)
            except RemoteError as error:
                self._blame(link, error)
