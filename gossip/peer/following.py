"""Following: what a peer borrows from leaders while it is behind, and how it finds out whether it was told the truth.

    Bundled --missed, and known of from others?--> fetched --> lent: what is left of it is shown, at most 60 s
        an update that it names is folded --> its term is taken out of what is left
        nothing named is left:   zero --> it was true     not zero, of these very entries --> false: its link ends
        no way to find out (another history, what nobody has, time) --> given back; its sender is not asked again

Nothing is trained from a loan, nothing is published that came of one, and nothing waits for one to be repaid: what a
leader says can make a peer show a bad model for a minute, once.

Rules kept here: at most two leaders are listened to, the fastest; of two sums that name one update only one is lent;
only what its own author, or a second link, says to hold is borrowed; offers are looked at together, a few times a
second, however many come. It refuses to know who ought to lead (leading.py) and what a model is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gossip.config import PeerConfig
from gossip.events import LinkId
from gossip.merging.bundled_sum import BundledSum, Remainder, decode, entries_hash, most_bytes
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.rumour import Rumour
from gossip.peer.status import Sums
from gossip.wire.frames import MAX_BUNDLED, Bundled, Lacks, Lead, short_name
from ledger.canonical import entry_hash
from ledger.chain import LogId, peer_of
from ledger.entry import Hash, PeerId, Update
from ledger.errors import RemoteError
from ledger.replica import Checked

LEADERS: Final = 2  # that a peer listens to
OFFERS: Final = 16  # kept for each link ...
OFFERED_ROWS: Final = 4 * MAX_BUNDLED  # ... with so many rows in all
COMING: Final = 2  # sums on their way, of each leader
MAX_LENT: Final = 8  # sums at a time, on their way or in use: 7 MB of blobs, 12 MiB when in use
FAR: Final = 32  # entries missing, from which on a sum is waited for before they are asked for
OFFER_S: Final = 1.0  # so long for a leader to offer one ...
FETCH_S: Final = 20.0  # ... and so long in all for each key in one run, while sums come
COMING_S: Final = 60.0  # for a sum to come
LOAN_S: Final = 60.0  # for it to be repaid ...
CAUGHT_UP_S: Final = 15.0  # ... sooner where nothing is missing that anybody has
LOOK_S: Final = 0.25  # between two looks at what is offered
TIMER: Final = "following"

Outcome = Literal["true", "false", "unknown"]


@dataclass(frozen=True, slots=True)
class Coming:
    """A sum on its way."""

    live: Live
    offer: Bundled
    until: float


@dataclass(frozen=True, slots=True)
class Loan:
    """A sum in use."""

    live: Live  # of the leader
    name: str
    offer: Bundled
    bundled: BundledSum
    left: Remainder
    since: float


@dataclass(slots=True)
class Heard:
    """What one link has said as a leader."""

    pace: int
    offers: dict[Hash, Bundled] = field(default_factory=dict)

    def keep(self, offer: Bundled) -> None:
        self.offers.pop(offer.sum, None)
        self.offers[offer.sum] = offer
        while len(self.offers) > OFFERS or sum(len(one.rows) for one in self.offers.values()) > OFFERED_ROWS:
            del self.offers[next(iter(self.offers))]


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
        self._coming: dict[Hash, Coming] = {}
        self._lent: dict[Hash, Loan] = {}
        self._taken: dict[str, dict[Hash, tuple[int, int]]] = {}  # stretches of logs that these sums name
        self._last_wait: dict[bytes, float] = {}  # by key: until when entries may wait for its sums, in this run
        self._patient: dict[LinkId, float] = {}  # what these say to hold is not asked for until then
        self._has_news = False
        self._look_at = 0.0
        self.used = 0  # sums lent
        self.false = 0  # of these

    # -------------------------------------------------------------- what leaders say

    def on_lead(self, live: Live, frame: Lead) -> None:
        if not self._config.follows or live.key in self._fallen:
            return
        if frame.bundles:
            self._heard.setdefault(live.link, Heard(frame.pace)).pace = frame.pace
        else:
            self._forget(live.link)

    def on_bundled(self, live: Live, frame: Bundled) -> None:
        """An offer: of a peer that has not said that it leads it is none."""
        heard = self._heard.get(live.link)
        if heard is not None:
            heard.keep(frame)
            self._has_news = True

    def on_lacks(self, link: LinkId, frame: Lacks) -> None:
        """The leader has put that sum into a larger one."""
        if frame.hash in self._coming and self._coming[frame.hash].live.link == link:
            self._drop(frame.hash)

    def link_down(self, link: LinkId) -> None:
        self._forget(link)
        for digest in [digest for digest, coming in self._coming.items() if coming.live.link == link]:
            self._drop(digest)

    def _forget(self, link: LinkId) -> None:
        self._heard.pop(link, None)
        self._patient.pop(link, None)
        self._has_news = True  # another leader may have the like

    def _drop(self, digest: Hash) -> None:
        """A sum is not on its way any more, nor in use."""
        kept = self._coming.pop(digest, None) or self._lent.pop(digest)
        for log, _, _ in kept.offer.rows:
            del self._taken[log][digest]
            if not self._taken[log]:
                del self._taken[log]
        self._blobs.drop_offered(digest)
        self._has_news = True
        self._hurry(kept.live.link)

    def _hurry(self, link: LinkId) -> None:
        """Entries are not to wait for that link, unless a sum of it is still on its way."""
        if not any(coming.live.link == link for coming in self._coming.values()):
            self._patient.pop(link, None)

    def leaders(self) -> list[LinkId]:
        """Whom we listen to: the fastest two."""
        return sorted(self._heard, key=lambda link: (-self._heard[link].pace, link))[:LEADERS]

    def is_leader(self, link: LinkId) -> bool:
        return link in self._heard and link in self.leaders()

    # -------------------------------------------------------------- waiting for a sum before entries

    def told(self, live: Live, now: float) -> None:
        """A link said what it holds. A leader offers sums in the same breath, so entries are not asked for just yet."""
        self._has_news = self._has_news or bool(self._heard)  # it may be the second to say so
        if live.link in self._heard and live.key not in self._last_wait and not self._lent and self._is_far():
            self._last_wait[live.key] = now + FETCH_S
            self._wait(live.link, now + OFFER_S)

    def _is_far(self) -> bool:
        return self._book.fold is not None and self._rumour.missing() >= FAR

    def _wait(self, link: LinkId, until: float) -> None:
        self._patient[link] = until
        self._out.timer(TIMER, until)

    def patient(self, now: float) -> list[LinkId]:
        """Links of which nothing is to be asked yet but sums, nor of others what they hold no more of."""
        return [link for link, until in self._patient.items() if now < until]

    # -------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        for digest in tuple(self._coming):
            if digest in self._coming:  # its link may have ended for what came before it
                self._arrive(digest, self._coming[digest], now)
        for loan in tuple(self._lent.values()):
            if now >= loan.since + (LOAN_S if self._rumour.missing() else CAUGHT_UP_S):
                self._end(loan, "unknown", "what it names has not come in time")
        if self.has_news and now >= self._look_at:
            self._has_news, self._look_at = False, now + LOOK_S
            self._choose(now)
        due = [coming.until for coming in self._coming.values()]
        due += [loan.since + limit for loan in self._lent.values() for limit in (CAUGHT_UP_S, LOAN_S)]
        if self.has_news:
            due.append(self._look_at)
        if later := [at for at in due if at > now]:
            self._out.timer(TIMER, min(later))

    @property
    def has_news(self) -> bool:
        """Whether there is something to look at, now or when a look is due: until then the machine does not rest."""
        return self._has_news and self._book.fold is not None

    def _choose(self, now: float) -> None:
        """Fetch what is worth it, the longest first: of one leader, and of the next what the first does not have."""
        leaders = [(link, self._heard[link]) for link in self.leaders() if self._heard[link].offers]
        known = self._known() if leaders and self._rumour.missing() else {}
        most = most_bytes(self._book.require_fold().parameters)
        for link, heard in leaders:
            live = self._links.get(link)
            for offer in sorted(heard.offers.values(), key=lambda one: (-one.updates, one.sum)):
                coming = sum(coming.live.link == link for coming in self._coming.values())
                if live is None or coming >= COMING or len(self._coming) + len(self._lent) >= MAX_LENT:
                    break
                if offer.bytes > most:
                    del heard.offers[offer.sum]
                elif self._is_wanted(offer, known):
                    del heard.offers[offer.sum]
                    self._fetch(live, offer, now)

    def _fetch(self, live: Live, offer: Bundled, now: float) -> None:
        self._coming[offer.sum] = Coming(live, offer, now + COMING_S)
        for log, first, last in offer.rows:
            self._taken.setdefault(log, {})[offer.sum] = (first, last)
        self._blobs.want_offered(offer.sum, offer.bytes, live.link)
        if live.key not in self._last_wait and self._is_far():
            self._last_wait[live.key] = now + FETCH_S
        if now < (until := self._last_wait.get(live.key, 0.0)):
            self._wait(live.link, until)

    def _known(self) -> dict[str, tuple[int, int]]:
        """Of each log how much is here, and how much there is by its author's word or that of two links."""
        found: dict[str, tuple[int, int]] = {}
        for log, size in self._rumour.vouched().items():
            if peer_of(log) == log:
                here = self._book.replica.size(log)
                found[short_name(log)] = (here, max(here, size))
        return found

    def _is_wanted(self, offer: Bundled, known: dict[str, tuple[int, int]]) -> bool:
        """Whether all of it is known of, we miss most of it, and have borrowed nothing of it."""
        span = missed = 0
        for log, first, last in offer.rows:
            here, there = known.get(log, (0, 0))
            if last >= there or any(first <= end and begin <= last for begin, end in self._taken.get(log, {}).values()):
                return False
            span += last - first + 1
            missed += max(0, last + 1 - max(first, here))
        return 2 * missed >= span

    # -------------------------------------------------------------- a sum is here

    def _arrive(self, digest: Hash, coming: Coming, now: float) -> None:
        live, offer = coming.live, coming.offer
        blob = self._blobs.take(digest)
        if blob is None:
            if now >= coming.until:
                self._fall(live)
            if now >= coming.until or not self._blobs.is_coming(digest):
                self._drop(digest)
            return
        fold = self._book.require_fold()
        try:
            bundled = decode(blob, fold.parameters)
            if offer.updates != bundled.updates or _rows(bundled) != offer.rows:
                raise RemoteError("a sum names other updates than its sender said")
        except RemoteError as error:
            self._drop(digest)
            self._fall(live)
            self._blame(live.link, error)
            return
        del self._coming[digest]
        self._hurry(live.link)
        loan = Loan(live, self._name(live.peer), offer, bundled, Remainder(bundled), now)
        self._lent[digest] = loan
        for log, seq in bundled.names():
            if seq < self._book.replica.size(log) and digest in self._lent:
                self._take_out(loan, log, seq)
        if digest not in self._lent:
            return
        if loan.left.left:  # else all of it has come by itself: it shows only whether its sender is honest
            self.used += 1
            self._out.note(
                "borrowed", name=loan.name, updates=bundled.updates, missing=len(loan.left.left), bytes=len(blob)
            )
        self._settle(loan)

    def admitted(self, checked: Checked) -> None:
        """An entry is in the replica: what it adds is in the fold, if it adds anything."""
        for loan in tuple(self._lent.values()):
            if (checked.log, checked.seq) in loan.left.left:
                self._take_out(loan, checked.log, checked.seq)
                if loan.offer.sum in self._lent:
                    self._settle(loan)

    def _take_out(self, loan: Loan, log: LogId, seq: int) -> None:
        replica, fold = self._book.replica, self._book.require_fold()
        entry, weight = replica.entry(log, seq), replica.weight_of(log, seq)
        blob = self._blobs.find(entry.delta) if isinstance(entry, Update) and weight is not None else None
        if blob is None or weight is None:
            self._end(loan, "unknown", f"entry {seq} of {log[:12]} adds nothing to the model here")
            return
        loan.left.fold(log, seq, fold.arithmetic.decode(blob, fold.parameters), weight)

    def _settle(self, loan: Loan) -> None:
        """Say what has come of it, once all that it names is here."""
        if loan.left.left:
            return
        replica = self._book.replica
        here = {(log, seq): entry_hash(replica.data(log, seq)) for log, seq in loan.bundled.names()}
        if entries_hash(here) != loan.bundled.entries:
            self._end(loan, "unknown", "it is of another history")
        elif loan.left.is_zero:
            self._end(loan, "true", "")
        else:
            self._end(loan, "false", "its updates add up to something else")

    def _end(self, loan: Loan, outcome: Outcome, why: str) -> None:
        self._drop(loan.offer.sum)
        if outcome == "true":
            self._out.note("repaid", name=loan.name, updates=loan.bundled.updates)
            return
        self._fall(loan.live)
        if outcome == "unknown":
            self._out.note("trouble", text=f"a sum by {loan.name or 'a leader'} is not used any more: {why}")
            return
        self.false += 1
        self._out.note("trouble", text=f"a sum by {loan.name or 'a leader'} was false: {why}; the model never held it")
        if self._links.get(loan.live.link) is not None:
            self._blame(loan.live.link, RemoteError("a bundled sum is false", why=why))

    def _fall(self, live: Live) -> None:
        """It is not listened to again in this run."""
        self._fallen[live.key] = None
        for other in self._links:  # it may have come back on another link
            if other.key == live.key:
                self._forget(other.link)

    # -------------------------------------------------------------- what is shown

    @property
    def status(self) -> Sums:
        peers = (live.peer for link in self.leaders() if (live := self._links.get(link)) is not None)
        names = tuple(self._name(peer) or (peer or "")[:8] for peer in peers)
        lent = sum(len(loan.left.left) for loan in self._lent.values())
        return Sums(leaders=names, used=self.used, false=self.false, lent=lent)

    @property
    def lent(self) -> tuple[Loan, ...]:
        """Sums that are in use, and not yet known to be true."""
        return tuple(self._lent.values())

    @property
    def shown(self) -> int:
        """Updates in what theta() gives."""
        return sum(1 for _ in self._book.replica.updates) + sum(len(loan.left.left) for loan in self.lent)

    def theta(self) -> NDArray[np.float32]:
        """The model of what is folded and of what is borrowed, rounded once; a copy that nobody changes."""
        if not self._lent:
            return self._book.theta()
        total = self._book.require_fold().theta.copy()
        for loan in self._lent.values():
            loan.left.add_to(total)
        theta = self._book.arithmetic.to_float32(total)
        theta.flags.writeable = False
        return theta


def _rows(bundled: BundledSum) -> tuple[tuple[str, int, int], ...]:
    return tuple(sorted((short_name(log), seqs[0], seqs[-1]) for log, seqs in bundled.named))
