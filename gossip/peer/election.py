"""Which snapshot a fixed witness votes for: it follows the one voted for before, and its model is right.

    candidates --not voted for, not final--> follows our last vote? --> model recomputed? --> KeepVote ... cosignature

A vote is a cosignature on a checkpoint that ends in a snapshot; with a majority of the witnesses that genesis names
the snapshot is final. Each witness votes along one chain: otherwise two final snapshots could exclude one another.

The model is recomputed by difference: from the fold of all that we hold, the terms are taken away that are not in the
sum of the snapshot's past (and those that have left the sum since are put back). Right after a snapshot that is
little; how much it may be is bounded (MAX_TERMS, MAX_BYTES), and the caller asks at most once in config.vote_s. A
snapshot that is further back gets no vote of ours: a later one will.

Rules kept here: nothing is voted for unseen; a witness prefers what others have voted for already, so that several
meet on one snapshot. It refuses to know links and clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from gossip.peer.book import Book
from gossip.peer.shifted import hash_of, shifted
from gossip.peer.vouches import Proposal
from ledger.canonical import entry_hash
from ledger.entry import Hash, PeerId, Snapshot
from ledger.kept import StoredVote

MAX_TERMS: Final = 512  # moved for one vote
MAX_BYTES: Final = 32 * 1024 * 1024  # of deltas read for it: about a second of work

FindBlob = Callable[[Hash], bytes | None]


class Election:
    """The votes of one witness. `last` is what the store says it voted for."""

    def __init__(self, book: Book, find: FindBlob, last: StoredVote | None) -> None:
        self._book = book
        self._find = find
        self._last = last
        self._declined: set[tuple[PeerId, int]] = set()  # asked, never iterated

    def choose(self, candidates: Iterable[Proposal]) -> Proposal | None:
        """The best snapshot that may be voted for; its model is not checked yet."""
        fit = [proposal for proposal in candidates if self._may(proposal)]
        return max(fit, key=self._rank, default=None)

    def vote(self, proposal: Proposal) -> Hash | None:
        """Check the model. The hash of the snapshot entry, now our last vote; None if it gets none."""
        snapshot = self._snapshot(proposal)
        if self._model(proposal) != snapshot.model:
            self._declined.add((proposal.log, proposal.size))
            return None
        digest = entry_hash(self._book.replica.data(proposal.log, proposal.size - 1))
        self._last = StoredVote(proposal.log, proposal.size, digest)
        return digest

    def _may(self, proposal: Proposal) -> bool:
        replica, last = self._book.replica, self._last
        if (proposal.log, proposal.size) in self._declined:
            return False
        if last is None:
            return True
        if (proposal.log, proposal.size) == (last.log, last.size):
            return entry_hash(replica.data(last.log, last.size - 1)) == last.hash  # signed, or about to be, before
        if replica.size(last.log) < last.size or entry_hash(replica.data(last.log, last.size - 1)) != last.hash:
            return False  # our own store does not hold what we voted for: better no vote than a second chain
        return replica.past(proposal.log, proposal.size).get(last.log, 0) >= last.size

    def _rank(self, proposal: Proposal) -> tuple[int, int, bytes]:
        return len(proposal.vouchers), self._snapshot(proposal).updates, proposal.root

    def _snapshot(self, proposal: Proposal) -> Snapshot:
        entry = self._book.replica.entry(proposal.log, proposal.size - 1)
        assert isinstance(entry, Snapshot)
        return entry

    def _model(self, proposal: Proposal) -> Hash:
        """The hash of the model of the snapshot's past; "" if it is too far back, a delta is not here, or it holds for
        ever what a quorum has condemned since."""
        book, replica = self._book, self._book.replica
        change = replica.change(replica.heads(), replica.past(proposal.log, proposal.size))
        if any(replica.condemned(log, seq) for log, seq, _, _ in change.added):
            return ""
        theta = shifted(book, change, self._find, terms=MAX_TERMS, size=MAX_BYTES)
        return "" if theta is None else hash_of(book, theta)
