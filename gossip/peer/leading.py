"""Leaders: who has bandwidth bundles for those who have not.

    measured pace, or its owner's word --> volunteers: Lead to every link, twice the links
    16 updates newly folded --> a bundled sum; two sums of equal size --> one of twice the size ... up to 1,024
    a link misses most of what a sum names --Bundled--> it may fetch it like any blob

Sums grow like the digits of a binary number, so whatever a link has missed last is the sum of a few blobs, and making
them costs each update ten additions at most. After a start the newest updates of the store are summed first, a few at a
time.

Rules kept here: only what is in the own fold is summed, of logs that nobody is known to have signed twice; a sum is
offered only where it is at most half as long as what it stands for, to members, once. It refuses to know whether
anybody believes it (following.py): leading gives no right to anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal

from gossip.config import PeerConfig
from gossip.events import LinkId
from gossip.merging import bundled_sum
from gossip.merging.bundled_sum import MAX_NAMED, MAX_PARAMETERS
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.rumour import Rumour
from gossip.wire.frames import MAX_PACE, Bundled, Lead, short_name
from ledger.canonical import entry_hash
from ledger.chain import LogId, peer_of
from ledger.entry import Hash, PeerId, Update
from ledger.errors import LocalError
from ledger.replica import Checked

EACH: Final = 16  # updates in the smallest sum
MAX_KEPT: Final = (
    16  # sums; one of each size below the largest, and some of those: 4,096 updates and more, 14 MB at most
)
LEAD_BYTES_PER_S: Final = 1 << 20  # blobs came to a volunteer at this pace, or faster
TIMER: Final = "leading"

Leads = Literal["auto", "yes", "no"]


@dataclass(slots=True)
class Made:
    """A sum that this peer has made."""

    hash: Hash
    blob: bytes
    entries: dict[tuple[PeerId, int], Hash]  # what it names, and what these entries hash to
    stands_for: int  # bytes of these entries and their deltas
    rows: tuple[tuple[str, int, int], ...] = ()
    told: dict[LinkId, None] = field(default_factory=dict)

    @property
    def is_worth_it(self) -> bool:
        return 2 * len(self.blob) <= self.stands_for


class Leading:
    """What one peer does for others, if it leads. `pace` is how many bytes of blobs come to it in a second."""

    def __init__(
        self, config: PeerConfig, book: Book, links: Links, rumour: Rumour, blobs: Blobs, out: Outbox,
        pace: Callable[[], float],
    ) -> None:  # fmt: skip
        self._config = config
        self._book = book
        self._links = links
        self._rumour = rumour
        self._blobs = blobs
        self._out = out
        self._pace = pace
        self._fresh: list[tuple[LogId, int]] = []  # folded, and in no sum yet
        self._kept: list[Made] = []  # the oldest first
        self._has_grown = False  # the newest sum may be one of two to be joined
        self._look_at: dict[LinkId, None] = {}  # links that have said what they hold
        self.leads = False
        self.made = 0

    # -------------------------------------------------------------- what happens

    def admitted(self, checked: Checked) -> None:
        """An entry is in the replica, and in the fold if it is an update that counts."""
        if self.leads and checked.weight is not None:
            self._fresh.append((checked.log, checked.seq))

    def link_up(self, live: Live) -> None:
        if self.leads and _is_friend(live):
            self._say(live)
            if live.is_guest:
                self.heard(live.link)  # it has nothing, and need not say so

    def link_down(self, link: LinkId) -> None:
        self._look_at.pop(link, None)
        for made in self._kept:
            made.told.pop(link, None)

    def recognised(self, live: Live) -> None:
        """Whom we did not know turns out to be a member."""
        self.link_up(live)
        self.heard(live.link)

    def heard(self, link: LinkId) -> None:
        """A link has said what it holds."""
        if self._kept:
            self._look_at[link] = None

    def tick(self, now: float) -> None:
        if not self.leads:
            if self._wants_to():
                self._begin()
            else:
                return
        if self._has_grown or len(self._fresh) >= EACH:  # one sum at a time: others have their turn in between
            self._out.timer(TIMER, now)
            if not self._has_grown:
                self._make()
            elif not self._join():
                self._has_grown = False
                self._tell()
        for link in tuple(self._look_at):
            self._offer(link)
        self._look_at.clear()

    # -------------------------------------------------------------- volunteering

    def _wants_to(self) -> bool:
        if self._config.leads == "no" or self._book.fold is None:
            return False
        if self._book.fold.parameters > MAX_PARAMETERS:
            return False
        return self._config.leads == "yes" or self._pace() >= LEAD_BYTES_PER_S

    def _begin(self) -> None:
        self.leads = True
        self._links.is_leader = True
        for live in self._links:
            if _is_friend(live):
                self._say(live)
        newest = sorted(((seq, log) for log, seq, _, _ in self._book.replica.updates), reverse=True)[:MAX_NAMED]
        self._fresh = [(log, seq) for seq, log in reversed(newest)]

    def _say(self, live: Live) -> None:
        pace = min(MAX_PACE, max(0, int(self._pace()).bit_length() - 1))
        self._out.send(live.link, Lead(pace, bundles=True))

    # -------------------------------------------------------------- summing

    def _make(self) -> None:
        """One sum of the oldest EACH updates that are in none, and what follows from it."""
        names, self._fresh = self._fresh[:EACH], self._fresh[EACH:]
        replica, fold = self._book.replica, self._book.require_fold()
        terms, entries, stands_for = [], dict[tuple[PeerId, int], Hash](), 0
        for log, seq in names:
            entry, weight, data = replica.entry(log, seq), replica.weight_of(log, seq), replica.data(log, seq)
            if not isinstance(entry, Update) or weight is None or not self._counts(log, seq):
                continue
            blob = self._blobs.find(entry.delta)
            if blob is None:
                continue  # its disk is behind; whoever misses this one gets it as an entry
            terms.append((fold.arithmetic.decode(blob, fold.parameters), weight))
            entries[log, seq] = entry_hash(data)
            stands_for += len(data) + entry.bytes
        if terms:
            self._keep(bundled_sum.sum_up(fold.parameters, terms, entries), entries, stands_for)

    def _counts(self, log: LogId, seq: int) -> bool:
        """Whether a term may be lent: not of a log with two histories, where a number names no entry."""
        replica = self._book.replica
        is_clear = peer_of(log) == log and log not in self._rumour.forked and replica.void_from(log) is None
        return is_clear and not replica.condemned(log, seq)

    def _keep(self, bundled: bundled_sum.BundledSum, entries: dict[tuple[PeerId, int], Hash], stands_for: int) -> None:
        made = self._spelled(bundled, entries, stands_for)
        if made is None:
            return
        self.made += 1
        self._kept.append(made)
        self._has_grown = True

    def _tell(self) -> None:
        if len(self._kept) > MAX_KEPT:
            self._kept.pop(0)
        self._blobs.lent = {made.hash: made.blob for made in self._kept}
        newest = self._kept[-1]
        self._out.note(
            "bundled", made=self.made, updates=len(newest.entries), bytes=len(newest.blob), instead_of=newest.stands_for
        )
        for live in self._links:
            self._look_at[live.link] = None

    def _spelled(
        self, bundled: bundled_sum.BundledSum, entries: dict[tuple[PeerId, int], Hash], stands_for: int
    ) -> Made | None:
        try:
            blob = bundled_sum.encode(bundled)
        except LocalError:
            return None  # a model for which no sum fits a message's bounds
        rows = tuple(sorted((short_name(log), seqs[0], seqs[-1]) for log, seqs in bundled.named))
        if len({short for short, _, _ in rows}) < len(rows):
            return None  # two logs of one beginning: nobody can be told what it covers
        return Made(sha256(blob).hexdigest(), blob, entries, stands_for, rows)

    def _join(self) -> bool:
        """As a binary number is counted up: two of one size become one of twice the size. False if these do not."""
        if len(self._kept) < 2:
            return False
        one, other = self._kept[-2:]
        if _size(one) > _size(other) or len(one.entries) + len(other.entries) > MAX_NAMED:
            return False
        parameters = self._book.require_fold().parameters
        first, second = (bundled_sum.decode(made.blob, parameters) for made in (one, other))
        entries = one.entries | other.entries
        joined = self._spelled(bundled_sum.join(first, second, entries), entries, one.stands_for + other.stands_for)
        if joined is None:
            return False
        self._kept[-2:] = [joined]
        return True

    # -------------------------------------------------------------- offering

    def _offer(self, link: LinkId) -> None:
        """Tell a link of the sums most of which it misses, the longest first."""
        live = self._links.get(link)
        if live is None or not _is_friend(live):
            return
        for made in self._kept:
            if link in made.told or not made.is_worth_it:
                continue
            missed = sum(self._rumour.claim(link, log) <= seq for log, seq in made.entries)
            if 2 * missed >= len(made.entries):
                made.told[link] = None
                self._out.send(link, Bundled(made.hash, len(made.blob), len(made.entries), made.rows))


def _is_friend(live: Live) -> bool:
    """Whom sums are offered to: members, and who comes in to become one."""
    return live.peer is not None or live.is_guest


def _size(made: Made) -> int:
    """A sum's place in the count: the power of two of its updates, some of which may have been left out."""
    return (-(-len(made.entries) // EACH) - 1).bit_length()
