"""Cosigning: authors ask for it, witnesses sign what they hold, and everybody comes to know.

    author   16 entries or a minute later --Vouch--> its witnesses (or all its links, which pass it on to those)
    witness  same root here? --KeepWitnessed--> disk --WitnessedStored--> cosign --Vouch--> home, the way it came
    author   all three, or a few seconds: --Tally--> "I hold 4 signatures on that" --Tally--> "I hold 1" --Vouch-->

A proposal that ends in a snapshot is for the fixed witnesses of genesis: a vote (election.py); with a majority its
author writes a `final` entry. All others are for the three members that rendezvous hashing names (ledger/witness.py).

Cosignatures travel home and only then out, and out by announcement: whoever flooded each one as it was made would
send thrice as much. A snapshot that nobody has voted for is not announced at all, for most never get a vote; the
first vote takes it everywhere. Nothing waits for any of this: not the fold, not training.

Rules kept here: stored durably, then signed; never a second root for a size, never back; every signature is counted
against its link before it is checked; a root that an author signed and that is not ours goes to `suspect`. What is
lost on the way is in the next proposal. It refuses to know how evidence of a fork is fetched, and who is linked how.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from gossip.config import PeerConfig
from gossip.events import KeepCosigned, KeepVote, KeepWitnessed, LinkId
from gossip.peer.author import Author, chain
from gossip.peer.book import Book, Shelf
from gossip.peer.election import Election, FindBlob
from gossip.peer.links import Links, Live
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from gossip.peer.quota import WRONG_SIGNATURE, Allowance
from gossip.peer.vouches import Proposal, is_authors, read_note
from gossip.wire.frames import MAX_TALLY, Tally, Vouch, short_name
from ledger.entry import AnyEntry, Enrol, Finality, PeerId, Snapshot
from ledger.witness import Fork, Refusal, Witnessed, may_cosign, witnesses_of

TIMER: Final = "witness"
SETTLE_S: Final = 3.0  # from the last signature that is needed to telling others, at most: who waits longer may hear
ASK_AGAIN_S: Final = 2.0  # an announcement is not followed twice within so long
MAX_ASKED: Final = 4096

Suspect = Callable[[PeerId, int, LinkId], None]
Key = tuple[PeerId, bool]  # a log, and whether it is about votes


class Witnessing:
    """What this peer knows of cosignatures, and its part in making them. `members` are all peers let in so far;
    `suspect(log, size, link)` hears of an author that signed another root than ours at that size."""

    def __init__(
        self, config: PeerConfig, author: Author, book: Book, links: Links, shelf: Shelf, out: Outbox, find: FindBlob,
        luck: Luck, members: Callable[[], Collection[PeerId]], suspect: Suspect,
    ) -> None:  # fmt: skip
        self._config = config
        self._author = author
        self._book = book
        self._replica = book.replica
        self._links = links
        self._shelf = shelf
        self._out = out
        self._luck = luck
        self._members = members
        self._suspect = suspect
        self._election = Election(book, find, shelf.vote())
        self._kept: dict[Key, Proposal] = {}  # the newest of each kind
        self._ahead: dict[PeerId, tuple[Vouch, LinkId]] = {}  # signed by the author, beyond what we hold
        self._memory: dict[PeerId, Witnessed | None] = {}
        self._signed_at: dict[PeerId, float] = {}
        self._storing: set[tuple[PeerId, int]] = set()  # asked, never iterated
        self._asked: dict[tuple[PeerId, int], tuple[int, float]] = {}
        self._fixed: dict[str, PeerId] = {}  # by the key of their enrolment
        self._short: dict[str, PeerId] = {}  # of two with one short name the first: tallies are hints
        self._named: dict[PeerId, tuple[int, tuple[PeerId, ...]]] = {}  # witnesses of a log, for so many members
        self._finals: dict[PeerId, int] = {}  # size up to which each author's snapshots are final
        self._final_at: int | None = None
        self._witnessed: tuple[int, tuple[PeerId, ...]] = (0, ())
        self._proposed_at: float | None = None
        self._vote_proposed_at: float | None = None
        self._voted_at: float | None = None
        self._snapshots: list[int] = []  # own ones, by seq
        self._is_restored = False

    # -------------------------------------------------------------- what was admitted

    def learn(self, log: PeerId, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        match entry:
            case Enrol():
                self._fixed.setdefault(entry.key, log)
                self._short.setdefault(short_name(log), log)
            case Snapshot() if log == self._author.own:
                self._snapshots.append(entry.seq)
            case Finality():
                self._finals[log] = max(entry.snapshot + 1, self._finals.get(log, 0))
                self._final_at = max(entry.time, self._final_at or 0)
            case _:
                pass

    def grew(self, log: PeerId, now: float) -> None:
        """More of a log is admitted: what was proposed ahead of it can be looked at."""
        ahead = self._ahead.get(log)
        if ahead is not None and ahead[0].size <= self._replica.size(log):
            del self._ahead[log]
            self._compare(*ahead, Allowance(now), now)

    # -------------------------------------------------------------- links

    def link_up(self, live: Live) -> None:
        if live.peer is not None:
            self._tell(live.link, [p for p in self._kept.values() if p.vouchers or p.log == self._author.own])

    def link_down(self, link: LinkId) -> None:
        for proposal in self._kept.values():
            proposal.forget(link)

    def on_vouch(self, live: Live, frame: Vouch, allowance: Allowance, now: float) -> None:
        """A proposal, or cosignatures of one."""
        log, size = frame.log, frame.size
        if live.peer is None or not self._concerns(log):
            return
        if size > self._replica.size(log):
            known = self._ahead.get(log)
            more = known is None or (known[0].size, len(known[0].vouchers)) < (size, len(frame.vouchers))
            if more and self._is_signed(frame, allowance):
                self._ahead[log] = (frame, live.link)
            return
        self._compare(frame, live.link, allowance, now)

    def _compare(self, frame: Vouch, link: LinkId, allowance: Allowance, now: float) -> None:
        """Hold a proposal against the log as we have it."""
        log, size = frame.log, frame.size
        proposal = self._find(log, size)
        if proposal is None or frame.root != proposal.root:
            if frame.root != self._replica.root(log, size):
                if self._is_signed(frame, allowance):
                    self._suspect(log, size, link)
                return
            kind = isinstance(self._replica.entry(log, size - 1), Snapshot)
            newest = self._kept.get((log, kind))
            if (newest is not None and size < newest.size) or not self._is_signed(frame, allowance):
                return
            proposal = Proposal(log, size, frame.root, frame.signature, kind, back=link)
            self._kept[log, kind] = proposal
            self._changed(proposal, now)
        self._add(proposal, frame, link, allowance, now)

    def _is_signed(self, frame: Vouch, allowance: Allowance) -> bool:
        allowance.spend(1)
        if is_authors(self._replica, frame, self._replica.key_at(frame.log, frame.size)):
            return True
        allowance.spend(WRONG_SIGNATURE)
        return False

    def _add(self, proposal: Proposal, frame: Vouch, link: LinkId, allowance: Allowance, now: float) -> None:
        """Take in what others signed, and let those know who need it."""
        fit = self._signers(proposal)
        fresh = [v for v in frame.vouchers if v.witness in fit and v.witness not in proposal.vouchers]
        allowance.spend(len(fresh))
        for voucher in fresh:
            if proposal.add(self._replica, voucher):
                self._changed(proposal, now)
            else:
                allowance.spend(WRONG_SIGNATURE)
        brought = 1 + sum(voucher.witness in proposal.vouchers for voucher in frame.vouchers)
        proposal.known[link] = max(brought, proposal.known.get(link, 0))
        self._forward(proposal)
        self._consider(proposal, now)

    def on_tally(self, live: Live, frame: Tally, allowance: Allowance, now: float) -> None:
        """Who holds more of something gives it, who holds less asks."""
        asks: list[tuple[str, int, int]] = []
        for name, size, theirs in frame.rows if live.peer is not None else ():
            log = self._short.get(name)
            if log is None:
                continue
            proposal = self._find(log, size)
            ours = 0
            if proposal is not None:
                ours = proposal.signatures
                proposal.known[live.link] = max(theirs, proposal.known.get(live.link, 0))
            if ours > theirs and proposal is not None:
                allowance.spend(1)
                self._send(proposal, live.link)
            elif ours < theirs and self._wants(log, size, theirs, now):
                allowance.spend(1)
                asks.append((name, size, ours))
        if asks:
            self._out.send(live.link, Tally(tuple(asks)))

    def _wants(self, log: PeerId, size: int, signatures: int, now: float) -> bool:
        if not self._concerns(log):
            return False
        if size <= self._replica.size(log):
            newest = self._kept.get((log, isinstance(self._replica.entry(log, size - 1), Snapshot)))
            if newest is not None and newest.size > size:
                return False
        asked, at = self._asked.get((log, size), (0, 0.0))
        if signatures <= asked and now < at + ASK_AGAIN_S:
            return False
        if len(self._asked) >= MAX_ASKED:
            self._asked.clear()
        self._asked[log, size] = (signatures, now)
        return True

    # -------------------------------------------------------------- passing on

    def _changed(self, proposal: Proposal, now: float) -> None:
        """There is something new to tell, once it is whole, or has had its time."""
        complete = len(proposal.vouchers) >= self._needed(proposal)
        pause = SETTLE_S * self._luck.uniform(0.2, 1.0) if complete else self._config.gather_s
        proposal.announce_at = now + pause if proposal.vouchers or not proposal.is_vote else None
        if proposal.log == self._author.own and not proposal.is_vote and proposal.vouchers:
            self._witnessed = (proposal.size, tuple(proposal.vouchers))

    def _forward(self, proposal: Proposal) -> None:
        """What is unsigned goes to those who should sign, and what they signed goes home."""
        missing = self._signers(proposal).difference(proposal.vouchers)
        linked = {live.peer: live.link for live in self._links if live.peer is not None}
        own = proposal.log == self._author.own
        to = [linked[peer] for peer in sorted(missing) if peer in linked]
        if own and not missing.issubset({*linked, self._author.own}):
            to = list(linked.values())
        for link in to:
            if not proposal.known.get(link):
                self._send(proposal, link)
        home = linked.get(proposal.log, proposal.back)
        if not own and home is not None and proposal.vouchers and proposal.known.get(home, 0) < proposal.signatures:
            self._send(proposal, home)

    def _send(self, proposal: Proposal, link: LinkId) -> None:
        self._out.send(link, proposal.frame())
        proposal.known[link] = proposal.told[link] = proposal.signatures

    def _tell(self, link: LinkId, proposals: list[Proposal]) -> None:
        """Announce what the far end is not known to hold."""
        rows = []
        for proposal in proposals:
            ours = proposal.signatures
            if max(proposal.known.get(link, 0), proposal.told.get(link, 0)) < ours:
                proposal.told[link] = ours
                rows.append((short_name(proposal.log), proposal.size, ours))
        rows = sorted({(name, size): (name, size, ours) for name, size, ours in rows}.values())
        for start in range(0, len(rows), MAX_TALLY):
            self._out.send(link, Tally(tuple(rows[start : start + MAX_TALLY])))

    # -------------------------------------------------------------- signing

    def _consider(self, proposal: Proposal, now: float) -> None:
        """As one of a log's three witnesses, promise to cosign; the signature is made once that is on disk."""
        log, own = proposal.log, self._author.own
        if proposal.is_vote or own not in self._signers(proposal) or own in proposal.vouchers:
            return
        if (log, proposal.size) in self._storing or not self._author.role:
            return
        memory, pause = self._remembered(log), self._signed_at.get(log, 0.0) + self._config.vouch_s / 2 - now
        if memory is not None and memory.size < proposal.size < memory.size + self._config.vouch_entries and pause > 0:
            return  # nobody makes us write to disk at every entry
        replica = self._replica
        match may_cosign(memory, proposal.checkpoint(replica), lambda size: self._root(log, size)):
            case Witnessed() as promise:
                self._memory[log] = promise
                self._signed_at[log] = now
                self._storing.add((log, promise.size))
                self._out.put(KeepWitnessed(log, promise.size, promise.root))
            case Fork(size):
                self._out.note("refused", log=log, text=f"will not cosign a second history of {size} entries")
            case Refusal():
                pass

    def stored(self, log: PeerId, size: int, now: float) -> None:
        """What we promised is on disk: sign."""
        if (log, size) not in self._storing:
            return
        self._storing.discard((log, size))
        proposal = self._find(log, size)
        if proposal is None:
            return  # a newer one came meanwhile, and was considered by itself
        proposal.add(self._replica, self._author.cosign(proposal.checkpoint(self._replica), now))
        self._changed(proposal, now)
        self._forward(proposal)

    def _remembered(self, log: PeerId) -> Witnessed | None:
        if log not in self._memory:
            kept = self._shelf.witnessed(log)
            self._memory[log] = Witnessed(*kept) if kept is not None else None
        return self._memory[log]

    def _root(self, log: PeerId, size: int) -> bytes | None:
        return self._replica.root(log, size) if size <= self._replica.size(log) else None

    # -------------------------------------------------------------- who

    def _concerns(self, log: PeerId) -> bool:
        return bool(self._replica.role_of(log))

    def _find(self, log: PeerId, size: int) -> Proposal | None:
        """The proposal of exactly that size, if it is one of the newest."""
        for kind in (False, True):
            found = self._kept.get((log, kind))
            if found is not None and found.size == size:
                return found
        return None

    def _signers(self, proposal: Proposal) -> frozenset[PeerId]:
        if proposal.is_vote:
            return self._voters()
        members = self._members()
        known = self._named.get(proposal.log)
        if known is None or known[0] != len(members):  # members are never unmade
            known = (len(members), witnesses_of(proposal.log, members))
            self._named[proposal.log] = known
        return frozenset(known[1])

    def _voters(self) -> frozenset[PeerId]:
        """The fixed witnesses of this swarm, as far as they are members."""
        keys = self._replica.genesis.witnesses if self._replica.has_genesis else ()
        found = (self._fixed.get(key) for key in keys)
        return frozenset(peer for peer in found if peer is not None and self._concerns(peer))

    def _needed(self, proposal: Proposal) -> int:
        """Cosignatures after which there is no reason to wait for more."""
        if proposal.is_vote:
            return len(self._replica.genesis.witnesses) // 2 + 1
        return len(self._signers(proposal))

    # -------------------------------------------------------------- the author's part

    def _propose(self, now: float) -> None:
        """Ask for cosignatures when enough was written, or enough time has passed."""
        author, config = self._author, self._config
        if not author.role or len(self._members()) < 2:
            return
        if self._proposed_at is None:
            self._proposed_at = now
        last = self._kept.get((author.own, False))
        before = last.size if last is not None else 0
        size = author.stored
        while size and isinstance(self._replica.entry(author.own, size - 1), Snapshot):
            size -= 1
        if size > before:
            due = self._proposed_at + config.vouch_s
            if size >= before + config.vouch_entries or now >= due:
                self._proposed_at = now
                self._open(size, False, now)
            else:
                self._out.timer(TIMER, due)
        self._propose_snapshot(now)

    def _propose_snapshot(self, now: float) -> None:
        """One's own newest snapshot asks to be final; the witnesses vote no more often than this."""
        own = self._author.own
        last = self._kept.get((own, True))
        sizes = [seq + 1 for seq in self._snapshots[-2:] if seq < self._author.stored]
        if not sizes or (last is not None and sizes[-1] <= last.size) or not self._voters():
            return
        due = now if self._vote_proposed_at is None else self._vote_proposed_at + self._config.vote_s
        if now >= due:
            self._vote_proposed_at = now
            self._open(sizes[-1], True, now)
        else:
            self._out.timer(TIMER, due)

    def _open(self, size: int, is_vote: bool, now: float) -> None:
        root, signature = self._author.sign_at(size)
        proposal = Proposal(self._author.own, size, root, signature, is_vote)
        self._kept[proposal.log, is_vote] = proposal
        self._changed(proposal, now)
        self._forward(proposal)

    def _finish(self, now: float) -> None:
        """A majority has voted for an own snapshot: say so in the log, where it counts."""
        own = self._author.own
        proposal = self._kept.get((own, True))
        if proposal is None or not self._is_elected(proposal) or proposal.size <= self._finals.get(own, 0):
            return
        fields = self._author.draft()
        if not fields.complete:
            return  # it may not cite the witnesses yet
        note = proposal.note(self._replica).decode()
        entry = Finality(**chain(fields), snapshot=proposal.size - 1, note=note)
        self._author.write(fields, entry, now)
        self._out.note("final", seq=proposal.size - 1, by=sorted(proposal.vouchers))

    def _is_elected(self, proposal: Proposal) -> bool:
        return len(proposal.vouchers) >= self._needed(proposal)

    # -------------------------------------------------------------- the fixed witness's part

    def _vote(self, now: float) -> None:
        own = self._author.own
        if own not in self._voters() or len(self._members()) < 2 or self._book.fold is None:
            return
        candidates = [
            proposal
            for (log, is_vote), proposal in sorted(self._kept.items())
            if is_vote and own not in proposal.vouchers and not self._is_elected(proposal)
            and (log, proposal.size) not in self._storing and proposal.size > self._finals.get(log, 0)
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
        digest = self._election.vote(chosen)
        if digest is not None:
            self._storing.add((chosen.log, chosen.size))
            self._out.put(KeepVote(chosen.log, chosen.size, digest))

    # -------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        """Do what is due."""
        if not self._is_restored:
            self._restore(now)
        self._propose(now)
        self._vote(now)
        self._finish(now)
        self._announce(now)

    def _announce(self, now: float) -> None:
        due = [p for _, p in sorted(self._kept.items()) if p.announce_at is not None and p.announce_at <= now]
        for proposal in due:
            proposal.announce_at = None
            if proposal.vouchers:
                self._out.put(KeepCosigned(proposal.log, proposal.size, proposal.note(self._replica)))
        for live in self._links if due else ():
            if live.peer is not None:
                self._tell(live.link, due)
        times = [p.announce_at for p in self._kept.values() if p.announce_at is not None]
        if times:
            self._out.timer(TIMER, min(times))

    def _restore(self, now: float) -> None:
        """After a restart: what was cosigned before is on the shelf, and is checked like anybody's."""
        self._is_restored = True
        for log in self._replica.heads():
            kept = self._shelf.cosigned(log)
            if kept is None or not self._concerns(log):
                continue
            frame = read_note(self._replica, log, kept[1], self._members())
            if frame is not None and frame.size <= self._replica.size(log):
                kind = isinstance(self._replica.entry(log, frame.size - 1), Snapshot)
                proposal = Proposal(log, frame.size, frame.root, frame.signature, kind)
                if frame.root == self._replica.root(log, frame.size):
                    self._kept[log, kind] = proposal
                    for voucher in frame.vouchers:
                        proposal.add(self._replica, voucher)
                    if log == self._author.own and not kind:
                        self._witnessed = (frame.size, tuple(proposal.vouchers))

    # -------------------------------------------------------------- for people

    @property
    def witnessed(self) -> tuple[int, tuple[PeerId, ...]]:
        """How much of the own log others have cosigned, and who did."""
        return self._witnessed

    @property
    def final_at(self) -> int | None:
        """When the newest final snapshot that we know of was made final, by its author's clock."""
        return self._final_at
