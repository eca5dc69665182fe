"""Inspection: what a peer does about the data-quality policy, beyond what everybody decides alike.

    admitted    update --refused by the policy-----------------------------> docket       S, R   (all leave it out)
                update --copied? alike?----------------------- crossing ---> docket       X
                16 updates of one peer --Judge, Judged-------- holdout ----> docket       L
                data, public --Challenge ... Opening-- asking, examining --> docket       O, or a proof: accuse
                verdict that condemns --the same again-------- concurring -> docket
    docket --one entry each 30 s, bounded--> Verdict
    a challenge of our own data --gate, OpenRecords--> answering --> Opening

Cheapest first: what an entry says, then hashes, then vectors, then records, then the model. Of each entry three members
look (receivers.py), so the ledger grows with the updates and not with their square. Opinions end no link; they condemn
by quorum (ledger/condemned.py) or are only shown. Nothing here is waited for by training, and nothing that a stranger
sends gets here: only what members' logs say, once admitted. What must survive a restart is in the ledger.

This file composes the parts and decides none of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from gossip.config import PeerConfig
from gossip.events import Inspected, Judged, Keep, RecordsOpened
from gossip.peer.author import Author
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book
from gossip.peer.inspection.answering import Answering
from gossip.peer.inspection.asking import Asking
from gossip.peer.inspection.concurring import Concurring, Doubt
from gossip.peer.inspection.crossing import COPIED, COSINE, OVERLAP, Crossing
from gossip.peer.inspection.docket import Docket
from gossip.peer.inspection.examining import Examining, Place
from gossip.peer.inspection.holdout import Holdout
from gossip.peer.inspection.office import Finding, Office, group_of, opinion, readings
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from ledger.chain import LogId, peer_of
from ledger.entry import (
    MAX_OPENING_BYTES,
    AnyEntry,
    Challenge,
    Data,
    Hash,
    Opening,
    PeerId,
    Update,
    Verdict,
)
from ledger.replica import Checked

MAX_CROSSED: Final = 256  # entries that wait to be compared; the oldest are passed over
CROSSED_AT_ONCE: Final = 4  # comparisons between two events
MAX_RELAYED: Final = 16  # openings fetched because somebody who is linked with us asked for them

Reasons = tuple[PeerId, int, tuple[str, ...]]  # whose update, its data entry, and the rules that it broke


class Inspection:
    """The part of one peer in enforcing the policy."""

    def __init__(
        self, config: PeerConfig, author: Author, book: Book, blobs: Blobs, out: Outbox, luck: Luck,
        members: Callable[[], Collection[PeerId]], is_forked: Callable[[PeerId], bool],
        is_for_all: Callable[[Hash, bytes], bool],
    ) -> None:  # fmt: skip
        self._office = office = Office(config, author, book, blobs, out, luck, members, is_forked, is_for_all)
        self._docket = Docket(office)
        self._examining = Examining(office, self._examined)
        self._asking = Asking(office, self._examining, self._unanswered)
        self._answering = Answering(office)
        self._crossing = Crossing(office)
        self._holdout = Holdout(office)
        self._concurring = Concurring(office)
        self._refused: set[Reasons] = set()  # that we have said; asked, never iterated
        self._condemned: set[tuple[PeerId, int, str]] = set()  # entry and group of facts; likewise
        self._crossed: deque[tuple[LogId, int]] = deque(maxlen=MAX_CROSSED)
        self._blobs_of: dict[Hash, Place] = {}  # openings, by the blob that they name
        self._relayed: dict[Hash, None] = {}

    # -------------------------------------------------------------- what was admitted

    def learn(self, log: LogId, seq: int, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        self._asking.learn(log, seq, entry)
        self._answering.learn(log, seq, entry)
        self._holdout.learn(log, seq, entry)
        self._examining.learn(entry)
        if isinstance(entry, Data):
            self._crossing.learn(log, seq, entry)
        elif isinstance(entry, Opening):
            self._blobs_of.setdefault(entry.opened, (log, seq))
        elif isinstance(entry, Verdict):
            self._concurring.learn(log, entry)
        if log == self._office.own:
            self._docket.learn(entry)
            if isinstance(entry, Verdict):
                self._remember(entry)

    def _remember(self, verdict: Verdict) -> None:
        """What we have said once."""
        for judgement in verdict.judgements:
            rules = tuple(reading.rule for reading in judgement.readings)
            if judgement.decision == "refused":
                update = self._office.update_of(judgement.peer, judgement.seqs[-1])
                if update is not None:
                    self._refused.add((judgement.peer, update.data, rules))
            for seq in judgement.seqs if judgement.decision == "condemned" else ():
                self._condemned.update((judgement.peer, seq, group_of(rule)) for rule in rules)

    def admitted(self, checked: Checked, now: float) -> None:
        """Something was admitted just now, own entries included."""
        entry, log = checked.entry, checked.log
        if isinstance(entry, Verdict):
            self._concurring.heard(log, entry, now)
            if log == self._office.own:
                self._keep_grounds(entry)
        if not self._office.is_alien(log):
            return
        if isinstance(entry, Update):
            if checked.refused:
                self._refuse(checked, entry, now)
                return
            if self._office.receives(log, checked.seq):
                self._crossed.append((log, checked.seq))
            self._concurring.cited(log, entry.data, now)
        elif isinstance(entry, Data) and entry.sketch and self._office.receives(log, checked.seq):
            self._crossed.append((log, checked.seq))

    def _keep_grounds(self, verdict: Verdict) -> None:
        """What we have said of opened records others check with the records, auditors long after: they stay here."""
        office = self._office
        for judgement in verdict.judgements:
            if any(reading.rule.startswith("opened.") for reading in judgement.readings):
                for log, seq in self._asking.openings(judgement.peer, judgement.seqs[-1]):
                    opening = office.replica.entry(log, seq)
                    blob = office.blobs.find(opening.opened) if isinstance(opening, Opening) else None
                    if blob is not None:
                        office.out.put(Keep(log, seq, office.replica.data(log, seq), blob))

    def _refuse(self, checked: Checked, update: Update, now: float) -> None:
        """The policy leaves an update out, here as everywhere: those who received its data tell its author so."""
        peer = peer_of(checked.log)
        found = readings(checked.refused)
        reasons = (peer, update.data, tuple(reading.rule for reading in found))
        if reasons not in self._refused and self._office.receives(checked.log, update.data):
            self._refused.add(reasons)
            self._docket.add(Finding(checked.log, (checked.seq,), "refused", found, basis=checked.basis), now)

    # -------------------------------------------------------------- what came of it

    def inspected(self, event: Inspected, now: float) -> None:
        self._examining.inspected(event, now)

    def judged(self, event: Judged, now: float) -> None:
        finding = self._holdout.judged(event)
        if finding is not None:
            self._docket.add(finding, now)

    def opened(self, event: RecordsOpened, now: float) -> None:
        self._answering.opened(event, now)

    def _examined(self, place: Place, finding: Finding | None, now: float) -> None:
        if finding is not None:
            self._say_once(finding, "opened", now)

    def _unanswered(self, finding: Finding, now: float) -> None:
        self._say_once(finding, "unanswered", now)

    def _say_once(self, finding: Finding, group: str, now: float) -> None:
        peer = peer_of(finding.log)
        new = tuple(seq for seq in finding.seqs if (peer, seq, group) not in self._condemned)
        if new:
            self._condemned.update((peer, seq, group) for seq in new)
            self._docket.add(finding, now)

    # -------------------------------------------------------------- in turn

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be said."""
        return not (self._docket or self._concurring or self._answering)

    def tick(self, now: float, *, is_last: bool) -> None:
        """Do what is due. `is_last`: training has ended, what is to be said is said now."""
        if not self._office.replica.has_genesis:
            return
        self._cross(now)
        for doubt in self._concurring.due(now):
            self._look(doubt, now)
        self._asking.tick(now)
        self._examining.tick(now)
        self._answering.tick(now)
        self._holdout.tick(now)
        for finding in self._holdout.due():
            self._docket.add(finding, now)
        self._docket.is_last = is_last
        self._docket.tick(now)
        for digest in tuple(self._relayed):
            blob = self._office.blobs.find(digest)
            if blob is not None:
                del self._relayed[digest]
                self._office.blobs.used(digest, blob)

    def _facts(self) -> frozenset[str]:
        return frozenset(rule.fact for rule in self._office.policy.rules)

    def _cross(self, now: float) -> None:
        facts = self._facts() if self._crossed else frozenset()
        for _ in range(min(CROSSED_AT_ONCE, len(self._crossed))):
            log, seq = self._crossed.popleft()
            self._compare(log, seq, facts, now, concurs=False)
        if self._crossed:
            self._office.later(now)

    def _compare(self, log: LogId, seq: int, facts: frozenset[str], now: float, *, concurs: bool) -> None:
        policy = self._office.policy
        if self._office.data_of(log, seq) is None:
            measured = self._crossing.update(log, seq, facts & {COPIED, COSINE})
        else:
            overlap = self._crossing.overlap(log, seq) if OVERLAP in facts else None
            measured = {} if overlap is None else {OVERLAP: overlap}
        finding = opinion(policy.judge(measured), policy, log, (seq,), concurs=concurs)
        if finding is not None:
            self._say_once(finding, "crossed", now)

    def _look(self, doubt: Doubt, now: float) -> None:
        """Check for ourselves what somebody else condemns."""
        match doubt.group:
            case "crossed":
                facts = self._facts()
                for seq in doubt.seqs:
                    self._compare(doubt.log, seq, facts, now, concurs=True)
            case "holdout" | "canary":
                self._holdout.want((doubt.log, doubt.seqs), concurs=True)
            case "opened":
                for place in self._asking.openings(peer_of(doubt.log), doubt.seqs[-1]):
                    self._examining.begin(place, now, concurs=True)
            case "unanswered":
                self._asking.doubt(doubt.log, doubt.seqs[-1])
            case _:
                pass  # a word that no policy of ours knows

    # -------------------------------------------------------------- for others

    def left(self, verdict: Verdict) -> list[tuple[LogId, int]]:
        """Updates that a verdict condemns and that are not in the model now, for people: (log, seq)."""
        found: dict[tuple[LogId, int], None] = {}
        replica = self._office.replica
        for judgement in verdict.judgements:
            log = self._office.branch(judgement) if judgement.decision == "condemned" else None
            if log is None:
                continue
            held = replica.branches.get(log)
            for seq in judgement.seqs:
                for number in range(len(held.folded_at)):
                    at = held.folded_at[number]
                    if seq in (at, held.cites[number]) and replica.condemned(log, at):
                        found[log, at] = None
        if found:  # what a final holds stays in the model, whoever condemns it
            logs = {log for log, _ in found}
            for log, seq, _, _ in replica.updates:
                if log in logs:
                    found.pop((log, seq), None)
        return list(found)

    def relay(self, digest: Hash) -> None:
        """A member asked us for an opening that is not here: get it, so that it comes through us where the two who
        need it are not linked. Only what may come to us."""
        place = self._blobs_of.get(digest)
        if place is None or digest in self._relayed or len(self._relayed) >= MAX_RELAYED:
            return
        log, seq = place
        opening = self._office.replica.entry(log, seq)
        challenge = self._challenge_of(opening) if isinstance(opening, Opening) else None
        data = self._office.data_of(log, challenge.data) if challenge is not None else None
        if isinstance(opening, Opening) and data is not None and self._examining.may_look(data):
            self._relayed[digest] = None
            self._office.blobs.want(
                digest, limit=MAX_OPENING_BYTES, total=opening.opened_bytes, log=log, seq=seq, urgent=False
            )

    def _challenge_of(self, opening: Opening) -> Challenge | None:
        replica = self._office.replica
        for log in replica.strands(opening.peer):
            entry = replica.entry(log, opening.challenge) if opening.challenge < replica.size(log) else None
            if isinstance(entry, Challenge):
                return entry
        return None
