"""What all parts of inspection share: who we are, what is admitted, by which policy is judged, and who may say so.

    Finding     what we found about entries of one log, before it is said (docket.py)
    Office      our place: the own log, the book, the members, the policy that is in force now

It decides nothing but whether this peer may speak at all: a member that receives, whose own log may be written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from gossip.config import PeerConfig
from gossip.egress import Receiver
from gossip.peer.author import Author
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book
from gossip.peer.inspection.receivers import RECEIVING, is_receiver
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from ledger.chain import LogId, peer_of
from ledger.entry import Data, Hash, Judgement, Measured, PeerId, Reading, Update
from ledger.policy import Breach, Policy, Ruling
from ledger.replica import Replica

Decision = Literal["scored", "refused", "quarantined", "condemned"]

TIMER = "inspection"


@dataclass(frozen=True, slots=True)
class Finding:
    """What we found about updates, or one data entry, of `log`."""

    log: LogId
    seqs: tuple[int, ...]
    decision: Decision
    readings: tuple[Reading, ...]
    measured: tuple[Measured, ...] = ()
    basis: Hash = ""  # the policy that it was judged by
    concurs: bool = False  # somebody has said so before: not said any more once that many have that it counts


@dataclass(slots=True)
class Office:
    """`members` are all peers let in so far, `is_forked` tells of those that signed two histories, `is_for_all` whether
    every member may have an opening (by its hash, and the blob)."""

    config: PeerConfig
    author: Author
    book: Book
    blobs: Blobs
    out: Outbox
    luck: Luck
    members: Callable[[], Collection[PeerId]]
    is_forked: Callable[[PeerId], bool]
    is_for_all: Callable[[Hash, bytes], bool]

    @property
    def own(self) -> PeerId:
        return self.author.own

    @property
    def replica(self) -> Replica:
        return self.book.replica

    @property
    def policy(self) -> Policy:
        """By which we judge: in force in the past that holds everything admitted."""
        return self.replica.policy_now()

    def receiver(self, peer: PeerId) -> Receiver:
        return Receiver(peer, self.replica.role_of(peer))

    @property
    def may_speak(self) -> bool:
        """Whether this peer writes about others at all."""
        return self.author.may_write and self.author.role in RECEIVING and self.replica.has_genesis

    def receives(self, log: LogId, seq: int) -> bool:
        """Whether we are one of the members that look at that entry."""
        return self.is_receiver(self.own, log, seq)

    def is_receiver(self, peer: PeerId, log: LogId, seq: int) -> bool:
        members = self.members()
        if peer not in members or not self._is_able(peer):
            return False
        return is_receiver(peer, peer_of(log), seq, members, self._is_able, self._house_of)

    def _is_able(self, peer: PeerId) -> bool:
        """Whether it looks at entries at all. Whose time is over by our clock does not: nobody has a link to it."""
        seat = self.replica.membership(peer)
        is_here = seat is not None and seat.role in RECEIVING and not seat.has_expired(int(self.author.now))
        return is_here and not self.is_forked(peer)

    def _house_of(self, peer: PeerId) -> PeerId:
        """The member whose guest it is; else itself."""
        seat = self.replica.membership(peer) if self.replica.genesis.guests else None
        return (seat.house if seat is not None else "") or peer

    def is_alien(self, log: LogId) -> bool:
        """Whether a log is another peer's, and not known to have two histories: of those proofs speak."""
        peer = peer_of(log)
        return peer != self.own and not self.is_forked(peer)

    def data_of(self, log: LogId, seq: int) -> Data | None:
        """The data entry at that place, if there is one."""
        entry = self.replica.entry(log, seq) if seq < self.replica.size(log) else None
        return entry if isinstance(entry, Data) else None

    def update_of(self, log: LogId, seq: int) -> Update | None:
        entry = self.replica.entry(log, seq) if seq < self.replica.size(log) else None
        return entry if isinstance(entry, Update) else None

    def branch(self, judgement: Judgement) -> LogId | None:
        """The branch that a judgement names by the hash of its last entry."""
        last = judgement.seqs[-1]
        for log in self.replica.strands(judgement.peer):
            if last < self.replica.size(log) and self.replica.tree(log).leaf(last).hex() == judgement.hash:
                return log
        return None

    def later(self, at: float) -> None:
        self.out.timer(TIMER, at)


def group_of(rule: str) -> str:
    """What is looked at together of a rule's facts: opened, crossed, holdout, canary; what is not opened, by itself."""
    return "unanswered" if rule.startswith("opened.unanswered.") else rule.partition(".")[0]


def readings(breaches: Sequence[Breach]) -> tuple[Reading, ...]:
    return tuple(Reading(rule=breach.rule, value=breach.value, limit=breach.limit) for breach in breaches)


def opinion(
    ruling: Ruling,
    policy: Policy,
    log: LogId,
    seqs: tuple[int, ...],
    measured: tuple[Measured, ...] = (),
    *,
    concurs: bool = False,
) -> Finding | None:
    """What a policy says of what was measured; None if it has nothing against it."""
    broken = readings((*ruling.refused, *ruling.quarantined))
    if not broken:
        return None
    decision: Decision = "condemned" if ruling.refused else "quarantined"
    return Finding(log, seqs, decision, broken, measured, policy.hash, concurs)
