"""Cosigning: authors ask for it, witnesses sign what they hold, and everybody comes to know.

    author   16 entries or a minute later: sign exactly that size --Vouch--> its three witnesses
    witness  same root here? --KeepWitnessed--> disk --WitnessedStored--> cosign --Vouch--> home
    author   holds them all --> everybody who asks

A proposal that ends in a snapshot is for the fixed witnesses of genesis, and a cosignature on it a vote (election.py);
all others are for the three members that rendezvous hashing names (ledger/witness.py). proposing.py is the author's
side, desk.py how proposals travel. Nothing waits for any of this: not the fold, not training. What is lost on the
way is made good by the next proposal.

Rules kept here: stored durably, then signed; never a second root for a size, never back, nothing of a log that is known
to be forked before there; every signature is counted
against its link before it is checked; a root that an author signed and that is not ours goes to `suspect`. It refuses
to know how evidence of a fork is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from gossip.config import PeerConfig
from gossip.events import KeepVote, KeepWitnessed, LinkId
from gossip.peer.author import Author
from gossip.peer.book import Book, Shelf
from gossip.peer.desk import TIMER, Desk
from gossip.peer.election import Election, FindBlob
from gossip.peer.links import Links, Live
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from gossip.peer.proposing import Proposing
from gossip.peer.quota import WRONG_SIGNATURE, Quota
from gossip.peer.vouches import Proposal, is_authors, read_note
from gossip.wire.frames import Tally, Vouch
from ledger.entry import AnyEntry, Enrol, Finality, PeerId
from ledger.witness import Fork, Refusal, Witnessed, may_cosign

Suspect = Callable[[PeerId, int, LinkId], None]


class Witnessing:
    """The part of one peer in cosigning. `members` are all peers let in so far; `suspect(log, size, link)` hears of an
    author that signed another root than ours at that size."""

    def __init__(
        self, config: PeerConfig, author: Author, book: Book, links: Links, shelf: Shelf, out: Outbox, find: FindBlob,
        luck: Luck, members: Callable[[], Collection[PeerId]], suspect: Suspect,
    ) -> None:  # fmt: skip
        self._config = config
        self._author = author
        self._book = book
        self._replica = book.replica
        self._shelf = shelf
        self._out = out
        self._members = members
        self._suspect = suspect
        self._desk = Desk(config, author.own, book.replica, links, luck, out, members)
        self._proposing = Proposing(config, author, book.replica, self._desk, out)
        self._election = Election(book, find, shelf.vote())
        self._ahead: dict[PeerId, tuple[Vouch, LinkId, Quota]] = {}  # signed by the author, beyond what we hold
        self._memory: dict[PeerId, Witnessed | None] = {}
        self._signed_at: dict[PeerId, float] = {}
        self._storing: set[tuple[PeerId, int]] = set()  # asked, never iterated
        self._finals: dict[PeerId, int] = {}  # size up to which each author's snapshots are final
        self._voted_at: float | None = None
        self._is_restored = False
        self.witnessed: tuple[int, tuple[PeerId, ...]] = (0, ())  # how much of the own log, and by whom
        self.final_at: int | None = None  # when the newest final snapshot known became so, by its author's clock

    # -------------------------------------------------------------- what was admitted

    def learn(self, log: PeerId, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        if log == self._author.own:
            self._proposing.learn(entry)
        match entry:
            case Enrol():
                self._desk.enrolled(log, entry.key)
            case Finality():
                self._finals[log] = max(entry.snapshot + 1, self._finals.get(log, 0))
                self.final_at = max(entry.time, self.final_at or 0)
            case _:
                pass

    def grew(self, log: PeerId, now: float) -> None:
        """More of a log is admitted: what was proposed ahead of it can be looked at."""
        ahead = self._ahead.get(log)
        if ahead is not None and ahead[0].size <= self._replica.size(log):
            del self._ahead[log]
            if ahead[2].affords(1 + len(ahead[0].vouchers), now):  # else it comes again, with the next announcement
                self._compare(*ahead, now)

    # -------------------------------------------------------------- links

    def link_up(self, live: Live) -> None:
        self._desk.link_up(live)

    def link_down(self, link: LinkId) -> None:
        self._desk.link_down(link)

    def on_tally(self, live: Live, frame: Tally, quota: Quota, now: float) -> None:
        self._desk.on_tally(live, frame, quota, now)

    def on_vouch(self, live: Live, frame: Vouch, quota: Quota, now: float) -> None:
        """A proposal, or cosignatures of one."""
        log, size = frame.log, frame.size
        if live.peer is None or not self._desk.concerns(log):
            return
        if size > self._replica.size(log):
            known = self._ahead.get(log)
            more = known is None or (known[0].size, len(known[0].vouchers)) < (size, len(frame.vouchers))
            if more and self._is_signed(frame, quota):
                self._ahead[log] = (frame, live.link, quota)
            return
        self._compare(frame, live.link, quota, now)

    def _compare(self, frame: Vouch, link: LinkId, quota: Quota, now: float) -> None:
        """Hold a proposal against the log as we have it."""
        log, size, desk = frame.log, frame.size, self._desk
        proposal = desk.find(log, size)
        if proposal is None or frame.root != proposal.root:
            if frame.root != self._replica.root(log, size):
                if self._is_signed(frame, quota):
                    self._suspect(log, size, link)
                return
            kind = desk.is_vote(log, size)
            newest = desk.newest(log, kind)
            if (newest is not None and size < newest.size) or not self._is_signed(frame, quota):
                return
            proposal = Proposal(log, size, frame.root, frame.signature, kind, back=link)
            desk.put(proposal)
            desk.changed(proposal, now)
        self._add(proposal, frame, link, quota, now)

    def _is_signed(self, frame: Vouch, quota: Quota) -> bool:
        quota.signatures(1)
        if is_authors(self._replica, frame, self._replica.key_at(frame.log, frame.size)):
            return True
        quota.signatures(WRONG_SIGNATURE)
        return False

    def _add(self, proposal: Proposal, frame: Vouch, link: LinkId, quota: Quota, now: float) -> None:
        """Take in what others signed, and let those know who need it."""
        fit = self._desk.signers(proposal)
        fresh = [v for v in frame.vouchers if v.witness in fit and v.witness not in proposal.vouchers]
        quota.signatures(len(fresh))
        for voucher in fresh:
            if proposal.add(self._replica, voucher):
                self._desk.changed(proposal, now)
            else:
                quota.signatures(WRONG_SIGNATURE)
        self._remember(proposal)
        brought = 1 + sum(voucher.witness in proposal.vouchers for voucher in frame.vouchers)
        proposal.known[link] = max(brought, proposal.known.get(link, 0))
        self._desk.forward(proposal)
        self._consider(proposal, now)

    def _remember(self, proposal: Proposal) -> None:
        if proposal.log == self._author.own and proposal.vouchers and not proposal.is_vote:
            self.witnessed = (proposal.size, tuple(sorted(proposal.vouchers)))

    # -------------------------------------------------------------- signing

    def _consider(self, proposal: Proposal, now: float) -> None:
        """As one of a log's three witnesses, promise to cosign; the signature is made once that is on disk."""
        log, size, own = proposal.log, proposal.size, self._author.own
        if proposal.is_vote or own not in self._desk.signers(proposal) or own in proposal.vouchers:
            return
        if (log, size) in self._storing or not self._author.role or not self._author.may_write:
            return  # who may not write may have forgotten what it signed
        if self._is_void(log, size):
            return
        memory, pause = self._remembered(log), self._signed_at.get(log, 0.0) + self._config.vouch_s / 2 - now
        if memory is not None and memory.size < size < memory.size + self._config.vouch_entries and pause > 0:
            return  # nobody makes us write to disk at every entry
        match may_cosign(memory, proposal.checkpoint(self._replica), lambda at: self._root(log, at)):
            case Witnessed() as promise:
                self._memory[log] = promise
                self._signed_at[log] = now
                self._storing.add((log, size))
                self._out.put(KeepWitnessed(log, size, promise.root))
            case Fork(at):
                self._out.note("refused", log=log, text=f"will not cosign a second history of {at} entries")
            case Refusal():
                pass

    def stored(self, log: PeerId, size: int, now: float) -> None:
        """What we promised is on disk: sign."""
        if (log, size) not in self._storing:
            return
        self._storing.discard((log, size))
        proposal = self._desk.find(log, size)
        if proposal is None:
            return  # a newer one came meanwhile, and was considered by itself
        proposal.add(self._replica, self._author.cosign(proposal.checkpoint(self._replica), now))
        self._desk.changed(proposal, now)
        self._desk.forward(proposal)

    def _is_void(self, log: PeerId, size: int) -> bool:
        """Whether a log is known to have been signed twice before that size."""
        void = self._replica.void_from(log)
        return void is not None and void < size

    def _remembered(self, log: PeerId) -> Witnessed | None:
        if log not in self._memory:
            kept = self._shelf.witnessed(log)
            self._memory[log] = Witnessed(*kept) if kept is not None else None
        return self._memory[log]

    def _root(self, log: PeerId, size: int) -> bytes | None:
        return self._replica.root(log, size) if size <= self._replica.size(log) else None

    def _vote(self, now: float) -> None:
        """As a fixed witness, vote for the snapshot that deserves it, if one does."""
        own, desk = self._author.own, self._desk
        if own not in desk.voters() or desk.is_alone or self._book.fold is None or not self._author.may_write:
            return
        candidates = [
            proposal
            for proposal in desk
            if proposal.is_vote and own not in proposal.vouchers and not desk.is_whole(proposal)
            and (proposal.log, proposal.size) not in self._storing
            and proposal.size > self._finals.get(proposal.log, 0) and not self._is_void(proposal.log, proposal.size)
        ]  # fmt: skip
        if not candidates:
            return
        if self._voted_at is not None and now < self._voted_at + self._config.vote_s:
            self._out.timer(TIMER, self._voted_at + self._config.vote_s)
            return
        chosen = self._election.choose(candidates)
        if chosen is None:
            return
        self._voted_at = now  # whatever comes of it: it costs the same
        self._out.heed(now)
        digest = self._election.vote(chosen)
        if digest is not None:
            self._storing.add((chosen.log, chosen.size))
            self._out.put(KeepVote(chosen.log, chosen.size, digest))

    # -------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        """Do what is due."""
        if not self._is_restored:
            self._is_restored = True
            self._restore()
        self._proposing.tick(now)
        self._vote(now)
        self._desk.announce(now)

    def _restore(self) -> None:
        """After a restart: what was cosigned before is on the shelf, and is checked like anybody's."""
        for log in self._replica.heads():
            kept = self._shelf.cosigned(log) if self._desk.concerns(log) else None
            frame = read_note(self._replica, log, kept[1], self._members()) if kept is not None else None
            if frame is None or frame.root != self._root(log, frame.size):
                continue
            kind = self._desk.is_vote(log, frame.size)
            proposal = Proposal(log, frame.size, frame.root, frame.signature, kind)
            for voucher in frame.vouchers:
                proposal.add(self._replica, voucher)
            self._desk.put(proposal)
            self._remember(proposal)
