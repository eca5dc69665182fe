"""The desk where proposals lie: who should sign each, who holds how much of it, and whom to tell.

    new, unsigned      --Vouch--> its witnesses that are linked; if it is ours and some are not: all links, and these
                                  pass it on to those
    signed             --Vouch--> home: its author, or the link it came from
    whole, or old      --Tally--> "I hold 4 signatures on that" --Tally--> "I hold 1" --Vouch-->

Cosignatures travel home and only then out, and out by announcement: whoever flooded each one as it was made would
send thrice as much. A snapshot that nobody has voted for is not announced at all, for most never get a vote; the
first vote takes it everywhere.

Rules kept here: of each log the newest proposal of either kind, and no other; an announcement is a hint, and what it
costs to follow one is counted against its link. It refuses to know whether a root is right (witnessing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from gossip.config import PeerConfig
from gossip.events import KeepCosigned, LinkId
from gossip.peer.links import Links, Live
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from gossip.peer.quota import Quota
from gossip.peer.vouches import Proposal
from gossip.wire.frames import MAX_TALLY, Tally, short_name
from ledger.entry import PeerId, Snapshot
from ledger.replica import Replica
from ledger.witness import witnesses_of

TIMER: Final = "witness"
SETTLE_S: Final = 3.0  # from the last signature that is needed to telling others, at most: who waits longer may hear
ASK_AGAIN_S: Final = 2.0  # an announcement is not followed twice within so long
MAX_ASKED: Final = 4096


class Desk:
    """The proposals of one peer's time. `members` are all peers let in so far, but for those who were revoked.

    One whose time is over stays a witness, as one that is away: by clocks, peers would name different ones.
    """

    def __init__(
        self, config: PeerConfig, own: PeerId, replica: Replica, links: Links, luck: Luck, out: Outbox,
        members: Callable[[], Collection[PeerId]],
    ) -> None:  # fmt: skip
        self.own = own
        self._config = config
        self._replica = replica
        self._links = links
        self._luck = luck
        self._out = out
        self._members = members
        self._kept: dict[tuple[PeerId, bool], Proposal] = {}  # by log, and whether it is a vote
        self._enrolled: dict[str, PeerId] = {}  # by first key
        self._short: dict[str, PeerId] = {}  # of two with one short name the first: tallies are hints
        self._named: dict[PeerId, frozenset[PeerId]] = {}  # witnesses of a log, among the members named next
        self._named_among: frozenset[PeerId] = frozenset()
        self._asked: dict[tuple[PeerId, int], tuple[int, float]] = {}

    def enrolled(self, log: PeerId, key: str) -> None:
        self._enrolled.setdefault(key, log)
        self._short.setdefault(short_name(log), log)

    # -------------------------------------------------------------- what lies here

    def __iter__(self) -> Iterator[Proposal]:
        return iter([proposal for _, proposal in sorted(self._kept.items())])

    def newest(self, log: PeerId, is_vote: bool) -> Proposal | None:
        return self._kept.get((log, is_vote))

    def find(self, log: PeerId, size: int) -> Proposal | None:
        """The proposal of exactly that size, if it is one of the newest."""
        for is_vote in (False, True):
            found = self._kept.get((log, is_vote))
            if found is not None and found.size == size:
                return found
        return None

    def put(self, proposal: Proposal) -> None:
        self._kept[proposal.log, proposal.is_vote] = proposal

    def is_vote(self, log: PeerId, size: int) -> bool:
        """Whether a proposal of that size, which we hold, is about a snapshot."""
        return isinstance(self._replica.entry(log, size - 1), Snapshot)

    # -------------------------------------------------------------- who

    def concerns(self, log: PeerId) -> bool:
        return bool(self._replica.role_of(log))

    @property
    def is_alone(self) -> bool:
        return len(self._members()) < 2

    def signers(self, proposal: Proposal) -> frozenset[PeerId]:
        """Who should cosign it."""
        if proposal.is_vote:
            return self.voters()
        members = self._members()
        if members != self._named_among:  # not by their number: one may have gone out as another came in
            self._named_among = frozenset(members)
            self._named.clear()
        known = self._named.get(proposal.log)
        if known is None:
            known = self._named[proposal.log] = frozenset(witnesses_of(proposal.log, members))
        return known

    def voters(self) -> frozenset[PeerId]:
        """The fixed witnesses of this swarm, as far as they are members."""
        keys = self._replica.genesis.witnesses if self._replica.has_genesis else ()
        found = (self._enrolled.get(key) for key in keys)
        return frozenset(peer for peer in found if peer is not None and self.concerns(peer))

    def is_whole(self, proposal: Proposal) -> bool:
        """Whether it has what it needs: all its witnesses; of votes, a majority of those that genesis names."""
        if proposal.is_vote:
            return 2 * len(proposal.vouchers) > len(self._replica.genesis.witnesses)
        return self.signers(proposal).issubset(proposal.vouchers)

    # -------------------------------------------------------------- passing on

    def changed(self, proposal: Proposal, now: float) -> None:
        """There is something new to tell, once it is whole, or has had its time."""
        pause = SETTLE_S * self._luck.uniform(0.2, 1.0) if self.is_whole(proposal) else self._config.gather_s
        proposal.announce_at = now + pause if proposal.vouchers or not proposal.is_vote else None

    def forward(self, proposal: Proposal) -> None:
        """What is unsigned goes to those who should sign, and what they signed goes home."""
        missing = self.signers(proposal).difference(proposal.vouchers)
        linked = {live.peer: live.link for live in self._links if live.peer is not None}
        is_own = proposal.log == self.own
        to = [linked[peer] for peer in sorted(missing) if peer in linked]
        if is_own and not missing.issubset({*linked, self.own}):
            to = list(linked.values())
        elif not is_own and (linked.get(proposal.log) != proposal.back or len(linked) >= len(self._members()) - 1):
            to = []  # only who has it from its author passes it on, and not where everybody is linked to everybody
        for link in to:
            if not proposal.known.get(link):
                self._send(proposal, link)
        home = linked.get(proposal.log, proposal.back)
        if not is_own and home is not None and proposal.vouchers and proposal.known.get(home, 0) < proposal.signatures:
            self._send(proposal, home)

    def _send(self, proposal: Proposal, link: LinkId) -> None:
        self._out.send(link, proposal.frame())
        proposal.known[link] = proposal.told[link] = proposal.signatures

    def _tell(self, link: LinkId, proposals: list[Proposal]) -> None:
        """Announce what the far end is not known to hold."""
        rows: dict[tuple[str, int], int] = {}
        for proposal in proposals:
            if max(proposal.known.get(link, 0), proposal.told.get(link, 0)) < proposal.signatures:
                proposal.told[link] = proposal.signatures
                rows[short_name(proposal.log), proposal.size] = proposal.signatures
        sorted_rows = tuple((*row, rows[row]) for row in sorted(rows))
        for start in range(0, len(sorted_rows), MAX_TALLY):
            self._out.send(link, Tally(sorted_rows[start : start + MAX_TALLY]))

    def link_up(self, live: Live) -> None:
        if live.peer is not None:
            self._tell(live.link, [proposal for proposal in self if proposal.vouchers or proposal.log == self.own])

    def link_down(self, link: LinkId) -> None:
        for proposal in self:
            proposal.forget(link)

    def on_tally(self, live: Live, frame: Tally, quota: Quota, now: float) -> None:
        """Who holds more of something gives it, who holds less asks."""
        asks: list[tuple[str, int, int]] = []
        for name, size, theirs in frame.rows if live.peer is not None else ():
            log = self._short.get(name)
            if log is None:
                continue
            proposal = self.find(log, size)
            ours = 0
            if proposal is not None:
                ours = proposal.signatures
                proposal.known[live.link] = max(theirs, proposal.known.get(live.link, 0))
            if ours > theirs and proposal is not None:
                quota.signatures(1)
                self._send(proposal, live.link)
            elif ours < theirs and self._wants(log, size, theirs, now):
                quota.signatures(1)
                asks.append((name, size, ours))
        if asks:
            self._out.send(live.link, Tally(tuple(asks)))

    def _wants(self, log: PeerId, size: int, signatures: int, now: float) -> bool:
        if not self.concerns(log):
            return False
        if size <= self._replica.size(log):
            newest = self.newest(log, self.is_vote(log, size))
            if newest is not None and newest.size > size:
                return False
        asked, at = self._asked.get((log, size), (0, 0.0))
        if signatures <= asked and now < at + ASK_AGAIN_S:
            return False
        if len(self._asked) >= MAX_ASKED:
            self._asked.clear()
        self._asked[log, size] = (signatures, now)
        return True

    def announce(self, now: float) -> None:
        """Tell what is due, and keep what it says: a note that any C2SP tool can check."""
        times = [proposal.announce_at for proposal in self._kept.values() if proposal.announce_at is not None]
        if not times or now < min(times):  # nothing is due: at nearly every event
            if times:
                self._out.timer(TIMER, min(times))
            return
        due = [proposal for proposal in self if proposal.announce_at is not None and proposal.announce_at <= now]
        for proposal in due:
            proposal.announce_at = None
            if proposal.vouchers:
                self._out.put(KeepCosigned(proposal.log, proposal.size, proposal.note(self._replica)))
        for live in self._links if due else ():
            if live.peer is not None:
                self._tell(live.link, due)
        times = [proposal.announce_at for proposal in self._kept.values() if proposal.announce_at is not None]
        if times:
            self._out.timer(TIMER, min(times))
