"""Following: what a peer borrows from leaders while it is behind, and how it finds out whether it was told the truth.

    Bundled --far enough behind?--> fetched before anything else --> lent
        lent: what is left of the sum is added to what is shown and trained from, never to the fold
        an update that it names is folded --> its term is taken out of what is left
        nothing named is left:   zero --> it was true        not zero --> false: Note, its sender's link ends
        no way to find out (another history, entries that nobody has) --> given back; its sender is not asked again

A round that began with something borrowed is published when all of that has turned out to be true, and not at all if
any was not: what one leader says can make a peer show a bad model for a while, and publish nothing that came of it.
Its view is then what was folded when it began and what the sums named, for that is what it was trained from.

Rules kept here: at most two leaders are listened to, the fastest; of two sums that name one update only one is lent;
every offer is a hint, every sum a loan. It refuses to know who ought to lead (leading.py) and what a model is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gossip.config import PeerConfig
from gossip.events import LinkId
from gossip.merging.bundled_sum import BundledSum, Remainder, decode, entries_hash
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.rumour import Rumour
from gossip.peer.status import Sums
from gossip.wire.frames import Bundled, Lead, short_name
from ledger.canonical import entry_hash
from ledger.chain import LogId, peer_of
from ledger.entry import Hash, PeerId
from ledger.errors import RemoteError
from ledger.replica import Checked

LEADERS: Final = 2  # that a peer listens to
OFFERS: Final = 16  # kept for each link
MAX_LENT: Final = 8  # sums at a time, on their way or in use
FAR: Final = 32  # entries missing, from which on a sum is waited for before they are asked for
OFFER_S: Final = 1.0  # so long for a leader to offer one ...
FETCH_S: Final = 20.0  # ... and so long in all for each link, while sums come; then entries are asked for as ever
IDLE_S: Final = 300.0  # without one of its updates folded, a sum is given back ...
CAUGHT_UP_S: Final = 15.0  # ... sooner where nothing is missing that anybody has
TIMER: Final = "following"

Outcome = Literal["open", "true", "false", "unknown"]


@dataclass(slots=True)
class Loan:
    """One sum in use."""

    link: LinkId
    key: bytes  # of the leader
    name: str
    bundled: BundledSum
    left: Remainder
    heard_at: float  # when one of its updates was last folded
    outcome: Outcome = "open"


@dataclass(slots=True)
class Heard:
    """What one link has said as a leader."""

    pace: int
    offers: dict[Hash, Bundled] = field(default_factory=dict)
    patient_until: float | None = None  # entries wait for its sums till then, once; None: they have not yet


class Following:
    """The loans of one peer. `blame` ends a link for what it sent."""

    def __init__(
        self, config: PeerConfig, book: Book, links: Links, rumour: Rumour, blobs: Blobs, out: Outbox,
        blame: Callable[[LinkId, RemoteError], None], name: Callable[[PeerId | None], str],
    ) -> None:  # fmt: skip
        self._config = config
        self._book = book
        self._links = links
        self._rumour = rumour
        self._blobs = blobs
        self._out = out
        self._blame = blame
        self._name = name
        self._heard: dict[LinkId, Heard] = {}
        self._fallen: dict[bytes, None] = {}  # keys of those who lent what was false, or what nobody can check
        self._coming: dict[Hash, tuple[LinkId, Bundled]] = {}
        self._lent: list[Loan] = []
        self._held_until = 0.0
        self._has_news = False
        self.used = 0  # sums lent
        self.false = 0  # of these

    # -------------------------------------------------------------- what leaders say

    def on_lead(self, live: Live, frame: Lead) -> None:
        if not self._config.follows or live.key in self._fallen:
            return
        if frame.bundles:
            known = self._heard.get(live.link)
            if known is None:
                self._heard[live.link] = Heard(frame.pace)
            else:
                known.pace = frame.pace
        else:
            self._heard.pop(live.link, None)
        self._has_news = True

    def on_bundled(self, live: Live, frame: Bundled) -> None:
        """An offer: of a peer that has not said that it leads it is none."""
        heard = self._heard.get(live.link)
        if heard is None:
            return
        heard.offers[frame.sum] = frame
        if len(heard.offers) > OFFERS:
            del heard.offers[next(iter(heard.offers))]
        self._has_news = True

    def link_down(self, link: LinkId) -> None:
        self._heard.pop(link, None)
        for digest in [digest for digest, (source, _) in self._coming.items() if source == link]:
            del self._coming[digest]
            self._blobs.take(digest)
            self._has_news = True  # another leader may have the like

    def leaders(self) -> list[LinkId]:
        """Whom we listen to: the fastest two."""
        return sorted(self._heard, key=lambda link: (-self._heard[link].pace, link))[:LEADERS]

    def is_leader(self, link: LinkId) -> bool:
        return link in self._heard and link in self.leaders()

    # -------------------------------------------------------------- waiting for a sum before entries

    def told(self, link: LinkId, now: float) -> None:
        """A link said what it holds. A leader offers sums in the same breath, so entries are not asked for just yet."""
        heard = self._heard.get(link)
        if heard is None or heard.patient_until is not None or self._lent or self._coming:
            return
        if self._is_far():
            heard.patient_until = now + FETCH_S
            self._hold(now + OFFER_S)

    def _is_far(self) -> bool:
        return self._book.fold is not None and self._rumour.missing() >= FAR

    def _hold(self, until: float) -> None:
        self._held_until = max(self._held_until, until)
        self._out.timer(TIMER, self._held_until)

    def holds(self, now: float) -> bool:
        """Whether entries are not to be asked for yet."""
        return now < self._held_until

    # -------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        for digest in tuple(self._coming):
            if digest in self._coming:  # its link may have ended for what came before it
                self._arrive(digest, now)
        if self._has_news:
            self._has_news = False
            self._choose(now)
        for loan in tuple(self._lent):
            patience = CAUGHT_UP_S if now >= loan.heard_at + CAUGHT_UP_S and not self._rumour.missing() else IDLE_S
            if now >= loan.heard_at + patience:
                self._end(loan, "unknown", "nobody has what it names")
        if self._lent or self._coming:
            self._out.heed(now)  # what is missing counts
        if self._lent:
            due = min(loan.heard_at for loan in self._lent)
            self._out.timer(TIMER, due + CAUGHT_UP_S if now < due + CAUGHT_UP_S else now + CAUGHT_UP_S)

    def _choose(self, now: float) -> None:
        """Fetch what is worth it, the longest first: of one leader, and of the next what the first does not have."""
        if self._book.fold is None:
            self._has_news = True  # once genesis is here
            return
        sizes = {short_name(log): size for log, size in self._book.replica.heads().items() if peer_of(log) == log}
        for link in self.leaders():
            for offer in sorted(self._heard[link].offers.values(), key=lambda one: (-one.updates, one.sum)):
                if len(self._coming) + len(self._lent) >= MAX_LENT:
                    return
                if self._is_wanted(offer, sizes):
                    self._coming[offer.sum] = (link, offer)
                    self._blobs.want_offered(offer.sum, offer.bytes, link)
                    heard = self._heard[link]
                    if heard.patient_until is None and self._is_far():
                        heard.patient_until = now + FETCH_S
                    if heard.patient_until is not None and heard.patient_until > now:
                        self._hold(heard.patient_until)
                    del heard.offers[offer.sum]

    def _is_wanted(self, offer: Bundled, sizes: Mapping[str, int]) -> bool:
        """Whether we miss most of it, and have borrowed nothing of it."""
        span = sum(last - first + 1 for _, first, last in offer.rows)
        missed = sum(max(0, last + 1 - max(first, sizes.get(log, 0))) for log, first, last in offer.rows)
        if 2 * missed < span:
            return False
        taken = [row for _, other in self._coming.values() for row in other.rows]
        taken += [(short_name(log), seqs[0], seqs[-1]) for loan in self._lent for log, seqs in loan.bundled.named]
        mine = {log: (first, last) for log, first, last in offer.rows}
        return not any(log in mine and first <= mine[log][1] and mine[log][0] <= last for log, first, last in taken)

    # -------------------------------------------------------------- a sum is here

    def _arrive(self, digest: Hash, now: float) -> None:
        blob = self._blobs.take(digest)
        if blob is None:
            if not self._blobs.is_coming(digest):
                del self._coming[digest]
            return
        link, offer = self._coming.pop(digest)
        if not self._coming:
            self._held_until = 0.0
        live = self._links.get(link)
        fold = self._book.require_fold()
        try:
            bundled = decode(blob, fold.parameters)
            if offer.updates != bundled.updates or _rows(bundled) != offer.rows:
                raise RemoteError("a sum names other updates than its sender said")
        except RemoteError as error:
            if live is not None:
                self._fallen[live.key] = None
            self._blame(link, error)
            return
        if live is None:
            return
        loan = Loan(link, live.key, self._name(live.peer), bundled, Remainder(bundled), now)
        self._lent.append(loan)
        for log, seq in bundled.names():
            if seq < self._book.replica.size(log) and loan.outcome == "open":
                self._take_out(loan, log, seq, now)
        if loan.outcome == "open" and not loan.left.left:
            self._settle(loan)  # all of it has come by itself: it shows only whether its sender is honest
            return
        self.used += 1
        self._out.note(
            "borrowed", name=loan.name, updates=bundled.updates, missing=len(loan.left.left), bytes=len(blob)
        )
        self._settle(loan)

    def admitted(self, checked: Checked, now: float) -> None:
        """An entry is in the replica: what it adds is in the fold, if it adds anything."""
        for loan in tuple(self._lent):
            if (checked.log, checked.seq) in loan.left.left:
                self._take_out(loan, checked.log, checked.seq, now)
                self._settle(loan)

    def _take_out(self, loan: Loan, log: LogId, seq: int, now: float) -> None:
        replica, fold = self._book.replica, self._book.require_fold()
        weight = replica.weight_of(log, seq)
        delta = getattr(replica.entry(log, seq), "delta", None)
        loan.heard_at = now
        if weight is None or delta is None:
            self._end(loan, "false", f"entry {seq} of {log[:12]} adds nothing to the model")
            return
        blob = self._blobs.find(delta)
        if blob is None:
            self._end(loan, "unknown", "a delta is not here")
            return
        loan.left.fold(log, seq, fold.arithmetic.decode(blob, fold.parameters), weight)

    def _settle(self, loan: Loan) -> None:
        """Say what has come of it, once that can be said."""
        if loan.outcome != "open":
            return
        if loan.left.strays:
            self._end(loan, "false", "an update that it names changes more than it says")
        elif not loan.left.left:
            if self._entries(loan.bundled) != loan.bundled.entries:
                self._end(loan, "unknown", "it is of another history")
            elif loan.left.is_zero:
                self._end(loan, "true", "")
            else:
                self._end(loan, "false", "its updates add up to something else")

    def _entries(self, bundled: BundledSum) -> Hash:
        replica = self._book.replica
        return entries_hash({(log, seq): entry_hash(replica.data(log, seq)) for log, seq in bundled.names()})

    def _end(self, loan: Loan, outcome: Outcome, why: str) -> None:
        loan.outcome = outcome
        self._lent.remove(loan)
        self._has_news = True
        if outcome == "true":
            self._out.note("repaid", name=loan.name, updates=loan.bundled.updates)
            return
        self._fallen[loan.key] = None
        live = self._links.get(loan.link)
        self._heard.pop(loan.link, None)
        if outcome == "unknown":
            self._out.note("trouble", text=f"a sum by {loan.name or 'a leader'} is not used any more: {why}")
            return
        self.false += 1
        self._out.note("trouble", text=f"a sum by {loan.name or 'a leader'} was false: {why}; the model never held it")
        if live is not None and live.key == loan.key:
            self._blame(loan.link, RemoteError("a bundled sum is false", why=why))

    # -------------------------------------------------------------- what is shown

    @property
    def status(self) -> Sums:
        peers = (live.peer for link in self.leaders() if (live := self._links.get(link)) is not None)
        names = tuple(self._name(peer) or (peer or "")[:8] for peer in peers)
        lent = sum(len(loan.left.left) for loan in self._lent)
        return Sums(leaders=names, used=self.used, false=self.false, lent=lent)

    @property
    def lent(self) -> tuple[Loan, ...]:
        """Sums that are in use, and not yet known to be true."""
        return tuple(self._lent)

    @property
    def shown(self) -> int:
        """Updates in what theta() gives."""
        return sum(1 for _ in self._book.replica.updates) + sum(len(loan.left.left) for loan in self._lent)

    def theta(self) -> NDArray[np.float32]:
        """The model of what is folded and of what is borrowed, rounded once; a copy that nobody changes."""
        if not self._lent:
            return self._book.theta()
        total = self._book.require_fold().theta.copy()
        for loan in self._lent:
            loan.left.add_to(total)
        theta = self._book.arithmetic.to_float32(total)
        theta.flags.writeable = False
        return theta

    def view(self, heads: Mapping[LogId, int], loans: tuple[Loan, ...]) -> dict[LogId, int]:
        """What a round has been trained from that began with `heads` folded and these loans, all of them true: of each
        log as far as every update was in one or the other."""
        view = dict(heads)
        replica = self._book.replica
        named = {name for loan in loans for name in loan.bundled.names()}
        for log in sorted({log for log, _ in named}):
            last = max(seq for peer, seq in named if peer == log)
            size = view.get(log, 0)
            while size <= last and (replica.weight_of(log, size) is None or (log, size) in named):
                size += 1
            if size:
                view[log] = size
        return view


def _rows(bundled: BundledSum) -> tuple[tuple[str, int, int], ...]:
    return tuple(sorted((short_name(log), seqs[0], seqs[-1]) for log, seqs in bundled.named))
