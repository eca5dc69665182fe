"""The author's side of cosigning: when to ask, and what to do with enough votes.

    16 entries or a minute --> a proposal over all that is stored     (never one that ends in a snapshot)
    an own snapshot        --> a proposal that ends in it: a vote     (one in config.vote_s)
    a majority of votes    --> a `final` entry that holds them

Rules kept here: nothing is signed that is not stored, or while the own log may not be whole; whoever is alone in its
swarm asks nobody. It refuses to know how proposals travel.
"""

from __future__ import annotations

from gossip.config import PeerConfig
from gossip.peer.author import Author, chain
from gossip.peer.desk import TIMER, Desk
from gossip.peer.outbox import Outbox
from gossip.peer.vouches import Proposal
from ledger.entry import Finality, Snapshot
from ledger.replica import Replica


class Proposing:
    """What the author of one log asks of its witnesses."""

    def __init__(self, config: PeerConfig, author: Author, replica: Replica, desk: Desk, out: Outbox) -> None:
        self._config = config
        self._author = author
        self._replica = replica
        self._desk = desk
        self._out = out
        self._snapshots: list[int] = []  # own ones, by seq
        self._is_snapshot: set[int] = set()  # the same
        self._final = 0  # size up to which the own log is final
        self._asked_at: float | None = None
        self._nominated_at: float | None = None

    def learn(self, entry: object) -> None:
        """An own entry was written, or read back."""
        match entry:
            case Snapshot():
                self._snapshots.append(entry.seq)
                self._is_snapshot.add(entry.seq)
            case Finality():
                self._final = max(self._final, entry.snapshot + 1)
            case _:
                pass

    def tick(self, now: float) -> None:
        """Ask, or say what is final, as is due."""
        if not self._author.role or not self._author.may_write or self._desk.is_alone:
            return
        self._propose(now)
        self._nominate(now)
        self._finish(now)

    def _propose(self, now: float) -> None:
        author, config = self._author, self._config
        if self._asked_at is None:
            self._asked_at = now
        last = self._desk.newest(author.own, is_vote=False)
        before = last.size if last is not None else 0
        size = author.stored
        while size - 1 in self._is_snapshot:  # asked at each event: no entry is read for it
            size -= 1
        if size <= before or not author.can_sign(size):
            return  # nothing new, or a change of keys is written and not stored: what is before it, its old key signed
        due = self._asked_at + config.vouch_s
        if size >= before + config.vouch_entries or now >= due:
            self._asked_at = now
            self._open(size, now, is_vote=False)
        else:
            self._out.timer(TIMER, due)

    def _nominate(self, now: float) -> None:
        """One's own newest snapshot asks to be final; the witnesses vote no more often than this."""
        last = self._desk.newest(self._author.own, is_vote=True)
        sizes = [seq + 1 for seq in self._snapshots[-2:] if seq < self._author.stored]
        sizes = [size for size in sizes if self._author.can_sign(size)]  # not by a key that was left behind
        if not sizes or (last is not None and sizes[-1] <= last.size) or not self._desk.voters():
            return
        due = now if self._nominated_at is None else self._nominated_at + self._config.vote_s
        if now >= due:
            self._nominated_at = now
            self._open(sizes[-1], now, is_vote=True)
        else:
            self._out.timer(TIMER, due)

    def _open(self, size: int, now: float, *, is_vote: bool) -> None:
        root, signature = self._author.sign_at(size)
        proposal = Proposal(self._author.own, size, root, signature, is_vote)
        self._desk.put(proposal)
        self._desk.changed(proposal, now)
        self._desk.forward(proposal)

    def _finish(self, now: float) -> None:
        """A majority has voted for an own snapshot: say so in the log, where it counts."""
        proposal = self._desk.newest(self._author.own, is_vote=True)
        if proposal is None or proposal.size <= self._final or not self._desk.is_whole(proposal):
            return
        fields = self._author.draft()
        if not fields.complete:
            return  # it may not cite the witnesses yet
        note = proposal.note(self._replica).decode()
        self._author.write(fields, Finality(**chain(fields), snapshot=proposal.size - 1, note=note), now)
        self._out.note("final", seq=proposal.size - 1, by=sorted(proposal.vouchers))
