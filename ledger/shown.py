"""What openings show, as an auditor finds it: by data set, and by opening for whoever judged it.

    opening admitted --its blob, if it is here--> verify_opening --> records --inspector--> facts "opened.*"

Why it exists: who opened what is on record, and the records are beside it where they are open to everybody. So
whatever follows from them alone is looked up and not believed: how many were malformed, how many repeat, and, for an
auditor who brings the lists that a policy pins, how many labels are wrong.

Rules kept here: facts are by the policy that is asked about, for that names the lists; where records or lists are
missing it says which. What is remembered is bounded, and the rest is counted. It refuses to know what records mean
(an `Inspector` does) and what follows from facts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.bundle import Blob
from ledger.canonical import encode_entry, entry_hash
from ledger.chain import LogId, peer_of
from ledger.entry import MAX_OPENING_BYTES, Challenge, Data, Genesis, Hash, Opening
from ledger.errors import RemoteError
from ledger.looked import OpenedSet
from ledger.opening import OpenedRecord, VerifiedOpening, verify_answer
from ledger.policy import Policy
from ledger.replica import Replica

Inspector = Callable[[Sequence[tuple[bytes, bytes]]], Mapping[str, int]]  # (key, value) of records -> facts
Inspectors = Callable[[Genesis, Policy], Inspector | None]  # with the lists of a policy; None: they cannot be read here

MALFORMED: Final = "opened.malformed"
WRONG: Final = "opened.wrong_labels_permille"
REPEATS: Final = "opened.duplicates_permille"
INVALID: Final = "opened.invalid"
MAX_SETS: Final = 1000  # data sets told one by one
MAX_INDICES: Final = 1 << 18  # different records that are counted
MAX_KEPT: Final = 128  # openings whose facts are kept
NOT_HERE: Final = "opened records are not in the bundle"
NO_LISTS: Final = "the lists that the policy pins were not named"
NO_READER: Final = "records of this kind cannot be read here"
IN_TIME: Final = "whether an answer came in time, only its judge can know"

Values = tuple[set[int], str]  # those that openings give; and why there may be others, or ""


@dataclass(slots=True)
class _Set:
    data: Data
    openings: list[int] = field(default_factory=list)  # seqs, in the log of the data entry
    here: int = 0
    false: int = 0
    indices: set[int] = field(default_factory=set)
    malformed: int = 0
    wrong: int = 0
    looked: bool = False
    labelled: bool = False


class Shown:
    """Everything that was opened."""

    def __init__(self, replica: Replica, blob: Blob, inspectors: Inspectors | None) -> None:
        self._replica = replica
        self._blob = blob
        self._inspectors = inspectors
        self._sets: dict[tuple[LogId, int], _Set] = {}
        self._facts: OrderedDict[tuple[LogId, int, int, Hash], dict[str, int] | str] = OrderedDict()
        self._indices = 0

    # -------------------------------------------------------------- as entries come in

    def note(self, log: LogId, seq: int, blob: bytes | None, policy: Policy) -> None:
        """An opening was admitted, whose records these are (None: they are not here). LocalError if it is none."""
        for data, challenge in self._replica.answers(log, seq):
            known = self._sets.setdefault((log, data.seq), _Set(data))
            known.openings.append(seq)
            if blob is None:
                continue
            opening = self._replica.entry(log, seq)
            assert isinstance(opening, Opening)
            verified = self._verified(blob, opening, data, challenge)
            if verified is None:
                known.false += 1
                continue
            known.here += 1
            new = [record for record in verified.records if record.index not in known.indices]
            if self._indices + len(new) <= MAX_INDICES:
                self._indices += len(new)
                known.indices.update(record.index for record in new)
                self._count(known, new, policy)

    def _count(self, known: _Set, records: Sequence[OpenedRecord], policy: Policy) -> None:
        facts = self._inspected(records, policy)
        if MALFORMED in facts:
            known.looked = True
            known.malformed += facts[MALFORMED]
            if WRONG in facts:
                known.labelled = True
                sound = len(records) - facts[MALFORMED]
                known.wrong += -(-facts[WRONG] * sound // 1000)  # permille are rounded down, of at most 256 records

    def _verified(self, blob: bytes, opening: Opening, data: Data, challenge: Challenge) -> VerifiedOpening | None:
        """None of what is not what the data entry commits to."""
        try:
            return verify_answer(blob, opening, data, self._replica.swarm, challenge)
        except RemoteError:
            return None

    def _inspected(self, records: Sequence[OpenedRecord], policy: Policy) -> Mapping[str, int]:
        inspect = self._inspectors(self._replica.genesis, policy) if self._inspectors is not None else None
        return inspect([(record.key, record.value) for record in records]) if inspect is not None else {}

    # -------------------------------------------------------------- for who looks at a verdict

    def values(
        self, fact: str, log: LogId, data: Data, past: Mapping[LogId, int], policy: Policy, spend: Callable[[int], None]
    ) -> Values | None:
        """What openings of a data entry in a past give for one fact. None if there is none."""
        found, lacks, any_ = set[int](), "", False
        for seq, opening, challenge in self._openings(log, data, past):
            any_ = True
            spend(opening.opened_bytes)
            facts = self._facts_of(log, seq, opening, data, challenge, policy)
            if isinstance(facts, str):
                lacks = facts
            elif fact in facts:
                found.add(facts[fact])
            elif fact in (MALFORMED, WRONG) and not facts[INVALID]:
                lacks = NO_LISTS if MALFORMED in facts and policy.lists else NO_READER
        return (found, lacks) if any_ else None

    def _openings(self, log: LogId, data: Data, past: Mapping[LogId, int]) -> Iterator[tuple[int, Opening, Challenge]]:
        known = self._sets.get((log, data.seq))
        for seq in known.openings if known is not None else ():
            if seq >= past.get(log, 0):
                return
            opening = self._replica.entry(log, seq)
            assert isinstance(opening, Opening)
            for of, challenge in self._replica.answers(log, seq):
                if of.seq == data.seq:
                    yield seq, opening, challenge

    def _facts_of(
        self, log: LogId, seq: int, opening: Opening, data: Data, challenge: Challenge, policy: Policy
    ) -> dict[str, int] | str:
        """Of one opening; or why there are none. Of records that were not committed to only that."""
        place = (log, seq, data.seq, policy.hash)
        known = self._facts.get(place)
        if known is not None:
            return known
        facts: dict[str, int] | str = NOT_HERE
        try:
            blob = self._blob(opening.opened, MAX_OPENING_BYTES)
        except RemoteError:
            blob = None
        if blob is not None:
            verified = self._verified(blob, opening, data, challenge)
            facts = {INVALID: 1}
            if verified is not None:
                beyond = verified.duplicates_permille  # (an inspector sees repeats within the sample alone)
                facts = {**self._inspected(verified.records, policy), REPEATS: beyond, INVALID: 0}
        self._facts[place] = facts
        if len(self._facts) > MAX_KEPT:
            self._facts.popitem(last=False)
        return facts

    def unanswered(
        self, log: LogId, data: Data, past: Mapping[LogId, int], spend: Callable[[int], None]
    ) -> Values | str | None:
        """What a past tells of requests of a data entry: 1 if one has no answer although its author wrote something
        since, 0 if it wrote nothing. As words: only the judge can know. None if there is no request.
        """
        replica, digest = self._replica, entry_hash(encode_entry(data))
        answered = {
            (opening.peer, opening.challenge)
            for seq, opening in replica.branches.get(log).openings
            if seq < past.get(log, 0)
        }
        silent, in_doubt = False, False
        for other, size in past.items():
            for seq, challenge in replica.branches.get(other).challenges:
                if seq >= size or (challenge.peer, challenge.hash) != (peer_of(log), digest):
                    continue
                spend(0)
                if (peer_of(other), seq) in answered:
                    in_doubt = True
                elif past.get(log, 0) > replica.past(other, seq + 1).get(log, data.seq + 1):
                    return {1}, ""
                else:
                    silent = True
        if in_doubt:
            return IN_TIME
        return ({0}, "") if silent else None

    # -------------------------------------------------------------- all of it

    def told(self) -> tuple[tuple[OpenedSet, ...], int]:
        """The first MAX_SETS data sets of which records were asked for, and how many more there are."""
        asked: dict[tuple[LogId, int], int] = {}
        for log in self._replica.branches.logs.values():
            for seq, challenge in log.challenges:
                if seq >= log.fork:
                    for strand in self._replica.strands(challenge.peer):
                        at = (strand, challenge.data)
                        if at in self._sets or strand == challenge.peer:
                            asked[at] = asked.get(at, 0) + 1
        rows = []
        for at in sorted(asked)[:MAX_SETS]:
            log_id, seq = at
            entry = self._replica.entry(log_id, seq) if seq < self._replica.size(log_id) else None
            if isinstance(entry, Data):
                known = self._sets.get(at, _Set(entry))
                rows.append(
                    OpenedSet(
                        log_id, seq, entry.records, tuple(entry.opens), asked[at], len(known.openings), known.here,
                        known.false, len(known.indices), known.malformed if known.looked else -1,
                        known.wrong if known.labelled else -1,
                    )
                )  # fmt: skip
        return tuple(rows), max(0, len(asked) - MAX_SETS)
